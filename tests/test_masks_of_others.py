"""Masks that other programs made: what they are taken for, and which belongs to which frame."""

from __future__ import annotations

import itertools
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from inline import run_inline
from movies import metadata_of
from pyama_core.errors import InputError
from pyama_core.io.readers.tiff import planes
from pyama_core.processing.segmentation.from_files.content import Values, has_labels, values_of
from pyama_core.processing.segmentation.from_files.images import MaskImages
from pyama_core.processing.segmentation.from_files.method import MaskFileParameters
from pyama_core.processing.segmentation.from_files.pairing import find_masks
from pyama_core.processing.segmentation.from_files.segmenter import MaskFileSegmenter
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from runs import data_files
from sources import N_FOVS, N_FRAMES, SIZE, image_path, write_image_folder, write_ome_tiff

CORNERS = ((6, 6), (2, 42), (42, 2), (22, 22))  # the last touches the first by a corner
SIDE = 16
FRAME = np.zeros((6, 9), np.uint16)


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    """Metadata of 2 positions of 5 frames of 64×64."""
    return metadata_of(write_ome_tiff(tmp_path_factory.mktemp("movie")))


def labels_of(corners=CORNERS, values=range(1, 9)) -> np.ndarray:
    image = np.zeros((SIZE, SIZE), np.uint16)
    for (y, x), value in zip(corners, values, strict=False):
        image[y : y + SIDE, x : x + SIDE] = value
    return image


MASK = labels_of() > 0
"""Four cells, of which two touch at a corner."""


def request(out: Path, path: Path | str, **segmentation: Any) -> ProcessingContext:
    files = {"method": "files", "path": str(path), **segmentation}
    params = {"segmentation": files, "tracking": {"method": "iou"}}
    return ProcessingContext(
        output_dir=out, channels=Channels(pc="phase", fl=["GFP"]), params=params
    )


def seg(out: Path, fov: int = 0) -> np.ndarray:
    return np.load(next((out / f"fov_{fov:03d}").glob("*_seg_ch_*.npy")))


def n_cells(out: Path, fov: int = 0) -> int:
    (table,) = (out / f"fov_{fov:03d}").glob("*_tracks.csv")
    return len(table.read_text(encoding="utf-8").splitlines()) - 1


# What they are taken for


def png(path: Path, image: np.ndarray) -> None:
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def tif(path: Path, image: np.ndarray) -> None:
    tifffile.imwrite(path, image, photometric="minisblack")


WRITERS: dict[str, Callable[[Path], Any]] = {
    "0 and 255.tif": lambda path: tif(path, MASK.astype(np.uint8) * 255),
    "0 and 1.tif": lambda path: tif(path, MASK.astype(np.uint8)),
    "0 and 65535.tif": lambda path: tif(path, MASK.astype(np.uint16) * 65535),
    "one bit.tif": lambda path: tif(path, MASK),
    "truth values.npy": lambda path: np.save(path, MASK),
    "signed.npy": lambda path: np.save(path, MASK.astype(np.int64)),
    "0 and 255.png": lambda path: png(path, MASK.astype(np.uint8) * 255),
    "grey in colour.png": lambda path: png(path, np.dstack([MASK.astype(np.uint8) * 255] * 3)),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_two_valued_images_are_masks_whose_parts_are_the_cells(movie, tmp_path, kind, caplog):
    folder, out = tmp_path / "masks", tmp_path / "out"
    folder.mkdir()
    for t in range(N_FRAMES):
        WRITERS[kind](folder / f"mask_{t}{Path(kind).suffix}")
    with caplog.at_level(logging.INFO, "pyama_core"):
        assert run_inline(movie, request(out, folder), fovs=[0]).ok
    made = seg(out)
    assert made.dtype == np.bool_
    assert all(np.array_equal(frame, MASK) for frame in made)
    assert n_cells(out) == 4
    assert "FOV 0" in caplog.text
    assert "taken for masks" in caplog.text


@pytest.mark.parametrize("at", range(N_FRAMES))
def test_a_frame_with_a_single_label_is_a_label_image_if_others_have_more(
    movie, tmp_path, at, caplog
):
    """Wherever the frame is that tells, a cell in two parts stays one."""
    stack = np.stack([labels_of(CORNERS[:2], (1, 1))] * N_FRAMES)
    stack[at, 50:60, 50:60] = 7
    np.save(tmp_path / "masks.npy", stack)
    with caplog.at_level(logging.INFO, "pyama_core"):
        assert run_inline(movie, request(tmp_path / "out", tmp_path / "masks.npy"), fovs=[0]).ok
    assert np.array_equal(seg(tmp_path / "out"), stack)
    assert n_cells(tmp_path / "out") == 2
    assert "taken for label images" in caplog.text


def test_labels_that_change_from_frame_to_frame_are_labels(movie, tmp_path):
    stack = np.stack([labels_of(CORNERS[:2], (t + 1, t + 1)) for t in range(N_FRAMES)])
    np.save(tmp_path / "masks.npy", stack)
    assert run_inline(movie, request(tmp_path / "out", tmp_path / "masks.npy"), fovs=[0]).ok
    assert np.array_equal(seg(tmp_path / "out"), stack)


@pytest.mark.parametrize("fovs", [[0], [1], [0, 1]])
def test_a_position_with_one_label_is_of_labels_if_another_position_has_more(movie, tmp_path, fovs):
    """Whichever positions are asked for."""
    one = np.stack([labels_of(CORNERS[:2], (1, 1))] * N_FRAMES)
    np.save(tmp_path / "masks_0.npy", one)
    np.save(tmp_path / "masks_1.npy", np.stack([labels_of()] * N_FRAMES))
    assert run_inline(movie, request(tmp_path / "out", tmp_path / "masks_{fov}.npy"), fovs=fovs).ok
    for fov in fovs:
        assert seg(tmp_path / "out", fov).dtype == np.uint16
        assert n_cells(tmp_path / "out", fov) == (1, 4)[fov]


def test_what_another_position_tells_is_part_of_what_a_position_is_made_of(movie, tmp_path):
    out, path = tmp_path / "out", tmp_path / "masks_{fov}.npy"
    for fov in range(N_FOVS):
        np.save(str(path).format(fov=fov), np.stack([labels_of(CORNERS[:2], (1, 1))] * N_FRAMES))
    assert run_inline(movie, request(out, path), fovs=[0]).ok
    assert n_cells(out) == 2
    np.save(str(path).format(fov=1), np.stack([labels_of()] * N_FRAMES))
    assert run_inline(movie, request(out, path), fovs=[0]).fovs[0].status == "done"
    assert n_cells(out) == 1


@pytest.mark.parametrize(("content", "n"), [("labels", 1), ("mask", 4), ("auto", 4)])
def test_the_parameter_decides_what_they_are(movie, tmp_path, content, n):
    np.save(tmp_path / "masks.npy", np.stack([MASK] * N_FRAMES).astype(np.uint8))
    out = tmp_path / "out"
    assert run_inline(movie, request(out, tmp_path / "masks.npy", content=content), fovs=[0]).ok
    assert n_cells(out) == n


def test_label_images_can_be_read_as_masks(movie, tmp_path):
    touching = labels_of(((6, 6), (6, 6 + SIDE)))
    np.save(tmp_path / "masks.npy", np.stack([touching] * N_FRAMES))
    for content, n in (("auto", 2), ("mask", 1)):
        out = tmp_path / content
        context = request(out, tmp_path / "masks.npy", content=content)
        assert run_inline(movie, context, fovs=[0]).ok
        assert n_cells(out) == n


def test_masks_without_any_cell_are_fine(movie, tmp_path):
    np.save(tmp_path / "masks.npy", np.zeros((N_FRAMES, SIZE, SIZE), np.uint8))
    assert run_inline(movie, request(tmp_path / "out", tmp_path / "masks.npy"), fovs=[0]).ok
    assert n_cells(tmp_path / "out") == 0


@given(st.lists(st.builds(Values, st.integers(0, 3), st.booleans()), max_size=6))
def test_the_order_in_which_images_are_looked_at_does_not_matter(found):
    found = [Values(value.largest, value.is_one or value.largest < 2) for value in found]
    told = {has_labels(order) for order in itertools.permutations(found)}
    assert len(told) == 1
    nonzero = {value.largest for value in found} - {0}
    assert told == {len(nonzero) > 1 or not all(value.is_one for value in found)}


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ([[0, 0]], Values(0, True)),
        ([[0, 9]], Values(9, True)),
        ([[9, 9]], Values(9, True)),
        ([[1, 2]], Values(2, False)),
        ([[0, 2, 1]], Values(2, False)),
    ],
)
def test_an_image_tells_by_its_values_other_than_zero(image, found):
    assert values_of(np.array(image)) == found


# Which belongs to which frame


def touch(folder: Path, names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names.split():
        (folder / name).touch()


def numbered(pattern: str, numbers) -> str:
    return " ".join(pattern.format(n) for n in numbers)


PAIRED = {
    "from 0": (numbered("mask_{:03d}.tif", range(4)), 4, "mask_000 mask_001 mask_002 mask_003"),
    "from 1": (numbered("m{}.png", range(8, 12)), 4, "m8 m9 m10 m11"),
    "in steps": (numbered("t{:03d}.npy", (0, 5, 10)), 3, "t000 t005 t010"),
    "one": ("only_7.tif", 1, "only_7"),
    "letters": ("a.tif b.tif c.tif", 3, "a b c"),
    "times": ("00d00h30m.tif 00d01h00m.tif 00d01h30m.tif", 3, "00d00h30m 00d01h00m 00d01h30m"),
    "a well and a site": (numbered("B2_1_t{}.tif", (1, 2)), 2, "B2_1_t1 B2_1_t2"),
    "beside raw images": (
        "img_0.tif img_0_cp_masks.tif img_1.tif img_1_cp_masks.tif",
        2,
        "img_0_cp_masks img_1_cp_masks",
    ),
    "all that Cellpose writes": (
        numbered("i{0}.tif i{0}_seg.npy i{0}_cp_masks.png i{0}_flows.tif", (0, 1)),
        2,
        "i0_cp_masks i1_cp_masks",
    ),
    "masks by name": ("x1.tif x2.tif x1_mask.tif x2_mask.tif", 2, "x1_mask x2_mask"),
    "labels by name": ("x1.tif x2.tif lbl_1.png lbl_2.png", 2, "lbl_1 lbl_2"),
    "hidden ones": ("m0.tif ._m0.tif m1.tif .DS_Store ._m1.tif", 2, "m0 m1"),
    "one lost, from 0": (numbered("m{}.tif", (0, 1, 3)), 4, "m0 m1 - m3"),
    "one lost, from 1": (numbered("m{}.tif", (2, 3, 4)), 4, "- m2 m3 m4"),
}


@pytest.mark.parametrize("names", PAIRED)
def test_numbers_in_names_tell_the_frames(tmp_path, names):
    files, n_frames, expected = PAIRED[names]
    touch(tmp_path, files)
    found = find_masks(str(tmp_path), 0, n_frames).frames
    assert " ".join(found[t].stem if t in found else "-" for t in range(n_frames)) == expected


JUMP = (
    "8 images for 8 frames, and a number is left out after m003.tif; in order they would be "
    "frame 0: m000.tif, frame 1: m001.tif, … frame 3: m003.tif, frame 4: m005.tif, … "
    "frame 7: m008.tif"
)
REFUSED = {
    "too many": (numbered("m{}.tif", range(6)), 4, "6 images for 4 frames"),
    "too few": (numbered("m{}.tif", (1, 2, 3)), 4, "3 images for 4 frames"),
    "one lost and one more": (
        numbered("m{:03d}.tif", (0, 1, 2, 3, 5, 6, 7, 8)),
        8,
        JUMP,
    ),
    "one lost in the middle of others": (numbered("m{}.tif", (3, 4, 6)), 4, "left out after m4"),
    "the same number twice": ("m1.tif m01.tif m2.tif", 3, "m01.tif and m1.tif|m1.tif and m01.tif"),
    "several kinds": ("a1.tif a2.tif b1.tif b2.tif", 4, "several kinds, 2 as a"),
    "masks twice": ("m1_cp_masks.tif m2_cp_masks.tif m1_cp_masks.png m2_cp_masks.png", 2, "kinds"),
    "letters, too many": ("a.tif b.tif c.tif", 2, "3 images for 2 frames"),
    "none": ("notes.txt", 2, "found none"),
}


@pytest.mark.parametrize("names", REFUSED)
def test_names_that_do_not_tell_the_frames_are_refused_with_the_pairing(tmp_path, names):
    files, n_frames, words = REFUSED[names]
    touch(tmp_path, files)
    with pytest.raises(InputError) as refused:
        find_masks(str(tmp_path), 0, n_frames)
    assert any(word in str(refused.value) for word in words.split("|"))
    assert "\n" not in str(refused.value)


def test_raw_images_beside_cellpose_masks_are_left_out_and_that_is_said(movie, tmp_path, caplog):
    folder, out = tmp_path / "beside", tmp_path / "out"
    folder.mkdir()
    for t in range(N_FRAMES):
        tif(folder / f"img_{t:03d}.tif", np.full((SIZE, SIZE), 1000 + t, np.uint16))
        tif(folder / f"img_{t:03d}_cp_masks.tif", labels_of())
        with (folder / f"img_{t:03d}_seg.npy").open("wb") as file:
            pickle.dump({"masks": labels_of()}, file)
    with caplog.at_level(logging.INFO, "pyama_core"):
        assert run_inline(movie, request(out, folder), fovs=[0]).ok
    assert np.array_equal(seg(out)[3], labels_of())
    assert "5 as img_000_cp_masks.tif taken for masks" in caplog.text


# Before the run starts


def refusal(movie, out: Path, path: Path | str) -> str:
    outcome = run_inline(movie, request(out, path))
    assert outcome.exit_code == 2
    assert not out.exists()
    assert outcome.refusal is not None
    assert len(outcome.refusal) < 600
    return outcome.refusal


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
@pytest.mark.parametrize("n", [N_FRAMES - 1, N_FRAMES + 1, 2 * N_FRAMES])
def test_a_stack_of_another_length_at_a_later_position_refuses_the_run(movie, tmp_path, suffix, n):
    write = np.save if suffix == ".npy" else tif
    write(tmp_path / f"masks_0{suffix}", np.stack([labels_of()] * N_FRAMES))
    write(tmp_path / f"masks_1{suffix}", np.stack([labels_of()] * n))
    told = refusal(movie, tmp_path / "out", tmp_path / ("masks_{fov}" + suffix))
    assert f"FOV 1, segmentation: {tmp_path / f'masks_1{suffix}'}: {n} images for 5 frames" in told


@pytest.mark.parametrize("write", ["0 and 1.tif", "0 and 255.png", "truth values.npy"])
def test_a_single_image_is_no_mask_for_all_frames(movie, tmp_path, write):
    path = tmp_path / f"mask{Path(write).suffix}"
    WRITERS[write](path)
    assert "1 images for 5 frames" in refusal(movie, tmp_path / "out", path)


def test_an_image_with_two_pages_in_a_folder_is_refused(movie, tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    for t in range(N_FRAMES):
        tif(folder / f"m{t}.tif", np.stack([labels_of()] * 2))
    assert "m0.tif: expected one image, found 2" in refusal(movie, tmp_path / "out", folder)


def test_cropped_masks_are_refused(movie, tmp_path):
    np.save(tmp_path / "masks.npy", np.stack([labels_of()[:50]] * N_FRAMES))
    told = refusal(movie, tmp_path / "out", tmp_path / "masks.npy")
    assert "expected a mask of (64, 64) pixels" in told
    assert "found (50, 64)" in told


def test_names_numbered_from_one_do_not_fit_a_pattern_that_counts_from_zero(movie, tmp_path):
    for t in range(1, N_FRAMES + 1):
        tif(tmp_path / f"m{t}.tif", labels_of())
    told = refusal(movie, tmp_path / "out", tmp_path / "m{frame}.tif")
    assert "numbered from 1" in told
    assert run_inline(movie, request(tmp_path / "out", tmp_path), fovs=[0]).ok


def test_own_files_of_cellpose_are_not_opened_and_what_to_do_is_said(movie, tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    for t in range(N_FRAMES):
        own = np.array({"masks": labels_of()}, object)
        np.save(folder / f"i{t}_seg.npy", own, allow_pickle=True)
    told = refusal(movie, tmp_path / "out", folder)
    assert "i0_seg.npy" in told
    assert "save the masks there as TIFF or PNG" in told


@pytest.mark.parametrize("pattern", ["", "m{frame}.tif"], ids=["folder", "pattern"])
def test_frames_that_the_source_lacks_need_no_mask_and_others_do(tmp_path, pattern):
    folder, masks, out = write_image_folder(tmp_path), tmp_path / "masks", tmp_path / "out"
    image_path(folder, 0, 2, "phase").unlink()
    masks.mkdir()
    for t in (0, 1, 3, 4):
        tif(masks / f"m{t}.tif", labels_of())
    metadata = metadata_of(folder)
    assert run_inline(metadata, request(out, masks / pattern), fovs=[0]).ok
    assert [frame.any() for frame in seg(out)] == [True, True, False, True, True]
    outcome = run_inline(metadata, request(tmp_path / "other", masks / pattern), fovs=[1])
    assert outcome.exit_code == 2
    assert "none for frame 2 (frame 1 has m1.tif, frame 3 has m3.tif)" in str(outcome.refusal)


def test_images_without_background_are_told_of(movie, tmp_path, caplog):
    """As ilastik's simple segmentation, whose classes are 1 and 2."""
    classes = np.where(MASK, 1, 2).astype(np.uint8)
    np.save(tmp_path / "masks.npy", np.stack([classes] * N_FRAMES))
    assert run_inline(movie, request(tmp_path / "out", tmp_path / "masks.npy"), fovs=[0]).ok
    assert "masks.npy: no pixel is 0, so that all of it is cell" in caplog.text


def test_the_same_masks_for_several_positions_are_told_of(movie, tmp_path, caplog):
    np.save(tmp_path / "masks_0.npy", np.stack([labels_of()] * N_FRAMES))
    np.save(tmp_path / "masks_1.npy", np.stack([labels_of()] * N_FRAMES))
    words = "segmentation.path has no {fov}"
    assert run_inline(movie, request(tmp_path / "a", tmp_path / "masks_{fov}.npy")).ok
    assert run_inline(movie, request(tmp_path / "b", tmp_path / "masks_0.npy"), fovs=[1]).ok
    assert words not in caplog.text
    assert run_inline(movie, request(tmp_path / "c", tmp_path / "masks_0.npy")).ok
    assert words in caplog.text


# Reading


@pytest.mark.parametrize("n", [3, 4])
def test_three_or_four_frames_that_were_saved_as_colours_are_frames(tmp_path, n):
    stack = np.random.default_rng(n).integers(0, 9, (n, *FRAME.shape)).astype(np.uint8)
    how = {"photometric": "rgb", "planarconfig": "separate"}  # as tifffile does by itself
    tifffile.imwrite(tmp_path / "masks.tif", stack, **how)
    with tifffile.TiffFile(tmp_path / "masks.tif") as file:
        assert len(file.pages) == 1
    reader = MaskFileSegmenter(MaskFileParameters(path=str(tmp_path / "masks.tif")))
    for t, mask in enumerate(stack):
        np.testing.assert_array_equal(reader.segment_at(t, FRAME), mask)


def test_masks_that_were_appended_one_by_one_are_a_stack(tmp_path):
    stack = np.random.default_rng(0).integers(0, 9, (5, *FRAME.shape)).astype(np.uint8)
    for mask in stack:
        tifffile.imwrite(tmp_path / "masks.tif", mask, append=True)
    assert MaskImages().count(tmp_path / "masks.tif") == 5
    np.testing.assert_array_equal(MaskImages().read(tmp_path / "masks.tif", 4), stack[4])


def test_a_stack_is_opened_once_for_all_its_frames(tmp_path, monkeypatch):
    opened = []

    class Counted(planes.TiffPlanes):
        def __init__(self, path):
            opened.append(path)
            super().__init__(path)

    monkeypatch.setattr(planes, "TiffPlanes", Counted)
    tif(tmp_path / "masks.tif", np.zeros((20, *FRAME.shape), np.uint8))
    reader = MaskFileSegmenter(MaskFileParameters(path=str(tmp_path / "masks.tif")))
    with reader:
        reader.begin(20)
        for t in range(20):
            reader.segment_at(t, FRAME)
    assert len(opened) == 1


def test_all_workers_and_all_ranges_make_the_same_of_the_same_masks(movie, tmp_path):
    for fov in range(N_FOVS):
        np.save(tmp_path / f"masks_{fov}.npy", np.stack([MASK] * N_FRAMES).astype(np.uint8) * 255)
    path = tmp_path / "masks_{fov}.npy"
    assert run_inline(movie, request(tmp_path / "whole", path)).ok
    for fov in (1, 0):
        assert run_inline(movie, request(tmp_path / "parts", path), fovs=[fov]).ok
    assert data_files(tmp_path / "whole") == data_files(tmp_path / "parts")
