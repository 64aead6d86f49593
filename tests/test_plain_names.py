"""Names put together from plain words: known where they are clear, else only proposed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_folders import number_of, write_numbered
from pyama_core.errors import InputError
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.readers.image_folder.patterns import compile_pattern
from pyama_core.io.readers.image_folder.plain_names import understand

WELLS, CHANNELS = ("A1", "B10"), ("GFP", "Phase")
Name = Callable[[int, int, int], str]


def names(name: Name, n: tuple[int, int, int] = (2, 2, 3)) -> list[str]:
    return [name(*at) for at in np.ndindex(n)]


CLEAR: dict[str, tuple[Name, str, str, str]] = {
    # How (position, channel, time) are named; what (1, 0, 2) is read as.
    "plainest": (lambda p, c, t: f"{WELLS[p]}_{CHANNELS[c]}_t{t:03}.tif", "B10", "GFP", "002"),
    "channel first": (lambda p, c, t: f"{CHANNELS[c]}_{WELLS[p]}_t{t}.TIF", "B10", "GFP", "2"),
    "time first": (lambda p, c, t: f"T{t}-{CHANNELS[c]}-{WELLS[p]}.tiff", "B10", "GFP", "2"),
    "well, site and wave": (
        lambda p, c, t: f"A01_s{p + 1}_w{c + 1}_t{t:03}.tif", "s2", "w1", "002"),
    "two wells, two sites": (
        lambda p, c, t: f"x_A01_s{p + 1}_w{c + 1}_t{t}.tif", "s2", "w1", "2"),
    "MetaMorph": (
        lambda p, c, t: f"exp1_w{c + 1}{CHANNELS[c]}_s{p + 1}_t{t + 1}.TIF", "s2", "w1GFP", "3"),
    "no separators": (lambda p, c, t: f"x_A0{p + 1}s3w{c + 1}t{t}.tif", "A02", "w1", "2"),
    "folders": (lambda p, c, t: f"pos{p}/{CHANNELS[c]}/frame{t:04}.tif", "pos1", "GFP", "0002"),
    "position twice": (
        lambda p, c, t: f"{WELLS[p]}/{WELLS[p]}_{CHANNELS[c]}_t{t}.tif", "B10", "GFP", "2"),
    "elapsed time": (
        lambda p, c, t: f"{WELLS[p]}_{CHANNELS[c]}_00d0{t}h30m.tif", "B10", "GFP", "00d02h30m"),
    "date and time of day": (
        lambda p, c, t: f"{WELLS[p]} {CHANNELS[c]} 2024-04-22_15-3{t}-00.tif",
        "B10", "GFP", "2024-04-22_15-32-00"),
    "a date that says nothing": (
        lambda p, c, t: f"20240422_{WELLS[p]}_{CHANNELS[c]}_t{t}.tif", "B10", "GFP", "2"),
    "wells of row C beside named channels": (
        lambda p, c, t: f"C{p + 1}_{CHANNELS[c]}_t{t}.tif", "C2", "GFP", "2"),
    "fields": (lambda p, c, t: f"F{p + 1}_{CHANNELS[c]}_t{t}.tif", "F2", "GFP", "2"),
    "words that say nothing": (
        lambda p, c, t: f"HeLa_H2B-mut_{WELLS[p]}_{CHANNELS[c]}_t{t}.tif", "B10", "GFP", "2"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CLEAR)
def test_clear_names_are_read_plane_by_plane(kind: str, tmp_path: Path) -> None:
    name, fov, channel, time = CLEAR[kind]
    written = names(name)
    source, about = load_microscopy_file(write_numbered(tmp_path, written))
    with source:
        assert (about.n_fovs, about.n_channels, about.n_frames) == (2, 2, 3)
        # In names, as in the order of positions, B10 comes after A1.
        for p, c, t in np.ndindex(2, 2, 3):
            assert source.read_frame(p, c, t)[0, 0] == number_of(written, name(p, c, t))
    assert (about.fov_names[1], about.channel_names[0]) == (fov, channel)
    understood = understand(written)
    assert understood is not None
    assert understood.sure
    found = understood.pattern.parse(name(1, 0, 2))
    assert found is not None
    assert (found.fov, found.channel, found.time) == (fov, channel, time)


def test_how_names_were_read_is_told(tmp_path: Path) -> None:
    write_numbered(tmp_path, names(CLEAR["plainest"][0]))
    source, about = load_microscopy_file(tmp_path)
    source.close()
    assert about.notes[0] == (
        "names are read as {fov}_{channel}_t{time}.tif: A1_GFP_t000.tif is FOV A1, channel "
        "GFP, time 000"
    )


DOUBTFUL: dict[str, tuple[Name, str]] = {
    "a number alone": (lambda p, c, t: f"pos{p}_{('DAPI', 'BF')[c]}_{t:03}.tif",
                       "{fov}_{channel}_{time}.tif"),
    "nothing but a number": (lambda p, c, t: f"img_{p}{c}{t}.tif", "img_{time}.tif"),
    "a word that may be a channel": (lambda p, c, t: f"{WELLS[p]}_{('Mito', 'x')[c]}_t{t}.tif",
                                     "{fov}_{channel}_t{time}.tif"),
    "a channel that nobody knows": (lambda p, c, t: f"{WELLS[p]}_{('Mito', 'GFP')[c]}_t{t}.tif",
                                    "{fov}_{channel}_t{time}.tif"),
    "conditions": (lambda p, c, t: f"{('ctrl', 'drug')[p]}_A1_{CHANNELS[c]}_t{t}.tif",
                   "{fov}_A1_{channel}_t{time}.tif"),
    "row C, or channels": (lambda p, c, t: f"A1_C{c}_t{t}.tif", "A1_{fov}_t{time}.tif"),
    "wells called W beside a channel": (
        lambda p, c, t: f"--W0000{p}--P00001--Z00000--T0000{t}--DAPI.tif",
        "--{channel}--{fov}--Z{z}--T{time}--DAPI.tif"),
    "rows and columns": (lambda p, c, t: f"r0{p}_c0{c}_t{t}.tif",
                         "{fov}_{channel}_t{time}.tif"),
    "no time": (lambda p, c, t: f"{WELLS[p]}_{CHANNELS[c]}.tif", "{fov}_{channel}.tif"),
    "fields, or frames": (lambda p, c, t: f"F{t}_{CHANNELS[c]}.tif", "{fov}_{channel}.tif"),
    "two times": (lambda p, c, t: f"t{p}_{CHANNELS[c]}_t{t}.tif",
                  "t{time}_{channel}_{fov}.tif"),
    "acidity": (lambda p, c, t: f"A1_pH{4 + c}_t{t}.tif", "{fov}_{channel}_t{time}.tif"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DOUBTFUL)
def test_names_that_may_mean_several_things_are_refused_with_a_proposal(
    kind: str, tmp_path: Path
) -> None:
    name, proposal = DOUBTFUL[kind]
    written = list(dict.fromkeys(names(name)))
    write_numbered(tmp_path, written)
    with pytest.raises(InputError) as error:
        load_microscopy_file(tmp_path)
    message = str(error.value)
    assert min(written) in message
    assert f'add --pattern "{proposal}"' in message
    assert str(compile_pattern(proposal).parse(min(written))) in message


@pytest.mark.parametrize("kind", DOUBTFUL)
def test_what_is_proposed_can_be_typed(kind: str, tmp_path: Path) -> None:
    name, proposal = DOUBTFUL[kind]
    write_numbered(tmp_path, dict.fromkeys(names(name, (1, 1, 3))))
    load_microscopy_file(tmp_path, pattern=proposal)[0].close()


def test_a_few_other_images_are_left_out_and_named(tmp_path: Path) -> None:
    written = names(CLEAR["plainest"][0])
    write_numbered(tmp_path, [*written, "overview.png", "A1_GFP_t000_mask.tif"])
    source, about = load_microscopy_file(tmp_path)
    source.close()
    assert about.n_frames == 3
    assert any("2 images are named otherwise and ignored" in told for told in about.warnings)


def test_two_ways_of_naming_in_one_folder_are_not_chosen_from(tmp_path: Path) -> None:
    write_numbered(tmp_path, names(CLEAR["plainest"][0]))
    write_numbered(tmp_path, names(lambda p, c, t: f"{WELLS[p]}_t{t}_{CHANNELS[c]}_high.tif"))
    with pytest.raises(
        InputError, match=r"in several ways, such as A1_GFP_t000.tif and .*--pattern"
    ):
        load_microscopy_file(tmp_path)


@pytest.mark.parametrize("twin", ["A1_GFP_t0.tif", "A1_GFP_t0000.TIF"])
@pytest.mark.parametrize("pattern", [None, "{fov}_{channel}_t{time}.tif"])
def test_two_images_of_one_plane_are_refused(
    twin: str, pattern: str | None, tmp_path: Path
) -> None:
    write_numbered(tmp_path, [*names(CLEAR["plainest"][0]), twin])
    with pytest.raises(InputError, match=r"A1_GFP_t0+.* are the same plane by their names"):
        load_microscopy_file(tmp_path, pattern=pattern)


def test_images_that_are_there_in_two_formats_are_not_chosen_from(tmp_path: Path) -> None:
    written = names(CLEAR["plainest"][0])
    write_numbered(tmp_path, [*written, *(name.replace(".tif", ".png") for name in written)])
    with pytest.raises(InputError, match=r'--pattern "\{fov\}_\{channel\}_t\{time\}.tif"'):
        load_microscopy_file(tmp_path)
    source, about = load_microscopy_file(tmp_path, pattern="{fov}_{channel}_t{time}.tif")
    source.close()
    assert about.fov_names == WELLS


WORD = st.one_of(
    st.text("ACGTabt019", min_size=1, max_size=4),
    st.sampled_from(["A1", "C2", "F3", "s1", "c1", "w1GFP", "t0", "t1", "z1", "GFP", "20240422"]),
)
WORDS = st.lists(WORD, min_size=1, max_size=4)


@given(st.lists(WORDS, min_size=1, max_size=6), st.sampled_from("_- "))
def test_any_words_are_understood_or_not_but_never_fail(
    parts: list[list[str]], separator: str
) -> None:
    paths = [f"{separator.join(words)}.tif" for words in parts]
    found = understand(paths)
    if found is not None:
        understood = [found.pattern.parse(path) for path in paths]
        assert any(understood)
        # What is sure of a name follows from that name's words alone.
        if found.sure:
            assert all(name.time for name in understood if name is not None)
