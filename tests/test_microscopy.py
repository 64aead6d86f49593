"""Opening files of any kind: what is refused and how, and what every source promises."""

from __future__ import annotations

import dataclasses
import logging
import math
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from nd2_writer import position_loop, time_loop, write_nd2, z_loop
from pyama_core.errors import InputError
from pyama_core.io.microscopy import FrameSource, load_microscopy_file, open_source
from pyama_core.io.readers.frame_source import base_name
from pyama_core.io.readers.timepoints import resolve_timepoints
from pyama_core.io.units import micrometres_per, seconds_per

STACK = np.random.default_rng(0).integers(0, 65535, (2, 3, 2, 4, 9, 13), dtype=np.uint16)


def write_ome(path: Path) -> Path:
    """Write STACK, (P, T, C, Z, Y, X)."""
    with tifffile.TiffWriter(path) as tiff:
        for position in STACK:
            tiff.write(position, metadata={"axes": "TCZYX"}, photometric="minisblack")
    return path


def write_as_nd2(path: Path) -> Path:
    frames = STACK.transpose(0, 1, 3, 4, 5, 2).reshape(-1, 9, 13, 2)
    loops = [position_loop(["a", "b"]), time_loop(3, 1000.0), z_loop(4)]
    write_nd2(path, frames, loops)
    return path


WRITERS = {"a.ome.tif": write_ome, "a.nd2": write_as_nd2}


@pytest.fixture(params=WRITERS)
def any_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return WRITERS[request.param](tmp_path / request.param)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("run.ome.tif", "run"),
        ("run.OME.TIFF", "run"),
        ("run.v2.nd2", "run.v2"),
        ("run.companion.ome", "run"),
        ("run.Tif", "run"),
        ("run.ome.tiff.tif", "run.ome.tiff"),
        ("run.btf", "run"),
        (".nd2", ".nd2"),
        ("run", "run"),
        ("My run 1.ome.nd2", "My run 1.ome"),
    ],
)
def test_the_base_name_drops_the_whole_ending(name: str, base: str) -> None:
    assert base_name(Path(name)) == base


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("missing.nd2", None, "does not exist"),
        ("empty.nd2", b"", "is empty"),
        ("text.nd2", b"hello world", "does not begin like one"),
        ("text.tif", b"hello world", "does not begin like one"),
        ("image.png", b"\x89PNG\r\n\x1a\n", "give the folder"),
        ("old.nd2", b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
        ("cut.nd2", b"\xda\xce\xbe\x0a", "cut off"),
        ("cut.tif", b"II*\x00", "cut-off"),
        ("cut.companion.ome", b"<?xml version", "not well-formed"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=told) as error:
        load_microscopy_file(path)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder without TIFF or PNG images"):
        load_microscopy_file(tmp_path)


def test_a_file_is_known_by_its_first_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    write_as_nd2(tmp_path / "named.tif")
    source, metadata = load_microscopy_file(tmp_path / "named.tif", z=0)
    source.close()
    assert metadata.file_type == "nd2"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"zed": 0}, "'zed'; the known ones are z, axes, pattern"),
        ({"z": -1}, "not -1"),
        ({"z": "mean"}, "not 'mean'"),
        ({"z": 1.5}, "not 1.5"),
        ({"z": True}, "not True"),
        ({"z": 4}, "no z plane 4; valid are 0 to 3, or 'max'"),
        ({"axes": 5}, "not 5"),
        ({"pattern": 5}, "not 5"),
        ({"pattern": "{fov}.tif"}, "for folders of single images"),
        ({"axes": "TCYX"}, "states the order|does not fit"),
    ],
)
def test_a_bad_option_is_refused(any_file: Path, options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        load_microscopy_file(any_file, **options)


def test_every_plane_of_every_format_is_the_one_that_was_written(any_file: Path) -> None:
    source, metadata = load_microscopy_file(str(any_file))
    with source:
        assert metadata.fov_shapes == ((3, 9, 13), (3, 9, 13))
        assert (metadata.n_fovs, metadata.n_channels, metadata.n_z) == (2, 2, 4)
        assert (metadata.n_frames, metadata.height, metadata.width) == (3, 9, 13)
        assert metadata.dtype == "uint16"
        assert metadata.base_name == "a"
        assert metadata.file_path == any_file
        assert metadata.companions == (any_file,)
        for fov, time, channel, z in np.ndindex(STACK.shape[:4]):
            frame = source.read_frame(fov, channel, time, z)
            np.testing.assert_array_equal(frame, STACK[fov, time, channel, z])
            assert frame.flags.c_contiguous
            assert frame.dtype == np.dtype("uint16")
            assert frame.dtype.isnative


def test_frames_stay_as_they_were_when_others_are_read_and_the_source_is_closed(
    any_file: Path,
) -> None:
    source, _ = load_microscopy_file(any_file, z=0)
    with source:
        frames = {at: source.read_frame(at[0], at[2], at[1]) for at in np.ndindex(2, 3, 2)}
    for at, frame in frames.items():
        np.testing.assert_array_equal(frame, STACK[(*at, 0)])


@pytest.mark.parametrize("z", [0, 2, "max"])
def test_the_chosen_z_plane_is_read_unless_another_is_asked_for(any_file: Path, z: Any) -> None:
    source, metadata = load_microscopy_file(any_file, z=z)
    planes = STACK[1, 2, 1]
    with source:
        expected = planes.max(axis=0) if z == "max" else planes[z]
        np.testing.assert_array_equal(source.read_frame(1, 1, 2), expected)
        np.testing.assert_array_equal(source.read_frame(1, 1, 2, z=3), planes[3])
        np.testing.assert_array_equal(source.read_frame(1, 1, 2, z="max"), planes.max(axis=0))
        np.testing.assert_array_equal(source.read_frame(1, 0, 2, "max"), STACK[1, 2, 0].max(0))
    assert metadata.options == (("z", z),)
    assert not any("z planes" in warning for warning in metadata.warnings)


def test_taking_the_first_of_several_z_planes_unasked_is_warned_of(
    any_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="pyama_core"):
        source, metadata = load_microscopy_file(any_file)
    with source:
        np.testing.assert_array_equal(source.read_frame(0, 0, 0), STACK[0, 0, 0, 0])
    assert any("4 z planes, of which plane 0" in warning for warning in metadata.warnings)
    assert [warning in caplog.text for warning in metadata.warnings] == [True] * len(
        metadata.warnings
    )


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ((2, 0, 0), "no FOV 2; valid are 0 to 1"),
        ((-1, 0, 0), "no FOV -1"),
        ((0, 2, 0), "no channel 2; valid are 0 to 1"),
        ((0, 0, 3), "no FOV 0, frame 3; valid are 0 to 2"),
        ((0, 0, 0, 4), "no z plane 4; valid are 0 to 3"),
        ((0, 0, 0, "min"), "'min'"),
        ((0, 1.0, 0), "1.0"),
    ],
)
def test_an_index_outside_the_file_names_the_valid_ones(
    any_file: Path, at: tuple[Any, ...], told: str
) -> None:
    source, metadata = load_microscopy_file(any_file)
    with source, pytest.raises(InputError, match=told):
        source.read_frame(*at)
    with pytest.raises(InputError, match="no FOV 2; valid are 0 to 1"):
        metadata.shape_of(2)
    assert metadata.shape_of(1) == (3, 9, 13)


def test_closing_twice_is_fine_and_reading_afterwards_is_an_error(any_file: Path) -> None:
    source, _ = load_microscopy_file(any_file)
    source.read_frame(0, 0, 0)
    source.close()
    source.close()
    with pytest.raises(InputError, match="was closed"):
        source.read_frame(0, 0, 0)


def test_several_threads_read_the_same_source(any_file: Path) -> None:
    source, _ = load_microscopy_file(any_file)
    places = list(np.ndindex(STACK.shape[:4])) * 10

    def is_right(at: tuple[int, ...]) -> bool:
        fov, time, channel, z = at
        return np.array_equal(source.read_frame(fov, channel, time, z), STACK[at])

    with source, ThreadPoolExecutor(4) as pool:
        assert all(pool.map(is_right, places))


def test_metadata_reopens_the_file_in_another_process(any_file: Path) -> None:
    source, metadata = load_microscopy_file(any_file, z="max")
    source.close()
    program = (
        "import pickle, sys\n"
        "from pyama_core.io.microscopy import open_source\n"
        "metadata = pickle.loads(sys.stdin.buffer.read())\n"
        "with open_source(metadata) as source:\n"
        "    assert source.metadata == metadata\n"
        "    sys.stdout.buffer.write(source.read_frame(1, 1, 2).tobytes())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(metadata), capture_output=True
    )
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout == STACK[1, 2, 1].max(axis=0).tobytes()
    assert hash(metadata) == hash(pickle.loads(pickle.dumps(metadata)))


def test_a_file_reopens_with_times_that_the_user_supplied(any_file: Path) -> None:
    source, metadata = load_microscopy_file(any_file)
    source.close()
    times = tuple(tuple(5.0 * t for t in range(3)) for _ in range(2))
    with open_source(dataclasses.replace(metadata, timepoints=times)) as source:
        assert isinstance(source, FrameSource)


def test_a_file_that_was_replaced_does_not_reopen(any_file: Path) -> None:
    source, metadata = load_microscopy_file(any_file)
    source.close()
    if metadata.file_type == "nd2":
        write_nd2(any_file, STACK[0, 0].transpose(1, 2, 3, 0), [time_loop(4)])
    else:
        tifffile.imwrite(any_file, STACK[0, 0, 0], metadata={"axes": "TYX"}, ome=True)
    with pytest.raises(InputError, match="has changed"):
        open_source(metadata)
    any_file.unlink()
    with pytest.raises(InputError, match="does not exist"):
        open_source(metadata)
    with pytest.raises(InputError, match="does not exist"):
        open_source(dataclasses.replace(metadata, reader="other"))


def test_an_unknown_reader_is_refused(any_file: Path) -> None:
    source, metadata = load_microscopy_file(any_file)
    source.close()
    with pytest.raises(InputError, match="'other', which is unknown"):
        open_source(dataclasses.replace(metadata, reader="other"))


def test_importing_the_module_loads_no_format_library() -> None:
    program = (
        "import sys, pyama_core.io.microscopy\n"
        "loaded = {'nd2', 'tifffile', 'imagecodecs', 'xml.etree.ElementTree', 'scipy', 'pandas'}\n"
        "print(sorted(loaded & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr


@pytest.mark.parametrize(
    ("unit", "seconds"),
    [("s", 1), ("ms", 1e-3), ("µs", 1e-6), ("μs", 1e-6), ("min", 60), ("h", 3600), ("Ms", None)],
)
def test_units_of_time_are_told_apart(unit: str, seconds: float | None) -> None:
    assert seconds_per(unit) == seconds


@pytest.mark.parametrize(
    ("unit", "micrometres"),
    [
        *(("µm", 1), ("μm", 1), ("um", 1), ("\\u00B5m", 1), ("micron", 1), ("nm", 1e-3)),
        *(("mm", 1e3), ("cm", 1e4), ("Å", 1e-4), ("inch", 25400)),
        *(("pixel", None), ("Mm", None), ("", None)),
    ],
)
def test_units_of_length_are_told_apart(unit: str, micrometres: float | None) -> None:
    assert micrometres_per(unit) == micrometres


TIMES = st.one_of(st.none(), st.just(math.nan), st.floats(0, 1e4))


@given(st.lists(st.lists(TIMES, min_size=1, max_size=6), min_size=1, max_size=4))
def test_measured_times_keep_their_distances_and_begin_at_zero(
    measured: list[list[float | None]],
) -> None:
    lengths = [len(row) for row in measured]
    result = resolve_timepoints(measured, None, lengths)
    known = [t for row in measured for t in row if t is not None and not math.isnan(t)]
    assert [len(row) for row in result.values] == lengths
    if result.source == "unknown":
        assert all(t is None for row in result.values for t in row)
        rows = [{t for t in row if t is not None and not math.isnan(t)} for row in measured]
        assert not known or (max(lengths) > 1 and all(len(row) <= 1 for row in rows))
        return
    assert result.source == "measured"
    for row, times in zip(measured, result.values, strict=True):
        for before, after in zip(row, times, strict=True):
            if before is None or math.isnan(before):
                assert after is None
            else:
                assert after == pytest.approx(before - min(known), abs=1e-8)


def test_times_that_never_change_are_placeholders() -> None:
    assert resolve_timepoints([[0.0, 0.0, 0.0]], None, [3]).source == "unknown"
    nominal = resolve_timepoints([[0.0, 0.0, 0.0]], [0.0, 5.0, 10.0], [3])
    assert (nominal.source, nominal.values) == ("nominal", ((0.0, 5.0, 10.0),))


def test_times_that_go_back_or_are_partly_absent_are_warned_of() -> None:
    result = resolve_timepoints([[0.0, 2.0, 1.0], [0.5, None]], None, [3, 3])
    assert result.values == ((0.0, 2.0, 1.0), (0.5, None, None))
    assert result.warnings == (
        "2 of 6 frames have no time in the file",
        "times of FOV 0 do not increase from frame to frame",
    )


def test_a_single_frame_without_time_is_not_worth_a_warning() -> None:
    result = resolve_timepoints([[]], None, [1])
    assert (result.values, result.source, result.warnings) == (((None,),), "unknown", ())
