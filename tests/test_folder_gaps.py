"""Folders of which images are lost: frames stay where their numbers say."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from image_folders import number_of, write_image, write_numbered
from inline import run_inline
from movies import metadata_of, rough_squares
from pyama_core.cli.app import app
from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.readers.image_folder import grid as image_grid
from pyama_core.io.storage.records import FovRecord
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from runs import exact

WHITE = 65535


def named(channel: str, times: Iterable[int], fov: str = "A1") -> list[str]:
    return [f"{fov}_{channel}_t{t:03d}.tif" for t in times]


def missing(folder: Path, fov: int, channel: int, **options: object) -> list[int]:
    """Read all frames, and return those that are missing; check that no other is in its place."""
    source, about = load_microscopy_file(folder, **options)
    lost = []
    with source:
        for t in range(about.fov_shapes[fov][0]):
            try:
                source.read_frame(fov, channel, t)
            except MissingFrameError as error:
                assert f"frame {t}: there is no image of" in str(error)  # noqa: PT017
                lost.append(t)
    return lost


def test_most_images_of_a_movie_are_lost_and_the_others_keep_their_place(tmp_path: Path) -> None:
    names = [n for c in ("GFP", "Phase") for n in named(c, [*range(1, 31), *range(91, 101)])]
    write_numbered(tmp_path, names)
    assert missing(tmp_path, 0, 0) == list(range(30, 90))
    source, about = load_microscopy_file(tmp_path)
    with source:
        assert about.fov_shapes == ((100, 4, 6),)
        frame = source.read_frame(0, 1, 99)
        assert frame[0, 0] == number_of(names, "A1_Phase_t100.tif")
    assert any("60 of 100 frames have no image" in told for told in about.warnings)
    assert not any("images are not there" in told for told in about.warnings)


def test_a_channel_taken_every_fifth_frame_is_missing_in_the_others(tmp_path: Path) -> None:
    names = [*named("Phase", range(20)), *named("GFP", range(0, 20, 5))]
    write_numbered(tmp_path, names)
    assert missing(tmp_path, 0, 1) == []
    assert missing(tmp_path, 0, 0) == [t for t in range(20) if t % 5]
    source, about = load_microscopy_file(tmp_path)
    with source:
        assert source.read_frame(0, 0, 15)[0, 0] == number_of(names, "A1_GFP_t015.tif")
    assert any("16 of 40 images are not there: FOV A1, channel GFP, time 001" in told
               for told in about.warnings)  # fmt: skip


@pytest.mark.parametrize("lost", [range(4, 8), range(9), range(1, 12)])
def test_a_channel_that_is_lost_for_some_frames_shifts_nothing(tmp_path: Path, lost: range) -> None:
    names = [*named("Phase", range(12)), *named("GFP", (t for t in range(12) if t not in lost))]
    write_numbered(tmp_path, names)
    assert missing(tmp_path, 0, 1) == []
    assert missing(tmp_path, 0, 0) == list(lost)


def test_positions_with_different_frames_have_each_their_own(tmp_path: Path) -> None:
    names = [*named("GFP", range(17, 21)), *named("GFP", [17, 20], "B1")]
    names += named("GFP", range(19, 23), "B2")
    write_numbered(tmp_path, names)
    assert missing(tmp_path, 0, 0) == []
    assert missing(tmp_path, 1, 0) == [1, 2]
    assert missing(tmp_path, 2, 0) == [0, 1]
    source, about = load_microscopy_file(tmp_path)
    with source:
        assert [shape[0] for shape in about.fov_shapes] == [4, 4, 6]
        assert source.read_frame(1, 0, 3)[0, 0] == number_of(names, "B1_GFP_t020.tif")
        assert source.read_frame(2, 0, 2)[0, 0] == number_of(names, "B2_GFP_t019.tif")
    assert any("first frame is that of the first number, 017" in note for note in about.notes)


def test_a_constant_step_with_a_hole_has_one_missing_frame(tmp_path: Path) -> None:
    write_numbered(tmp_path, named("GFP", [0, 5, 15, 20]))
    assert missing(tmp_path, 0, 0) == [2]
    assert missing(tmp_path, 0, 0, numbering="order") == []
    assert len(missing(tmp_path, 0, 0, numbering=1)) == 17


def test_numbers_that_count_images_are_doubted(tmp_path: Path) -> None:
    counted = [f"A1_{('GFP', 'Phase')[n % 2]}_t{n:03d}.tif" for n in range(10)]
    write_numbered(tmp_path, counted)
    source, about = load_microscopy_file(tmp_path)
    source.close()
    assert any("count images rather than frames?" in told for told in about.warnings)


def test_a_table_of_planes_that_would_fill_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_grid, "MAX_PLANES", 100)
    counted = [f"A{n}_GFP_t{n:03d}.tif" for n in range(1, 13)]
    write_numbered(tmp_path, counted)
    with pytest.raises(InputError, match="12 FOVs × 12 frames × 1 channels"):
        load_microscopy_file(tmp_path)


def test_z_planes_that_jump_are_told(tmp_path: Path) -> None:
    write_numbered(tmp_path, [f"A1_z{z}_t{t}.tif" for z in (1, 2, 5) for t in range(2)])
    source, about = load_microscopy_file(tmp_path)
    source.close()
    assert any("numbers of z planes jump (1, 2, 5)" in told for told in about.warnings)


def test_experiments_that_do_not_contradict_each_other_are_told(tmp_path: Path) -> None:
    write_numbered(tmp_path, ["ctrl_xy1t1.tif", "drug_xy2t1.tif"])
    source, about = load_microscopy_file(tmp_path)
    source.close()
    assert any("begin in different ways ('ctrl_', 'drug_')" in told for told in about.warnings)


@pytest.mark.parametrize("numbering", [0, -1, True, 1.5, "every", "0", [1]])
def test_a_numbering_that_is_none_is_refused(tmp_path: Path, numbering: object) -> None:
    write_numbered(tmp_path, named("GFP", range(3)))
    with pytest.raises(InputError, match="numbering takes 'auto', 'order' or how far"):
        load_microscopy_file(tmp_path, numbering=numbering)


def test_a_numbering_is_for_folders_of_images(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", np.zeros((6, 4, 5), np.uint16))
    with pytest.raises(InputError, match="numbering is for folders of single images"):
        load_microscopy_file(tmp_path / "a.tif", axes="TYX", numbering="order")
    load_microscopy_file(tmp_path / "a.tif", axes="TYX", numbering="auto")[0].close()


MOVIE = rough_squares(12, 96, [(10, 10), (50, 40)])


def write_movie(folder: Path, times: Iterable[int]) -> Path:
    for t in times:
        for channel, name in enumerate(("Phase", "GFP")):
            write_image(folder / f"A1_{name}_t{t:03d}.tif", MOVIE[t, channel])
    return folder


def copied(out: Path) -> list[int]:
    """Return the frames of phase contrast that were copied, and -1 for those that are missing."""
    stack = np.load(next(out.glob("fov_000/*_pc_ch_1.npy")))
    found = []
    for frame in stack:
        same = [t for t in range(len(MOVIE)) if np.array_equal(frame, MOVIE[t, 0])]
        assert same or (frame == WHITE).all()
        found.append(same[0] if same else -1)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "settings", "expected"),
    [
        ([], {}, [0, 1, 2, 3, *[-1] * 5, 9, 10, 11]),
        (["--numbering", "order"], {}, [0, 1, 2, 3, 9, 10, 11]),
        ([], {"numbering": "order"}, [0, 1, 2, 3, 9, 10, 11]),
        (["--numbering", "auto"], {"numbering": "order"}, [0, 1, 2, 3, *[-1] * 5, 9, 10, 11]),
    ],
)
def test_command_and_configuration_decide_about_gaps(
    flags: list[str], settings: dict[str, str], expected: list[int], tmp_path: Path
) -> None:
    folder = write_movie(tmp_path / "images", [0, 1, 2, 3, 9, 10, 11])
    config, out = tmp_path / "run.yaml", tmp_path / "out"
    exactly = exact({"copying": {}})
    config.write_text(yaml.safe_dump({**exactly, **settings}))
    words = ["run", folder, "-o", out, "--pc", "Phase", "--fl", "GFP", "--workers", "1"]
    words += ["--interval", "5", "--config", config, *flags]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    assert copied(out) == expected


def test_a_written_configuration_has_the_numbering(tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    words = ["run", "images", "--numbering", "5", "--write-config", "--config", str(config)]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert yaml.safe_load(config.read_text())["numbering"] == 5
    bad = CliRunner().invoke(app, [*words[:3], "sometimes", *words[4:-1], str(tmp_path / "b")])
    assert bad.exit_code == 2
    told = "--numbering: expected auto, order or how far frames are apart, found 'sometimes'"
    assert told in bad.output


def test_inspect_shows_how_the_numbers_were_read(tmp_path: Path) -> None:
    write_numbered(tmp_path, named("GFP", [0, 5, 10]))
    shown = CliRunner().invoke(app, ["inspect", str(tmp_path)])
    assert "steps of 5" in " ".join(shown.output.split())
    one_by_one = CliRunner().invoke(app, ["inspect", str(tmp_path), "--numbering", "1", "--json"])
    assert '"n_frames": 11' in one_by_one.output


def test_results_of_another_understanding_of_the_same_folder_are_made_anew(
    tmp_path: Path,
) -> None:
    folder = write_movie(tmp_path / "images", [0, 1, 2, 3, 9, 10, 11])
    context = ProcessingContext(
        output_dir=tmp_path / "out", channels=Channels(pc=1, fl=[0]), params=exact({})
    )
    assert run_inline(metadata_of(folder), context).ok
    record = next((tmp_path / "out").glob("fov_000/*_record.json"))
    # As if the frames had been taken to follow each other, by a version that knew no gaps.
    short = FovRecord.model_validate_json(record.read_text())
    outputs = {
        name: entry.model_copy(update={"shape": (7, *entry.shape[1:])}) if entry.shape else entry
        for name, entry in short.outputs.items()
    }
    record.write_text(short.model_copy(update={"outputs": outputs}).model_dump_json())
    assert run_inline(metadata_of(folder), context).ok
    assert copied(tmp_path / "out") == [0, 1, 2, 3, *[-1] * 5, 9, 10, 11]
    again = FovRecord.model_validate_json(record.read_text())
    assert {entry.shape[0] for entry in again.outputs.values() if entry.shape} == {12}
