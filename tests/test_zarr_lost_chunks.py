"""Chunks of an OME-Zarr that are not there: lost, never written, or left out on purpose."""

from __future__ import annotations

import itertools
import logging
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import fsspec.asyn
import numpy as np
import pandas as pd
import pytest
import zarr
from zarr.core.sync import cleanup_resources

from inline import run_inline
from movies import metadata_of, rough_squares
from ome_zarr_writer import LAYOUTS, Layout, chunk_file, random_pixels, write_image
from pyama_core.errors import MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.retrying import system_failure
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from runs import exact

PIXELS = random_pixels(3, 2, 1, 40, 70)
Found = dict[tuple[int, int], Any]


@pytest.fixture(autouse=True, scope="module")
def _fsspec_is_warm() -> None:
    """Let fsspec open what it keeps open for good."""
    fsspec.asyn.get_loop()


@pytest.fixture(autouse=True)
def _zarr_ends_its_threads(nothing_is_left_behind: None) -> Iterator[None]:
    yield
    cleanup_resources()


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.name)
def layout(request: pytest.FixtureRequest) -> Layout:
    chosen: Layout = request.param
    return chosen


def read(path: Path | str) -> Found:
    """Return all frames of the first position by (channel, frame), or why they are missing."""
    found: Found = {}
    source, about = load_microscopy_file(path, z=0)
    with source:
        for t, c in np.ndindex(about.fov_shapes[0][0], about.n_channels):
            try:
                found[c, t] = source.read_frame(0, c, t)
            except MissingFrameError as error:
                found[c, t] = str(error)
    return found


def assert_only_missing(found: Found, pixels: Any, missing: set[tuple[int, int]]) -> None:
    assert {at for at, frame in found.items() if isinstance(frame, str)} == missing
    for (c, t), frame in found.items():
        if (c, t) not in missing:
            np.testing.assert_array_equal(frame, pixels[t, c, 0])


def behind_url(path: Path) -> str:
    files = fsspec.filesystem("memory")
    if files.exists("/lost"):
        files.rm("/lost", recursive=True)
    files.put(str(path), "/lost/a.zarr", recursive=True)
    return "memory://lost/a.zarr"


@pytest.mark.slow
@pytest.mark.parametrize("place", ["disk", "url of a file", "server"])
def test_each_lost_chunk_makes_its_frame_missing_and_no_other(
    tmp_path: Path, layout: Layout, place: str
) -> None:
    whole = write_image(tmp_path / "whole.zarr", PIXELS, layout)
    size = 32 if layout.sharded else 16
    for y, x in itertools.product(range(-(-40 // size)), range(-(-70 // size))):
        path = tmp_path / "a.zarr"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(whole, path)
        chunk = chunk_file(path, layout, 1, 1, 0, y, x)
        chunk.unlink()
        where = {"disk": path, "url of a file": path.as_uri(), "server": ""}[place]
        found = read(where or behind_url(path))
        assert_only_missing(found, PIXELS, {(1, 1)})
        assert f" chunks is lost, such as {chunk.relative_to(path).as_posix()}. " in found[1, 1]


@pytest.mark.parametrize("is_remote", [False, True])
def test_an_empty_file_is_no_chunk(tmp_path: Path, layout: Layout, is_remote: bool) -> None:
    path = write_image(tmp_path / "a.zarr", PIXELS, layout)
    chunk_file(path, layout, 1, 1, 0, 0, 1).write_bytes(b"")
    found = read(behind_url(path) if is_remote else path)
    assert_only_missing(found, PIXELS, {(1, 1)})


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_plane_without_any_chunk_was_never_written(
    tmp_path: Path, layout: Layout, is_remote: bool
) -> None:
    path = write_image(tmp_path / "a.zarr", PIXELS, layout)
    for y, x in itertools.product(range(3), range(5)):
        chunk_file(path, layout, 0, 1, 0, y, x).unlink(missing_ok=True)
    found = read(behind_url(path) if is_remote else path)
    assert_only_missing(found, PIXELS, {(1, 0)})
    assert "none of its chunks was ever written" in found[1, 0]


def test_an_acquisition_that_stopped_is_as_long_as_what_was_written(
    tmp_path: Path, layout: Layout
) -> None:
    pixels = PIXELS.copy()
    pixels[2, 1] = 0
    pixels[2, 0] = 0
    path = write_image(tmp_path / "a.zarr", pixels, layout)
    assert set(read(path)) == {(c, t) for c in range(2) for t in range(2)}


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_plane_that_a_shard_has_nothing_of_was_never_written(
    tmp_path: Path, is_remote: bool
) -> None:
    pixels = random_pixels(4, 1, 1, 32, 32)
    pixels[1] = 0
    path = tmp_path / "a.zarr"
    write_image(path, pixels, LAYOUTS[0], chunks=(1, 1, 1, 16, 16), shards=(4, 1, 1, 32, 32))
    assert chunk_file(path, LAYOUTS[0], 0, 0, 0, 0, 0).is_file()
    found = read(behind_url(path) if is_remote else path)
    assert_only_missing(found, pixels, {(0, 1)})
    assert "although shards are there" in found[0, 1]


def test_zeros_that_a_shard_really_has_are_read(tmp_path: Path) -> None:
    pixels = random_pixels(4, 1, 1, 32, 32)
    pixels[1] = 0
    pixels[2, 0, 0, :16] = 0
    shards = (4, 1, 1, 32, 32)
    write_image(tmp_path / "a.zarr", pixels, LAYOUTS[0], shards=shards, write_empty=True)
    assert_only_missing(read(tmp_path / "a.zarr"), pixels, set())


def test_chunks_that_a_shard_was_written_without_are_empty(tmp_path: Path) -> None:
    pixels = random_pixels(4, 1, 1, 32, 32)
    pixels[2, 0, 0, :16] = 0
    write_image(tmp_path / "a.zarr", pixels, LAYOUTS[0], shards=(4, 1, 1, 32, 32))
    assert_only_missing(read(tmp_path / "a.zarr"), pixels, set())


def test_a_corner_that_no_frame_of_a_mosaic_has_is_empty(
    tmp_path: Path, layout: Layout, caplog: pytest.LogCaptureFixture
) -> None:
    size = 32 if layout.sharded else 16
    pixels = random_pixels(3, 2, 1, 3 * size, 3 * size)
    pixels[..., :size, :size] = pixels[..., -size:, size:] = 0
    path = write_image(tmp_path / "a.zarr", pixels, layout)
    assert not chunk_file(path, layout, 1, 1, 0, 0, 0).exists()
    with caplog.at_level(logging.INFO):
        assert_only_missing(read(path), pixels, set())
    assert caplog.text.count("chunks that are not there count as empty") == 1


def test_a_chunk_lost_in_a_mosaic_with_empty_corners_is_found(tmp_path: Path) -> None:
    pixels = random_pixels(3, 2, 1, 48, 48)
    pixels[..., :16, :16] = 0
    path = write_image(tmp_path / "a.zarr", pixels)
    chunk_file(path, LAYOUTS[0], 1, 1, 0, 2, 2).unlink()
    assert_only_missing(read(path), pixels, {(1, 1)})


def spots_on_black(n_frames: int = 3) -> Any:
    """Return frames that are zero but for a spot that moves from chunk to chunk."""
    pixels = np.zeros((n_frames, 1, 1, 64, 64), np.uint8)
    for t in range(n_frames):
        pixels[t, 0, 0, 4 + 10 * t : 14 + 10 * t, 20:30] = 200
    return pixels


@pytest.mark.parametrize("is_remote", [False, True])
def test_black_parts_of_images_on_black_ground_may_be_left_out(
    tmp_path: Path, is_remote: bool
) -> None:
    path = write_image(tmp_path / "a.zarr", spots_on_black())
    assert not chunk_file(path, LAYOUTS[0], 1, 0, 0, 3, 3).exists()
    found = read(behind_url(path) if is_remote else path)
    assert_only_missing(found, spots_on_black(), set())


def test_who_stores_black_parts_leaves_none_out(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.zarr", spots_on_black(), write_empty=True)
    chunk_file(path, LAYOUTS[0], 1, 0, 0, 3, 3).unlink()
    assert_only_missing(read(path), spots_on_black(), {(0, 1)})


@pytest.mark.parametrize(
    ("dtype", "fill"), [("uint16", 65535), ("int16", -3), ("float32", 1.5), ("float32", np.nan)]
)
@pytest.mark.parametrize("layout", [LAYOUTS[0], LAYOUTS[4]], ids=lambda layout: layout.name)
def test_the_value_of_nothing_need_not_be_zero(
    tmp_path: Path, dtype: str, fill: float, layout: Layout
) -> None:
    pixels = random_pixels(3, 2, 1, 40, 40, dtype=dtype)
    pixels[2, 1, 0, :16, :16] = 0
    path = write_image(tmp_path / "a.zarr", pixels, layout, fill_value=fill)
    chunk_file(path, layout, 1, 1, 0, 0, 0).unlink()
    for where in (path, behind_url(path)):
        assert_only_missing(read(where), pixels, {(1, 1)})


@pytest.mark.parametrize(
    ("chunks", "lost", "missing"),
    [
        ((2, 1, 1, 16, 16), (0, 1, 0, 1, 1), {(1, 0), (1, 1)}),
        ((1, 2, 1, 16, 16), (2, 0, 0, 1, 1), {(0, 2), (1, 2)}),
        ((3, 2, 1, 16, 16), (0, 0, 0, 1, 1), {(c, t) for c in range(2) for t in range(3)}),
    ],
)
def test_all_planes_that_a_lost_chunk_held_a_part_of_are_missing(
    tmp_path: Path, chunks: Any, lost: Any, missing: set[tuple[int, int]]
) -> None:
    path = write_image(tmp_path / "a.zarr", PIXELS, chunks=chunks)
    chunk_file(path, LAYOUTS[0], *lost).unlink()
    assert_only_missing(read(path), PIXELS, missing)


def test_a_single_image_lacks_a_lost_chunk_too(tmp_path: Path) -> None:
    pixels = random_pixels(40, 40)
    path = write_image(tmp_path / "a.zarr", pixels)
    chunk_file(path, LAYOUTS[0], 1, 1).unlink()
    assert "1 of its 9 chunks is lost" in read(path)[0, 0]


@pytest.mark.parametrize("seed", range(6))
def test_what_is_missing_depends_on_no_order_of_reading(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    pixels = np.where(np.random.default_rng(seed).random((4, 2, 1, 64, 64)) < 0.3, 0, 7)
    pixels[:, :, :, :32] = 0
    path = write_image(tmp_path / "a.zarr", pixels.astype(np.uint8))
    chunks = sorted(p for p in (path / "0").rglob("*") if p.is_file() and p.name != "zarr.json")
    for chunk in chance.sample(chunks, 5):
        chunk.unlink()
    expected = {at: isinstance(frame, str) for at, frame in read(path).items()}
    for _ in range(3):
        order = list(expected)
        chance.shuffle(order)
        source, _ = load_microscopy_file(path)
        with source:
            for c, t in order[: chance.randrange(1, len(order))]:
                try:
                    source.read_frame(0, c, t)
                    assert not expected[c, t]
                except MissingFrameError:
                    assert expected[c, t]


def test_a_server_is_asked_nothing_more_about_frames_that_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = load_microscopy_file(behind_url(write_image(tmp_path / "a.zarr", PIXELS)))
    asked: list[str] = []
    store = source._store  # type: ignore[attr-defined]
    monkeypatch.setattr(store, "fetch", lambda name, last=0: asked.append(name))
    with source:
        for t, c in np.ndindex(3, 2):
            np.testing.assert_array_equal(source.read_frame(0, c, t), PIXELS[t, c, 0])
    assert asked == []


def test_a_server_that_fails_when_asked_for_a_chunk_has_not_lost_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyama_core.io.retrying.PAUSES_S", (0.0,))
    path = write_image(tmp_path / "a.zarr", PIXELS)
    chunk_file(path, LAYOUTS[0], 1, 1, 0, 1, 1).unlink()
    source, _ = load_microscopy_file(behind_url(path))
    files = type(fsspec.filesystem("memory"))

    def fail(self: Any, path: str, *arguments: Any, **options: Any) -> bytes:
        raise RuntimeError("503 Service Unavailable")

    monkeypatch.setattr(files, "cat_file", fail)
    with source, pytest.raises(MissingFrameError, match="503") as raised:
        source.read_frame(0, 1, 1)
    assert system_failure(raised.value) is not None


def test_a_run_passes_over_a_frame_with_a_lost_chunk(tmp_path: Path) -> None:
    movie = rough_squares(6, 96, [(10, 10), (50, 40)])
    path = write_image(tmp_path / "a.zarr", movie, chunks=(1, 1, 32, 32))
    chunk_file(path, LAYOUTS[0], 3, 1, 0, 2).unlink()
    context = ProcessingContext(
        output_dir=tmp_path / "out", channels=Channels(pc=0, fl=[1]), params=exact({})
    )
    assert run_inline(metadata_of(path), context).ok
    traces = pd.read_csv(next(tmp_path.glob("out/fov_000/*_traces_ch_1.csv")))
    assert sorted(set(traces["frame"])) == [0, 1, 2, 4, 5]
    copy = np.load(next(tmp_path.glob("out/fov_000/*_fl_ch_1.npy")))
    assert (copy[3] == 65535).all()


def test_the_writer_of_these_tests_writes_what_zarr_reads(tmp_path: Path, layout: Layout) -> None:
    path = write_image(tmp_path / "a.zarr", PIXELS, layout)
    np.testing.assert_array_equal(zarr.open_array(path / "0", mode="r")[...], PIXELS)
    assert_only_missing(read(path), PIXELS, set())
