"""Takes small pictures of a field of view: a few frames are read, each once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.tracking.fates import Track
from pyama_core.processing.workflow.glimpses.glimpse import Glimpse
from pyama_core.processing.workflow.glimpses.grey import Limits, encode, smaller, smaller_labels
from pyama_core.processing.workflow.glimpses.squares import Squares

_MOST_FRAMES = 24
STRIP_FRAMES = 10
"""In which a cell is shown, at most."""
_SMALLEST, _LARGEST = 24, 256
_ROOM = 1.8  # side of a square, relative to the diameter of the typical cell
_EVERY = 4  # pixel that is looked at for the background, in each direction
_DARKEST, _BRIGHTEST = 0.2, 99.8
_SHOWN_LIFE = 0.25  # of the movie, that a cell must be seen to be one of those that are sampled

ReadFrame = Callable[[int], NDArray[Any]]
Centres = Mapping[int, tuple[float, float]]
"""Row and column of each cell in a frame."""


@dataclass(frozen=True)
class Layer:
    """A channel to look at.

    Attributes
    ----------
    channel : int
        Its number.
    read : callable
        Reads a frame, (Y, X).
    is_phase : bool
        Whether it is phase contrast, so that its brightness is that of the lamp.
    shows_cells : bool
        Whether cells are found in it, so that its focus matters.
    """

    channel: int
    read: ReadFrame
    is_phase: bool
    shows_cells: bool


def choose_frames(n_frames: int, missing: Iterable[int] = ()) -> tuple[int, ...]:
    """Return some frames, spread over those that have an image.

    Examples
    --------
    >>> choose_frames(5, {1})
    (0, 2, 3, 4)
    """
    there = sorted(set(range(n_frames)).difference(missing))
    if not there:
        return ()
    places = np.linspace(0, len(there) - 1, min(_MOST_FRAMES, len(there))).round().astype(int)
    return tuple(there[place] for place in np.unique(places).tolist())


def sample_cells(fov: int, tracks: Sequence[tuple[int, int]], n_frames: int, n: int) -> list[int]:
    """Return some cells, by lot, which falls the same way each time.

    A smaller number gives a part of what a larger one gives.

    Parameters
    ----------
    fov : int
        Field of view.
    tracks : sequence of (cell, number of frames)
        All cells, and in how many frames they were seen; those seen in a quarter of the movie are
        preferred.
    n_frames : int
        Of the movie.
    n : int
        How many are wanted.
    """
    lots = draw_lots(fov, [cell for cell, _ in tracks])
    ordered = sorted(
        (seen < _SHOWN_LIFE * n_frames, lot, cell)
        for lot, (cell, seen) in zip(lots, tracks, strict=True)
    )
    return [cell for *_, cell in ordered[:n]]


def draw_lots(fov: int, cells: Sequence[int]) -> list[int]:
    """Draw a number for each cell, as splitmix does."""
    mixed = (np.uint64(fov + 1) << np.uint64(32)) + np.array(cells, np.uint64)
    with np.errstate(over="ignore"):
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    lots: list[int] = (mixed ^ (mixed >> np.uint64(31))).tolist()
    return lots


def take_glimpse(
    fov: int,
    layers: Sequence[Layer],
    read_labels: ReadFrame | None,
    tracks: Sequence[Track],
    shape: tuple[int, int, int],
    missing: frozenset[int],
    n_cells: int,
    inputs: Mapping[str, str],
    stopped: Callable[[], bool] = lambda: False,
) -> Glimpse | None:
    """Take a glimpse of a field of view.

    Parameters
    ----------
    fov : int
        Field of view.
    layers : sequence of Layer
        Channels.
    read_labels : callable, optional
        Reads a frame of the label images, if there are any.
    tracks : sequence of Track
        All cells.
    shape : (T, Y, X)
        Of the stacks.
    missing : frozenset of int
        Frames that hold no image.
    n_cells : int
        Of how many cells there are strips, at most.
    inputs : mapping of str to str
        As `Glimpse` has them.
    stopped : callable
        Asked before every frame whether to give up, which returns None.
    """
    frames = choose_frames(shape[0], missing)
    pictured = tuple(dict.fromkeys(frames[i] for i in (0, len(frames) // 2, -1))) if frames else ()
    found = _Found({}, [], {})
    if read_labels is not None:
        for t in frames:
            if stopped():
                return None
            found.add(t, read_labels(t), keep=t in pictured)
    side = _side(found.widths)
    shown = _shown(sample_cells(fov, _seen(tracks), shape[0], n_cells), frames, found.centres)
    squares = Squares(side, shown, found.centres, len(layers))
    looks = [_Look(layer, len(frames)) for layer in layers]
    for i, t in enumerate(frames):
        if stopped():
            return None
        of_frame = None if read_labels is None else read_labels(t)
        squares.add_labels(t, of_frame)
        for row, look in enumerate(looks):
            squares.add(row, t, look.take(i, t, of_frame, keep=t in pictured))
    measured = (len(looks), len(frames))
    return Glimpse(
        inputs=inputs,
        shape=shape,
        frames=frames,
        channels=tuple(layer.channel for layer in layers),
        cells_in=next((layer.channel for layer in layers if layer.shows_cells), None),
        background=np.array([look.background for look in looks]).reshape(measured),
        sharpness=np.array([look.sharpness for look in looks]).reshape(measured),
        pictured=pictured,
        pictures={
            (look.layer.channel, t): encode(image, look.limits())
            for look in looks
            for t, image in look.kept.items()
        },
        labels=found.pictures,
        side=side,
        strips=tuple(squares.strips([look.limits() for look in looks])),
    )


def _seen(tracks: Sequence[Track]) -> list[tuple[int, int]]:
    return [(track.cell, track.n_frames) for track in tracks]


def _shown(
    cells: Sequence[int], frames: Sequence[int], centres: Mapping[int, Centres]
) -> dict[int, tuple[int, ...]]:
    """Return in which frames some cells are shown, those that are in none left out."""
    seen = {cell: _spread([t for t in frames if cell in centres.get(t, ())]) for cell in cells}
    return {cell: times for cell, times in seen.items() if times}


@dataclass(frozen=True)
class _Found:
    """What label images tell.

    Attributes
    ----------
    centres : dict of int to Centres
        Where cells are, by frame.
    widths : list of float
        How wide the boxes around them are.
    pictures : dict of int to (Y, X) array
        Smaller forms of some, by frame.
    """

    centres: dict[int, Centres]
    widths: list[float]
    pictures: dict[int, NDArray[Any]]

    def add(self, t: int, labels: NDArray[Any], *, keep: bool) -> None:
        """Look at a frame."""
        from scipy.ndimage import find_objects

        centres = {}
        for number, box in enumerate(find_objects(labels), 1):
            if box is not None:
                rows, columns = box
                centres[number] = (rows.start + rows.stop) / 2, (columns.start + columns.stop) / 2
                area = (rows.stop - rows.start) * (columns.stop - columns.start)
                self.widths.append(math.sqrt(area))
        self.centres[t] = centres
        if keep:
            self.pictures[t] = smaller_labels(labels)


def _side(widths: Sequence[float]) -> int:
    usual = float(np.median(widths)) if widths else float(_SMALLEST)
    return int(np.clip(round(_ROOM * usual), _SMALLEST, _LARGEST))


def _spread(frames: Sequence[int]) -> tuple[int, ...]:
    places = np.linspace(0, len(frames) - 1, min(STRIP_FRAMES, len(frames))).round().astype(int)
    return tuple(frames[place] for place in np.unique(places).tolist())


class _Look:
    """What is seen of one channel."""

    def __init__(self, layer: Layer, n_frames: int) -> None:
        self.layer = layer
        self.background = np.full(n_frames, np.nan)
        self.sharpness = np.full(n_frames, np.nan)
        self.kept: dict[int, NDArray[np.float32]] = {}
        self._low: list[float] = []
        self._high: list[float] = []

    def take(
        self, i: int, t: int, labels: NDArray[Any] | None, *, keep: bool
    ) -> NDArray[np.float32]:
        """Read a frame, measure it, and keep a smaller form of it."""
        image = self.layer.read(t).astype(np.float32)
        image[~np.isfinite(image)] = 0
        few = image[::_EVERY, ::_EVERY]
        outside = few if labels is None else few[labels[::_EVERY, ::_EVERY] == 0]
        if outside.size:
            self.background[i] = np.median(outside)
        if self.layer.shows_cells:
            self.sharpness[i] = _sharpness(image, is_phase=self.layer.is_phase)
        low, high = np.percentile(few, (_DARKEST if self.layer.is_phase else 40.0, _BRIGHTEST))
        self._low.append(float(low))
        self._high.append(float(high))
        if keep:
            self.kept[t] = smaller(image)
        return image

    def limits(self) -> Limits:
        """Return what is shown black and white, the same in all frames."""
        if not self._low:
            return 0.0, 1.0
        low, high = min(self._low), max(self._high)
        return low, high if high > low else low + 1.0


def _sharpness(image: NDArray[np.float32], *, is_phase: bool) -> float:
    """Return the variance of the Laplacian of an image of half the size, which has less noise.

    It is relative to the square of the mean, so that a lamp that flickers changes nothing, or,
    where cells shine, to the variance of the image.
    """
    import cv2

    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    edges = float(cv2.Laplacian(half, cv2.CV_32F).var(dtype=np.float64))
    scale = float(half.mean(dtype=np.float64)) ** 2
    if not is_phase:
        scale = float(half.var(dtype=np.float64))
    return edges / scale if scale > 0 else math.nan
