"""Where in a folder the images are, and by which programs' names they are known there."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tifffile

from image_folders import number_of, write_image, write_numbered
from pyama_core.errors import InputError
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.readers.frame_source import MicroscopyMetadata
from pyama_core.io.readers.image_folder import names as folder_names

GUID = "7A1B2C3D-0E4F-4A5B-8C6D-1234567890AB"


def opened(folder: Path, **options: object) -> MicroscopyMetadata:
    source, about = load_microscopy_file(folder, **options)
    source.close()
    return about


# How (position, channel, time) are named, and the names of positions and channels.
PROGRAMS = {
    "ImageXpress": (
        lambda p, c, t: f"2024-04-22/1697/TimePoint_{t + 1}/a_C07_s{p + 1}_w{c + 1}.tif",
        ("C07_s1", "C07_s2"), ("w1", "w2")),
    "ImageXpress with identifiers": (
        lambda p, c, t: f"TimePoint_{t + 1}/exp 1_B0{p + 2}_w{c + 1}{GUID}.tif",
        ("B02", "B03"), ("w1", "w2")),
    "Opera Phenix": (
        lambda p, c, t: f"Images/r01c02f0{p + 1}p01-ch{c + 1}sk{t + 1}fk1fl1.tiff",
        ("r01c02_f01", "r01c02_f02"), ("ch1", "ch2")),
    "CellVoyager": (
        lambda p, c, t: f"Plate_B03_T{t + 1:04}F{p + 1:03}L01A0{c + 1}Z01C0{c + 1}.tif",
        ("B03_F001", "B03_F002"), ("C01", "C02")),
    "Micro-Manager": (
        lambda p, c, t: f"2024/day 1/run_1/Pos{p}/img_{t:09}_{('DAPI', 'Phase')[c]}_000.tif",
        ("Pos0", "Pos1"), ("DAPI", "Phase")),
    "NIS-Elements": (
        lambda p, c, t: f"a/b/c/export/xxy{p + 1}t{t + 1}c{c + 1}.tif",
        ("xy1", "xy2"), ("c1", "c2")),
    "{fov}/{*}": (
        lambda p, c, t: f"a/b/c/A{p + 1}/A{p + 1}_{('GFP', 'Phase')[c]}_t{t}.tif",
        ("A1", "A2"), ("GFP", "Phase")),
}  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_images_are_found_in_the_folders_that_programs_make(program: str, tmp_path: Path) -> None:
    name, fovs, channels = PROGRAMS[program]
    names = [name(*at) for at in np.ndindex(2, 2, 3)]
    write_numbered(tmp_path, names)
    source, about = load_microscopy_file(tmp_path)
    with source:
        assert (about.fov_names, about.channel_names) == (fovs, channels)
        for p, c, t in np.ndindex(2, 2, 3):
            assert source.read_frame(p, c, t)[0, 0] == number_of(names, name(p, c, t))
    assert program.partition(" with")[0] in about.notes[0]
    deep = names[0].count("/") > 2
    assert any("more than 2 folders deep" in told for told in about.warnings) == deep


def test_thumbnails_of_imagexpress_are_no_images(tmp_path: Path) -> None:
    write_numbered(tmp_path, [f"TimePoint_{t}/a_B02_w1{GUID}.tif" for t in (1, 2)])
    write_numbered(tmp_path, [f"TimePoint_{t}/a_B02_w1_thumb{GUID}.tif" for t in (1, 2)])
    about = opened(tmp_path)
    assert about.n_frames == 2
    assert any("2 images are named otherwise and ignored" in told for told in about.warnings)


def test_deep_images_of_unknown_names_are_named_with_the_pattern_that_reads_them(
    tmp_path: Path,
) -> None:
    write_numbered(tmp_path, [f"x/y/z/pos1/img_{t:03}.tif" for t in range(3)])
    with pytest.raises(InputError) as error:
        opened(tmp_path)
    assert "x/y/z/pos1/img_000.tif" in str(error.value)
    assert '--pattern "x/y/z/{fov}/img_{time}.tif"' in str(error.value)
    assert opened(tmp_path, pattern="x/y/z/{fov}/img_{time}.tif").fov_names == ("pos1",)


def test_a_pattern_that_forgets_the_folders_is_told_with_them(tmp_path: Path) -> None:
    write_numbered(tmp_path, [f"x/y/GFP_{t:03}.tif" for t in range(3)])
    with pytest.raises(InputError) as error:
        opened(tmp_path, pattern="{channel}_{time}.tif")
    assert "such as x/y/GFP_000.tif" in str(error.value)
    assert '--pattern "{*}/{*}/{channel}_{time}.tif"' in str(error.value)
    assert opened(tmp_path, pattern="{*}/{*}/{channel}_{time}.tif").n_frames == 3


def test_images_below_those_that_are_read_are_told_of(tmp_path: Path) -> None:
    write_numbered(tmp_path, [f"A1_GFP_t{t}.tif" for t in range(3)])
    write_numbered(tmp_path, ["old/2023/backup/A1_GFP_t0.tif"])
    about = opened(tmp_path)
    assert about.n_frames == 3
    assert any("not read, such as old/2023/backup/A1_GFP_t0.tif" in w for w in about.warnings)


def test_a_whole_disk_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_numbered(tmp_path, [f"x/y/z/A1_GFP_t{t}.tif" for t in range(9)])
    monkeypatch.setattr(folder_names, "_MOST_FILES", 5)
    with pytest.raises(InputError, match="more than 5 files in folders more than 2 deep"):
        opened(tmp_path)


def test_a_folder_without_images_however_deep_is_told(tmp_path: Path) -> None:
    (tmp_path / "x/y/z").mkdir(parents=True)
    (tmp_path / "x/y/z/a.nd2").write_bytes(b"x")
    with pytest.raises(InputError, match=r"without TIFF or PNG images.*\.nd2"):
        opened(tmp_path)
    with pytest.raises(InputError, match=r"without TIFF or PNG images.*\.nd2"):
        opened(tmp_path, pattern="{fov}.tif")


def test_what_other_systems_leave_behind_is_no_image(tmp_path: Path) -> None:
    names = [f"A1_GFP_t{t}.tif" for t in range(3)]
    write_numbered(tmp_path, names)
    for other in ("._A1_GFP_t0.tif", ".DS_Store", "Thumbs.db", ".hidden/A1_GFP_t9.tif",
                  "__MACOSX/A1_GFP_t7.tif", "@eaDir/A1_GFP_t8.tif/SYNOPHOTO_THUMB.png",
                  "A1_GFP_t5.tif.part", "desktop.ini"):  # fmt: skip
        (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / other).write_bytes(b"nothing of yours")
    about = opened(tmp_path)
    assert {path.name for path in about.companions} == set(names)
    assert about.n_frames == 3
    assert not any("ignored" in told for told in about.warnings)


@pytest.mark.parametrize("endings", [("tif", "TIF", "Tif"), ("png", "PNG", "Png")])
def test_endings_count_in_any_case(tmp_path: Path, endings: tuple[str, ...]) -> None:
    names = [f"A1_GFP_t{t}.{ending}" for t, ending in enumerate(endings)]
    write_numbered(tmp_path, names)
    source, about = load_microscopy_file(tmp_path)
    with source:
        assert [source.read_frame(0, 0, t)[0, 0] for t in range(about.n_frames)] == [1, 2, 3]


def test_letters_with_accents_fit_however_they_are_written(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        folder = tmp_path / form
        write_numbered(folder, [unicodedata.normalize(form, f"Zöllner/GFP {t}.tif")
                                for t in range(2)])  # fmt: skip
        for typed in ("NFC", "NFD"):
            pattern = unicodedata.normalize(typed, "Zöllner/{channel} {time}.tif")
            source, about = load_microscopy_file(folder, pattern=pattern)
            with source:
                assert about.n_frames == 2
                assert source.read_frame(0, 0, 1)[0, 0] == 2


def test_a_folder_of_stacks_is_told_what_to_do(tmp_path: Path) -> None:
    for p in range(2):
        stack = np.zeros((5, 8, 8), np.uint16)
        tifffile.imwrite(tmp_path / f"pos{p}_t1.tif", stack, photometric="minisblack")
    with pytest.raises(InputError, match=r"5 planes, expected one; if it is a stack, give it by"):
        opened(tmp_path)
    for p in range(2):
        (tmp_path / f"pos{p}_t1.tif").rename(tmp_path / f"x_MMStack_Pos{p}.ome.tif")
    with pytest.raises(InputError, match=r"stacks of planes, such as x_MMStack_Pos0.*; give one"):
        opened(tmp_path)


def test_images_of_several_kinds_are_told_with_the_pattern_of_the_most_frequent(
    tmp_path: Path,
) -> None:
    write_numbered(tmp_path, [f"A1_GFP_t{t}.tif" for t in range(9)])
    write_numbered(tmp_path, [f"masks/cells {t}.tif" for t in range(8)])
    with pytest.raises(InputError, match=r'pattern "\{fov\}_\{channel\}_t\{time\}.tif"'):
        opened(tmp_path)
    assert opened(tmp_path, pattern="{fov}_{channel}_t{time}.tif").n_frames == 9


def test_images_none_of_which_make_a_frame_are_told(tmp_path: Path) -> None:
    write_numbered(tmp_path, ["A1_GFP_t0.tif", "A2_DAPI_t0.tif"])
    with pytest.raises(InputError, match="no FOV has an image of every channel"):
        opened(tmp_path)


def test_fields_of_nis_elements_that_stand_twice_are_no_fields(tmp_path: Path) -> None:
    for t in range(3):
        write_image(tmp_path / f"object12t{t:02}xy1.tif", np.full((4, 4), t, np.uint16))
    about = opened(tmp_path)
    assert (about.n_frames, about.fov_names) == (3, ("xy1",))
    for t in range(3):
        (tmp_path / f"object12t{t:02}xy1.tif").rename(tmp_path / f"object12t{t:02}.tif")
    with pytest.raises(InputError, match="--pattern"):
        opened(tmp_path)
