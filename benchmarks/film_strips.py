"""Film strips of hard moments, tracked in two ways: `python -m benchmarks.film_strips`.

Of real movies whose true links are known, moments in which one of two trackings is wrong: above
each as it was, below as it is. What there was before is the tracking by overlap, or another version
of ours, whose label images were kept by `--save` and are read by `--before`.
"""

from __future__ import annotations

import argparse
import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.link_metrics import Asked, Ids, ids_of_objects
from benchmarks.real_movies import DATA, real_movies
from benchmarks.tracking_scenarios import Scenario
from pyama_core.processing.tracking.iou.tracker import IoUTracker
from pyama_core.processing.tracking.lineage.tracker import LineageTracker
from pyama_core.processing.tracking.tracker import Tracker

logger = logging.getLogger("benchmarks.film_strips")
MOVIES = {"t98g": ("t98g, instances", "t98g/raw/*.tif"),
          "incucyte": ("incucyte, instances", "incucyte/*_P_*.tif")}  # fmt: skip
"""Of each picture the movie, and its images."""
SHOWN = {"healed": 4, "still broken": 1, "newly broken": 1}
_SIDE, _TILE, _FRAMES = 110, 132, 4

Image = NDArray[np.uint8]


@dataclass(frozen=True, order=True)
class Moment:
    """A link of a true cell that was looked for: its size, where and when it is, and the cell."""

    area: int
    frame: int
    place: tuple[int, int]
    cell: int


def labels_of(scenario: Scenario, tracker: Tracker) -> NDArray[Any]:
    """Return the label images of a movie."""
    return np.stack(scenario.show_to(tracker))


def moments(
    scenario: Scenario, before: NDArray[Any], after: NDArray[Any]
) -> dict[str, list[Moment]]:
    """Return the links that only one of two trackings found, or none, large cells first."""
    asked = Asked.about(scenario.truth, scenario.seen, scenario.parents, scenario.all_known)
    ids = [ids_of_objects(scenario.seen, labels) for labels in (before, after)]
    found: dict[str, list[Moment]] = {kind: [] for kind in SHOWN}
    for cell, nodes in asked.nodes.items():
        for (t, label), (u, other) in itertools.pairwise(nodes):
            was, is_now = (_kept(numbers, (t, label), (u, other)) for numbers in ids)
            if was and is_now:
                continue
            kind = "healed" if is_now else "newly broken" if was else "still broken"
            mask = scenario.seen[u] == other
            y, x = np.argwhere(mask).mean(axis=0).round().astype(int).tolist()
            found[kind].append(Moment(int(mask.sum()), t, (y, x), cell))
    return {kind: _of_different_cells(each, SHOWN[kind]) for kind, each in found.items()}


def _kept(ids: Sequence[Ids], first: tuple[int, int], second: tuple[int, int]) -> bool:
    (t, label), (u, other) = first, second
    return ids[t].get(label, 0) == ids[u].get(other, 0) != 0


def _of_different_cells(found: list[Moment], n: int) -> list[Moment]:
    cells: dict[int, Moment] = {}
    for moment in sorted(found, reverse=True):
        cells.setdefault(moment.cell, moment)
    return list(cells.values())[:n]


def strip(images: Sequence[NDArray[Any]], labels: NDArray[Any], moment: Moment) -> Image:
    """Return four frames around a moment, with the outlines of cells in colours of their own."""
    first = min(max(moment.frame - 1, 0), len(images) - _FRAMES)
    height, width = images[0].shape
    top = min(max(moment.place[0] - _SIDE // 2, 0), height - _SIDE)
    left = min(max(moment.place[1] - _SIDE // 2, 0), width - _SIDE)
    window = np.s_[top : top + _SIDE, left : left + _SIDE]
    low, high = np.percentile(images[moment.frame], (0.3, 99.7))
    tiles = []
    for t in range(first, first + _FRAMES):
        grey = np.clip((images[t][window] - low) / (high - low) * 255, 0, 255).astype(np.uint8)
        grey = cv2.resize(grey, (_TILE, _TILE), interpolation=cv2.INTER_AREA)
        large = cv2.resize(
            labels[t][window].astype(np.int32), (_TILE, _TILE), interpolation=cv2.INTER_NEAREST
        )
        colour = np.dstack([grey] * 3)
        for cell in np.unique(large[large > 0]).tolist():
            mask = (large == cell).astype(np.uint8)
            edge = (mask > 0) & (cv2.erode(mask, np.ones((3, 3), np.uint8)) == 0)
            colour[edge] = _colour(cell)
        tiles.append(np.pad(colour, ((0, 2), (0, 2), (0, 0)), constant_values=255))
    return np.asarray(np.hstack(tiles), np.uint8)


def _colour(cell: int) -> tuple[int, int, int]:
    hue = np.uint8([[[cell * 67 % 180, 255, 255]]])  # neighbours in number differ in hue
    return tuple(int(value) for value in cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0])


def picture(
    images: Sequence[NDArray[Any]],
    before: NDArray[Any],
    after: NDArray[Any],
    found: dict[str, list[Moment]],
) -> Image:
    """Return all moments in two columns, each above as it was and below as it is."""
    panels = []
    for kind, each in found.items():
        for moment in each:
            rows = [strip(images, labels, moment) for labels in (before, after)]
            head = np.full((18, rows[0].shape[1], 3), 255, np.uint8)
            words = f"{kind}: frames {moment.frame} and on"
            cv2.putText(head, words, (2, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1,
                        cv2.LINE_AA)  # fmt: skip
            panels.append(np.pad(np.vstack([head, *rows]), ((0, 8), (0, 10), (0, 0)),
                                 constant_values=255))  # fmt: skip
    if len(panels) % 2:
        panels.append(np.full_like(panels[0], 255))
    return np.vstack([np.hstack(panels[i : i + 2]) for i in range(0, len(panels), 2)])


def _films() -> Iterator[tuple[str, Scenario, list[NDArray[Any]]]]:
    import tifffile

    scenarios = {movie.name: movie for _, movie in real_movies()}
    for name, (title, pattern) in MOVIES.items():
        if title in scenarios:
            yield name, scenarios[title], [tifffile.imread(p) for p in sorted(DATA.glob(pattern))]


def main() -> None:
    """Track, choose moments, write the pictures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.film_strips", description=__doc__)
    docs = Path(__file__).resolve().parents[1] / "docs"
    parser.add_argument("--output", type=Path, default=docs, metavar="DIR")
    parser.add_argument("--save", type=Path, metavar="DIR", help="keep label images there")
    parser.add_argument("--before", type=Path, metavar="DIR", help="label images to compare with")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name, scenario, images in _films():
        after = labels_of(scenario, LineageTracker())
        if arguments.save:
            np.save(arguments.save / f"{name}.npy", after)
            continue
        if arguments.before:
            before = np.load(arguments.before / f"{name}.npy", allow_pickle=False)
        else:
            before = labels_of(scenario, IoUTracker())
        path = arguments.output / f"tracking_{name}.png"
        found = moments(scenario, before, after)
        cv2.imwrite(str(path), _few_colours(picture(images, before, after, found)),
                    [cv2.IMWRITE_PNG_COMPRESSION, 9])  # fmt: skip
        logger.info("wrote %s: %s", path, {kind: len(each) for kind, each in found.items()})


def _few_colours(image: Image) -> Image:
    """Return an image whose grey levels are fewer, which makes its file much smaller."""
    return np.where(image == 255, image, image & 0xF0).astype(np.uint8)


if __name__ == "__main__":
    main()
