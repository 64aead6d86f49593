"""The log of corrections: whole lines count, torn ones do not, and nobody's line is lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import sys
from pathlib import Path

import pytest

from pyama_core.errors import StorageError
from pyama_core.io.storage.naming import EDITS_NAME
from pyama_core.processing.workflow.edits import log as log_module
from pyama_core.processing.workflow.edits.actions import Anchor, Edit, Remove, Sighting, Verdict
from pyama_core.processing.workflow.edits.log import TORN, EditLog


def an_edit(cell: int = 17, note: str = "dead — »tot« 死") -> Edit:
    sighting = Sighting(frame=0, x=1.5, y=2.0, area=30, box=(0, 0, 5, 6))
    anchor = Anchor(cell=cell, labels="xxh", n_frames=9, frames="0-3,7", seen=(sighting,))
    return Edit.now(3, Verdict(cell=cell, good=False, note=note), (anchor,), "Jürgen")


def add(folder: Path, *edits: Edit) -> None:
    EditLog(folder).change(lambda content: edits)


def test_what_is_written_is_read_back(tmp_path):
    edits = [an_edit(1), an_edit(2)]
    add(tmp_path, *edits)
    add(tmp_path, third := an_edit(3))
    content = EditLog(tmp_path).read()
    assert content.edits == (*edits, third)
    assert content.unreadable == ()


def test_a_line_says_its_version_who_when_in_utc_and_what_in_plain_words(tmp_path):
    add(tmp_path, edit := an_edit())
    plain = json.loads((tmp_path / EDITS_NAME).read_text(encoding="ascii"))
    assert plain["version"] == 1
    assert plain["id"] == edit.id
    assert (plain["by"], plain["at"][-1]) == ("Jürgen", "Z")
    assert {name: plain[name] for name in ("fov", "action", "cell", "good", "note")} == {
        "fov": 3,
        "action": "verdict",
        "cell": 17,
        "good": False,
        "note": "dead — »tot« 死",
    }


def test_a_writer_killed_at_any_byte_leaves_a_log_that_the_next_one_heals(tmp_path):
    before, torn, after = an_edit(1), an_edit(2), an_edit(3)
    path = tmp_path / EDITS_NAME
    line = torn.to_line().encode()
    for n_bytes in range(len(line) + 1):
        path.write_bytes(before.to_line().encode() + line[:n_bytes])
        whole = (torn,) if n_bytes >= len(line) - 1 else ()
        assert EditLog(tmp_path).read().edits == (before, *whole)
        add(tmp_path, after)
        content = EditLog(tmp_path).read()
        assert content.edits == (before, *whole, after)
        assert content.unreadable == ()


def test_one_that_is_killed_while_it_heals_is_healed_too(tmp_path):
    before, torn, after = an_edit(1), an_edit(2), an_edit(3)
    path = tmp_path / EDITS_NAME
    remains = before.to_line().encode() + torn.to_line().encode()[:40]
    healing = TORN + b"\n" + after.to_line().encode()
    for n_bytes in range(len(healing) + 1):
        path.write_bytes(remains + healing[:n_bytes])
        whole = (after,) if n_bytes >= len(healing) - 1 else ()
        add(tmp_path, last := an_edit(4))
        content = EditLog(tmp_path).read()
        assert content.edits == (before, *whole, last)
        assert content.unreadable == ()


def test_a_torn_line_is_told_of_once(tmp_path, caplog):
    (tmp_path / EDITS_NAME).write_bytes(b'{"version":1,"id"')
    log = EditLog(tmp_path)
    log.read()
    log.read()
    [record] = caplog.records
    assert record.getMessage().startswith(f"{tmp_path / EDITS_NAME}: the last line is incomplete")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\0\0\0\0", "no JSON"),
        (b'{"version":1}', "Unable to extract tag using discriminator 'action'"),
        (b"[" * 100_000, "no JSON"),
        (b"17", "expected an object in braces"),
        (an_edit().to_line().replace('"version":1', '"version":2').encode(), "update this one"),
        (an_edit().to_line().replace('"fov":3', '"fov":-3').encode(), "fov: Input should be"),
        (an_edit().to_line().replace("verdict", "explode").encode(), "'explode' found using"),
        (b'{"note":"\xff\xfe"}', "no JSON"),
    ],
)
def test_a_line_that_is_not_understood_is_told_of_and_keeps_none_from_being_read(
    tmp_path, caplog, line, reason
):
    first, last = an_edit(1), an_edit(2)
    (tmp_path / EDITS_NAME).write_bytes(
        first.to_line().encode() + line.rstrip() + b"\n" + last.to_line().encode()
    )
    content = EditLog(tmp_path).read()
    assert content.edits == (first, last)
    [unreadable] = content.unreadable
    assert unreadable.number == 2
    assert reason in unreadable.reason
    assert "line 2 is not understood and not applied" in caplog.text
    add(tmp_path, third := an_edit(3))
    assert EditLog(tmp_path).read().edits == (first, last, third)


def test_a_log_that_an_editor_saved_is_read(tmp_path):
    edits = [an_edit(1), an_edit(2)]
    text = "\r\n".join(edit.to_line().rstrip() for edit in edits)
    (tmp_path / EDITS_NAME).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert EditLog(tmp_path).read().edits == tuple(edits)


def test_a_line_that_is_there_twice_counts_once(tmp_path):
    edit = an_edit()
    (tmp_path / EDITS_NAME).write_text(edit.to_line() * 2, encoding="ascii")
    assert EditLog(tmp_path).read().edits == (edit,)


def test_a_log_that_was_replaced_is_read_anew(tmp_path):
    log, path = EditLog(tmp_path), tmp_path / EDITS_NAME
    path.write_text(an_edit(1).to_line() + an_edit(2).to_line(), encoding="ascii")
    log.read()
    path.write_text((other := an_edit(3)).to_line(), encoding="ascii")
    assert log.read().edits == (other,)


def test_a_decision_is_made_anew_if_another_process_wrote_meanwhile(tmp_path):
    other, seen = an_edit(1), []

    def decide(content):
        seen.append(content.edits)
        if len(seen) == 1:
            add(tmp_path, other)
        return [an_edit(2)]

    EditLog(tmp_path).change(decide)
    assert seen == [(), (other,)]
    assert len(EditLog(tmp_path).read().edits) == 2


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path, monkeypatch):
    add(tmp_path, edit := an_edit())
    before = (tmp_path / EDITS_NAME).read_bytes()
    written = os.write

    def write(descriptor, data):
        if bytes(data[:1]) == b"{" and b'"anchors"' in bytes(data):
            written(descriptor, data[:10])
            raise OSError(28, "No space left on device")
        return written(descriptor, data)

    monkeypatch.setattr(log_module.os, "write", write)
    with pytest.raises(StorageError, match=r"cannot write .*edits\.jsonl: No space left"):
        add(tmp_path, an_edit(2))
    assert (tmp_path / EDITS_NAME).read_bytes() == before
    assert EditLog(tmp_path).read().edits == (edit,)


def test_a_log_that_cannot_be_read_is_an_error_not_an_absence_of_corrections(tmp_path):
    (tmp_path / EDITS_NAME).mkdir()
    with pytest.raises(StorageError, match=r"cannot read .*not a regular file but a folder"):
        EditLog(tmp_path).read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_place_of_the_log_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / EDITS_NAME)
    with pytest.raises(StorageError, match="a named pipe"):
        EditLog(tmp_path).read()


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="nobody keeps this user from writing"
)
def test_a_folder_that_is_read_only_is_read_and_refused_for_writing(tmp_path):
    add(tmp_path, edit := an_edit())
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert EditLog(tmp_path).read().edits == (edit,)
        with pytest.raises(StorageError, match="cannot write"):
            add(tmp_path, an_edit(2))
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def _write_many(folder: str, by: int, n_edits: int) -> None:
    log = EditLog(Path(folder))
    for i in range(n_edits):
        log.change(lambda content, i=i: [an_edit(1000 * by + i + 1, note="x" * 999)])


def test_writers_at_once_do_not_garble_each_others_lines(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(str(tmp_path), by, 20)) for by in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    content = EditLog(tmp_path).read()
    cells = [edit.action.cell for edit in content.edits]
    assert sorted(cells) == sorted(1000 * by + i + 1 for by in range(3) for i in range(20))
    for by in range(3):
        own = [cell for cell in cells if cell // 1000 == by]
        assert own == sorted(own)
    assert content.unreadable == ()


def test_a_note_is_one_line_of_text():
    verdict = Verdict(cell=1, good=False, note="dead,\n  I\tthink\r\n")
    assert verdict.note == "dead, I think"


@pytest.mark.parametrize("frames", ["", "5-3", "x", "3,,y", "-1", "0-9999999999"])
def test_frames_that_are_none_are_refused(frames):
    with pytest.raises(ValueError, match="frames"):
        Remove(cell=1, frames=frames)
