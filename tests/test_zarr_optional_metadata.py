"""What an OME-Zarr could do without is lost with a warning; names in it do not lead out of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ome_tiff_writer import image_xml
from ome_zarr_writer import write_image
from pyama_core.errors import InputError
from pyama_core.io.microscopy import load_microscopy_file

PIXELS = np.arange(2 * 2 * 16 * 16, dtype=np.uint16).reshape(2, 2, 16, 16) + 1

pytestmark = pytest.mark.usefixtures("zarr_ends_its_threads")


def edit(group: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads((group / "zarr.json").read_text(encoding="utf-8"))
    change(document["attributes"]["ome"])
    (group / "zarr.json").write_text(json.dumps(document), encoding="utf-8")


def write_with_scale(path: Path, *scale: Any) -> Path:
    def change(ome: dict[str, Any]) -> None:
        multiscale = ome["multiscales"][0]
        for axis, unit in zip(multiscale["axes"], ("minute", None, "nanometer", "nanometer"),
                              strict=True):  # fmt: skip
            if unit:
                axis["unit"] = unit
        transformation = {"type": "scale", "scale": list(scale)}
        multiscale["datasets"][0]["coordinateTransformations"] = [transformation]

    write_image(path, PIXELS)
    edit(path, change)
    return path


def assert_is_whole(path: Path, **options: Any) -> Any:
    source, about = load_microscopy_file(path, **options)
    with source:
        for t, c in np.ndindex(2, 2):
            np.testing.assert_array_equal(source.read_frame(0, c, t), PIXELS[t, c])
    return about


def test_a_scale_that_is_no_number_is_lost_with_a_warning(tmp_path: Path) -> None:
    about = assert_is_whole(write_with_scale(tmp_path / "a.zarr", "5,0", 1, "0,65", "650,0"))
    assert (about.pixel_size_um, about.timepoints_source) == (None, "unknown")
    assert 'scale is no number in 3 places ("5,0") and is ignored' in about.warnings
    about = assert_is_whole(write_with_scale(tmp_path / "b.zarr", 5.0, 1, 650.0, "650"))
    assert about.pixel_size_um == pytest.approx(0.65)
    assert about.timepoints == ((0.0, 5.0),)
    assert not any("scale" in told for told in about.warnings)


def test_the_section_on_showing_an_image_is_ignored_where_it_is_wrong(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.zarr", PIXELS)
    edit(path, lambda ome: ome.update(omero={"channels": [{"label": "GFP", "window": "0,5"}]}))
    about = assert_is_whole(path)
    assert any(told.startswith("omero is ignored, the OME metadata") for told in about.warnings)


def write_converted(path: Path, xml: str) -> Path:
    write_image(path / "0", PIXELS)
    (path / "zarr.json").write_text(
        json.dumps(
            {
                "zarr_format": 3,
                "node_type": "group",
                "attributes": {"ome": {"version": "0.5", "bioformats2raw.layout": 3}},
            }
        ),
        encoding="utf-8",
    )
    (path / "OME").mkdir()
    (path / "OME/METADATA.ome.xml").write_text(xml, encoding="utf-8")
    return path


def test_ome_xml_beside_the_pixels_that_cannot_be_followed_is_ignored(tmp_path: Path) -> None:
    about = assert_is_whole(write_converted(tmp_path / "a.zarr", "<OME><Image"))
    assert any("OME/METADATA.ome.xml is ignored, is not well" in told for told in about.warnings)
    planes = '<Plane TheT="0" TheC="0" TheZ="0" DeltaT="0,5"/>'
    xml = f"<OME>{image_xml((2, 2, 1, 16, 16), planes, name='A1')}</OME>"
    about = assert_is_whole(write_converted(tmp_path / "b.zarr", xml))
    assert about.fov_names == ("A1",)
    assert 'Plane DeltaT is no number ("0,5") and is ignored' in about.warnings


@pytest.mark.parametrize("name", ["../b", "..\\b", "/b", "0/../../b"])
def test_a_level_outside_of_the_store_is_not_followed(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / "b", PIXELS)
    path = write_image(tmp_path / "a.zarr", PIXELS)
    edit(path, lambda ome: ome["multiscales"][0]["datasets"][0].update(path=name))
    with pytest.raises(InputError, match=r"outside of it|is wrong"):
        load_microscopy_file(path)


@pytest.mark.parametrize("name", ["../b", "..\\b", "C:/b"])
def test_a_series_outside_of_the_store_is_not_followed(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / "b", PIXELS)
    path = write_converted(tmp_path / "a.zarr", "<OME/>")
    about = {"zarr_format": 3, "node_type": "group", "attributes": {"series": [name]}}
    (path / "OME/zarr.json").write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(InputError, match="outside of it"):
        load_microscopy_file(path)


def test_files_behind_a_link_that_somebody_made_belong_to_it(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.zarr", PIXELS)
    (path / "0").rename(tmp_path / "elsewhere")
    try:
        (path / "0").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        (path / "again").symlink_to(path, target_is_directory=True)
    except OSError:
        pytest.skip("this account may not make links")
    about = assert_is_whole(path)
    chunks = [file for file in (tmp_path / "elsewhere").rglob("*") if file.is_file()]
    assert {file.resolve() for file in about.companions} == {path / "zarr.json", *chunks}
