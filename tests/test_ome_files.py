"""Which file a plane of an OME-TIFF is in: by identifier, by name, and never by chance."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from ome_tiff_writer import (
    Array,
    image_xml,
    load_all,
    ome_xml,
    pixels,
    tiff_data,
    write_pages,
    write_set,
)
from pyama_core.cli.app import app
from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file, open_source
from pyama_core.io.readers.companions import Surroundings
from pyama_core.io.readers.ome_tiff.uuids import files_by_uuid
from pyama_core.processing.workflow.configuration import load_config


def write_nameless_set(folder: Path, n_files: int, *, root: bool = True, **options: Any) -> Array:
    """Write a file per frame; each knows the others by their identifiers alone."""
    stack = pixels(n_files, 9, 13)
    data = "".join(tiff_data(0, f"urn:uuid:{t}", FirstT=t) for t in range(n_files))
    for t in range(n_files):
        xml = ome_xml(image_xml((n_files, 1, 1, 9, 13), data), uuid=f"urn:uuid:{t}" if root else "")
        write_pages(folder / f"t{t}.ome.tif", stack[t : t + 1], xml, **options)
    return stack


@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}])
def test_files_known_by_identifier_alone_are_found_beside(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    import tifffile

    stack = pixels(3, 9, 13)
    data = "".join(tiff_data(0, f"urn:uuid:{t}", FirstT=t) for t in range(3))
    for t in range(3):
        xml = ome_xml(image_xml((3, 1, 1, 9, 13), data), uuid=f"urn:uuid:{t}")
        with tifffile.TiffWriter(tmp_path / f"x {t}.tif", ome=False, **options) as tiff:
            tiff.write(stack[t], description=xml, metadata=None)
    for t in (0, 2):
        images, metadata = load_all(tmp_path / f"x {t}.tif")
        np.testing.assert_array_equal(images[0][:, 0, 0], stack)
        assert set(metadata.companions) == set(tmp_path.iterdir())


def test_a_file_known_by_identifier_that_is_not_there_is_missing_and_named(tmp_path: Path) -> None:
    stack = write_nameless_set(tmp_path, 3)
    (tmp_path / "t1.ome.tif").unlink()
    source, metadata = load_microscopy_file(tmp_path / "t0.ome.tif")
    with source:
        np.testing.assert_array_equal(source.read_frame(0, 0, 2), stack[2])
        with pytest.raises(MissingFrameError, match="identifier urn:uuid:1 is not beside it"):
            source.read_frame(0, 0, 1)
    assert any("with the identifier urn:uuid:1" in told for told in metadata.warnings)


def test_a_copy_of_a_file_leaves_open_which_is_meant_and_is_missing(tmp_path: Path) -> None:
    write_nameless_set(tmp_path, 2)
    (tmp_path / "copy.ome.tif").write_bytes((tmp_path / "t1.ome.tif").read_bytes())
    _, metadata = load_all(tmp_path / "t0.ome.tif")
    assert metadata.fov_shapes == ((1, 9, 13),)
    assert any("with the identifier urn:uuid:1" in told for told in metadata.warnings)


def test_without_an_identifier_of_its_own_no_file_of_several_is_taken_for_itself(
    tmp_path: Path,
) -> None:
    write_nameless_set(tmp_path, 2, root=False)
    with pytest.raises(InputError, match="with the identifier urn:uuid:0 is not beside it"):
        load_microscopy_file(tmp_path / "t0.ome.tif")


def test_a_plane_of_one_other_file_is_not_read_from_this_one(tmp_path: Path) -> None:
    data = tiff_data(0, "urn:uuid:other", "other.ome.tif")
    xml = ome_xml(image_xml((1, 1, 1, 9, 13), data), uuid="urn:uuid:own")
    write_pages(tmp_path / "a.ome.tif", pixels(1, 9, 13), xml)
    with pytest.raises(InputError, match=r"other\.ome\.tif is not there"):
        load_microscopy_file(tmp_path / "a.ome.tif")


def test_files_whose_names_were_swapped_are_known_by_their_identifiers(tmp_path: Path) -> None:
    stack = write_set(tmp_path, 2)
    (tmp_path / "t0.ome.tif").rename(tmp_path / "x")
    (tmp_path / "t1.ome.tif").rename(tmp_path / "t0.ome.tif")
    (tmp_path / "x").rename(tmp_path / "t1.ome.tif")
    images, _ = load_all(tmp_path / "t0.ome.tif")
    np.testing.assert_array_equal(images[0][:, :, 0], stack)


def test_a_renamed_file_of_a_set_is_found_by_its_identifier(tmp_path: Path) -> None:
    stack = write_set(tmp_path, 3)
    (tmp_path / "t2.ome.tif").rename(tmp_path / "renamed.ome.tif")
    images, metadata = load_all(tmp_path / "t0.ome.tif")
    np.testing.assert_array_equal(images[0][:, :, 0], stack)
    assert not any("not there" in told for told in metadata.warnings)


def test_files_without_an_identifier_or_a_description_do_not_stop_the_search(
    tmp_path: Path,
) -> None:
    write_nameless_set(tmp_path, 2)
    (tmp_path / "a.tif").write_bytes(b"II*\0" + b"\xff" * 40)
    (tmp_path / "b.tif").write_bytes(b"")
    (tmp_path / "c.tif").mkdir()
    write_pages(tmp_path / "d.tif", pixels(1, 9, 13), "no XML")
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "e.tif")
    found = files_by_uuid(tmp_path, {"urn:uuid:1", "urn:uuid:9"})
    assert found == {"urn:uuid:1": tmp_path / "t1.ome.tif"}


# Names that lead elsewhere


def write_companion(folder: Path, names: Sequence[str], name: str = "a.companion.ome") -> Path:
    data = "".join(tiff_data(t, f"urn:uuid:{t}", file, FirstT=t) for t, file in enumerate(names))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(ome_xml(image_xml((len(names), 1, 1, 9, 13), data)), encoding="utf-8")
    return path


def elsewhere(tmp_path: Path) -> list[str]:
    """Write a file outside the folder `in`; return names that lead there."""
    path = tmp_path / "outside.tif"
    write_pages(path, pixels(2, 9, 13), "")
    return ["../outside.tif", "..\\outside.tif", str(path), f"b/../../{path.name}"]


@pytest.mark.parametrize("which", range(4))
def test_a_name_that_leads_out_of_the_folder_is_not_followed_unless_asked_for(
    tmp_path: Path, which: int
) -> None:
    name = elsewhere(tmp_path)[which]
    companion = write_companion(tmp_path / "in", [name, name])
    with pytest.raises(InputError, match=r"leads out of the folder.*--outside"):
        load_microscopy_file(companion)
    images, metadata = load_all(companion, outside=True)
    np.testing.assert_array_equal(images[0][:, 0, 0], pixels(2, 9, 13))
    assert (tmp_path / "outside.tif").samefile(metadata.companions[1])
    with open_source(metadata) as again:
        assert again.metadata == metadata


def test_a_file_that_was_copied_beside_is_found_by_the_last_part_of_its_name(
    tmp_path: Path,
) -> None:
    names = ["D:\\microscope\\run 1\\ä.tif", "/data/run 1/ä.tif"]
    companion = write_companion(tmp_path, names)
    write_pages(tmp_path / "ä.tif", pixels(2, 9, 13), "")
    images, _ = load_all(companion)
    np.testing.assert_array_equal(images[0][:, 0, 0], pixels(2, 9, 13))


def test_files_below_the_folder_and_links_that_somebody_made_are_followed(tmp_path: Path) -> None:
    elsewhere(tmp_path)
    companion = write_companion(tmp_path / "in", ["sub/../sub/a.tif", "link.tif"])
    (tmp_path / "in/sub").mkdir()
    write_pages(tmp_path / "in/sub/a.tif", pixels(1, 9, 13), "")
    try:
        (tmp_path / "in/link.tif").symlink_to(tmp_path / "outside.tif")
    except OSError:
        pytest.skip("this account may not make links")
    images, _ = load_all(companion)
    expected = [pixels(1, 9, 13)[0], pixels(2, 9, 13)[1]]
    np.testing.assert_array_equal(images[0][:, 0, 0], expected)


def test_the_file_with_the_metadata_is_not_looked_for_outside_either(tmp_path: Path) -> None:
    write_pages(tmp_path / "t.tif", pixels(1, 9, 13), "")
    write_companion(tmp_path, ["in/t.ome.tif"], "meta.companion.ome")
    (tmp_path / "in").mkdir()
    pointer = '<BinaryOnly MetadataFile="../meta.companion.ome" UUID="urn:uuid:m"/>'
    write_pages(tmp_path / "in/t.ome.tif", pixels(1, 9, 13), ome_xml(pointer))
    with pytest.raises(InputError, match="leads out of the folder"):
        load_microscopy_file(tmp_path / "in/t.ome.tif")
    images, _ = load_all(tmp_path / "in/t.ome.tif", outside=True)
    np.testing.assert_array_equal(images[0][:, 0, 0], pixels(1, 9, 13))


def test_names_in_metadata_of_a_folder_below_start_from_there(tmp_path: Path) -> None:
    write_companion(tmp_path / "sub", ["../t.ome.tif"], "meta.companion.ome")
    pointer = '<BinaryOnly MetadataFile="sub/meta.companion.ome" UUID="urn:uuid:m"/>'
    write_pages(tmp_path / "t.ome.tif", pixels(1, 9, 13), ome_xml(pointer))
    images, _ = load_all(tmp_path / "t.ome.tif")
    np.testing.assert_array_equal(images[0][:, 0, 0], pixels(1, 9, 13))


def test_a_companion_without_its_tiffs_says_which_are_not_there(tmp_path: Path) -> None:
    companion = write_companion(tmp_path, [f"t{t}.ome.tif" for t in range(5)])
    with pytest.raises(InputError) as refused:
        load_microscopy_file(companion)
    assert "t0.ome.tif is not there, t1.ome.tif is not there" in str(refused.value)
    assert "and 2 more" in str(refused.value)


def test_a_position_without_a_whole_frame_says_which_file_is_not_there(tmp_path: Path) -> None:
    data = tiff_data(0, "urn:uuid:0", "c0.ome.tif") + tiff_data(
        0, "urn:uuid:1", "c1.ome.tif", FirstC=1
    )
    xml = ome_xml(image_xml((1, 2, 1, 9, 13), data), uuid="urn:uuid:0")
    write_pages(tmp_path / "c0.ome.tif", pixels(1, 9, 13), xml)
    with pytest.raises(InputError, match=r"no complete frame; its file c1\.ome\.tif is not there"):
        load_microscopy_file(tmp_path / "c0.ome.tif")


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a\0b", "n" * 5000, "C:", "//server/share/x"])
def test_names_of_nothing_are_not_found(tmp_path: Path, name: str) -> None:
    for outside in (False, True):
        assert Surroundings(tmp_path, outside).find(name) is None


def test_the_command_and_the_configuration_allow_files_outside(tmp_path: Path) -> None:
    name = elsewhere(tmp_path)[0]
    companion = write_companion(tmp_path / "in", [name, name])
    refused = CliRunner().invoke(app, ["inspect", str(companion)])
    assert refused.exit_code == 2
    shown = CliRunner().invoke(app, ["inspect", str(companion), "--outside", "--json"])
    assert json.loads(shown.stdout)["fov_shapes"] == [[2, 9, 13]]
    (tmp_path / "run.yaml").write_text("outside: true\n", encoding="utf-8")
    assert load_config(tmp_path / "run.yaml", {}).outside


def test_the_option_takes_yes_or_no(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="outside takes True or False"):
        load_microscopy_file(tmp_path / "a.ome.tif", outside="no")


def test_names_that_were_swapped_are_noticed_in_files_that_are_opened_later(
    tmp_path: Path,
) -> None:
    stack = write_set(tmp_path, 3)
    (tmp_path / "t0.ome.tif").rename(tmp_path / "x")
    (tmp_path / "t1.ome.tif").rename(tmp_path / "t0.ome.tif")
    (tmp_path / "x").rename(tmp_path / "t1.ome.tif")
    images, _ = load_all(tmp_path / "t2.ome.tif")
    np.testing.assert_array_equal(images[0][:, :, 0], stack)


def test_a_file_in_the_place_of_another_is_not_read_for_it(tmp_path: Path) -> None:
    stack = write_set(tmp_path, 3)
    (tmp_path / "t0.ome.tif").write_bytes((tmp_path / "t1.ome.tif").read_bytes())
    source, _ = load_microscopy_file(tmp_path / "t2.ome.tif")
    with source:
        np.testing.assert_array_equal(source.read_frame(0, 0, 1), stack[1, 0])
        with pytest.raises(MissingFrameError, match=r"t0\.ome\.tif is 't1\.ome\.tif', renamed"):
            source.read_frame(0, 0, 0)


def test_a_file_that_was_saved_again_with_another_identifier_is_known_by_its_name(
    tmp_path: Path,
) -> None:
    stack = write_set(tmp_path, 2)
    write_pages(tmp_path / "t1.ome.tif", stack[1], ome_xml(uuid="urn:uuid:new"))
    images, _ = load_all(tmp_path / "t0.ome.tif")
    np.testing.assert_array_equal(images[0][:, :, 0], stack)
