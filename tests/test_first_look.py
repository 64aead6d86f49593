"""A run says at its first position what contradicts what was assumed, and can stop there."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from inline import run_inline
from movies import metadata_of, write_movie
from pyama_core import open_results
from pyama_core.app.overview import overview_of
from pyama_core.cli.app import app
from pyama_core.demo import write_demo
from pyama_core.io.storage.naming import find_records
from pyama_core.io.storage.records import load_record
from pyama_core.processing.background.tiled_interpolation.background import TiledBackground
from pyama_core.processing.workflow.doubts import About, find_doubts, find_unlike_counts
from pyama_core.processing.workflow.finishing import finish_run
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.outcome import FovStatus, RunOutcome
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from pyama_core.processing.workflow.status import describe_folder

pytestmark = pytest.mark.usefixtures("workers_inline")

DIAMETER = 19
TOLD = "a diameter of (19|20|21) px in the middle, 36 px were assumed"


def discs(n: int, seed: int = 0, size: int = 176) -> np.ndarray:
    """Draw two frames of bright discs that do not touch, of 19 px, on noise."""
    rng = np.random.default_rng(seed)
    places = [(y, x) for y in range(20, size - 10, 34) for x in range(20, size - 10, 34)]
    y, x = np.mgrid[:size, :size]
    frames = rng.normal(200, 5, (2, size, size))
    for i in rng.permutation(len(places))[:n]:
        cy, cx = places[i]
        frames += 300 * (np.hypot(y - cy, x - cx) < DIAMETER / 2)
    return frames.astype(np.uint16)[:, None]


def movie_of(folder: Path, *counts: int) -> Path:
    series = [discs(n, seed) for seed, n in enumerate(counts)]
    return write_movie(folder / "m.ome.tif", series, ["H2B"], 2.0)


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return movie_of(tmp_path_factory.mktemp("alike"), 16, 18, 17)


def run(movie: Path, out: Path, channels: Channels | None = None, **options: Any) -> RunOutcome:
    segmentation = {
        name: options.pop(name)
        for name in ("cell_diameter", "grow_by", "method")
        if name in options
    }
    context = ProcessingContext(
        out, channels or Channels(segment=0, fl=[0]), params={"segmentation": segmentation}
    )
    return run_inline(metadata_of(movie), context, batch_size=1, **options)


def states(out: Path) -> list[FovState]:
    records = [load_record(path) for path in find_records(out)]
    return [FovState(record) for record in records if record is not None]


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.message for r in caplog.records if r.levelno >= logging.WARNING]


def first_told(caplog: pytest.LogCaptureFixture) -> tuple[str, int]:
    """Return the first warning of a position, and how many positions were through by then."""
    messages = [record.message for record in caplog.records]
    place = next(i for i, message in enumerate(messages) if " is through: " in message)
    return messages[place], sum("FOVs, " in message for message in messages[:place])


def test_what_is_as_assumed_is_not_worth_a_word(alike, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        outcome = run(alike, tmp_path, strict=True)
    assert (outcome.ok, outcome.exit_code, outcome.stopped) == (True, 0, None)
    assert not [message for message in warnings_in(caplog) if "is through" in message]
    assert [find_doubts(state) for state in states(tmp_path)] == [[], [], []]
    entry = states(tmp_path)[0].record.outputs["m_fov_000_seg_ch_0.npy"]
    assert entry.summary["objects"] == 16
    assert abs(entry.summary["found_diameter"] - DIAMETER) <= 1
    assert "shown_diameter" not in entry.summary  # for it was estimated, not given


def test_a_diameter_that_does_not_fit_is_told_when_the_first_position_is_through(
    alike, tmp_path, caplog
):
    with caplog.at_level(logging.INFO):
        assert run(alike, tmp_path, method="bright", cell_diameter=36).ok
    told, n_through = first_told(caplog)
    assert n_through == 1
    assert re.search(TOLD, told)
    assert "--cell-diameter" in told
    # Of each kind once; what the others contradict, status tells.
    assert sum("is through" in message for message in warnings_in(caplog)) == 1
    assert [d.about for state in states(tmp_path) for d in find_doubts(state)] == [About.SIZE] * 3


@pytest.fixture(scope="module")
def phase(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two frames of cells in phase contrast, of 44 px."""
    return write_demo(tmp_path_factory.mktemp("phase"), fovs=1, frames=2, size=512).image


@pytest.mark.parametrize(
    ("given", "is_told"), [(20, True), (44, False), pytest.param(88, True, marks=pytest.mark.slow)]
)
def test_a_diameter_by_which_cells_are_cut_or_put_together_is_told(phase, tmp_path, given, is_told):
    channels = Channels(pc=0, fl=[1])
    assert run(phase, tmp_path, channels, method="instances", cell_diameter=given).ok
    [state] = states(tmp_path)
    summary = next(e.summary for e in state.record.outputs.values() if e.kind == "seg")
    assert summary["cell_diameter"] == given
    assert summary["shown_diameter"] == pytest.approx(44, abs=4)
    assert bool(told_of_size(state)) is is_told, summary
    if given == 20:
        # The pieces are as large as what was given, so that only the frame tells.
        assert 1 / 1.5 < summary["found_diameter"] / given < 1.5
        assert re.search(
            r"had a diameter of about 4\d px, 20 px were given", told_of_size(state)[0]
        )
        summary["objects"] = 11  # are too few for it to be believed
        assert not told_of_size(state)
        summary["objects"] = 12
        assert told_of_size(state)
        del summary["shown_diameter"]  # as in results of earlier versions
        assert not told_of_size(state)


def told_of_size(state: FovState) -> list[str]:
    return [doubt.text for doubt in find_doubts(state) if doubt.about is About.SIZE]


def test_strict_stops_there_and_loses_nothing(alike, tmp_path, monkeypatch):
    wrong = {"method": "bright", "cell_diameter": 36, "keep": "traces"}
    stopped = run(alike, tmp_path / "a", strict=True, **wrong)
    assert (stopped.ok, stopped.exit_code) == (False, 3)
    assert stopped.stopped is not None
    assert stopped.stopped.startswith("FOV 0: the objects that were found have a diameter")
    assert [stopped.fovs[fov].status for fov in range(3)] == [
        FovStatus.DONE,
        FovStatus.CANCELLED,
        FovStatus.CANCELLED,
    ]
    # Asked again, it stops before it does anything; without it, it goes on from there.
    again = run(alike, tmp_path / "a", strict=True, **wrong)
    assert again.fovs[0].status is FovStatus.SKIPPED
    assert again.exit_code == 3
    assert not (tmp_path / "a" / "fov_001").exists() or len(states(tmp_path / "a")) == 3
    assert run(alike, tmp_path / "a", **wrong).ok
    assert run(alike, tmp_path / "b", **wrong).ok
    tables = [sorted((tmp_path / name).rglob("*.csv")) for name in "ab"]
    assert [p.read_bytes() for p in tables[0]] == [p.read_bytes() for p in tables[1]] != []


def test_objects_that_are_grown_are_held_against_their_size_before(alike, tmp_path):
    assert run(alike, tmp_path, fovs=[0], grow_by=9, method="bright", cell_diameter=19).ok
    assert find_doubts(states(tmp_path)[0]) == []


def test_a_segmentation_that_is_not_made_for_what_the_frames_show_is_told(alike, tmp_path):
    stopped = run(alike, tmp_path, Channels(pc=0, fl=[0]), fovs=[0], strict=True)
    assert stopped.exit_code == 3
    doubts = find_doubts(states(tmp_path)[0])
    assert doubts[0].about is About.METHOD
    assert "bright objects, for which instances is not made" in doubts[0].text
    assert "--segmentation bright" in doubts[0].advice


def test_a_kind_that_is_unsure_and_nothing_found_stop_as_well(tmp_path):
    movie = movie_of(tmp_path, 0, 0)
    stopped = run(movie, tmp_path / "out", strict=True)
    assert stopped.exit_code == 3
    doubts = find_doubts(states(tmp_path / "out")[0])
    assert [doubt.about for doubt in doubts] == [About.PICTURE, About.NOTHING]


def test_hardly_any_good_cell_is_told(alike, tmp_path):
    channels, strict = Channels(segment=0, fl=[0]), {"extraction": {"max_relative_area": 0.3}}
    params = {"segmentation": {"method": "bright"}, "extraction": strict["extraction"]}
    context = ProcessingContext(tmp_path, channels, params=params)
    assert run_inline(metadata_of(alike), context, fovs=[0]).ok
    (doubt,) = find_doubts(states(tmp_path)[0])
    assert doubt.about is About.GOOD
    assert "'unusual size'" in doubt.text


def test_counts_that_jump_between_positions_are_told_at_the_second(tmp_path, caplog):
    movie = movie_of(tmp_path, 16, 3, 17, 16)
    with caplog.at_level(logging.INFO):
        stopped = run(movie, tmp_path / "out", strict=True)
    told, n_through = first_told(caplog)
    assert n_through == 2
    assert "16 objects in FOV 0, but 3 in FOV 1" in told
    assert stopped.exit_code == 3
    assert stopped.fovs[2].status is FovStatus.CANCELLED
    caplog.clear()
    assert run(movie, tmp_path / "out").ok
    assert find_unlike_counts(states(tmp_path / "out")) == {1: 3}
    assert "in most others in FOVs 1 (3)" in "".join(warnings_in(caplog))


def test_parts_of_a_run_look_each_at_their_own_first_position(alike, tmp_path, caplog):
    wrong = {"method": "bright", "cell_diameter": 36, "strict": True}
    for number, first in (("1/2", 0), ("2/2", 1)):
        assert f"FOV {first}: " in str(run(alike, tmp_path, shard=number, **wrong).stopped)
    finish_run(tmp_path)
    results = yaml.safe_load((tmp_path / "processing_results.yaml").read_text(encoding="utf-8"))
    assert sorted(results["doubts"]) == [0, 1]


def test_status_results_file_and_page_tell_it(alike, tmp_path):
    out = tmp_path / "out"
    command = ["run", str(alike), "-o", str(out), "--segment", "0", "--fl", "0", "--workers", "1"]
    command += ["--segmentation", "bright", "--cell-diameter", "36", "--fovs", "0,1"]
    ended = CliRunner().invoke(app, [*command, "--batch-size", "1", "--strict"])
    assert ended.exit_code == 3
    assert len([x for x in ended.output.splitlines() if "stopped by --strict" in x]) == 1
    assert re.search(TOLD, CliRunner().invoke(app, ["status", str(out)]).output)
    described = json.loads(CliRunner().invoke(app, ["status", str(out), "--json"]).output)
    assert described["fovs"]["0"]["doubts"][0]["about"] == "size"
    results = yaml.safe_load((out / "processing_results.yaml").read_text(encoding="utf-8"))
    assert re.search(TOLD, results["doubts"][0][0])
    opened = open_results(out)
    rows = overview_of(opened, [opened.fov(0), opened.fov(1)]).fovs
    assert re.search(TOLD, rows[0].words)
    assert re.search(TOLD, rows[0].contradictions[0])


def test_results_without_such_counts_stay_readable(alike, tmp_path):
    assert run(alike, tmp_path, fovs=[0]).ok
    (path,) = find_records(tmp_path)
    plain = json.loads(path.read_text(encoding="utf-8"))
    for entry in plain["outputs"].values():
        for name in ("objects", "found_diameter", "frames_of_bright_objects"):
            entry["summary"].pop(name, None)
    path.write_text(json.dumps(plain), encoding="utf-8")
    assert describe_folder(tmp_path)["fovs"]["0"]["doubts"] == []
    assert run(alike, tmp_path, fovs=[0]).fovs[0].status is FovStatus.SKIPPED


def test_auto_is_settled_for_nuclei_before_the_run_begins(alike, tmp_path, caplog):
    params = {"nuclei": {"method": "auto"}, "extraction": {"features": ["compartments"]}}
    channels = Channels(segment=0, fl=[0], nuclei=0)
    with caplog.at_level(logging.INFO):
        context = ProcessingContext(tmp_path, channels, params=params)
        assert run_inline(metadata_of(alike), context, fovs=[0]).ok
    assert "nuclei: 0 (H2B) shows bright objects" in caplog.text
    settings = states(tmp_path)[0].record.settings
    assert settings is not None
    assert settings.params["nuclei"]["method"] == "bright"


def test_cells_that_have_no_light_in_the_channel_that_found_them_are_a_doubt_of_the_background(
    alike, tmp_path, monkeypatch
):
    estimate = TiledBackground.estimate

    def too_much(self, frame, mask):
        return estimate(self, frame, mask) + 1000

    monkeypatch.setattr(TiledBackground, "estimate", too_much)
    assert run(alike, tmp_path).ok
    doubts = [doubt for state in states(tmp_path) for doubt in find_doubts(state)]
    told = [doubt.text for doubt in doubts if doubt.about is About.BACKGROUND]
    assert len(told) == 3
    assert told[0].startswith("16 of 16 cells, which were found by their light in channel 0, are")
    cells = open_results(tmp_path).cells
    assert not cells["good"].any()
    assert "no light" in set(cells["reason_H2B"])
    # Judged anew, they are so still.
    cell = int(cells["cell"][cells["reason_H2B"] == "no light"].iloc[0])
    fov = open_results(tmp_path).fov(0)
    later = fov.cut(cell, 1)
    reasons = open_results(tmp_path).cells.set_index(["fov", "cell"])["reason_H2B"]
    assert {reasons[0, cell], reasons[0, later]} <= {"no light", "too short"}
