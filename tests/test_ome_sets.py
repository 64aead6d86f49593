"""OME-TIFF sets of any kind: a plane that is read is the one that was written for its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from ome_tiff_writer import image_xml, load_all, ome_xml, pixels, tiff_data, write_pages
from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 2), st.integers(1, 2))


def plane_of(place: int) -> np.ndarray:
    return np.full((9, 13), 1000 + place, np.uint16)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), sizes=SIZES, n_files=st.integers(1, 4))
def test_no_pixel_of_another_place_is_ever_read(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    sizes: tuple[int, int, int],
    n_files: int,
) -> None:
    folder = tmp_path_factory.mktemp("set")
    n_planes = int(np.prod(sizes))
    order = data.draw(st.permutations(range(n_planes)))
    owners = data.draw(st.lists(st.integers(0, n_files - 1), min_size=n_planes, max_size=n_planes))
    styles = st.sampled_from(["name", "uuid", "both"])
    kinds = data.draw(st.lists(styles, min_size=n_files, max_size=n_files))
    pages: list[list[int]] = [[] for _ in range(n_files)]
    elements = []
    for place in order:
        t, c, z = np.unravel_index(place, sizes)
        owner = owners[place]
        name = f"f{owner}.ome.tif" if kinds[owner] != "uuid" else ""
        uuid = f"urn:uuid:{owner}" if kinds[owner] != "name" else ""
        at = {"FirstT": int(t), "FirstC": int(c), "FirstZ": int(z)}
        elements.append(tiff_data(len(pages[owner]), uuid, name, **at))
        pages[owner].append(place)
    described = image_xml((*sizes, 9, 13), "".join(elements))
    written = [owner for owner in range(n_files) if pages[owner]]
    roots = {owner: data.draw(st.booleans()) for owner in written}
    for owner in written:
        xml = ome_xml(described, uuid=f"urn:uuid:{owner}" if roots[owner] else "")
        stack = np.stack([plane_of(place) for place in pages[owner]])
        write_pages(folder / f"f{owner}.ome.tif", stack, xml)
    lost = [owner for owner in written[1:] if data.draw(st.booleans())]
    renamed = [owner for owner in written if owner not in lost and data.draw(st.booleans())]
    names = [f"f{owner}.ome.tif" for owner in renamed]
    new_names = data.draw(st.permutations([*names, "x.ome.tif"]))[: len(names)]
    for name in names:
        (folder / name).rename(folder / f"{name}.old")
    for name, new_name in zip(names, new_names, strict=True):
        (folder / f"{name}.old").rename(folder / new_name)
    for owner in lost:
        (folder / f"f{owner}.ome.tif").unlink(missing_ok=owner in renamed)
    # Where names alone tell files apart and somebody swapped the names, nobody can know.
    told = not renamed or (all(roots.values()) and "name" not in kinds)
    is_whole = not lost and not renamed and all(roots.values())
    for path in folder.iterdir() if told else ():
        assert count_right(path, sizes) == n_planes or not is_whole


def count_right(path: Path, sizes: tuple[int, int, int]) -> int:
    """Count the planes that are read, each of which must be the right one."""
    n_right = 0
    try:
        source, about = load_microscopy_file(path, z=0)
    except InputError:
        return n_right
    with source:
        for place, (t, c, z) in enumerate(np.ndindex(*sizes)):
            if t < about.n_frames:
                try:
                    frame = source.read_frame(0, c, t, z)
                except MissingFrameError:
                    continue
                np.testing.assert_array_equal(frame, plane_of(place))
                n_right += 1
    return n_right


@pytest.mark.parametrize("are_named", [True, False])
def test_all_pages_are_read_in_a_row_where_axes_and_sizes_are_given(
    tmp_path: Path, are_named: bool
) -> None:
    stack = pixels(6, 9, 13)
    places = np.ndindex(3, 2 if are_named else 1)
    elements = "".join(tiff_data(2 * t + c, FirstT=t, FirstC=c) for t, c in places)
    write_pages(tmp_path / "a.ome.tif", stack, ome_xml(image_xml((3, 1, 1, 9, 13), elements)))
    assert "--axes TCYX --sizes" in "\n".join(load_all(tmp_path / "a.ome.tif")[1].warnings)
    images, metadata = load_all(tmp_path / "a.ome.tif", axes="TCYX", sizes=(3, 2))
    np.testing.assert_array_equal(images[0].reshape(6, 9, 13), stack)
    assert (metadata.file_type, metadata.n_channels) == ("tiff", 2)
    with pytest.raises(InputError, match="do not fit"):
        load_microscopy_file(tmp_path / "a.ome.tif", axes="TCYX", sizes=(3, 3))


def test_the_sizes_in_the_ome_xml_can_be_corrected_as_the_warning_says(tmp_path: Path) -> None:
    stack = pixels(6, 9, 13)
    elements = "".join(tiff_data(2 * t + c, FirstT=t, FirstC=c) for t, c in np.ndindex(3, 2))
    xml = ome_xml(image_xml((3, 1, 1, 9, 13), elements))
    write_pages(tmp_path / "a.ome.tif", stack, xml)
    assert "tifffile.tiffcomment" in "\n".join(load_all(tmp_path / "a.ome.tif")[1].warnings)
    tifffile.tiffcomment(tmp_path / "a.ome.tif", xml.replace('SizeC="1"', 'SizeC="2"'))
    images, metadata = load_all(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(images[0].reshape(6, 9, 13), stack)
    assert not any("left out" in told for told in metadata.warnings)
