"""What *Export* does: results in the forms of other programs."""

from __future__ import annotations

import os
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from pyama_core.app.desk import Desk
from pyama_core.app.events import ExportTold
from pyama_core.app.export_jobs import Wanted
from pyama_core.app.messages import Done, Message
from pyama_core.app.routes.looking import AskResults
from pyama_core.app.routing import changes, reads
from pyama_core.errors import InputError
from pyama_core.exports.destination import is_taken
from pyama_core.exports.exporting import place_of
from pyama_core.exports.forms import ExportForm, all_forms, form_named
from pyama_core.exports.options import FeatureOptions


class StartExport(AskResults):
    """A part of the results, and the form that it is wanted in."""

    form: str
    path: str = ""
    """What to write; empty for the usual place, and a name alone for one beside it."""
    fovs: tuple[int, ...] = ()
    """Only these; none stands for all."""
    samples: tuple[str, ...] = ()
    """Only these; none stands for all."""
    good_only: bool = False
    overwrite: bool = False
    options: dict[str, str] = Field(default_factory=dict)
    """Of the form."""
    features: tuple[str, ...] = ()
    """Only these measurements; none stands for all."""


class CancelExport(Message):
    """An export that is to end."""

    number: int


class FormOption(Message):
    """Something that can be asked of a form."""

    name: str
    choices: tuple[str, ...]
    usual: str


class Form(Message):
    """A form that results can be exported in."""

    name: str
    people: str
    """Who, or which programs, it is for."""
    about: str
    kind: Literal["file", "folder"]
    lacks: str
    """What is to be installed first; empty if nothing is."""
    options: tuple[FormOption, ...]
    has_features: bool
    """Whether one can choose among measurements."""
    path: str
    """Where it lands, unless another place is given."""
    is_there: bool
    """Whether something is there already."""


class Forms(Message):
    """All forms, and how exports of these results are."""

    forms: tuple[Form, ...]
    features: tuple[str, ...]
    """Measurements that there are."""
    exports: tuple[ExportTold, ...]


def forms(desk: Desk, asked: AskResults) -> Forms:
    """Tell all forms."""
    results = desk.results(asked.at)
    return Forms(
        forms=tuple(_form(form, results.folder) for form in all_forms()),
        features=results.select().features,
        exports=desk.exports.of(results.folder),
    )


def _form(form: ExportForm, folder: Path) -> Form:
    path = place_of(folder, form)
    return Form(
        name=form.name,
        people=form.people,
        about=form.about,
        kind="folder" if form.is_folder else "file",
        lacks=form.lacks() or "",
        options=tuple(_options_of(form)),
        has_features=issubclass(form.options, FeatureOptions),
        path=str(path),
        is_there=is_taken(path),
    )


def _options_of(form: ExportForm) -> Iterator[FormOption]:
    for name, about in form.options.model_fields.items():
        if typing.get_origin(about.annotation) is Literal:
            choices = typing.get_args(about.annotation)
            yield FormOption(name=name, choices=choices, usual=str(about.default))


def start(desk: Desk, asked: StartExport) -> ExportTold:
    """Begin an export."""
    results, form = desk.results(asked.at), form_named(asked.form)
    desk.fovs(asked.at)  # no field of view leads out of the roots
    options: dict[str, Any] = {**asked.options}
    if asked.features:
        options["features"] = asked.features
    form.options.read(form.name, options)
    if lacks := form.lacks():
        raise InputError(lacks)
    return desk.exports.start(
        Wanted(
            at=results.folder,
            form=form.name,
            path=_place(desk, asked, form, results.folder),
            options=options,
            overwrite=asked.overwrite,
            select=lambda: results.select(
                asked.fovs or None, asked.samples or None, good_only=asked.good_only
            ),
        )
    )


def _place(desk: Desk, asked: StartExport, form: ExportForm, folder: Path) -> Path:
    """Return what to write.

    Raises
    ------
    InputError
        It is not below the roots, or its folder does not exist.
    """
    usual = place_of(folder, form)
    place = usual.parent / asked.path if asked.path else usual
    if Path(asked.path or usual).name in ("", ".", ".."):
        raise InputError(f"expected the name of a {form.name} export, found {asked.path!r}")
    if place.parent != usual.parent or os.path.lexists(usual.parent):
        place = desk.roots.inside(place.parent) / place.name
    if os.path.lexists(place):
        place = desk.roots.inside(place)
    return place


def cancel(desk: Desk, asked: CancelExport) -> Done:
    """Stop an export."""
    desk.exports.cancel(asked.number)
    return Done()


ENDPOINTS = (
    reads("/api/forms", forms),
    changes("/api/export", start),
    changes("/api/export/cancel", cancel),
)
