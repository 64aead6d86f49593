"""Names of images put together from plain words: ``A1_GFP_t000.tif``.

Names of one kind have the same separators between their words. A word that differs from name to
name must say by itself what it is (``A1`` a well, ``GFP`` a channel, ``t000`` a time); otherwise
there is only a proposal, because ``001`` may be a time as well as a z plane or a position.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pyama_core.io.readers.image_folder.frame_numbers import DATE, ELAPSED
from pyama_core.io.readers.image_folder.patterns import FilePattern

# Images of another kind beside them, such as an overview, are left out.
_MAX_OTHERS, _MAX_OTHERS_SHARE = 3, 0.1

_CHANNELS = r"""
    (e|m|td|tag|sf|mem|nls|h2b)*([cryg]fp|bfp|gfp|cherry|ruby|scarlet|kate|orange|tomato|plum|venus|
    citrine|cerulean|turquoise|neongreen|iris|azurite)[0-9]*|
    dapi|hoechst[0-9]*|fitc|tritc|txr|txred|texasred|cy[3579]|rhodamine|
    (a|af|alexa|alexafluor)(350|405|488|532|546|555|568|594|633|647|660|680|700|750)|
    sir|draq[57]|calcein|propidium|fura2?|fluo[0-9]|tmrm|mitotracker|lysotracker|
    bf|brightfield|ph|(?-i:Ph|PH|ph)[1-4]|phase|phc|phasecontrast|dic|pc|trans|transmitted|tl|df|
    darkfield
"""

_NUMBERED_CHANNELS = "(?:ch|chan|channel|w|wave|wavelength|(?-i:c))[0-9]+"

# Of which form words are, and what they say; two fields: one of them.
_FORMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (DATE, ("time",)),
    (ELAPSED, ("time",)),
    ("(?:t|tp|time|timepoint|frame|fr)[0-9]+", ("time",)),
    ("(?:z|slice|plane)[0-9]+", ("z",)),
    (_NUMBERED_CHANNELS, ("channel",)),
    ("w[0-9][a-z]+[0-9]*", ("channel",)),
    ("".join(_CHANNELS.split()), ("channel",)),
    ("(?:s|p|xy|pos|position|fov|field|site|scene|series|point|stage|view|well)[0-9]+", ("fov",)),
    # Wells of a row or fields, but as well channels, frames, days, hours or minutes.
    ("c[0-9]+", ("fov", "channel")),
    ("[fdhm][0-9]+", ("fov", "time")),
    ("[a-p](?:0?[1-9]|1[0-9]|2[0-4])", ("fov",)),
)
_COMPILED = tuple((re.compile(form, re.IGNORECASE), fields) for form, fields in _FORMS)
_WORD = re.compile(rf"(?<![^\W_])(?:{DATE}|{ELAPSED})(?![^\W_])|[^\W_]+", re.IGNORECASE)
_COMPOUND = re.compile(r"(?:[a-z]+[0-9]+){2,}", re.IGNORECASE)
_PART = re.compile(r"[a-z]+[0-9]+", re.IGNORECASE)
_NUMBERED = re.compile(r"([a-z]+)[0-9]+", re.IGNORECASE)
_ROW = re.compile(r"(?:r|row)[0-9]+", re.IGNORECASE)
_UNKNOWN = r"[^\W_]+"


@dataclass(frozen=True)
class Understanding:
    """What names seem to mean.

    Attributes
    ----------
    pattern : FilePattern
        Reads them so; its title is the pattern as text.
    sure : bool
        Whether they can hardly mean anything else.
    """

    pattern: FilePattern
    sure: bool


@dataclass(frozen=True)
class _Column:
    """The words in one place of all names.

    Attributes
    ----------
    words : frozenset of str
        Different ones.
    may_be : tuple of str
        Fields that such words may be; empty if nothing is known of them.
    form : str
        Regular expression of such words.
    repeats : bool
        Whether each name has the same word before.
    """

    words: frozenset[str]
    may_be: tuple[str, ...]
    form: str
    repeats: bool

    @property
    def varies(self) -> bool:
        return len({word.lower() for word in self.words}) > 1


def understand(relative_paths: Sequence[str], *, all_alike: bool = True) -> Understanding | None:
    """Find out what the words in names say.

    Parameters
    ----------
    relative_paths : sequence of str
        Paths below the folder.
    all_alike : bool
        Whether nearly all have to be of one kind; otherwise the most frequent kind is taken.

    Returns
    -------
    Understanding or None
        None if names are not alike, or say nothing.

    Examples
    --------
    >>> found = understand(["A1_GFP_t000.tif", "A1_Phase_t000.tif", "B1_GFP_t001.tif"])
    >>> found.sure, found.pattern.title
    (True, '{fov}_{channel}_t{time}.tif')
    >>> found = understand(["pos1_DAPI_001.tif", "pos1_DAPI_002.tif"])
    >>> found.sure, found.pattern.title
    (False, '{fov}_{channel}_{time}.tif')
    """
    shapes: dict[tuple[str, ...], list[list[str]]] = {}
    for path in relative_paths:
        if "{" in path or "}" in path:
            return None
        words, between = _split(path)
        shapes.setdefault(between, []).append(words)
    # Of two as frequent ones, TIFF rather than PNG.
    between, names = max(shapes.items(), key=lambda item: (len(item[1]), item[0][-1]))
    others = len(relative_paths) - len(names)
    alike = others < len(names) and others <= max(_MAX_OTHERS, _MAX_OTHERS_SHARE * len(names))
    if all_alike and not alike:
        return None
    columns = _columns(names)
    fields, sure = _assign(columns)
    return Understanding(_as_pattern(columns, fields, between), sure) if any(fields) else None


def _split(path: str) -> tuple[list[str], tuple[str, ...]]:
    """Split a path into its words and what stands around them, the ending included."""
    stem, _, ending = path.rpartition(".")
    words: list[str] = []
    between: list[str] = []
    at = 0
    for match in _WORD.finditer(stem):
        parts = [match[0]]
        if _COMPOUND.fullmatch(match[0]) and _known([match[0]]) is None:
            # "A01s1w1t001", but not "mCherry2H2B1".
            split = _PART.findall(match[0])
            parts = split if all(_known([part]) for part in split) else parts
        between += [stem[at : match.start()], *[""] * (len(parts) - 1)]
        words += parts
        at = match.end()
    return words, (*between, f"{stem[at:]}.{ending.lower()}")


def _known(words: Iterable[str]) -> tuple[str, tuple[str, ...]] | None:
    """Return the form that all words have, and what such words may be."""
    for form, fields in _COMPILED:
        if all(form.fullmatch(word) for word in words):
            return form.pattern, fields
    return None


def _columns(names: Sequence[Sequence[str]]) -> list[_Column]:
    columns: list[_Column] = []
    before: set[tuple[str, ...]] = set()
    for place in zip(*names, strict=True):
        words = frozenset(place)
        form, may_be = _known(words) or (_UNKNOWN, ())
        repeats = place in before
        columns.append(_Column(words, may_be, form, repeats))
        before.add(place)
    return columns


def _assign(columns: Sequence[_Column]) -> tuple[list[str | None], bool]:
    """Say what each column is, None if it does not matter, and whether all that is sure."""
    fields: list[str | None] = [None] * len(columns)
    varying = [i for i, column in enumerate(columns) if column.varies and not column.repeats]
    stated = {column.may_be[0] for column in columns if len(column.may_be) == 1}
    sure = not any(_ROW.fullmatch(word) for column in columns for word in column.words)
    # First what is clear by itself, then what the others make clear, then what is unknown.
    for i in sorted(varying, key=lambda i: len(columns[i].may_be) or 9):
        field, clear = _decide(columns[i], {f for f in fields if f}, stated)
        fields[i], sure = field, sure and clear
    taken = {field for field in fields if field}
    for i, column in enumerate(columns):
        if not column.varies and not column.repeats and column.may_be:
            field, clear = _decide(column, {f for f in fields if f}, stated)
            fields[i] = field if clear and field not in taken else None
    return fields, sure and "time" in fields and not _wells_as_channels(columns)


def _wells_as_channels(columns: Sequence[_Column]) -> bool:
    """Tell whether numbers seem to be those of channels although the channel is another word.

    "W00001--P00001--T00000--DAPI": the first are wells.
    """
    channels = [column for column in columns if column.may_be == ("channel",)]
    numbered = any(c.varies and c.form == _NUMBERED_CHANNELS for c in channels)
    return numbered and any(c.form != _NUMBERED_CHANNELS for c in channels)


def _decide(column: _Column, taken: set[str], stated: set[str]) -> tuple[str, bool]:
    """Say what a column is, given what others are, and whether that is clear."""
    if len(column.may_be) == 1:
        field = column.may_be[0]
        return (field, True) if field == "fov" or field not in taken else ("fov", False)
    if column.may_be:
        return ("fov", True) if column.may_be[1] in stated else ("fov", False)
    wanted = ("time", "z") if all(word.isdigit() for word in column.words) else ("channel",)
    return next((field for field in wanted if field not in taken | stated), "fov"), False


def _as_pattern(
    columns: Sequence[_Column], fields: Sequence[str | None], between: Sequence[str]
) -> FilePattern:
    """Make the pattern, as text and as a regular expression that takes only such words."""
    title, regex, n_fovs = between[0], re.escape(between[0]), 0
    for column, field, after in zip(columns, fields, between[1:], strict=True):
        if field is None:
            word = min(column.words)
            title += "{*}" if column.varies else word
            regex += _UNKNOWN if column.varies else re.escape(word)
        else:
            n_fovs += field == "fov"
            group = f"fov{n_fovs}" if field == "fov" else field
            letters = _common_letters(column) if field in ("time", "z") else ""
            form = "[0-9]+" if letters else column.form
            title += f"{letters}{{{field}}}"
            regex += f"{letters}(?P<{group}>{form})"
        title, regex = title + after, regex + re.escape(after)
    return FilePattern(title, re.compile(regex, re.IGNORECASE), title.count("/"))


def _common_letters(column: _Column) -> str:
    """Return the letters before the numbers, such as t; none if there are different ones."""
    matches = [_NUMBERED.fullmatch(word) for word in column.words]
    letters = {"" if match is None else match[1].lower() for match in matches}
    return min(column.words)[: len(min(letters))] if len(letters) == 1 else ""
