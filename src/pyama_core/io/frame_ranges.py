"""Numbers of frames as text for people: ``0-3,7``."""

from __future__ import annotations

import itertools
from collections.abc import Iterable


def format_ranges(frames: Iterable[int]) -> str:
    """Write numbers of frames as ranges.

    Examples
    --------
    >>> format_ranges([7, 0, 1, 2, 3]), format_ranges([])
    ('0-3,7', '')
    """
    parts = []
    numbered = enumerate(sorted(set(frames)))
    # Within a run of consecutive numbers the distance to their count stays the same.
    for _, run in itertools.groupby(numbered, key=lambda pair: pair[1] - pair[0]):
        first, *others = (number for _, number in run)
        parts.append(f"{first}-{others[-1]}" if others else str(first))
    return ",".join(parts)


def parse_ranges(text: str, n_frames: int) -> frozenset[int]:
    """Read what `format_ranges` wrote.

    Raises
    ------
    ValueError
        It is no list of ranges within `n_frames`.

    Examples
    --------
    >>> sorted(parse_ranges("0-2,7", n_frames=10))
    [0, 1, 2, 7]
    """
    frames: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        start, stop = int(first), int(last or first) + 1
        if not 0 <= start < stop <= n_frames:
            raise ValueError(f"{part!r} is no range of {n_frames} frames")
        frames.update(range(start, stop))
    return frozenset(frames)
