"""ND2 files: real ones against what the nd2 package gives, written ones for everything else."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from pathlib import Path
from typing import Any
from unittest import mock

import nd2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nd2_writer import (
    Loop,
    custom_loop,
    phased_time_loop,
    position_loop,
    time_loop,
    write_nd2,
    z_loop,
)
from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.readers.nd2 import source as nd2_source
from pyama_core.io.readers.nd2.chunks import Nd2Chunks

DATA = Path(__file__).parents[2] / "shared" / "data" / "nd2"
REAL = sorted(path.name for path in DATA.glob("*.nd2"))
needs_data = pytest.mark.skipif(not REAL, reason="the real ND2 files are not beside the repository")


def some_frames(n: int, n_channels: int = 2, dtype: str = "uint16") -> np.ndarray[Any, Any]:
    pixels = np.random.default_rng(n).integers(0, 255, (n, 5, 7, n_channels))
    return pixels.astype(dtype)


def slow_planes(path: Path) -> dict[tuple[int, int, int, int], np.ndarray[Any, Any]]:
    """Read a file whole with the nd2 package, by (position, channel, time, z)."""
    with nd2.ND2File(path) as file:
        pixels, axes = file.asarray(), "".join(file.sizes)
    for axis in "PCTZ":
        if axis not in axes:
            pixels, axes = pixels[None], axis + axes
    pixels = pixels.transpose([axes.index(axis) for axis in "PCTZYX"])
    return {at: pixels[at] for at in np.ndindex(pixels.shape[:4])}  # type: ignore[misc]


def assert_reads_as_nd2_does(path: Path) -> None:
    expected = slow_planes(path)
    source, metadata = load_microscopy_file(path)
    with source:
        counts = metadata.n_fovs, metadata.n_channels, metadata.n_frames, metadata.n_z
        assert set(expected) == set(np.ndindex(counts))
        for at, plane in expected.items():
            frame = source.read_frame(*at)
            np.testing.assert_array_equal(frame, plane)
            assert frame.flags.c_contiguous
            assert frame.dtype == plane.dtype == metadata.dtype
        projection = source.read_frame(0, metadata.n_channels - 1, 0, "max")
    stack = [expected[0, metadata.n_channels - 1, 0, z] for z in range(metadata.n_z)]
    np.testing.assert_array_equal(projection, np.max(stack, axis=0))


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_every_plane_of_a_real_file_is_what_the_nd2_package_gives(name: str) -> None:
    assert_reads_as_nd2_does(DATA / name)


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_the_times_of_a_real_file_are_what_the_nd2_package_gives(name: str) -> None:
    source, metadata = load_microscopy_file(DATA / name)
    source.close()
    with nd2.ND2File(DATA / name) as file:
        first_planes = [
            file.frame_metadata(index).channels[0].time.relativeTimeMs  # type: ignore[union-attr]
            for index, at in enumerate(file.loop_indices)
            if at.get("Z", 0) == 0
        ]
    expected = [(time - min(first_planes)) / 60_000 for time in first_planes]
    assert metadata.timepoints_source == "measured"
    assert metadata.timepoints[0] == pytest.approx(expected, abs=1e-8)


@needs_data
def test_real_files_say_what_nis_elements_says_of_them() -> None:
    known = yaml.safe_load((DATA / "known-metadata.yml").read_text())
    for name, channels in known.items():
        source, metadata = load_microscopy_file(DATA / name)
        source.close()
        assert metadata.n_channels == len(channels)
        for channel in channels.values():
            resolution = channel["resolution"]
            assert metadata.pixel_size_um == pytest.approx(resolution["xy_step_um"], rel=1e-12)
            sizes = metadata.n_z, metadata.height, metadata.width
            assert sizes == tuple(resolution[f"{axis}_size_px"] for axis in "zyx")
            if metadata.n_z > 1:
                assert metadata.z_step_um == pytest.approx(resolution["z_step_um"], rel=1e-12)


@needs_data
def test_a_real_multichannel_file_names_its_channels() -> None:
    source, metadata = load_microscopy_file(DATA / "example-multichannel.nd2")
    source.close()
    assert metadata.channel_names == ("Mono", "DAPI", "FITC BP", "TRITC BP")
    assert metadata.fov_names == ("FOV 0",)


LOOPS = {"P": position_loop(["A1", "", "B 2"]), "T": time_loop(4, 1000.0), "Z": z_loop(2)}
ORDERS = ["".join(p) for n in range(4) for p in itertools.permutations("PTZ", n)]


@pytest.mark.parametrize("order", ORDERS)
def test_loops_are_told_apart_in_every_order(tmp_path: Path, order: str) -> None:
    sizes = {"P": 3, "T": 4, "Z": 2}
    frames = some_frames(math.prod(sizes[axis] for axis in order))
    times = [250.0 * index + 100.0 for index in range(len(frames))]
    path = tmp_path / "a.nd2"
    write_nd2(path, frames, [LOOPS[axis] for axis in order], times_ms=times)
    assert_reads_as_nd2_does(path)

    source, metadata = load_microscopy_file(path)
    source.close()
    assert metadata.fov_names == (("A1", "FOV 1", "B 2") if "P" in order else ("FOV 0",))
    with nd2.ND2File(path) as file:
        for index, at in enumerate(file.loop_indices):
            if at.get("Z", 0) == 0:
                minutes = metadata.timepoints[at.get("P", 0)][at.get("T", 0)]
                assert minutes == pytest.approx(250 * index / 60_000, abs=1e-8)


@settings(max_examples=25, deadline=None)
@given(
    n_channels=st.integers(1, 4),
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
    row_padding=st.sampled_from([0, 4, 8]),
    compression=st.sampled_from([None, "lossless"]),
    bytes_at_a_time=st.sampled_from([1, 40, 1 << 20]),
    worth_splitting=st.sampled_from([0, 1 << 20]),
)
def test_every_way_of_storing_pixels_is_read_as_the_nd2_package_reads_it(
    tmp_path_factory: pytest.TempPathFactory,
    n_channels: int,
    dtype: str,
    row_padding: int,
    compression: str | None,
    bytes_at_a_time: int,
    worth_splitting: int,
) -> None:
    path = tmp_path_factory.mktemp("nd2") / "a.nd2"
    frames = some_frames(6, n_channels, dtype)
    options = {"row_padding": row_padding, "compression": compression}
    # Three channels look like one channel in colour unless they are declared as three.
    write_nd2(path, frames, [position_loop(["a", "b", "c"]), z_loop(2)], **options)  # type: ignore[arg-type]
    with (
        mock.patch.object(nd2_source, "_BYTES_AT_A_TIME", bytes_at_a_time),
        mock.patch.object(nd2_source, "_WORTH_SPLITTING", worth_splitting),
    ):
        assert_reads_as_nd2_does(path)


@settings(max_examples=50, deadline=None)
@given(
    asked=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 1), st.sampled_from([0, 1, "max"])), max_size=20
    )
)
def test_planes_are_right_in_any_order_and_each_belongs_to_whoever_asked(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, int, Any]]
) -> None:
    path = tmp_path_factory.mktemp("nd2") / "a.nd2"
    frames = some_frames(4, 3)
    write_nd2(path, frames, [time_loop(2), z_loop(2)], times_ms=[0.0] * 4)
    stack = frames.reshape(2, 2, 5, 7, 3)
    source, _ = load_microscopy_file(path, z=0)
    with source:
        for channel, t, z in asked:
            frame = source.read_frame(0, channel, t, z)
            planes = stack[t, :, :, :, channel]
            np.testing.assert_array_equal(frame, planes.max(axis=0) if z == "max" else planes[z])
            frame[:] = 7


def test_positions_that_were_left_out_are_not_fields_of_view(tmp_path: Path) -> None:
    loop = position_loop(["a", "left out", "c"], [True, False, True])
    write_nd2(tmp_path / "a.nd2", some_frames(6), [time_loop(3, 60e3), loop])
    source, metadata = load_microscopy_file(tmp_path / "a.nd2")
    source.close()
    assert metadata.fov_names == ("a", "c")
    assert_reads_as_nd2_does(tmp_path / "a.nd2")


@pytest.mark.parametrize(
    ("loop", "expected"),
    [
        (time_loop(4, 120e3), (0.0, 2.0, 4.0, 6.0)),
        (time_loop(4, 1.0, measured_period_ms=90e3), (0.0, 1.5, 3.0, 4.5)),
        (phased_time_loop([(2, 60e3), (2, 600e3)]), (0.0, 1.0, 2.0, 12.0)),
    ],
)
def test_without_frame_times_the_interval_is_used_and_said_to_be_nominal(
    tmp_path: Path, loop: Loop, expected: tuple[float, ...]
) -> None:
    write_nd2(tmp_path / "a.nd2", some_frames(4), [loop])
    source, metadata = load_microscopy_file(tmp_path / "a.nd2")
    source.close()
    assert metadata.timepoints == (expected,)
    assert metadata.timepoints_source == "nominal"
    assert any("nominal interval" in warning for warning in metadata.warnings)


@pytest.mark.parametrize("loop", [time_loop(4), phased_time_loop([(2, 60e3), (2, 0.0)])])
def test_without_frame_times_and_interval_the_times_are_unknown(tmp_path: Path, loop: Loop) -> None:
    write_nd2(tmp_path / "a.nd2", some_frames(4), [loop])
    source, metadata = load_microscopy_file(tmp_path / "a.nd2")
    source.close()
    assert metadata.timepoints == ((None,) * 4,)
    assert metadata.timepoints_source == "unknown"
    assert any("no times" in warning for warning in metadata.warnings)


def test_frames_beyond_the_recorded_times_have_none(tmp_path: Path) -> None:
    write_nd2(tmp_path / "a.nd2", some_frames(4), [time_loop(4)], times_ms=[0.0, 60e3, 180e3])
    source, metadata = load_microscopy_file(tmp_path / "a.nd2")
    source.close()
    assert metadata.timepoints == ((0.0, 1.0, 3.0, None),)
    assert any("1 of 4 frames have no time" in warning for warning in metadata.warnings)


def test_without_a_list_of_times_each_frame_still_says_its_own(tmp_path: Path) -> None:
    # What a stopped acquisition leaves: the list at the end of the file was never written.
    stamps = [445.0 + 61e3 * index for index in range(8)]
    loops = [time_loop(4, 60e3), position_loop(["a", "b"])]
    write_nd2(tmp_path / "a.nd2", some_frames(8), loops, stamps_ms=stamps, written=range(7))
    source, metadata = load_microscopy_file(tmp_path / "a.nd2")
    source.close()
    assert metadata.timepoints_source == "measured"
    minutes = np.arange(8) * 61 / 60
    assert metadata.timepoints[0] == pytest.approx(minutes[::2])
    assert metadata.timepoints[1] == pytest.approx(minutes[1:6:2])


def test_frames_beyond_a_list_of_times_that_is_too_short_say_their_own(tmp_path: Path) -> None:
    times = [0.0, 60e3, 180e3, 200e3]
    write_nd2(
        tmp_path / "a.nd2", some_frames(4), [time_loop(4)], times_ms=times[:2], stamps_ms=times
    )
    source, metadata = load_microscopy_file(tmp_path / "a.nd2")
    source.close()
    assert metadata.timepoints[0] == pytest.approx([0.0, 1.0, 3.0, 10 / 3])


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_the_time_beside_the_pixels_of_a_real_frame_is_the_one_in_the_list(name: str) -> None:
    with contextlib.closing(Nd2Chunks(DATA / name)) as chunks:
        listed = np.frombuffer(chunks.read(b"CustomData|AcqTimesCache!") or b"", "<f8")
        stamps = chunks.time_stamps(chunks.frames)
    np.testing.assert_array_equal(stamps, listed[: len(stamps)])


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_a_real_file_without_a_loop_over_positions_says_where_the_stage_was(name: str) -> None:
    source, metadata = load_microscopy_file(DATA / name)
    source.close()
    with nd2.ND2File(DATA / name) as file:
        stage = file.frame_metadata(0).channels[0].position.stagePositionUm  # type: ignore[union-attr]
    assert metadata.stage_positions_um == (tuple(stage),)
    assert any(stage)


def test_times_are_those_of_the_chosen_z_plane(tmp_path: Path) -> None:
    times = [float(index) * 60e3 for index in range(6)]
    write_nd2(tmp_path / "a.nd2", some_frames(6), [time_loop(2), z_loop(3)], times_ms=times)
    source, metadata = load_microscopy_file(tmp_path / "a.nd2", z=2)
    source.close()
    assert metadata.timepoints == ((0.0, 3.0),)


def test_a_stopped_acquisition_has_the_frames_that_are_whole_in_every_field_of_view(
    tmp_path: Path,
) -> None:
    frames = some_frames(4 * 2 * 2)
    # Stopped in time 2 after both planes of position 0 and one of position 1.
    loops = [time_loop(4, 60e3), position_loop(["a", "b"]), z_loop(2)]
    write_nd2(tmp_path / "a.nd2", frames, loops, written=range(11))
    source, metadata = load_microscopy_file(tmp_path / "a.nd2", z=1)
    assert metadata.fov_shapes == ((3, 5, 7), (2, 5, 7))
    assert metadata.n_frames == 3
    assert [len(times) for times in metadata.timepoints] == [3, 2]
    assert "frames are missing at the end, FOV 0 has 3 of 4, FOV 1 has 2 of 4" in metadata.warnings
    with source:
        np.testing.assert_array_equal(source.read_frame(0, 1, 2), frames[9, :, :, 1])
        with pytest.raises(InputError, match="no FOV 1, frame 2; valid are 0 to 1"):
            source.read_frame(1, 0, 2)


def test_a_field_of_view_never_reached_has_no_frames(tmp_path: Path) -> None:
    loops = [position_loop(["a", "b"]), time_loop(3)]
    write_nd2(tmp_path / "a.nd2", some_frames(6), loops, written=range(3))
    source, metadata = load_microscopy_file(tmp_path / "a.nd2")
    assert metadata.fov_shapes == ((3, 5, 7), (0, 5, 7))
    with source, pytest.raises(InputError, match="no FOV 1, frame 0; there is none"):
        source.read_frame(1, 0, 0)


def test_a_hole_in_the_middle_is_an_error_when_it_is_read_and_shifts_nothing(
    tmp_path: Path,
) -> None:
    frames = some_frames(4)
    write_nd2(tmp_path / "a.nd2", frames, [time_loop(4)], written=[0, 2, 3])
    source, metadata = load_microscopy_file(tmp_path / "a.nd2")
    assert metadata.fov_shapes == ((4, 5, 7),)
    assert "planes are missing, FOV 0 in frames 1" in metadata.warnings
    with source:
        np.testing.assert_array_equal(source.read_frame(0, 0, 2), frames[2, :, :, 0])
        with pytest.raises(MissingFrameError, match=r"a\.nd2 lacks FOV 0, channel 1, frame 1"):
            source.read_frame(0, 1, 1)
        np.testing.assert_array_equal(source.read_frame(0, 1, 3), frames[3, :, :, 1])


def test_a_file_without_any_frame_is_refused(tmp_path: Path) -> None:
    write_nd2(tmp_path / "a.nd2", some_frames(4), [time_loop(4)], written=[])
    with pytest.raises(InputError, match="no complete frame"):
        load_microscopy_file(tmp_path / "a.nd2")


def test_frames_without_a_loop_count_as_times_with_a_warning(tmp_path: Path) -> None:
    frames = some_frames(3)
    write_nd2(tmp_path / "a.nd2", frames, [], times_ms=[0.0, 60e3, 120e3])
    source, metadata = load_microscopy_file(tmp_path / "a.nd2")
    with source:
        np.testing.assert_array_equal(source.read_frame(0, 1, 2), frames[2, :, :, 1])
    assert metadata.timepoints == ((0.0, 1.0, 2.0),)
    assert any("its frames count as times" in warning for warning in metadata.warnings)


def test_an_uncalibrated_file_has_no_pixel_size(tmp_path: Path) -> None:
    write_nd2(tmp_path / "a.nd2", some_frames(1), [], pixel_size_um=None)
    source, metadata = load_microscopy_file(tmp_path / "a.nd2")
    source.close()
    assert metadata.pixel_size_um is None


@pytest.mark.parametrize(
    ("loops", "options", "told"),
    [
        ([custom_loop(4)], {}, "the loops CustomLoop; expected"),
        ([time_loop(2), position_loop(["a"]), time_loop(2)], {}, "TimeLoop, XYPosLoop, TimeLoop"),
        ([time_loop(4)], {"samples_per_channel": 3}, "colour"),
        ([time_loop(4)], {"compression": "lossy"}, "compressed with loss"),
    ],
)
def test_what_cannot_be_read_as_grey_planes_is_refused(
    tmp_path: Path, loops: list[Loop], options: dict[str, Any], told: str
) -> None:
    write_nd2(tmp_path / "a.nd2", some_frames(4, 3), loops, **options)
    with pytest.raises(InputError, match=told):
        load_microscopy_file(tmp_path / "a.nd2")


def test_all_channels_of_a_frame_cost_one_reading_of_its_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_nd2(tmp_path / "a.nd2", some_frames(4, 3), [time_loop(2), z_loop(2)])
    source, _ = load_microscopy_file(tmp_path / "a.nd2", z="max")
    chunks = source._chunks  # type: ignore[attr-defined]
    find, places = chunks.find_frame, []
    monkeypatch.setattr(chunks, "find_frame", lambda place: places.append(place) or find(place))
    with source:
        for time, channel in np.ndindex(2, 3):
            source.read_frame(0, channel, time)
        for channel in range(3):
            source.read_frame(0, channel, 1, 0)
    assert places == [0, 1, 2, 3, 2]


def read_everything(path: Path) -> dict[tuple[int, ...], np.ndarray[Any, Any]]:
    """Read what can be read; any other error than the two that are promised escapes."""
    planes: dict[tuple[int, ...], np.ndarray[Any, Any]] = {}
    try:
        source, metadata = load_microscopy_file(path)
    except InputError:
        return planes
    with source:
        for fov, (n_frames, _, _) in enumerate(metadata.fov_shapes):
            for at in itertools.product([fov], range(metadata.n_channels), range(n_frames)):
                try:
                    planes[at] = source.read_frame(*at)
                except MissingFrameError:
                    continue
    return planes


@pytest.mark.parametrize("compression", [None, "lossless"])
def test_a_file_cut_off_anywhere_is_refused_with_a_sentence(
    tmp_path: Path, compression: str | None
) -> None:
    whole, cut = tmp_path / "a.nd2", tmp_path / "cut.nd2"
    write_nd2(whole, some_frames(4), [time_loop(4)], times_ms=[0.0] * 4, compression=compression)
    data = whole.read_bytes()
    assert len(read_everything(whole)) == 8
    for size in [*range(200), *range(200, len(data), 997), *range(len(data) - 60, len(data))]:
        cut.write_bytes(data[:size])
        with pytest.raises(InputError, match=r"cut\.nd2"):
            load_microscopy_file(cut)


@pytest.mark.parametrize("part", ["metadata", "frames", "map"])
def test_a_damaged_byte_gives_an_error_that_is_understood_or_the_right_pixels(
    tmp_path: Path, part: str
) -> None:
    whole, hurt = tmp_path / "a.nd2", tmp_path / "hurt.nd2"
    write_nd2(whole, some_frames(4), [time_loop(4)], times_ms=[0.0] * 4, compression="lossless")
    data, right = whole.read_bytes(), read_everything(whole)
    first, table = data.index(b"ImageDataSeq|0!"), data.index(b"ND2 FILEMAP SIGNATURE")
    begin, end = {"metadata": (0, first), "frames": (first, table), "map": (table, len(data))}[part]
    rng = np.random.default_rng(1)
    # Most of the metadata's bytes are padding; the meaningful ones are not zero.
    places = [at for at in range(begin, end) if data[at] or part == "map"]
    for place in rng.permutation(places)[:250].tolist():
        flipped = data[place] ^ int(rng.integers(1, 256))
        hurt.write_bytes(data[:place] + bytes([flipped]) + data[place + 1 :])
        planes = read_everything(hurt)
        if part == "frames":
            for at, plane in planes.items():
                np.testing.assert_array_equal(plane, right[at])


@pytest.mark.slow
@pytest.mark.nightly
def test_a_hundred_thousand_frames_open_in_two_seconds(tmp_path: Path) -> None:
    frames = np.zeros((100_000, 1, 4, 1), np.uint16)
    loops = [position_loop([f"p{i}" for i in range(100)]), time_loop(1000, 1000.0)]
    write_nd2(tmp_path / "a.nd2", frames, loops, times_ms=list(range(100_000)))
    load_microscopy_file(tmp_path / "a.nd2")[0].close()
    started = time.perf_counter()
    source, metadata = load_microscopy_file(tmp_path / "a.nd2")
    elapsed = time.perf_counter() - started
    source.close()
    assert metadata.fov_shapes == ((1000, 1, 4),) * 100
    assert elapsed < 2
