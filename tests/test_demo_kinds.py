"""The demo of nuclei, spread cells and bacteria: its truth, and how well it is measured."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

# The benchmarks lie beside the package, not in it.
sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.made_kinds import KindScore, score_kind

from inline import run_inline
from pyama_core.cli.app import app
from pyama_core.demo import DemoFiles, write_demo
from pyama_core.demo.experiment import watch
from pyama_core.demo.kinds import KINDS, DemoKind
from pyama_core.demo.parameters import DemoParameters
from pyama_core.errors import InputError
from truth import Truth, load_truth

NEW = [DemoKind.NUCLEI, DemoKind.CELLS, DemoKind.BACTERIA]
FRAMES, SIZE = 12, 256


@pytest.fixture(scope="module", params=NEW)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    folder = tmp_path_factory.mktemp(request.param)
    return write_demo(folder, fovs=1, frames=FRAMES, size=SIZE, kind=request.param)


@pytest.fixture(scope="module")
def truth(made: DemoFiles) -> Truth:
    return load_truth(made.folder)


def test_the_truth_fits_the_labels(made, truth):
    (labels,), tracks = truth.labels, truth.tracks
    assert labels.shape == (FRAMES, SIZE, SIZE)
    for track in tracks.itertuples():
        frames = np.nonzero((labels == track.cell).any(axis=(1, 2)))[0]
        assert frames.tolist() == list(range(track.first_frame, track.last_frame + 1))
    channels = KINDS[truth.about["parameters"]["kind"]].measured
    assert sorted(set(truth.intensities.channel)) == list(channels)
    for frame in (0, FRAMES - 1):
        rows = truth.intensities[truth.intensities.frame == frame]
        counts = np.bincount(labels[frame].ravel())
        assert (counts[rows.cell] == rows.area).all()
        assert set(rows.cell) == set(np.flatnonzero(counts)) - {0}


def test_light_of_a_cell_is_what_its_pixels_have_above_the_ground(made, truth):
    image, labels = tifffile.imread(made.image), truth.labels[0]
    channel = KINDS[truth.about["parameters"]["kind"]].measured[-1]
    plane, last = image[-1, channel].astype(float), labels[-1]
    rows = truth.intensities
    rows = rows[(rows.frame == FRAMES - 1) & (rows.channel == channel)]
    # Neighbours touch, so that all cells together are compared.
    ground = np.median(plane[last == 0])
    assert (plane[last > 0] - ground).sum() == pytest.approx(rows.intensity_total.sum(), rel=0.1)


def test_cells_divide_and_daughters_stand_where_their_mother_was(made, truth):
    tracks, (labels,) = truth.tracks, truth.labels
    mothers = tracks[tracks.fate == "divided"]
    assert len(mothers) >= 1
    for mother in mothers.itertuples():
        for daughter in tracks[tracks.parent == mother.cell].itertuples():
            assert daughter.first_frame == mother.last_frame + 1
            last = np.argwhere(labels[mother.last_frame] == mother.cell)
            first = np.argwhere(labels[daughter.first_frame] == daughter.cell)
            way = np.linalg.norm(last.mean(axis=0) - first.mean(axis=0))
            assert way < 1.5 * np.sqrt(len(last))


def test_a_cell_is_one_piece_and_neighbours_leave_each_other_room(truth):
    from scipy import ndimage

    image = truth.labels[0][FRAMES // 2]
    for cell in set(np.unique(image)) - {0}:
        sizes = np.bincount(ndimage.label(image == cell)[0].ravel())[1:]
        assert sizes.max() > 0.95 * sizes.sum()


def test_dim_and_bright_cells_lie_side_by_side():
    for kind in (DemoKind.NUCLEI, DemoKind.CELLS):
        frame = next(watch(DemoParameters(1, 1, 512, 0, kind), 0).frames())
        sizes = np.maximum(np.bincount(frame.labels.ravel()), 1)
        total = np.bincount(frame.labels.ravel(), frame.planes[0].ravel().astype(float))
        light = (total / sizes)[1:] - np.median(frame.planes[0][frame.labels == 0])
        assert np.percentile(light, 95) > 4 * np.percentile(light, 5)


@pytest.mark.parametrize("kind", NEW)
def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path, kind):
    one, two, three = (
        write_demo(tmp_path / name, fovs=1, frames=3, size=128, seed=seed, kind=kind)
        for name, seed in (("one", 1), ("two", 1), ("three", 2))
    )
    assert one.image.read_bytes() == two.image.read_bytes()
    assert one.intensities.read_bytes() == two.intensities.read_bytes()
    assert one.image.read_bytes() != three.image.read_bytes()


def test_a_kind_that_is_none_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(InputError, match="nuclei, cells, bacteria, found 'yeast'"):
        write_demo(tmp_path / "demo", kind="yeast")
    result = CliRunner().invoke(app, ["demo", str(tmp_path / "demo"), "--kind", "yeast"])
    assert result.exit_code == 2
    assert not list(tmp_path.iterdir())


def test_the_command_says_which_channel_to_segment(tmp_path):
    sizes = ["--fovs", "1", "--frames", "2", "--size", "64"]
    for kind, words in (("nuclei", "--segment 0 --fl 0 --fl 1"), ("bacteria", "--pc 0 --fl 1")):
        result = CliRunner().invoke(app, ["demo", str(tmp_path / kind), "--kind", kind, *sizes])
        assert result.exit_code == 0
        assert words in result.output


def scored(kind: DemoKind, folder: Path, **sizes: int) -> KindScore:
    return score_kind(kind, folder, lambda m, context: run_inline(m, context).ok, **sizes)


# Whole movies, of these seeds and others, are held in test_account.py.
LEAST_F1 = {DemoKind.NUCLEI: 0.97, DemoKind.CELLS: 0.96, DemoKind.BACTERIA: 0.93}


@pytest.mark.parametrize("kind", NEW)
def test_a_run_with_default_settings_finds_and_measures_them(tmp_path, kind):
    score = scored(kind, tmp_path, frames=5, size=384, seed=0)
    assert score.method.startswith("instances" if kind is DemoKind.BACTERIA else "bright")
    assert score.f1 >= LEAST_F1[kind], score
    assert score.errors["GFP"] <= 0.02, score
    assert max(score.errors.values()) <= 0.035, score
