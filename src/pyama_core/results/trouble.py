"""How much a position needs a look, and why, in words: from numbers, without a picture.

Each function holds some measurement against what is usual and returns a `Finding`, or None where
nothing is worth a word. Usual is what the rest of the movie, or the other positions, are like, so
that no limit depends on the microscope. All are plain functions of arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyama_core.io.frame_ranges import format_ranges

LOOK = 0.5
"""A finding with this score or more asks for a look."""
TOLD = 0.25
"""A finding with less is not told."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
When = Callable[[int], str]
"""Tells a frame in words."""

_MAD = 1.4826  # of a normal distribution, its standard deviation over its MAD
_OUT_OF_LINE = 6.0
_LOST_PER_FRAME = 0.02
_FEWEST_LOST = 5
_WRONG_LINKS = 0.3
"""A share of cells with a wrong link that needs a look."""
UNSURE = 0.92
"""How sure a link must be that needs no look: of those below about one in seven is wrong."""
_COUNT_CHANGE = 0.3
_COUNT_LEAST = 4
_BACKGROUND_CHANGE = 0.2
_SHIFT_LEAST_PX = 10.0
_SHIFT_LOOK_PX = 30.0
_SHIFT_TIMES = 8.0
_BLURRED = 0.4
_ALIKE = 1.3
_HARDLY_ANY = 0.25
_FEWEST_USUAL = 8


@dataclass(frozen=True)
class Finding:
    """Something that is not as usual.

    Attributes
    ----------
    about : str
        What it is about, such as ``count``; the same for all findings of a kind.
    score : float
        How bad it is, from 0 to 1; from `LOOK` on, somebody should have a look.
    words : str
        For people.
    """

    about: str
    score: float
    words: str


@dataclass(frozen=True)
class Trouble:
    """All that was found about a position.

    Attributes
    ----------
    findings : tuple of Finding
        The worst first.
    """

    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, findings: Iterable[Finding | None]) -> Trouble:
        """Put findings in order; None stands for nothing found."""
        found = [finding for finding in findings if finding is not None]
        return cls(tuple(sorted(found, key=lambda finding: (-finding.score, finding.about))))

    @property
    def score(self) -> float:
        """How much it needs a look, from 0 to 1: several findings count more than each."""
        return 1.0 - math.prod(1.0 - min(finding.score, 1.0) for finding in self.findings)

    @property
    def needs_look(self) -> bool:
        """Whether any finding asks for a look; many small ones do not."""
        return any(finding.score >= LOOK for finding in self.findings)

    @property
    def words(self) -> str:
        """What was found, as far as it is worth a word; empty if nothing is."""
        return "; ".join(finding.words for finding in self.findings if finding.score >= TOLD)


def whole(number: float) -> str:
    """Write a number with three figures at least, without an exponent.

    Examples
    --------
    >>> whole(1234.5), whole(3.14159), whole(0.25)
    ('1234', '3.14', '0.25')
    """
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"


def _plural(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def spread_of(values: FloatArray) -> float:
    """Return how far values usually are from their median, as a standard deviation."""
    if values.size == 0:
        return 0.0
    return float(_MAD * np.median(np.abs(values - np.median(values))))


# Of the tracks


def find_lost(counts: IntArray, lost: IntArray) -> Finding | None:
    """Judge how many cells are lost from one frame to the next.

    Parameters
    ----------
    counts : (T,) int array
        Cells in each frame.
    lost : (T,) int array
        Cells that were seen last in it, though the movie goes on, and neither left, divided nor
        merged.

    Examples
    --------
    >>> find_lost(np.full(11, 20), np.array([0, 1, 2, 0, 1, 0, 1, 0, 1, 0, 0])).words
    '3 % of the cells are lost from one frame to the next'
    """
    return _rate("lost", counts[:-1], lost, "are lost from one frame to the next")


def find_born(counts: IntArray, born: IntArray) -> Finding | None:
    """Judge how many cells begin in the midst of a frame without a mother.

    Parameters
    ----------
    counts : (T,) int array
        Cells in each frame.
    born : (T,) int array
        Cells that were seen first in it, though the movie began before.
    """
    return _rate("born", counts[1:], born, "appear from nowhere in each frame")


def _rate(about: str, counts: IntArray, events: IntArray, what: str) -> Finding | None:
    n_seen, n_events = int(counts.sum()), int(events.sum())
    if n_seen == 0 or n_events < _FEWEST_LOST:
        return None
    rate = n_events / n_seen
    score = min(1.0, LOOK * rate / _LOST_PER_FRAME)
    return Finding(about, score, f"{100 * rate:.2g} % of the cells {what}")


def find_unsure_links(whole: FloatArray) -> Finding | None:
    """Judge how many cells are probably not the same throughout, by how sure the tracker is.

    Parameters
    ----------
    whole : (N,) float array
        How probable it is, of each cell, that all of its links are right.

    Examples
    --------
    >>> find_unsure_links(np.array([0.25] * 8 + [1.0] * 12)).words
    'about 6 of 20 cells may not be the same throughout: the tracker is unsure of links'
    """
    expected = float((1 - whole).sum())
    if expected < _FEWEST_LOST:
        return None
    words = (
        f"about {expected:.0f} of {whole.size} cells may not be the same throughout: "
        "the tracker is unsure of links"
    )
    return Finding("links", min(0.9, LOOK * expected / whole.size / _WRONG_LINKS), words)


def find_count_jump(counts: IntArray, missing: Collection[int], when: When) -> Finding | None:
    """Find the frame in which the number of cells changes most, if it does so all at once.

    Parameters
    ----------
    counts : (T,) int array
        Cells in each frame.
    missing : collection of int
        Frames without an image, which have no cells for that reason alone.
    when : callable
        Tells a frame in words.

    Examples
    --------
    >>> find_count_jump(np.array([30, 31, 30, 30, 2, 2, 3]), (), str).words
    'the number of cells falls from 30 to 2 at 4'
    """
    frames = _present(len(counts), missing)
    seen = counts[frames].astype(np.float64)
    jump = _largest_jump(seen)
    if jump is None:
        return None
    place, usual = jump
    before, after = seen[place], seen[place + 1]
    change = abs(after - before)
    if change < max(_COUNT_LEAST, _OUT_OF_LINE * usual, _COUNT_CHANGE * max(before, after)):
        return None
    way = "falls" if after < before else "rises"
    told = f"{way} from {before:.0f} to {after:.0f} at {when(frames[place + 1])}"
    score = LOOK + LOOK * change / max(before, after)
    return Finding("count", score, f"the number of cells {told}")


def find_few_cells(count: float, usual: float) -> Finding | None:
    """Judge whether there are hardly any cells, where the others have many.

    Parameters
    ----------
    count : float
        Cells in a frame: the median.
    usual : float
        The same of the other positions.
    """
    if usual < _FEWEST_USUAL or count > _HARDLY_ANY * usual:
        return None
    words = f"about {_plural(round(count), 'cell', 'cells')} in a frame, others have {usual:.0f}"
    return Finding("few cells", 0.6, words)


def find_few_good(
    n_good: int, n_cells: int, reasons: Mapping[str, int], n_cut_off: int = 0
) -> Finding | None:
    """Judge the share of cells that can be trusted.

    Parameters
    ----------
    n_good, n_cells : int
        How many are good, and how many there are.
    reasons : mapping of str to int
        Why others are not, and how many.
    n_cut_off : int
        How many of these are too short only for the movie begins or ends within their life.
    """
    if n_cells <= n_cut_off:
        return None
    bad = 1 - n_good / (n_cells - n_cut_off)
    words = f"{n_good} of {_plural(n_cells, 'cell is', 'cells are')} good"
    told = {reason: n for reason, n in reasons.items() if n}
    if told:
        worst = max(told, key=lambda reason: told[reason])
        words += f", most others: {worst} ({told[worst]})"
    # Up to half are usual, which sorts positions and asks nobody for a look.
    return Finding("good", bad / 2 if bad <= LOOK else min(bad, 0.95), words)


def find_unlike_size(diameter: float, usual: float) -> Finding | None:
    """Judge whether cells are much smaller or larger than in the other positions.

    Parameters
    ----------
    diameter, usual : float
        Of the typical cell here and in the others, in pixels.
    """
    if not (diameter > 0 and usual > 0):
        return None
    factor = max(diameter / usual, usual / diameter)
    if factor <= _ALIKE:
        return None
    words = f"cells are {whole(diameter)} px wide, those of the others {whole(usual)} px"
    return Finding("size", min(1.0, LOOK * factor / _ALIKE), words)


# Of the images


def find_missing_frames(missing: Collection[int], n_frames: int) -> Finding | None:
    """Judge frames that the file lacks."""
    if not missing:
        return None
    told = format_ranges(sorted(missing))
    words = f"{'frame' if len(missing) == 1 else 'frames'} {told} missing in the file"
    return Finding("missing frames", LOOK + LOOK * len(missing) / max(n_frames, 1), words)


def find_background_jump(
    frames: IntArray, levels: FloatArray, channel: str, when: When
) -> Finding | None:
    """Find where the background of a channel changes most, if it does so all at once.

    Parameters
    ----------
    frames : (N,) int array
        Frames that were measured.
    levels : (N,) float array
        Median grey value of the background in these; NaN where there is none.
    channel : str
        Name of the channel.
    when : callable
        Tells a frame in words.
    """
    known = np.isfinite(levels)
    frames, levels = frames[known], levels[known]
    jump = _largest_jump(levels)
    if jump is None:
        return None
    place, usual = jump
    before, after = levels[place], levels[place + 1]
    largest, change = max(abs(before), abs(after)), abs(after - before)
    if largest == 0 or change < max(_OUT_OF_LINE * usual, _BACKGROUND_CHANGE * largest):
        return None
    words = (
        f"the background of {channel} jumps from {whole(before)} to {whole(after)} at "
        f"{when(int(frames[place + 1]))}"
    )
    return Finding("background", LOOK + LOOK * min(change / largest, 1.0), words)


def find_stage_jump(shifts: FloatArray, when: When) -> Finding | None:
    """Find the frame before which the image moved most, if it is out of line.

    Parameters
    ----------
    shifts : (T,) float array
        Pixels that the field of view moved since the frame before; NaN where that is unknown.
    when : callable
        Tells a frame in words.

    Examples
    --------
    >>> find_stage_jump(np.array([0, 1, 0.5, 1, 60, 1]), str).words
    'the stage jumps by 60 px at 4'
    """
    known = np.isfinite(shifts)
    if known.sum() < 2:
        return None
    usual = float(np.median(shifts[known]))
    frame = int(np.nanargmax(shifts))
    size = float(shifts[frame])
    if size < max(_SHIFT_LEAST_PX, _SHIFT_TIMES * usual):
        return None
    score = min(1.0, 0.3 + 0.2 * size / _SHIFT_LOOK_PX)
    return Finding("stage", score, f"the stage jumps by {size:.0f} px at {when(frame)}")


def find_blur(
    frames: IntArray, sharpness: FloatArray, usual: float | None, channel: str, when: When
) -> Finding | None:
    """Find frames out of focus: by the variance of the Laplacian.

    Parameters
    ----------
    frames : (N,) int array
        Frames that were measured.
    sharpness : (N,) float array
        Of these, relative to the contrast of the image; NaN where there is none.
    usual : float, optional
        The median of the other positions.
    channel : str
        Name of the channel.
    when : callable
        Tells a frame in words.
    """
    known = np.isfinite(sharpness)
    frames, sharpness = frames[known], sharpness[known]
    if sharpness.size == 0:
        return None
    own = float(np.median(sharpness))
    if usual is not None and usual > 0 and own < _BLURRED * usual:
        words = f"{channel} is less sharp than in the other positions throughout"
        return Finding("focus", 0.7, words)
    blurred = frames[sharpness < _BLURRED * own] if sharpness.size > 2 else frames[:0]
    if blurred.size == 0:
        return None
    share = blurred.size / frames.size
    more = f" and {blurred.size - 1} more of {frames.size} that were looked at"
    words = f"{channel} is out of focus at {when(int(blurred[0]))}{more * (blurred.size > 1)}"
    return Finding("focus", min(1.0, LOOK + share), words)


def _present(n_frames: int, missing: Collection[int]) -> list[int]:
    return [frame for frame in range(n_frames) if frame not in missing]


def _largest_jump(values: FloatArray) -> tuple[int, float] | None:
    """Return the place before the largest change between neighbours, and how large others are."""
    if values.size < 3:
        return None
    changes = np.diff(values)
    return int(np.argmax(np.abs(changes))), spread_of(changes)
