"""HTML and SVG that are escaped wherever nobody says that they are not text."""

from __future__ import annotations

import html
import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

_KEPT = "\n\t"
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Categories of characters that show nothing, turn the direction of text, or are none."""
_EMPTY = ("br", "hr", "img", "input", "meta")


class Markup(str):
    """What is markup already."""

    __slots__ = ()


def visible(text: str) -> str:
    r"""Return a text in which every character shows, so that no name looks like another.

    Examples
    --------
    >>> visible("a\u202eb\x00")
    'a\\u202eb\\u0000'
    """
    return "".join(
        f"\\u{ord(character):04x}"
        if unicodedata.category(character) in _UNSEEN and character not in _KEPT
        else character
        for character in text
    )


def escaped(text: str) -> Markup:
    """Return a text as markup.

    Examples
    --------
    >>> escaped('<script>"')
    '&lt;script&gt;&quot;'
    """
    return Markup(html.escape(visible(text), quote=True))


def el(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """Make an element.

    Parameters
    ----------
    name : str
        Of the element.
    *children
        Texts, which are escaped; `Markup`, which is not; numbers; None, which is nothing; or
        several of these.
    **attributes
        Their names may end in an underscore, and have others for hyphens. None and False leave an
        attribute out, True gives one without a value.

    Examples
    --------
    >>> el("p", "a < b", el("br"), class_="quiet", hidden=True)
    '<p class="quiet" hidden>a &lt; b<br></p>'
    """
    told = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _EMPTY:
        return Markup(f"<{name}{told}>")
    return Markup(f"<{name}{told}>{joined(children)}</{name}>")


def _attribute(key: str, value: Any) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escaped(str(value))}"'


def joined(children: Iterable[Any]) -> Markup:
    """Return children of an element, one after the other."""
    return Markup("".join(map(_child, children)))


def _child(child: Any) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return escaped(child)
    if isinstance(child, (int, float)):
        return str(child)
    return joined(child)


def table(
    head: Sequence[Any], rows: Iterable[Sequence[Any]], *, numbers: Iterable[int] = (), **more: Any
) -> Markup:
    """Make a table.

    Parameters
    ----------
    head : sequence
        Names of the columns.
    rows : iterable of sequences
        The cells.
    numbers : iterable of int
        Columns with numbers, which stand to the right.
    **more
        Attributes of the table.
    """
    right = frozenset(numbers)

    def row(cells: Sequence[Any], kind: str) -> Markup:
        each = [
            el(
                kind,
                cell,
                class_="n" if i in right else None,
                scope="col" if kind == "th" else None,
            )
            for i, cell in enumerate(cells)
        ]
        return el("tr", each)

    body = [row(cells, "td") for cells in rows]
    made = el("table", el("thead", row(head, "th")), el("tbody", body), **more)
    return el("div", made, class_="scroll")


def pairs(rows: Iterable[tuple[str, Any]]) -> Markup:
    """Make a list of names and what belongs to them; those with nothing are left out."""
    return el(
        "dl", [(el("dt", name), el("dd", value)) for name, value in rows if value not in (None, "")]
    )


def data(name: str, value: Any) -> Markup:
    """Make a block of JSON that no browser runs, and that nothing within can end."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(f'<script type="application/json" id="{escaped(name)}">{text}</script>')
