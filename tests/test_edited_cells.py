"""What corrections make of cells equals what a slow, obvious twin makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyama_core.errors import InputError
from pyama_core.processing.workflow.edits.actions import (
    Cut,
    Edit,
    Join,
    Remove,
    SetParent,
    Verdict,
    as_batch,
)
from pyama_core.processing.workflow.edits.edited_cells import EditedCells
from pyama_core.processing.workflow.edits.found import FoundCells
from pyama_core.processing.workflow.edits.history import active_in, next_to_redo, next_to_undo
from pyama_core.processing.workflow.edits.making import make_correction, make_redo, make_undo
from pyama_core.processing.workflow.edits.resolve import resolve
from slow_edits import N_FRAMES, RefusedError, SlowCells, corrections, slow_cells

pytestmark = pytest.mark.usefixtures("workers_inline")


def as_found(slow: SlowCells, labels: str = "labels") -> FoundCells:
    spots = sorted(spot for spots in slow.spots.values() for spot in spots)
    cell, frame = np.array(spots).T
    return FoundCells.of(
        {"cell": cell, "frame": frame},
        labels=labels,
        n_frames=N_FRAMES,
        parents={cell: slow.parents.get(cell) for cell in slow.spots},
        fates=slow.fates,
    )


def assert_equal(cells: EditedCells, slow: SlowCells) -> None:
    found = cells.found
    spots = list(zip(found.cell.tolist(), found.frame.tolist(), strict=True))
    expected = [slow.number(*spot) for spot in spots]
    assert cells.row_numbers().tolist() == expected
    assert [cells.number_of(*spot) for spot in spots] == expected
    assert [cells.numbers_in(frame).get(label, label) for label, frame in spots] == expected
    assert {cell: cells.frames_of(cell).tolist() for cell in slow.spots} == {
        cell: slow.frames(cell) for cell in slow.spots
    }
    assert not [
        cell for cell in {*slow.labels, *expected} - {0} if (cell in cells) != (cell in slow.spots)
    ]
    assert cells.parents == slow.parents
    assert {cell: cells.fates.get(cell) for cell in slow.spots} == slow.fates
    assert {cell: cells.marks_of(cell) for cell in cells.marked} == {
        cell: [verdict for _, verdict in said] for cell, said in slow.said.items()
    }


class Curated:
    """The log of a field of view, and the states that its twin went through."""

    def __init__(self, slow: SlowCells) -> None:
        self.found = as_found(slow)
        self.log: list[Edit] = []
        self.states = [slow]
        self.undone: list[SlowCells] = []

    def correct(self, data: st.DataObject) -> None:
        numbers = [*self.states[-1].spots, 99] if self.states[-1].spots else [99]
        action = data.draw(corrections(numbers))
        cells = resolve(self.found, active_in(self.log)).cells
        try:
            edit = make_correction(cells, 0, action, self.log, "somebody")
        except InputError:
            if isinstance(action, Cut):
                action = action.model_copy(update={"new_cell": 77_777})
            with pytest.raises(RefusedError):
                self.states[-1].after(action)
            return
        self.states.append(self.states[-1].after(edit.action))
        self.undone = []
        self.log.append(edit)

    def undo(self) -> None:
        if len(self.states) == 1:
            assert next_to_undo(self.log) == []
            return
        self.log += make_undo(self.log, "somebody")
        self.undone.append(self.states.pop())

    def redo(self) -> None:
        if not self.undone:
            assert next_to_redo(self.log) == []
            return
        self.log += make_redo(self.log, "somebody")
        self.states.append(self.undone.pop())


@settings(max_examples=300, deadline=None)
@given(slow_cells(), st.data())
def test_any_sequence_of_corrections_undo_and_redo_equals_its_twin(slow, data):
    curated = Curated(slow)
    for step in data.draw(
        st.lists(st.sampled_from(["correct"] * 4 + ["undo", "redo"]), max_size=12)
    ):
        if step == "correct":
            curated.correct(data)
        else:
            getattr(curated, step)()
        resolved = resolve(curated.found, active_in(curated.log))
        assert resolved.stale == ()
        assert_equal(resolved.cells, curated.states[-1])


@settings(max_examples=200, deadline=None)
@given(slow_cells(), st.data())
def test_whatever_is_undone_by_name_the_rest_is_applied_or_stale_as_in_the_twin(slow, data):
    curated = Curated(slow)
    for _ in range(data.draw(st.integers(1, 8))):
        curated.correct(data)
    kept = [edit for edit in curated.log if data.draw(st.booleans())]
    stale = []
    for edit in kept:
        try:
            slow = slow.after(edit.action)
        except RefusedError:
            stale.append(edit)
    resolved = resolve(curated.found, kept)
    assert [found.edit for found in resolved.stale] == stale
    assert_equal(resolved.cells, slow)


def cells_of(*tracks: str, parents: dict[int, int] | None = None) -> EditedCells:
    """Return cells seen where their tracks have a mark, as ``"xx..x"``."""
    spots = {
        label: {(label, frame) for frame, mark in enumerate(track) if mark == "x"}
        for label, track in enumerate(tracks, start=1)
    }
    return EditedCells(as_found(SlowCells(spots, parents or {}, dict.fromkeys(spots, "lost"))))


def test_cells_that_are_seen_at_once_are_not_joined_and_the_frames_are_named():
    cells = cells_of("xxxx...", "..xx.xx")
    with pytest.raises(InputError, match="1 and 2 are both seen in frames 2-3; cut or remove"):
        cells.apply(Join(cell=1, other=2))
    assert cells.restructured == []


def test_a_joined_cell_keeps_the_number_of_the_one_that_begins_first():
    cells = cells_of("...xxx", "xx....")
    cells.apply(Join(cell=1, other=2))
    with pytest.raises(InputError, match="there is no cell 1: it was joined with 2"):
        cells.apply(Remove(cell=1))
    assert cells.frames_of(2).tolist() == [0, 1, 3, 4, 5]
    assert cells.numbers_in(4) == {1: 2, 2: 2}


def test_a_cut_gives_the_later_part_its_own_number_in_frames_without_rows_too():
    cells = cells_of("xxx.xx")
    cells.apply(Cut(cell=1, frame=3, new_cell=50_001))
    assert [cells.number_of(1, frame) for frame in range(7)] == [1, 1, 1] + [50_001] * 4


def test_a_cell_is_cut_only_where_it_is_seen_on_both_sides():
    with pytest.raises(InputError, match=r"cut at frame 2: it is seen in frames 2-3"):
        cells_of("..xx").apply(Cut(cell=1, frame=2, new_cell=50_001))


def test_removed_frames_are_no_cell_and_those_it_does_not_have_are_refused():
    cells = cells_of("xxxxx")
    cells.apply(Remove(cell=1, frames="1,4-9"))
    assert [cells.number_of(1, frame) for frame in range(6)] == [1, 0, 1, 1, 0, 0]
    with pytest.raises(InputError, match=r"not seen in frames 4, but in frames 0,2-3"):
        cells.apply(Remove(cell=1, frames="4"))


def test_a_parent_that_is_still_seen_when_its_daughter_begins_is_refused():
    with pytest.raises(InputError, match=r"1 cannot be the parent of 2.*cut one of them first"):
        cells_of("xxxx", "..xx").apply(SetParent(cell=2, parent=1))


def test_daughters_of_a_cell_that_is_cut_belong_to_its_last_part():
    cells = cells_of("xxx..", "...xx", parents={2: 1})
    cells.apply(Cut(cell=1, frame=1, new_cell=50_001))
    assert cells.parents == {2: 50_001}


def test_where_a_division_was_none_the_other_daughter_has_no_parent_and_fates_are_right():
    cells = cells_of("xx...", "..xxx", "..xx.", parents={2: 1, 3: 1})
    cells.fates.update({1: "divided", 2: "end of movie"})
    cells.apply(Join(cell=1, other=2))
    assert cells.parents == {}
    assert cells.fates == {1: "end of movie", 3: "lost"}


def test_the_last_word_on_either_of_two_cells_is_that_on_the_joined_one():
    cells = cells_of("xx..", "..xx")
    for cell, note in ((2, "a"), (1, "b"), (2, "c")):
        cells.apply(Verdict(cell=cell, good=False, note=note))
    cells.apply(Join(cell=1, other=2))
    assert [verdict.note for verdict in cells.marks_of(1)] == ["a", "b", "c"]


def test_what_is_undone_never_gives_its_number_to_another_cell():
    cells = cells_of("xxxx")
    first = make_correction(cells, 0, Cut(cell=1, frame=2), [], "me")
    log = [first, *make_undo([first], "me")]
    second = make_correction(cells_of("xxxx"), 0, Cut(cell=1, frame=3), log, "me")
    assert (first.action.new_cell, second.action.new_cell) == (50_001, 50_002)


def test_what_was_asked_for_at_once_is_undone_and_done_again_at_once():
    cells = cells_of("xxxx", "xxxx", "xxxx")
    log: list[Edit] = []
    for names in ((3,), (1, 2)):
        made = []
        for cell in names:
            action = Verdict(cell=cell, good=False)
            made.append(make_correction(cells, 0, action, [*log, *made], "me"))
        log += as_batch(made)
    single, *several = log
    log += make_undo(log, "me")
    assert active_in(log) == [single]
    assert next_to_redo(log) == several
    log += make_redo(log, "me")
    assert active_in(log) == [single, *several]
    log += make_undo(log, "me", several[0].id)
    assert next_to_undo(log) == [several[1]]
    log += make_undo(log, "me")
    assert next_to_redo(log) == [several[1]]
    log += make_undo(log, "me")
    assert active_in(log) == []
    assert next_to_redo(log) == [single]


def test_what_depends_on_an_action_that_is_undone_by_name_is_stale_not_lost():
    cells = cells_of("xxxx")
    cut = make_correction(cells, 0, Cut(cell=1, frame=2), [], "me")
    bad = make_correction(cells, 0, Verdict(cell=50_001, good=False), [cut], "me")
    log = [cut, bad, *make_undo([cut, bad], "me", cut.id)]
    resolved = resolve(cells.found, active_in(log))
    assert [(stale.edit, stale.reason) for stale in resolved.stale] == [
        (bad, "there is no cell 50001")
    ]
    log += make_redo(log, "me")
    assert resolve(cells.found, active_in(log)).stale == ()


def test_a_verdict_on_a_channel_that_was_not_measured_is_refused():
    with pytest.raises(InputError, match="channel 3 was not measured; none was"):
        cells_of("xx").apply(Verdict(cell=1, good=True, channel=3))
