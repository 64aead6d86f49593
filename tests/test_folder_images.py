"""Each image of a folder is what it has to be, or a missing frame that says what it is."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile

from image_folders import write_image
from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file

SIZE = 32, 48
FRAME = np.full(SIZE, 500, np.uint16)
N_FRAMES = 6


def image_name(t: int, channel: str = "GFP", ending: str = "tif") -> str:
    return f"A1_{channel}_t{t:03d}.{ending}"


def write_movie(folder: Path, ending: str = "tif") -> Path:
    for t in range(N_FRAMES):
        write_image(folder / image_name(t, "GFP", ending), FRAME + t)
        write_image(folder / image_name(t, "Phase", ending), np.full(SIZE, t, np.uint8))
    return folder


def write_two_pages(path: Path) -> None:
    tifffile.imwrite(path, np.stack([FRAME, FRAME + 100]), photometric="minisblack")


def write_imagej_stack_behind_one_page(path: Path) -> None:
    tifffile.imwrite(path, FRAME, description="ImageJ=1.53\nimages=7\nslices=7\n", metadata=None)


def write_tifffile_stack_behind_one_page(path: Path) -> None:
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(np.stack([FRAME] * 5), photometric="minisblack", metadata={"truncate": True})


def write_volume(path: Path) -> None:
    frames = np.stack([FRAME] * 16)
    tifffile.imwrite(path, frames, volumetric=True, tile=(16, 16, 16), photometric="minisblack")


def write_colour(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((*SIZE, 3), np.uint16), photometric="rgb")


def write_three_frames_as_colour(path: Path) -> None:
    tifffile.imwrite(path, np.stack([FRAME] * 3), photometric="rgb", planarconfig="separate")


def write_other_type(path: Path) -> None:
    tifffile.imwrite(path, FRAME.astype(np.uint8))


def write_wider_type(path: Path) -> None:
    tifffile.imwrite(path, FRAME.astype(np.float32))


def write_other_size(path: Path) -> None:
    tifffile.imwrite(path, FRAME[:-1])


def write_transposed(path: Path) -> None:
    tifffile.imwrite(path, np.ascontiguousarray(FRAME.T))


def write_nothing(path: Path) -> None:
    path.write_bytes(b"")


def write_half(path: Path) -> None:
    tifffile.imwrite(path, FRAME)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_text(path: Path) -> None:
    path.write_text("not found (404)")


def write_second_page_damaged(path: Path) -> None:
    write_two_pages(path)
    with tifffile.TiffFile(path) as tiff:
        place = tiff.pages[1].tags["ImageWidth"].offset
    data = bytearray(path.read_bytes())
    data[place + 2 : place + 12] = b"\xff" * 10
    path.write_bytes(data)


ODD: dict[str, tuple[Callable[[Path], None], str]] = {
    "two pages": (write_two_pages, "it has 2 planes, expected one"),
    "ImageJ stack": (write_imagej_stack_behind_one_page, "it has 7 planes"),
    "tifffile stack": (write_tifffile_stack_behind_one_page, "it has 5 planes"),
    "volume": (write_volume, "it has 16 planes"),
    "colour": (write_colour, "3 values per pixel .a colour image"),
    "frames as colour": (write_three_frames_as_colour, "3 values per pixel"),
    "8 bit among 16": (write_other_type, "pixels of uint8, expected .* uint16"),
    "float among integers": (write_wider_type, "pixels of float32, expected .* uint16"),
    "other size": (write_other_size, r"shape \(31, 48\).*expected \(32, 48\)"),
    "transposed": (write_transposed, r"shape \(48, 32\)"),
    "empty": (write_nothing, "damaged or cut-off TIFF"),
    "half copied": (write_half, "cut off"),
    "text": (write_text, "damaged or cut-off TIFF"),
    "second page damaged": (write_second_page_damaged, "its tags are damaged|2 planes"),
}


# The first image may be the odd one too: most of its kind decide what is expected.
@pytest.mark.parametrize("t", [0, 2, N_FRAMES - 1])
@pytest.mark.parametrize("kind", ODD)
def test_an_odd_image_is_a_missing_frame_wherever_it_is(kind: str, t: int, tmp_path: Path) -> None:
    write, told = ODD[kind]
    folder = write_movie(tmp_path)
    write(folder / image_name(t))
    source, about = load_microscopy_file(folder)
    with source:
        assert about.fov_shapes == ((N_FRAMES, *SIZE),)
        assert about.dtype == "uint16"
        with pytest.raises(MissingFrameError, match=rf"frame {t}: {image_name(t)}: .*{told}"):
            source.read_frame(0, 0, t)
        for other in set(range(N_FRAMES)) - {t}:
            np.testing.assert_array_equal(source.read_frame(0, 0, other), FRAME + other)
        assert source.read_frame(0, 1, t)[0, 0] == t


def test_a_type_that_changes_midway_is_that_of_most_images(tmp_path: Path) -> None:
    folder = write_movie(tmp_path)
    for t in range(4, N_FRAMES):
        write_other_type(folder / image_name(t))
    source, _ = load_microscopy_file(folder)
    with source:
        np.testing.assert_array_equal(source.read_frame(0, 0, 3), FRAME + 3)
        for t in range(4, N_FRAMES):
            with pytest.raises(MissingFrameError, match="pixels of uint8"):
                source.read_frame(0, 0, t)


def test_a_position_none_of_whose_images_can_be_read_takes_no_other_with_it(
    tmp_path: Path,
) -> None:
    folder = write_movie(tmp_path)
    for t in range(N_FRAMES):
        write_nothing(folder / f"B1_GFP_t{t:03d}.tif")
        write_nothing(folder / f"B1_Phase_t{t:03d}.tif")
    source, about = load_microscopy_file(folder)
    with source:
        assert about.fov_names == ("A1", "B1")
        np.testing.assert_array_equal(source.read_frame(0, 0, 1), FRAME + 1)
        with pytest.raises(MissingFrameError, match=r"B1_GFP_t001\.tif"):
            source.read_frame(1, 0, 1)


def test_a_position_of_another_type_and_size_keeps_its_own(tmp_path: Path) -> None:
    folder = write_movie(tmp_path)
    for t in range(N_FRAMES):
        for channel in ("GFP", "Phase"):
            write_image(folder / f"B1_{channel}_t{t:03d}.tif", np.full((8, 9), t, np.int32))
    source, about = load_microscopy_file(folder)
    with source:
        assert (about.dtype, about.fov_shapes[1]) == ("int32", (N_FRAMES, 8, 9))
        np.testing.assert_array_equal(source.read_frame(0, 0, 1), FRAME + 1)
        np.testing.assert_array_equal(source.read_frame(1, 0, 3), np.full((8, 9), 3))


def test_a_folder_without_any_readable_image_is_refused_with_the_reason(tmp_path: Path) -> None:
    for t in range(20):
        write_nothing(tmp_path / image_name(t))
    with pytest.raises(InputError, match=r"A1_GFP_t000.tif cannot be read as one plane: .*cut-off"):
        load_microscopy_file(tmp_path)


def test_thumbnails_behind_an_image_are_no_planes(tmp_path: Path) -> None:
    folder = write_movie(tmp_path)
    with tifffile.TiffWriter(folder / image_name(1)) as tiff:
        tiff.write(FRAME + 1, metadata=None)
        tiff.write(FRAME[::4, ::4], metadata=None, subfiletype=1)
    source, _ = load_microscopy_file(folder)
    with source:
        np.testing.assert_array_equal(source.read_frame(0, 0, 1), FRAME + 1)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def insert_after_header(path: Path, chunk: bytes) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:33] + chunk + data[33:])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.write_bytes(b""), "no whole PNG file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "cannot be decoded"),
        (lambda path: write_image(path, np.zeros((*SIZE, 3), np.uint8)), "colour or palette"),
        (lambda path: write_image(path, FRAME.astype(np.uint8)), "pixels of uint8"),
        (lambda path: write_image(path, FRAME[1:]), r"shape \(31, 48\)"),
        (
            lambda path: insert_after_header(path, png_chunk(b"acTL", struct.pack(">II", 2, 0))),
            "it has 2 planes",
        ),
        (
            lambda path: path.write_bytes(imagecodecs.jpeg8_encode(FRAME.astype(np.uint8))),
            "no whole PNG file",
        ),
    ],
)
def test_an_odd_png_is_a_missing_frame(
    make: Callable[[Path], Any], told: str, tmp_path: Path
) -> None:
    folder = write_movie(tmp_path, "png")
    make(folder / image_name(2, ending="png"))
    source, _ = load_microscopy_file(folder)
    with source:
        with pytest.raises(MissingFrameError, match=told):
            source.read_frame(0, 0, 2)
        np.testing.assert_array_equal(source.read_frame(0, 0, 3), FRAME + 3)


def test_a_transparent_colour_does_not_make_a_png_another(tmp_path: Path) -> None:
    folder = write_movie(tmp_path, "png")
    insert_after_header(folder / image_name(2, ending="png"), png_chunk(b"tRNS", b"\x01\xf6"))
    source, _ = load_microscopy_file(folder)
    with source:
        np.testing.assert_array_equal(source.read_frame(0, 0, 2), FRAME + 2)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_a_link_to_nothing_is_an_image_that_is_not_there(tmp_path: Path) -> None:
    folder = write_movie(tmp_path)
    (folder / image_name(2)).unlink()
    (folder / image_name(2)).symlink_to("elsewhere.tif")
    source, _ = load_microscopy_file(folder)
    with source, pytest.raises(MissingFrameError, match="frame 2"):
        source.read_frame(0, 0, 2)


def test_images_are_opened_when_they_are_read_and_few_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyama_core.io.readers.image_folder import headers as image_headers

    for well in range(1, 11):
        for t in range(N_FRAMES):
            write_image(tmp_path / f"A{well}_GFP_t{t:03d}.tif", FRAME)
    looked_at = []
    read_header = image_headers.read_header

    def counted(path: Path) -> Any:
        looked_at.append(path)
        return read_header(path)

    monkeypatch.setattr(image_headers, "read_header", counted)
    monkeypatch.setattr(image_headers, "_FEW", 5)
    load_microscopy_file(tmp_path)[0].close()
    assert len(looked_at) <= 10 + 3
    assert len(set(looked_at)) == len(looked_at)
