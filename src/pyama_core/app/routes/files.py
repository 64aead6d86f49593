"""What *Files* shows: folders, and what the files and results in them hold."""

from __future__ import annotations

from pyama_core.app.cards import card_of, thumbnail_of
from pyama_core.app.desk import Desk
from pyama_core.app.file_cards import Card
from pyama_core.app.listing import Folder, list_folder
from pyama_core.app.messages import Message, Pixels
from pyama_core.app.routing import changes, reads
from pyama_core.demo import write_demo
from pyama_core.demo.kinds import KINDS, DemoKind
from pyama_core.errors import InputError


class AskFolder(Message):
    """A folder; empty for where to begin."""

    at: str = ""


class AskThing(Message):
    """A file or folder."""

    at: str


class AskDemos(Message):
    """The demos that there are."""


class Demo(Message):
    """A demo, and what is in it in words."""

    kind: DemoKind
    about: str


class Demos(Message):
    """The demos that there are."""

    demos: tuple[Demo, ...]


class MakeDemo(Message):
    """Write a demo into a folder."""

    at: str
    kind: DemoKind = DemoKind.ADHERENT


class Made(Message):
    """Something was made."""

    at: str


def folder(desk: Desk, asked: AskFolder) -> Folder:
    """List a folder."""
    return list_folder(desk.roots, asked.at)


def card(desk: Desk, asked: AskThing) -> Card:
    """Tell what a file or folder holds."""
    return card_of(desk, asked.at)


def thumbnail(desk: Desk, asked: AskThing) -> Pixels:
    """Draw what a file or folder holds."""
    return Pixels.of(thumbnail_of(desk, asked.at))


def demos(_desk: Desk, _asked: AskDemos) -> Demos:
    """List the synthetic experiments that can be written."""
    return Demos(demos=tuple(Demo(kind=kind, about=known.about) for kind, known in KINDS.items()))


def demo(desk: Desk, asked: MakeDemo) -> Made:
    """Write a small synthetic experiment, with which everything can be tried."""
    name = "demo" if asked.kind is DemoKind.ADHERENT else f"demo_{asked.kind}"
    place = desk.roots.inside(asked.at) / name
    if place.exists():
        raise InputError(f"{place} is there already; open it, or delete it first")
    return Made(at=str(write_demo(place, kind=asked.kind).image))


ENDPOINTS = (
    reads("/api/folder", folder),
    reads("/api/card", card),
    reads("/api/thumbnail", thumbnail),
    reads("/api/demos", demos),
    changes("/api/demo", demo),
)
