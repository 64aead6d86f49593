"""The file: its parts put together, with a policy that allows no network and no other script."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files

from pyama_core.report.markup import Markup, el, joined
from pyama_core.report.place import GENERATOR
from pyama_core.report.ran import made_by

SCRIPT, STYLE, LICENCES = "report.js", "report.css", "LICENSES.txt"


def page(title: str, sections: Sequence[Markup | None], made_at: datetime) -> str:
    """Return the whole file.

    Parameters
    ----------
    title : str
        Of the page.
    sections : sequence of Markup
        From top to bottom; None is nothing.
    made_at : datetime
        When it is made.
    """
    script, style = _static(SCRIPT), _static(STYLE)
    policy = "; ".join(
        [
            "default-src 'none'",
            "img-src data:",
            f"script-src {_hash(script)}",
            f"style-src {_hash(style)}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    told = f"Made on {made_at:%Y-%m-%d %H:%M %z} by {made_by()}."
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="generator", content=GENERATOR),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", title),
        Markup(f"<style>{style}</style>"),
    )
    body = el(
        "body",
        el("header", el("h1", title), el("p", told, class_="quiet")),
        el("main", joined(section for section in sections if section)),
        el(
            "footer",
            el("details", el("summary", "Licences of the script"), el("pre", _static(LICENCES))),
            class_="quiet",
        ),
        Markup(f"<script>{script}</script>"),
    )
    return f'<!doctype html>\n<html lang="en">{head}{body}</html>\n'


@functools.cache
def _static(name: str) -> str:
    """Return a file of the client, which must not end the element that it stands in."""
    content = files("pyama_core.report").joinpath("static", name).read_text(encoding="utf-8")
    if "</script" in content.lower() or "</style" in content.lower():
        raise ValueError(f"{name} would end its own element")
    return content


def _hash(content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"
