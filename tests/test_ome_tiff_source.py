"""OME-TIFF: what tifffile writes, and what others write, against tifffile's own reading."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from ome_tiff_writer import (
    image_xml,
    load_all,
    ome_xml,
    pixels,
    tiff_data,
    write_pages,
    write_set,
)
from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.readers.ome_xml import OmeXmlError, parse_ome_xml
from pyama_core.io.readers.tiff import pages as tiff_pages

ORDERS = ["XY" + "".join(order) for order in itertools.permutations("CZT")]


@settings(max_examples=30, deadline=None)
@given(
    n_fovs=st.integers(1, 3),
    axes=st.permutations("TCZ"),
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    dtype=st.sampled_from(["uint8", "uint16", "int16", "float32", "float64"]),
    compression=st.sampled_from([None, "zlib", "zstd", "lzw"]),
    bigtiff=st.booleans(),
    byteorder=st.sampled_from(["<", ">"]),
    tile=st.sampled_from([None, (16, 16)]),
)
def test_every_plane_is_what_tifffile_gives(
    tmp_path_factory: pytest.TempPathFactory,
    n_fovs: int,
    axes: Sequence[str],
    sizes: tuple[int, int, int],
    dtype: str,
    compression: str | None,
    bigtiff: bool,
    byteorder: Any,
    tile: Any,
) -> None:
    path = tmp_path_factory.mktemp("ome") / "a.ome.tif"
    stack = pixels(n_fovs, *sizes, 20, 31, dtype=dtype)
    options = {"compression": compression, "tile": tile, "photometric": "minisblack"}
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=byteorder) as tiff:
        for fov, position in enumerate(stack):
            about = {"axes": "".join(axes) + "YX", "Name": f"well {fov}"}
            tiff.write(position, metadata=about, **options)  # type: ignore[arg-type]
    images, metadata = load_all(path, z=0)
    order = [list(axes).index(axis) for axis in "TCZ"]
    with tifffile.TiffFile(path) as tiff:
        for fov, image in enumerate(images):
            series = tiff.series[fov].asarray(squeeze=False).squeeze()
            expected = stack[fov].transpose(*order, 3, 4)
            np.testing.assert_array_equal(image, expected)
            np.testing.assert_array_equal(series.squeeze(), stack[fov].squeeze())
    assert metadata.fov_names == tuple(f"well {fov}" for fov in range(n_fovs))
    assert metadata.file_type == "ome-tiff"
    assert metadata.dtype == dtype


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_dimensions_is_the_one_the_file_states(tmp_path: Path, order: str) -> None:
    size = {"T": 3, "C": 2, "Z": 4}
    stack = pixels(*(size[axis] for axis in order[:1:-1]), 9, 13)
    xml = ome_xml(image_xml((3, 2, 4, 9, 13), "<TiffData/>", order=order))
    write_pages(tmp_path / "a.ome.tif", stack.reshape(-1, 9, 13), xml)
    images, _ = load_all(tmp_path / "a.ome.tif")
    expected = stack.transpose([order[:1:-1].index(axis) for axis in "TCZ"] + [3, 4])
    np.testing.assert_array_equal(images[0], expected)


@pytest.mark.parametrize(
    ("unit", "per_minute"), [("", 60), ("s", 60), ("ms", 60_000), ("min", 1), ("h", 1 / 60)]
)
def test_plane_times_are_taken_in_their_unit_and_from_the_earliest_field_of_view(
    tmp_path: Path, unit: str, per_minute: float
) -> None:
    minutes = np.array([[[3.0, 3.5], [8.0, 8.5]], [[2.0, 2.5], [7.0, 7.5]]])
    said = f'DeltaTUnit="{unit}"' if unit else ""
    images = []
    for fov, times in enumerate(minutes):
        planes = "".join(
            f'<Plane TheT="{t}" TheC="{c}" TheZ="0" DeltaT="{times[t, c] * per_minute}" {said}/>'
            for t, c in np.ndindex(2, 2)
        )
        data = f'<TiffData IFD="{4 * fov}" PlaneCount="4"/>'
        interval = 'TimeIncrement="9"'
        images.append(image_xml((2, 2, 1, 9, 13), data + planes, pixels_attributes=interval))
    write_pages(tmp_path / "a.ome.tif", pixels(8, 9, 13), ome_xml(*images))
    _, metadata = load_all(tmp_path / "a.ome.tif")
    assert metadata.timepoints == ((1.0, 6.0), (0.0, 5.0))
    assert metadata.timepoints_source == "measured"


@pytest.mark.parametrize(
    ("attributes", "interval", "source"),
    [
        ('TimeIncrement="90"', 1.5, "nominal"),
        ('TimeIncrement="2" TimeIncrementUnit="min"', 2.0, "nominal"),
        ('TimeIncrement="0"', None, "unknown"),
        ('TimeIncrement="2" TimeIncrementUnit="fortnight"', None, "unknown"),
        ("", None, "unknown"),
    ],
)
def test_without_plane_times_the_increment_is_nominal_and_nothing_is_made_up(
    tmp_path: Path, attributes: str, interval: float | None, source: str
) -> None:
    xml = ome_xml(image_xml((3, 1, 1, 9, 13), "<TiffData/>", pixels_attributes=attributes))
    write_pages(tmp_path / "a.ome.tif", pixels(3, 9, 13), xml)
    _, metadata = load_all(tmp_path / "a.ome.tif")
    expected = [None if interval is None else frame * interval for frame in range(3)]
    assert list(metadata.timepoints[0]) == expected
    assert metadata.timepoints_source == source
    assert metadata.warnings


def test_a_frame_without_a_plane_time_has_none(tmp_path: Path) -> None:
    planes = "".join(f'<Plane TheT="{t}" TheC="0" TheZ="0" DeltaT="{60 * t}"/>' for t in (0, 2))
    xml = ome_xml(image_xml((3, 1, 1, 9, 13), "<TiffData/>" + planes))
    write_pages(tmp_path / "a.ome.tif", pixels(3, 9, 13), xml)
    _, metadata = load_all(tmp_path / "a.ome.tif")
    assert metadata.timepoints == ((0.0, None, 2.0),)
    assert "1 of 3 frames have no time in the file" in metadata.warnings


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('PhysicalSizeX="0.65"', 0.65),
        ('PhysicalSizeX="650" PhysicalSizeXUnit="nm"', 0.65),
        ('PhysicalSizeX="0.65" PhysicalSizeXUnit="µm"', 0.65),
        ('PhysicalSizeX="0.65" PhysicalSizeXUnit="pixel"', None),
        ('PhysicalSizeX="0"', None),
        ("", None),
    ],
)
def test_the_pixel_size_is_taken_in_its_unit(
    tmp_path: Path, attributes: str, size: float | None
) -> None:
    xml = ome_xml(image_xml((1, 1, 1, 9, 13), "<TiffData/>", pixels_attributes=attributes))
    # A TIFF tag is ASCII, but OME-XML in it is UTF-8.
    write_pages(tmp_path / "a.ome.tif", pixels(1, 9, 13), xml.encode())  # type: ignore[arg-type]
    _, metadata = load_all(tmp_path / "a.ome.tif")
    assert metadata.pixel_size_um == (None if size is None else pytest.approx(size))


def test_channels_and_images_have_their_names_or_a_number(tmp_path: Path) -> None:
    channels = '<Channel ID="Channel:0:0" Name="phase"/><Channel ID="Channel:0:1"/>'
    data = '<TiffData IFD="0" PlaneCount="2"/>', '<TiffData IFD="2" PlaneCount="2"/>'
    shape = (1, 2, 1, 9, 13)
    named = image_xml(shape, data[0], name="B2 – 1", channels=channels)
    xml = ome_xml(named, image_xml(shape, data[1], channels=channels))
    write_pages(tmp_path / "a.ome.tif", pixels(4, 9, 13), xml.encode())  # type: ignore[arg-type]
    images, metadata = load_all(tmp_path / "a.ome.tif")
    assert metadata.channel_names == ("phase", "Channel 1")
    assert metadata.fov_names == ("B2 – 1", "FOV 1")
    np.testing.assert_array_equal(images[1][0, :, 0], pixels(4, 9, 13)[2:])


def test_images_of_unequal_size_and_length_keep_their_own(tmp_path: Path) -> None:
    shapes = [(3, 2, 1, 9, 13), (2, 2, 1, 20, 7)]
    stacks = [pixels(*shape) for shape in shapes]
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
        for stack in stacks:
            tiff.write(stack, metadata={"axes": "TCZYX"}, photometric="minisblack")
    images, metadata = load_all(tmp_path / "a.ome.tif")
    for image, stack in zip(images, stacks, strict=True):
        np.testing.assert_array_equal(image, stack)
    assert metadata.fov_shapes == ((3, 9, 13), (2, 20, 7))
    assert (metadata.n_frames, metadata.height, metadata.width) == (3, 20, 13)


def test_images_that_differ_in_pixel_type_or_channels_are_refused(tmp_path: Path) -> None:
    for other in (pixels(3, 2, 9, 13, dtype="uint8"), pixels(3, 1, 9, 13)):
        with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
            for stack in (pixels(3, 2, 9, 13), other):
                tiff.write(stack, metadata={"axes": "TCYX"}, photometric="minisblack")
        with pytest.raises(InputError, match="expected the same pixel type, channels"):
            load_microscopy_file(tmp_path / "a.ome.tif")


def test_pyramid_levels_and_thumbnails_are_no_fields_of_view(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
        stack = pixels(2, 64, 48)
        tiff.write(stack, subifds=1, metadata={"axes": "TYX"}, photometric="minisblack")
        tiff.write(stack[:, ::2, ::2], subfiletype=1, photometric="minisblack")
        tiff.write(pixels(8, 6), subfiletype=1, photometric="minisblack")
        tiff.write(pixels(8, 7, dtype="uint8"), metadata={"Name": "Label image"})
    images, metadata = load_all(tmp_path / "a.ome.tif")
    assert metadata.fov_shapes == ((2, 64, 48),)
    np.testing.assert_array_equal(images[0][:, 0, 0], stack)
    assert "2 images are ignored as thumbnails" in metadata.warnings


def test_a_colour_image_is_refused(tmp_path: Path) -> None:
    colour = pixels(9, 13, 3, dtype="uint8")
    tifffile.imwrite(tmp_path / "a.ome.tif", colour, photometric="rgb")
    with pytest.raises(InputError, match="colour"):
        load_microscopy_file(tmp_path / "a.ome.tif")


def test_a_stopped_acquisition_has_the_frames_that_are_whole(tmp_path: Path) -> None:
    listed = [tiff_data(i, FirstT=i // 2, FirstC=i % 2) for i in range(5)]
    xml = ome_xml(image_xml((4, 2, 1, 9, 13), "".join(listed)))
    write_pages(tmp_path / "a.ome.tif", pixels(5, 9, 13), xml)
    images, metadata = load_all(tmp_path / "a.ome.tif")
    assert metadata.fov_shapes == ((2, 9, 13),)
    np.testing.assert_array_equal(images[0].reshape(4, 9, 13), pixels(5, 9, 13)[:4])
    assert "frames are missing at the end, FOV 0 has 2 of 4" in metadata.warnings


def test_a_plane_without_a_page_is_a_missing_frame(tmp_path: Path) -> None:
    listed = [tiff_data(i, FirstT=t) for i, t in enumerate((0, 2, 3))]
    # Left over from before the image was cropped; names no plane of it.
    listed.append(tiff_data(0, FirstT=7))
    xml = ome_xml(image_xml((4, 1, 1, 9, 13), "".join(listed)))
    write_pages(tmp_path / "a.ome.tif", pixels(3, 9, 13), xml)
    source, metadata = load_microscopy_file(tmp_path / "a.ome.tif")
    with source:
        np.testing.assert_array_equal(source.read_frame(0, 0, 3), pixels(3, 9, 13)[2])
        with pytest.raises(MissingFrameError, match=r"a\.ome\.tif lacks FOV 0, channel 0, frame 1"):
            source.read_frame(0, 0, 1)
    assert "planes are missing, FOV 0 in frames 1" in metadata.warnings


def test_a_page_that_is_not_what_was_announced_is_a_missing_frame(tmp_path: Path) -> None:
    xml = ome_xml(image_xml((2, 1, 1, 9, 13), "<TiffData/>", dtype="uint8"))
    write_pages(tmp_path / "a.ome.tif", pixels(2, 9, 13), xml)
    source, _ = load_microscopy_file(tmp_path / "a.ome.tif")
    with source, pytest.raises(MissingFrameError, match=r"\(9, 13\) uint16, expected .* uint8"):
        source.read_frame(0, 0, 0)


def test_files_that_belong_together_are_read_through_any_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff_pages, "MAX_OPEN_FILES", 2)
    stack = write_set(tmp_path, 5)
    for t in (0, 3):
        path = tmp_path / f"t{t}.ome.tif"
        images, metadata = load_all(path)
        np.testing.assert_array_equal(images[0][:, :, 0], stack)
        assert metadata.file_path == path
        assert metadata.companions[0] == path
        assert set(metadata.companions) == set(tmp_path.iterdir())


def test_a_file_of_the_set_that_is_not_there_is_said(tmp_path: Path) -> None:
    stack = write_set(tmp_path, 5)
    (tmp_path / "t2.ome.tif").unlink()
    source, metadata = load_microscopy_file(tmp_path / "t0.ome.tif")
    with source:
        np.testing.assert_array_equal(source.read_frame(0, 1, 4), stack[4, 1])
        with pytest.raises(MissingFrameError, match=r"its file t2\.ome\.tif is not there"):
            source.read_frame(0, 1, 2)
    assert any("1 files of the data set are not there" in told for told in metadata.warnings)
    (tmp_path / "t3.ome.tif").write_bytes(b"II*\0")
    source, _ = load_microscopy_file(tmp_path / "t0.ome.tif")
    with source, pytest.raises(MissingFrameError, match=r"t3\.ome\.tif is a damaged"):
        source.read_frame(0, 0, 3)


def test_a_renamed_file_is_still_itself(tmp_path: Path) -> None:
    stack = write_set(tmp_path, 1)
    (tmp_path / "t0.ome.tif").rename(tmp_path / "renamed.ome.tif")
    images, metadata = load_all(tmp_path / "renamed.ome.tif")
    np.testing.assert_array_equal(images[0][:, :, 0], stack)
    assert not any("not there" in told for told in metadata.warnings)


def test_a_file_that_only_points_to_its_metadata_is_followed(tmp_path: Path) -> None:
    stack = pixels(2, 2, 9, 13)
    data = [
        tiff_data(c, f"urn:uuid:{t}", f"t{t}.ome.tif", FirstT=t, FirstC=c)
        for t, c in np.ndindex(2, 2)
    ]
    pointer = '<BinaryOnly MetadataFile="run.companion.ome" UUID="urn:uuid:m"/>'
    for t in range(2):
        write_pages(tmp_path / f"t{t}.ome.tif", stack[t], ome_xml(pointer, uuid=f"urn:uuid:{t}"))
    with pytest.raises(InputError, match=r"keeps its metadata in run\.companion\.ome"):
        load_microscopy_file(tmp_path / "t1.ome.tif")
    described = ome_xml(image_xml((2, 2, 1, 9, 13), "".join(data), name="Ä"), uuid="urn:uuid:m")
    (tmp_path / "run.companion.ome").write_text(described, encoding="utf-8")
    for name, base in (("t1.ome.tif", "t1"), ("run.companion.ome", "run")):
        images, metadata = load_all(tmp_path / name)
        np.testing.assert_array_equal(images[0][:, :, 0], stack)
        assert metadata.base_name == base
        assert metadata.fov_names == ("Ä",)
        assert set(metadata.companions) == set(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("xml", "told"),
    [
        ("<OME", "not well-formed"),
        ('<?xml version="1.0"?><Other/>', "begins with 'Other'"),
        (
            ome_xml(image_xml((1, 1, 1, 9, 13), order="XYCZ")),
            'DimensionOrder="XYCZ" in Pixels, expected XY',
        ),
        (ome_xml(image_xml((0, 1, 1, 9, 13))), "the sizes"),
        (ome_xml(image_xml((10**6, 10**6, 1, 9, 13), channels="")), "the sizes"),
        (ome_xml(image_xml((1, 1, 1, 9, 13), dtype="octonion")), "octonion"),
        (ome_xml("<Image><Pixels/></Image>"), "DimensionOrder"),
        (
            ome_xml(image_xml((1, 1, 1, 9, 13), '<TiffData IFD="first"/>')),
            'IFD="first" in TiffData, expected',
        ),
    ],
)
def test_ome_xml_that_cannot_be_followed_is_refused(tmp_path: Path, xml: str, told: str) -> None:
    with pytest.raises(OmeXmlError, match=told):
        parse_ome_xml(xml)
    (tmp_path / "a.companion.ome").write_text(xml)
    with pytest.raises(InputError, match=told):
        load_microscopy_file(tmp_path / "a.companion.ome")


def test_ome_xml_without_images_or_planes_is_refused(tmp_path: Path) -> None:
    write_pages(tmp_path / "a.ome.tif", pixels(1, 9, 13), ome_xml())
    with pytest.raises(InputError, match="without an image"):
        load_microscopy_file(tmp_path / "a.ome.tif")
    xml = ome_xml(image_xml((1, 1, 1, 9, 13)))
    write_pages(tmp_path / "a.ome.tif", pixels(1, 9, 13), xml)
    with pytest.raises(InputError, match="no complete frame"):
        load_microscopy_file(tmp_path / "a.ome.tif")


@pytest.mark.parametrize("compression", ["jpeg2000", "zstd", "lzw", "zlib"])
def test_compressed_planes_are_what_tifffile_gives(tmp_path: Path, compression: str) -> None:
    stack = np.random.default_rng(7).integers(0, 4096, (3, 2, 64, 48), dtype=np.uint16)
    path = tmp_path / "a.ome.tif"
    about = {"axes": "TCYX"}
    tifffile.imwrite(path, stack, metadata=about, photometric="minisblack", compression=compression)
    expected = tifffile.imread(path)
    source, _ = load_microscopy_file(path)
    with source:
        for t, c in np.ndindex(3, 2):
            np.testing.assert_array_equal(source.read_frame(0, c, t), expected[t, c])


def test_what_a_file_says_of_light_depth_and_stage_is_kept(tmp_path: Path) -> None:
    stack = np.zeros((2, 2, 3, 8, 8), np.uint16)
    about = {
        "axes": "TCZYX",
        "SignificantBits": 12,
        "PhysicalSizeZ": 1500.0,
        "PhysicalSizeZUnit": "nm",
        "Channel": {"Name": ["PC", "GFP"], "EmissionWavelength": [0.61, 0.509],
                    "EmissionWavelengthUnit": ["µm", "µm"]},
        "Plane": {"PositionX": [1.5] * 12, "PositionXUnit": ["mm"] * 12,
                  "PositionY": [-20.0] * 12, "PositionYUnit": ["µm"] * 12},
    }  # fmt: skip
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, metadata=about, photometric="minisblack")
    source, metadata = load_microscopy_file(tmp_path / "a.ome.tif", z=0)
    source.close()
    assert metadata.bit_depth == 12
    assert metadata.z_step_um == pytest.approx(1.5)
    assert metadata.emission_nm == pytest.approx((610, 509))
    assert metadata.stage_positions_um == ((pytest.approx(1500), -20, None),)


def test_a_stage_position_without_a_unit_of_length_is_none(tmp_path: Path) -> None:
    about = {"axes": "TYX", "Plane": {"PositionX": [1.5] * 2, "PositionY": [2.5] * 2}}
    tifffile.imwrite(
        tmp_path / "a.ome.tif", np.zeros((2, 8, 8), np.uint16), metadata=about,
        photometric="minisblack",
    )  # fmt: skip
    source, metadata = load_microscopy_file(tmp_path / "a.ome.tif")
    source.close()
    assert metadata.stage_positions_um == ()
