from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

# The benchmarks lie beside the package, not in it.
sys.path.append(str(Path(__file__).parents[1]))

from benchmarks import kernels, memory, pipeline, plain
from benchmarks.report import Part, Table, Target, write_report
from benchmarks.scenes import Scene
from benchmarks.timing import Times, fitted_exponent, in_turn

from pyama_core.processing.extraction.measure import measure_cells
from pyama_core.processing.tracking.iou.tracker import IoUTracker


def test_a_target_is_reached_on_the_right_side_of_its_limit_only():
    cells = {
        (measured, at_most): Target("x", measured, 2.0, at_most).cells()[-1]
        for measured in (1.9, 2.0, 2.1)
        for at_most in (True, False)
    }
    reached = {case for case, cell in cells.items() if cell == "reached"}
    assert reached == {(1.9, True), (2.0, True), (2.0, False), (2.1, False)}
    assert set(cells.values()) == {"reached", "**not**"}


def test_cases_run_in_turn_and_each_keeps_its_own_times():
    calls = []
    cases = {name: lambda name=name: calls.append(name) or float(len(calls)) for name in ("a", "b")}
    assert in_turn(cases, 3) == {"a": Times((1, 3, 5)), "b": Times((2, 4, 6))}
    assert calls == list("ababab")


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_law_is_found(exponent):
    sizes = [10, 20, 40, 320]
    assert fitted_exponent(sizes, [3e-3 * size**exponent for size in sizes]) == pytest.approx(
        exponent, abs=1e-9
    )


@pytest.mark.parametrize("n_cells", [1, 10, 360])
def test_a_scene_has_as_many_cells_as_asked_for_that_cover_as_much(n_cells):
    scene = Scene(512, n_cells)
    assert np.array_equal(np.unique(scene.labels), np.arange(n_cells + 1))
    assert scene.mask(0).mean() == pytest.approx(0.2, rel=0.1)
    assert scene.phase(3).dtype == scene.fluorescence(3).dtype == np.uint16


def test_the_plain_tracker_and_measurements_agree_with_the_fast_ones():
    scene = Scene(256, 30)
    fast, slow = IoUTracker(), plain.PlainTracker()
    rng = np.random.default_rng(0)
    for t in (0, 3, 5, 20):
        mask = scene.mask(t) & (rng.random((256, 256)) > 0.001)
        labels = fast.update(mask)
        assert np.array_equal(labels, slow.update(mask))
    image = scene.fluorescence(20).astype(np.float32)
    shapes, [channel] = measure_cells(labels, [image])
    expected, [expected_channel] = plain.measure_cells_plain(labels, [image])
    assert np.array_equal(shapes["cell"], expected["cell"])
    assert np.array_equal(shapes["area"], expected["area"])
    assert np.array_equal(channel["intensity_total"], expected_channel["intensity_total"])


def test_a_report_is_written_as_a_page_and_as_numbers(tmp_path):
    part = kernels.measure(tmp_path, quick=True, side=128, n_cells=4)
    other = Part("Other", [Table("T", ("a",), [("b",)])], [Target("no", 1, 2, False)])
    page, numbers = write_report(tmp_path, {"machine": "some"}, {"kernels": part, "other": other})
    content = json.loads(numbers.read_text(encoding="utf-8"))
    assert [target["what"] for target in content["targets"]][-1] == "no"
    assert content["targets"][-1]["reached"] is False
    assert content["parts"]["kernels"]["kernels"]["tracking"]["fast"]["median_s"] > 0
    text = page.read_text(encoding="utf-8")
    assert "| no | ≥ 2 × | 1 × | **not** |" in text
    assert "| extraction, all features of a run |" in text


@pytest.mark.slow
@pytest.mark.nightly
def test_whole_runs_are_measured_on_any_size(tmp_path):
    part = pipeline.measure(tmp_path, quick=True, fovs=2, frames=2, side=128)
    assert {"floor", "run", "run without flushing", "run with start-up"} < set(part.data["runs"])
    assert part.data["steps"]["default"].keys() == part.data["steps"]["exact"].keys()
    assert part.data["plain"]["plain"].median > 0
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.nightly
def test_the_peak_memory_of_a_worker_is_measured(tmp_path):
    peaks = memory.measure(tmp_path, quick=True, side=256).data["peak_mb"]
    assert all(50 < peak < 1000 for peak in peaks.values())
