"""What the names of single-plane image files say: position, channel, time and z plane.

A pattern is the path of a file below its folder, with fields in braces: ``{fov}``, ``{channel}``,
``{time}``, ``{z}``, and ``{*}`` for a part that does not matter. ``{fov}`` may stand several times,
as for well and site. A few common ways of naming are built in.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pyama_core.io.errors import InputError

IMAGE_ENDINGS = (".tif", ".tiff", ".png")

_SAMPLE = 500
_FIELD = re.compile(r"\{([^{}]*)\}")
_INSIDE = {"fov": "[^/]+?", "channel": "[^/]+?", "time": "[^/]+?", "z": r"\d+", "*": "[^/]*?"}
_ELAPSED = re.compile(r"(\d+)d(\d+)h(?:(\d+)m)?(?:(\d+)s)?")
_DATE = re.compile(r"(\d{4})y(\d\d)m(\d\d)d_(\d\d)h(\d\d)m")
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class ImageName:
    """What the name of one image says; empty where it says nothing.

    Attributes
    ----------
    experiment : str
        Part that is the same for all images of a data set.
    """

    fov: str
    channel: str
    time: str
    z: str
    experiment: str = ""


@dataclass(frozen=True)
class FilePattern:
    """A way of naming images.

    Attributes
    ----------
    title : str
        Who names files so, or the pattern as it was given.
    regex : re.Pattern
        Matches a path below the folder; its groups are the fields, `fov` perhaps followed by a
        number.
    depth : int
        How many folders deep images may lie.
    """

    title: str
    regex: re.Pattern[str]
    depth: int

    def parse(self, relative_path: str) -> ImageName | None:
        """Take a path apart; None if it is not named so.

        Examples
        --------
        >>> name = compile_pattern("{channel}_{fov}_t{time}.tif").parse("GFP_A1_t03.tif")
        >>> name.channel, name.fov, name.time
        ('GFP', 'A1', '03')
        """
        match = self.regex.fullmatch(relative_path)
        if match is None:
            return None
        parts = match.groupdict(default="")
        fovs = [text for field, text in parts.items() if field.startswith("fov") and text]
        return ImageName(
            fov="_".join(fovs),
            channel=parts.get("channel", ""),
            time=parts.get("time", ""),
            z=parts.get("z", ""),
            experiment=parts.get("experiment", ""),
        )


_END = r"\.(?:tif|tiff|png)"
_ANYWHERE = r"(?:[^/]+/)*"
_BUILT_IN = tuple(
    FilePattern(title, re.compile("".join(parts) + _END, re.IGNORECASE), 2)
    for title, *parts in (
        (
            "Micro-Manager",
            r"(?:(?P<fov>[^/]+)/)?img_(?P<time>\d{9})_(?P<channel>[^/]*)_(?P<z>\d{3})",
        ),
        (
            "Micro-Manager",
            r"(?:[^/]+/)?img_(?P<channel>channel[^/]+)_position(?P<fov>[^/]+)",
            r"_time(?P<time>\d+)_z(?P<z>\d+)",
        ),
        (
            "Incucyte",
            _ANYWHERE,
            r"(?:(?P<experiment>[^/]*)_)?(?P<channel>[^/_]+)_(?P<fov1>[A-Z]{1,2}\d{1,2})",
            r"_(?P<fov2>\d+)_(?P<time>\d+d\d+h\d+m|\d{4}y\d\dm\d\dd_\d\dh\d\dm)",
        ),
        (
            "tTt",
            _ANYWHERE,
            r"(?P<experiment>[^/]*)_(?P<fov>p\d+)_t(?P<time>\d+)(?:_z(?P<z>\d+))?",
            r"_(?P<channel>w\d+)",
        ),
        (
            "NIS-Elements export",
            _ANYWHERE,
            r"(?P<experiment>[^/]*?)",
            r"(?:t(?P<time>\d+)|(?P<fov>xy\d+)|z(?P<z>\d+)|(?P<channel>c\d+)){2,4}",
        ),
    )
)


def compile_pattern(pattern: str) -> FilePattern:
    """Understand a pattern.

    Raises
    ------
    InputError
        For a field that is not known or one other than ``{fov}`` that stands twice.
    """
    text, regex, at, seen = pattern.replace("\\", "/"), "", 0, dict.fromkeys(_INSIDE, 0)
    for field in _FIELD.finditer(text):
        name = field[1]
        if name not in _INSIDE:
            raise InputError(
                f"pattern {pattern!r}: there is no field {{{name}}}; the known ones are "
                "{fov}, {channel}, {time}, {z} and {*}."
            )
        if seen[name] and name not in ("fov", "*"):
            raise InputError(f"pattern {pattern!r}: the field {{{name}}} stands twice.")
        seen[name] += 1
        group = f"(?P<{name}{seen[name]}>" if name == "fov" else f"(?P<{name}>"
        regex += re.escape(text[at : field.start()])
        regex += ("(?:" if name == "*" else group) + _INSIDE[name] + ")"
        at = field.end()
    if not any(seen[name] for name in ("fov", "channel", "time", "z")):
        raise InputError(
            f"pattern {pattern!r} has no field; expected {{fov}}, {{channel}}, {{time}} or {{z}}, "
            'as in "{channel}_{fov}_{time}.tif".'
        )
    regex += re.escape(text[at:])
    return FilePattern(pattern, re.compile(regex, re.IGNORECASE), text.count("/"))


MAX_DEPTH = max(pattern.depth for pattern in _BUILT_IN)


def recognise_pattern(relative_paths: Sequence[str]) -> FilePattern | None:
    """Find the built-in way of naming that fits most of some paths, or None if none fits any."""
    step = max(1, len(relative_paths) // _SAMPLE)
    sample = relative_paths[::step]

    def fits(pattern: FilePattern) -> int:
        return sum(pattern.regex.fullmatch(path) is not None for path in sample)

    best = max(_BUILT_IN, key=fits)
    return best if fits(best) else None


def minutes_in_name(text: str) -> float | None:
    """Return the minutes that a time in a name stands for; None for one without a unit.

    Examples
    --------
    >>> minutes_in_name("01d02h30m"), minutes_in_name("0007")
    (1590.0, None)
    """
    if match := _ELAPSED.fullmatch(text):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return days * 1440.0 + hours * 60 + minutes + seconds / 60
    if match := _DATE.fullmatch(text):
        try:
            moment = dt.datetime.strptime(text, "%Yy%mm%dd_%Hh%Mm").replace(tzinfo=dt.UTC)
        except ValueError:
            return None
        return moment.timestamp() / 60
    return None


def natural_order(texts: Iterable[str]) -> list[str]:
    """Sort without repetition, numbers in texts by their value.

    Examples
    --------
    >>> natural_order(["B10", "B2", "B2"])
    ['B2', 'B10']
    """

    def key(text: str) -> tuple[list[tuple[int, str]], str]:
        parts = _DIGITS.split(text)
        return [(int(p), "") if i % 2 else (-1, p) for i, p in enumerate(parts)], text

    return sorted(set(texts), key=key)
