"""A pixel size or a time that is no number is lost with a warning, in every format that has one."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile

from mm_stack_writer import write_mm_stack
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.readers.czi.xml import parse_czi_xml
from pyama_core.io.readers.frame_source import MAX_PLANES

FRAMES = np.arange(3 * 48, dtype=np.uint16).reshape(3, 6, 8)


def test_in_a_stack_of_micro_manager(tmp_path: Path) -> None:
    planes = {(0, t, 0, 0): FRAMES[t] for t in range(3)}
    summary = {"PixelSize_um": "0,65", "Interval_ms": "6,0E4", "z-step_um": "1.5", "ChNames": "PC"}
    about = {"XPositionUm": "1,5", "YPositionUm": 2.5, "BitDepth": "12"}
    path = tmp_path / "a_MMStack_Pos0.tif"
    write_mm_stack(path, planes, summary=summary, planes_metadata=about)
    source, metadata = load_microscopy_file(path)
    with source:
        np.testing.assert_array_equal(source.read_frame(0, 0, 2), FRAMES[2])
    assert (metadata.pixel_size_um, metadata.bit_depth) == (None, 12)
    assert metadata.stage_positions_um == ()
    assert metadata.channel_names == ("Channel 0",)
    for key, text in (("PixelSize_um", "0,65"), ("Interval_ms", "6,0E4"), ("XPositionUm", "1,5")):
        assert f'{key} is no number ("{text}") and is ignored' in metadata.warnings


def test_in_the_metadata_beside_images_of_micro_manager(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = {"Summary": {"PixelSize_um": "0,65"}}
    for t in range(3):
        name = f"img_{t:09d}_GFP_000.tif"
        tifffile.imwrite(tmp_path / name, FRAMES[t])
        content[f"FrameKey-{t}-0-0"] = {"FileName": name, "ElapsedTime-ms": f"{t},5"}
    (tmp_path / "metadata.txt").write_text(json.dumps(content), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        source, metadata = load_microscopy_file(tmp_path)
    source.close()
    assert (metadata.pixel_size_um, metadata.timepoints_source) == (None, "unknown")
    assert 'PixelSize_um is no number ("0,65") and is ignored' in caplog.text
    assert 'ElapsedTime-ms is no number in 3 places ("0,5") and is ignored' in caplog.text


def test_in_a_hyperstack_of_imagej(tmp_path: Path) -> None:
    about = {"axes": "TYX", "finterval": "0,5"}
    tifffile.imwrite(tmp_path / "a.tif", FRAMES, imagej=True, metadata=about)
    source, metadata = load_microscopy_file(tmp_path / "a.tif")
    source.close()
    assert metadata.timepoints_source == "unknown"
    assert 'finterval is no number ("0,5") and is ignored' in metadata.warnings


def czi_xml(size_t: str = "3", index: str = "0", centre: str = "1,2", increment: str = "60") -> str:
    return f"""<ImageDocument><Metadata>
    <Information><Image><SizeT>{size_t}</SizeT><ComponentBitCount>12,0</ComponentBitCount>
    <Dimensions>
      <Channels><Channel Name="GFP"><EmissionWavelength>509,1</EmissionWavelength></Channel>
      </Channels>
      <S><Scenes><Scene Index="{index}" Name="A1"><CenterPosition>{centre}</CenterPosition></Scene>
      </Scenes></S>
      <T><Positions><Interval><Increment>{increment}</Increment></Interval></Positions></T>
    </Dimensions></Image></Information>
    <Scaling><Items><Distance Id="X"><Value>6,5E-07</Value></Distance></Items></Scaling>
    </Metadata></ImageDocument>"""


def test_in_the_xml_of_a_czi() -> None:
    found = parse_czi_xml(czi_xml(increment="60,5"), 3)
    assert (found.pixel_size_um, found.bit_depth, found.emission_nm) == (None, None, (None,))
    assert found.interval_times is None
    assert found.channel_names == ("GFP",)
    assert found.scenes == {0: ("A1", (1.0, 2.0, None))}
    for what, text in (
        ("Distance Value", "6,5E-07"),
        ("Image ComponentBitCount", "12,0"),
        ("Channel EmissionWavelength", "509,1"),
        ("Image Increment", "60,5"),
    ):
        assert f'{what} is no number ("{text}") and is ignored' in found.warnings


def test_a_scene_of_a_czi_without_a_number_or_with_odd_coordinates_is_no_crash() -> None:
    found = parse_czi_xml(czi_xml(index="first"), 3)
    assert found.scenes == {}
    assert 'Scene Index is no number ("first") and is ignored' in found.warnings
    found = parse_czi_xml(czi_xml(centre="1,5,2,5"), 3)
    assert found.scenes == {0: ("A1", None)}
    assert 'CenterPosition of a scene is no number ("1,5,2,5") and is ignored' in found.warnings


def test_a_czi_that_announces_countless_frames_takes_no_memory() -> None:
    found = parse_czi_xml(czi_xml(size_t="1e15"), 3)
    assert found.n_frames > MAX_PLANES
    assert found.interval_times is None
