"""Planes that an OME-TIFF has and its metadata leave out are told of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from mm_stack_writer import write_mm_stack
from ome_tiff_writer import image_xml, load_all, ome_xml, pixels, tiff_data, write_pages
from pyama_core.errors import MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file

LEFT_OUT = "planes lie beyond the announced sizes and are left out"


def warnings_of(path: Path) -> str:
    return "\n".join(load_all(path, z=0)[1].warnings)


@pytest.mark.parametrize(
    ("shape", "places", "told", "reach"),
    [
        ((3, 1, 1), [(t, c, 0) for t in range(3) for c in range(2)], "SizeC is 1", 2),
        ((3, 1, 1), [(t, 0, 0) for t in range(6)], "SizeT is 3", 6),
        ((3, 1, 1), [(t, 0, z) for t in range(3) for z in range(2)], "SizeZ is 1", 2),
    ],
)
def test_planes_beyond_the_sizes_are_counted_and_the_size_named(
    tmp_path: Path,
    shape: tuple[int, ...],
    places: list[tuple[int, int, int]],
    told: str,
    reach: int,
) -> None:
    stack = pixels(6, 9, 13)
    data = [tiff_data(i, FirstT=t, FirstC=c, FirstZ=z) for i, (t, c, z) in enumerate(places)]
    write_pages(tmp_path / "a.ome.tif", stack, ome_xml(image_xml((*shape, 9, 13), "".join(data))))
    images, metadata = load_all(tmp_path / "a.ome.tif")
    inside = [i for i, (t, c, z) in enumerate(places) if t < 3 and c == z == 0]
    np.testing.assert_array_equal(images[0][:, 0, 0], stack[inside])
    (warning,) = [warning for warning in metadata.warnings if LEFT_OUT in warning]
    assert warning.startswith(f"3 {LEFT_OUT} ({told}, planes are named up to {reach})")
    assert "tiffcomment" in warning
    assert "pages of a.ome.tif belong to no plane" not in "\n".join(metadata.warnings)


def test_a_count_that_runs_beyond_the_sizes_is_told_of(tmp_path: Path) -> None:
    xml = ome_xml(image_xml((3, 1, 1, 9, 13), '<TiffData IFD="0" PlaneCount="7"/>'))
    write_pages(tmp_path / "a.ome.tif", pixels(7, 9, 13), xml)
    assert f"4 {LEFT_OUT} (SizeT is 3, planes are named up to 7)" in warnings_of(
        tmp_path / "a.ome.tif"
    )


def test_planes_beyond_the_sizes_of_several_images_are_told_of_together(tmp_path: Path) -> None:
    data = [f'<TiffData IFD="{4 * fov}" PlaneCount="4"/>' for fov in range(2)]
    xml = ome_xml(*(image_xml((3, 1, 1, 9, 13), part) for part in data))
    write_pages(tmp_path / "a.ome.tif", pixels(8, 9, 13), xml)
    assert "2 planes of 2 images lie beyond the announced sizes" in warnings_of(
        tmp_path / "a.ome.tif"
    )


def test_pages_that_no_element_names_are_told_of(tmp_path: Path) -> None:
    data = "".join(tiff_data(2 * t, FirstT=t) for t in range(3))
    xml = ome_xml(image_xml((3, 1, 1, 9, 13), data))
    write_pages(tmp_path / "a.ome.tif", pixels(6, 9, 13), xml)
    assert "3 pages of a.ome.tif belong to no plane by its OME-XML and are left out" in warnings_of(
        tmp_path / "a.ome.tif"
    )


def test_levels_of_a_pyramid_and_what_is_whole_are_not_spoken_of(tmp_path: Path) -> None:
    stack = pixels(2, 64, 48)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=False) as tiff:
        xml = ome_xml(image_xml((2, 1, 1, 64, 48), "<TiffData/>"))
        for t, plane in enumerate(stack):
            tiff.write(plane, description=xml if t == 0 else None, metadata=None)
        tiff.write(stack[0, ::2, ::2], subfiletype=1, metadata=None)
    tifffile.imwrite(tmp_path / "b.ome.tif", stack, metadata={"axes": "TYX"})
    for name in ("a.ome.tif", "b.ome.tif"):
        assert "left out" not in warnings_of(tmp_path / name)
        assert "the page of another plane" not in warnings_of(tmp_path / name)


def test_the_first_plane_that_is_said_to_be_on_a_page_has_it_and_no_other(tmp_path: Path) -> None:
    data = "".join(tiff_data(max(t - 1, 0), FirstT=t) for t in range(3))
    xml = ome_xml(image_xml((3, 1, 1, 9, 13), data))
    stack = pixels(2, 9, 13)
    write_pages(tmp_path / "a.ome.tif", stack, xml)
    source, about = load_microscopy_file(tmp_path / "a.ome.tif")
    with source:
        told = "1 planes are said to be on the page of another plane and are missing"
        assert any(warning.startswith(told) for warning in about.warnings)
        np.testing.assert_array_equal(source.read_frame(0, 0, 0), stack[0])
        np.testing.assert_array_equal(source.read_frame(0, 0, 2), stack[1])
        with pytest.raises(MissingFrameError, match="frame 1"):
            source.read_frame(0, 0, 1)


def test_positions_on_the_pages_of_another_one_have_none(tmp_path: Path) -> None:
    described = image_xml((3, 1, 1, 9, 13), '<TiffData IFD="0" PlaneCount="3"/>')
    stack = pixels(3, 9, 13)
    write_pages(tmp_path / "a.ome.tif", stack, ome_xml(described, described))
    source, about = load_microscopy_file(tmp_path / "a.ome.tif")
    with source:
        assert [shape[0] for shape in about.fov_shapes] == [3, 0]
        np.testing.assert_array_equal(source.read_frame(0, 0, 2), stack[2])


@pytest.mark.parametrize("stand_ins", ["behind", "before"])
def test_a_channel_that_micro_manager_skipped_is_missing_and_no_copy_of_another_frame(
    tmp_path: Path, stand_ins: str
) -> None:
    stack = pixels(4, 2, 9, 13)
    taken = [(t, c) for t, c in np.ndindex(4, 2) if c == 0 or t % 2 == 0]
    page = {at: number for number, at in enumerate(taken)}
    real = [tiff_data(page[t, c], FirstT=t, FirstC=c) for t, c in taken]
    # Of the frames without the second channel, Micro-Manager names the page of the one before.
    others = [tiff_data(page[t - 1, 1], FirstT=t, FirstC=1) for t in (1, 3)]
    data = "".join([*real, *others] if stand_ins == "behind" else [*others, *real])
    write_mm_stack(
        tmp_path / "run_MMStack_Pos0.ome.tif",
        {(0, t, c, 0): stack[t, c] for t, c in taken},
        summary={"Channels": 2, "Frames": 4},
        description=ome_xml(image_xml((4, 2, 1, 9, 13), data)),
    )
    source, about = load_microscopy_file(tmp_path / "run_MMStack_Pos0.ome.tif")
    with source:
        assert about.file_type == "ome-tiff"
        for t, c in np.ndindex(about.fov_shapes[0][0], 2):
            try:
                np.testing.assert_array_equal(source.read_frame(0, c, t), stack[t, c])
            except MissingFrameError:
                assert c == 1
                assert t % 2 or stand_ins == "before"
                continue
            assert (t, c) in taken
