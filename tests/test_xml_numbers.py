"""Attributes of XML that are no numbers: lost with a warning, or told of in words."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ome_tiff_writer import image_xml, load_all, ome_xml, pixels, write_pages
from pyama_core.errors import InputError
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.readers.ome_xml import OmeXmlError, parse_ome_xml

SHAPE = (2, 1, 1, 9, 13)


def write(
    path: Path, content: str = "<TiffData/>", pixels_attributes: str = "", **how: str
) -> Path:
    xml = ome_xml(image_xml(SHAPE, content, pixels_attributes=pixels_attributes, **how))  # type: ignore[arg-type]
    write_pages(path, pixels(2, 9, 13), xml)
    return path


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ('PhysicalSizeX="0,65"', 'Pixels PhysicalSizeX is no number ("0,65") and is ignored'),
        ('PhysicalSizeX="0.65 µm"', 'Pixels PhysicalSizeX is no number ("0.65 µm") and is ignored'),
        ('PhysicalSizeX="6_5"', 'Pixels PhysicalSizeX is no number ("6_5") and is ignored'),
        ('PhysicalSizeZ="1,5"', 'Pixels PhysicalSizeZ is no number ("1,5") and is ignored'),
        ('TimeIncrement="5,0"', 'Pixels TimeIncrement is no number ("5,0") and is ignored'),
        ('SignificantBits="12.0"', 'Pixels SignificantBits is no number ("12.0") and is ignored'),
    ],
)
def test_an_optional_attribute_that_is_no_number_is_lost_with_a_warning(
    tmp_path: Path, attributes: str, told: str
) -> None:
    path = tmp_path / "a.ome.tif"
    xml = ome_xml(image_xml(SHAPE, "<TiffData/>", pixels_attributes=attributes)).encode()
    write_pages(path, pixels(2, 9, 13), xml)  # type: ignore[arg-type]
    images, metadata = load_all(path)
    assert (images[0][:, 0, 0] == pixels(2, 9, 13)).all()
    assert told in metadata.warnings
    assert (metadata.pixel_size_um, metadata.z_step_um, metadata.bit_depth) == (None, None, None)
    assert metadata.timepoints == ((None, None),)


def test_times_with_a_decimal_comma_are_unknown_and_told_of_once(tmp_path: Path) -> None:
    planes = "".join(f'<Plane TheT="{t}" TheC="0" TheZ="0" DeltaT="{t},5"/>' for t in range(2))
    _, metadata = load_all(write(tmp_path / "a.ome.tif", "<TiffData/>" + planes))
    assert metadata.timepoints == ((None, None),)
    assert 'Plane DeltaT is no number in 2 places ("0,5") and is ignored' in metadata.warnings


def test_a_time_of_a_plane_that_is_not_said_rightly_is_lost_alone(tmp_path: Path) -> None:
    planes = "".join(
        f'<Plane TheT="{t}" TheC="0" TheZ="0" DeltaT="{60 * i}"/>'
        for i, t in enumerate(("0", "1", "two"))
    )
    xml = ome_xml(image_xml((3, 1, 1, 9, 13), "<TiffData/>" + planes))
    write_pages(tmp_path / "a.ome.tif", pixels(3, 9, 13), xml)
    _, metadata = load_all(tmp_path / "a.ome.tif")
    assert metadata.timepoints == ((0.0, 1.0, None),)
    assert 'Plane TheT is no number ("two") and is ignored' in metadata.warnings


def test_channels_keep_their_names_where_their_wavelengths_are_no_numbers(tmp_path: Path) -> None:
    channels = '<Channel ID="c" Name="GFP" EmissionWavelength="509,0" SamplesPerPixel="one"/>'
    _, metadata = load_all(write(tmp_path / "a.ome.tif", channels=channels))
    assert (metadata.channel_names, metadata.emission_nm) == (("GFP",), ())
    assert 'Channel EmissionWavelength is no number ("509,0") and is ignored' in metadata.warnings


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ('SizeX="1e9"', 'has SizeX="1e9" in Pixels, expected a whole number'),
        ('SizeX="8.0"', 'has SizeX="8.0" in Pixels, expected a whole number'),
        ('SizeX=""', 'has SizeX="" in Pixels, expected a whole number'),
        ('SizeX="1_3"', 'has SizeX="1_3" in Pixels, expected a whole number'),
        ("", "has no SizeX in Pixels, expected a whole number"),
        ('SizeX="-8"', "has an image of the sizes"),
        (f'SizeX="{"9" * 5000}"', 'has SizeX="9999'),
    ],
)
def test_a_malformed_size_is_refused_in_words(tmp_path: Path, wrong: str, told: str) -> None:
    xml = ome_xml(image_xml(SHAPE, "<TiffData/>")).replace('SizeX="13"', wrong)
    write_pages(tmp_path / "a.ome.tif", pixels(2, 9, 13), xml)
    with pytest.raises(InputError) as refused:
        load_microscopy_file(tmp_path / "a.ome.tif")
    assert f"its OME-XML {told}" in str(refused.value)
    assert "int()" not in str(refused.value)
    assert len(str(refused.value)) < len(str(tmp_path)) + 200


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ('<TiffData IFD="1,0"/>', 'has IFD="1,0" in TiffData, expected a whole number'),
        ('<TiffData FirstT="x"/>', 'has FirstT="x" in TiffData, expected a whole number'),
        ('<TiffData PlaneCount="2.5"/>', 'has PlaneCount="2.5" in TiffData, expected'),
        ('<TiffData IFD="-1"/>', "has a TiffData of page -1"),
        (f'<TiffData IFD="{10**17}"/>', f"has a TiffData of page {10**17}"),
        (f'<TiffData IFD="{10**30}"/>', 'has IFD="1000'),
    ],
)
def test_a_place_of_a_plane_that_is_no_number_is_refused_in_words(data: str, told: str) -> None:
    with pytest.raises(OmeXmlError) as refused:
        parse_ome_xml(ome_xml(image_xml(SHAPE, data)))
    assert told in str(refused.value)


@given(text=st.text(st.characters(codec="utf-8", exclude_characters='<&"'), max_size=30))
def test_any_text_in_any_attribute_is_read_or_refused_in_words(text: str) -> None:
    whole = ome_xml(
        image_xml(
            SHAPE,
            '<TiffData FirstT="0" IFD="0" PlaneCount="1"/><Plane TheT="0" TheC="0" TheZ="0" '
            'DeltaT="1" PositionX="1" PositionXUnit="µm"/>',
            pixels_attributes='PhysicalSizeX="1" TimeIncrement="1" SignificantBits="12"',
        )
    )
    for name in ("SizeX", "SizeT", "Type", "FirstT", "IFD", "PlaneCount", "DeltaT", "TheT"):
        before, _, rest = whole.partition(f'{name}="')
        with contextlib.suppress(OmeXmlError):
            found = parse_ome_xml(f'{before}{name}="{text}"{rest.partition(chr(34))[2]}')
            assert found.images[0].ifd.shape == found.images[0].shape[:3]
