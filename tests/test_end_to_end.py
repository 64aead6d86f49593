from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pandas as pd
import pytest

from movies import metadata_of, write_movie
from pyama_core import Channels, ProcessingContext, run_complete_workflow
from pyama_core.demo import write_demo
from pyama_core.outputs import Form
from pyama_core.processing.workflow.services.parameters import validate_params
from runs import EXACT, describe, run
from truth import found_cells, inner_cells, load_truth

N_FRAMES = 24
FOVS = (0, 1)
DEFAULT = validate_params({}).model_dump(include=set(EXACT))


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    """A demo of 2 FOVs × 24 frames × 512×512, and its truth."""
    folder = tmp_path_factory.mktemp("movie")
    demo = write_demo(folder / "demo", fovs=len(FOVS), frames=N_FRAMES, size=512, seed=3)
    return demo, load_truth(folder / "demo")


@pytest.fixture(scope="module", params=["exact", "default"])
def experiment(request, movie, tmp_path_factory):
    """A demo, its truth, and the folder of a run over it by one or the other method."""
    out = tmp_path_factory.mktemp(request.param) / "out"
    methods = EXACT if request.param == "exact" else DEFAULT
    assert run(movie[0], out, methods, n_workers=2).ok
    return *movie, out


@pytest.fixture(scope="module")
def matches(experiment):
    """Found label and IoU of every true cell, by FOV and frame."""
    _, truth, out = experiment
    return {
        (fov, t): found_cells(truth.labels[fov][t], labels[t])
        for fov in FOVS
        for labels in [np.load(out / f"fov_00{fov}" / f"demo_fov_00{fov}_seg_labeled_ch_0.npy")]
        for t in range(N_FRAMES)
    }


def traces(out, fov: int, channel: int) -> pd.DataFrame:
    return pd.read_csv(out / f"fov_00{fov}" / f"demo_fov_00{fov}_traces_ch_{channel}.csv")


def trace_of(experiment, matches, fov: int, cell: int, channel: int) -> pd.DataFrame:
    """Trace, by frame, of the found cell that an undisturbed true cell became."""
    label = matches[fov, 0][cell][0]
    table = traces(experiment[2], fov, channel)
    return table[table.cell == label].set_index("frame")


def undisturbed(experiment) -> list[tuple[int, int]]:
    cells = [(fov, cell) for fov in FOVS for cell in experiment[1].undisturbed_cells(fov)]
    assert len(cells) >= 15
    return cells


# The demo against its truth


def test_undisturbed_cells_are_found_with_their_outlines(experiment, matches):
    ious = [
        matches[fov, t].get(cell, (0, 0.0))[1]
        for fov, cell in undisturbed(experiment)
        for t in range(N_FRAMES)
    ]
    assert np.median(ious) > 0.85
    assert min(ious) > 0.7


def test_undisturbed_cells_keep_one_label_from_first_to_last_frame(experiment, matches):
    labels = {
        (fov, cell): {matches[fov, t].get(cell, (0, 0.0))[0] for t in range(N_FRAMES)}
        for fov, cell in undisturbed(experiment)
    }
    assert all(len(found) == 1 and 0 not in found for found in labels.values()), labels
    names = [(fov, *found) for (fov, _), found in labels.items()]
    assert len(set(names)) == len(names)


def test_no_trace_is_of_something_that_is_not_there(experiment, matches):
    out = experiment[2]
    for fov in FOVS:
        known = {label for t in range(N_FRAMES) for label, _ in matches[fov, t].values()}
        table = traces(out, fov, 1)
        assert set(table.cell[table.good]) <= known


def test_cells_that_lie_within_the_frame_are_counted_right(experiment, matches):
    _, truth, _ = experiment
    n_true = n_found = 0
    for (fov, t), found in matches.items():
        cells = inner_cells(truth.labels[fov][t])
        n_true += len(cells)
        n_found += sum(cell in found for cell in cells)
    assert n_found > 0.95 * n_true


@pytest.mark.parametrize("channel", [1, 2])
def test_corrected_fluorescence_is_within_a_few_per_cent_of_the_truth(experiment, matches, channel):
    _, truth, _ = experiment
    errors = []
    for fov, cell in undisturbed(experiment):
        found = trace_of(experiment, matches, fov, cell, channel).intensity_total
        true = truth.intensity(fov, cell, channel)
        # Relative to the cell's own brightest frame: expression begins at nothing.
        errors.append(np.median((found - true) / true.max()))
    assert abs(np.median(errors)) < 0.03
    assert np.percentile(np.abs(errors), 90) < 0.15
    assert np.abs(errors).max() < 0.2


def test_traces_rise_and_fall_as_the_truth_does(experiment, matches):
    _, truth, _ = experiment
    correlations = [
        np.corrcoef(
            trace_of(experiment, matches, fov, cell, 1).intensity_total,
            truth.intensity(fov, cell, 1),
        )[0, 1]
        for fov, cell in undisturbed(experiment)
    ]
    assert np.median(correlations) > 0.98


def test_positions_and_areas_are_those_of_the_truth(experiment, matches):
    _, truth, _ = experiment
    table = truth.intensities
    for fov, cell in undisturbed(experiment):
        rows = table[(table.fov == fov) & (table.cell == cell) & (table.channel == 1)]
        true = rows.set_index("frame")
        found = trace_of(experiment, matches, fov, cell, 1)
        distance = np.hypot(found.position_x - true.position_x, found.position_y - true.position_y)
        assert distance.median() < 1.0
        assert distance.max() < 3.0
        assert 0.8 < (found.area / true.area).median() < 1.25


def test_times_are_those_of_the_file(experiment):
    demo, _, out = experiment
    metadata = describe(demo)
    for fov in FOVS:
        table = traces(out, fov, 1)
        assert table.time.tolist() == [metadata.timepoints[fov][t] for t in table.frame]
        assert all(earlier < later for earlier, later in pairwise(metadata.timepoints[fov]))


def test_both_channels_have_the_same_cells_at_the_same_places(experiment):
    shared = ["fov", "cell", "frame", "time", "position_x", "position_y", "area", "solidity"]
    for fov in FOVS:
        first, second = (traces(experiment[2], fov, channel) for channel in (1, 2))
        assert first[shared].equals(second[shared])
        assert not first.intensity_total.equals(second.intensity_total)


# Real images


def run_on(image, folder, channels: Channels, **params) -> list[pd.DataFrame]:
    """Run the pipeline on a file and return all traces, by FOV, then channel."""
    context = ProcessingContext(output_dir=folder, channels=channels, params=params)
    assert run_complete_workflow(metadata_of(image), context)
    assert context.results_paths is not None
    for paths in context.results_paths.values():
        for output, path in paths.items():
            if output.kind.form is Form.STACK:
                stack = np.lib.format.open_memmap(path, mode="r")
                assert all(np.isfinite(frame).all() for frame in stack)
                del stack
    return [
        pd.read_csv(path)
        for _, paths in sorted(context.results_paths.items())
        for _, path in paths.traces_csv
    ]


@pytest.mark.slow
def test_real_phase_contrast_and_fluorescence_become_plausible_traces(shared_data, tmp_path):
    folder = shared_data / "incucyte"
    times = sorted({path.stem[-9:] for path in folder.glob("*_P_*.tif")})
    assert len(times) == 11
    pixels = np.stack(
        [
            [
                cv2.imread(str(folder / f"HC01501_{channel}_B2_1_{time}.tif"), cv2.IMREAD_UNCHANGED)
                for channel in "PGR"
            ]
            for time in times
        ]
    ).astype(np.uint16)
    image = write_movie(
        tmp_path / "incucyte.ome.tif", [pixels], ["phase", "green", "red nuclei"], 30.0
    )
    green, red = run_on(image, tmp_path / "out", Channels(pc=0, fl=[1, 2]))
    labels = np.load(tmp_path / "out" / "fov_000" / "incucyte_fov_000_seg_labeled_ch_0.npy")
    counts = [np.unique(frame).size - 1 for frame in labels]
    assert all(20 < count < 400 for count in counts), counts
    assert max(counts) < 2 * min(counts)
    for table in (green, red):
        assert np.isfinite(table.select_dtypes("number")).all(axis=None)
        assert table.area.min() >= 40  # of parts of two cells that were one object; cells have 120
        long = table[table.reason != "too short"]
        assert long.cell.nunique() >= 20
        assert long.groupby("cell").size().between(6, 11).all()
        assert table.good.any()
        assert sorted(table.time.unique()) == [30.0 * t for t in range(11)]
    # What phase contrast calls a cell is brighter than the background in both channels.
    assert (green.intensity_total > 0).mean() > 0.8
    assert (red.intensity_total > 0).mean() > 0.8


@pytest.mark.slow
def test_two_real_positions_of_fluorescence_run_to_the_end(shared_data, tmp_path):
    positions = []
    for folder in sorted((shared_data / "il1b").iterdir()):
        channels = [sorted(folder.glob(f"*{name}*.png")) for name in ("DAPI", "TRITC", "YFP")]
        assert [len(paths) for paths in channels] == [4, 4, 4]
        frames = [[cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in row] for row in channels]
        positions.append(np.stack(frames, axis=1))
    assert [pixels.shape for pixels in positions] == [(4, 3, 512, 512)] * 2
    image = write_movie(tmp_path / "il1b.ome.tif", positions, ["DAPI", "TRITC", "YFP"], 5.0)
    # Nuclei are smaller than the cells in phase contrast that the defaults are made for.
    tables = run_on(
        image,
        tmp_path / "out",
        Channels(pc=0, fl=[1, 2]),
        segmentation={"method": "log-std", "square_size": 3, "iterations": 1},
    )
    assert len(tables) == 4
    for table in tables:
        assert table.cell[table.good].nunique() >= 5
        assert np.isfinite(table.select_dtypes("number")).all(axis=None)
        assert table.position_x.between(0, 511).all()
        assert table.position_y.between(0, 511).all()
