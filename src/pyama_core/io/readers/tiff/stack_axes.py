"""What the dimensions of a stack of planes are: as its file says, or as the user does.

A stack is a row of planes (Y, X). A file may say which dimensions the row is made of, slowest
first, and how long each is. It may say nothing, or something wrong; then the user says it, by one
letter for each dimension that the file has (``axes``), or by letters and sizes (``sizes``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyama_core.errors import InputError

AXES = "PTCZYX"

_ROW = "PTCZ"
_EXAMPLES = {3: "TYX", 4: "TCYX", 5: "PTCYX"}
_SHOWN = 3


@dataclass(frozen=True)
class ToldDimensions:
    """What a file says of a row of planes.

    Attributes
    ----------
    axes : str
        One letter for each dimension but Y and X, slowest first; other letters than P, T, C and Z
        stand for what it does not say, S for the samples of a pixel.
    sizes : tuple of int
        How long each is.
    frame_size : (int, int)
        (Y, X) of every plane.
    samples_last : bool
        Whether the samples of a pixel lie together, so that their dimension is behind Y and X.
    colour : bool
        Whether the file says that the samples are colours.
    """

    axes: str
    sizes: tuple[int, ...]
    frame_size: tuple[int, int]
    samples_last: bool = False
    colour: bool = False

    @property
    def n_planes(self) -> int:
        """Length of the row."""
        return math.prod(self.sizes)

    @property
    def has_samples(self) -> bool:
        """Whether the file takes a dimension for the samples of a pixel."""
        return any(axis == "S" and size > 1 for axis, size in self.pairs())

    def pairs(self) -> Iterator[tuple[str, int]]:
        """Yield letter and size of each dimension."""
        return zip(self.axes, self.sizes, strict=True)

    def in_words(self) -> str:
        """Describe the shape as the file has it, dimensions of size 1 left out."""
        n_before = len(self.sizes) - self.samples_last
        before, behind = self.sizes[:n_before], self.sizes[n_before:]
        sizes = (*(size for size in before if size > 1), *self.frame_size, *behind)
        return " × ".join(map(str, sizes))


@dataclass(frozen=True)
class StackLayout:
    """Order of the planes of a stack.

    Attributes
    ----------
    axes : str
        Dimensions without YX, slowest first.
    sizes : tuple of int
        Their sizes.
    """

    axes: str
    sizes: tuple[int, ...]

    def size(self, axis: str) -> int:
        """Return the size along one of P, T, C and Z."""
        return self.sizes[self.axes.index(axis)] if axis in self.axes else 1

    def arrange(self, planes: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Turn one value per plane into (P, T, C, Z)."""
        missing = "".join(axis for axis in _ROW if axis not in self.axes)
        planes = planes.reshape((1,) * len(missing) + self.sizes)
        return planes.transpose([(missing + self.axes).index(axis) for axis in _ROW])

    def plane(self, **at: int) -> int:
        """Return the position in the stack of the plane at P, T, C, Z."""
        index = 0
        for axis, size in zip(self.axes, self.sizes, strict=True):
            index = index * size + at[axis]
        return index


def lay_out(
    path: Path, told: ToldDimensions, asked: str | None, sizes: Sequence[int] | None = None
) -> StackLayout:
    """Decide what each dimension of a stack is: what was asked for, else what the file says.

    Parameters
    ----------
    path : Path
        The file, for errors.
    told : ToldDimensions
        What it says.
    asked : str or None
        A letter for each dimension, ending in YX; where samples lie last, theirs may too.
    sizes : sequence of int or None
        Sizes of the dimensions of `asked` but Y and X, or with these.

    Raises
    ------
    InputError
        If the file does not say enough, or what was asked for does not fit it.

    Examples
    --------
    >>> told = ToldDimensions("I", (6,), (64, 64))
    >>> lay_out(Path("a.tif"), told, "TCYX", (3, 2)).plane(T=1, C=1)
    3
    """
    if asked is None:
        return _as_told(path, told)
    letters = _letters(path, told, asked)
    if sizes is not None:
        return StackLayout(letters, _fitting(path, told, letters, tuple(sizes)))
    pairs = [(axis, size) for axis, size in told.pairs() if axis in _ROW or size > 1]
    if len(letters) != len(pairs):
        pairs = [(axis, size) for axis, size in pairs if size > 1]
    if len(letters) != len(pairs):
        raise InputError(
            f"axes={asked!r} does not fit {path}, which has the shape {told.in_words()}; "
            + _advice(told, letters)
        )
    return StackLayout(letters, tuple(size for _, size in pairs))


def _as_told(path: Path, told: ToldDimensions) -> StackLayout:
    kept = [(axis, size) for axis, size in told.pairs() if axis in _ROW or size > 1]
    axes = "".join(axis for axis, _ in kept)
    if told.has_samples:
        raise InputError(f"{path} {samples_in_words(told)}")
    if not _is_order(axes + "YX"):
        example = _example(len(kept))
        raise InputError(
            f"{path} has the shape {told.in_words()} and does not say what its dimensions are; "
            f'say it, for instance axes="{example}" (command line: --axes {example}'
            f"{factors_in_words(told.n_planes) if len(kept) == 1 else ''})."
        )
    return StackLayout(axes, tuple(size for _, size in kept))


def samples_in_words(told: ToldDimensions) -> str:
    """Say of a file, whose name comes before, that its pixels have several values."""
    n_samples = next(size for axis, size in told.pairs() if axis == "S")
    others = sum(size > 1 for axis, size in told.pairs() if axis != "S")
    lead = ("", "T", "PT")[min(others, 2)]
    choice = " or ".join(
        f"--axes {lead}{letter}YX" if not told.samples_last else f"--axes {lead}YX{letter}"
        for letter in "TCZ"
        if letter not in lead
    )
    what = "is a colour (RGB) image" if told.colour else "has several values per pixel"
    return (
        f"{what}, of shape {told.in_words()}; expected one value per pixel and channel. Export the "
        f"channels separately, or, if its {n_samples} samples are frames, channels or z planes, "
        f"say so: {choice}."
    )


def _letters(path: Path, told: ToldDimensions, asked: str) -> str:
    """Return the letters that were asked for in the order of the planes, without YX."""
    order = asked
    if told.samples_last and asked[-3:-1] == "YX":
        order = asked[:-3] + asked[-1:] + "YX"
    if not _is_order(order):
        raise InputError(
            f"axes={asked!r} does not fit {path}, which has the shape {told.in_words()}; expected "
            f"one letter of {AXES} for each dimension, ending in YX, such as "
            f"{_example(len(told.sizes))}."
        )
    return order[:-2]


def _fitting(
    path: Path, told: ToldDimensions, letters: str, sizes: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the sizes without those of Y and X, if they multiply to the planes that there are."""
    text = ",".join(map(str, sizes))
    if len(sizes) == len(letters) + 2 and sizes[-2:] == told.frame_size:
        sizes = sizes[:-2]
    if len(sizes) != len(letters):
        raise InputError(
            f"sizes {text} do not fit axes {letters}YX of {path}: expected {len(letters)}, for "
            f"{' and '.join(letters) or 'no axis'} of frames of {told.frame_size[0]} × "
            f"{told.frame_size[1]} pixels, found {len(sizes)}."
        )
    announced = math.prod(sizes)
    if announced != told.n_planes:
        raise InputError(
            f"sizes {text} do not fit {path}: {' × '.join(letters)} = "
            f"{' × '.join(map(str, sizes))} = {announced} planes, but it has {told.n_planes}; "
            + _what_would_fit(letters, sizes, told.n_planes)
        )
    return sizes


def _what_would_fit(letters: str, sizes: tuple[int, ...], n_planes: int) -> str:
    """Name sizes that multiply to a number of planes: one of those asked for changed, or any."""
    near = []
    for place, size in enumerate(sizes):
        rest = math.prod(sizes) // size
        if n_planes % rest == 0:
            near.append((*sizes[:place], n_planes // rest, *sizes[place + 1 :]))
    found = near or list(_factors(n_planes, len(letters)))
    if not found:
        return f"no {len(letters)} sizes above 1 multiply to {n_planes}; is a plane missing?"
    shown = " or ".join(",".join(map(str, few)) for few in found[:_SHOWN])
    return f"{'×'.join(letters)} could be {shown}."


def _factors(n_planes: int, count: int) -> Iterator[tuple[int, ...]]:
    """Yield ways to write a number as a product of some, above 1, with small ones last."""
    if count == 1:
        yield (n_planes,)
        return
    for last in range(2, min(n_planes // 2, 100) + 1):
        if n_planes % last == 0:
            for first in _factors(n_planes // last, count - 1):
                yield (*first, last)


def _advice(told: ToldDimensions, letters: str) -> str:
    """Say how axes that are more or fewer than the dimensions of the file can be made to fit."""
    several = sum(size > 1 for size in told.sizes)
    if not letters or (several > 1 and len(letters) > 1 and len(letters) < several):
        return f"expected one letter of {AXES} for each dimension, such as {_example(several)}."
    found = next(_factors(told.n_planes, len(letters)), None)
    if found is None:
        return f"expected one letter of {AXES} for each dimension, such as {_example(several)}."
    return (
        f"say the sizes too, which multiply to its {told.n_planes} planes, such as "
        f"--axes {letters}YX --sizes {','.join(map(str, found))}."
    )


def _example(n_dimensions: int) -> str:
    return _EXAMPLES.get(n_dimensions + 2, AXES)


def factors_in_words(n_planes: int) -> str:
    """Show how to say the sizes of a row of planes of which nothing is said."""
    found = next(_factors(n_planes, 2), None)
    return "" if found is None else f", or --axes TCYX --sizes {','.join(map(str, found))}"


def _is_order(axes: str) -> bool:
    return set(axes) <= set(AXES) and len(set(axes)) == len(axes) and axes[-2:] == "YX"
