"""Real cells with links to follow: labelled by people, or agreed on by programs at full speed."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy_metrics import nucleus_centres
from benchmarks.hela_divisions import DIVISIONS
from benchmarks.link_metrics import Ids, ids_of_objects
from benchmarks.other_trackers import Seen, installed
from benchmarks.tracking_scenarios import Labels, Scenario, renumbered, without_objects
from pyama_core.processing.segmentation.instances.segmenter import InstanceSegmenter
from pyama_core.processing.tracking.iou.tracker import IoUTracker
from pyama_core.processing.tracking.objects import Objects

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
logger = logging.getLogger("benchmarks.real_movies")


def real_movies() -> Iterator[tuple[bool, Scenario]]:
    """Yield whether cells divide, and movie, of the data that are there."""
    for name, load in (
        ("t98g", _glioma),
        ("trpl", _bacteria),
        ("hela", _nuclei_of_hela),
        ("incucyte", _adherent),
    ):
        if not (DATA / name).is_dir():
            logger.warning("left out, as its images are absent: %s", DATA / name)
            continue
        yield from load()


def _every_third(scenario: Scenario, more_divide: bool = True) -> Scenario:
    truth, parents = scenario.truth[::3], dict[int, int]()
    if more_divide:
        truth, parents = with_divisions(truth)
    return replace(
        scenario,
        name=f"{scenario.name}, every third frame",
        truth=truth,
        seen=scenario.seen[::3],
        images=None if scenario.images is None else scenario.images[::3],
        parents=scenario.parents | parents,
    )


def segmented(images: Sequence[NDArray[Any]], **parameters: Any) -> NDArray[Any]:
    """Segment all images into cells, as a run does."""
    segmenter = InstanceSegmenter(**parameters)
    segmenter.prepare([images[0], images[(len(images) - 1) // 2], images[-1]])
    return np.stack([segmenter.segment(image) for image in images])


@functools.cache
def _glioma_found() -> tuple[Labels, NDArray[Any], list[NDArray[Any]]]:
    import tifffile

    folder = DATA / "t98g"
    masks = sorted((folder / "masks").glob("*.png"))
    frames = [np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) for path in masks]
    images = [tifffile.imread(path) for path in sorted((folder / "raw").glob("*.tif"))]
    return np.stack(frames).astype(np.uint16), segmented(images), images


def _glioma() -> Iterator[tuple[bool, Scenario]]:
    """Yield cells that people labelled, and what is found in their images."""
    truth, found, images = _glioma_found()
    truth, parents = with_divisions(truth)
    seen = renumbered(truth, 3)
    perfect = Scenario("t98g, true labels", truth, seen, parents, images=images)
    yield False, perfect
    yield False, _every_third(perfect)
    fewer = without_objects(perfect.seen, 0.05, 0)
    yield False, replace(perfect, name=f"{perfect.name}, 5 % missed", seen=fewer)
    made = replace(perfect, name="t98g, instances", seen=found)
    yield False, made
    yield False, _every_third(made)


def with_divisions(truth: Labels) -> tuple[Labels, dict[int, int]]:
    """Let cells end that halve while a new one begins beside them; return their daughters' mothers.

    Where the mother goes on as one of her daughters, which of them would be chance. Only plain
    cases count: both within a factor of 1.7, on opposite sides of her, less than her diameter
    apart, and together as large as she was to within a half.
    """
    out, parents, n = truth.copy(), dict[int, int](), int(truth.max())
    seen: set[int] = set()
    past: dict[int, tuple[NDArray[np.float64], int]] = {}
    for t, frame in enumerate(out):
        cells, area = np.unique(frame[frame > 0], return_counts=True)
        now = {
            cell: (np.argwhere(frame == cell).mean(axis=0), size)
            for cell, size in zip(cells.tolist(), area.tolist(), strict=True)
        }
        for new in sorted(set(now) - seen) if t else ():
            for mother in sorted(set(now) & set(past)):
                if new in parents or not _halved(past[mother], now[mother], now[new]):
                    continue
                n += 1
                rest = out[t:]
                rest[rest == mother] = n
                parents |= {n: mother, new: mother}
                now[n] = now.pop(mother)
        seen |= set(now)
        past = now
    return out, parents


def _halved(
    mother: tuple[NDArray[np.float64], int],
    daughter: tuple[NDArray[np.float64], int],
    sister: tuple[NDArray[np.float64], int],
) -> bool:
    """Return whether two cells, given by centroid and area, are plainly what one was."""
    (centre, whole), (a, first), (b, second) = mother, daughter, sister
    diameter = 2 * np.sqrt(whole / np.pi)
    middle = (first * a + second * b) / (first + second)
    opposite = float(np.dot(a - centre, b - centre))
    return bool(
        min(first, second) >= 0.6 * max(first, second)
        and abs(first + second - whole) < whole / 2
        and np.hypot(*(middle - centre)) < diameter / 4
        and np.hypot(*(a - b)) < diameter
        and opposite < -0.7 * np.hypot(*(a - centre)) * np.hypot(*(b - centre))
    )


def _bacteria() -> Iterator[tuple[bool, Scenario]]:
    """Yield bacteria, whose divisions are plain in labels as good as these."""
    import tifffile

    seen = tifffile.imread(DATA / "trpl" / "trpL_150310-11_mask.tif").astype(np.uint16)
    truth, parents = _followed_by_cover(seen)
    images = list(tifffile.imread(DATA / "trpl" / "trpL_150310-11_img.tif"))
    yield True, Scenario("trpl, bacteria", truth, renumbered(seen, 3), parents, images=images)


def _followed_by_cover(seen: Labels) -> tuple[Labels, dict[int, int]]:
    """Follow objects of which each lies in the place of one before, daughters in their mother's.

    The colony is moved to where its centroid was in the frame before, for the stage moves a lot.
    """
    kernel = np.ones((9, 9), np.uint8)
    truth, parents, n = np.zeros_like(seen), dict[int, int](), 0
    for t, frame in enumerate(seen):
        wide = np.zeros_like(frame)
        if t:
            y, x = (
                np.argwhere(frame).mean(axis=0) - np.argwhere(seen[t - 1]).mean(axis=0)
            ).round().astype(int)  # fmt: skip
            wide = np.roll(cv2.dilate(truth[t - 1], kernel), (y, x), (0, 1))
        heirs: dict[int, list[int]] = {}
        for label in np.unique(frame[frame > 0]).tolist():
            under = np.bincount(wide[frame == label])
            under[0] = 0
            heirs.setdefault(int(under.argmax()) if under.any() else 0, []).append(label)
        for cell, labels in heirs.items():
            goes_on = cell > 0 and len(labels) == 1
            for label in labels:
                n += not goes_on
                truth[t][frame == label] = cell if goes_on else n
                if cell and not goes_on:
                    parents[n] = cell
    return truth, parents


def _nuclei_of_hela() -> Iterator[tuple[bool, Scenario]]:
    """Yield nuclei, every third frame, linked as plain trackers agree on at full speed."""
    import tifffile

    seen = tifffile.imread(DATA / "hela" / "labels_of_another_program.tif").astype(np.uint16)
    tracker = IoUTracker()
    overlap = ids_of_objects(seen, [tracker.update(frame) for frame in seen])
    truth, parents = marked(_agreed(seen, Seen.of(seen), [overlap]), DIVISIONS)
    name = "hela, labels of another program"
    images = list(tifffile.imread(DATA / "hela" / "images.tif"))
    full = Scenario(name, truth, renumbered(seen, 3), parents, all_known=False, images=images)
    yield True, full
    yield True, _every_third(full, more_divide=False)
    faulty = without_objects(full.seen, 0.05, 0)
    yield True, replace(full, name=f"{full.name}, 5 % missed", seen=faulty)


Place = tuple[int, int]


def marked(
    truth: Labels, divisions: Iterable[tuple[int, Place, Place, Place]]
) -> tuple[Labels, dict[int, int]]:
    """Let cells end where a person saw them divide; return their daughters' mothers."""
    out, parents, n = truth.copy(), dict[int, int](), int(truth.max())
    for t, place, *places in divisions:
        mother = _nearest(out[t - 1], place)
        for daughter in [_nearest(out[t], each) for each in places]:
            number = daughter
            if (out[:t] == daughter).any():  # the mother goes on as this one
                n += 1
                number = n
                out[t:][out[t:] == daughter] = number
            parents[number] = mother
    return out, parents


def _nearest(labels: NDArray[Any], place: Place) -> int:
    """Return the label of the object whose centroid is nearest to a place."""
    objects, numbers = Objects.of(labels)
    return int(numbers[np.argmin(np.hypot(*(objects.position - place).T))])


def _adherent() -> Iterator[tuple[bool, Scenario]]:
    """Yield cells found in phase contrast, linked by their nuclei in fluorescence."""
    import tifffile

    folder = DATA / "incucyte"
    images = [tifffile.imread(path) for path in sorted(folder.glob("*_P_*.tif"))]
    nuclei = [tifffile.imread(path) for path in sorted(folder.glob("*_R_*.tif"))]
    centres = [nucleus_centres(image) for image in nuclei]
    position = [points.astype(np.float64) for points in centres]
    seen = Seen(
        position,
        [np.ones(len(points), np.int64) for points in centres],
        [np.arange(1, len(points) + 1) for points in centres],
    )
    found = segmented(images)
    number = _chains(seen, [], 13.0)
    truth = np.zeros(found.shape, np.uint16)
    for t, (labels, points) in enumerate(zip(found, centres, strict=True)):
        at = labels[points[:, 0], points[:, 1]]
        n_nuclei = np.bincount(at, minlength=int(labels.max()) + 1)
        lookup = np.zeros(n_nuclei.size, np.uint16)
        for i, label in enumerate(at.tolist()):
            if label and n_nuclei[label] == 1:
                lookup[label] = number[t].get(i + 1, 0)
        truth[t] = lookup[labels]
    made = Scenario("incucyte, instances", truth, found, all_known=False, images=images)
    yield False, made
    yield False, _every_third(made)


def _agreed(seen: Labels, objects: Seen, also: Sequence[list[Ids]]) -> Labels:
    """Return labels of chains of links that all agree on."""
    truth = np.zeros_like(seen)
    for t, numbers in enumerate(_chains(objects, also, 0.75 * objects.diameter)):
        lookup = np.zeros(int(seen[t].max()) + 1, np.uint16)
        lookup[list(numbers)] = list(numbers.values())
        truth[t] = lookup[seen[t]]
    return truth


def _chains(objects: Seen, also: Sequence[list[Ids]], reach: float) -> list[Ids]:
    """Give one number to the objects that all other trackers link."""
    opinions = list(also)
    for run in installed().values():
        opinions += [run(objects, reach, False).ids]
    chains: list[Ids] = []
    n = 0
    for t, labels in enumerate(objects.labels):
        now: Ids = {}
        for label in labels.tolist():
            key = [ids[t].get(label, 0) for ids in opinions]
            past = [
                other
                for other in (objects.labels[t - 1].tolist() if t else [])
                if [ids[t - 1].get(other, 0) for ids in opinions] == key
            ]
            n += not past
            now[label] = chains[t - 1][past[0]] if past else n
        chains.append(now)
    return chains
