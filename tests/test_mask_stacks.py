"""Stacks of masks as programs write them: each frame is the frame, whatever its page is tagged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.processing.segmentation.from_files.method import MaskFileParameters
from pyama_core.processing.segmentation.from_files.segmenter import MaskFileSegmenter

SIZE = (20, 36)
FRAME = np.zeros(SIZE, np.uint16)
COLOURS: dict[str, Any] = {"photometric": "rgb", "planarconfig": "separate"}
GREY: dict[str, Any] = {"photometric": "minisblack"}


def labels(n_frames: int) -> NDArray[np.uint16]:
    return np.random.default_rng(n_frames).integers(0, 300, (n_frames, *SIZE)).astype(np.uint16)


def segmenter(path: Path) -> MaskFileSegmenter:
    return MaskFileSegmenter(MaskFileParameters(path=str(path)))


def append(path: Path, masks: NDArray[np.uint16]) -> None:
    for mask in masks:
        tifffile.imwrite(path, mask, append=True, **GREY)


def write(**how: Any) -> Callable[[Path, NDArray[np.uint16]], None]:
    return lambda path, masks: tifffile.imwrite(path, masks, **how)


WAYS: dict[str, Callable[[Path, NDArray[np.uint16]], None]] = {
    "tagged as colours": write(**COLOURS),
    "tagged as colours, compressed": write(**COLOURS, compression="zlib"),
    "pages": write(**GREY),
    "one page for all": write(**GREY, truncate=True),
    "ImageJ": write(imagej=True),
    "OME": write(ome=True, **GREY),
    "appended": append,
    "big-endian tiles": write(**GREY, byteorder=">", tile=(16, 16), compression="zlib"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n_frames", [1, 3, 4, 7])
def test_every_mask_of_a_stack_is_that_of_its_frame(
    way: str, n_frames: int, tmp_path: Path
) -> None:
    if "colours" in way and n_frames not in (3, 4):
        pytest.skip("nobody takes so many for colours")
    masks = labels(n_frames)
    WAYS[way](tmp_path / "masks.tif", masks)
    reader = segmenter(tmp_path / "masks.tif")
    for t in range(n_frames):
        np.testing.assert_array_equal(reader.segment_at(t, FRAME), masks[t])
    with pytest.raises(InputError, match=f"found {n_frames} and none for frame {n_frames}"):
        reader.segment_at(n_frames, FRAME)


def test_a_colour_picture_is_no_mask(tmp_path: Path) -> None:
    picture = np.zeros((*SIZE, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb")
    with pytest.raises(InputError, match="is a colour"):
        segmenter(tmp_path / "a.tif").segment_at(0, FRAME)


@pytest.mark.parametrize("how", [GREY, COLOURS])
def test_a_stack_in_place_of_the_mask_of_one_frame_is_refused(
    how: dict[str, Any], tmp_path: Path
) -> None:
    tifffile.imwrite(tmp_path / "mask_0.tif", labels(3), **how)
    with pytest.raises(InputError, match="expected one image, found 3"):
        segmenter(tmp_path / "mask_{frame}.tif").segment_at(0, FRAME)


def test_a_stack_of_masks_that_is_cut_off_is_an_error_and_no_empty_mask(tmp_path: Path) -> None:
    masks = labels(5)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for mask in masks:
            tiff.write(mask, metadata=None, **GREY)
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[:-100])
    reader = segmenter(tmp_path / "a.tif")
    np.testing.assert_array_equal(reader.segment_at(0, FRAME), masks[0])
    with pytest.raises(InputError, match="cut off"):
        reader.segment_at(4, FRAME)
