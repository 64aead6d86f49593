"""Every pixel type: read as it is stored by every reader, and processed or refused beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray
from typer.testing import CliRunner
from zarr.core.sync import cleanup_resources

from inline import run_inline
from pyama_core.cli.app import app
from pyama_core.errors import InputError
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.processing.frame import FRAME_DTYPES
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from runs import EXACT, data_files

REFUSED = ("int8", "uint64", "int64", "float16")
NUMBERS = [dtype for dtype in FRAME_DTYPES if dtype != "bool"]


@pytest.fixture(autouse=True)
def _zarr_ends_its_threads(nothing_is_left_behind: None) -> Iterator[None]:
    yield
    cleanup_resources()


def draw_movie(dtype: str, n_frames: int = 6, size: int = 128) -> NDArray[Any]:
    """Return (T, 2, Y, X) of four rough discs from 1 to 120, brighter in the second channel."""
    rng = np.random.default_rng(0)
    pixels = np.full((n_frames, 2, size, size), 20)
    pixels[:, 0] = 60 + rng.integers(-1, 2, (n_frames, size, size))
    y, x = np.mgrid[:26, :26]
    disc = (y - 13) ** 2 + (x - 13) ** 2 < 150
    for top, left in ((12, 14), (15, 80), (84, 20), (78, 76)):
        for phase, light in pixels[:, :, top : top + 26, left : left + 26]:
            phase[disc] = rng.integers(1, 121, disc.sum())
            light[disc] = 70
    if dtype == "bool":
        return pixels > 63
    return pixels.astype(dtype)


def one_byte(movie: NDArray[Any]) -> NDArray[Any]:
    return movie.astype(np.uint8)


def write_stack(path: Path, movie: NDArray[Any], order: str = "<") -> Path:
    tifffile.imwrite(
        path, movie, photometric="minisblack", metadata={"axes": "TCYX"}, byteorder=order
    )
    return path


def process(path: Path, out: Path, params: dict[str, Any], nuclei: int | None = None) -> None:
    source, about = load_microscopy_file(path)
    source.close()
    channels = Channels(pc=0, fl=[1], nuclei=nuclei)
    params = {**params, "extraction": {"interval_minutes": 5, "min_frames": 1}}
    outcome = run_inline(about, ProcessingContext(out, channels, params=params))
    assert outcome.exit_code == 0, outcome


@pytest.fixture(scope="module", params=[{}, EXACT], ids=["default", "exact"])
def of_bytes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Parameters, and the tables that a run with them makes of the movie in bytes."""
    folder = tmp_path_factory.mktemp("bytes")
    process(write_stack(folder / "a.tif", draw_movie("uint8")), folder / "out", request.param)
    return request.param, tables(folder / "out")


def tables(out: Path) -> dict[str, bytes]:
    return {name: content for name, content in data_files(out).items() if name.endswith(".csv")}


@pytest.mark.parametrize("dtype", NUMBERS)
def test_the_same_numbers_give_the_same_traces_in_every_pixel_type_and_byte_order(
    dtype: str, of_bytes: tuple[dict[str, Any], dict[str, bytes]], tmp_path: Path
) -> None:
    params, expected = of_bytes
    assert sum(text.count(b"\n") for text in expected.values()) > 4 * 6
    for order in "<>":
        movie, out = draw_movie(dtype), tmp_path / f"out{ord(order)}"
        process(write_stack(tmp_path / "a.tif", movie, order), out, params)
        assert tables(out) == expected
        for kind, channel in (("pc", 0), ("fl", 1)):
            copy = np.load(out / "fov_000" / f"a_fov_000_{kind}_ch_{channel}.npy")
            assert copy.dtype == np.dtype(dtype)
            np.testing.assert_array_equal(copy, movie[:, channel])


@pytest.mark.parametrize("params", [{}, EXACT], ids=["default", "exact"])
def test_one_bit_images_give_what_their_zeros_and_ones_give(
    params: dict[str, Any], tmp_path: Path
) -> None:
    movie, nuclei = draw_movie("bool"), None if params else 1
    process(write_stack(tmp_path / "a.tif", movie), tmp_path / "bits", params, nuclei)
    process(write_stack(tmp_path / "a.tif", one_byte(movie)), tmp_path / "bytes", params, nuclei)
    assert tables(tmp_path / "bits") == tables(tmp_path / "bytes")
    for path in (tmp_path / "bits").rglob("*.npy"):
        other = np.load(tmp_path / "bytes" / path.relative_to(tmp_path / "bits"))
        np.testing.assert_array_equal(np.load(path), other)


@pytest.mark.parametrize("dtype", FRAME_DTYPES)
def test_a_missing_frame_is_white_in_every_pixel_type(dtype: str, tmp_path: Path) -> None:
    movie = draw_movie(dtype)
    (tmp_path / "images").mkdir()
    for t, c in np.ndindex(movie.shape[:2]):
        if (t, c) != (2, 1):
            tifffile.imwrite(tmp_path / "images" / f"xy1c{c}t{t}.tif", movie[t, c])
    process(tmp_path / "images", tmp_path / "out", EXACT)
    copy = np.load(tmp_path / "out/fov_000/images_fov_000_fl_ch_1.npy")
    np.testing.assert_array_equal(np.delete(copy, 2, 0), np.delete(movie[:, 1], 2, 0))
    white = {"b": True, "f": np.nan}.get(copy.dtype.kind)
    expected = np.iinfo(copy.dtype).max if white is None else white
    np.testing.assert_array_equal(copy[2], np.full_like(copy[2], expected))


@pytest.mark.parametrize("dtype", REFUSED)
def test_a_pixel_type_that_cannot_be_processed_is_refused_before_anything_is_written(
    dtype: str, tmp_path: Path
) -> None:
    path = write_stack(tmp_path / "a.tif", draw_movie(dtype))
    out = tmp_path / "out"
    command = ["run", str(path), "-o", str(out), "--pc", "0", "--fl", "1"]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 2
    assert f"has pixels of {dtype}, expected one of bool, uint8" in told.output
    assert not out.exists()
    told = CliRunner().invoke(app, ["inspect", str(path)])
    assert told.exit_code == 0
    assert f"pyama run refuses it: it has pixels of {dtype}" in told.output


def test_pixels_that_are_no_real_numbers_are_refused(tmp_path: Path) -> None:
    path = write_stack(tmp_path / "a.tif", draw_movie("complex64"))
    with pytest.raises(InputError, match="pixels of complex64, expected integers or real numbers"):
        load_microscopy_file(path)


def write_ome(path: Path, movie: NDArray[Any], order: str) -> None:
    tifffile.imwrite(
        path,
        movie,
        ome=True,
        photometric="minisblack",
        byteorder=order,
        metadata={"axes": "TCYX"},
    )


def write_images(path: Path, movie: NDArray[Any], order: str) -> None:
    path.mkdir()
    for t, c in np.ndindex(movie.shape[:2]):
        tifffile.imwrite(path / f"xy1c{c}t{t}.tif", movie[t, c], byteorder=order)


def write_zarr(path: Path, movie: NDArray[Any], order: str, version: int = 3) -> None:
    del order  # zarr's own of version 3
    zarr.create_array(path / "0", data=movie, chunks=(1, 1, 64, 64), zarr_format=version)
    kinds = {"t": "time", "c": "channel", "y": "space", "x": "space"}
    axes = [{"name": name, "type": kind} for name, kind in kinds.items()]
    scale = [{"type": "scale", "scale": [1.0] * 4}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    ome = {"version": "0.5" if version == 3 else "0.4", "multiscales": [{"axes": axes}]}
    ome["multiscales"][0] |= {"datasets": datasets}
    if version == 2:
        ome["multiscales"][0]["version"] = "0.4"
    attributes = {"ome": ome} if version == 3 else {"multiscales": ome["multiscales"]}
    zarr.open_group(path, attributes=attributes, mode="a", zarr_format=version)


def write_older_zarr(path: Path, movie: NDArray[Any], order: str) -> None:
    movie = movie.astype(movie.dtype.newbyteorder(order))
    write_zarr(path, movie, order, version=2)


WRITERS: dict[str, Callable[[Path, NDArray[Any], str], object]] = {
    "a.tif": write_stack,
    "a.ome.tif": write_ome,
    "images": write_images,
    "a.ome.zarr": write_zarr,
    "b.ome.zarr": write_older_zarr,
}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("dtype", [*FRAME_DTYPES, *REFUSED])
def test_every_reader_gives_every_pixel_type_as_it_is_in_native_byte_order(
    dtype: str, name: str, order: str, tmp_path: Path
) -> None:
    if name == "a.ome.tif" and dtype in ("uint64", "int64", "float16"):
        pytest.skip("OME-XML has no name for it")
    movie = draw_movie(dtype, n_frames=2)
    WRITERS[name](tmp_path / name, movie, order)
    source, about = load_microscopy_file(tmp_path / name)
    with source:
        assert about.dtype == dtype
        for t, c in np.ndindex(2, 2):
            frame = source.read_frame(0, c, t)
            assert frame.dtype == np.dtype(dtype)
            assert frame.dtype.isnative
            assert frame.flags.c_contiguous
            np.testing.assert_array_equal(frame, movie[t, c])


@pytest.mark.parametrize("compression", [None, "packbits", "zlib", "lzw", "zstd"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("width", [64, 61])
def test_compressed_one_bit_images_are_read(
    compression: str | None, photometric: str, width: int, tmp_path: Path
) -> None:
    movie = draw_movie("bool", n_frames=3)[:, 0, :, :width]
    how: Any = {"compression": compression, "photometric": photometric}
    tifffile.imwrite(tmp_path / "a.tif", movie, metadata={"axes": "TYX"}, **how)
    source, about = load_microscopy_file(tmp_path / "a.tif")
    with source:
        assert (about.dtype, about.n_frames) == ("bool", 3)
        for t in range(3):
            np.testing.assert_array_equal(source.read_frame(0, 0, t), movie[t])


def test_a_one_bit_png_is_read_as_black_and_white_bytes(tmp_path: Path) -> None:
    movie = draw_movie("bool", n_frames=3)[:, 0]
    for t, frame in enumerate(movie):
        one_bit = [cv2.IMWRITE_PNG_BILEVEL, 1]
        assert cv2.imwrite(str(tmp_path / f"xy1t{t}.png"), one_byte(frame) * 255, one_bit)
    source, about = load_microscopy_file(tmp_path)
    with source:
        assert about.dtype == "uint8"
        for t in range(3):
            np.testing.assert_array_equal(source.read_frame(0, 0, t), one_byte(movie[t]) * 255)
