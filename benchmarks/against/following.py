"""Ways to follow the cells of a movie, of which all get the same objects.

The other programs get centroids and areas that are already measured. This package gets label
images, measures its objects itself, and paints those that it returns: that counts, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes import Scene

Call = Callable[[], str]

_STEP = 3


def _frames(size: Mapping[str, int]) -> list[NDArray[Any]]:
    """Return label images of cells that drift, each of which is missed in a frame of twenty."""
    side, n_frames = size["side"], size["frames"]
    whole = side + _STEP * n_frames  # cells leave on one side, and others come on the other
    labels = Scene(whole, round(size["cells"] * (whole / side) ** 2)).labels
    rng = np.random.default_rng(0)
    frames = []
    for t in range(n_frames):
        seen = rng.random(int(labels.max()) + 1) > 0.05
        seen[0] = False
        place = slice(_STEP * t, _STEP * t + side)
        cut = labels[place, place]
        frames.append(np.where(seen[cut], cut, 0))
    return frames


def _ours(size: Mapping[str, int], name: str) -> Call:
    from pyama_core.processing.tracking.tracker import LookAheadTracker, find_tracking

    frames, method = _frames(size), find_tracking(name)

    def call() -> str:
        tracker = method.create(method.parameters(), np.uint16)
        if isinstance(tracker, LookAheadTracker):
            for frame in frames:
                tracker.preview(frame)
        for frame in frames:
            tracker.update(frame)
        return f"{tracker.n_cells} tracks"

    return call


def lineage(size: Mapping[str, int]) -> Call:
    """Use the default method of this package."""
    return _ours(size, "lineage")


def iou(size: Mapping[str, int]) -> Call:
    """Use the plain method of this package."""
    return _ours(size, "iou")


def _others(size: Mapping[str, int], name: str) -> Call:
    from benchmarks.other_trackers import OTHERS, Seen

    seen = Seen.of(_frames(size))

    def call() -> str:
        ids = OTHERS[name](seen, seen.diameter, True).ids
        return f"{len({k for frame in ids for k in frame.values()})} tracks"

    return call


def laptrack(size: Mapping[str, int]) -> Call:
    """Use laptrack, with gaps and divisions."""
    return _others(size, "laptrack")


def trackpy(size: Mapping[str, int]) -> Call:
    """Use trackpy, with gaps."""
    return _others(size, "trackpy")


def btrack(size: Mapping[str, int]) -> Call:
    """Use btrack: its Bayesian linking, without the global optimisation that can come after it."""
    import btrack as program
    from btrack import btypes
    from scipy import ndimage

    objects, areas = [], []
    for t, frame in enumerate(_frames(size)):
        labels = np.unique(frame)[1:]
        areas += np.bincount(frame.ravel())[labels].tolist()
        for y, x in ndimage.center_of_mass(np.ones_like(frame), frame, labels):
            place = {"ID": len(objects), "t": t, "x": x, "y": y, "z": 0.0}
            objects.append(btypes.PyTrackObject.from_dict(place))
    diameter = float(2 * np.sqrt(np.median(areas) / np.pi))

    def call() -> str:
        with program.BayesianTracker(verbose=False) as tracker:
            tracker.configure(program.config.TrackerConfig(motion_model=_steady_motion()))
            tracker.max_search_radius = diameter
            tracker.append(objects)
            tracker.volume = ((0, size["side"]), (0, size["side"]), (-1, 1))
            tracker.track(step_size=100)
            return f"{tracker.n_tracks} tracks"

    return call


def _steady_motion() -> Any:
    """Return a model of cells that go on as before, as its manual has it."""
    from btrack.models import MotionModel

    step = np.eye(6)
    step[:3, 3:] = np.eye(3)
    return MotionModel(
        name="steady",
        dt=1.0,
        measurements=3,
        states=6,
        A=step,
        H=np.eye(3, 6),
        P=np.diag([0.1, 0.1, 0.1, 1.0, 1.0, 1.0]) * 150,
        G=np.array([[0.5, 0.5, 0.5, 1.0, 1.0, 1.0]]) * 15,
        R=np.eye(3) * 5,
        accuracy=7.5,
        prob_not_assign=0.1,
        max_lost=2,
    )
