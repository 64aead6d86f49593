"""What each version of an algorithm yields is pinned: resume trusts the version.

Label images, counts and medians of whole grey values are pinned by a checksum, floats to within two
parts in a million. Floats may differ between processors and versions of libraries in their last
digits, and so, in principle, may a pixel on which such a float decides. The images are such that
this does not happen: errors a dozen times as large as those of single precision change no pixel,
which is tested too.

When a test here fails, results have changed. Either that was not meant: restore them. Or it was:
then bump the version of the algorithm, so that older results are made again, and pin the new ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pinned_scenes import (
    BRIGHT,
    CELLS,
    SHAPE,
    crowded_nuclei,
    difficult_cells,
    difficult_nuclei,
    fluorescence,
    labels_of,
    movie,
    nuclei,
    phase_contrast,
    rods,
)
from pyama_core.processing.background import corrector
from pyama_core.processing.background.corrector import find_correction
from pyama_core.processing.extraction.compartments import CellNuclei
from pyama_core.processing.extraction.measure import measure_cells
from pyama_core.processing.extraction.parameters import ExtractionParameters
from pyama_core.processing.extraction.quality import judge_tracks
from pyama_core.processing.extraction.selection import ALGORITHM as FEATURES
from pyama_core.processing.extraction.selection import ALGORITHM_OF_COMPARTMENTS, select_features
from pyama_core.processing.segmentation import scale, segmenter
from pyama_core.processing.segmentation.bright.segmenter import ObjectSegmenter
from pyama_core.processing.segmentation.instances import (
    bodies,
    contrast,
    diameter,
    outlines,
    separation,
)
from pyama_core.processing.segmentation.instances import segmenter as instances
from pyama_core.processing.segmentation.instances.method import InstanceParameters
from pyama_core.processing.segmentation.instances.segmenter import InstanceSegmenter
from pyama_core.processing.segmentation.segmenter import find_segmentation
from pyama_core.processing.tracking import tracker
from pyama_core.processing.tracking.fates import Track
from pyama_core.processing.tracking.tracker import find_tracking

OF_OTHER_PACKAGES = {"bioimageio", "instanseg", "stardist", "cellpose", "laptrack", "trackastra"}
COMPUTES_NOTHING = {"auto", "files"}

Found = dict[str, str | list[float]]


def digest(*images: NDArray[Any]) -> str:
    """What label images and masks have in them, and a checksum of their pixels as int64."""
    covered = sum(int(np.count_nonzero(image)) for image in images)
    labels = max(int(image.max()) for image in images)
    checksum = hashlib.sha256()
    for image in images:
        checksum.update(repr(image.shape).encode())
        checksum.update(np.ascontiguousarray(image, "<i8").tobytes())
    return f"{labels} labels, {covered} pixels, {checksum.hexdigest()[:16]}"


def checksum_of(numbers: NDArray[Any]) -> str:
    """How many numbers there are, and a checksum of them in sixteenths, which medians come in."""
    sixteenths = np.round(16 * numbers).astype("<i8")
    return f"{numbers.size} numbers, {hashlib.sha256(sixteenths.tobytes()).hexdigest()[:16]}"


def rounded(values: Sequence[float] | NDArray[Any]) -> list[float]:
    """Floats with seven digits, to be compared to within a part in a million."""
    return [float(f"{value:.7g}") for value in np.asarray(values, np.float64).ravel()]


def easy() -> NDArray[np.uint16]:
    return phase_contrast(SHAPE, CELLS, 1, BRIGHT)


def twice_as_large(image: NDArray[np.uint16]) -> NDArray[np.uint16]:
    return np.asarray(image.repeat(2, 0).repeat(2, 1))


def segment_instances() -> Found:
    method = find_segmentation("instances")
    given = method.create(method.parameters(cell_diameter=24), 0)
    large = method.create(method.parameters(cell_diameter=48), 0)
    estimated = method.create(method.parameters(), 0)
    assert isinstance(estimated, InstanceSegmenter)
    found = estimated.prepare([easy(), difficult_cells()[60:240, :190]])
    return {
        "easy": digest(given.segment(easy())),
        "easy, by nuclei": digest(given.segment(easy(), nuclei())),
        "easy, twice as large": digest(large.segment(twice_as_large(easy()))),
        "difficult": digest(given.segment(difficult_cells())),
        "difficult, by nuclei": digest(given.segment(difficult_cells(), difficult_nuclei())),
        "rods": digest(given.segment(rods())),
        "estimated diameter": [found.cell_diameter or 0.0],
    }


def find_nuclei_by_cells() -> Found:
    method = find_segmentation("seeds")
    given = method.create(method.parameters(cell_diameter=24), 0)
    large = method.create(method.parameters(cell_diameter=48), 0)
    return {
        "easy": digest(given.segment(nuclei())),
        "easy, twice as large": digest(large.segment(twice_as_large(nuclei()))),
        "difficult": digest(given.segment(difficult_nuclei())),
    }


def segment_bright_objects() -> Found:
    method = find_segmentation("bright")
    given = method.create(method.parameters(cell_diameter=12), 0)
    large = method.create(method.parameters(cell_diameter=40), 0)
    limited = method.create(
        method.parameters(cell_diameter=12, min_diameter=8, max_diameter=14, contrast=5), 0
    )
    estimated = method.create(method.parameters(), 0)
    assert isinstance(estimated, ObjectSegmenter)
    light = fluorescence(SHAPE, CELLS, 9)
    found = estimated.prepare([light, difficult_nuclei()])
    return {
        "nuclei": digest(given.segment(nuclei())),
        "difficult": digest(given.segment(difficult_nuclei())),
        "limited": digest(limited.segment(difficult_nuclei())),
        "crowded": digest(given.segment(crowded_nuclei())),
        "cells": digest(large.segment(light)),
        "cells, twice as large": digest(large.segment(twice_as_large(light))),
        "estimated diameter": [found.cell_diameter or 0.0],
    }


def segment_dark_objects() -> Found:
    method = find_segmentation("dark")
    given = method.create(method.parameters(cell_diameter=12), 0)
    inverted = np.asarray(65_535 - difficult_nuclei(), np.uint16)
    return {"difficult": digest(given.segment(inverted))}


def segment_by_log_std() -> Found:
    method = find_segmentation("log-std")
    usual = method.create(method.parameters(), 0)
    other = method.create(
        method.parameters(window_radius=2, n_bins=64, n_sigma=2.0, square_size=3, iterations=1), 0
    )
    wide = easy()
    wide[0, 0] = 65_535
    return {
        "few grey values": digest(usual.segment(easy())),
        "many grey values": digest(usual.segment(wide)),
        "floats": digest(usual.segment(easy().astype(np.float32) / 8)),
        "other parameters": digest(other.segment(difficult_cells())),
    }


def correct_by_tiles() -> Found:
    method = find_correction("tiled-interpolation")
    light = fluorescence(SHAPE, CELLS, 9)
    mask = labels_of(SHAPE, CELLS) > 0
    found: Found = {}
    for name, size, cell_diameter, frame in (
        ("cells of unknown size", 48, None, light),
        ("cells of 10 pixels", "auto", 10, light),
        ("floats", 40, 10, light.astype(np.float32) / 8),
    ):
        parameters = method.parameters(dilation_size=5, tile_size=size)
        correct = method.create(method.resolve(parameters, cell_diameter), SHAPE)
        medians = correct.estimate(frame, mask)
        corrected = correct.correct(frame, medians)
        found[f"{name}, medians"] = checksum_of(medians)
        found[f"{name}, pixels"] = rounded(corrected[7::90, 3::62])
    mask[: SHAPE[0] // 2, SHAPE[1] // 3 :] = True
    correct = method.create(method.resolve(method.parameters(dilation_size=5), 6), SHAPE)
    corrected = correct.correct(light, correct.estimate(light, mask))
    found["hidden tiles, pixels"] = rounded(corrected[7::90, 3::62])
    return found


def track_by_overlap() -> Found:
    method = find_tracking("iou")
    frames = movie()
    of_labels, of_masks = (method.create(method.parameters(), np.uint16) for _ in range(2))
    return {
        "labels": digest(*(of_labels.update(frame) for frame in frames)),
        "masks": digest(*(of_masks.update(frame > 0) for frame in frames)),
        "tracks": rows_of(of_labels.tracks()),
    }


def track_lineages() -> Found:
    method = find_tracking("lineage")
    frames = movie()
    found: Found = {}
    for name, parameters in (
        ("usual", {}),
        ("divisions", {"divisions": True, "max_broken": 0, "brightness_channel": 1}),
        ("plain", {"correct_drift": False, "split_merged": False, "max_gap": 0}),
    ):
        tracker = method.create(method.parameters(**parameters), np.uint16)
        images = [100.0 * (frame > 0) for frame in frames]
        masks = [frame > 0 if name == "usual" else frame for frame in frames]
        for mask, image in zip(masks, images, strict=True):
            tracker.preview(mask, image)
        labels = [tracker.update(m, i) for m, i in zip(masks, images, strict=True)]
        found[f"{name}, labels"] = digest(*labels)
        found[f"{name}, tracks"] = rows_of(tracker.tracks())
        found[f"{name}, shifts"] = rounded(tracker.shifts[6:9])
    tracker = method.create(method.parameters(), np.uint16)
    frames, image = crowd_with_a_piece()
    for frame in frames:
        tracker.preview(frame, image)
    found["pieces, labels"] = digest(*(tracker.update(frame, image) for frame in frames))
    found["pieces, tracks"] = rows_of(tracker.tracks())
    return found


def crowd_with_a_piece() -> tuple[list[NDArray[np.uint16]], NDArray[np.uint16]]:
    """Squares with a line between any two but the first, which are one object for five frames.

    The last two, between which it is the strongest, are one object until they part twice.
    """
    numbers = np.arange(1, 21, dtype=np.uint16).reshape(4, 5)
    apart = np.pad(np.kron(numbers, np.ones((16, 16), np.uint16)), 8)
    joined = np.where(apart == 2, 1, apart)
    image = np.full(apart.shape, 100, np.uint16)
    for axis in (0, 1):
        image[np.diff(joined, axis=axis, append=0) != 0] = 200
    image[(apart == 19) & (np.roll(apart, -1, 1) == 20)] = 500
    frames = [*[apart] * 3, *[joined] * 5, *[apart] * 6]
    for t in (0, 1, 2, 3, 5, 6):
        frames[t] = np.where(frames[t] == 20, 19, frames[t])
    return frames, image


def rows_of(tracks: Sequence[Any]) -> str:
    """How many cells there were, of which how many had parents, and a checksum of their rows."""
    rows = [list(vars(track).values()) for track in tracks]
    text = repr([(*row[:7], *(value for value in row[7:] if value is not None)) for row in rows])
    parents = sum(track.parent is not None for track in tracks)
    checksum = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{len(tracks)} cells, {parents} with a parent, {checksum}"


def measure() -> Found:
    discs = [*CELLS, (80, 48, 9), (84, 122, 12), (150, 150, 12)]  # crescents among them
    labels, light = labels_of(SHAPE, discs), fluorescence(SHAPE, CELLS, 9)
    selection = select_features(("shape", "intensity", "background_local"))
    shapes, [channel] = measure_cells(labels, [light.astype(np.float32) - 410], selection)
    found: Found = {}
    for name, values in (shapes | channel).items():
        if values.dtype.kind == "i":
            found[name] = checksum_of(values)
        else:
            found[name] = rounded(values[[0, 2, 3, 7, 9, 15]])
    return found | {"verdicts": verdicts()}


def measure_compartments() -> Found:
    """Measure as by default; the first cell has no ring, the second a few pixels of one."""
    labels, light = labels_of(SHAPE, CELLS), fluorescence(SHAPE, CELLS, 9)
    inner = [(y, x, radius // 2) for y, x, radius in CELLS]
    inner[:2] = [CELLS[0], (CELLS[1][0] - 1, CELLS[1][1] - 1, CELLS[1][2])]
    nuclei = np.where(labels_of(SHAPE, inner[:8]) == labels, labels, 0)
    counts = dict.fromkeys(np.unique(nuclei).tolist(), 1)
    of_cells = CellNuclei(nuclei, counts, ExtractionParameters().ring_in_pixels(None))
    selection = select_features(("compartments", "intensity_median_ring", "intensity_std_nucleus"))
    images = [light.astype(np.float32) - 410]
    shapes, [channel] = measure_cells(labels, images, selection, nuclei=of_cells)
    columns = {name: (shapes | channel)[name] for name in selection.columns}
    return {name: rounded(np.nan_to_num(values[:9], nan=-1)) for name, values in columns.items()}


def verdicts() -> str:
    """Judge 200 cells in 12 frames, some of which change or leap; return how many for each reason.

    All numbers are whole, and no limit is met to within a rounding error.
    """
    rng = np.random.default_rng(7)
    cell, frame = np.repeat(np.arange(1, 201), 12), np.tile(np.arange(12), 200)
    area = np.repeat(rng.integers(60, 140, 200) * rng.choice([1, 1, 1, 4], 200), 12)
    later = frame >= np.repeat(rng.integers(2, 11, 200), 12)
    shrunk = later & np.repeat(rng.random(200) < 0.3, 12)
    light = np.where(later & np.repeat(rng.random(200) < 0.3, 12), 437, 1009)
    light += rng.integers(0, 7, 2400) * np.repeat(rng.choice([1, 91], 200), 12)
    leap = np.where(later, np.repeat(rng.choice([0, 0, 5, 37], 200), 12), 0)
    left = np.repeat(rng.integers(11, 400, 200), 12) + leap
    rows = {"cell": cell, "frame": frame, "intensity_total": light.astype(np.float64)}
    rows |= {"area": np.where(shrunk, area // 3, area), "box_left": left, "box_right": left + 10}
    rows |= {"box_top": np.full(2400, 50), "box_bottom": np.full(2400, 60)}
    tracks = [
        Track(c, None, 0, 11, "end of movie", 12, 0, 0.5, int(np.argmax(later[cell == c])))
        for c in range(1, 201, 3)
    ]
    # Every eighth is seen in four frames, which of half of these is a whole life.
    rows = {name: column[(cell % 8 > 0) | (frame < 4)] for name, column in rows.items()}
    tracks = [track for track in tracks if track.cell % 8]
    tracks += [
        Track(c, 1, 0, 3, "divided", 4, 0, fate_probability=0.9, birth_probability=0.9)
        for c in range(16, 201, 16)
    ]
    summary = judge_tracks(rows, tracks, (12, 200, 470)).summary
    return ", ".join(f"{n} {reason}" for reason, n in summary.items())


COMPUTED: dict[str, Callable[[], Found]] = {
    "instances": segment_instances,
    "seeds": find_nuclei_by_cells,
    "bright": segment_bright_objects,
    "dark": segment_dark_objects,
    "log-std": segment_by_log_std,
    "tiled-interpolation": correct_by_tiles,
    "iou": track_by_overlap,
    "lineage": track_lineages,
    "features": measure,
    "compartments": measure_compartments,
}

PINNED: dict[str, Found] = {
    "instances/8": {
        "easy": "10 labels, 4061 pixels, 22142c52402a8028",
        "easy, by nuclei": "10 labels, 4459 pixels, f6422b2d73751314",
        "easy, twice as large": "10 labels, 16299 pixels, 9608fe667f184e39",
        "difficult": "52 labels, 28263 pixels, 04a289e13b847788",
        "difficult, by nuclei": "28 labels, 17652 pixels, 73acfc97aebe69de",
        "rods": "8 labels, 2221 pixels, bbcf66de1c77f4a3",
        "estimated diameter": [22.0],
    },
    "seeds/1": {
        "easy": "10 labels, 1238 pixels, 9af209f46f7c66ad",
        "easy, twice as large": "10 labels, 4954 pixels, dc1db90e8851881b",
        "difficult": "28 labels, 3068 pixels, b58f93ff13983af4",
    },
    "bright/7": {
        "nuclei": "11 labels, 749 pixels, 96e05c78b1f19ee0",
        "difficult": "29 labels, 2370 pixels, 61965d4e4ee0e0cf",
        "limited": "24 labels, 2055 pixels, 442415bd21ae6d83",
        "crowded": "129 labels, 13828 pixels, 4a180b4c4287a3ff",
        "cells": "13 labels, 6052 pixels, d13aea8c22b92a77",
        "cells, twice as large": "13 labels, 22064 pixels, 6c872debb71717e3",
        "estimated diameter": [24.0],
    },
    "dark/7": {
        "difficult": "29 labels, 2371 pixels, c4cd2147e17b3949",
    },
    "log-std/1": {
        "few grey values": "1 labels, 11582 pixels, daa39aa557860b92",
        "many grey values": "1 labels, 11582 pixels, daa39aa557860b92",
        "floats": "1 labels, 11582 pixels, daa39aa557860b92",
        "other parameters": "1 labels, 32397 pixels, aa6bd8302fee15bf",
    },
    "tiled-interpolation/3": {
        "cells of unknown size, medians": "49 numbers, 9246a8a60f9f2f7d",
        "cells of unknown size, pixels": [
            -7.0,
            1.651915,
            6.668885,
            -9.0,
            3.387402,
            -8.43613,
            -13.8998,
            10.78726,
        ],
        "cells of 10 pixels, medians": "49 numbers, 37750c32bb94d5bc",
        "cells of 10 pixels, pixels": [
            -6.896505,
            2.760958,
            9.754576,
            -5.116129,
            7.381744,
            -9.219862,
            -12.6003,
            5.815314,
        ],
        "floats, medians": "121 numbers, 776d36d66e3407a4",
        "floats, pixels": [
            -0.7238683,
            0.4506746,
            1.262809,
            -0.6302491,
            0.8815123,
            -1.115246,
            -1.630407,
            0.7631208,
        ],
        "hidden tiles, pixels": [
            -6.439113,
            2.985563,
            5.179565,
            -16.18198,
            7.430523,
            -9.438728,
            -13.86294,
            6.533816,
        ],
    },
    "iou/1": {
        "labels": "32 labels, 22642 pixels, c7f6ad071030bd49",
        "masks": "30 labels, 22642 pixels, 51b5734293652088",
        "tracks": "32 cells, 0 with a parent, c8f7c3180df35681",
    },
    "lineage/14": {
        "usual, labels": "11 labels, 22642 pixels, 2ecd34a11c461465",
        "usual, tracks": "11 cells, 2 with a parent, 5c657140ef29e174",
        "usual, shifts": [0.0, 0.0, 9.0, -14.0, 0.0, 0.0],
        "divisions, labels": "12 labels, 22642 pixels, 345b1bb642e7af40",
        "divisions, tracks": "12 cells, 1 with a parent, 26450d06dfa05c91",
        "divisions, shifts": [0.0, 0.0, 9.0, -14.0, 0.0, 0.0],
        "plain, labels": "12 labels, 22642 pixels, ba17b671d1001318",
        "plain, tracks": "12 cells, 0 with a parent, 35df3c89a2a33fb2",
        "plain, shifts": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        "pieces, labels": "19 labels, 71680 pixels, a4a14c62090a5d46",
        "pieces, tracks": "19 cells, 1 with a parent, 61ee7177a49563e4",
    },
    "features/5": {
        "verdicts": "200 cells, 109 good, 13 too short, 0 merged, 0 at the border, "
        "23 unusual size, 29 area jump, 22 intensity jump, 4 unsure link",
        "cell": "18 numbers, 75888f6dd0a530c3",
        "area": "18 numbers, db1a9a719da6ce54",
        "position_x": [34.0, 36.41948, 105.6462, 135.2294, 90.0, 48.0],
        "position_y": [30.0, 80.0, 84.0, 150.0, 4.756522, 80.0],
        "box_top": "18 numbers, bfabe3c3d0d621b3",
        "box_left": "18 numbers, d8ace6d41aea1575",
        "box_bottom": "18 numbers, 93d04a4bbbf033c3",
        "box_right": "18 numbers, 0c918588b110e8ef",
        "perimeter": [81.94112, 77.94112, 107.669, 79.94112, 58.97056, 54.62742],
        "eccentricity": [0.0, 0.7780645, 0.7604403, 0.8304975, 0.8395792, 0.0],
        "solidity": [0.9699813, 0.6863753, 0.726257, 0.6940299, 0.982906, 1.0],
        "orientation": [
            -0.7853982,
            -1.565723e-17,
            -1.907889e-17,
            -2.280423e-17,
            1.570796,
            -0.7853982,
        ],
        "intensity_total": [87182.0, 89387.0, 255551.0, 231031.0, 222250.0, 59584.0],
        "intensity_mean": [168.6306, 334.7828, 491.4442, 828.0681, 966.3043, 239.2932],
        "intensity_median": [169.0, 333.0, 489.5, 829.0, 968.5, 322.0],
        "intensity_std": [48.299, 38.79551, 73.11509, 45.38073, 40.64109, 168.3519],
        "intensity_min": [76.0, 268.0, 363.0, 740.0, 888.0, -15.0],
        "intensity_max": [259.0, 418.0, 629.0, 922.0, 1046.0, 418.0],
        "intensity_p5": [95.8, 277.9, 381.0, 760.9, 901.45, -11.0],
        "intensity_p95": [243.2, 398.7, 610.0, 901.3, 1028.1, 406.6],
        "background_local": [-8.0, -5.0, 7.0, 29.0, -8.0, -2.0],
    },
    "features/5.1": {
        "n_nuclei": [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
        "area_nucleus": [517.0, 480.0, 109.0, 193.0, 69.0, 109.0, 69.0, 109.0, -1.0],
        "area_ring": [-1.0, 7.0, 284.0, 344.0, 244.0, 284.0, 244.0, 284.0, -1.0],
        "intensity_mean_nucleus": [
            168.6306,
            265.625,
            393.5321,
            593.5855,
            564.1014,
            676.8899,
            739.9565,
            902.7706,
            -1.0,
        ],
        "intensity_std_nucleus": [
            48.299,
            45.9513,
            11.80854,
            18.42515,
            9.664135,
            12.69497,
            8.276796,
            11.03259,
            -1.0,
        ],
        "intensity_mean_ring": [
            -1.0,
            -1.0,
            319.6056,
            492.4767,
            506.6885,
            602.9296,
            680.5164,
            828.6972,
            -1.0,
        ],
        "intensity_median_ring": [-1.0, -1.0, 319.0, 494.0, 506.0, 601.0, 683.0, 830.0, -1.0],
        "ratio_nucleus_ring": [
            -1.0,
            -1.0,
            1.231305,
            1.205307,
            1.11331,
            1.122668,
            1.087346,
            1.089385,
            -1.0,
        ],
    },
}


def versions() -> dict[str, str]:
    """The version of each algorithm that computes something, by its name."""
    names = {
        **dict.fromkeys(segmenter._BUILT_IN, find_segmentation),
        **dict.fromkeys(corrector._BUILT_IN, find_correction),
        **dict.fromkeys(tracker._BUILT_IN, find_tracking),
    }
    found = {
        name: find(name).algorithm
        for name, find in names.items()
        if name not in OF_OTHER_PACKAGES | COMPUTES_NOTHING
    }
    return found | {"features": FEATURES, "compartments": ALGORITHM_OF_COMPARTMENTS}


def test_every_algorithm_is_pinned_in_its_present_version() -> None:
    assert COMPUTED.keys() == versions().keys()
    assert PINNED.keys() == set(versions().values()), (
        "An algorithm has a new version: pin what it yields in the place of the old one."
    )


@pytest.mark.parametrize("name", COMPUTED)
def test_an_algorithm_yields_what_its_version_did(name: str) -> None:
    version = versions()[name]
    pinned, found = PINNED[version], COMPUTED[name]()
    assert found.keys() == pinned.keys()
    changed = {
        what: (pinned[what], found[what])
        for what in pinned
        if (
            found[what] != pinned[what]
            if isinstance(pinned[what], str)
            else found[what] != pytest.approx(pinned[what], rel=2e-6, abs=1e-4)
        )
    }
    assert not changed, (
        f"{version} does not yield what it did (expected, found): {changed}. "
        "Bump the version or restore the result."
    )


@pytest.mark.parametrize("by_nuclei", [False, True])
def test_what_is_pinned_of_instances_does_not_hang_on_rounding(by_nuclei: bool) -> None:
    segment = InstanceSegmenter(InstanceParameters(cell_diameter=24)).segment
    for frame, nuclear in ((easy(), nuclei()), (difficult_cells(), difficult_nuclei())):
        expected = segment(frame.astype(np.float64), nuclear if by_nuclei else None)
        for seed in range(4):
            error = 0.004 * np.random.default_rng(seed).uniform(-1, 1, frame.shape)
            found = segment(frame + error, nuclear + error if by_nuclei else None)
            np.testing.assert_array_equal(found, expected)


SENSITIVE = [
    (contrast, "DETAIL", 1.15),
    (contrast, "LINE_WIDTH", 1.15),
    (contrast, "ROUGHNESS_REACH", 1.15),
    (contrast, "BETWEEN", 1.15),
    (contrast, "N_SIGMA", 1.15),
    (contrast, "TYPICAL_CELL", 1.15),
    (outlines, "COHERENCE_REACH", 1.15),
    (outlines, "POWER_REACH", 1.15),
    (outlines, "SHORTEST_LINE", 1.15),
    (outlines, "CREST_DEPTH", 0.85),
    (outlines, "HALO_REACH", 1.15),
    (outlines, "SMALLEST_BRIGHT", 0.85),
    (outlines, "LEAST_POWER", 1.15),
    (outlines, "TYPICAL_LINE", 0.85),
    (outlines, "WEAK_LINE", 1.15),
    (outlines, "STRONG_LINE", 1.15),
    (outlines, "HALO_LEVEL", 1.15),
    (outlines, "FAINT_HALO", 1.15),
    (outlines, "BRIGHT_CELL", 1.15),
    (separation, "SMOOTHING", 1.15),
    (separation, "LEAST_BASIN", 1.15),
    (separation, "LARGEST_JOINED", 1.15),
    (separation, "LEAST_ROUNDNESS", 0.85),
    (separation, "NUCLEUS", 1.15),
    (separation, "NUCLEUS_SURROUNDINGS", 1.15),
    (separation, "NUCLEUS_NOISE", 1.15),
    (separation, "NUCLEUS_NECK", 0.85),
    (bodies, "EDGE", 1.15),
    (scale, "WORKING_DIAMETER", 1.15),
    (scale, "SMOOTH_OUTLINE", 1.15),
    (diameter, "FIT_TO_CELL", 1.15),
    (diameter, "STEP", 0.85),
]
"""Constants of the segmentation into instances of which 15 % more or less change what is pinned."""


@pytest.mark.slow
@pytest.mark.parametrize(("module", "name", "factor"), SENSITIVE, ids=lambda value: str(value)[:30])
def test_a_constant_that_is_changed_changes_what_is_pinned(
    module: Any, name: str, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = factor * getattr(module, name)
    for holder in (contrast, outlines, separation, bodies, scale, diameter, instances):
        if hasattr(holder, name):
            monkeypatch.setattr(holder, name, changed)
    assert segment_instances() != PINNED[versions()["instances"]]
