"""Which cells a person should look at first, why, and where in their lives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pyama_core.results.doubts import doubts_of
from pyama_core.results.tables import FovTables, make_tables

N_FRAMES = 10


def tables(*cells: dict) -> FovTables:
    """Cells of which each says what is unlike the usual: 100 px, all frames, good."""
    rows, traces = [], []
    for i, given in enumerate(cells):
        frames = list(given.get("frames", range(N_FRAMES)))
        rows.append(
            {
                "cell": i + 1,
                "parent": given.get("parent"),
                "first_frame": frames[0],
                "last_frame": frames[-1],
                "n_frames": len(frames),
                "n_merged": given.get("n_merged", 0),
                "fate": given.get("fate", "end of movie"),
                "reason_GFP": given.get("reason", ""),
                "reason_RFP": given.get("reason_2", ""),
            }
        )
        x, y = given.get("at", (100 * i, 0))
        traces.append(
            pd.DataFrame(
                {
                    "cell": i + 1,
                    "frame": frames,
                    "position_x": float(x),
                    "position_y": float(y),
                    "area": given.get("area", np.full(len(frames), 100)),
                    "intensity_total_GFP": given.get("gfp", np.ones(len(frames))),
                }
            )
        )
    table = pd.DataFrame(rows).astype({"parent": "Int64"})
    return FovTables(0, ("GFP", "RFP"), pd.concat(traces, ignore_index=True), table)


def test_a_jump_is_looked_at_where_it_is_largest_and_told_with_its_size():
    area = [100, 100, 100, 240, 240, 240, 240, 250, 240, 240]
    [doubt] = doubts_of(tables({}, {"reason": "area jump", "area": area}), N_FRAMES)
    assert (doubt.cell, doubt.frame) == (2, 3)
    assert doubt.words == "its area jumps from 100 to 240 px at frame 3"
    gfp = [1.0] * 6 + [9.0] * 4
    [doubt] = doubts_of(tables({"reason": "intensity jump", "gfp": gfp}), N_FRAMES)
    assert (doubt.frame, doubt.words) == (6, "its GFP jumps from 1 to 9 at frame 6")


def test_a_track_that_ends_where_another_begins_names_that():
    found = doubts_of(
        tables(
            {"frames": range(4), "fate": "lost", "at": (50, 50)},
            {"frames": range(5, 10), "at": (54, 53)},
            {"frames": range(5, 10), "at": (58, 53)},
            {"frames": range(6), "fate": "lost", "at": (500, 50)},
        ),
        N_FRAMES,
    )
    assert [(each.cell, each.frame, each.other) for each in found] == [(1, 3, 2), (4, 5, None)]
    assert found[0].words == ("it is lost after frame 3, and cell 2 begins 5 px away at frame 5")
    # What is too far, too late or a daughter is not the same cell.
    far = {"frames": range(5, 10), "at": (80, 50)}
    late = {"frames": range(8, 10), "at": (50, 50)}
    daughter = {"frames": range(5, 10), "at": (50, 50), "parent": 1}
    for other in (far, late, daughter):
        first = {"frames": range(4), "fate": "lost", "at": (50, 50)}
        [doubt] = doubts_of(tables(first, other), N_FRAMES)
        assert doubt.other is None


def test_those_that_can_be_mended_come_first_and_each_cell_once():
    swap = [100, 100, 100, 300, 100, 100, 100, 100, 100, 100]
    found = doubts_of(
        tables(
            {},
            {"reason": "at the border"},
            {"reason": "too short", "reason_2": "too short", "frames": range(3), "fate": "lost"},
            {"reason": "unusual size", "area": np.full(10, 420)},
            {"reason": "area jump", "reason_2": "intensity jump", "area": swap},
            {"reason": "merged", "n_merged": 4},
            {"reason": "merged", "fate": "merged", "frames": range(8)},
            {"reason": "not corrected", "reason_2": "not corrected"},
            {"reason": "several nuclei"},
        ),
        N_FRAMES,
    )
    assert [each.cell for each in found] == [7, 5, 6, 4, 9, 3, 2]
    words = {each.cell: each.words for each in found}
    assert words[7] == "it ends in the outline of another cell at frame 7"
    assert words[6] == "its outline holds other cells too in 4 of 10 frames"
    assert words[4] == "its area is 4.2 times that of most cells"
    assert words[3] == "it is seen in 3 frames only; it is lost after frame 2"
    assert all(0 < each.weight <= 1 for each in found)


@pytest.mark.parametrize("given", [{"reason": "area jump", "frames": [3]}, {"reason": "a note"}])
def test_what_nothing_more_is_known_of_is_told_by_its_reason(given):
    [doubt] = doubts_of(tables({}, given), N_FRAMES)
    assert doubt.words == given["reason"]


def test_without_cells_nothing_is_doubted():
    nothing = tables({})
    empty = FovTables(0, (), nothing.traces.iloc[:0], nothing.cells.iloc[:0])
    assert doubts_of(empty, N_FRAMES) == []


def test_cells_whose_links_were_unsure_are_looked_at_the_less_sure_first():
    table = replace(tables({}, {}, {}), least_sure={1: (0.93, 3), 2: (0.9, 4), 3: (0.7, 7)})
    found = doubts_of(table, N_FRAMES)
    assert [(doubt.cell, doubt.frame) for doubt in found] == [(3, 7), (2, 4)]
    words = "from frame 7 on it may be another cell (of such links 30 % are wrong)"
    assert found[0].words == words


def test_of_cells_whose_links_are_as_unsure_the_one_with_more_of_them_comes_first():
    sure = {1: (0.9, 4), 2: (0.9, 4), 3: (0.85, 5)}
    links = {1: ((4, 0.9),), 2: ((3, 0.95), (4, 0.9), (7, 0.9)), 3: ((5, 0.85),)}
    found = doubts_of(replace(tables({}, {}, {}), least_sure=sure, unsure=links), N_FRAMES)
    assert [doubt.cell for doubt in found] == [2, 3, 1]
    words = "from frame 4 on it may be another cell (of such links 10 % are wrong)"
    assert found[2].words == words
    assert found[0].words == f"{words}, and 2 more of its links are in doubt"


def test_a_long_step_over_an_unsure_link_is_looked_at_where_it_was_before_the_unsure_ones():
    far = {"reason": "unsure link", "reason_2": "unsure link"}
    table = replace(tables({}, far, {}), least_sure={1: (0.2, 4), 2: (0.5, 6), 3: (0.1, 7)})
    found = doubts_of(table, N_FRAMES)
    assert [(doubt.cell, doubt.frame) for doubt in found] == [(2, 6), (3, 7), (1, 4)]
    words = "it goes far to frame 6, where it may be another cell (of such links 50 % are wrong)"
    assert found[0].words == words
    [doubt] = doubts_of(tables({}, far), N_FRAMES)
    assert doubt.words == "unsure link"


def test_how_sure_links_are_is_read_from_the_table_of_cells_if_it_tells():
    header = "fov,cell,parent,first_frame,last_frame,fate,n_frames,n_merged"
    rows = "0,1,,0,5,end of movie,6,0", "0,2,,3,3,lost,1,0"
    old = "\n".join([header, *rows]).encode()
    new = "\n".join([f"{header},link_confidence,link_frame", f"{rows[0]},0.5,4", f"{rows[1]},,"])
    assert make_tables(0, {}, old).least_sure == {}
    # What was written before it was known how often such links are right is read as that.
    assert make_tables(0, {}, new.encode()).least_sure == {1: (0.9047, 4)}
    told = "\n".join(
        line + end
        for line, end in zip(new.split("\n"), (",unsure_links", ",4:0.5", ","), strict=True)
    )
    assert make_tables(0, {}, told.encode()).least_sure == {1: (0.5, 4)}
    assert make_tables(0, {}, told.encode()).unsure == {1: ((4, 0.5),)}
    assert make_tables(0, {}, new.encode()).unsure == {}
