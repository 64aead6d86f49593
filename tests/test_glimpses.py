"""Small pictures that a run keeps: of what, when, and that nothing depends on them."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest

import runs
from pyama_core.io.storage.naming import records_by_fov
from pyama_core.io.storage.records import load_record
from pyama_core.processing.tracking.fates import Track
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.glimpses import keeping
from pyama_core.processing.workflow.glimpses.glimpse import load_glimpse, save_glimpse
from pyama_core.processing.workflow.glimpses.keeping import (
    current_glimpse,
    glimpse_of,
    glimpse_path,
    keep_glimpse,
)
from pyama_core.processing.workflow.glimpses.squares import TILE
from pyama_core.processing.workflow.glimpses.taking import (
    Layer,
    choose_frames,
    sample_cells,
    take_glimpse,
)
from pyama_core.processing.workflow.release import parse_kinds, release_stacks
from pyama_core.report.write import write_report

T, SIDE = 30, 200


def disc(x, y, radius=12):
    yy, xx = np.mgrid[:SIDE, :SIDE]
    return (xx - x) ** 2 + (yy - y) ** 2 <= radius**2


def labels(t):
    """Cell 1 walks to the right all the time; cell 2 is there from frame 20 on."""
    image = np.zeros((SIDE, SIDE), np.uint16)
    image[disc(40 + 4 * t, 60)] = 1
    if t >= 20:
        image[disc(100, 150)] = 2
    return image


def phase(t):
    rng = np.random.default_rng(t)
    image = 1000 + rng.normal(0, 40, (SIDE, SIDE)).astype(np.float32)
    image[labels(t) > 0] += 200
    return cv2.GaussianBlur(image, (0, 0), 4) if t == 11 else image


def shining(t):
    return np.where(labels(t) > 0, 5000, 300 if t < 15 else 420).astype(np.uint16)


TRACKS = [Track(1, None, 0, T - 1, "end of movie", T, 0), Track(2, None, 20, T - 1, "lost", 10, 0)]


def taken(**more):
    asked = {
        "fov": 0,
        "layers": [Layer(0, phase, True, True), Layer(1, shining, False, False)],
        "read_labels": labels,
        "tracks": TRACKS,
        "shape": (T, SIDE, SIDE),
        "missing": frozenset(),
        "n_cells": 5,
        "inputs": {"pc 0": "a", "fl 1": "b"},
    }
    return take_glimpse(**{**asked, **more})


@pytest.fixture(scope="module")
def glimpse():
    return taken()


def picture(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)


def test_background_and_focus_are_measured(glimpse):
    frames = np.array(glimpse.frames)
    assert frames[0] == 0
    assert frames[-1] == T - 1
    np.testing.assert_array_equal(glimpse.background[1], np.where(frames < 15, 300, 420))
    sharp = glimpse.sharpness[0]
    assert np.isnan(glimpse.sharpness[1]).all()
    assert 11 in frames
    assert sharp[frames == 11] < 0.4 * np.median(sharp)
    assert sharp[frames != 11].min() > 0.8 * np.median(sharp)


def test_whole_pictures_are_of_the_first_the_middle_and_the_last_frame(glimpse):
    assert glimpse.pictured[0] == 0
    assert glimpse.pictured[-1] == T - 1
    for t in glimpse.pictured:
        shown = picture(glimpse.pictures[1, t])
        assert shown.shape == (SIDE, SIDE)
        assert shown[labels(t) > 0].mean() > 200
        assert shown[labels(t) == 0].mean() < 40
        np.testing.assert_array_equal(glimpse.labels[t], labels(t))


def test_a_strip_follows_its_cell(glimpse):
    strips = {strip.cell: strip for strip in glimpse.strips}
    assert set(strips) == {1, 2}
    assert min(strips[2].frames) >= 20
    shown = picture(strips[1].image)
    assert shown.shape == (2 * TILE, len(strips[1].frames) * TILE)
    for i, inside in enumerate(strips[1].inside):
        square = shown[TILE:, i * TILE : (i + 1) * TILE]
        assert square[inside].mean() > 3 * square[~inside].mean() + 50
        # In the middle of the square, unless the image ends there.
        rows, columns = np.nonzero(inside)
        assert abs(rows.mean() - TILE / 2) < 2
        assert abs(columns.mean() - TILE / 2) < 2


def test_frames_that_are_missing_are_not_looked_at():
    glimpse = taken(missing=frozenset({0, T - 1}))
    assert not {0, T - 1} & set(glimpse.frames)
    assert choose_frames(3, {0, 1, 2}) == ()
    assert taken(missing=frozenset(range(T))).pictures == {}


def test_without_labels_there_are_pictures_and_no_strips():
    glimpse = taken(read_labels=None, tracks=[])
    assert glimpse.strips == ()
    assert glimpse.labels == {}
    assert len(glimpse.pictures) == 6


def test_large_images_are_made_smaller_with_their_labels():
    def wide(image):
        return np.kron(image, np.ones((5, 5), image.dtype))

    glimpse = taken(
        layers=[Layer(0, lambda t: wide(phase(t)), True, True)],
        read_labels=lambda t: wide(labels(t)),
        shape=(T, 5 * SIDE, 5 * SIDE),
    )
    shown = picture(glimpse.pictures[0, 0])
    assert shown.shape == (480, 480) == glimpse.labels[0].shape
    assert set(np.unique(glimpse.labels[0])) == {0, 1}


def test_it_gives_up_when_the_run_is_stopped():
    asked = []
    assert taken(stopped=lambda: asked.append(0) or len(asked) > 3) is None
    assert len(asked) == 4


def test_cells_are_drawn_by_lot_and_fewer_are_some_of_more():
    tracks = [(cell, 100 if cell % 3 else 5) for cell in range(1, 200)]
    many, few = (sample_cells(7, tracks, 100, n) for n in (40, 10))
    assert few == many[:10]
    assert len(set(many)) == 40
    assert all(cell % 3 for cell in many)
    assert sample_cells(8, tracks, 100, 10) != few


def test_what_is_saved_is_read_back_and_the_same_bytes_each_time(glimpse, tmp_path):
    for name in ("a", "b"):
        save_glimpse(tmp_path / name, glimpse)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    read = load_glimpse(tmp_path / "a", TILE)
    assert read.inputs == glimpse.inputs
    assert read.pictures == glimpse.pictures
    np.testing.assert_array_equal(read.background, glimpse.background)
    np.testing.assert_array_equal(read.strips[0].inside, glimpse.strips[0].inside)
    assert read.strips[0].frames == glimpse.strips[0].frames


def test_a_file_that_is_cut_off_or_of_something_else_does_not_count(glimpse, tmp_path):
    save_glimpse(tmp_path / "a", glimpse)
    whole = (tmp_path / "a").read_bytes()
    for content in (b"", b"nonsense", whole[: len(whole) // 2], whole[:-30]):
        (tmp_path / "b").write_bytes(content)
        assert load_glimpse(tmp_path / "b", TILE) is None
    np.savez(tmp_path / "c.npz", about=np.array([{}], object))
    assert load_glimpse(tmp_path / "c.npz", TILE) is None
    assert load_glimpse(tmp_path / "nothing", TILE) is None


# Beside the results of a run


def state_of(folder, fov=0):
    path = records_by_fov(folder)[fov]
    return path.parent, FovState(load_record(path))


def test_a_run_keeps_them_and_they_outlive_the_stacks(results_of_demo, tmp_path):
    folder = shutil.copytree(results_of_demo, tmp_path / "own")
    place, state = state_of(folder)
    before = current_glimpse(place, state)
    assert before is not None
    assert set(before.inputs) == {"pc 0", "fl 1", "fl 2", "seg_labeled 0"}
    release_stacks(folder, parse_kinds("pc,fl,seg,fl_corrected,seg_labeled"))
    assert current_glimpse(*state_of(folder)).pictures == before.pictures
    text = write_report(folder)[0].read_text(encoding="utf-8")
    assert text.count('src="data:image/webp') == 3 * 5
    assert "There are no pictures" not in text


def test_they_do_not_count_when_they_are_of_other_stacks(copied_results):
    place, state = state_of(copied_results)
    glimpse = current_glimpse(place, state)
    other = type(glimpse)(**{**vars(glimpse), "inputs": {**glimpse.inputs, "pc 0": "of another"}})
    save_glimpse(glimpse_path(place, state.record), other)
    assert current_glimpse(place, state) is None
    keep_glimpse(place, state.record, 3)
    assert current_glimpse(place, state).inputs == glimpse.inputs


def test_what_is_there_is_not_taken_again(copied_results, monkeypatch):
    place, state = state_of(copied_results)
    monkeypatch.setattr(keeping, "glimpse_of", lambda *_: pytest.fail("taken again"))
    keep_glimpse(place, state.record, 3)


def test_nothing_is_taken_of_what_was_released(copied_results):
    place, state = state_of(copied_results)
    release_stacks(copied_results, parse_kinds("pc,fl,seg,fl_corrected,seg_labeled"))
    glimpse_path(place, state.record).unlink()
    place, state = state_of(copied_results)
    assert glimpse_of(place, state, 3) is None
    keep_glimpse(place, state.record, 3)
    assert not glimpse_path(place, state.record).exists()


def test_a_stack_that_cannot_be_read_is_a_warning(copied_results, caplog):
    place, state = state_of(copied_results)
    glimpse_path(place, state.record).unlink()
    next(place.glob("*_pc_*.npy")).write_bytes(b"no stack")
    keep_glimpse(place, state.record, 3)
    assert "no pictures are kept for the report" in caplog.text


@pytest.mark.slow
def test_they_are_taken_where_stacks_lie_on_another_disk(demo, tmp_path):
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    assert runs.run(demo, out, fovs=[0], keep="traces", scratch=scratch).ok
    assert not list(out.rglob("*.npy"))
    assert set(current_glimpse(*state_of(out)).inputs) == {"pc 0", "fl 1", "fl 2", "seg_labeled 0"}
