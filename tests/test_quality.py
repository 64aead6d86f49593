from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from frames import seeds
from movies import rough_squares
from pyama_core.processing.extraction.measure import measure_cells
from pyama_core.processing.extraction.quality import (
    REASONS,
    QualityParameters,
    judge_tracks,
)
from pyama_core.processing.extraction.tables import joined, rows_by_cell
from pyama_core.processing.segmentation.log_std.method import LogStdParameters
from pyama_core.processing.segmentation.log_std.segmenter import LogStdSegmenter
from pyama_core.processing.tracking.fates import Track

SHAPE = (100, 120)
NAMES = ("cell", "area", "box_top", "box_left", "box_bottom", "box_right", "intensity_total")


def movie(*cells, n_frames=12):
    """Measurements of cells: (row, column, size per frame, intensity per frame)."""
    frames = [{name: [] for name in NAMES} for _ in range(n_frames)]
    for number, (y, x, sizes, intensities) in enumerate(cells, 1):
        for frame, size, intensity in zip(frames, sizes, intensities, strict=False):
            row = (number, size * size, y, x, y + size, x + size, intensity)
            for name, value in zip(NAMES, row, strict=True):
                frame[name].append(value)
    return [{name: np.array(column) for name, column in frame.items()} for frame in frames]


def judge(frames, tracks=(), parameters=None):
    """Verdicts on measurements per frame."""
    rows, order = rows_by_cell({t: f["cell"].astype(np.int64) for t, f in enumerate(frames)})
    rows = {**joined(frames, order), **rows}
    return judge_tracks(rows, tracks, (len(frames), *SHAPE), parameters)


def usual(y=40, x=50):
    return y, x, [10] * 12, np.linspace(100, 200, 12)


def reasons(*cells, tracks=(), **parameters):
    return judge(movie(*cells), tracks, QualityParameters(**parameters)).reason


def merged_in(cell, n_merged, fate="end of movie"):
    return Track(cell, None, 0, 11, fate, 12, n_merged)


def test_usual_cells_are_good():
    assert reasons(usual(), usual(y=20)) == ["", ""]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ((40, 50, [10] * 5, [100] * 5), "too short"),
        ((2, 50, [10] * 12, [100] * 12), "at the border"),
        ((40, 108, [10] * 12, [100] * 12), "at the border"),
        ((88, 50, [10] * 12, [100] * 12), "at the border"),
        ((40, 2, [10] * 12, [100] * 12), "at the border"),
        ((40, 50, [4] * 12, [100] * 12), "unusual size"),
        ((40, 50, [21] * 12, [100] * 12), "unusual size"),
        ((40, 50, [10] * 6 + [13] * 6, [100] * 6 + [140] * 6), "area jump"),
        # A cell that rounds up keeps its light; that of a dim one is no witness.
        ((40, 50, [13] * 6 + [10] * 6, [100] * 6 + [95] * 6), ""),
        ((40, 50, [13] * 6 + [10] * 6, [100, 130] * 6), "area jump"),
        ((40, 50, [13] * 6 + [10] * 6, [0] * 12), "area jump"),
        ((40, 50, [10] * 12, [100] * 6 + [180] * 6), "intensity jump"),
        ((40, 50, [10] * 12, [0, 1] * 6), ""),
        ((3, 3, [10] * 12, [100] * 12), ""),
        ((87, 107, [10] * 12, [100] * 12), ""),
    ],
)
def test_each_limit_has_its_reason(cell, reason):
    assert reasons(usual(), usual(20), usual(60), cell)[3] == reason


@pytest.mark.parametrize(
    ("track", "reason"),
    [
        (merged_in(1, 2), "merged"),
        (merged_in(1, 1), ""),
        (merged_in(1, 0, "merged"), "merged"),
        (merged_in(1, 0), ""),
    ],
)
def test_cells_that_shared_an_object_are_merged(track, reason):
    assert reasons(usual(), tracks=[track]) == [reason]
    assert reasons(usual(), tracks=[merged_in(1, 6)], max_merged_part=0.5) == [""]


def lived(cell=4, **changes):
    """A cell of five frames that came from a sure division and ended in one."""
    whole = {"parent": 1, "fate": "divided", "birth_probability": 0.9, "fate_probability": 0.85}
    return replace(Track(cell, None, 0, 4, "lost", 5, 0), **{**whole, **changes})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"parent": None, "birth_probability": None}, "too short"),  # its beginning is not seen
        ({"fate": "end of movie", "fate_probability": 1.0}, "too short"),
        ({"fate": "lost"}, "too short"),
        ({"birth_probability": 0.84}, "too short"),
        ({"fate_probability": 0.84}, "too short"),
        ({"birth_probability": None, "fate_probability": None}, "too short"),  # nobody tells
    ],
)
def test_a_whole_life_is_not_too_short_however_fast_cells_divide(changes, reason):
    cells = usual(), usual(20), usual(60), (40, 50, [10] * 5, [100] * 5)
    assert reasons(*cells, tracks=[lived(**changes)]) == ["", "", "", reason]
    # Who says in how many frames a good cell is seen means all of them.
    assert reasons(*cells, tracks=[lived(**changes)], min_frames=6)[3] == "too short"


@pytest.mark.parametrize(
    ("changes", "n_cut_off"),
    [
        ({}, 0),
        ({"fate": "end of movie", "fate_probability": 1.0}, 1),
        ({"fate": "end of movie", "birth_probability": 0.8}, 0),
        ({"parent": None, "birth_probability": None}, 1),  # it was there in the first frame
        ({"parent": None, "birth_probability": None, "first_frame": 1}, 0),
        ({"parent": None, "birth_probability": None, "fate_probability": 0.8}, 0),
        ({"fate": "lost"}, 0),
    ],
)
def test_lives_that_the_movie_cuts_off_are_counted(changes, n_cut_off):
    cells = usual(), usual(20), usual(60), (40, 50, [10] * 5, [100] * 5)
    verdicts = judge(movie(*cells), [lived(**changes)])
    assert verdicts.summary.get("cut off", 0) == n_cut_off
    assert verdicts.without_correction().n_cut_off == n_cut_off
    assert judge(movie(*cells[:3], usual(70)), [lived(**changes)]).n_cut_off == 0  # long enough


@pytest.mark.parametrize(("n_frames", "reason"), [(4, ""), (3, "too short")])
def test_a_life_of_so_few_frames_that_nothing_could_jump_is_too_short(n_frames, reason):
    cells = usual(), usual(20), usual(60), (40, 50, [10] * n_frames, [100] * n_frames)
    assert reasons(*cells, tracks=[lived(n_frames=n_frames)])[3] == reason
    if n_frames == 4:
        leaps = (40, 50, [10, 10, 10, 20], [100, 100, 100, 300])
        assert reasons(*cells[:3], leaps, tracks=[lived(n_frames=4)])[3] == "area jump"


def test_a_whole_life_is_held_against_all_other_limits():
    cells = usual(), usual(20), (40, 108, [10] * 5, [100] * 5)
    assert reasons(*cells, tracks=[lived(3)]) == ["", "", "at the border"]


def test_every_limit_can_be_moved_or_left_out():
    short = (40, 50, [10] * 5, [100] * 5)
    assert reasons(usual(), short, min_frames=5) == ["", ""]
    near = (1, 50, [10] * 12, [100] * 12)
    assert reasons(usual(), near, border=1) == ["", ""]
    assert reasons(usual(), near, max_border_part=1) == ["", ""]
    large = (40, 50, [30] * 12, [100] * 12)
    assert reasons(usual(), usual(20), large, max_relative_area=None) == [""] * 3
    small = (40, 50, [3] * 12, [100] * 12)
    assert reasons(usual(), usual(20), small, min_relative_area=None) == [""] * 3
    jumping = (40, 50, [10] * 6 + [13] * 6, [100] * 6 + [300] * 6)  # it takes in a neighbour
    assert reasons(usual(), jumping) == ["", "area jump"]
    assert reasons(usual(), jumping, max_area_jump=None) == ["", "intensity jump"]
    assert reasons(usual(), jumping, max_area_jump=None, max_intensity_jump=3) == ["", ""]


def leaping(by, n_frames=12):
    """A movie of a cell that leaps once, in frame 6, and of two that stay."""
    frames = movie(usual(), usual(20), usual(60), n_frames=n_frames)
    for frame in frames[6:]:
        for name in ("box_left", "box_right"):
            frame[name][0] += by
    return frames


@pytest.mark.parametrize(
    ("by", "confidence", "frame", "reason"),
    [(25, 0.9, 6, "unsure link"), (25, 0.93, 6, ""), (25, 0.5, 7, ""), (20, 0.5, 6, "")],
)
def test_a_long_step_over_an_unsure_link_may_be_to_another_cell(by, confidence, frame, reason):
    track = replace(merged_in(1, 0), link_confidence=confidence, link_frame=frame)
    assert judge(leaping(by), [track]).reason == [reason, "", ""]
    assert judge(leaping(by), [track], QualityParameters(max_unsure_step=None)).reason[0] == ""


@pytest.mark.parametrize(
    ("by", "confidence", "reason"), [(0, 0.95, ""), (0, 0.9, "area jump"), (12, 0.95, "area jump")]
)
def test_a_cell_that_is_elsewhere_or_may_be_another_did_not_round_up(by, confidence, reason):
    frames = leaping(by)
    for frame in frames[6:]:
        frame["area"][0] *= 0.4
    track = replace(merged_in(1, 0), link_confidence=confidence, link_frame=6)
    assert judge(frames, [track]).reason == [reason, "", ""]


@pytest.mark.parametrize(("n_cells", "reason"), [(30, "unusual size"), (15, "")])
def test_sizes_are_held_against_the_spread_of_many_cells(n_cells, reason):
    cells = [(40, 50, [10 + (i % 3 == 0)] * 12, [100] * 12) for i in range(n_cells)]
    odd = (40, 50, [17] * 12, [100] * 12)
    assert reasons(*cells, odd) == [""] * n_cells + [reason]
    assert reasons(*cells, odd, max_size_spread=None)[-1] == ""
    # Twice as large is usual, however alike the cells are; widely spread ones are all usual.
    alike = [(40, 50, [10] * 12, [100] * 12)] * n_cells
    assert reasons(*alike, (40, 50, [14] * 12, [100] * 12))[-1] == ""
    wide = [(40, 50, [7 + 3 * (i % 4)] * 12, [100] * 12) for i in range(n_cells)]
    assert reasons(*wide, (40, 50, [19] * 12, [100] * 12))[-1] == ""


def plain_reason(number, frames, tracks, p):
    """The definition, cell by cell and frame by frame."""
    rows = [
        {name: frame[name][i] for name in NAMES}
        for frame in frames
        for i in range(len(frame["cell"]))
        if frame["cell"][i] == number
    ]
    areas = {}
    for frame in frames:
        for cell, area in zip(frame["cell"], frame["area"], strict=True):
            areas.setdefault(cell, []).append(area)
    usual_area = np.median([np.median(values) for values in areas.values()])
    near = [
        r["box_top"] < p.border
        or r["box_left"] < p.border
        or SHAPE[0] - r["box_bottom"] < p.border
        or SHAPE[1] - r["box_right"] < p.border
        for r in rows
    ]

    def steps(name):
        return [abs(float(b[name]) - float(a[name])) for a, b in itertools.pairwise(rows)]

    def usual(name):
        return np.median([abs(float(r[name])) for r in rows])

    def jumps(name, limit):
        allowed = max(limit * usual(name), 5 * np.median(steps(name))) if len(rows) > 1 else 0
        return [step > allowed for step in steps(name)]

    diameter = 2 * np.sqrt(usual("area") / np.pi)
    lengths = [length(a, b) / diameter for a, b in itertools.pairwise(rows)]
    doubtful = [
        any(
            t.cell == number and t.link_confidence < 0.92 and t.link_frame == t0 + 1 for t in tracks
        )
        for t0 in range(len(rows) - 1)
    ]
    light, total = steps("intensity_total"), usual("intensity_total")
    excused = [
        np.median(light) <= 0.1 * total
        and d_light <= 0.4 * total * min(1, d_area / usual("area"))
        and far <= 0.75
        and not doubt
        for d_light, d_area, far, doubt in zip(light, steps("area"), lengths, doubtful, strict=True)
    ]

    enough = p.min_frames or min(30, np.ceil(len(frames) / 2))
    has_whole_life = any(
        t.cell == number
        and t.parent is not None
        and t.fate == "divided"
        and min(t.birth_probability or 0, t.fate_probability or 0) >= 0.85
        for t in tracks
    )
    if p.min_frames is None and has_whole_life:
        enough = min(enough, 4)
    if len(rows) < enough:
        return "too short"
    if any(t.cell == number and t.n_merged > p.max_merged_part * t.n_frames for t in tracks):
        return "merged"
    if sum(near) > p.max_border_part * len(rows):
        return "at the border"
    if not p.min_relative_area <= np.median(areas[number]) / usual_area <= p.max_relative_area:
        return "unusual size"
    if any(jump and not ok for jump, ok in zip(jumps("area", 0.3), excused, strict=True)):
        return "area jump"
    if any(jumps("intensity_total", p.max_intensity_jump)):
        return "intensity jump"
    far = max(p.max_unsure_step, 4 * np.median(all_lengths(frames) or [0]))
    unsure = any(d and step > far for d, step in zip(doubtful, lengths, strict=True))
    return "unsure link" if unsure else ""


def length(a, b):
    """How far the middle of a bounding box goes."""
    y, x = (
        ((b[low] + b[high]) - (a[low] + a[high])) / 2
        for low, high in (("box_top", "box_bottom"), ("box_left", "box_right"))
    )
    return np.hypot(y, x)


def all_lengths(frames):
    """The steps of all cells, in diameters."""
    cells = {}
    for frame in frames:
        for i, cell in enumerate(frame["cell"]):
            cells.setdefault(cell, []).append({name: frame[name][i] for name in NAMES})
    return [
        length(a, b) / (2 * np.sqrt(np.median([r["area"] for r in rows]) / np.pi))
        for rows in cells.values()
        for a, b in itertools.pairwise(rows)
    ]


@settings(max_examples=100, deadline=None)
@given(seed=seeds)
def test_verdicts_are_those_of_the_plain_definition(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 8))
    cells = [
        (
            int(rng.integers(0, 85)),
            int(rng.integers(0, 105)),
            np.clip(rng.poisson(10) + rng.integers(0, 2, 12) * (rng.random(12) < 0.1) * 4, 1, 15)[
                : rng.integers(1, 13)
            ],
            rng.normal(rng.uniform(0, 100), rng.choice([1, 5, 20]), 12),
        )
        for _ in range(n)
    ]
    frames = movie(*cells)
    for frame in frames:  # some leap
        for low, high in (("box_top", "box_bottom"), ("box_left", "box_right")):
            leap = rng.integers(0, 60, len(frame["cell"])) * (rng.random(len(frame["cell"])) < 0.1)
            frame[low], frame[high] = frame[low] + leap, frame[high] + leap
    tracks = [
        replace(
            merged_in(i + 1, int(rng.integers(0, 3))),
            link_confidence=float(rng.uniform(0.8, 1)),
            link_frame=int(rng.integers(1, 12)),
            parent=rng.choice([None, 9]),
            fate=str(rng.choice(["divided", "lost"], p=[0.8, 0.2])),
            birth_probability=rng.choice([None, 0.8, 0.85, 1.0], p=[0.1, 0.1, 0.4, 0.4]),
            fate_probability=rng.choice([None, 0.8, 0.85, 1.0], p=[0.1, 0.1, 0.4, 0.4]),
        )
        for i in range(n)
    ]
    p = QualityParameters(
        min_frames=rng.choice([None, int(rng.integers(1, 7))]),
        border=int(rng.integers(0, 20)),
        max_merged_part=0.1,
        max_relative_area=1.7,
        min_relative_area=0.6,
        max_area_jump=0.3,
    )
    verdicts = judge(frames, tracks, p)
    assert verdicts.cell.tolist() == list(range(1, n + 1))
    assert verdicts.reason == [plain_reason(i + 1, frames, tracks, p) for i in range(n)]
    assert verdicts.good.tolist() == [reason == "" for reason in verdicts.reason]


def test_the_summary_counts_every_cell_once():
    cells = (usual(), usual(20), (2, 50, [10] * 12, [100] * 12), (40, 50, [10] * 5, [100] * 5))
    summary = judge(movie(*cells)).summary
    assert summary == {
        "cells": 4,
        "good": 2,
        **dict.fromkeys(REASONS, 0),
        "too short": 1,
        "at the border": 1,
    }


def test_a_movie_without_cells_has_no_verdicts():
    empty, _ = measure_cells(np.zeros(SHAPE, np.uint16), [])
    for measurements in ([], [empty, empty]):
        rows, order = rows_by_cell({t: f["cell"] for t, f in enumerate(measurements)})
        rows = {"cell": np.empty(0, np.int64), **joined(measurements, order)}
        verdicts = judge_tracks(rows, [], (len(measurements), *SHAPE))
        assert verdicts.reason == []
        assert verdicts.summary["cells"] == 0


def test_traces_need_no_intensity_to_be_judged():
    labels = np.zeros(SHAPE, np.uint16)
    labels[40:50, 40:50] = 3
    measured, _ = measure_cells(labels, [])
    assert judge([measured] * 4).reason == [""]


@pytest.mark.parametrize(
    "bad",
    [
        {"border": -1},
        {"min_frames": 0},
        {"max_border_part": 1.1},
        {"max_area_jump": 0},
        {"min_relative_area": 5.0},
        {"limit": 3},
    ],
)
def test_limits_out_of_bounds_are_refused(bad):
    with pytest.raises(ValidationError):
        QualityParameters(**bad)


@pytest.mark.parametrize(
    ("margin", "given", "border"), [(0, None, None), (2, None, None), (9, None, 10), (9, 2, 2)]
)
def test_the_border_lies_beyond_what_a_segmentation_leaves_empty(margin, given, border):
    assert QualityParameters(border=given).beyond(margin).border == border


@pytest.mark.parametrize("square_size", [1, 3, 7])
def test_a_segmentation_leaves_as_much_of_a_cell_at_the_edge_empty_as_it_says(square_size):
    parameters = LogStdParameters(square_size=square_size)
    frame = rough_squares(1, 96, [(0, 30)], side=40)[0, 0]
    found = np.flatnonzero(LogStdSegmenter(parameters).segment(frame).any(axis=1))
    assert found[0] == parameters.margin


def test_cells_that_were_found_by_their_light_and_have_none_are_not_good():
    rows = {
        "cell": np.repeat([1, 2, 3], 4),
        "area": np.full(12, 100),
        "box_left": np.full(12, 20),
        "box_right": np.full(12, 30),
        "box_top": np.full(12, 20),
        "box_bottom": np.full(12, 30),
        "intensity_total": np.array([9.0, 9, 9, 9, 9, 9, -0.5, 9, 9, 9, np.nan, 9]),
    }
    limits = QualityParameters(max_intensity_jump=None, min_frames=1)
    judged = judge_tracks(rows, [], (4, 60, 60), limits, found_by_light=True)
    assert judged.reason == ["", "no light", ""]
    assert judged.summary["without light"] == 1
    assert judge_tracks(rows, [], (4, 60, 60), limits).reason == ["", "", ""]
    # Whatever else speaks against them.
    short = QualityParameters(min_frames=5)
    judged = judge_tracks(rows, [], (4, 60, 60), short, found_by_light=True)
    assert (judged.reason[1], judged.n_without_light) == ("too short", 1)
