"""Any images of a movie, some of them damaged: no pixel ever appears in another's place."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file

Place = tuple[int, int, int]
FOVS, CHANNELS = ("A1", "B2", "B10"), ("DAPI", "GFP")

NAMINGS: tuple[Callable[[int, int, int], str], ...] = (
    lambda p, c, n: f"{FOVS[p]}_{CHANNELS[c]}_t{n:03d}.tif",
    lambda p, c, n: f"{CHANNELS[c]}/{FOVS[p]}/frame{n}.TIF",
    lambda p, c, n: f"x_{FOVS[p]}s1w{c + 1}t{n}.tif",
    lambda p, c, n: f"exp_xy{p + 1}c{c + 1}t{n:04d}.tif",
    lambda p, c, n: f"Pos{p}/img_{n:09d}_{CHANNELS[c]}_000.tif",
)

places = st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 40))


def pixels(place: Place) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    p, c, n = place
    return np.full((4, 5), 1000 * p + 100 * c + n, np.uint16)


def damage(path: Path, how: str, place: Place) -> None:
    plane = pixels(place)
    if how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    elif how == "pages":
        tifffile.imwrite(path, np.stack([plane, plane + 1]), photometric="minisblack")
    elif how == "type":
        tifffile.imwrite(path, plane.astype(np.float32))
    else:
        tifffile.imwrite(path, plane[1:])


STATES = [*["whole"] * 30, "empty", "cut", "pages", "type", "size"]


@settings(max_examples=60, deadline=None)
@given(
    images=st.dictionaries(places, st.sampled_from(STATES), min_size=1, max_size=40),
    first=st.integers(0, 30),
    step=st.sampled_from([1, 1, 1, 5]),
    naming=st.sampled_from(NAMINGS),
    numbering=st.sampled_from(["auto", "auto", "order", 1]),
)
@pytest.mark.filterwarnings("ignore")
def test_each_plane_is_the_image_that_names_it_or_missing(
    images: dict[Place, str],
    first: int,
    step: int,
    naming: Callable[[int, int, int], str],
    numbering: str | int,
) -> None:
    images = {(p, c, first + step * n): state for (p, c, n), state in images.items()}
    with tempfile.TemporaryDirectory() as folder:
        for place, state in images.items():
            path = Path(folder, naming(*place))
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, pixels(place))
            if state != "whole":
                damage(path, state, place)
        check(Path(folder), images, numbering)


def decides(images: dict[Place, str], axis: int, index: int) -> bool:
    """Tell whether most images of a position or channel, even of three of them, are whole."""
    states = [state for place, state in images.items() if place[axis] == index]
    return states.count("whole") >= max(3, len(states) - 1)


def check(folder: Path, images: dict[Place, str], numbering: str | int) -> None:
    there = images.keys()
    whole = {place for place, state in images.items() if state == "whole"}
    try:
        source, about = load_microscopy_file(folder, numbering=numbering)
    except InputError as error:
        # Nothing to be had of it, or names that say too little of what they are.
        assert not whole or "no FOV has" in str(error) or "--pattern" in str(error)  # noqa: PT017
        return
    numbers = sorted({n for _, _, n in there})
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    each = 1 if numbering == 1 else math.gcd(*steps) or 1
    frames = numbers if numbering == "order" else range(numbers[0], numbers[-1] + 1, each)
    fovs = sorted({p for p, _, _ in there})
    channels = sorted({c for _, c, _ in there})
    with source:
        assert (about.n_fovs, about.n_channels) == (len(fovs), len(channels))
        for (i, p), (j, c) in itertools.product(enumerate(fovs), enumerate(channels)):
            length = about.fov_shapes[i][0]
            known = decides(images, 0, p) and decides(images, 1, c)
            for t, number in enumerate(frames[:length]):
                try:
                    frame = source.read_frame(i, j, t)
                except MissingFrameError:
                    assert (p, c, number) not in whole or not known
                    continue
                assert (p, c, number) in (whole if known else there)
                np.testing.assert_array_equal(frame[0], pixels((p, c, number))[0])
            # Left out at the end is at most one frame, and that is not whole.
            rest = [n for n in frames[length:] if any((p, k, n) in there for k in channels)]
            assert len(rest) <= 1
