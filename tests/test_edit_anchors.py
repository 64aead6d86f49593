"""After cells were found anew, a correction finds its cell by overlap, or is stale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyama_core.processing.workflow.edits.actions import (
    Cut,
    Edit,
    Join,
    Remove,
    SetParent,
    Verdict,
)
from pyama_core.processing.workflow.edits.anchors import describe_cell, find_again
from pyama_core.processing.workflow.edits.edited_cells import EditedCells
from pyama_core.processing.workflow.edits.found import FoundCells
from pyama_core.processing.workflow.edits.making import make_correction
from pyama_core.processing.workflow.edits.resolve import Resolved, resolve

N_FRAMES = 30
RADIUS = 8.0


def disc(label: int, x: float, y: float, frames: range, radius: float = RADIUS) -> dict:
    """Return rows of a round cell that stands still."""
    n = len(frames)
    box = [y - radius, x - radius, y + radius + 1, x + radius + 1]
    return {
        "cell": np.full(n, label),
        "frame": np.array(frames),
        "position_x": np.full(n, x),
        "position_y": np.full(n, y),
        "area": np.full(n, np.pi * radius**2),
        **{
            f"box_{side}": np.full(n, value)
            for side, value in zip(("top", "left", "bottom", "right"), box, strict=True)
        },
    }


def found(labels: str, *cells: dict, n_frames: int = N_FRAMES, boxes: bool = True) -> FoundCells:
    rows = {name: np.concatenate([cell[name] for cell in cells]) for name in cells[0]}
    if not boxes:
        rows = {name: column for name, column in rows.items() if not name.startswith("box")}
    return FoundCells.of(rows, labels=labels, n_frames=n_frames)


def edits_of(cells: FoundCells, *actions) -> list[Edit]:
    edited, edits = EditedCells(cells), []
    for action in actions:
        edits.append(make_correction(edited, 0, action, edits, "me"))
    return edits


def reasons(resolved: Resolved) -> list[str]:
    return [stale.reason for stale in resolved.stale]


ALL = range(N_FRAMES)
SPACING = 3 * RADIUS


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_cells_that_are_numbered_and_outlined_anew_are_found_and_never_taken_for_others(data):
    """Cells on a grid, of which some touch, some are gone, some new, all with other numbers."""
    n = data.draw(st.integers(1, 6))
    spacing = data.draw(st.sampled_from([2 * RADIUS, 3 * RADIUS]))
    spans = [
        range(first, data.draw(st.integers(first + 1, N_FRAMES)))
        for first in data.draw(st.lists(st.integers(0, 20), min_size=n, max_size=n))
    ]
    old = found(
        "old",
        *(disc(i + 1, i * spacing, 0, span) for i, span in enumerate(spans)),
        boxes=data.draw(st.booleans()),
    )
    numbers = data.draw(st.permutations(range(1, n + 2)))
    there = [i for i in range(n) if data.draw(st.integers(0, 3))]
    shift = st.floats(-0.2 * RADIUS, 0.2 * RADIUS)
    size = st.floats(0.8, 1.4)
    new = found(
        "new",
        disc(numbers[n], -5 * spacing, 0, ALL),
        *(
            disc(
                numbers[i],
                i * spacing + data.draw(shift),
                data.draw(shift),
                spans[i],
                RADIUS * data.draw(size),
            )
            for i in there
        ),
        boxes=data.draw(st.booleans()),
    )
    before = EditedCells(old)
    after = EditedCells(new)
    for i in range(n):
        expected = numbers[i] if i in there else None
        assert find_again(after, describe_cell(before, i + 1)) == expected


def test_as_long_as_the_label_image_is_the_same_a_cell_is_known_by_its_number():
    cells = EditedCells(found("same", disc(1, 0, 0, ALL), disc(2, 0, 0, ALL)))
    assert find_again(cells, describe_cell(cells, 2)) == 2


@pytest.mark.parametrize(("n_left", "is_found"), [(16, True), (15, False)])
def test_a_cell_is_found_if_more_than_half_of_its_frames_are_left(n_left, is_found):
    old = EditedCells(found("old", disc(1, 0, 0, ALL)))
    new = EditedCells(found("new", disc(7, 0, 0, range(n_left)), disc(8, 0, 0, range(n_left, 30))))
    assert find_again(new, describe_cell(old, 1)) == (7 if is_found else None)


def test_what_is_one_with_another_cell_now_is_not_the_same():
    old = EditedCells(found("old", disc(1, 0, 0, ALL), disc(2, 2 * RADIUS, 0, ALL)))
    merged = disc(1, RADIUS, 0, ALL) | {
        "area": np.full(N_FRAMES, 2 * np.pi * RADIUS**2),
        "box_left": np.full(N_FRAMES, -RADIUS),
        "box_right": np.full(N_FRAMES, 3 * RADIUS),
    }
    new = EditedCells(found("new", merged))
    assert [find_again(new, describe_cell(old, cell)) for cell in (1, 2)] == [None, None]


@pytest.mark.parametrize("n_small", [14, 16, 20])
def test_a_track_that_went_on_as_a_larger_cell_is_neither_of_the_two(n_small):
    """In most frames it is the small one, by most of its pixels the other."""
    first, then = range(n_small), range(n_small, N_FRAMES)
    jumping = [disc(1, 0, 0, first), disc(1, SPACING * 2, 0, then, 2 * RADIUS)]
    old = EditedCells(found("old", *jumping))
    new = EditedCells(found("new", disc(5, 0, 0, ALL), disc(6, SPACING * 2, 0, ALL, 2 * RADIUS)))
    assert find_again(new, describe_cell(old, 1)) is None


def test_a_movie_that_goes_on_keeps_its_cells():
    old = EditedCells(found("old", disc(1, 0, 0, range(10)), n_frames=10))
    new = EditedCells(found("new", disc(4, 0, 0, ALL)))
    assert find_again(new, describe_cell(old, 1)) == 4


def test_all_corrections_follow_their_cells_to_new_numbers():
    early, late = range(12), range(15, 30)
    old = found(
        "old",
        disc(1, 0, 0, early),
        disc(2, 0, 0, late),
        disc(3, SPACING, 0, ALL),
        disc(4, 2 * SPACING, 0, early),
        disc(5, 3 * SPACING, 0, late),
        disc(6, 4 * SPACING, 0, ALL),
    )
    edits = edits_of(
        old,
        Join(cell=1, other=2),
        Verdict(cell=1, good=True),
        Cut(cell=3, frame=10),
        Verdict(cell=50_001, good=False, note="another"),
        SetParent(cell=5, parent=4),
        Remove(cell=6, frames="3-5"),
    )
    new = found(
        "new",
        disc(60, 0, 0, early),
        disc(50, 0, 0, late),
        disc(40, SPACING, 0, ALL),
        disc(30, 2 * SPACING, 0, early),
        disc(20, 3 * SPACING, 0, late),
        disc(10, 4 * SPACING, 0, ALL),
    )
    resolved = resolve(new, edits)
    assert resolved.stale == ()
    cells = resolved.cells
    assert cells.frames_of(60).tolist() == [*early, *late]
    assert [verdict.good for verdict in cells.marks_of(60)] == [True]
    assert cells.frames_of(50_001).tolist() == list(range(10, 30))
    assert [verdict.note for verdict in cells.marks_of(50_001)] == ["another"]
    assert cells.parents == {20: 30}
    assert cells.number_of(10, 4) == 0
    assert cells.marked == [60, 50_001]


def test_what_has_no_cell_any_more_is_stale_and_touches_no_other():
    old = found("old", disc(1, 0, 0, ALL), disc(2, SPACING, 0, ALL))
    edits = edits_of(old, Verdict(cell=1, good=False), Remove(cell=2))
    new = found("new", disc(1, SPACING, 0, ALL))
    resolved = resolve(new, edits)
    assert reasons(resolved) == [
        "cells were found anew since, and none overlaps what was cell 1 by more than half"
    ]
    assert resolved.applied == (edits[1],)
    assert 1 not in resolved.cells


def test_tracks_that_the_new_run_has_joined_itself_are_not_joined_again():
    early, late = range(12), range(15, 30)
    old = found("old", disc(1, 0, 0, early), disc(2, 0, 0, late))
    [edit] = edits_of(old, Join(cell=1, other=2))
    new = found("new", disc(9, 0, 0, ALL))
    resolved = resolve(new, [edit])
    assert len(resolved.stale) == 1
    assert resolved.cells.restructured == []


def test_cells_to_join_that_overlap_after_a_re_run_are_stale_with_the_frames_named():
    old = found("old", disc(1, 0, 0, range(12)), disc(2, SPACING, 0, range(15, 30)))
    [edit] = edits_of(old, Join(cell=1, other=2))
    new = found("new", disc(1, 0, 0, range(17)), disc(2, SPACING, 0, range(15, 30)))
    [reason] = reasons(resolve(new, [edit]))
    assert "both seen in frames 15-16" in reason


def test_the_number_of_a_cell_that_was_cut_off_is_never_taken_from_one_that_a_run_found():
    old = found("old", disc(1, 0, 0, ALL))
    [edit] = edits_of(old, Cut(cell=1, frame=9))
    new = found("new", disc(1, 0, 0, ALL), disc(50_001, SPACING, 0, ALL))
    assert reasons(resolve(new, [edit])) == ["the number 50001 of the new cell is that of another"]


def test_a_line_that_describes_other_cells_than_it_speaks_of_is_stale():
    cells = found("same", disc(1, 0, 0, ALL))
    [edit] = edits_of(cells, Remove(cell=1))
    edit = edit.model_copy(update={"anchors": ()})
    assert reasons(resolve(cells, [edit])) == [
        "the line does not describe the cells that it speaks of"
    ]
