"""Numbers that metadata state as text, and what to do with what is none.

An attribute that a format requires is told of in words and stops the reading. What could be done
without (a pixel size, a time) is lost, with a warning: some programs write numbers the way their
user's language does, and a comma may stand for a point or for thousands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

_SHOWN = 40
_MAX_DIGITS = 18
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,18}\s*")


class MisstatedError(ValueError):
    """A required attribute is absent or no number; says which and what was expected."""


def required(element: ET.Element, name: str, expected: str) -> str:
    """Return the text of an attribute.

    Raises
    ------
    MisstatedError
        If it is absent.
    """
    text = element.get(name)
    if text is None:
        raise MisstatedError(f"has no {name} in {tag_of(element)}, expected {expected}")
    return text


def whole_number(element: ET.Element, name: str, default: int | None = None) -> int:
    """Return a whole number; `default` where the attribute is absent, unless that is None.

    Raises
    ------
    MisstatedError
        If it is no whole number, or required and absent.
    """
    text = element.get(name)
    if text is None:
        if default is not None:
            return default
        text = required(element, name, "a whole number")
    number = _as_whole(text)
    if number is None:
        raise misstated(element, name, "a whole number")
    return number


def misstated(element: ET.Element, name: str, expected: str) -> MisstatedError:
    """Return the error for an attribute that is not what it should be."""
    found = shortened(element.get(name, ""))
    return MisstatedError(f'has {name}="{found}" in {tag_of(element)}, expected {expected}')


def tag_of(element: ET.Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def shortened(text: str) -> str:
    """Cut a text that may be long, for a message of one line."""
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


class Doubts:
    """What is optional and no number, counted and told of once each."""

    def __init__(self) -> None:
        # By attribute: the first text that was no number, and how many there were.
        self._found: dict[str, tuple[str, int]] = {}

    def number(self, element: ET.Element, name: str, factor: float = 1.0) -> float | None:
        """Return a number times a factor; None where it is absent, not finite or, noted, none."""
        text = element.get(name)
        number = None if text is None else self.value(text, f"{tag_of(element)} {name}")
        return None if number is None or not math.isfinite(number * factor) else number * factor

    def whole(self, element: ET.Element, name: str) -> int | None:
        """Return a whole number; None where the attribute is absent or, noted, no number."""
        text = element.get(name)
        if text is None:
            return None
        number = _as_whole(text)
        if number is None:
            self.note(text, f"{tag_of(element)} {name}")
        return number

    def value(self, text: str, what: str) -> float | None:
        """Return the finite number that a text says; None, noted, if it says none."""
        try:
            number = float(text)
        except ValueError:
            self.note(text, what)
            return None
        if "_" in text:  # which Python alone takes for part of a number
            self.note(text, what)
            return None
        return number if math.isfinite(number) else None

    def note(self, text: str, what: str) -> None:
        """Remember that a text is not the number that `what` should be."""
        first, count = self._found.get(what, (text, 0))
        self._found[what] = first, count + 1

    def told(self) -> Iterator[str]:
        """Return a sentence for each kind of attribute."""
        for what, (text, count) in self._found.items():
            places = f" in {count} places" if count > 1 else ""
            yield f'{what} is no number{places} ("{shortened(text)}") and is ignored'


def _as_whole(text: str) -> int | None:
    if text.isdigit() and text.isascii() and len(text) <= _MAX_DIGITS:
        return int(text)
    return int(text) if _WHOLE.fullmatch(text) else None
