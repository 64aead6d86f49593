"""Stacks of Micro-Manager, with and without OME-XML."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mm_stack_writer import Place, write_mm_stack
from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file, open_source

N_P, N_T, N_C, N_Z = 2, 3, 2, 2
PIXELS = np.random.default_rng(4).integers(0, 60000, (N_P, N_T, N_C, N_Z, 6, 8), dtype=np.uint16)
SUMMARY: dict[str, Any] = {
    "Prefix": "run_1",
    "ChNames": ["Phase", "GFP"],
    "Channels": N_C,
    "Frames": N_T,
    "Slices": N_Z,
    "PixelSize_um": 0.65,
    "z-step_um": 2.0,
    "Interval_ms": 60_000,
}
IMAGEJ = "ImageJ=1.47a\nimages=12\nchannels=2\nslices=2\nframes=3\nhyperstack=true\n"
# In order of acquisition, the frame that a time belongs to, and its position.
TIMES = {
    (p, t, c, z): 100.0 + 61_000 * t + 10_000 * p + 500 * c + 50 * z
    for p, t, z, c in np.ndindex(N_P, N_T, N_Z, N_C)
}


def planes_of(places: list[Place]) -> dict[Place, Any]:
    return {place: PIXELS[place] for place in places}


def write_position(folder: Path, p: int, **options: Any) -> Path:
    path = folder / f"run_1_MMStack_Pos{p}.tif"
    about = {"PositionName": f"Pos{p}", "XPositionUm": 100.0 * p, "YPositionUm": 5.0}
    options = {
        "planes": planes_of([place for place in TIMES if place[0] == p]),
        "elapsed_ms": TIMES,
        "description": IMAGEJ,
        **options,
    }
    write_mm_stack(path, summary=SUMMARY, planes_metadata=about, **options)
    return path


def assert_is_whole(path: Path) -> None:
    source, about = load_microscopy_file(path, z=0)
    with source:
        assert about.fov_shapes == ((N_T, 6, 8),) * N_P
        assert about.channel_names == ("Phase", "GFP")
        for p, t, c, z in np.ndindex(N_P, N_T, N_C, N_Z):
            np.testing.assert_array_equal(source.read_frame(p, c, t, z), PIXELS[p, t, c, z])
    assert about.timepoints_source == "measured"
    for p, times in enumerate(about.timepoints):
        assert times == pytest.approx([(61 * t + 10 * p) / 60 for t in range(N_T)])
    assert about.pixel_size_um == pytest.approx(0.65)
    with open_source(about) as again:
        assert again.metadata == about


@pytest.mark.parametrize("asked", [0, 1])
def test_the_stacks_of_all_positions_are_read_through_any_of_them(
    tmp_path: Path, asked: int
) -> None:
    paths = [write_position(tmp_path, p) for p in range(N_P)]
    (tmp_path / "run_2_MMStack_Pos0.tif").write_bytes(b"another acquisition")
    assert_is_whole(paths[asked])
    source, about = load_microscopy_file(paths[asked], z=0)
    source.close()
    assert (about.file_type, about.base_name) == ("micro-manager", "run_1")
    assert about.fov_names == ("Pos0", "Pos1")
    assert about.stage_positions_um == ((0.0, 5.0, None), (100.0, 5.0, None))
    assert about.z_step_um == 2.0
    assert set(about.companions) == set(paths)


def test_a_stack_that_was_split_for_its_size_is_put_together(tmp_path: Path) -> None:
    write_position(tmp_path, 0)
    places = [place for place in TIMES if place[0] == 1]
    write_position(tmp_path, 1, planes=planes_of(places[:5]))
    rest = tmp_path / "run_1_MMStack_Pos1_1.tif"
    write_position(tmp_path, 2, planes=planes_of(places[5:])).rename(rest)
    assert_is_whole(rest)


def test_after_a_crash_the_pages_have_to_do_without_an_index(tmp_path: Path) -> None:
    write_position(tmp_path, 0)
    assert_is_whole(write_position(tmp_path, 1, has_index=False))


def test_a_stopped_acquisition_has_the_frames_that_are_whole(tmp_path: Path) -> None:
    places = [place for place in TIMES if place[0] == 0]
    path = write_position(tmp_path, 0, planes=planes_of(places[:10]))
    source, about = load_microscopy_file(path, z=0)
    source.close()
    assert about.fov_shapes == ((2, 6, 8),)
    assert "frames are missing at the end, FOV 0 has 2 of 3" in about.warnings


def test_a_channel_taken_more_seldom_is_missing_where_it_was_not_taken(tmp_path: Path) -> None:
    places = [place for place in TIMES if place[0] == 0 and not (place[1] == 1 and place[2])]
    source, about = load_microscopy_file(write_position(tmp_path, 0, planes=planes_of(places)), z=0)
    with source:
        assert "planes are missing, FOV 0 in frames 1" in about.warnings
        np.testing.assert_array_equal(source.read_frame(0, 1, 2), PIXELS[0, 2, 1, 0])
        with pytest.raises(MissingFrameError, match=r"channel 1, frame 1.*never written"):
            source.read_frame(0, 1, 1)


def test_without_times_of_planes_the_interval_is_nominal(tmp_path: Path) -> None:
    source, about = load_microscopy_file(write_position(tmp_path, 0, elapsed_ms=None), z=0)
    source.close()
    assert (about.timepoints, about.timepoints_source) == (((0.0, 1.0, 2.0),), "nominal")


def test_two_files_with_the_same_planes_are_not_mixed(tmp_path: Path) -> None:
    path = write_position(tmp_path, 0)
    (tmp_path / "run_1_MMStack_Pos0 copy.tif").write_bytes(path.read_bytes())
    (tmp_path / "run_1_MMStack_Pos0-2.tif").write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="planes that another file of the acquisition has too"):
        load_microscopy_file(path)


def test_a_file_cut_off_anywhere_gives_the_right_pixels_or_an_error_that_is_understood(
    tmp_path: Path,
) -> None:
    path = write_position(tmp_path, 0)
    whole = path.read_bytes()
    for size in range(0, len(whole), 97):
        path.write_bytes(whole[:size])
        try:
            source, about = load_microscopy_file(path, z=0)
        except InputError:
            continue
        with source:
            for c, t in np.ndindex(about.n_channels, about.fov_shapes[0][0]):
                try:
                    frame = source.read_frame(0, c, t)
                except MissingFrameError:
                    continue
                np.testing.assert_array_equal(frame, PIXELS[0, t, c, 0])


def ome_xml(p_of_file: int) -> str:
    """Return what Micro-Manager writes into the first page of each file of a set."""
    images = ""
    for p in range(N_P):
        file = f"run_1_MMStack_Pos{p}.ome.tif"
        planes, data = "", ""
        for number, (t, z, c) in enumerate(np.ndindex(N_T, N_Z, N_C)):
            at = f'TheC="{c}" TheZ="{z}" TheT="{t}"'
            time = TIMES[p, t, c, z]
            planes += f'<Plane {at} DeltaT="{time}" DeltaTUnit="ms" PositionX="{100.0 * p}"'
            planes += ' PositionXUnit="µm" PositionY="5.0" PositionYUnit="µm"/>'
            data += f'<TiffData FirstC="{c}" FirstZ="{z}" FirstT="{t}" IFD="{number}" '
            data += f'PlaneCount="1"><UUID FileName="{file}">urn:uuid:{p}</UUID></TiffData>'
        channels = "".join(
            f'<Channel ID="Channel:{p}:{c}" Name="{name}" SamplesPerPixel="1"/>'
            for c, name in enumerate(SUMMARY["ChNames"])
        )
        images += (
            f'<Image ID="Image:{p}" Name="Pos{p}"><Pixels ID="Pixels:{p}" DimensionOrder="XYCZT" '
            f'Type="uint16" SizeX="8" SizeY="6" SizeC="{N_C}" SizeZ="{N_Z}" SizeT="{N_T}" '
            f'PhysicalSizeX="0.65">{channels}{data}{planes}</Pixels></Image>'
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/'
        f'OME/2013-06" UUID="urn:uuid:{p_of_file}">{images}</OME>'
    )


@pytest.mark.parametrize("asked", [0, 1])
def test_stacks_with_ome_xml_are_read_through_any_of_them(tmp_path: Path, asked: int) -> None:
    for p in range(N_P):
        path = write_position(tmp_path, p, description=ome_xml(p))
        path.rename(path.with_suffix(".ome.tif"))
    path = tmp_path / f"run_1_MMStack_Pos{asked}.ome.tif"
    assert_is_whole(path)
    source, about = load_microscopy_file(path, z=0)
    source.close()
    assert (about.file_type, about.fov_names) == ("ome-tiff", ("Pos0", "Pos1"))
    assert about.stage_positions_um == ((0.0, 5.0, None), (100.0, 5.0, None))


def test_an_index_that_does_not_fit_the_pages_gives_right_pixels_or_missing_frames(
    tmp_path: Path,
) -> None:
    path = write_position(tmp_path, 0)
    whole = path.read_bytes()
    index = whole.rindex(struct.pack("<I", 3453623)) + 8
    for entry in range(N_T * N_C * N_Z):
        place = index + 20 * entry + 16
        for offset in (8, 2**31, int.from_bytes(whole[place : place + 4], "little") + 2):
            damaged = bytearray(whole)
            struct.pack_into("<I", damaged, place, offset)
            path.write_bytes(damaged)
            source, about = load_microscopy_file(path, z=0)
            n_missing = 0
            with source:
                for c, t, z in np.ndindex(N_C, about.fov_shapes[0][0], N_Z):
                    try:
                        frame = source.read_frame(0, c, t, z)
                    except MissingFrameError:
                        n_missing += 1
                        continue
                    np.testing.assert_array_equal(frame, PIXELS[0, t, c, z])
            assert n_missing


def test_blank_pages_that_complete_a_frame_are_no_planes(tmp_path: Path) -> None:
    for has_index in (True, False):
        taken = [place for place in TIMES if place[0] == 0][:-3]
        planes = planes_of(taken)
        # Micro-Manager leaves blank pages out of its index, and says of them that they are "NULL".
        blank = dict.fromkeys([(0, N_T - 1, c, 1) for c in range(2)], np.zeros((6, 8), np.uint16))
        path = write_position(tmp_path, 0, planes=planes, blank=blank, has_index=has_index)
        source, about = load_microscopy_file(path, z=1)
        with source:
            assert "2 pages do not say which plane they are" in "\n".join(about.warnings)
            assert about.fov_shapes == ((N_T - 1, 6, 8),)
            for c, t in np.ndindex(N_C, N_T - 1):
                np.testing.assert_array_equal(source.read_frame(0, c, t), PIXELS[0, t, c, 1])
