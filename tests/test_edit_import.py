"""Corrections from a file of JSON lines: all of it or nothing, and twice is once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyama_core.errors import InputError
from pyama_core.io.storage.naming import EDITS_NAME
from pyama_core.processing.workflow.edits.actions import Cut, Edit, Remove, Verdict, as_batch
from pyama_core.processing.workflow.edits.edited_cells import EditedCells
from pyama_core.processing.workflow.edits.found import FoundCells
from pyama_core.processing.workflow.edits.history import active_in
from pyama_core.processing.workflow.edits.importing import import_lines, read_lines
from pyama_core.processing.workflow.edits.log import EditLog
from pyama_core.processing.workflow.edits.making import make_correction, make_undo
from pyama_core.processing.workflow.edits.resolve import resolve
from slow_edits import SlowCells
from test_edited_cells import as_found


def cells(labels: str = "labels") -> FoundCells:
    spots = {label: {(label, frame) for frame in range(6)} for label in (1, 2, 3)}
    return as_found(SlowCells(spots, {}, dict.fromkeys(spots, "lost")), labels)


def fov_of(word: int | str) -> int:
    if word not in (0, "A1"):
        raise InputError(f"there is no FOV {word!r}")
    return 0


def write(path: Path, *lines: dict | Edit) -> Path:
    texts = [
        line.to_line() if isinstance(line, Edit) else json.dumps(line) + "\n" for line in lines
    ]
    path.write_text("".join(texts), encoding="utf-8")
    return path


def take(folder: Path, path: Path, found: FoundCells | None = None) -> tuple[Edit, ...]:
    there = found or cells()
    return tuple(import_lines(EditLog(folder), read_lines(path, fov_of), lambda fov: there, "me"))


def bad(**further: object) -> dict:
    return {"fov": "A1", "action": "verdict", "cell": 2, "good": False, **further}


def test_what_a_line_lacks_is_made_up_for(tmp_path):
    [edit] = take(tmp_path, write(tmp_path / "a", bad(note="dead")))
    assert (edit.fov, edit.by, str(edit.action)) == (0, "me", "2 is bad: dead")
    assert [anchor.cell for anchor in edit.anchors] == [2]
    assert EditLog(tmp_path).read().edits == (edit,)


def test_what_a_line_says_of_itself_is_kept_and_the_file_can_be_read_twice(tmp_path):
    line = bad(id="report-1", at="2024-03-01T10:00:00+01:00", by="Anna")
    [edit] = take(tmp_path, path := write(tmp_path / "a", line))
    assert (edit.id, edit.by, edit.at.hour) == ("report-1", "Anna", 10)
    assert take(tmp_path, path) == ()
    assert len(EditLog(tmp_path).read().edits) == 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (bad(fov="Z9"), "there is no FOV 'Z9'"),
        (bad(cell=9), "FOV 0: there is no cell 9"),
        (bad(action="explode"), "'explode' found using 'action'"),
        (bad(version=2), "expected version 1, found 2"),
        (bad(at="yesterday"), "at: Input should be a valid datetime"),
        ({"action": "remove", "cell": 1}, 'expected {"fov": …, "action": …}'),
        ({"fov": 0, "action": "undo", "of": "nothing"}, "there is no correction 'nothing'"),
        ({"fov": 0, "action": "cut", "cell": 1, "frame": 6}, "cannot be cut at frame 6"),
    ],
)
def test_a_line_that_cannot_be_applied_is_named_and_nothing_is_added(tmp_path, line, problem):
    path = write(tmp_path / "a", bad(), line)
    with pytest.raises(InputError) as error:
        take(tmp_path, path)
    assert str(error.value).startswith(f"{path}, line 2: ")
    assert problem in str(error.value)
    assert not (tmp_path / EDITS_NAME).exists()


def test_a_file_that_is_no_json_or_not_there_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"cell 17 is dead\n")
    with pytest.raises(InputError, match="line 1: expected JSON"):
        read_lines(tmp_path / "a", fov_of)
    with pytest.raises(InputError, match="cannot read"):
        read_lines(tmp_path / "b", fov_of)


def test_the_log_of_another_folder_applies_to_cells_of_other_numbers_or_is_stale(tmp_path):
    there = EditedCells(cells("there"))
    log = [make_correction(there, 0, Remove(cell=1), [], "me")]
    log.append(make_correction(there, 0, Verdict(cell=2, good=False), log, "me"))
    log += make_undo(log, "me")
    edits = take(tmp_path, write(tmp_path / "a", *log), cells("here"))
    assert edits == tuple(as_batch(log))
    resolved = resolve(cells("here"), active_in(edits))
    assert [stale.edit.id for stale in resolved.stale] == [log[0].id]


def test_cells_that_are_cut_off_get_other_numbers_where_theirs_are_taken(tmp_path):
    here = EditedCells(cells())
    own = make_correction(here, 0, Cut(cell=1, frame=3), [], "me")
    EditLog(tmp_path).change(lambda content: [own])
    there = EditedCells(cells())
    cut = make_correction(there, 0, Cut(cell=2, frame=3), [], "me")
    dead = make_correction(there, 0, Verdict(cell=50_001, good=False), [cut], "me")
    edits = take(tmp_path, write(tmp_path / "a", cut, dead))
    assert [edit.id for edit in edits] == [cut.id, dead.id]
    assert [str(edit.action) for edit in edits] == ["2 is 50002 from frame 3 on", "50002 is bad"]
    resolved = resolve(cells(), EditLog(tmp_path).read().edits)
    assert resolved.stale == ()
    assert resolved.cells.marked == [50_002]


def test_lines_of_a_file_build_on_each_other(tmp_path):
    cut = {"fov": 0, "action": "cut", "cell": 1, "frame": 3, "new_cell": 77}
    lines = [cut, bad(cell=77), {"fov": 0, "action": "join", "cell": 1, "other": 77}]
    assert len(take(tmp_path, write(tmp_path / "a", *lines))) == 3
    assert resolve(cells(), EditLog(tmp_path).read().edits).cells.marked == [1]
