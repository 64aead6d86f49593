"""Which frame the time in the name of an image stands for.

Times in names are numbers of frames (``007``, ``t007``), times with a unit (``00d01h30m``), dates,
or words. Numbers that jump are gaps: a frame whose images are all lost keeps its place, so that
those after it keep theirs. Numbers with a constant step (0, 5, 10) are a numbering.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pyama_core.errors import InputError
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.io.readers.frame_source import Numbering
from pyama_core.io.readers.image_folder.patterns import TIME_UNITS, natural_order

ELAPSED = r"(?=[0-9])(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m(?:in)?)?(?:[0-9]+s)?(?<=[a-z])"
"""Elapsed time: numbers, each with its unit."""

DATE = (
    # An undelimited time of 0000xx is more likely a counter after a date.
    r"(?:19|20)[0-9]{2}(?:y|-|\.|)[0-9]{2}(?:m|-|\.|)[0-9]{2}d?"
    r"(?:[-_T ]?(?!0000)[0-9]{6}|[-_T ][0-9]{2}[-:.h][0-9]{2}(?:m?[-:.]?[0-9]{2}s?|m)?)?"
)
"""A date, perhaps with a time of day."""

_SHOWN = 3
_MS_PER_MINUTE = 60_000
_MAX_FRAMES = 1_000_000
# Of how many steps between times how many are usual if some frames are lost, and how much longer
# than others a step is that is worth a word.
_USUAL_SHARE, _JUMP = 0.75, 1.5
# Beyond these, numbers are more likely something else than the frames of a movie most of which is
# lost: times in milliseconds, dates, or some frames that were picked from many.
_MANY_FRAMES, _MANY_PER_FOUND = 1000, 10

_UNIT = re.compile(r"([0-9]+)(d|h|min|m|s)", re.IGNORECASE)
_ELAPSED = re.compile(f"t?({ELAPSED})", re.IGNORECASE)
_DATE = re.compile(DATE, re.IGNORECASE)
_NUMBERED = re.compile(r"([^0-9]*)([0-9]+)([^0-9]*)")
_DIGITS = re.compile(r"[0-9]+")

_Kind = Literal["number", "time", "word"]


@dataclass(frozen=True)
class FrameAxis:
    """The frames of a folder of images.

    Attributes
    ----------
    names : tuple of str
        What each frame is called in names, or would be.
    frame_of : dict
        Frame of each time that names have.
    minutes : tuple of float or None
        When each frame was taken; None where names do not say.
    notes, warnings : tuple of str
        How the times were understood, and what a user should know.
    """

    names: tuple[str, ...]
    frame_of: Mapping[str, int]
    minutes: tuple[float, ...] | None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Times:
    """Times in names as numbers.

    Attributes
    ----------
    kind : str
        Numbers of frames, milliseconds, or places of words in their order.
    value_of : dict
        Number of each text.
    text_of : dict
        Text of each number, in order.
    """

    kind: _Kind
    value_of: Mapping[str, int]
    text_of: Mapping[int, str]

    @property
    def known(self) -> list[int]:
        return list(self.text_of)

    def name(self, value: int) -> str:
        """Return a time as names have it, or would have it."""
        if value in self.text_of:
            return self.text_of[value]
        first = self.known[0]
        if self.kind == "time":
            return f"{(value - first) / _MS_PER_MINUTE:g} min after the first"
        match = _NUMBERED.fullmatch(self.text_of[first])
        assert match is not None
        return f"{match[1]}{str(value).zfill(len(match[2]))}{match[3]}"


class _Frames(NamedTuple):
    """Numbers of the frames in order, and what is to be said of them."""

    values: Sequence[int]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def arrange_frames(
    path: Path,
    texts: Iterable[str],
    numbering: Numbering = "auto",
    unit: str | None = None,
    pattern: str = "{time}",
) -> FrameAxis:
    """Find the frames that the times in names stand for.

    Parameters
    ----------
    path : Path
        The folder, for messages.
    texts : iterable of str
        The time in each name; repetitions do not matter.
    numbering : "auto", "order" or int
        Whether numbers that jump are gaps; all times in a row; or how far frames are apart, in
        numbers, or in minutes where names have times.
    unit : str or None
        One of `TIME_UNITS`, if the numbers are times.
    pattern : str
        How the names are read, for messages.

    Raises
    ------
    InputError
        If the times are not of one kind, or not as far apart as was said, or are numbers that
        would make a movie of which nearly everything is missing.

    Examples
    --------
    >>> axis = arrange_frames(Path("folder"), ["t08", "t09", "t11"])
    >>> axis.names, axis.frame_of["t11"]
    (('t08', 't09', 't10', 't11'), 3)
    >>> arrange_frames(Path("folder"), ["00", "05", "10"]).names
    ('00', '05', '10')
    """
    times = _as_numbers(path, natural_order(texts), numbering, unit)
    if isinstance(numbering, int):
        frames = _spaced(path, times, numbering)
    elif numbering == "order" or times.kind == "word":
        frames = _in_a_row(times, numbering)
    else:
        frames = _numbered(path, times, pattern) if times.kind == "number" else _timed(times)
    index = {value: frame for frame, value in enumerate(frames.values)}
    timed = times.kind == "time"
    return FrameAxis(
        names=tuple(times.name(value) for value in frames.values),
        frame_of={text: index[value] for text, value in times.value_of.items()},
        minutes=tuple(value / _MS_PER_MINUTE for value in frames.values) if timed else None,
        notes=frames.notes,
        warnings=frames.warnings,
    )


def _as_numbers(path: Path, texts: list[str], numbering: Numbering, unit: str | None) -> _Times:
    """Take times for numbers of one kind, or for words in their order."""
    kind: _Kind = "time"
    values = [_milliseconds(text) if unit is None else _in_unit(text, unit) for text in texts]
    if unit is not None and None in values:
        odd = texts[values.index(None)]
        raise InputError(f"{path}: the time {odd!r} in a name is no number of {unit}.")
    if None in values:
        timed, values = values, _frame_numbers(texts)
        kind = "number"
        if None in values and numbering != "order":
            _refuse_mixture(path, texts, timed)
            _refuse_mixture(path, texts, values)
    if None in values:
        kind, values = "word", list(range(len(texts)))
    value_of = {text: v for text, v in zip(texts, values, strict=True) if v is not None}
    text_of: dict[int, str] = {}
    for text, value in sorted(value_of.items(), key=lambda item: item[1]):
        text_of.setdefault(value, text)
    return _Times(kind, value_of, text_of)


def _frame_numbers(texts: Sequence[str]) -> list[int | None]:
    """Return the number in each text, if what stands around it is the same as in most."""
    matches = [_NUMBERED.fullmatch(text) for text in texts]
    around = Counter((m[1].lower(), m[3].lower()) for m in matches if m is not None)
    usual = max(around, key=around.__getitem__, default=None)
    return [
        int(m[2]) if m is not None and (m[1].lower(), m[3].lower()) == usual else None
        for m in matches
    ]


def _refuse_mixture(path: Path, texts: Sequence[str], values: Sequence[int | None]) -> None:
    """Raise InputError if some texts have a value and some have none."""
    with_value = [text for text, v in zip(texts, values, strict=True) if v is not None]
    others = [text for text, v in zip(texts, values, strict=True) if v is None]
    if with_value and others:
        raise InputError(
            f"{path}: some names have a time such as {with_value[0]!r}, others "
            f"{repr(others[0]) if others[0] else 'none'}, so the order of frames is not known; "
            "give a --pattern that only the images of the movie fit, or --numbering order for the "
            "order of the names."
        )


def _numbered(path: Path, times: _Times, pattern: str) -> _Frames:
    known = times.known
    if len(known) < 2:
        return _Frames(known)
    step = math.gcd(*(after - before for before, after in itertools.pairwise(known)))
    values = range(known[0], known[-1] + 1, step)
    n_frames = (known[-1] - known[0]) // step + 1  # len() is limited
    if n_frames > max(_MANY_FRAMES, _MANY_PER_FOUND * len(known)):
        timed = pattern.replace("{time}", "{time:ms}") if "{time}" in pattern else "{time:ms}"
        raise InputError(
            f"{path}: the numbers in the names go from {times.name(known[0])} to "
            f"{times.name(known[-1])}, which would be {n_frames} frames of which {len(known)} have "
            f"images. Say --numbering order if these are all frames, --numbering {step} if the "
            f'others are missing, or, if they are times, --pattern "{timed}" (or s, min, h).'
        )
    notes: tuple[str, ...] = ()
    if step > 1:
        shown = ", ".join(times.name(value) for value in values[:_SHOWN])
        shown += ", …" * (len(values) > _SHOWN)
        told = f"frames are numbered in steps of {step} ({shown}) and follow each other"
        notes = (f"{told}; --numbering 1 counts the numbers between as missing frames",)
        if len(known) == 2:
            # A single step is constant, whatever it is.
            return _Frames(known, warnings=notes)
    elif known[0] > 1:
        notes = (f"the first frame is that of the first number, {times.name(known[0])}",)
    return _Frames(values, notes, _gaps(times, values))


def _timed(times: _Times) -> _Frames:
    """Find lost frames between times.

    There are some if all times lie on a grid, nearly all of them next to each other. Other times
    that are not evenly spaced are planned so, or measured; each frame has its own time anyway.
    """
    known = times.known
    steps = Counter(after - before for before, after in itertools.pairwise(known))
    if len(steps) < 2:
        return _Frames(known)
    usual = min(steps)
    even = all(step % usual == 0 for step in steps) and steps[usual] >= _USUAL_SHARE * steps.total()
    values = range(known[0], known[-1] + 1, usual)
    if even and len(values) <= max(_MANY_FRAMES, _MANY_PER_FOUND * len(known)):
        return _Frames(values, warnings=_gaps(times, values))
    ordered = sorted(steps.elements())
    short, longest = (step / _MS_PER_MINUTE for step in (ordered[len(ordered) // 4], ordered[-1]))
    if longest < _JUMP * short:
        return _Frames(known)
    uneven = f"some {short:g} min apart, others {longest:g} min"
    told = f"times in names are not evenly spaced ({uneven}); frames follow each other, each with "
    return _Frames(
        known,
        warnings=(f"{told}its time (--numbering MINUTES counts those between as missing)",),
    )


def _spaced(path: Path, times: _Times, step: int) -> _Frames:
    """Put frames where their numbers say, in steps that the user gave."""
    known = times.known
    if len(known) < 2:
        return _Frames(known)
    if times.kind == "word":
        raise InputError(
            f"{path}: the times in the names, such as {times.name(known[0])!r}, are no numbers; "
            f"--numbering {step} does not fit, leave it out."
        )
    scale, what = (_MS_PER_MINUTE, " minutes") if times.kind == "time" else (1, "")
    for value in known:
        if (value - known[0]) % (step * scale):
            raise InputError(
                f"{path}: {times.name(value)} does not follow {times.name(known[0])} in steps of "
                f"{step}{what}; give another --numbering."
            )
    n_frames = (known[-1] - known[0]) // (step * scale) + 1
    if n_frames > _MAX_FRAMES:
        raise InputError(
            f"{path}: {times.name(known[0])} to {times.name(known[-1])} in steps of {step}{what} "
            f"are {n_frames} frames, more than any movie has; give another --numbering."
        )
    values = range(known[0], known[-1] + 1, step * scale)
    return _Frames(values, warnings=_gaps(times, values))


def _in_a_row(times: _Times, numbering: Numbering) -> _Frames:
    known = times.known
    if len(known) < 2:
        return _Frames(known)
    if numbering == "order":
        return _Frames(known, (f"the {len(known)} times in names follow each other as frames",))
    shown = ", ".join(times.name(value) for value in known[:_SHOWN])
    told = f"times in names have neither numbers alone nor a unit ({shown}, …)"
    return _Frames(known, warnings=(f"{told}; frames are in the order of these words",))


def _gaps(times: _Times, values: range) -> tuple[str, ...]:
    """Name the frames that no image has."""
    found = {(value - values.start) // values.step for value in times.known}
    absent = [frame for frame in range(len(values)) if frame not in found]
    if not absent:
        return ()
    parts = format_ranges(absent).split(",")
    frames = ",".join(parts[:_SHOWN]) + ",…" * (len(parts) > _SHOWN)
    names = list(dict.fromkeys(times.name(values[frame]) for frame in (absent[0], absent[-1])))
    told = f"{len(absent)} of {len(values)} frames have no image at all and are missing"
    where = f"frame {frames}, in names {' to '.join(names)}"
    return (f"{told}: {where} (--numbering order lets the others follow each other)",)


def minutes_in_name(text: str) -> float | None:
    """Return the minutes that a time in a name stands for; None for one without a unit.

    Examples
    --------
    >>> minutes_in_name("01d02h30m"), minutes_in_name("0007")
    (1590.0, None)
    """
    milliseconds = _milliseconds(text)
    return None if milliseconds is None else milliseconds / _MS_PER_MINUTE


def _milliseconds(text: str) -> int | None:
    if match := _ELAPSED.fullmatch(text):
        lengths = {"d": 86_400, "h": 3600, "m": 60, "min": 60, "s": 1}
        return sum(int(n) * lengths[unit.lower()] * 1000 for n, unit in _UNIT.findall(match[1]))
    if _DATE.fullmatch(text):
        numbers = "".join(_DIGITS.findall(text))
        form = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}.get(len(numbers), "")
        try:
            moment = dt.datetime.strptime(numbers, form).replace(tzinfo=dt.UTC)
        except ValueError:
            return None
        return round(moment.timestamp()) * 1000
    return None


def _in_unit(text: str, unit: str) -> int | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return round(number * TIME_UNITS[unit]) if math.isfinite(number) else None
