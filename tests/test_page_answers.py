"""What the page's server tells is what the results hold."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from asking import Page, endpoints, read_pixels, read_table
from inline import run_inline
from movies import metadata_of, rough_squares, write_movie
from pyama_core.app.client_types import as_typescript
from pyama_core.app.events import Hub, Missed, ResultsChanged, Watcher
from pyama_core.app.layers import frame_of
from pyama_core.app.levels import averaged, sampled
from pyama_core.app.messages import Pixels, Table
from pyama_core.app.routes import looking
from pyama_core.processing.workflow.release import parse_kinds, release_stacks
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from pyama_core.results.results import open_results
from runs import exact

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def page(results_of_demo):
    return Page([results_of_demo.parent])


@pytest.fixture
def at(results_of_demo):
    return str(results_of_demo)


@pytest.mark.parametrize(
    ("kind", "channel"),
    [("phase", ""), ("raw", "GFP"), ("corrected", "mCherry"), ("labels", "")],
)
def test_frames_have_the_pixels_of_the_stacks(page, at, kind, channel):
    fov = open_results(at).fov(1)
    stacks = {"raw": fov.fluorescence, "corrected": fov.corrected}
    stack = stacks[kind][channel] if channel else fov.phase if kind == "phase" else fov.labels
    seen = read_pixels(page.get("/api/frame", at=at, fov=1, kind=kind, channel=channel, t=4))
    assert seen.dtype == ("uint16" if kind == "labels" else stack.dtype)
    np.testing.assert_array_equal(seen, stack[4])


def test_a_sample_keeps_its_place_while_others_have_no_results_yet(copied_results):
    results = open_results(copied_results)
    results.assign_samples({"control": {"fovs": "0"}, "drug": {"fovs": "1-2"}})
    shutil.rmtree(results.fov(0).folder)
    told = Page([copied_results]).get("/api/overview", at=str(copied_results)).json
    assert [(row["sample"], row["place"]) for row in told["samples"]] == [("drug", 1)]


def test_label_images_are_under_corrections(copied_results):
    results = open_results(copied_results)
    fov = results.fov(0)
    label = int(np.intersect1d(fov.labels[2], fov.labels[3])[-1])
    new = fov.cut(label, 3)
    page = Page([copied_results])
    seen = read_pixels(page.get("/api/frame", at=str(copied_results), fov=0, kind="labels", t=3))
    np.testing.assert_array_equal(seen == new, fov.labels[3] == label)
    assert new in page.get("/api/cells", at=str(copied_results), fov=0).json["cell"]


@pytest.mark.parametrize(
    ("largest", "dtype"), [(0, "uint16"), (65_535, "uint16"), (65_536, "uint32")]
)
def test_labels_travel_in_the_smallest_type_that_holds_them(largest, dtype):
    class Fov:
        def label_image(self, t):
            return np.array([[0, 3], [largest, 1]], np.int64)

    sent = frame_of(Fov(), "labels", "", 0, 0)
    assert sent.dtype == dtype
    assert sent.tolist() == [[0, 3], [largest, 1]]


def test_traces_have_the_values_of_the_table(page, at):
    column = "intensity_total_GFP"
    table = read_table(page.get("/api/traces", at=at, fov=2, columns=[column, "area"]).content)
    traces = open_results(at).fov(2).traces
    for name in ("cell", "frame"):
        np.testing.assert_array_equal(table[name], traces[name])
    for name in ("time_min", "position_x", "position_y", "area", column):
        np.testing.assert_allclose(table[name], traces[name], rtol=1e-6)


def test_cells_have_the_rows_of_the_table(page, at):
    told = page.get("/api/cells", at=at, fov=0).json
    cells = open_results(at).fov(0).cells
    assert told["cell"] == cells["cell"].tolist()
    assert told["good"] == cells["good"].tolist()
    assert told["parent"] == cells["parent"].fillna(-1).tolist()
    assert told["reason"][told["good"].index(False)] != ""
    by_channel = {each["channel"]: each["good"] for each in told["verdicts"]}
    assert by_channel == {
        channel: (cells[f"reason_{channel}"] == "").tolist() for channel in ("GFP", "mCherry")
    }


@pytest.mark.parametrize(
    ("reasons", "told"),
    [
        ({"A": "", "B": ""}, ""),
        ({"A": "too short", "B": "too short"}, "too short"),
        ({"A": "too short", "B": None}, "too short in A"),
        ({"A": "x", "B": "y", "C": "x"}, "x in A, C; y in B"),
        ({"A": "x"}, "x"),
    ],
)
def test_a_reason_is_told_with_the_channels_in_which_it_holds(reasons, told):
    assert looking._told(reasons) == told


def test_the_overview_tells_every_position_and_its_cells(page, at):
    told = page.get("/api/overview", at=at).json
    results = open_results(at)
    assert [row["fov"] for row in told["fovs"]] == results.fov_numbers
    assert {row["state"] for row in told["fovs"]} == {"done"}
    counts = page.get("/api/counts", at=at, fovs=results.fov_numbers).json["counts"]
    for row, count in zip(told["fovs"], counts, strict=True):
        assert row["n_cells"] == count["n_cells"] == len(results.fov(row["fov"]).cells)
        assert sum(count["by_frame"]) == len(results.fov(row["fov"]).traces)


@pytest.mark.parametrize("of_file", [None, 2.0])
def test_times_of_frames_are_those_of_the_tables_also_if_the_interval_was_given(tmp_path, of_file):
    pixels = rough_squares(4, 96, [(8, 8), (50, 50)])
    pixels = np.concatenate([pixels, pixels[:, 1:] + 20], axis=1)
    movie = write_movie(tmp_path / "m.ome.tif", [pixels], ["PC", "GFP", "RFP"], of_file)
    params = exact({"extraction": {"interval_minutes": 5.0, "min_frames": 1}})
    context = ProcessingContext(tmp_path / "out", Channels(pc="PC", fl=["GFP"]), params=params)
    assert run_inline(metadata_of(movie), context).ok
    told = Page([tmp_path]).get("/api/fov", at=str(tmp_path / "out"), fov=0).json
    assert told["times_min"] == [0, 5, 10, 15]
    traces = open_results(tmp_path / "out").fov(0).traces
    assert traces["time_min"].tolist() == [told["times_min"][t] for t in traces["frame"]]


def test_the_film_strip_shows_the_cell_where_it_is(page, at):
    fov = open_results(at).fov(0)
    cell = int(fov.traces["cell"].iloc[0])
    frames, size = [0, 5, 9], 32
    asks = {"kind": "corrected", "channel": "GFP", "cell": cell, "frames": frames, "size": size}
    table = read_table(page.get("/api/strip", at=at, fov=0, **asks).content)
    pixels = table["pixels"].reshape(-1, size, size)
    inside = table["inside"].reshape(-1, size, size).astype(bool)
    for i, t in enumerate(frames):
        assert table["seen"][i] == (fov.labels[t] == cell).any()
        own = fov.corrected["GFP"][t][fov.labels[t] == cell]
        if inside[i].sum() == own.size:
            np.testing.assert_array_equal(np.sort(pixels[i][inside[i]]), np.sort(own))
    assert inside.any()


def test_a_course_is_the_median_of_the_good_cells(page, at):
    asks = {"column": "area", "time": "frame", "good": True, "fovs": [1]}
    [course] = page.get("/api/courses", at=at, **asks).json["courses"]
    traces = open_results(at).read_traces([1], ["area"], good_only=True)
    expected = traces.groupby("frame")["area"].median()
    assert course["x"] == expected.index.tolist()
    np.testing.assert_allclose(course["median"], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("path", "asks", "words"),
    [
        ("frame", {"fov": 0, "kind": "phase", "t": 99}, "has frames 0 to 9, not 99"),
        ("frame", {"fov": 0, "kind": "phase", "t": "x"}, "t: .* found 'x'"),
        ("frame", {"fov": 0, "kind": "phase", "t": 0, "level": 20}, "level"),
        ("frame", {"fov": 0, "kind": "raw", "channel": "YFP", "t": 0}, "no such channel 'YFP'"),
        ("frame", {"fov": 77, "kind": "phase", "t": 0}, "77"),
        ("traces", {"fov": 0, "columns": ["nothing"]}, "no column 'nothing'"),
        ("strip", {"fov": 0, "kind": "phase", "cell": 999, "frames": [0]}, "no cell 999"),
        ("strip", {"fov": 0, "kind": "phase", "cell": 1, "frames": [0], "size": 9999}, "512"),
        ("fov", {"fov": 0, "further": 1}, "further"),
        ("fov", {"fov": [0, 1]}, "expected one value, found 2"),
        ("counts", {"fovs": list(range(60))}, "at most 50"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_words(page, at, path, asks, words):
    answer = page.get(f"/api/{path}", at=at, **asks)
    assert answer.status == 400
    assert re.search(words, answer.json["error"])


def test_released_stacks_are_told_with_what_brings_them_back(copied_results):
    release_stacks(copied_results, parse_kinds("fl,fl_corrected,seg_labeled"))
    page, at = Page([copied_results]), str(copied_results)
    told = page.get("/api/fov", at=at, fov=0).json
    assert [layer["kind"] for layer in told["layers"]] == ["phase"]
    assert not told["has_labels"]
    assert any("--restore" in words for words in told["missing"])
    assert "--restore" in page.get("/api/frame", at=at, fov=0, kind="labels", t=0).json["error"]
    assert page.get("/api/cells", at=at, fov=0).json["cell"]


def test_a_damaged_record_hides_its_position_and_no_other(copied_results):
    next(copied_results.glob("fov_001/*_record.json")).write_text("{")
    page, at = Page([copied_results]), str(copied_results)
    rows = page.get("/api/overview", at=at).json["fovs"]
    assert [row["state"] for row in rows] == ["done", "damaged", "done"]
    told = page.get("/api/fov", at=at, fov=1)
    assert told.status in (200, 409)
    assert page.get("/api/fov", at=at, fov=2).json["layers"]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("shape", [(8, 8), (5, 7), (1, 1), (3, 16)])
@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_levels_are_means_over_squares(dtype, shape, level):
    image = (np.random.default_rng(1).random(shape) * 250).astype(dtype)
    small, size = averaged(image, level), 2**level
    for y in range(-(-shape[0] // size)):
        for x in range(-(-shape[1] // size)):
            part = image[y * size : (y + 1) * size, x * size : (x + 1) * size]
            assert small[y, x] == pytest.approx(
                part.mean(), abs=0.5 if dtype != "float32" else 1e-4
            )
    assert sampled(image, level).shape == small.shape
    assert small.dtype == image.dtype


def test_arrays_travel_little_endian():
    assert Pixels.of(np.array([[1]], ">u2")).content == b"\x01\x00"
    columns = {"a": np.array([1, 2, 3], ">i4"), "b": np.array([0.5], np.float64)}
    table = read_table(Table.of(columns).content)
    assert table["a"].tolist() == [1, 2, 3]
    assert table["b"].tolist() == [0.5]


def test_the_client_knows_the_types_of_this_server():
    assert (ROOT / "web/src/base/messages.ts").read_text(encoding="utf-8") == as_typescript(
        endpoints()
    ), "run: python -m pyama_core.app.client_types web/src/base/messages.ts"


# Corrections


@pytest.fixture
def own(copied_results):
    """A folder that may be corrected, and questions about its first position."""
    page, at = Page([copied_results]), str(copied_results)

    def ask(path, **asks):
        send = page.get if path in ("preview", "edits", "doubts", "cells") else page.post
        return send(f"/api/{path}", at=at, fov=0, **asks).json

    return open_results(copied_results).fov(0), ask


def test_a_verdict_with_a_note_is_saved_undone_and_done_again(own):
    fov, ask = own
    cell = int(fov.cells.loc[fov.cells["good"], "cell"].iloc[0])
    told = ask("correct", action="bad", cell=cell, note="dead")
    assert told == {"words": [f"{cell} is bad: dead"], "cell": cell}
    assert fov.cells.set_index("cell").loc[cell, "reason_GFP"] == "dead"
    [edit] = ask("edits")["edits"]
    assert (edit["words"], edit["cells"], edit["stands"]) == (told["words"][0], [cell], "applied")
    assert ask("undo")["words"] == told["words"]
    assert fov.cells.set_index("cell").loc[cell, "good"]
    assert ask("edits")["edits"][0]["stands"] == "undone"
    assert ask("redo", name=edit["name"])["cell"] == cell
    assert not fov.cells.set_index("cell").loc[cell, "good"]
    assert "nothing to redo" in ask("redo")["error"]


def test_a_preview_tells_what_a_correction_comes_to_and_changes_nothing(own):
    fov, ask = own
    cell = int(fov.cells.loc[fov.cells["n_frames"] == 10, "cell"].iloc[0])
    told = ask("preview", action="cut", cell=cell, frame=4)
    assert told["refused"] == ""
    assert re.search(
        rf"{cell} is 50001 from frame 4 on; {cell}: frames 0-3; 50001: frames 4-9", told["words"]
    )
    assert fov.edits.empty
    assert ask("correct", action="cut", cell=cell, frame=4)["cell"] == cell
    joined = ask("preview", action="join", cell=50_001, other=cell)
    assert joined["words"].endswith(f"{cell}: frames 0-9")
    # The cell that is left has the number of the earlier one.
    assert ask("correct", action="join", cell=50_001, other=cell)["cell"] == cell
    assert ask("correct", action="remove", cell=cell)["cell"] is None
    assert ask("undo")["cell"] == cell
    assert f"there is no cell {50_001}" in ask("preview", action="good", cell=50_001)["refused"]


@pytest.mark.parametrize(
    ("asks", "words"),
    [
        ({"action": "cut", "cell": 1}, "after the first"),
        ({"action": "cut", "cell": 1, "frame": 0}, "after the first"),
        ({"action": "join", "cell": 1, "other": 1}, "found 1 twice"),
        ({"action": "join", "cell": 1}, "other"),
        ({"action": "join", "cell": 1, "other": 2}, "both seen in frame"),
        ({"action": "good", "cell": 0}, "cell"),
        ({"action": "bad", "cell": 1, "note": "x" * 1001}, "1000"),
        ({"action": "bad", "cell": 999}, "there is no cell 999"),
        ({"action": "parent", "cell": 1, "other": None}, "1 has no parent"),
        ({"action": "remove", "cell": 1, "frames": "99"}, "not seen in frames 99"),
        ({"action": "remove", "cell": 1, "frames": "x"}, "frames"),
        ({"action": "delete", "cell": 1}, "action"),
    ],
)
def test_what_cannot_be_corrected_is_refused_in_words_and_nothing_is_saved(own, asks, words):
    fov, ask = own
    assert words in ask("correct", **asks)["error"]
    assert fov.edits.empty


def test_doubts_are_the_cells_that_are_not_good_and_those_judged_are_settled(own):
    fov, ask = own
    told = ask("doubts")["doubts"]
    bad = set(fov.cells.loc[~fov.cells["good"], "cell"])
    assert bad <= {each["cell"] for each in told}
    assert not any(each["is_settled"] for each in told)
    cell = told[0]["cell"]
    ask("correct", action="bad", cell=cell)
    assert [each["cell"] for each in ask("doubts")["doubts"] if each["is_settled"]] == [cell]


# News


class Listening(Hub):
    def __init__(self):
        super().__init__()
        self.told = []

    def publish(self, event):
        self.told.append(event)


def test_what_changes_in_open_folders_is_told(copied_results):
    hub = Listening()
    watcher = Watcher(hub, lambda: [copied_results])
    watcher.look()
    watcher.look()
    assert hub.told == []
    open_results(copied_results).fov(1).mark_bad(1, "dead")
    watcher.look()
    assert [(event.corrections, event.samples) for event in hub.told] == [(True, False)]
    open_results(copied_results).assign_samples({"control": "0-1"})
    watcher.look()
    assert hub.told[-1].samples
    record = next(copied_results.glob("fov_002/*_record.json"))
    record.write_bytes(record.read_bytes() + b"\n")
    watcher.look()
    assert hub.told[-1].fovs == (2,)


def test_what_the_page_itself_corrects_is_told_at_once_and_once(copied_results):
    page, at = Page([copied_results]), str(copied_results)
    page.desk.hub = page.desk.watcher._hub = hub = Listening()
    page.get("/api/overview", at=at)
    page.post("/api/correct", at=at, fov=1, action="bad", cell=1)
    assert [(event.corrections, event.corrected) for event in hub.told] == [(True, (1,))]
    page.desk.watcher.look()
    assert len(hub.told) == 1


def test_an_overfull_listener_is_told_to_look_at_everything():
    async def listen():
        hub = Hub()
        listening = hub.listen()
        assert await anext(listening) is None
        event = ResultsChanged(at="", fovs=(), corrections=False, corrected=(), samples=False)
        for _ in range(1001):
            hub.publish(event)
        await asyncio.sleep(0)
        first = await anext(listening)
        await listening.aclose()
        return first, hub.is_heard

    assert asyncio.run(listen()) == (Missed(), False)
