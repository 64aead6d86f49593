"""NDTiff data sets: of one file and of several, whole and damaged, against what was written."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ndtiff_writer import NdTiffWriter, index_entry, write_ndtiff
from pyama_core.cli.app import app
from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.checksums import identify_source
from pyama_core.io.microscopy import MicroscopyMetadata, load_microscopy_file, open_source
from pyama_core.io.readers.ndtiff.index import parse_index
from pyama_core.io.readers.tiff import source as tiff_source

SHAPE = N_P, N_T, N_C, N_Z = 2, 3, 2, 2
STACK = np.random.default_rng(6).integers(0, 60000, (*SHAPE, 6, 8), dtype=np.uint16)


def assert_is_stack(path: Path, stack: np.ndarray[Any, Any] = STACK) -> MicroscopyMetadata:
    source, about = load_microscopy_file(path, z=0)
    n_p, n_t, n_c, n_z = stack.shape[:4]
    with source:
        assert about.fov_shapes == ((n_t, *stack.shape[4:]),) * n_p
        assert (about.n_channels, about.n_z, about.dtype) == (n_c, n_z, stack.dtype.name)
        for p, t, c, z in np.ndindex(stack.shape[:4]):
            frame = source.read_frame(p, c, t, z)
            np.testing.assert_array_equal(frame, stack[p, t, c, z])
            assert frame.dtype == stack.dtype
            assert frame.flags.c_contiguous
        np.testing.assert_array_equal(source.read_frame(0, 0, 0, "max"), stack[0, 0, 0].max(axis=0))
    with open_source(about) as again:
        assert again.metadata == about
    return about


@pytest.mark.parametrize("images_per_file", [1, 5, 100])
@pytest.mark.parametrize("major", [2, 3])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_plane_is_read_from_its_own_file_however_the_data_set_is_opened(
    tmp_path: Path, images_per_file: int, major: int, order: str
) -> None:
    folder = tmp_path / "scan ä_1"
    write_ndtiff(folder, STACK, images_per_file=images_per_file, major=major, order=order)
    files = sorted(folder.glob("*.tif"))
    assert len(files) == -(-STACK[..., 0, 0].size // images_per_file)
    found = [assert_is_stack(path) for path in (folder, folder / "NDTiff.index", files[-1])]
    for about in found:
        assert (about.file_type, about.base_name) == ("ndtiff", "scan ä_1")
        assert about.channel_names == ("PC", "GFP")
        assert about.fov_names == ("Pos0", "Pos1")
        assert about.stage_positions_um == ((0.0, 5.0, None), (10.0, 5.0, None))
        assert about.timepoints == (
            (0.0, 1.0, 2.0),
            pytest.approx((1 / 60, 1 + 1 / 60, 2 + 1 / 60)),
        )
        assert about.timepoints_source == "measured"
        assert set(about.companions) == {folder / "NDTiff.index", *files}
    assert len({identify_source(about.companions).as_text() for about in found}) == 1


def test_it_is_what_tifffile_reads(tmp_path: Path) -> None:
    folder = write_ndtiff(tmp_path / "scan", STACK, images_per_file=5)
    with tifffile.TiffFile(folder / "scan_NDTiffStack_2.tif") as tiff:
        series = tiff.series[0]
        assert (series.kind, series.axes) == ("ndtiff", "RTCZYX")
        np.testing.assert_array_equal(series.asarray(), STACK)
        np.testing.assert_array_equal(tiff.pages[1].asarray(), STACK.reshape(-1, 6, 8)[11])
    assert_is_stack(folder)


def test_the_command_runs_over_a_data_set_of_several_files(tmp_path: Path) -> None:
    writer = NdTiffWriter(tmp_path / "scan_1", images_per_file=3)
    for t in range(8):
        for c, channel in enumerate(("PC", "GFP")):
            image = np.full((64, 64), 100 * t + c + 1, np.uint16)
            writer.put({"time": t, "channel": channel}, image)
    writer.close()
    shown = CliRunner().invoke(
        app, ["inspect", str(tmp_path / "scan_1/scan_NDTiffStack.tif"), "--json"]
    )
    about = json.loads(shown.stdout)
    assert about["channel_names"] == ["PC", "GFP"]
    assert about["intensity_ranges"] == [[1, 701], [2, 702]]


def test_channels_known_by_number_have_the_names_of_the_summary_or_of_their_images(
    tmp_path: Path,
) -> None:
    summary = {"ChNames": ["Phase", "µ-GFP"], "PixelSize_um": 0.65, "z-step_um": 1.5}
    folder = write_ndtiff(tmp_path / "a", STACK, channels=None, summary=summary)
    about = assert_is_stack(folder)
    assert about.channel_names == ("Phase", "µ-GFP")
    assert (about.pixel_size_um, about.z_step_um) == (0.65, 1.5)
    folder = write_ndtiff(tmp_path / "b", STACK, channels=None)
    assert assert_is_stack(folder).channel_names == ("ch0", "ch1")


def test_positions_known_by_name_keep_the_order_in_which_they_were_taken(tmp_path: Path) -> None:
    folder = write_ndtiff(tmp_path / "a", STACK, positions=["B12", "A3"])
    assert assert_is_stack(folder).fov_names == ("B12", "A3")


def test_axes_that_it_does_not_have_are_of_one(tmp_path: Path) -> None:
    writer = NdTiffWriter(tmp_path / "a")
    for t in range(3):
        writer.put({"time": t}, STACK[0, t, 0, 0])
    about = assert_is_stack(writer.close(), STACK[:1, :, :1, :1])
    assert about.channel_names == ("Channel 0",)
    assert about.fov_names == ("FOV 0",)


def test_an_axis_left_out_of_an_image_stands_for_the_first(tmp_path: Path) -> None:
    writer = NdTiffWriter(tmp_path / "a")
    for t, z in np.ndindex(3, 2):
        writer.put({**({"time": t} if t else {}), **({"z": z} if z else {})}, STACK[0, t, 0, z])
    assert_is_stack(writer.close(), STACK[:1, :, :1])


@pytest.mark.parametrize(("bits", "dtype"), [(8, "uint8"), (10, "uint16"), (12, "uint16")])
@pytest.mark.parametrize(("more_bits", "more"), [(11, "uint16"), (14, "uint16"), (16, "uint16")])
def test_all_grey_pixel_types_are_read_in_one_that_holds_them(
    tmp_path: Path, bits: int, dtype: str, more_bits: int, more: str
) -> None:
    writer = NdTiffWriter(tmp_path / "a")
    writer.put({"channel": "a"}, STACK[0, 0, 0, 0].astype(dtype), bits=bits)
    writer.put({"channel": "b"}, STACK[0, 0, 1, 0].astype(more), bits=more_bits)
    source, about = load_microscopy_file(writer.close())
    with source:
        np.testing.assert_array_equal(
            source.read_frame(0, 0, 0), STACK[0, 0, 0, 0].astype(dtype).astype("uint16")
        )
        np.testing.assert_array_equal(source.read_frame(0, 1, 0), STACK[0, 0, 1, 0])
    assert (about.dtype, about.bit_depth) == ("uint16", max(bits, more_bits))
    told = "images differ in pixel type and are given in a common one (uint16)"
    assert (told in about.warnings) == (dtype != more)


def test_without_times_of_images_the_interval_is_nominal_or_asked_for(tmp_path: Path) -> None:
    folder = write_ndtiff(tmp_path / "a", STACK, elapsed_ms=None, summary={"Interval_ms": 30_000})
    about = assert_is_stack(folder)
    assert (about.timepoints[0], about.timepoints_source) == ((0.0, 0.5, 1.0), "nominal")
    about = assert_is_stack(write_ndtiff(tmp_path / "b", STACK, elapsed_ms=None))
    assert about.timepoints_source == "unknown"


def test_numbers_written_as_text_count_and_those_with_a_comma_are_lost_with_a_warning(
    tmp_path: Path,
) -> None:
    writer = NdTiffWriter(tmp_path / "a", summary={"PixelSize_um": "0,65", "z-step_um": "1.5"})
    for t, elapsed in enumerate(("0", "60000.0", "120,5")):
        for z in range(2):
            writer.put({"time": t, "z": z}, STACK[0, t, 0, z], {"ElapsedTime-ms": elapsed})
    about = assert_is_stack(writer.close(), STACK[:1, :, :1])
    assert (about.pixel_size_um, about.z_step_um) == (None, 1.5)
    assert about.timepoints == ((0.0, 1.0, None),)
    assert 'PixelSize_um is no number ("0,65") and is ignored' in about.warnings
    assert "1 of 3 frames have no time in the file" in about.warnings


# Missing images


def write_without(folder: Path, lost: set[tuple[int, ...]], **options: Any) -> Path:
    writer = NdTiffWriter(folder, **options)
    for p, t, c in np.ndindex(N_P, N_T, N_C):
        if (p, t, c) not in lost:
            axes = {"position": p, "time": t, "channel": "ab"[c]}
            writer.put(axes, STACK[p, t, c, 0], {"ElapsedTime-ms": 1000.0 * t})
    return writer.close()


def test_an_image_that_was_not_taken_is_missing_and_the_others_keep_their_place(
    tmp_path: Path,
) -> None:
    source, about = load_microscopy_file(write_without(tmp_path / "a", {(1, 1, 1)}))
    with source:
        assert about.fov_shapes == ((3, 6, 8),) * 2
        assert "planes are missing, FOV 1 in frames 1" in about.warnings
        np.testing.assert_array_equal(source.read_frame(1, 1, 2), STACK[1, 2, 1, 0])
        with pytest.raises(MissingFrameError, match=r"FOV 1, channel 1, frame 1: the index has no"):
            source.read_frame(1, 1, 1)


def test_a_frame_that_no_position_has_keeps_its_place(tmp_path: Path) -> None:
    writer = NdTiffWriter(tmp_path / "a")
    for t in (0, 1, 4):
        writer.put({"time": t}, STACK[0, t % 3, 0, 0])
    source, about = load_microscopy_file(writer.close())
    with source:
        assert about.fov_shapes == ((5, 6, 8),)
        assert "planes are missing, FOV 0 in frames 2-3" in about.warnings
        np.testing.assert_array_equal(source.read_frame(0, 0, 4), STACK[0, 1, 0, 0])


def test_frames_with_a_constant_step_are_a_numbering(tmp_path: Path) -> None:
    writer = NdTiffWriter(tmp_path / "a")
    for t in range(3):
        writer.put({"time": 5 * t - 5}, STACK[0, t, 0, 0])
    assert_is_stack(writer.close(), STACK[:1, :, :1, :1])


def test_an_acquisition_that_was_stopped_is_shorter_than_planned(tmp_path: Path) -> None:
    folder = write_without(tmp_path / "a", {(0, 2, 1), (1, 2, 0), (1, 2, 1)}, summary={"Frames": 9})
    source, about = load_microscopy_file(folder)
    source.close()
    assert about.fov_shapes == ((2, 6, 8),) * 2
    assert "frames are missing at the end, FOV 0 has 2 of 9, FOV 1 has 2 of 9" in about.warnings


def test_a_file_that_is_not_there_takes_only_its_own_images(tmp_path: Path) -> None:
    folder = write_ndtiff(tmp_path / "a", STACK, images_per_file=N_C * N_Z)
    (folder / "scan_NDTiffStack_1.tif").unlink()
    source, about = load_microscopy_file(folder, z=0)
    with source:
        assert "planes are missing, FOV 0 in frames 1" in about.warnings
        np.testing.assert_array_equal(source.read_frame(0, 1, 2, 1), STACK[0, 2, 1, 1])
        with pytest.raises(MissingFrameError, match=r"scan_NDTiffStack_1\.tif is not there"):
            source.read_frame(0, 1, 1)
    assert "1 files are not there, first scan_NDTiffStack_1.tif is not there" in about.warnings


def test_without_any_of_its_files_it_is_refused_with_their_name(tmp_path: Path) -> None:
    folder = write_ndtiff(tmp_path / "a", STACK)
    (folder / "scan_NDTiffStack.tif").unlink()
    with pytest.raises(InputError, match=r"scan_NDTiffStack\.tif is not there; copy the whole"):
        load_microscopy_file(folder)


def test_a_file_of_another_kind_under_the_name_is_not_read(tmp_path: Path) -> None:
    folder = write_ndtiff(tmp_path / "a", STACK, images_per_file=N_C * N_Z)
    size = (folder / "scan_NDTiffStack_1.tif").stat().st_size
    (folder / "scan_NDTiffStack_1.tif").write_bytes(b"II*\0" + bytes(size))
    source, _ = load_microscopy_file(folder, z=0)
    with source, pytest.raises(MissingFrameError, match="does not begin as a file of NDTiff"):
        source.read_frame(0, 1, 1)


def test_a_file_that_is_cut_off_gives_what_is_whole(tmp_path: Path) -> None:
    folder = write_without(tmp_path / "a", set())
    path = folder / "scan_NDTiffStack.tif"
    whole = path.read_bytes()
    for size in range(0, len(whole), 131):
        path.write_bytes(whole[:size])
        assert_right_or_missing(folder)


def assert_right_or_missing(folder: Path) -> None:
    try:
        source, about = load_microscopy_file(folder)
    except InputError:
        return
    with source:
        for p, c in np.ndindex(about.n_fovs, about.n_channels):
            for t in range(about.fov_shapes[p][0]):
                try:
                    frame = source.read_frame(p, c, t)
                except MissingFrameError:
                    continue
                np.testing.assert_array_equal(frame, STACK[p, t, c, 0])


def test_an_image_that_was_taken_again_is_the_later_one(tmp_path: Path) -> None:
    writer = NdTiffWriter(tmp_path / "a")
    for t in (0, 1, 2, 1):
        writer.put({"time": t}, STACK[0, t, 0, len(writer.entries) // 3])
    source, about = load_microscopy_file(writer.close())
    with source:
        np.testing.assert_array_equal(source.read_frame(0, 0, 1), STACK[0, 1, 0, 1])
    assert "1 images were taken again; the later ones are read" in about.warnings


# A damaged index


def test_damage_in_the_index_costs_one_image_which_is_named(tmp_path: Path) -> None:
    folder = write_without(tmp_path / "a", set())
    data = bytearray((folder / "NDTiff.index").read_bytes())
    data[data.index(b'"time": 1') + 2] = 0xFF
    (folder / "NDTiff.index").write_bytes(data)
    source, about = load_microscopy_file(folder)
    with source:
        assert "NDTiff.index is damaged in 1 places; images are lost there" in about.warnings
        assert "planes are missing, FOV 0 in frames 1" in about.warnings
        np.testing.assert_array_equal(source.read_frame(0, 1, 1), STACK[0, 1, 1, 0])
        with pytest.raises(MissingFrameError):
            source.read_frame(0, 0, 1)


def test_an_index_that_was_never_closed_ends_in_zeros(tmp_path: Path) -> None:
    folder = write_ndtiff(tmp_path / "a", STACK)
    index = folder / "NDTiff.index"
    index.write_bytes(index.read_bytes() + bytes(5000))
    assert not any("damaged" in told for told in assert_is_stack(folder).warnings)


def test_no_number_in_the_index_makes_another_image_of_one(tmp_path: Path) -> None:
    folder = write_without(tmp_path / "a", set(), images_per_file=7)
    whole = (folder / "NDTiff.index").read_bytes()
    last = whole.rindex(b".tif") + 4
    for place in range(last, last + 32):
        for bit in (0, 3, 7):
            data = bytearray(whole)
            data[place] ^= 1 << bit
            (folder / "NDTiff.index").write_bytes(data)
            assert_right_or_missing(folder)


def test_an_index_cut_off_anywhere_gives_right_pixels_or_a_refusal(tmp_path: Path) -> None:
    folder = write_without(tmp_path / "a", set())
    whole = (folder / "NDTiff.index").read_bytes()
    for size in range(0, len(whole), 7):
        (folder / "NDTiff.index").write_bytes(whole[:size])
        assert_right_or_missing(folder)


def test_two_images_on_the_same_bytes_are_both_missing(tmp_path: Path) -> None:
    folder = write_without(tmp_path / "a", set())
    index = parse_index((folder / "NDTiff.index").read_bytes())
    numbers = [list(map(int, fields)) for fields in index.fields]
    numbers[3] = numbers[2]
    entries = [
        index_entry(dict(zip(index.names[0], values, strict=True)), index.file_names[0], fields)
        for values, fields in zip(index.values, numbers, strict=True)
    ]
    (folder / "NDTiff.index").write_bytes(b"".join(entries))
    source, about = load_microscopy_file(folder)
    with source, pytest.raises(MissingFrameError, match="shares pixels with another image"):
        source.read_frame(0, 0, 1)
    assert any("2 images cannot be believed" in told for told in about.warnings)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_an_index_of_what_makes_sense_in_them(data: bytes) -> None:
    index = parse_index(data)
    assert len(index.fields) == len(index) == len(index.naming)


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 2000), junk=st.binary(max_size=60), cut=st.integers(0, 60))
def test_entries_around_junk_are_found(place: int, junk: bytes, cut: int) -> None:
    entries = [index_entry({"time": t, "channel": "ä"}, "a.tif", range(8)) for t in range(20)]
    whole = b"".join(entries)
    place = min(place, len(whole))
    index = parse_index(whole[:place] + junk + whole[place + cut :])
    size = len(entries[0])
    kept = {t for t in range(20) if t < place // size - 1 or t * 1.0 > (place + cut) / size + 1}
    assert kept <= {int(values[0]) for values in index.values}


def test_a_damaged_length_of_a_name_does_not_swallow_the_entries_behind_it() -> None:
    entries = [index_entry({"time": t}, "a.tif", range(8)) for t in range(20)]
    data = bytearray(b"".join(entries))
    data[data.index(b"a.tif") - 4] = len(entries[0]) + len("a.tif")
    assert [values[0] for values in parse_index(bytes(data)).values] == list(range(1, 20))


# What cannot be read


@pytest.mark.parametrize(
    ("axes", "told"),
    [
        ([{"time": 0, "repeat": 0}, {"time": 0, "repeat": 1}], r"the axes repeat \(2 values\)"),
        ([{"row": r, "column": c} for r in range(2) for c in range(3)],
         r"the axes row \(2 values\), column \(3 values\)"),
        ([{"time": 0, "angle": "left"}, {"time": 1, "angle": "right"}], "angle"),
        ([{"time": 0}, {"time": 0, "z": 0}], "cannot be told apart.*time 0 and time 0, z 0"),
    ],
)  # fmt: skip
def test_axes_beyond_position_channel_time_and_z_are_refused_by_name_with_a_way_out(
    tmp_path: Path, axes: list[Mapping[str, int | str]], told: str
) -> None:
    writer = NdTiffWriter(tmp_path / "a")
    for place in axes:
        writer.put(place, STACK[0, 0, 0, 0])
    with pytest.raises(InputError, match=told) as refused:
        load_microscopy_file(writer.close())
    assert "data set" in str(refused.value)


def test_another_axis_of_one_value_does_not_matter(tmp_path: Path) -> None:
    writer = NdTiffWriter(tmp_path / "a")
    for t in range(3):
        writer.put({"time": t, "row": 0, "view": "left"}, STACK[0, t, 0, 0])
    assert_is_stack(writer.close(), STACK[:1, :, :1, :1])


def test_of_a_pyramid_the_full_resolution_is_read(tmp_path: Path) -> None:
    write_ndtiff(tmp_path / "scan_1/Full resolution", STACK, major=2)
    small = write_ndtiff(tmp_path / "scan_1/Downsampled_x2", STACK[..., ::2, ::2], major=2)
    about = assert_is_stack(tmp_path / "scan_1")
    assert about.base_name == "scan_1"
    assert not any("Downsampled" in str(path) for path in about.companions)
    for path in (small, small / "scan_NDTiffStack.tif"):
        with pytest.raises(InputError, match=r"lower resolution; open .*scan_1"):
            load_microscopy_file(path)


@pytest.mark.parametrize(("kind", "told"), [(2, "colour"), (9, r"not known \(type 9\)")])
def test_colour_and_unknown_pixel_types_are_refused(tmp_path: Path, kind: int, told: str) -> None:
    folder = write_ndtiff(tmp_path / "a", STACK[:1, :1, :1, :1])
    data = bytearray((folder / "NDTiff.index").read_bytes())
    struct.pack_into("<I", data, data.index(b".tif") + 4 + 12, kind)
    (folder / "NDTiff.index").write_bytes(data)
    with pytest.raises(InputError, match=told):
        load_microscopy_file(folder)


def test_a_file_without_its_index_is_refused_or_read_alone_as_a_stack(tmp_path: Path) -> None:
    folder = write_ndtiff(tmp_path / "a", STACK[:1, :, :1, :1], images_per_file=2)
    (folder / "NDTiff.index").unlink()
    path = folder / "scan_NDTiffStack.tif"
    with pytest.raises(InputError, match=r"NDTiff\.index is not beside it; copy the whole.*--axes"):
        load_microscopy_file(path)
    source, about = load_microscopy_file(path, axes="TYX")
    with source:
        assert about.fov_shapes == ((2, 6, 8),)
        np.testing.assert_array_equal(source.read_frame(0, 0, 1), STACK[0, 1, 0, 0])


def test_options_for_other_formats_are_refused(tmp_path: Path) -> None:
    folder = write_ndtiff(tmp_path / "a", STACK)
    with pytest.raises(InputError, match="states the order of its dimensions"):
        load_microscopy_file(folder, axes="TCYX")
    with pytest.raises(InputError, match="a pattern is for folders"):
        load_microscopy_file(folder, pattern="{fov}.tif")
    with pytest.raises(InputError, match="no z plane 2; valid are 0 to 1"):
        load_microscopy_file(folder, z=2)


def test_files_outside_of_the_folder_are_read_on_request_only(tmp_path: Path) -> None:
    folder = write_ndtiff(tmp_path / "a", STACK)
    (folder / "scan_NDTiffStack.tif").rename(tmp_path / "outside.tif")
    data = (folder / "NDTiff.index").read_bytes()
    name, other = b"scan_NDTiffStack.tif", b"../outside.tif"
    data = data.replace(struct.pack("<I", len(name)) + name, struct.pack("<I", len(other)) + other)
    (folder / "NDTiff.index").write_bytes(data)
    with pytest.raises(InputError, match=r"leads out of the folder.*--outside"):
        load_microscopy_file(folder)
    source, _ = load_microscopy_file(folder, z=0, outside=True)
    with source:
        np.testing.assert_array_equal(source.read_frame(1, 1, 2), STACK[1, 2, 1, 0])


def test_no_other_reader_takes_the_pages_of_several_files_for_those_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_ndtiff(tmp_path / "a", STACK, images_per_file=5)
    monkeypatch.setattr(tiff_source, "is_ndtiff_file", lambda path: False)
    with pytest.raises(InputError, match="one of several files of a data set"):
        load_microscopy_file(folder / "scan_NDTiffStack.tif")
