"""Positions that show no background: tracked, their shapes measured, nothing made up."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import numpy as np
import pytest
import yaml

from inline import run_inline
from movies import metadata_of, rough_squares, write_movie
from pyama_core.errors import InputError
from pyama_core.io.storage.records import load_record
from pyama_core.processing.workflow.release import release_stacks
from pyama_core.processing.workflow.services.steps.correction import CorrectionService
from pyama_core.processing.workflow.services.steps.tracking import TrackingService
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from pyama_core.processing.workflow.status import describe_folder, verify_folder
from runs import data_files

N_FRAMES, SIZE = 4, 96
SHAPES = ("area", "perimeter", "solidity")


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    """Metadata of two positions, 4 frames of 96×96, two cells, phase contrast and GFP."""
    folder = tmp_path_factory.mktemp("movie")
    positions = [rough_squares(N_FRAMES, SIZE, ((14, 14), (54, 54)), seed=fov) for fov in range(2)]
    return metadata_of(write_movie(folder / "squares.ome.tif", positions, ["phase", "GFP"], 2.0))


@pytest.fixture
def masks(tmp_path) -> Path:
    """Masks of two cells in position 0, and of cells that cover all of position 1."""
    labels = np.zeros((2, N_FRAMES, SIZE, SIZE), np.uint16)
    labels[0, :, 14:42, 14:42], labels[0, :, 54:82, 54:82] = 1, 2
    labels[1, :, :, :40], labels[1, :, :, 40:] = 1, 2
    for fov, stack in enumerate(labels):
        np.save(tmp_path / f"masks_{fov}.npy", stack)
    return tmp_path / "masks_{fov}.npy"


def request(out: Path, masks: Path, **params) -> ProcessingContext:
    files = {"method": "files", "path": str(masks)}
    return ProcessingContext(
        output_dir=out,
        channels=Channels(pc=0, fl=[1]),
        params={
            "segmentation": files,
            "correction": {"tile_size": 32},
            "extraction": {"features": ("shape", "intensity", "background_local")},
            **params,
        },
    )


def table(out: Path, fov: int, name: str) -> list[dict[str, str]]:
    (path,) = (out / f"fov_{fov:03d}").glob(f"*_{name}.csv")
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def traces(out: Path, fov: int) -> list[dict[str, str]]:
    return table(out, fov, "traces_ch_1")


def corrected(out: Path, fov: int) -> Path:
    return out / f"fov_{fov:03d}" / f"squares_fov_{fov:03d}_fl_corrected_ch_1.npy"


def test_a_position_that_is_all_cell_has_tracks_and_shapes_and_no_intensities(
    movie, masks, tmp_path, caplog
):
    out = tmp_path / "out"
    outcome = run_inline(movie, request(out, masks))
    assert (outcome.exit_code, [o.status for o in outcome.fovs.values()]) == (0, ["done", "done"])
    rows = traces(out, 1)
    assert [(row["cell"], row["frame"]) for row in rows] == [
        (str(cell), str(t)) for cell in (1, 2) for t in range(N_FRAMES)
    ]
    assert [row["area"] for row in rows[:N_FRAMES]] == [str(40 * SIZE)] * N_FRAMES
    for row in rows:
        assert all(row[name] for name in (*SHAPES, "time", "position_x"))
        intensities = [name for name in row if name.startswith(("intensity", "background"))]
        assert "intensity_total" in intensities
        assert [row[name] for name in intensities] == [""] * len(intensities)
        assert row["good"] == "False"
    assert [track["cell"] for track in table(out, 1, "tracks")] == ["1", "2"]
    assert not corrected(out, 1).exists()
    assert corrected(out, 0).exists()
    assert [row["good"] for row in traces(out, 0)] == ["True"] * 2 * N_FRAMES
    told = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert [line for line in told if "FOV 1, channel 1: not corrected" in line] != []


def test_cells_that_are_otherwise_bad_keep_that_reason(movie, masks, tmp_path):
    out = tmp_path / "out"
    labels = np.load(str(masks).format(fov=1))
    labels[:, :, :90], labels[:, :, 90:] = 1, 2
    np.save(str(masks).format(fov=1), labels)
    params = {"extraction": {"max_border_part": 1.0}}
    run_inline(movie, request(out, masks, **params), fovs=[1])
    reasons = {row["cell"]: row["reason"] for row in traces(out, 1)}
    assert reasons == {"1": "not corrected", "2": "unusual size"}


def test_what_is_not_corrected_is_said_wherever_results_are_told_of(movie, masks, tmp_path):
    out = tmp_path / "out"
    run_inline(movie, request(out, masks))
    results = yaml.safe_load((out / "processing_results.yaml").read_text(encoding="utf-8"))
    assert list(results["uncorrected"]) == [1]
    assert "background" in results["uncorrected"][1][1]
    assert results["results_paths"][1]["fl_corrected"] == []
    assert results["failed"] == {}
    described = describe_folder(out)["fovs"]["1"]
    assert described["status"] == "done"
    assert described["steps"]["correction"] == "no background"
    assert list(described["uncorrected"]) == [1]
    assert describe_folder(out)["fovs"]["0"]["steps"]["correction"] == "done"
    assert verify_folder(out) == {}


def test_a_position_without_background_is_done_before_when_it_is_run_again(movie, masks, tmp_path):
    out = tmp_path / "out"
    run_inline(movie, request(out, masks))
    before = data_files(out)
    again = run_inline(movie, request(out, masks), check=True)
    assert {outcome.status for outcome in again.fovs.values()} == {"skipped"}
    release_stacks(out, ["fl_corrected", "seg", "fl"])
    assert {o.status for o in run_inline(movie, request(out, masks)).fovs.values()} == {"skipped"}
    other = request(out, masks, extraction={"features": ()})
    assert run_inline(movie, other).exit_code == 0
    assert run_inline(movie, request(out, masks)).exit_code == 0
    # The fluorescence that was released is not copied again, for nothing reads it.
    assert {name: before[name] for name in data_files(out)} == data_files(out)
    assert {name for name in before if name.endswith("csv")} <= set(data_files(out))


def test_an_older_corrected_stack_does_not_outlive_its_background(movie, masks, tmp_path):
    out = tmp_path / "out"
    covering = tmp_path / "covering.npy"
    covering.write_bytes(Path(str(masks).format(fov=1)).read_bytes())
    run_inline(movie, request(out, masks), fovs=[0])
    assert corrected(out, 0).exists()
    run_inline(movie, request(out, covering), fovs=[0])
    assert not corrected(out, 0).exists()
    assert {row["intensity_total"] for row in traces(out, 0)} == {""}
    run_inline(movie, request(out, masks), fovs=[0])
    assert corrected(out, 0).exists()
    assert "" not in {row["intensity_total"] for row in traces(out, 0)}


def test_brightness_that_is_not_corrected_is_not_used_and_that_is_said(
    movie, masks, tmp_path, caplog
):
    out = tmp_path / "out"
    tracking = {"method": "lineage", "divisions": True, "brightness_channel": 1}
    assert run_inline(movie, request(out, masks, tracking=tracking), fovs=[1]).exit_code == 0
    assert "FOV 1: tracked without tracking.brightness_channel" in caplog.text
    assert len(traces(out, 1)) == 2 * N_FRAMES


def test_a_position_whose_correction_fails_is_tracked_all_the_same(
    movie, masks, tmp_path, monkeypatch
):
    def fail(*_args):
        raise InputError("no spline today")

    out = tmp_path / "out"
    monkeypatch.setattr(CorrectionService, "make", fail)
    outcome = run_inline(movie, request(out, masks), fovs=[0])
    assert (outcome.fovs[0].status, outcome.fovs[0].step) == ("failed", "correction")
    described = describe_folder(out)["fovs"]["0"]
    assert described["status"] == "failed"
    assert described["steps"]["tracking"] == "done"
    assert described["steps"]["correction"] == "failed"
    assert described["steps"]["extraction"] == "missing"
    monkeypatch.undo()
    assert run_inline(movie, request(out, masks), fovs=[0]).exit_code == 0


def test_the_first_of_two_failures_is_the_one_that_is_recorded(movie, masks, tmp_path, monkeypatch):
    def fail(*_args, **_kwargs):
        raise InputError("not today")

    out = tmp_path / "out"
    monkeypatch.setattr(CorrectionService, "make", fail)
    monkeypatch.setattr(TrackingService, "make", fail)
    run_inline(movie, request(out, masks), fovs=[0])
    record = load_record(next((out / "fov_000").glob("*_record.json")))
    assert record is not None
    assert record.failure is not None
    assert record.failure.step == "correction"


def test_tracking_that_asks_for_brightness_waits_for_the_correction(
    movie, masks, tmp_path, monkeypatch
):
    def fail(*_args):
        raise InputError("no spline today")

    out = tmp_path / "out"
    monkeypatch.setattr(CorrectionService, "make", fail)
    tracking = {"method": "lineage", "divisions": True, "brightness_channel": 1}
    outcome = run_inline(movie, request(out, masks, tracking=tracking), fovs=[0])
    assert outcome.fovs[0].step == "correction"
    assert describe_folder(out)["fovs"]["0"]["steps"]["tracking"] == "missing"
