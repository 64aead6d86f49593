"""ImageJ hyperstacks and plain TIFFs, whole and damaged."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file

DATA = Path(__file__).parents[2] / "shared" / "data"
REAL = [*sorted(DATA.glob("incucyte/*.tif"))[::8], *sorted(DATA.glob("t98g/raw/*.tif"))[::6]]
REAL += sorted(DATA.glob("nanog/*.tif"))[::4]
needs_data = pytest.mark.skipif(not REAL, reason="the real TIFF files are not beside the project")

Array = np.ndarray[Any, Any]


def pixels(*shape: int, dtype: str = "uint16") -> Array:
    return np.random.default_rng(len(shape)).integers(1, 250, shape).astype(dtype)


def load_all(path: Path, **options: Any) -> tuple[Array, Any]:
    """Read every plane as (P, T, C, Z, Y, X)."""
    source, metadata = load_microscopy_file(path, **options)
    counts = metadata.n_fovs, metadata.n_frames, metadata.n_channels, metadata.n_z
    planes = np.empty((*counts, metadata.height, metadata.width), metadata.dtype)
    with source:
        for fov, time, channel, z in np.ndindex(counts):
            planes[fov, time, channel, z] = source.read_frame(fov, channel, time, z)
    return planes, metadata


@needs_data
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_a_real_single_image_is_one_frame(path: Path) -> None:
    planes, metadata = load_all(path)
    np.testing.assert_array_equal(planes[0, 0, 0, 0], tifffile.imread(path, key=0))
    assert (metadata.n_fovs, metadata.n_frames, metadata.n_channels, metadata.n_z) == (1, 1, 1, 1)
    assert metadata.timepoints == ((None,),)


@needs_data
def test_a_real_stack_without_axes_needs_to_be_told_what_its_pages_are() -> None:
    path = DATA / "trpl" / "trpL_150310-11_img.tif"
    with pytest.raises(InputError, match=r'shape 20 × 727 × 1026 .* axes="TYX" .*--axes TYX'):
        load_microscopy_file(path)
    expected = tifffile.imread(path)
    source, metadata = load_microscopy_file(path, axes="TYX")
    with source:
        assert metadata.fov_shapes == ((20, 727, 1026),)
        for time in (0, 7, 19):
            np.testing.assert_array_equal(source.read_frame(0, 0, time), expected[time])


@pytest.mark.parametrize("order", ["TZCYX", "TCYX", "ZCYX", "CYX", "TYX", "ZYX", "YX"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_an_imagej_hyperstack_says_what_its_dimensions_are(
    tmp_path: Path, order: str, dtype: str
) -> None:
    size = {"T": 3, "Z": 2, "C": 4, "Y": 9, "X": 13}
    stack = pixels(*(size[axis] for axis in order), dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": order})
    planes, metadata = load_all(tmp_path / "a.tif")
    full, axes = stack, order
    for axis in "TCZ":
        if axis not in axes:
            full, axes = full[None], axis + axes
    expected = full.transpose([axes.index(axis) for axis in "TCZYX"])
    np.testing.assert_array_equal(planes[0], expected)
    assert metadata.file_type == "imagej-tiff"
    assert metadata.dtype == dtype
    assert metadata.channel_names == tuple(f"Channel {c}" for c in range(planes.shape[2]))


@pytest.mark.parametrize(
    ("about", "minutes", "pixel_size"),
    [
        ({"finterval": 30.0, "unit": "um"}, 0.5, 0.5),
        ({"finterval": 2.0, "tunit": "min", "unit": "nm"}, 2.0, 0.0005),
        ({"finterval": 500.0, "tunit": "ms", "unit": "micron"}, 1 / 120, 0.5),
        ({"finterval": 0.0, "unit": "pixel"}, None, None),
        ({"finterval": 3.0, "tunit": "moons"}, None, None),
        ({}, None, None),
    ],
)
def test_imagej_intervals_and_pixel_sizes_are_taken_in_their_units(
    tmp_path: Path, about: dict[str, Any], minutes: float | None, pixel_size: float | None
) -> None:
    metadata = {"axes": "TYX", **about}
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels(3, 9, 13), imagej=True, metadata=metadata, resolution=(2, 2))
    _, found = load_all(path)
    assert found.pixel_size_um == (None if pixel_size is None else pytest.approx(pixel_size))
    if minutes is None:
        assert found.timepoints == ((None, None, None),)
        assert found.timepoints_source == "unknown"
    else:
        assert found.timepoints[0] == pytest.approx([0, minutes, 2 * minutes], abs=1e-9)
        assert found.timepoints_source == "nominal"


@pytest.mark.parametrize("imagej", [True, False])
def test_planes_in_a_row_behind_a_single_page_are_read(tmp_path: Path, imagej: bool) -> None:
    """ImageJ writes stacks beyond 4 GB so."""
    stack, path = pixels(5, 2, 9, 13), tmp_path / "a.tif"
    about = {"axes": "TCYX"}
    options: dict[str, Any] = {"imagej": imagej, "truncate": True, "photometric": "minisblack"}
    tifffile.imwrite(path, stack, metadata=about, **options)
    with tifffile.TiffFile(path) as tiff:
        assert len(tiff.pages) == 1
    planes, _ = load_all(path)
    np.testing.assert_array_equal(planes[0, :, :, 0], stack)


def test_a_row_of_planes_that_is_cut_off_has_fewer_frames(tmp_path: Path) -> None:
    stack, path = pixels(5, 2, 9, 13), tmp_path / "a.tif"
    options: dict[str, Any] = {"truncate": True, "photometric": "minisblack"}
    tifffile.imwrite(path, stack, metadata={"axes": "TCYX"}, **options)
    path.write_bytes(path.read_bytes()[:-100])
    source, metadata = load_microscopy_file(path)
    with source:
        assert metadata.n_frames == 4
        np.testing.assert_array_equal(source.read_frame(0, 1, 3), stack[3, 1])
    assert any("missing at the end, FOV 0 has 4 of 5" in told for told in metadata.warnings)


def test_a_bare_stack_that_is_cut_off_is_warned_of(tmp_path: Path) -> None:
    stack, path = pixels(5, 9, 13), tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        for frame in stack:
            tiff.write(frame, metadata=None)
    with tifffile.TiffFile(path) as tiff:
        end = tiff.pages[3].offset
    path.write_bytes(path.read_bytes()[:end])
    planes, metadata = load_all(path, axes="TYX")
    np.testing.assert_array_equal(planes[0, :, 0, 0], stack[:3])
    assert any("cut off after page 2" in told for told in metadata.warnings)


@pytest.mark.parametrize("order", ["PTCZYX", "CTYX", "TPYX", "ZTYX", "TYX"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_axes_in_a_tiff_are_honoured_in_every_order(
    tmp_path: Path, order: str, byteorder: Any, compression: str | None
) -> None:
    size = {"P": 2, "T": 3, "C": 2, "Z": 2, "Y": 9, "X": 13}
    stack = pixels(*(size[axis] for axis in order))
    options: dict[str, Any] = {"byteorder": byteorder, "compression": compression}
    options["photometric"] = "minisblack"
    tifffile.imwrite(tmp_path / "said.tif", stack, metadata={"axes": order}, **options)
    tifffile.imwrite(tmp_path / "mute.tif", stack, **options)
    full, axes = stack, order
    for axis in "PTCZ":
        if axis not in axes:
            full, axes = full[None], axis + axes
    expected = full.transpose([axes.index(axis) for axis in "PTCZYX"])
    for planes, metadata in (
        load_all(tmp_path / "said.tif"),
        load_all(tmp_path / "mute.tif", axes=order.lower()),
    ):
        np.testing.assert_array_equal(planes, expected)
        assert metadata.file_type == "tiff"
        assert metadata.dtype == "uint16"
    with pytest.raises(InputError, match="does not say what its dimensions are"):
        load_microscopy_file(tmp_path / "mute.tif")


@pytest.mark.parametrize("bigtiff", [False, True])
def test_a_bare_stack_of_pages_is_frames_only_if_told_so(tmp_path: Path, bigtiff: bool) -> None:
    stack = pixels(7, 9, 13)
    path = tmp_path / "a.tif"
    options: dict[str, Any] = {"photometric": "minisblack", "bigtiff": bigtiff}
    tifffile.imwrite(path, stack, metadata=None, **options)
    with pytest.raises(InputError, match=r'7 × 9 × 13 .*axes="TYX"'):
        load_microscopy_file(path)
    planes, metadata = load_all(path, axes="TYX")
    np.testing.assert_array_equal(planes[0, :, 0, 0], stack)
    assert metadata.options == (("axes", "TYX"),)
    assert load_all(path, axes="ZYX", z=0)[1].n_z == 7


@pytest.mark.parametrize("axes", ["TCYX", "YX", "TXY", "QYX", "TTYX", ""])
def test_axes_that_do_not_fit_are_refused(tmp_path: Path, axes: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pixels(7, 9, 13), metadata=None, photometric="minisblack")
    with pytest.raises(InputError, match="does not fit"):
        load_microscopy_file(tmp_path / "a.tif", axes=axes)


def test_a_thumbnail_is_no_frame(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(pixels(40, 60), metadata=None)
        tiff.write(pixels(4, 6), metadata=None)
    planes, metadata = load_all(tmp_path / "a.tif")
    assert planes.shape == (1, 1, 1, 1, 40, 60)
    assert any("ignored as thumbnails" in warning for warning in metadata.warnings)

    with tifffile.TiffWriter(tmp_path / "b.tif") as tiff:
        tiff.write(pixels(40, 60), metadata=None)
        tiff.write(pixels(39, 60), metadata=None)
    with pytest.raises(InputError, match="page 0 is 40 × 60 of 16 bit, page 1 is 39 × 60"):
        load_microscopy_file(tmp_path / "b.tif")


def test_a_marked_pyramid_level_is_left_out_without_a_word(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(pixels(40, 60), subifds=1, metadata=None)
        tiff.write(pixels(20, 30), subfiletype=1, metadata=None)
    planes, metadata = load_all(tmp_path / "a.tif")
    assert planes.shape == (1, 1, 1, 1, 40, 60)
    assert metadata.warnings == ()


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_colour_image_is_refused(tmp_path: Path, planar: Any) -> None:
    shape = (9, 13, 3) if planar == "contig" else (3, 9, 13)
    colour = pixels(*shape, dtype="uint8")
    tifffile.imwrite(tmp_path / "a.tif", colour, photometric="rgb", planarconfig=planar)
    with pytest.raises(InputError, match="colour"):
        load_microscopy_file(tmp_path / "a.tif")


def test_strips_that_were_never_written_are_missing_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        blank = np.zeros((9, 13), np.uint16)
        tiff.write(pixels(9, 13), metadata=None)
        tiff.write(blank, metadata=None)
    with tifffile.TiffFile(path) as tiff:
        places = [tiff.pages[1].tags[name].valueoffset for name in ("StripOffsets",)]
    data = bytearray(path.read_bytes())
    for place in places:
        data[place : place + 4] = bytes(4)
    path.write_bytes(data)
    source, _ = load_microscopy_file(path, axes="TYX")
    with source:
        source.read_frame(0, 0, 0)
        with pytest.raises(MissingFrameError, match=r"FOV 0, channel 0, frame 1: .*never written"):
            source.read_frame(0, 0, 1)


def read_everything(path: Path) -> dict[tuple[int, ...], Array]:
    """Read what can be read; any other error than the two that are promised escapes."""
    planes: dict[tuple[int, ...], Array] = {}
    told = []
    try:
        source, metadata = load_microscopy_file(path)
    except InputError as error:
        told.append(str(error))
    else:
        with source:
            for fov, (n_frames, _, _) in enumerate(metadata.fov_shapes):
                for at in itertools.product([fov], range(metadata.n_channels), range(n_frames)):
                    try:
                        planes[at] = source.read_frame(*at)
                    except MissingFrameError as error:
                        told.append(str(error))
    assert all(path.name in message for message in told)
    return planes


def write_imagej(path: Path) -> None:
    tifffile.imwrite(path, pixels(4, 2, 9, 13), imagej=True, metadata={"axes": "TCYX"})


def write_axes(path: Path) -> None:
    about = {"axes": "PTCYX"}
    tifffile.imwrite(path, pixels(2, 4, 2, 9, 13), metadata=about, photometric="minisblack")


def write_packed(path: Path) -> None:
    options: dict[str, Any] = {"photometric": "minisblack", "rowsperstrip": 3}
    with tifffile.TiffWriter(path, bigtiff=True, byteorder=">") as tiff:
        stack = pixels(4, 2, 9, 13)
        tiff.write(stack, compression="zlib", metadata={"axes": "TCYX"}, **options)


def write_one(path: Path) -> None:
    tifffile.imwrite(path, pixels(9, 13), metadata=None)


def write_ome(path: Path) -> None:
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for position in pixels(2, 4, 2, 9, 13):
            tiff.write(position, metadata={"axes": "TCYX"}, photometric="minisblack")


DAMAGEABLE = [write_imagej, write_axes, write_packed, write_one, write_ome]


@pytest.mark.parametrize("write", DAMAGEABLE)
def test_a_file_cut_off_anywhere_gives_the_right_pixels_or_an_error_that_is_understood(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    whole, cut = tmp_path / "a.tif", tmp_path / "cut.tif"
    write(whole)
    data, right = whole.read_bytes(), read_everything(whole)
    assert right
    step = max(len(data) // 250, 1)
    for size in sorted({*range(0, len(data), step), *range(len(data) - 30, len(data))}):
        cut.write_bytes(data[:size])
        planes = read_everything(cut)
        assert set(planes) <= set(right)
        for at, plane in planes.items():
            np.testing.assert_array_equal(plane, right[at])


@pytest.mark.parametrize("write", DAMAGEABLE)
def test_a_damaged_byte_anywhere_never_gives_an_error_that_is_not_understood(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    whole, hurt = tmp_path / "a.tif", tmp_path / "hurt.tif"
    write(whole)
    data, rng = whole.read_bytes(), np.random.default_rng(0)
    places = [*range(0, 300, 2), *rng.integers(0, len(data), 150).tolist()]
    n_read = 0
    for place in places:
        flipped = data[place] ^ int(rng.integers(1, 256))
        hurt.write_bytes(data[:place] + bytes([flipped]) + data[place + 1 :])
        n_read += len(read_everything(hurt))
    assert n_read
