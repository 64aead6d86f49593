"""Words for channels and FOVs, as people type them: a name, a number, ``name:…``, ``index:…``.

One rule for the command, the configuration and Python. A word is compared with the names of the
file and, if it is a number (or, of FOVs, a range of them), with their places, counted from 0. If
that gives two different things, it is refused, with the two forms that can only mean one. A name
that nothing fits as it stands is also found in other letters: ``phase`` for ``Phase``, ``1`` for
``01``, µ for μ; and a well (``B2``, or ``B2-B6`` for those of a row) stands for all FOVs whose
names tell that they are in it. From Python, a number that is an `int` is a place, whatever the
names are.
"""

from __future__ import annotations

import difflib
import functools
import operator
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, SupportsIndex

from pyama_core.errors import InputError
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.processing.workflow.services.wells import in_wells

# No file has a billion positions, and int() refuses words of thousands of digits.
_NUMBER = re.compile(r"\s*([0-9]{1,9})\s*")
_RANGE = re.compile(r"\s*([0-9]{1,9})\s*-\s*([0-9]{1,9})\s*")
_PLACES = re.compile(rf"{_NUMBER.pattern}|{_RANGE.pattern}|\s*all\s*", re.IGNORECASE)
_FORM = re.compile(r"\s*(name|index)\s*:(.*)", re.IGNORECASE | re.DOTALL)
_SHOWN = 12
_LONGEST = 60

Kind = Literal["channel", "FOV"]
Found = frozenset[int]
_NOTHING: Found = frozenset()


def find_channel(word: SupportsIndex | str, names: Sequence[str]) -> int:
    """Find the channel that a word means.

    Parameters
    ----------
    word : int or str
        A place, counted from 0, or what a person typed.
    names : sequence of str
        Names of all channels of the file.

    Raises
    ------
    InputError
        It means none, or several.

    Examples
    --------
    >>> names = ["Phase", "GFP", "1"]
    >>> find_channel("GFP", names), find_channel("phase", names), find_channel("2", names)
    (1, 0, 2)
    >>> find_channel("index:1", names), find_channel("name:1", names), find_channel(1, names)
    (1, 2, 1)
    """
    named = _Named("channel", tuple(names))
    if not isinstance(word, str):
        return named.at(word)
    return min(named.meant_by(word))


def word_of(channel: int, names: Sequence[str]) -> str:
    """Return the name of a channel if it can be typed and means that channel alone."""
    name = names[channel]
    try:
        clear = name.isprintable() and find_channel(name, names) == channel
    except InputError:
        clear = False
    return name if clear and not name.startswith("-") else f"index:{channel}"


def find_fovs(words: str | Iterable[SupportsIndex | str], names: Sequence[str]) -> list[int]:
    """Find the FOVs that words mean, in order.

    Parameters
    ----------
    words : str, or iterable of int or str
        Places, counted from 0, names, wells, ranges of places or of wells, several of these in one
        text with commas between them, or ``all``.
    names : sequence of str
        Names of all FOVs of the file.

    Raises
    ------
    InputError
        One of them means none, or not the same whichever way it is read.

    Examples
    --------
    >>> names = ["A1", "A2", "B1", "B2"]
    >>> find_fovs("0-1,B2", names), find_fovs(["b1", 0], names), find_fovs("all", names)
    ([0, 1, 3], [0, 2], [0, 1, 2, 3])
    >>> find_fovs("A1", ["A1_0", "A1_1", "B1_0"])
    [0, 1]
    """
    named = _Named("FOV", tuple(names))
    chosen: set[int] = set()
    for word in [words] if isinstance(words, str) else words:
        chosen |= named.listed_in(word) if isinstance(word, str) else {named.at(word)}
    return sorted(chosen)


@dataclass(frozen=True)
class _Named:
    """All things of one kind in a file, by which words are understood."""

    kind: Kind
    names: tuple[str, ...]

    @property
    def known(self) -> str:
        """What there is to choose from, in a line."""
        some = [f"{index} ({name})" for index, name in enumerate(self.names[:_SHOWN])]
        more = f" and {len(self.names) - _SHOWN} more" if len(self.names) > _SHOWN else ""
        return ", ".join(some) + more

    def at(self, place: SupportsIndex) -> int:
        """Return a place, if there is something."""
        try:
            index = operator.index(place)
        except TypeError:
            index = None
        if index is None or isinstance(place, bool):
            raise InputError(f"expected a {self.kind} by number or name, found {place!r}")
        if not 0 <= index < len(self.names):
            raise InputError(f"there is no {self.kind} {index}; the file has {self.known}")
        return index

    def listed_in(self, text: str) -> Found:
        """Return all that a text with commas means, which may itself be a name with commas."""
        if "," not in text:
            return self.meant_by(text)
        word = _Word.parse(text)
        whole = self._called(word)
        if whole and word.form == "name":
            return self.meant_by(text)
        try:
            parts = frozenset[int]().union(*(self.meant_by(part) for part in text.split(",")))
        except InputError:
            if not whole:
                raise
            return self.meant_by(text)
        if whole and whole != parts:
            raise InputError(
                f"{_quoted(text)} is the name of {self._described(whole)}, and also a list; write "
                f"name:{text}, or the list with index: or name: before each of its words"
            )
        return parts

    def meant_by(self, text: str) -> Found:
        """Return what a word means: one thing, or of FOVs a range."""
        word = _Word.parse(text)
        called, placed = self._called(word), self._placed(word)
        if len(called) > 1:
            forms = ", ".join(f"index:{i} ({self.names[i]})" for i in sorted(called | placed))
            raise InputError(
                f"several {self.kind}s are named {_quoted(word.text)}; give a number: {forms}"
            )
        by_name = called or self._between(word) or self._in_wells(word)
        if by_name and placed and by_name != placed:
            raise InputError(
                f"{_quoted(text)} means two things: by name {self._described(by_name)}, by number "
                f"{self._described(placed)}; write name:{word.text.strip()} or "
                f"index:{word.text.strip()}"
            )
        if not by_name and not placed:
            raise InputError(self._unknown(word))
        return by_name or placed

    def _called(self, word: _Word) -> Found:
        """Return what is called so: to the letter, or else nearly."""
        exact, nearly = _places(self.names)
        for name in word.as_names:
            if found := exact.get(_canonical(name)) or (name.strip() and nearly.get(_folded(name))):
                return found
        return _NOTHING

    def _between(self, word: _Word) -> Found:
        """Return FOVs whose names are numbers within a range; none if its ends are no names."""
        ends = _RANGE.fullmatch(word.text)
        if self.kind != "FOV" or word.form == "index" or ends is None:
            return _NOTHING
        numbered = {
            int(name): found for name, found in _places(self.names)[1].items() if name.isdecimal()
        }
        first, last = int(ends[1]), int(ends[2])
        if first not in numbered or last not in numbered:
            return _NOTHING
        inside = (found for number, found in numbered.items() if first <= number <= last)
        return frozenset[int]().union(*inside)

    def _in_wells(self, word: _Word) -> Found:
        """Return FOVs in a well, or in wells of a row."""
        if self.kind != "FOV" or word.form is not None:
            return _NOTHING
        return in_wells(word.text, self.names)

    def _placed(self, word: _Word) -> Found:
        """Return what is at the places that a word gives."""
        if word.form == "name" or not word.is_place:
            return _NOTHING
        if number := _NUMBER.fullmatch(word.text):
            index = int(number[1])
            return frozenset({index}) if index < len(self.names) else _NOTHING
        if self.kind != "FOV":
            return _NOTHING
        if ends := _RANGE.fullmatch(word.text):
            first, last = int(ends[1]), int(ends[2])
            return frozenset(range(first, last + 1)) if last < len(self.names) else _NOTHING
        return frozenset(range(len(self.names)))

    def _described(self, found: Found) -> str:
        """Name what was found."""
        first, *others = sorted(found)
        if not others:
            return f"{self.kind} {first} ({self.names[first]})"
        return f"{self.kind}s {format_ranges(found)}"

    def _unknown(self, word: _Word) -> str:
        """Say that nothing is meant by a word, and what might have been."""
        ends = _RANGE.fullmatch(word.text) if self.kind == "FOV" else None
        if ends is not None and int(ends[1]) > int(ends[2]):
            return f"the range {_quoted(word.text)} runs backwards"
        file_has = f"the file has {self.known}"
        if word.form != "name" and ends is not None:
            return f"there is no {self.kind} {int(ends[2])}; {file_has}"
        if word.form != "name" and (number := _NUMBER.fullmatch(word.text)):
            return f"there is no {self.kind} {int(number[1])}; {file_has}"
        unknown = f"there is no {self.kind} {_quoted(word.text)}; "
        if self.kind == "FOV":
            expected = "expected names, numbers and ranges such as 0-3,7"
            unknown = f"{expected}, found {_quoted(word.text)}: {unknown}"
        by_key = {_folded(name): name for name in reversed(self.names)}
        close = difflib.get_close_matches(_folded(word.text), by_key, n=1)
        return (
            f"{unknown}did you mean {by_key[close[0]]!r}? T{file_has[1:]}"
            if close
            else (unknown + file_has)
        )


@dataclass(frozen=True)
class _Word:
    """What was typed: ``text``, after ``name:`` or ``index:`` if `form` says so."""

    form: Literal["name", "index"] | None
    text: str
    whole: str

    @classmethod
    def parse(cls, typed: str) -> _Word:
        """Take a word apart."""
        match = _FORM.fullmatch(typed)
        if match is None:
            return cls(None, typed, typed)
        return cls("name" if match[1].casefold() == "name" else "index", match[2].strip(), typed)

    @property
    def as_names(self) -> tuple[str, ...]:
        """The names that it may be; a name can itself begin like one of the forms."""
        if self.form == "index":
            return () if self.is_place else (self.whole,)
        return self.text, self.whole

    @property
    def is_place(self) -> bool:
        """Whether the text can be read as places."""
        return _PLACES.fullmatch(self.text) is not None


def _quoted(word: str) -> str:
    return repr(word if len(word) <= _LONGEST else f"{word[:_LONGEST]}…")


@functools.lru_cache(maxsize=4)
def _places(names: tuple[str, ...]) -> tuple[dict[str, Found], dict[str, Found]]:
    """Return the places of names: by name, and by what else they are known by."""
    exact: dict[str, Found] = {}
    nearly: dict[str, Found] = {}
    for place, name in enumerate(names):
        for table, key in ((exact, _canonical(name)), (nearly, _folded(name))):
            table[key] = table.get(key, _NOTHING) | {place}
    return exact, nearly


def _canonical(name: str) -> str:
    """Return one form of what looks the same: é is one character or two."""
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    """Return what a name is compared by where no name fits to the letter; a number by its value."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    text = " ".join(text.split())
    number = _NUMBER.fullmatch(text)
    return text if number is None else str(int(number[1]))
