"""What the names of single-plane image files say: position, channel, time and z plane.

A pattern is the path of a file below its folder, with fields in braces: ``{fov}``, ``{channel}``,
``{time}``, ``{z}``, and ``{*}`` for a part that does not matter. ``{fov}`` may stand several times,
as for well and site; ``{time:ms}`` says that the numbers are milliseconds. A few common ways of
naming are built in.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pyama_core.errors import InputError

IMAGE_ENDINGS = (".tif", ".tiff", ".png")

TIME_UNITS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
"""Units that a pattern can give to the numbers of ``{time}``, in milliseconds."""

MAX_DEPTH = 2
"""How many folders deep images are looked for at first."""

_SAMPLE = 500
_FIELD = re.compile(r"\{([^{}]*)\}")
_INSIDE = {"fov": "[^/]+?", "channel": "[^/]+?", "time": "[^/]+?", "z": r"\d+", "*": "[^/]*?"}
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

    def __str__(self) -> str:
        fields = (
            ("FOV", self.fov),
            ("channel", self.channel),
            ("time", self.time),
            ("z", self.z),
        )
        return ", ".join(f"{field} {value}" for field, value in fields if value)


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
    unit : str or None
        One of `TIME_UNITS`, if the numbers of frames are times.
    prefix : str
        Folders that all images lie in, which say nothing.
    """

    title: str
    regex: re.Pattern[str]
    depth: int
    unit: str | None = None
    prefix: str = ""

    def parse(self, relative_path: str) -> ImageName | None:
        """Take a path apart; None if it is not named so.

        Examples
        --------
        >>> name = compile_pattern("{channel}_{fov}_t{time}.tif").parse("GFP_A1_t03.tif")
        >>> name.channel, name.fov, name.time
        ('GFP', 'A1', '03')
        """
        path = relative_path.removeprefix(self.prefix)
        match = self.regex.fullmatch(path if path.isascii() else _composed(path))
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


def _composed(text: str) -> str:
    """Write letters with accents as one character each, which macOS does not."""
    return unicodedata.normalize("NFC", text)


_FIELDS_OF_NIS = r"(?:t|xy|z|c)\d+"
_END = r"\.(?:tif|tiff|png)"
_ANYWHERE = r"(?:[^/]+/)*"
_BUILT_IN = tuple(
    FilePattern(title, re.compile("".join(parts) + _END, re.IGNORECASE), MAX_DEPTH)
    for title, *parts in (
        (
            "ImageXpress",
            r"(?P<experiment>(?:[^/]+/)*)TimePoint_(?P<time>\d+)/(?:ZStep_(?P<z>\d+)/)?",
            r"[^/]*?_(?P<fov1>[A-Z]{1,2}\d\d)(?:_(?P<fov2>s\d+))?(?:_(?P<channel>w\d))?",
            r"(?:[0-9A-F]{8}-[-0-9A-F]{27})?",
        ),
        (
            "Opera Phenix",
            r"(?P<experiment>(?:[^/]+/)*)(?P<fov1>r\d\dc\d\d)(?P<fov2>f\d+)p(?P<z>\d+)",
            r"-(?P<channel>ch\d+)sk(?P<time>\d+)fk\d+fl\d+",
        ),
        (
            "CellVoyager",
            r"(?P<experiment>(?:[^/]+/)*[^/]*?)_(?P<fov1>[A-Z]{1,2}\d\d)",
            r"_T(?P<time>\d{4})(?P<fov2>F\d{3,4})L\d\dA\d\dZ(?P<z>\d+)(?P<channel>C\d\d)",
        ),
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
            # None of the fields stands twice: "object12t05" has no time 12.
            rf"(?!(?:{_FIELDS_OF_NIS})*?(?P<twice>t|xy|z|c)\d+(?:{_FIELDS_OF_NIS})*?(?P=twice)\d)",
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
    text, regex, at = _composed(pattern.replace("\\", "/")), "", 0
    seen, unit = dict.fromkeys(_INSIDE, 0), None
    for field in _FIELD.finditer(text):
        name = field[1]
        if name.startswith("time:"):
            name, unit = "time", name.removeprefix("time:")
        if name not in _INSIDE or unit not in (None, *TIME_UNITS):
            raise InputError(
                f"pattern {pattern!r}: there is no field {{{field[1]}}}; the known ones are "
                "{fov}, {channel}, {time}, {z} and {*}, and {time:ms}, {time:s}, {time:min} and "
                "{time:h} for numbers that are times."
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
    return FilePattern(pattern, re.compile(regex, re.IGNORECASE), text.count("/"), unit)


def recognise_pattern(relative_paths: Sequence[str], least: float = 0.0) -> FilePattern | None:
    """Find the built-in way of naming that fits most of some paths.

    Parameters
    ----------
    relative_paths : sequence of str
        Paths below the folder; some of them are looked at if there are many.
    least : float
        Share of the paths that it has to fit.

    Returns
    -------
    FilePattern or None
        None if none fits so many, or any.
    """
    step = max(1, len(relative_paths) // _SAMPLE)
    sample = relative_paths[::step]

    def fits(pattern: FilePattern) -> int:
        return sum(pattern.parse(path) is not None for path in sample)

    best = max(_BUILT_IN, key=fits)
    return best if fits(best) >= max(1, least * len(sample)) else None


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
