"""CZI files: real ones and written ones against what pylibCZIrw gives."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from czi_library import czi_library
from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file, open_source
from pyama_core.io.readers.czi.segments import CziSegments, _seconds, planes_of
from pyama_core.io.readers.czi.xml import parse_czi_xml

pyczi = czi_library()

DATA = Path(__file__).parents[2] / "shared" / "data" / "czi"
REAL = sorted(path.name for path in DATA.glob("*.czi"))
needs_data = pytest.mark.skipif(not REAL, reason="the real CZI files are not beside the repository")

# Size of each scene, and how many frames, channels and z planes they have.
SCENES = ((20, 30), (24, 16), (20, 30))
N_T, N_C, N_Z = 3, 2, 2


def plane(scene: int, t: int, c: int, z: int, dtype: str = "uint16") -> np.ndarray[Any, Any]:
    rng = np.random.default_rng([scene, t, c, z])
    return rng.integers(0, np.iinfo(dtype).max, SCENES[scene]).astype(dtype)


def write_czi(
    path: Path,
    n_scenes: int = 3,
    dtype: str = "uint16",
    compression: str | None = None,
    left_out: tuple[tuple[int, int, int, int], ...] = (),
) -> Path:
    with pyczi.create_czi(str(path), exist_ok=True, compression_options=compression) as czi:
        for scene, t, c, z in np.ndindex(n_scenes, N_T, N_C, N_Z):
            if (scene, t, c, z) not in left_out:
                czi.write(
                    plane(scene, t, c, z, dtype)[..., None],
                    plane={"T": t, "C": c, "Z": z},
                    scene=scene,
                    location=(1000 * scene, 50),
                )
        czi.write_metadata(
            channel_names={0: "Phase", 1: "GFP"}, scale_x=0.65e-6, scale_y=0.65e-6, scale_z=2e-6
        )
    return path


@pytest.mark.parametrize(
    ("dtype", "compression"),
    [("uint16", None), ("uint8", None), ("uint16", "zstd1:ExplicitLevel=3"), ("uint16", "zstd0:")],
)
def test_scenes_of_unequal_size_are_fields_of_view_with_their_own_frames(
    tmp_path: Path, dtype: str, compression: str | None
) -> None:
    path = write_czi(tmp_path / "a.czi", dtype=dtype, compression=compression)
    source, metadata = load_microscopy_file(path, z=0)
    with source:
        assert metadata.fov_shapes == tuple((N_T, *size) for size in SCENES)
        assert metadata.channel_names == ("Phase", "GFP")
        assert (metadata.n_z, metadata.dtype, metadata.file_type) == (N_Z, dtype, "czi")
        assert metadata.pixel_size_um == pytest.approx(0.65)
        assert metadata.z_step_um == pytest.approx(2.0)
        for scene, t, c, z in np.ndindex(3, N_T, N_C, N_Z):
            frame = source.read_frame(scene, c, t, z)
            np.testing.assert_array_equal(frame, plane(scene, t, c, z, dtype))
            assert frame.flags.c_contiguous
            assert frame.dtype == dtype
    with open_source(metadata) as again:
        np.testing.assert_array_equal(again.read_frame(1, 1, 2), plane(1, 2, 1, 0, dtype))


def test_a_single_scene_is_one_field_of_view(tmp_path: Path) -> None:
    source, metadata = load_microscopy_file(write_czi(tmp_path / "a.czi", n_scenes=1), z="max")
    with source:
        assert metadata.n_fovs == 1
        expected = np.maximum(plane(0, 1, 1, 0), plane(0, 1, 1, 1))
        np.testing.assert_array_equal(source.read_frame(0, 1, 1), expected)


def test_a_file_without_times_says_so(tmp_path: Path) -> None:
    source, metadata = load_microscopy_file(write_czi(tmp_path / "a.czi"))
    source.close()
    assert metadata.timepoints_source == "unknown"
    assert metadata.timepoints == ((None,) * N_T,) * 3


def test_a_plane_that_was_never_written_is_missing_and_not_zeros(tmp_path: Path) -> None:
    path = write_czi(tmp_path / "a.czi", left_out=((1, 1, 0, 0),))
    source, metadata = load_microscopy_file(path)
    with source:
        with pytest.raises(
            MissingFrameError, match=r"FOV 1, channel 0, frame 1, z plane 0: it was never"
        ):
            source.read_frame(1, 0, 1)
        np.testing.assert_array_equal(source.read_frame(1, 0, 2), plane(1, 2, 0, 0))
    assert any("planes are missing, FOV 1 in frames 1" in w for w in metadata.warnings)


def test_a_stopped_acquisition_has_the_frames_that_are_whole(tmp_path: Path) -> None:
    path = write_czi(tmp_path / "a.czi", left_out=((2, 2, 0, 0), (2, 2, 1, 0), (2, 2, 1, 1)))
    source, metadata = load_microscopy_file(path)
    source.close()
    assert [shape[0] for shape in metadata.fov_shapes] == [3, 3, 2]


def write_mosaic(path: Path, tiles: dict[int, list[tuple[int, int]]]) -> Path:
    """Write frames that are put together from tiles of 10×10 pixels at the given places."""
    with pyczi.create_czi(str(path), exist_ok=True) as czi:
        for t, places in tiles.items():
            for m, (x, y) in enumerate(places):
                pixels = np.full((10, 10, 1), 100 * t + m + 1, np.uint16)
                czi.write(pixels, plane={"T": t, "C": 0}, scene=0, location=(x, y))
        czi.write_metadata()
    return path


def test_tiles_are_put_together(tmp_path: Path) -> None:
    places = [(0, 0), (10, 0), (0, 10), (10, 10)]
    path = write_mosaic(tmp_path / "a.czi", {0: places, 1: places})
    source, metadata = load_microscopy_file(path)
    with source:
        frame = source.read_frame(0, 0, 1)
    assert metadata.fov_shapes == ((2, 20, 20),)
    np.testing.assert_array_equal(frame[::10, ::10], [[101, 102], [103, 104]])
    assert not any("do not fill" in warning for warning in metadata.warnings)


def test_a_frame_that_lacks_a_tile_is_missing(tmp_path: Path) -> None:
    path = write_mosaic(
        tmp_path / "a.czi", {0: [(0, 0), (10, 0)], 1: [(0, 0)], 2: [(0, 0), (10, 0)]}
    )
    source, _ = load_microscopy_file(path)
    with source, pytest.raises(MissingFrameError, match="not all its tiles"):
        source.read_frame(0, 0, 1)


def test_a_rectangle_that_tiles_do_not_fill_is_warned_of(tmp_path: Path) -> None:
    source, metadata = load_microscopy_file(
        write_mosaic(tmp_path / "a.czi", {0: [(0, 0), (30, 0)]})
    )
    source.close()
    assert any("do not fill its rectangle" in warning for warning in metadata.warnings)


def test_tiles_so_far_apart_that_a_place_must_be_wrong_are_refused(tmp_path: Path) -> None:
    path = write_mosaic(tmp_path / "a.czi", {0: [(0, 0), (90_000, 0)]})
    with pytest.raises(InputError, match=r"damaged .*rectangle of 90010 × 10"):
        load_microscopy_file(path)


def test_a_file_whose_directory_is_gone_is_not_given_to_the_library(tmp_path: Path) -> None:
    # On some such files the library ends the process by a segmentation fault.
    path = write_czi(tmp_path / "a.czi")
    data = path.read_bytes()
    at = data.index(b"ZISRAWDIRECTORY")
    path.write_bytes(data[: at + 200] + b"\xff" * 40)
    with (
        mock.patch("pylibCZIrw.czi.open_czi", side_effect=AssertionError("given away")),
        pytest.raises(InputError, match="damaged or cut off"),
    ):
        load_microscopy_file(path)


def test_a_colour_image_is_refused(tmp_path: Path) -> None:
    with pyczi.create_czi(str(tmp_path / "a.czi")) as czi:
        czi.write(np.zeros((8, 8, 3), np.uint8), plane={"C": 0})
        czi.write_metadata()
    with pytest.raises(InputError, match="colour"):
        load_microscopy_file(tmp_path / "a.czi")


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_off_anywhere_is_refused_with_a_sentence(tmp_path: Path, share: float) -> None:
    path = write_czi(tmp_path / "a.czi")
    data = path.read_bytes()
    path.write_bytes(data[: max(32, int(share * len(data)))])
    with pytest.raises(InputError, match="damaged or cut off") as error:
        load_microscopy_file(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bytes_never_give_an_error_that_is_not_understood(
    tmp_path: Path, seed: int
) -> None:
    path = write_czi(tmp_path / "a.czi", n_scenes=1, compression="zstd1:ExplicitLevel=1")
    data, rng = bytearray(path.read_bytes()), np.random.default_rng(seed)
    at = int(rng.integers(0, len(data)))
    data[at : at + 4] = rng.bytes(4)
    path.write_bytes(data)
    try:
        source, metadata = load_microscopy_file(path)
    except InputError:
        return
    with source:
        for f, t, c in np.ndindex(metadata.n_fovs, metadata.n_frames, metadata.n_channels):
            try:
                source.read_frame(f, c, t)
            except (MissingFrameError, InputError):
                continue


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-06-15T06:09:43.0304818Z", dt.datetime(2021, 6, 15, 6, 9, 43, 30481, dt.UTC)),
        ("2021-06-15T06:09:43Z", dt.datetime(2021, 6, 15, 6, 9, 43, 0, dt.UTC)),
        ("2021-06-15T06:09:43.5", dt.datetime(2021, 6, 15, 6, 9, 43, 500000, dt.UTC)),
        ("2021-06-15T08:09:43.5+02:00", dt.datetime(2021, 6, 15, 6, 9, 43, 500000, dt.UTC)),
        ("yesterday", None),
    ],
)
def test_times_of_tiles_are_dates(text: str, expected: dt.datetime | None) -> None:
    assert _seconds(text) == (None if expected is None else expected.timestamp())


def xml_of(positions: str) -> str:
    dimensions = f"<Dimensions><T><Positions>{positions}</Positions></T></Dimensions>"
    image = f"<Image><SizeT>4</SizeT>{dimensions}</Image>"
    return f"<ImageDocument><Metadata><Information>{image}</Information></Metadata></ImageDocument>"


@pytest.mark.parametrize(
    ("positions", "times"),
    [
        ("<Interval><Increment>30</Increment></Interval>", (0, 0.5, 1.0, 1.5)),
        ("<List><Offsets>0 60 120 240</Offsets></List>", (0, 1, 2, 4)),
        ("<List><Offsets>0 60</Offsets></List>", None),
        ("<Interval><Increment>0</Increment></Interval>", None),
        ("", None),
    ],
)
def test_planned_times_are_in_minutes(positions: str, times: tuple[float, ...] | None) -> None:
    assert parse_czi_xml(xml_of(positions), 4).interval_times == times


def library_plane(
    czi: pyczi.CziReader, fov: int, scenes: dict[int, Any], at: dict[str, int]
) -> np.ndarray[Any, Any]:
    if not scenes:
        return np.asarray(czi.read(plane=at))[:, :, 0]
    scene = sorted(scenes)[fov]
    return np.asarray(czi.read(plane=at, scene=scene, roi=scenes[scene]))[:, :, 0]


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_every_plane_of_a_real_file_is_what_pylibczirw_gives(name: str) -> None:
    source, metadata = load_microscopy_file(DATA / name)
    with source, pyczi.open_czi(str(DATA / name)) as czi:
        box, scenes = czi.total_bounding_box, czi.scenes_bounding_rectangle
        counts = metadata.n_frames, metadata.n_channels, metadata.n_z
        assert counts == tuple(box.get(axis, (0, 1))[1] for axis in "TCZ")
        assert metadata.n_fovs == max(len(scenes), 1)
        for fov, t, c, z in np.ndindex(metadata.n_fovs, *counts):
            expected = library_plane(czi, fov, scenes, {"T": t, "C": c, "Z": z})
            np.testing.assert_array_equal(source.read_frame(fov, c, t, z), expected)


@needs_data
def test_real_times_are_those_of_the_tiles_or_of_the_file() -> None:
    path = DATA / "CellDivision_T3_Z5_CH2_X240_Y170.czi"
    source, metadata = load_microscopy_file(path)
    source.close()
    segments = CziSegments(path)
    planes = planes_of(segments.subblocks)
    taken = [segments.acquisition_time(planes[0, t, 0, 0][0]) for t in range(3)]
    stamps = segments.time_stamps()
    segments.close()
    assert metadata.timepoints_source == "measured"
    assert all(time is not None for time in taken)
    expected = [(time - taken[0]) / 60 for time in taken]  # type: ignore[operator]
    assert metadata.timepoints[0] == pytest.approx(expected, abs=1e-6)
    # The list of the file was taken some 20 ms off, over intervals of a minute.
    assert np.diff(metadata.timepoints[0]) == pytest.approx(np.diff(stamps) / 60, abs=2e-3)


@needs_data
def test_a_real_file_without_times_of_tiles_has_those_of_its_list() -> None:
    source, metadata = load_microscopy_file(DATA / "Airyscan.czi")
    source.close()
    assert metadata.timepoints_source == "measured"
    expected = np.subtract([5658.013098666666, 5658.536444121212], 5657.489753212121) / 60
    assert metadata.timepoints[0][1:] == pytest.approx(expected.tolist(), abs=1e-8)


@needs_data
def test_a_real_plate_has_wells_with_name_and_place() -> None:
    source, metadata = load_microscopy_file(DATA / "WellD6-7_S2.czi")
    source.close()
    assert metadata.fov_names == ("D6", "D7")
    assert metadata.stage_positions_um == ((49500, 35500, None), (58500, 35500, None))
    assert metadata.emission_nm == (517,)
    assert metadata.timepoints[1][0] == pytest.approx(0.385889 / 60, abs=1e-6)
    assert metadata.bit_depth == 14


def test_without_the_library_it_is_said_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_czi(tmp_path / "a.czi")
    monkeypatch.delitem(sys.modules, "pylibCZIrw.czi")
    monkeypatch.setitem(sys.modules, "pylibCZIrw", None)
    with pytest.raises(InputError, match=r"a\.czi: reading CZI needs the package pylibCZIrw"):
        load_microscopy_file(path)
