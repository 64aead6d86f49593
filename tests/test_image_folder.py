"""Folders of single images: names taken apart, planes found, gaps named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from image_folders import write_image
from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file, open_source
from pyama_core.io.readers.image_folder.patterns import compile_pattern, natural_order

SHAPE = (2, 3, 2, 2, 5, 7)
PLANES = np.random.default_rng(1).integers(0, 65535, SHAPE, dtype=np.uint16)
WELLS, CHANNELS = ("B2", "B10"), ("GFP", "Phase")


def incucyte(p: int, t: int, c: int, z: int) -> str:
    return f"VID12_{CHANNELS[c]}_{WELLS[p]}_1_00d{t:02d}h30m.tif"


def incucyte_dated(p: int, t: int, c: int, z: int) -> str:
    return f"{CHANNELS[c]}_{WELLS[p]}_1_2021y05m{20 + t}d_13h00m.tif"


def micro_manager_1(p: int, t: int, c: int, z: int) -> str:
    return f"Pos{p}/img_{t:09d}_{CHANNELS[c]}_{z:03d}.tif"


def micro_manager_2(p: int, t: int, c: int, z: int) -> str:
    return f"Default/img_channel{c:03d}_position{p:03d}_time{t:09d}_z{z:03d}.tif"


def nis(p: int, t: int, c: int, z: int) -> str:
    return f"day3_xy{p + 9}z{z + 1}c{c + 1}t{t + 9:02d}.tif"


def nis_other_order(p: int, t: int, c: int, z: int) -> str:
    return f"act1T{t + 1:03d}XY{p + 1:02d}Z{z + 1}C{c + 1}.tif"


def ttt(p: int, t: int, c: int, z: int) -> str:
    return f"110930AF6_p{p + 11:04d}_t{t + 1:05d}_z{z + 1:03d}_w{c + 1}.png"


NAMINGS = {
    "Incucyte": (incucyte, 1),
    "Incucyte, dates": (incucyte_dated, 1),
    "Micro-Manager 1": (micro_manager_1, 2),
    "Micro-Manager 2": (micro_manager_2, 2),
    "NIS-Elements export": (nis, 2),
    "NIS-Elements export, other order": (nis_other_order, 2),
    "tTt": (ttt, 2),
}


def write_folder(folder: Path, name: Callable[[int, int, int, int], str], n_z: int = 1) -> Path:
    for p, t, c, z in np.ndindex(*SHAPE[:3], n_z):
        write_image(folder / name(p, t, c, z), PLANES[p, t, c, z])
    return folder


@pytest.mark.parametrize("naming", NAMINGS)
def test_every_plane_is_found_by_the_name_that_each_program_gives(
    tmp_path: Path, naming: str
) -> None:
    name, n_z = NAMINGS[naming]
    write_folder(tmp_path / "data.set", name, n_z)
    source, metadata = load_microscopy_file(tmp_path / "data.set", z=0)
    with source:
        assert metadata.fov_shapes == ((3, 5, 7), (3, 5, 7))
        assert (metadata.n_channels, metadata.n_z) == (2, n_z)
        assert (metadata.file_type, metadata.base_name) == ("image-folder", "data.set")
        for p, t, c, z in np.ndindex(*SHAPE[:3], n_z):
            frame = source.read_frame(p, c, t, z)
            np.testing.assert_array_equal(frame, PLANES[p, t, c, z])
            assert frame.flags.c_contiguous
            assert frame.dtype == "uint16"
    assert naming.split(",")[0].rstrip(" 12") in metadata.notes[0]
    assert len(metadata.companions) == 2 * 3 * 2 * n_z
    with open_source(metadata) as again:
        np.testing.assert_array_equal(again.read_frame(1, 1, 2), PLANES[1, 2, 1, 0])


FIELD = st.text("abcXYZ019-", min_size=1, max_size=6)


@given(
    fovs=st.lists(FIELD, min_size=1, max_size=3, unique_by=str.lower),
    channels=st.lists(FIELD, min_size=1, max_size=3, unique_by=str.lower),
    times=st.lists(st.integers(0, 10**6), min_size=1, max_size=3, unique=True),
    template=st.sampled_from(
        [
            "{channel}_{fov}_{time}.tif",
            "{fov}/x_{time}_{channel}.tif",
            "{*}_t{time}_{fov}_{channel}.tif",
        ]
    ),
)
def test_a_pattern_takes_apart_what_it_would_have_made(
    fovs: list[str], channels: list[str], times: list[int], template: str
) -> None:
    pattern = compile_pattern(template)
    for fov in fovs:
        for channel in channels:
            for time in times:
                name = (
                    template.replace("{fov}", fov)
                    .replace("{channel}", channel)
                    .replace("{time}", str(time))
                    .replace("{*}", "any")
                )
                found = pattern.parse(name)
                assert found is not None
                assert (found.fov, found.channel, found.time) == (fov, channel, str(time))


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=20))
def test_numbers_in_names_are_sorted_by_value(numbers: list[int]) -> None:
    names = [f"B{number}_x" for number in numbers]
    assert natural_order(names) == [f"B{number}_x" for number in sorted(set(numbers))]


def test_times_with_a_unit_are_nominal_minutes(tmp_path: Path) -> None:
    source, metadata = load_microscopy_file(write_folder(tmp_path, incucyte))
    source.close()
    assert metadata.timepoints == ((0, 60, 120), (0, 60, 120))
    assert metadata.timepoints_source == "nominal"
    assert metadata.fov_names == ("B2_1", "B10_1")
    assert metadata.channel_names == CHANNELS


def test_frame_numbers_are_no_times(tmp_path: Path) -> None:
    source, metadata = load_microscopy_file(write_folder(tmp_path, micro_manager_1))
    source.close()
    assert metadata.timepoints == ((None,) * 3,) * 2
    assert metadata.timepoints_source == "unknown"


@pytest.mark.parametrize("stopped", [False, True])
def test_micro_manager_says_when_and_where_each_image_was_taken(
    tmp_path: Path, stopped: bool
) -> None:
    write_folder(tmp_path, micro_manager_1)
    for p in range(2):
        frames = {
            f"FrameKey-{t}-{c}-0": {
                "ElapsedTime-ms": 60_000.0 * (10 * t + 2 * p) + 500 * c,
                "FileName": micro_manager_1(p, t, c, 0).rpartition("/")[2],
                "XPositionUm": 100.0 * p,
                "YPositionUm": -5.0,
                "PixelSizeUm": 0.65,
            }
            for t in range(3)
            for c in range(2)
        }
        text = json.dumps({"Summary": {"PixelSize_um": 0.65}, **frames})
        (tmp_path / f"Pos{p}/metadata.txt").write_text(text[:-1] + ",\n" if stopped else text)
    source, metadata = load_microscopy_file(tmp_path)
    source.close()
    assert metadata.timepoints == ((0, 10, 20), (2, 12, 22))
    assert metadata.timepoints_source == "measured"
    assert metadata.pixel_size_um == 0.65
    assert metadata.stage_positions_um == ((0.0, -5.0, None), (100.0, -5.0, None))
    assert tmp_path / "Pos1/metadata.txt" in metadata.companions


def test_damaged_notes_of_micro_manager_are_ignored_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_folder(tmp_path, micro_manager_1)
    (tmp_path / "Pos0/metadata.txt").write_text('{"FrameKey')
    source, metadata = load_microscopy_file(tmp_path)
    source.close()
    assert metadata.timepoints_source == "unknown"
    assert "metadata.txt cannot be read" in caplog.text


def test_a_pattern_of_ones_own_reads_any_names(tmp_path: Path) -> None:
    write_folder(tmp_path, lambda p, t, c, z: f"exp_{CHANNELS[c]}_run-1_{WELLS[p]}_{t}.tif")
    options = {"pattern": "{*}_{channel}_{*}_{fov}_{time}.tif"}
    source, metadata = load_microscopy_file(tmp_path, **options)
    with source:
        np.testing.assert_array_equal(source.read_frame(1, 0, 2), PLANES[1, 2, 0, 0])
    assert metadata.fov_names == WELLS
    with open_source(metadata) as again:
        np.testing.assert_array_equal(again.read_frame(1, 0, 2), PLANES[1, 2, 0, 0])


def test_a_position_may_have_several_parts(tmp_path: Path) -> None:
    write_folder(tmp_path, lambda p, t, c, z: f"{WELLS[p]}/site4/{CHANNELS[c]}-{t}.tif")
    source, metadata = load_microscopy_file(tmp_path, pattern="{fov}/{fov}/{channel}-{time}.tif")
    source.close()
    assert metadata.fov_names == ("B2_site4", "B10_site4")


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("{well}.tif", "no field {well}; the known ones are {fov}"),
        ("{time}_{time}.tif", "{time} stands twice"),
        ("image.tif", "has no field"),
        ("{fov}.png", "none of which fits the pattern"),
        ("{*}_{channel}_{*}.tif", "are the same plane by their names"),
    ],
)
def test_a_pattern_that_does_not_do_is_refused(tmp_path: Path, pattern: str, told: str) -> None:
    write_folder(tmp_path, incucyte)
    with pytest.raises(InputError) as error:
        load_microscopy_file(tmp_path, pattern=pattern)
    assert told in str(error.value)


def test_names_that_nothing_is_known_of_are_refused_with_an_example(tmp_path: Path) -> None:
    write_folder(tmp_path, lambda p, t, c, z: f"picture {p}{t}{c}.tif")
    with pytest.raises(InputError, match=r"picture 000.tif.*--pattern"):
        load_microscopy_file(tmp_path)


def test_a_folder_of_other_files_names_their_kinds(tmp_path: Path) -> None:
    (tmp_path / "a.nd2").write_bytes(b"x")
    with pytest.raises(InputError, match=r"files ending in \.nd2, name one of them"):
        load_microscopy_file(tmp_path)


def test_two_experiments_in_one_folder_are_not_mixed(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_image(tmp_path / f"{name}_xy1t1.tif", PLANES[0, 0, 0, 0])
    with pytest.raises(InputError, match=r"several experiments \(first_, second_\)"):
        load_microscopy_file(tmp_path)


def test_a_missing_image_is_named_and_an_error_when_it_is_read(tmp_path: Path) -> None:
    write_folder(tmp_path, incucyte)
    (tmp_path / incucyte(0, 1, 0, 0)).unlink()
    source, metadata = load_microscopy_file(tmp_path)
    assert any(
        "1 of 12 images are not there: FOV B2_1, channel GFP, time 00d01h30m" in warning
        for warning in metadata.warnings
    )
    assert metadata.fov_shapes == ((3, 5, 7), (3, 5, 7))
    with source:
        with pytest.raises(MissingFrameError, match="FOV 0, channel 0, frame 1"):
            source.read_frame(0, 0, 1)
        np.testing.assert_array_equal(source.read_frame(0, 0, 2), PLANES[0, 2, 0, 0])


def test_images_that_stop_early_make_the_position_shorter(tmp_path: Path) -> None:
    write_folder(tmp_path, incucyte)
    (tmp_path / incucyte(1, 2, 1, 0)).unlink()
    source, metadata = load_microscopy_file(tmp_path)
    source.close()
    assert metadata.fov_shapes == ((3, 5, 7), (2, 5, 7))


def test_a_frame_number_that_no_image_has_shifts_nothing(tmp_path: Path) -> None:
    for t in (1, 2, 4, 5):
        write_image(tmp_path / f"a_xy1t{t}.tif", PLANES[0, t % 3, 0, 0])
    source, metadata = load_microscopy_file(tmp_path)
    with source:
        assert metadata.n_frames == 5
        np.testing.assert_array_equal(source.read_frame(0, 0, 3), PLANES[0, 1, 0, 0])
        with pytest.raises(MissingFrameError, match="time 3"):
            source.read_frame(0, 0, 2)


@pytest.mark.parametrize("numbers", [(0, 10, 20), (0, 1, 2), (7,)])
def test_numbers_without_a_lost_frame_between_them_make_no_gap(
    tmp_path: Path, numbers: tuple[int, ...]
) -> None:
    for t in numbers:
        write_image(tmp_path / f"a_xy1t{t}.tif", PLANES[0, 0, 0, 0])
    source, metadata = load_microscopy_file(tmp_path)
    source.close()
    assert metadata.n_frames == len(numbers)


def test_channels_of_different_pixel_type_are_given_in_one_that_holds_both(tmp_path: Path) -> None:
    small = PLANES.astype(np.uint8)
    for t in range(2):
        write_image(tmp_path / f"P_B2_1_00d0{t}h00m.tif", small[0, t, 0, 0])
        write_image(tmp_path / f"G_B2_1_00d0{t}h00m.tif", PLANES[0, t, 1, 0])
    source, metadata = load_microscopy_file(tmp_path)
    with source:
        assert metadata.dtype == "uint16"
        frame = source.read_frame(0, metadata.channel_names.index("P"), 1)
        assert frame.dtype == "uint16"
        np.testing.assert_array_equal(frame, small[0, 1, 0, 0])
    assert any("G: uint16, P: uint8" in warning for warning in metadata.warnings)


def test_positions_of_different_size_keep_their_own(tmp_path: Path) -> None:
    write_image(tmp_path / "a_xy1t1.tif", PLANES[0, 0, 0, 0])
    write_image(tmp_path / "a_xy2t1.tif", PLANES[0, 0, 0, 0, :4, :3])
    source, metadata = load_microscopy_file(tmp_path)
    with source:
        assert metadata.fov_shapes == ((1, 5, 7), (1, 4, 3))
        np.testing.assert_array_equal(source.read_frame(1, 0, 0), PLANES[0, 0, 0, 0, :4, :3])


@pytest.mark.parametrize("ending", ["tif", "png"])
@pytest.mark.parametrize(
    ("pixels", "told"),
    [
        (PLANES[0, 0, 0, 0, :4], r"the shape \(4, 7\)"),
        (np.zeros((5, 7, 3), np.uint8), r"the shape \(5, 7, 3\)|colour"),
        (None, "cut off|cannot be decoded"),
    ],
)
def test_an_image_that_is_not_like_the_others_is_a_missing_frame(
    tmp_path: Path, ending: str, pixels: np.ndarray[Any, Any] | None, told: str
) -> None:
    for t in range(3):
        write_image(tmp_path / f"a_xy1t{t}.{ending}", PLANES[0, t, 0, 0])
    odd = tmp_path / f"a_xy1t1.{ending}"
    if pixels is None:
        odd.write_bytes(odd.read_bytes()[:-30] if ending == "tif" else odd.read_bytes()[:70])
    elif pixels.ndim == 3 and ending == "tif":
        tifffile.imwrite(odd, pixels, photometric="rgb")
    else:
        write_image(odd, pixels)
    source, _ = load_microscopy_file(tmp_path)
    with source:
        with pytest.raises(MissingFrameError, match=rf"{odd.name}.*(?:{told})"):
            source.read_frame(0, 0, 1)
        np.testing.assert_array_equal(source.read_frame(0, 0, 2), PLANES[0, 2, 0, 0])


@pytest.mark.parametrize(
    ("pixels", "told"),
    [
        (np.zeros((3, 5, 7), np.uint16), "3 planes, expected one"),
        (np.zeros((5, 7, 3), np.uint8), "colour"),
    ],
)
def test_a_folder_of_stacks_or_colour_images_is_refused(
    tmp_path: Path, pixels: np.ndarray[Any, Any], told: str
) -> None:
    kind = "rgb" if pixels.shape[-1] == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a_xy1t1.tif", pixels, photometric=kind)
    with pytest.raises(InputError, match=told):
        load_microscopy_file(tmp_path)


def test_other_images_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    write_folder(tmp_path, incucyte)
    write_image(tmp_path / "overview.png", PLANES[0, 0, 0, 0])
    (tmp_path / "._overview.png").write_bytes(b"resource fork")
    (tmp_path / "notes.txt").write_text("hello")
    source, metadata = load_microscopy_file(tmp_path)
    source.close()
    assert any("1 images are named otherwise" in warning for warning in metadata.warnings)
    assert len(metadata.companions) == 12


def test_an_image_that_vanished_is_a_missing_frame(tmp_path: Path) -> None:
    write_folder(tmp_path, incucyte)
    source, _ = load_microscopy_file(tmp_path)
    (tmp_path / incucyte(0, 0, 0, 0)).unlink()
    with source, pytest.raises(MissingFrameError, match=r"No such file|cannot find"):
        source.read_frame(0, 0, 0)


def test_the_real_incucyte_folder_is_one_position_every_half_hour(shared_data: Path) -> None:
    source, metadata = load_microscopy_file(shared_data / "incucyte")
    with source:
        assert metadata.channel_names == ("G", "P", "R")
        assert metadata.fov_names == ("B2_1",)
        assert metadata.fov_shapes == ((11, 1040, 1408),)
        assert metadata.timepoints == (tuple(30.0 * t for t in range(11)),)
        for c, t in np.ndindex(3, 11):
            name = f"HC01501_{'GPR'[c]}_B2_1_00d{t // 2:02d}h{30 * (t % 2):02d}m.tif"
            with tifffile.TiffFile(shared_data / "incucyte" / name) as file:
                expected = file.pages.first.asarray()
            np.testing.assert_array_equal(source.read_frame(0, c, t), expected)


def test_the_real_micro_manager_folder_is_two_positions(shared_data: Path) -> None:
    source, metadata = load_microscopy_file(shared_data / "il1b")
    with source:
        assert metadata.channel_names == ("DAPI", "TRITC", "YFP")
        assert metadata.fov_shapes == ((4, 512, 512),) * 2
        for p, c, t in np.ndindex(2, 3, 4):
            name = f"testimages{p + 1}/img_{t:09d}_{metadata.channel_names[c]}_000.png"
            expected = cv2.imread(str(shared_data / "il1b" / name), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(source.read_frame(p, c, t), expected)
