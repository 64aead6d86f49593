"""All frames together tell which tracks are pieces of one cell, and borders in images help."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

# The benchmarks are not a part of the package.
sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.hard_movies import Colony, Faults

from frames import DTYPES, label_image, make_frame, seeds
from pyama_core.processing.tracking.lineage.borders import Borders
from pyama_core.processing.tracking.lineage.first_look import _parted
from pyama_core.processing.tracking.lineage.method import LineageParameters, tracking_method
from pyama_core.processing.tracking.lineage.pieces import pieces_of_one, surely_two
from pyama_core.processing.tracking.lineage.readings import Cut, Reading, Readings
from pyama_core.processing.tracking.lineage.second_look import _frames_together
from pyama_core.processing.tracking.lineage.track_state import TrackState
from pyama_core.processing.tracking.lineage.tracker import LineageTracker
from pyama_core.processing.tracking.lineage.tracklets import Tracklets
from pyama_core.processing.tracking.objects import Objects

SIDE, ROWS, COLUMNS = 16, 4, 5
INSIDE, LINE = 100, 200


def track(frames, images=None, **parameters):
    tracker = LineageTracker(LineageParameters(**parameters))
    images = [None] * len(frames) if images is None else images
    for frame, image in zip(frames, images, strict=True):
        tracker.preview(frame, image)
    return tracker, [tracker.update(frame) for frame in frames]


def crowd():
    """Square cells that touch, in rows, with a margin."""
    numbers = np.arange(1, ROWS * COLUMNS + 1).reshape(ROWS, COLUMNS).astype(np.uint16)
    return np.pad(np.kron(numbers, np.ones((SIDE, SIDE), np.uint16)), SIDE)


def with_lines(labels, other=(), line=INSIDE):
    """An image with a bright line wherever two labels meet, another one between a pair."""
    image = np.full(labels.shape, INSIDE, np.uint16)
    for axis in (0, 1):
        after = np.roll(labels, -1, axis)
        meet = (labels != after) & (labels > 0) & (after > 0)
        image[meet] = LINE
        image[meet & np.isin(labels, other) & np.isin(after, other)] = line
    return image


def unequal(labels):
    """An image of cells that shine, each otherwise bright, but for the first two."""
    brightness = np.random.default_rng(0).permutation(np.arange(100, 100 + 40 * labels.max(), 40))
    brightness[0] = brightness[1]
    return np.where(labels > 0, np.append(0, brightness)[labels], 0).astype(np.uint16)


APART = crowd()
JOINED = np.where(APART == 2, 1, APART)
FLICKER = [APART] * 3 + [JOINED] * 5 + [APART] * 6
"""Apart too often for one that is cut at times, together too long for frames around to tell."""


def test_two_with_no_line_between_them_that_are_one_at_times_are_one_cell_in_all_frames():
    tracker, labels = track(FLICKER, [with_lines(APART, other=(1, 2))] * len(FLICKER))
    assert tracker.n_cells == ROWS * COLUMNS - 1
    for frame in labels:
        np.testing.assert_array_equal(frame == frame[SIDE, SIDE], JOINED == 1)
    told = {track.cell: track.n_joined for track in tracker.tracks()}
    assert told.pop(1) == 9
    assert not any(told.values())


@pytest.mark.parametrize(
    ("images", "parameters"),
    [
        (None, {}),  # nothing is known of the line between them
        ([with_lines(APART)], {}),  # it is as bright as others
        ([with_lines(APART, other=(1, 2))], {"alternatives": "off"}),
        ([with_lines(APART, other=(1, 2))], {"max_broken": 0}),
        ([with_lines(APART, other=(1, 2))], {"brightness_channel": 1}),  # it is another image
        ([2 * LINE - with_lines(APART, other=(1, 2))], {}),  # where borders are dark
        ([with_lines(APART, other=APART)], {}),  # there is nothing to see
        ([unequal(APART)], {}),  # cells shine, some more than others
    ],
)
def test_two_of_which_nothing_tells_that_they_are_one_stay_two(images, parameters):
    tracker, labels = track(FLICKER, images and images * len(FLICKER), **parameters)
    assert tracker.n_cells == ROWS * COLUMNS
    assert all(np.unique(labels[t]).size == ROWS * COLUMNS + 1 for t in (0, 1, 8, 13))
    assert not any(track.n_joined for track in tracker.tracks())


def halfway(part):
    """A line that is so much of the others', by which it is parted in the images."""
    return with_lines(APART, (1, 2), INSIDE + round(part * (LINE - INSIDE)))


def test_a_line_that_is_weak_but_always_there_parts_two_cells():
    tracker, _ = track(FLICKER, [halfway(0.7)] * len(FLICKER))
    assert tracker.n_cells == ROWS * COLUMNS
    missing = [halfway(0.2) if t % 3 == 0 else halfway(1.0) for t in range(len(FLICKER))]
    assert track(FLICKER, missing)[0].n_cells == ROWS * COLUMNS - 1


def test_a_line_that_is_weak_tells_enough_of_two_that_are_apart_for_few_frames():
    few = [*[JOINED] * 4, *[APART] * 5, *[JOINED] * 6]
    assert track(few, [halfway(0.7)] * len(few))[0].n_cells == ROWS * COLUMNS - 1


@pytest.mark.parametrize("seed", range(4))
def test_neighbours_behind_lines_of_unequal_strength_are_not_put_together(seed):
    rng = np.random.default_rng(seed)
    image = np.full(APART.shape, INSIDE, np.float64)
    for axis in (0, 1):
        after = np.roll(APART, -1, axis)
        pair = np.sort([APART, after], axis=0)
        meet = (pair[0] > 0) & (pair[0] < pair[1])
        strength = rng.uniform(0.4, 1.6, (pair.max() + 1, pair.max() + 1))
        image[meet] += (LINE - INSIDE) * strength[pair[0][meet], pair[1][meet]]
    frames = [APART.copy() for _ in range(20)]
    for a, b in ((1, 2), (4, 9), (6, 7), (13, 14), (15, 20), (17, 18)):
        first = int(rng.integers(1, 15))
        for frame in frames[first : first + 4]:
            frame[frame == b] = a
    tracker, labels = track(frames, [rng.normal(image, 2) for _ in frames])
    assert tracker.n_cells == ROWS * COLUMNS
    assert np.unique(labels[-1]).size == ROWS * COLUMNS + 1


BLINK = [JOINED] * 4 + [APART] + [JOINED] * 2 + [APART] * 6
"""The frames around tell that in the fifth the pieces of one cell are apart."""


@pytest.mark.parametrize(("part", "n_joined"), [(0.7, 1), (1.1, 1), (1.7, 0), (3.0, 0)])
def test_two_with_a_strong_line_between_them_are_not_put_together(part, n_joined):
    readings = Readings(may_join=True, may_cut=True)
    found = []
    for frame in BLINK:
        objects, _ = Objects.of(frame)
        found += readings.see(objects, Borders.of(objects, halfway(part)))
    assert [len(reading.joined) for reading, *_ in found[:7]] == [0] * 4 + [n_joined] + [0] * 2


@pytest.mark.parametrize(("part", "n_cells"), [(1.0, 1), (3.0, 2)])
def test_who_was_surely_a_cell_is_one_in_the_object_of_another(part, n_cells):
    _, labels = track(BLINK, [halfway(part)] * len(BLINK))
    for frame in labels[4:7]:
        assert np.unique(frame[JOINED == 1]).size == n_cells


def test_two_with_a_line_that_surely_parts_them_are_never_one():
    """However long they are in one object, and however weak the line is in other frames."""
    images = [halfway(0.1)] * len(FLICKER)
    frames = [*FLICKER, *[JOINED] * 12, *[APART] * 2]
    images += [halfway(1.0)] * (len(frames) - len(FLICKER))
    assert track(frames, images)[0].n_cells == ROWS * COLUMNS - 1
    images[11] = halfway(4.0)
    assert track(frames, images)[0].n_cells == ROWS * COLUMNS


def test_few_neighbours_do_not_tell_what_is_usual():
    few = [np.where(np.isin(frame, (1, 2, 3)), frame, 0) for frame in FLICKER]
    tracker, _ = track(few, [with_lines(APART, other=(1, 2))] * len(few))
    assert tracker.n_cells == 3


def test_cells_that_part_by_more_than_pieces_can_are_two():
    apart = np.where(np.roll(APART, 3, 1) == 2, 2, np.where(APART == 2, 0, APART))
    frames = [*FLICKER[:-1], apart]
    tracker, _ = track(frames, [with_lines(APART, other=(1, 2))] * len(frames))
    assert tracker.n_cells == ROWS * COLUMNS


@pytest.mark.parametrize("n_broken", [4, 9])
def test_a_cell_in_two_that_do_not_come_apart_is_one_however_long(n_broken):
    whole = np.zeros((40, 60), np.uint16)
    whole[10:30, 20:40] = 1
    broken = whole.copy()
    broken[:, 31:] *= 2
    frames = [*[whole] * 4, *[broken] * n_broken, *[whole] * 3]
    tracker, labels = track(frames)
    assert tracker.n_cells == 1
    assert all(((frame > 0) == (whole > 0)).all() for frame in labels)
    assert [each.n_joined for each in tracker.tracks()] == [n_broken]
    assert track(frames, alternatives="off")[0].n_cells > 1


def test_the_image_in_which_cells_are_found_is_asked_for():
    image = tracking_method().image
    assert image(LineageParameters()) == "phase"
    assert image(LineageParameters(brightness_channel=2)) == 2
    assert image(LineageParameters(brightness_channel=2, divisions=False)) == "phase"
    assert image(LineageParameters(alternatives="off")) is None


# Slow twins


def slow_borders(objects, labels, image):
    """Each pair of neighbouring pixels, one by one."""
    height, width = labels.shape
    wide = np.pad(image.astype(np.float64), 1, "reflect")
    smooth = np.array(
        [[wide[y : y + 3, x : x + 3].mean() for x in range(width)] for y in range(height)]
    )
    values = {}
    for y in range(height):
        for x in range(width):
            near = smooth[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
            for other in (*labels[y, x + 1 : x + 2], *labels[y + 1 : y + 2, x]):
                mine = labels[y, x]
                if mine and other and mine != other:
                    pair = tuple(sorted((int(mine), int(other))))
                    values.setdefault(pair, []).append(near.max())
    borders = {}
    for (a, b), found in values.items():
        if len(found) >= 8:
            mean = image[(labels == a) | (labels == b)].mean(dtype=np.float64)
            brighter = max(image[labels == each].mean(dtype=np.float64) for each in (a, b))
            low = sorted(found)[(len(found) - 1) // 4]
            borders[a, b] = low - mean, low - brighter
    return borders


@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_borders_are_those_of_pixels_one_by_one(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(8, 30)), int(rng.integers(8, 30)))
    labels = label_image(shape, seed, 5)
    image = make_frame(shape, "noise", seed, DTYPES[seed % len(DTYPES)])
    objects, numbers = Objects.of(labels)
    first, second, *lines = Borders.of(objects, image)[:4]
    pairs = zip(numbers[first].tolist(), numbers[second].tolist(), strict=True)
    found = {tuple(sorted(pair)): of_it for pair, *of_it in zip(pairs, *lines, strict=True)}
    expected = slow_borders(objects, labels, image)
    assert found.keys() == expected.keys()
    for pair, value in expected.items():
        assert found[pair] == pytest.approx(value, rel=1e-4, abs=1e-2)


@given(seed=seeds)
def test_strong_lines_are_those_far_beyond_the_usual_one(seed):
    rng = np.random.default_rng(seed)
    labels = np.pad(rng.permutation(np.arange(1, 17)).reshape(4, 4), 1).repeat(10, 0).repeat(10, 1)
    image = rng.normal(with_lines(labels), 5)
    image += np.where(rng.random(17) < 0.3, rng.uniform(0, 200), 0)[labels]
    borders = Borders.of(Objects.of(labels)[0], image)
    usual = sorted(borders.line.tolist())
    middle = (usual[11] + usual[12]) / 2
    tells = np.median(borders.beyond_both) > 0
    for line, strong, sure in zip(borders.line, borders.strong, borders.sure, strict=True):
        assert strong == (tells and line > 1.5 * middle)
        assert sure == (tells and line > 2 * middle)


@given(seed=seeds)
def test_borders_of_a_reading_are_those_of_the_objects_that_are_as_they_were(seed):
    rng = np.random.default_rng(seed)
    labels = crowd()
    objects, _ = Objects.of(labels)
    image = rng.normal(with_lines(labels), 20)
    borders = Borders.of(objects, image)
    joined = [(0, 1), (7, 12)] if seed % 2 else [(3, 2)]
    shape = (SIDE, SIDE)
    cut = Cut(18, tuple(objects.box[18, :2].tolist()), shape, [np.packbits(np.eye(SIDE) > 0)])
    read = Reading(objects.area.size, joined, [cut]).read(objects)
    between = borders.between(read.unchanged)
    place = [tuple(box) for box in read.objects.box.tolist()]
    touched = {18, *np.ravel(joined).tolist()}
    expected = {
        tuple(sorted(place.index(tuple(objects.box[each].tolist())) for each in pair)): values
        for *pair, values in zip(*borders[:2], zip(*borders[2:], strict=True), strict=True)
        if touched.isdisjoint(pair)
    }
    found = zip(between.first.tolist(), between.second.tolist(), strict=True)
    assert dict(zip(found, zip(*between[2:], strict=True), strict=True)) == expected


@given(seed=seeds)
def test_fragments_that_a_line_surely_parts_from_their_cell_are_cells(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9))
    ids = rng.permutation(np.arange(1, 20))[:n]
    object_of, alone = rng.integers(0, n, n), rng.random(n) < 0.8
    ends = np.array([pair for pair in np.ndindex(n, n) if pair[0] < pair[1]]).T
    sure = rng.random(ends.shape[1]) < 0.4
    values = np.zeros(ends.shape[1])
    state = replace(
        TrackState.empty(),
        cell=ids,
        fragment_of=np.where(rng.random(n) < 0.6, rng.integers(1, 20, n), 0),
        n_alone=rng.integers(0, 6, n),
    )
    found = _parted(state, alone, object_of, Borders(*ends, values, values, sure, sure))
    for i in range(n):
        is_cell = False
        for j in range(n):
            if alone[i] and alone[j] and ids[j] == state.fragment_of[i]:
                for a, b in ends.T[sure].tolist():
                    is_cell |= {a, b} == {int(object_of[i]), int(object_of[j])}
        assert found.fragment_of[i] == (0 if is_cell else state.fragment_of[i])
        assert found.n_alone[i] == max(state.n_alone[i], 3 if is_cell else 0)


def test_a_frame_without_objects_has_no_borders():
    objects, _ = Objects.of(np.zeros((4, 5), np.uint16))
    assert Borders.of(objects, np.ones((4, 5))).first.size == 0


def slow_pieces(tracks, sightings, together, longest):
    """The rule, cell by cell and frame by frame."""
    seen = {}  # of each cell, by frame: row
    for row, (cell, t) in enumerate(zip(tracks.cell, tracks.frame, strict=True)):
        seen.setdefault(int(cell), {})[int(t)] = row
    lines, brightest = {}, {}
    for t, sighting in enumerate(sightings):
        alone = {
            int(tracks.object[row]): cell
            for cell, rows in seen.items()
            if (row := rows.get(t)) is not None and not tracks.merged[row]
        }
        for a, b, value, beyond in zip(*sighting.borders[:4], strict=True):
            if a in alone and b in alone:
                pair = tuple(sorted((alone[a], alone[b])))
                lines.setdefault(pair, []).append(value)
                brightest.setdefault(pair, []).append(beyond)
    usual = np.median([np.mean(values) for values in lines.values()]) if len(lines) > 9 else 0
    if usual and np.median([np.mean(values) for values in brightest.values()]) <= 0:
        usual = 0
    absorbed = set()
    for t, sighting in enumerate(sightings):
        for piece, whole in sighting.absorbed:
            births = min(seen.get(piece, {0: 0})), min(seen.get(whole, {99: 0}))
            if births[1] < births[0] < t - longest:
                absorbed.add(tuple(sorted((piece, whole))))
    found = set()
    for a, b in absorbed | set(together):
        distances = {True: [], False: []}
        for t in seen[a].keys() & seen[b].keys():
            i, j = seen[a][t], seen[b][t]
            radii = np.sqrt(tracks.area[[i, j]] / np.pi).sum()
            way = np.hypot(*(tracks.position[i] - tracks.position[j])) / radii
            distances[bool(tracks.object[i] != tracks.object[j])].append(way)
        if not distances[True] or max(distances[True]) > 0.9:
            continue
        values = lines.get((a, b), [])
        if usual > 0 and len(values) > 1:
            low = sorted(values)[(len(values) - 1) // 4]
            if np.mean(values) < 0.9 * usual and (
                len(values) < 7 or low < max(np.mean(values) / 3, 0.05 * usual)
            ):
                found.add((a, b))
        elif (a, b) in absorbed and max(distances[True] + distances[False]) <= 0.9:
            found.add((a, b))
    return found


def slow_surely_two(tracks, sightings):
    """The same, border by border."""
    found = set()
    for t, sighting in enumerate(sightings):
        for a, b, *_, sure in zip(*sighting.borders, strict=True):
            ids = []
            for each in (a, b):
                here = (tracks.frame == t) & (tracks.object == each) & ~tracks.merged
                ids += tracks.cell[here].tolist()
            if sure and len(ids) == 2:
                found.add(tuple(sorted(ids)))
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("has_images", [True, False])
def test_pieces_are_those_of_the_plain_rule(seed, has_images):
    colony = Colony(30, 14, 160, radius=12, speed=2, divisions=0.02, lobes=2 * (seed % 2))
    truth, _ = Colony(**{**vars(colony), "seed": seed}).movie()
    frames = Faults(0.12, 0.1, 0.03, 0.03, duration=4, seed=seed).of(truth)
    rng = np.random.default_rng(seed)
    tracker = LineageTracker()
    for true, frame in zip(truth, frames, strict=True):
        image = rng.normal(with_lines(true, range(1, 12), 900), 5) if has_images else None
        tracker.preview(frame, image)
    tracker.update(frames[0])
    sightings = tracker._previewed
    tracks = Tracklets.of(sightings)
    together = _frames_together(tracks)
    found = pieces_of_one(tracks, sightings, together, 3)
    assert found == slow_pieces(tracks, sightings, together, 3)
    two = surely_two(tracks, sightings)
    assert two == slow_surely_two(tracks, sightings)
    assert bool(two) == has_images
    assert found or seed  # there is something to find
