from __future__ import annotations

import json
import math
import re
import shutil
import tracemalloc
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from pyama_core.demo import DemoFiles, write_demo
from pyama_core.demo.camera import OFFSET, Camera
from pyama_core.demo.cell import Cell, Role
from pyama_core.demo.drawing import Pen
from pyama_core.demo.expression import always_on, switched_on
from pyama_core.demo.parameters import DemoParameters
from pyama_core.demo.scene import MIN_GAP_PX, live
from pyama_core.demo.truth import TrackKeeper
from pyama_core.errors import InputError, StorageError
from truth import Truth, found_cells, inner_cells, load_truth

FOVS, FRAMES, SIZE = 2, 24, 320
SMALL = {"fovs": 1, "frames": 2, "size": 96}


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    folder = tmp_path_factory.mktemp("demo")
    return write_demo(folder, fovs=FOVS, frames=FRAMES, size=SIZE, seed=3)


@pytest.fixture(scope="module")
def truth(experiment: DemoFiles) -> Truth:
    return load_truth(experiment.folder)


@pytest.fixture(scope="module")
def images(experiment: DemoFiles) -> list[NDArray[np.uint16]]:
    with tifffile.TiffFile(experiment.image) as file:
        return [series.asarray() for series in file.series]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def some_cell(**changes: object) -> Cell:
    parameters = DemoParameters(1, 1, 256, 0)
    cell = next(live(parameters, np.random.default_rng(0)))[0]
    return replace(cell, role=Role.STAYING, **changes)


# --- the same again, or something else -------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    sizes = {"fovs": 2, "frames": 9, "size": 192, "seed": 7}
    write_demo(tmp_path / "one", **sizes)
    write_demo(tmp_path / "two", **sizes)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_another_seed_gives_other_images(tmp_path: Path) -> None:
    one = write_demo(tmp_path / "one", **SMALL, seed=1)
    two = write_demo(tmp_path / "two", **SMALL, seed=2)
    assert not np.array_equal(tifffile.imread(one.image), tifffile.imread(two.image))


def test_a_field_of_view_does_not_depend_on_how_many_others_there_are(tmp_path: Path) -> None:
    few = write_demo(tmp_path / "few", fovs=2, frames=3, size=128)
    many = write_demo(tmp_path / "many", fovs=3, frames=3, size=128)
    for fov in (0, 1):
        assert np.array_equal(
            tifffile.imread(few.image, series=fov), tifffile.imread(many.image, series=fov)
        )
        assert few.labels[fov].read_bytes() == many.labels[fov].read_bytes()


def test_fields_of_view_differ(truth: Truth, images: list[NDArray[np.uint16]]) -> None:
    assert not np.array_equal(images[0], images[1])
    assert not np.array_equal(truth.labels[0], truth.labels[1])


# --- the truth ---------------------------------------------------------------------------------


def test_tracks_span_exactly_the_frames_in_which_the_labels_show_the_cell(truth: Truth) -> None:
    for fov, labels in enumerate(truth.labels):
        tracks = truth.tracks[truth.tracks.fov == fov]
        assert tracks.cell.tolist() == list(range(1, len(tracks) + 1))
        assert set(np.unique(labels)) == {0, *tracks.cell}
        for track in tracks.itertuples():
            frames = np.nonzero((labels == track.cell).any(axis=(1, 2)))[0]
            assert frames.tolist() == list(range(track.first_frame, track.last_frame + 1))


def test_areas_and_positions_are_those_of_the_labels(truth: Truth) -> None:
    table = truth.intensities
    for fov, labels in enumerate(truth.labels):
        for frame in range(FRAMES):
            rows = table[(table.fov == fov) & (table.frame == frame)]
            assert set(rows.cell) == set(np.unique(labels[frame])) - {0}
            assert sorted(zip(rows.cell, rows.channel, strict=True)) == [
                (cell, channel) for cell in sorted(set(rows.cell)) for channel in (1, 2)
            ]
            for row in rows.itertuples():
                y, x = np.nonzero(labels[frame] == row.cell)
                assert row.area == len(y)
                assert row.position_y == pytest.approx(y.mean(), abs=1e-3)
                assert row.position_x == pytest.approx(x.mean(), abs=1e-3)


def test_fates_say_how_tracks_end(truth: Truth) -> None:
    for track in truth.tracks.itertuples():
        siblings = truth.tracks[truth.tracks.fov == track.fov]
        if (siblings.parent == track.cell).any():
            assert track.fate == "divided"
        elif track.last_frame == FRAMES - 1:
            assert track.fate == "end of movie"
        else:
            assert track.fate == "left the frame"
            last = truth.labels[track.fov][track.last_frame]
            assert track.cell not in inner_cells(last, 1)


@pytest.mark.parametrize("fov", range(FOVS))
def test_one_cell_divides_into_two_daughters_beside_each_other(truth: Truth, fov: int) -> None:
    tracks = truth.tracks[truth.tracks.fov == fov]
    (mother,) = tracks[tracks.fate == "divided"].itertuples()
    one, two = tracks[tracks.parent == mother.cell].itertuples()
    assert one.first_frame == two.first_frame == mother.last_frame + 1
    before, after = truth.labels[fov][mother.last_frame : mother.last_frame + 2]
    for daughter in (one, two):
        covered = (before == mother.cell) & (after == daughter.cell)
        assert covered.sum() > 0.5 * (after == daughter.cell).sum()
    # All that is inherited: the daughters together are as bright as the mother would be.
    parts = [truth.intensity(fov, cell.cell, 2).iloc[0] for cell in (one, two)]
    assert sum(parts) == pytest.approx(truth.intensity(fov, mother.cell, 2).iloc[-1], rel=0.1)


@pytest.mark.parametrize("fov", range(FOVS))
def test_cells_settle_enter_leave_and_stay(truth: Truth, fov: int) -> None:
    tracks = truth.tracks[truth.tracks.fov == fov]
    orphans = tracks[(tracks.first_frame > 0) & tracks.parent.isna()]
    inside = [
        cell in inner_cells(truth.labels[fov][first], 1)
        for cell, first in zip(orphans.cell, orphans.first_frame, strict=True)
    ]
    assert any(inside), "no cell settles within the frame"
    assert not all(inside), "no cell enters over the edge"
    assert (tracks.fate == "left the frame").any()
    assert truth.undisturbed_cells(fov)


def test_intensities_are_those_of_the_images_over_their_surroundings(
    truth: Truth, images: list[NDArray[np.uint16]]
) -> None:
    errors = []
    table = truth.intensities
    for row in table[table.frame % 6 == 0].itertuples():
        labels, image = truth.labels[row.fov][row.frame], images[row.fov][row.frame, row.channel]
        if row.cell not in inner_cells(labels, 20):
            continue
        mask = labels == row.cell
        near, far = (ndimage.binary_dilation(mask, iterations=n) for n in (2, 12))
        ring = image[far & ~near & (labels == 0)].astype(float)
        net = image[mask].astype(float).sum() - mask.sum() * ring.mean()
        noise = ring.std() * math.sqrt(mask.sum() * (1 + mask.sum() / ring.size))
        errors.append((net - row.intensity_total) / math.hypot(noise, 0.01 * row.intensity_total))
    assert len(errors) > 50
    assert abs(np.mean(errors)) < 0.5
    assert max(map(abs, errors)) < 5


# --- cells -------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    size=st.sampled_from([64, 130, 192, 256, 512]),
    frames=st.integers(1, 30),
)
def test_cells_keep_their_distance_and_those_that_stay_keep_inside(
    seed: int, size: int, frames: int
) -> None:
    parameters = DemoParameters(1, frames, size, seed)
    n_frames = 0
    for cells in live(parameters, parameters.streams(0, 1)[0]):
        n_frames += 1
        for i, one in enumerate(cells):
            if one.role is Role.STAYING:
                assert min(one.y, one.x, size - one.y, size - one.x) >= min(one.reach, 0.4 * size)
            for two in cells[:i]:
                gap = math.hypot(one.y - two.y, one.x - two.x) - one.reach - two.reach
                sisters = one.parent is not None and one.parent == two.parent
                assert gap > (0.9 if sisters else MIN_GAP_PX - 0.01)
    assert n_frames == frames


@settings(max_examples=30, deadline=None)
@given(
    y=st.floats(-30, 90),
    x=st.floats(-30, 90),
    radius=st.floats(5, 30),
    modes=st.lists(st.tuples(st.floats(-0.05, 0.05), st.floats(-0.05, 0.05)), max_size=4),
    rounding=st.floats(0, 1),
)
def test_depth_is_the_radius_at_that_angle_less_the_distance(
    y: float, x: float, radius: float, modes: list[tuple[float, float]], rounding: float
) -> None:
    cell = some_cell(
        y=y,
        x=x,
        full_radius=radius,
        full_modes=tuple(complex(*m) for m in modes),
        rounding=rounding,
    )
    rows, cols = np.arange(0.25, 60, 7), np.arange(0.75, 60, 11)
    depth = cell.depth(rows[:, None], cols[None, :])
    for i, row in enumerate(rows):
        for j, col in enumerate(cols):
            distance, theta = math.hypot(row - y, col - x), math.atan2(row - y, col - x)
            wave = sum(
                a * math.cos((k + 2) * theta) + b * math.sin((k + 2) * theta)
                for k, (a, b) in enumerate(modes)
            )
            outline = radius * (1 - 0.1 * rounding) * (1 + (1 - rounding) * wave)
            if distance > 1e-6:
                assert depth[i, j] == pytest.approx(outline - distance, abs=1e-9)
            if distance > cell.reach:
                assert depth[i, j] < 0


@pytest.mark.parametrize(("y", "x"), [(50.3, 60.8), (3.0, 60.0), (126.0, 131.5)])
def test_a_cell_is_drawn_where_it_is_as_far_as_it_is_in_the_frame(y: float, x: float) -> None:
    size, cell = 128, some_cell(y=y, x=x)
    patch = Pen(size, np.random.default_rng(0)).draw(cell)
    assert patch is not None
    rows, cols = np.mgrid[:size, :size].astype(float)
    mask = np.zeros((size, size), bool)
    mask[patch.window] = patch.mask
    assert np.array_equal(mask, cell.depth(rows, cols) > 0)
    assert (patch.fluorescence[~patch.mask] == 0).all()
    total = patch.fluorescence.sum(dtype=float)
    touches = mask[[0, -1]].any() or mask[:, [0, -1]].any()
    assert total < 0.999 if touches else total == pytest.approx(1, abs=1e-6)


def test_a_cell_outside_the_frame_is_not_drawn() -> None:
    assert Pen(128, np.random.default_rng(0)).draw(some_cell(y=-60.0, x=40.0)) is None


def test_a_cell_that_has_left_the_frame_never_comes_back() -> None:
    pen, keeper = Pen(128, np.random.default_rng(0)), TrackKeeper()
    stays, leaves = (pen.draw(some_cell(key=key, y=64.0, x=64.0)) for key in (7, 3))
    assert stays is not None
    assert leaves is not None
    seen = [
        [cell for cell, _ in keeper.admit(patches, frame)]
        for frame, patches in enumerate([[stays, leaves], [stays], [stays, leaves]])
    ]
    assert seen == [[1, 2], [1], [1]]
    assert [track.last_frame for track in keeper.tracks(3)] == [2, 0]


def test_a_switched_on_reporter_is_dark_first_and_rises_then() -> None:
    course = replace(switched_on(np.random.default_rng(0)), onset=0.3)
    totals = [course.total(time) for time in (0.0, 0.3, 0.35, 0.4, 0.5)]
    assert totals[:2] == [0, 0]
    assert totals[1:] == sorted(set(totals[1:]))


def test_a_reporter_that_is_always_on_varies_little() -> None:
    course = always_on(np.random.default_rng(0))
    totals = np.array([course.total(time) for time in np.linspace(0, 1, 50)])
    assert 0.85 < totals.min() / course.plateau < totals.max() / course.plateau < 1.15


# --- images ------------------------------------------------------------------------------------


def test_a_camera_adds_offset_shot_noise_and_read_noise() -> None:
    camera = Camera(256, np.random.default_rng(0))
    for signal in (500.0, 10_000.0):
        counts = camera.expose(np.full((256, 256), signal, np.float32)).astype(float)
        assert counts.mean() == pytest.approx(signal + OFFSET, abs=5 * counts.std() / 256)
        assert counts.var() == pytest.approx(2 * signal + 3**2, rel=0.05)


def test_no_pixel_is_near_the_ends_of_its_range(images: list[NDArray[np.uint16]]) -> None:
    for image in images:
        assert image.dtype == np.uint16
        assert image.min() > OFFSET
        assert image.max() < 30_000


def test_the_background_is_uneven_and_drifts(
    truth: Truth, images: list[NDArray[np.uint16]]
) -> None:
    for channel in (1, 2):
        empty = np.where(truth.labels[0] == 0, images[0][:, channel].astype(float), np.nan)
        by_row = np.nanmean(empty, axis=(0, 2))
        by_frame = np.nanmean(empty, axis=(1, 2))
        assert 400 < by_frame.min() < by_frame.max() < 1200
        assert np.ptp(ndimage.uniform_filter(by_row, 21)) > 5
        assert np.ptp(by_frame) > 3


def test_texture_tells_cells_from_background(
    truth: Truth, images: list[NDArray[np.uint16]]
) -> None:
    n_true = n_found = 0
    for fov in range(FOVS):
        # In the last frame the daughters are far enough apart.
        frame = images[fov][-1, 0].astype(float)
        mean = ndimage.uniform_filter(frame, 3)
        log_std = 0.5 * np.log(ndimage.uniform_filter(frame**2, 3) - mean**2)
        counts, edges = np.histogram(log_std, 200)
        mode = edges[counts.argmax() : counts.argmax() + 2].mean()
        found = log_std > mode + 3 * log_std[log_std <= mode].std()
        found = ndimage.binary_fill_holes(found)
        found = ndimage.binary_opening(found, np.ones((19, 19)))
        found, n = ndimage.label(ndimage.binary_closing(found, np.ones((19, 19))))
        true = truth.labels[fov][-1]
        matches = found_cells(true, found, 0.8)
        inner = inner_cells(true)
        assert n <= len(np.unique(true)) - 1
        n_true += len(inner)
        n_found += len(set(inner) & set(matches))
    assert n_found == n_true > 5


# --- files -------------------------------------------------------------------------------------


def test_the_image_is_an_ome_tiff_with_positions_channels_and_times(experiment: DemoFiles) -> None:
    with tifffile.TiffFile(experiment.image) as file:
        assert file.is_ome
        assert not file.is_bigtiff
        assert [series.axes for series in file.series] == ["TCYX"] * FOVS
        assert [series.shape for series in file.series] == [(FRAMES, 3, SIZE, SIZE)] * FOVS
        assert [series.name for series in file.series] == ["position 1", "position 2"]
        described = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
    for fov, image in enumerate(described):
        pixels = image["Pixels"]
        assert pixels["Type"] == "uint16"
        assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeXUnit"]) == (0.65, "µm")
        assert (pixels["PhysicalSizeY"], pixels["PhysicalSizeYUnit"]) == (0.65, "µm")
        names = [channel["Name"] for channel in pixels["Channel"]]
        assert names == ["phase contrast", "GFP", "mCherry"]
        assert len(pixels["Plane"]) == FRAMES * 3
        for plane in pixels["Plane"]:
            ideal = 300 * plane["TheT"] + 7 * fov + 0.8 * plane["TheC"]
            assert plane["DeltaT"] == pytest.approx(ideal, abs=0.51)
            assert plane["DeltaTUnit"] == "s"
    assert described[0]["Pixels"]["Plane"][0]["DeltaT"] == 0


def test_a_large_image_is_a_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyama_core.demo.experiment._CLASSIC_TIFF_BYTES", 96 * 96 * 2 * 3 * 2 - 1)
    files = write_demo(tmp_path, **SMALL)
    with tifffile.TiffFile(files.image) as file:
        assert file.is_bigtiff


def test_all_files_are_there_and_nothing_else(experiment: DemoFiles) -> None:
    expected = {experiment.image, *experiment.labels, experiment.tracks, experiment.intensities}
    expected |= {experiment.description, experiment.readme}
    assert {path for path in experiment.folder.rglob("*") if path.is_file()} == expected
    described = json.loads(experiment.description.read_text(encoding="utf-8"))
    assert described["complete"] is True
    assert described["parameters"] == {"fovs": FOVS, "frames": FRAMES, "size": SIZE, "seed": 3}
    for table in (experiment.tracks, experiment.intensities, experiment.readme):
        assert b"\r" not in table.read_bytes()


def test_progress_counts_the_frames_of_all_fields_of_view(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_demo(
        tmp_path,
        fovs=2,
        frames=3,
        size=64,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(done, 6) for done in range(1, 7)]


@pytest.mark.parametrize("name", ["notes.txt", "demo.ome.tif", "truth/demo.json"])
def test_a_folder_with_other_data_is_refused_and_left_as_it_was(tmp_path: Path, name: str) -> None:
    mine = tmp_path / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text('{"kind": "mine"}', encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(f"{tmp_path} is not empty")):
        write_demo(tmp_path, **SMALL)
    assert contents(tmp_path) == {name: b'{"kind": "mine"}'}


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "demo"
    target.write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="is a file"):
        write_demo(target, **SMALL)
    assert target.read_text(encoding="utf-8") == "mine"


def test_an_earlier_demo_is_replaced_and_what_lies_beside_it_stays(tmp_path: Path) -> None:
    write_demo(tmp_path / "demo", fovs=3, frames=2, size=64)
    beside = tmp_path / "demo" / "fov_000.txt"
    beside.write_text("mine", encoding="utf-8")
    write_demo(tmp_path / "demo", **SMALL)
    assert beside.read_text(encoding="utf-8") == "mine"
    beside.unlink()
    write_demo(tmp_path / "fresh", **SMALL)
    assert contents(tmp_path / "demo") == contents(tmp_path / "fresh")


def test_the_same_demo_once_more_leaves_the_files_untouched(tmp_path: Path) -> None:
    files = write_demo(tmp_path, **SMALL)
    before = files.image.stat().st_mtime_ns
    contents_before = contents(tmp_path)
    write_demo(tmp_path, **SMALL)
    assert files.image.stat().st_mtime_ns == before
    assert contents(tmp_path) == contents_before


class BrokenOffError(Exception):
    pass


def break_off(done: int, total: int) -> None:
    raise BrokenOffError


def test_a_failed_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(BrokenOffError):
        write_demo(tmp_path / "a" / "b", **SMALL, on_progress=break_off)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_demo_leaves_the_earlier_one_whole(tmp_path: Path) -> None:
    write_demo(tmp_path, **SMALL, seed=1)
    before = contents(tmp_path)
    with pytest.raises(BrokenOffError):
        write_demo(tmp_path, **SMALL, seed=2, on_progress=break_off)
    assert contents(tmp_path) == before


def test_a_killed_demo_is_completed_by_the_next_call(tmp_path: Path) -> None:
    killed = tmp_path / "killed"

    def snapshot(done: int, total: int) -> None:
        # What the disk holds in the middle of writing is what a kill would leave.
        if not killed.exists():
            shutil.copytree(tmp_path / "demo", killed)

    write_demo(tmp_path / "demo", **SMALL, on_progress=snapshot)
    assert any(name.endswith(".tmp") for name in contents(killed))
    write_demo(killed, **SMALL)
    assert contents(killed) == contents(tmp_path / "demo")


def test_a_demo_that_fails_while_files_get_their_names_is_completed_by_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_moved = 0

    def refuse_the_third(temporary: Path, final: Path) -> None:
        nonlocal n_moved
        n_moved += 1
        if n_moved == 3:
            raise StorageError("held open")
        temporary.replace(final)

    with monkeypatch.context() as patch:
        patch.setattr("pyama_core.demo.folder.move_into_place", refuse_the_third)
        with pytest.raises(StorageError, match="held open"):
            write_demo(tmp_path / "demo", **SMALL)
    left = contents(tmp_path / "demo")
    assert not json.loads(left["truth/demo.json"])["complete"]
    assert not [name for name in left if name.endswith(".tmp")]
    write_demo(tmp_path / "demo", **SMALL)
    write_demo(tmp_path / "fresh", **SMALL)
    assert contents(tmp_path / "demo") == contents(tmp_path / "fresh")


def test_a_disk_that_is_too_full_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 99, 1))
    with pytest.raises(InputError, match="free"):
        write_demo(tmp_path / "demo", **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("fovs", 0), ("frames", 0), ("size", 63), ("seed", -1), ("frames", 2.5), ("fovs", True)],
)
def test_a_bad_parameter_is_refused_and_nothing_is_written(
    tmp_path: Path, name: str, value: object
) -> None:
    with pytest.raises(InputError, match=f"{name} must be a whole number .* found {value}"):
        write_demo(tmp_path / "demo", **{**SMALL, name: value})
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path) -> None:
    plane = 128 * 128 * 2

    def peak(frames: int) -> int:
        tracemalloc.start()
        try:
            write_demo(tmp_path / str(frames), fovs=1, frames=frames, size=128)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    assert peak(60) - peak(5) < 15 * plane
