"""Results wherever they lie, however far the run has come, and whoever touched them."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pandas as pd
import pytest

import runs
from pyama_core import open_results
from pyama_core.errors import InputError
from pyama_core.io.storage.locks import FolderLock

pytestmark = pytest.mark.usefixtures("workers_inline")


def edit_record(folder: Path, fov: int, change) -> None:
    path = next((folder / f"fov_{fov:03d}").glob("*_record.json"))
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")


def reasons(results) -> dict[str, str]:
    missing = results.missing
    return dict(zip(missing["output"], missing["reason"], strict=True))


@pytest.mark.parametrize("path", ["nowhere", "empty", "file"])
def test_what_holds_no_results_is_refused(tmp_path, path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"there is no folder|holds no results"):
        open_results(tmp_path / path)
    with pytest.raises(InputError, match="folder of results: expected a path"):
        open_results("")


def test_a_folder_that_was_copied_without_its_times_is_as_good(results_of_demo, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(results_of_demo, moved, copy_function=shutil.copyfile)
    results = open_results(moved)
    pd.testing.assert_frame_equal(results.traces, open_results(results_of_demo).traces)
    assert results.fov(0).phase.shape == (10, 256, 256)
    assert len(results.missing) == 0


def test_a_folder_of_another_computer_is_as_good(copied_results):
    def elsewhere(content):
        for entry in content["outputs"].values():
            entry.update(host="another", boot="long ago", durable=False)

    for fov in range(3):
        edit_record(copied_results, fov, elsewhere)
    results = open_results(copied_results)
    assert len(results.traces)
    assert results.fov(2).labels.shape == (10, 256, 256)
    assert len(results.missing) == 0


def test_nothing_is_written_where_results_are_read(copied_results):
    before = {path: path.stat().st_mtime_ns for path in copied_results.rglob("*")}
    for path in [copied_results, *copied_results.rglob("*")]:
        path.chmod(stat.S_IRUSR | (stat.S_IXUSR if path.is_dir() else 0))
    try:
        results = open_results(copied_results)
        assert len(results.traces) == len(results.fov(0).traces) + len(results.read_traces("1-2"))
        assert repr(results)
        assert results.fov(0).outlines(0)
        assert before == {path: path.stat().st_mtime_ns for path in copied_results.rglob("*")}
    finally:
        for path in [copied_results, *copied_results.rglob("*")]:
            path.chmod(path.stat().st_mode | stat.S_IWUSR | stat.S_IXUSR)


@pytest.mark.parametrize("keeps_time", [True, False])
def test_a_table_that_a_person_edited_is_missing_and_named(copied_results, keeps_time):
    path = next(copied_results.glob("fov_001/*_traces_ch_1.csv"))
    times = path.stat()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"True", b"Wahr", 1))
    if keeps_time:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    results = open_results(copied_results)
    traces = results.traces
    assert traces.loc[traces["fov"] == 1, "intensity_total_GFP"].isna().all()
    assert traces.loc[traces["fov"] == 1, "intensity_total_mCherry"].notna().all()
    assert traces.loc[traces["fov"] != 1, "intensity_total_GFP"].notna().all()
    assert list(traces) == list(results.read_traces("0"))
    if not keeps_time:
        assert "is not as it was written (was it edited" in reasons(results)[path.name]
        assert "1 outputs are missing" in repr(results.fov(1))


def test_a_table_that_was_saved_again_by_a_spreadsheet_is_missing_and_named(copied_results):
    for path in copied_results.glob("fov_000/*.csv"):
        text = path.read_text("utf-8").replace(",", ";").replace("\n", "\r\n")
        path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    results = open_results(copied_results)
    assert set(results.traces["fov"]) == {1, 2}
    assert len(reasons(results)) == 4
    results.plot()


def test_files_that_are_gone_are_missing_and_the_rest_is_there(copied_results):
    for path in copied_results.glob("fov_000/*_tracks.csv"):
        path.unlink()
    next(copied_results.glob("fov_000/*_pc_ch_0.npy")).unlink()
    results = open_results(copied_results)
    assert len(reasons(results)) == 2
    assert all("the file is gone" in reason for reason in reasons(results).values())
    cells = results.fov(0).cells
    assert cells["fate"].isna().all()
    assert cells["good"].notna().all()
    with pytest.raises(InputError, match=r"_pc_ch_0\.npy: the file is gone; run again"):
        _ = results.fov(0).phase


def test_a_stack_that_was_changed_is_not_believed(copied_results):
    path = next(copied_results.glob("fov_000/*_pc_ch_0.npy"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not as it was written; run again"):
        _ = open_results(copied_results).fov(0).phase


def test_a_damaged_record_costs_its_position_alone(copied_results):
    next(copied_results.glob("fov_001/*_record.json")).write_text("{")
    results = open_results(copied_results)
    assert set(results.traces["fov"]) == {0, 2}
    assert set(results.cells["fov"]) == {0, 2}
    assert results.missing["kind"].tolist() == ["record"]
    assert "with a damaged record: 1" in repr(results)
    with pytest.raises(InputError, match="there is no pc"):
        _ = results.fov(1).phase


def test_copies_of_folders_are_not_taken_for_positions(copied_results):
    shutil.copytree(copied_results / "fov_001", copied_results / "fov_001 - Kopie")
    assert open_results(copied_results).fov_numbers == [0, 1, 2]


def test_what_is_still_being_written_is_missing_until_it_is_there(demo, tmp_path):
    assert runs.run(demo, tmp_path / "out", fovs="0-1").ok
    path = next((tmp_path / "out").glob("fov_001/*_traces_ch_2.csv"))
    whole = path.read_bytes()
    record = next(path.parent.glob("*_record.json"))
    finished = record.read_bytes()
    edit_record(tmp_path / "out", 1, lambda content: content["outputs"].pop(path.name))
    path.unlink()
    lock = FolderLock.acquire(path.parent)
    try:
        results = open_results(tmp_path / "out")
        traces = results.traces
        assert traces.loc[traces["fov"] == 1, "intensity_total_mCherry"].isna().all()
        assert traces.loc[traces["fov"] == 1, "intensity_total_GFP"].notna().all()
        assert f"process {os.getpid()}" in reasons(results)["traces_csv of mCherry"]
        assert "not finished: 1" in repr(results)
    finally:
        lock.release()
    path.write_bytes(whole)
    record.write_bytes(finished)
    assert results.traces["intensity_total_mCherry"].notna().all()
    assert "done: 0-1" in repr(results)
    assert runs.run(demo, tmp_path / "out", fovs="2").ok
    assert results.fov_numbers == [0, 1]
    results.reload()
    assert results.fov_numbers == [0, 1, 2]


def test_what_was_made_with_other_parameters_than_asked_for_is_missing(copied_results):
    def ask_for_more(content):
        content["settings"]["params"]["extraction"]["border"] = 33

    edit_record(copied_results, 0, ask_for_more)
    results = open_results(copied_results)
    assert set(results.traces["fov"]) == {1, 2}
    assert all("outdated" in reason for reason in reasons(results).values())


def test_results_of_another_version_of_an_algorithm_are_read_and_a_mixture_is_told(
    copied_results, caplog
):
    def older(content):
        for entry in content["outputs"].values():
            if entry["kind"] == "traces_csv":
                entry["provenance"]["algorithm"] = "features/1"

    for fov in range(3):
        edit_record(copied_results, fov, older)
    expected = open_results(copied_results).traces
    assert set(expected["fov"]) == {0, 1, 2}
    assert "not all made in the same way" not in caplog.text
    edit_record(
        copied_results,
        2,
        lambda content: [
            entry["provenance"].update(algorithm="features/2")
            for entry in content["outputs"].values()
            if entry["kind"] == "traces_csv"
        ],
    )
    assert set(open_results(copied_results).traces["fov"]) == {0, 1, 2}
    assert "not all made in the same way (0-1 by features/1; 2 by features/2)" in caplog.text


def test_a_folder_without_names_calls_channels_and_positions_by_their_numbers(copied_results):
    (copied_results / "source.json").unlink()
    names = open_results(copied_results)
    assert names.fov("position 3").number == 2
    assert "intensity_total_GFP" in names.traces
    for fov in range(3):
        edit_record(copied_results, fov, lambda content: content.pop("names"))
    results = open_results(copied_results)
    assert results.source is None
    assert "intensity_total_ch_1" in results.traces
    assert results.fov("FOV 2").number == 2
    assert list(results.samples["name"]) == ["FOV 0", "FOV 1", "FOV 2"]
    assert repr(results)


def test_a_spoilt_note_of_the_source_is_no_loss(copied_results):
    (copied_results / "source.json").write_text("{}")
    assert "intensity_total_GFP" in open_results(copied_results).traces


def test_failures_are_told_with_step_and_error(copied_results):
    def fail(content):
        content["failure"] = {"step": "tracking", "error": "FOV 1, tracking: out of luck"}

    edit_record(copied_results, 1, fail)
    results = open_results(copied_results)
    assert results.failures.to_dict("records") == [
        {
            "fov": 1,
            "name": "position 2",
            "step": "tracking",
            "error": "FOV 1, tracking: out of luck",
        }
    ]
    assert "failed: 1" in repr(results)


def test_parameters_and_provenance_are_those_of_the_records(results_of_demo):
    results = open_results(results_of_demo)
    assert results.params["segmentation"]["method"] == "log-std"
    provenance = results.provenance
    assert len(provenance) == 3 * 11
    traces = provenance[provenance["kind"] == "traces_csv"]
    assert set(traces["channel"]) == {"GFP", "mCherry"}
    assert {"algorithm", "parameters", "inputs", "checksum"} <= set(traces)
    results.params["segmentation"]["method"] = "changed"
    assert results.params["segmentation"]["method"] == "log-std"


def test_the_overview_escapes_names_for_notebooks(copied_results):
    results = open_results(copied_results)
    results.assign_samples({"<b>bold</b> & co": "0-1"})
    shown = results._repr_html_()
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; co (0-1)" in shown
    assert "<b>" not in shown
    assert "demo.ome.tif: 3 FOVs, 10 frames, 0.65 µm per pixel" in shown
    (copied_results / "samples.csv").write_text("nonsense")
    assert "samples  cannot be read" in repr(results)


@pytest.mark.parametrize(("which", "number"), [(1, 1), ("1", 1), ("position 3", 2), ("index:0", 0)])
def test_a_position_is_found_by_number_or_name(results_of_demo, which, number):
    assert open_results(results_of_demo).fov(which).number == number


@pytest.mark.parametrize(
    ("which", "words"),
    [
        (3, r"there is no FOV 3; the file has 0 \(position 1\)"),
        ("A1", "there is no FOV 'A1'"),
        ("0-1", "expected one FOV, found 2"),
        (1.5, "expected a FOV by number or name"),
    ],
)
def test_a_position_that_is_not_there_is_refused_with_those_that_are(results_of_demo, which, words):
    with pytest.raises(InputError, match=words):
        open_results(results_of_demo).fov(which)


def test_a_position_of_the_file_without_results_is_told(demo, tmp_path):
    assert runs.run(demo, tmp_path / "out", fovs="0").ok
    with pytest.raises(InputError, match=r"there are no results of FOV 2 \(position 3\)"):
        open_results(tmp_path / "out").fov("position 3")
