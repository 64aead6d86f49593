"""Parts of a run: together the whole, into one folder, and what closes them."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import runs
from pyama_core.cli.app import app
from pyama_core.demo import DemoFiles
from pyama_core.errors import FolderBusyError, InputError
from pyama_core.io.storage.naming import RESULTS_NAME
from pyama_core.processing.workflow import fov_locks
from pyama_core.processing.workflow.asked_fovs import load_asked, note_asked
from pyama_core.processing.workflow.finishing import finish_run
from pyama_core.processing.workflow.fov_locks import FovLocks
from pyama_core.processing.workflow.outcome import FovStatus
from pyama_core.processing.workflow.shards import Shard


@given(st.lists(st.integers(0, 999), unique=True), st.integers(1, 40))
def test_every_fov_is_in_exactly_one_part_and_parts_are_even(fovs: list[int], count: int) -> None:
    parts = [Shard(number, count).of(fovs) for number in range(1, count + 1)]
    assert sorted(fov for part in parts for fov in part) == sorted(fovs)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("words", ["0/3", "4/3", "1/0", "3", "1/2/3", "a/b", "", "-1/3"])
def test_words_that_name_no_part_are_refused(words: str) -> None:
    with pytest.raises(InputError, match="shard: expected i/n"):
        Shard.parse(words)


@pytest.mark.slow
def test_parts_make_the_same_bytes_as_one_run(
    demo: DemoFiles, results_of_demo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "in parts"
    for part in ("2/2", "1/2"):
        outcome = runs.run(demo, out, shard=part)
        assert outcome.ok
        assert set(outcome.fovs) == set(Shard.parse(part).of(range(3)))
        assert not (out / RESULTS_NAME).exists()
    assert runs.data_files(out) == runs.data_files(results_of_demo)
    assert finish_run(out).is_complete
    written = (out / RESULTS_NAME).read_text(encoding="utf-8").splitlines()
    expected = (results_of_demo / RESULTS_NAME).read_text(encoding="utf-8").splitlines()
    assert written == expected


def test_a_part_that_is_repeated_goes_on(demo: DemoFiles, tmp_path: Path) -> None:
    assert runs.run(demo, tmp_path, shard="1/3").ok
    again = runs.run(demo, tmp_path, shard="1/3")
    assert [outcome.status for outcome in again.fovs.values()] == [FovStatus.SKIPPED]


def test_more_parts_than_fovs_are_no_failure(demo: DemoFiles, tmp_path: Path) -> None:
    outcome = runs.run(demo, tmp_path / "out", shard="4/4")
    assert outcome.ok
    assert not outcome.fovs


def test_fovs_that_no_part_has_begun_are_missing(demo: DemoFiles, tmp_path: Path) -> None:
    assert runs.run(demo, tmp_path, shard="1/3").ok
    standing = finish_run(tmp_path)
    assert (standing.done, standing.not_begun) == ((0,), (1, 2))
    shown = CliRunner().invoke(app, ["status", str(tmp_path)])
    assert shown.exit_code == 1
    assert "not begun: FOVs 1-2" in shown.stdout
    ended = CliRunner().invoke(app, ["finish", str(tmp_path)])
    assert ended.exit_code == 1
    assert "1 done, 2 not begun" in ended.stdout
    assert f"; 2 were not begun; see {tmp_path / 'report.html'}" in ended.stdout
    assert "Not begun yet: FOVs 1-2" in (tmp_path / "report.html").read_text(encoding="utf-8")
    (tmp_path / "report.html").unlink()
    for part in ("2/3", "3/3"):
        assert runs.run(demo, tmp_path, shard=part).ok
    assert CliRunner().invoke(app, ["status", str(tmp_path)]).exit_code == 0
    ended = CliRunner().invoke(app, ["finish", str(tmp_path), "--no-report"])
    assert ended.exit_code == 0
    assert not (tmp_path / "report.html").exists()


def test_status_ends_with_one_unless_all_is_done(copied_results: Path) -> None:
    assert CliRunner().invoke(app, ["status", str(copied_results)]).exit_code == 0
    next(copied_results.glob("fov_001/*_traces*.csv")).unlink()
    assert CliRunner().invoke(app, ["status", str(copied_results)]).exit_code == 1
    assert CliRunner().invoke(app, ["status", str(copied_results), "--json"]).exit_code == 1


def test_a_part_has_a_log_of_its_own(demo: DemoFiles, tmp_path: Path) -> None:
    assert runs.run(demo, tmp_path, shard="1/3").ok
    assert [path.name for path in tmp_path.glob("*.log")] == ["pyama.shard-1-of-3.log"]


def test_what_was_asked_for_adds_up_and_a_damaged_note_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load_asked(tmp_path) == set()
    note_asked(tmp_path, [0, 1, 2, 7])
    note_asked(tmp_path, [2, 3])
    assert load_asked(tmp_path) == {0, 1, 2, 3, 7}
    for damaged in ("{}", "[", json.dumps({"fovs": "x"}), json.dumps([1])):
        (tmp_path / "asked.json").write_text(damaged)
        caplog.clear()
        assert load_asked(tmp_path) == set()
        assert "asked.json cannot be read" in caplog.text


def test_a_part_waits_for_a_lock_that_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fov_locks, "_POLL_S", 0.05)
    with FovLocks(tmp_path, [0]) as first:
        threading.Timer(0.3, first.release).start()
        with FovLocks(tmp_path, [0, 1], patience_s=60):
            pass
        with pytest.raises(FolderBusyError), FovLocks(tmp_path, [2]), FovLocks(tmp_path, [2]):
            pass


def test_waiting_for_a_lock_can_be_cancelled(demo: DemoFiles, tmp_path: Path) -> None:
    cancel = threading.Event()
    with FovLocks(tmp_path, [0]):
        threading.Timer(0.3, cancel.set).start()
        started = time.monotonic()
        outcome = runs.run(demo, tmp_path, shard="1/3", cancel=cancel)
    assert time.monotonic() - started < 30
    assert [each.status for each in outcome.fovs.values()] == [FovStatus.CANCELLED]
    assert outcome.exit_code == 130


def test_the_command_names_the_flag_of_a_part_that_is_none(demo: DemoFiles, tmp_path: Path) -> None:
    words = ["run", str(demo.image), "-o", str(tmp_path), "--pc", "0", "--fl", "1"]
    result = CliRunner().invoke(app, [*words, "--shard", "5/3"])
    assert result.exit_code == 2
    assert "--shard: shard: expected i/n" in result.output
