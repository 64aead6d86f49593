"""Writes the pages of the reference that follow from the code: `python docs/reference_pages.py`.

The test of these pages fails until this was run after a change of an option, a parameter, a kind of
output or a column.
"""

from __future__ import annotations

import importlib
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pyama_core.processing.parameters import MethodParameters

HERE = Path(__file__).parent / "reference"
MADE = "<!-- Written by docs/reference_pages.py: change the code, not this page. -->"


def pages() -> dict[str, str]:
    """Return the text of each page, by its name."""
    return {
        "commands.md": commands(),
        "configuration.md": configuration(),
        "files.md": with_tables((HERE / "files.md").read_text(encoding="utf-8")),
    }


# The command line.

OF_COMMANDS = (
    "`pyama COMMAND --help` tells the same. Exit codes: 0 all went well; 1 some of it failed, or "
    "something is missing; 2 what was asked for cannot be done, and nothing was begun; 3 stopped "
    "by `--strict`; 130 stopped by you. Every command has `--debug`, which shows tracebacks."
)


def commands() -> str:
    from pyama_core.cli.app import app

    group = typer.main.get_command(app)
    assert hasattr(group, "commands")
    parts = [
        MADE,
        "# Command line",
        OF_COMMANDS,
        *(part for name, known in group.commands.items() for part in _command(name, known)),
    ]
    return "\n\n".join(parts) + "\n"


def _command(name: str, known: click.Command) -> Iterator[str]:
    context = click.Context(known, info_name=f"pyama {name}")
    yield f"## pyama {name}"
    yield _escaped(" ".join((known.help or "").split()))
    usage = " ".join([context.command_path, *map(_bare, known.collect_usage_pieces(context))])
    yield f"```text\n{usage}\n```"
    rows = [row for row in map(_option, known.params) if row]
    if rows:
        yield _table(("option", "what it does"), rows)


def _bare(piece: str) -> str:
    return piece.strip("{}")


def _option(parameter: Any) -> tuple[str, str] | None:
    if parameter.name in ("debug", "help") or getattr(parameter, "hidden", False):
        return None
    about = " ".join((getattr(parameter, "help", None) or "").split())
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`", _escaped(about)
    flags = ", ".join(f"`{flag}`" for flag in (*parameter.opts, *parameter.secondary_opts))
    word = "" if parameter.is_flag else f" {_escaped(str(parameter.metavar or ''))}".rstrip()
    default = parameter.default
    if default not in (None, False, True, (), []) and getattr(parameter, "show_default", False):
        about += f" Default: {default}."
    return f"{flags}{word}", _escaped(about)


# The configuration.

OF_CONFIGURATION = (
    "`pyama run --config run.yaml` takes all of this from a file, `pyama run … --write-config` "
    "writes one with comments, `run.yaml`. Flags win over the file; what is left out is the "
    "default; an unknown key is refused, with the nearest known one. Relative paths start from the "
    "folder of the file. From Python, `ProcessingContext(params={step: {name: value}})` takes the "
    "sections of the steps."
)


def configuration() -> str:
    from pyama_core.processing.workflow.configuration import RunConfig
    from pyama_core.processing.workflow.services.parameters import StepParameters

    sections = StepParameters.model_fields
    top = {name: field for name, field in RunConfig.model_fields.items() if name not in sections}
    channels = top.pop("channels").annotation
    parts = [
        MADE,
        "# Configuration",
        OF_CONFIGURATION,
        "## The run",
        _fields(top),
        "### channels",
        _fields(_model(channels).model_fields),
    ]
    for step, field in sections.items():
        parts.append(f"## {step}")
        if step in METHODS:
            parts += _methods(METHODS[step])
        elif step == "nuclei":
            parts.append(
                "Used where `extraction.features` asks for compartments: any method of "
                "[segmentation](#segmentation), `bright` by default."
            )
        else:
            parts.append(_fields(_model(field.annotation).model_fields))
        if step == "extraction":
            parts += ["### Words for several features", _groups()]
    return "\n\n".join(parts) + "\n"


METHODS = {
    "segmentation": "pyama_core.processing.segmentation.segmenter",
    "correction": "pyama_core.processing.background.corrector",
    "tracking": "pyama_core.processing.tracking.tracker",
}
"""The module of each step that knows its built-in methods."""


def _methods(of_step: str) -> Iterator[str]:
    """Tell the parameters of all methods, without what they need to be installed."""
    for name, path in importlib.import_module(of_step)._BUILT_IN.items():
        module = importlib.import_module(path.partition(":")[0])
        (model,) = (
            found
            for found in vars(module).values()
            if isinstance(found, type)
            and issubclass(found, MethodParameters)
            and found.model_fields["method"].default == name
        )
        yield f"### method: {name}"
        fields = model.model_fields
        yield _fields({key: field for key, field in fields.items() if key != "method"})


def _groups() -> str:
    from pyama_core.processing.extraction.feature_names import GROUPS

    rows = [
        (f"`{word}`", ", ".join(f"`{name}`" for name in names)) for word, names in GROUPS.items()
    ]
    return _table(("word", "features"), rows)


def _model(annotation: object) -> type[BaseModel]:
    assert isinstance(annotation, type)
    assert issubclass(annotation, BaseModel)
    return annotation


def _fields(fields: Mapping[str, FieldInfo]) -> str:
    rows = []
    for name, field in fields.items():
        assert field.description, f"{name} says nowhere what it is"
        rows.append((f"`{name}`", _default(field), _type(field), _escaped(field.description)))
    if not rows:
        return "No parameters."
    return _table(("key", "default", "type", "what it is"), rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True)
    return "empty" if value is None else f"`{_plain(value)}`"


def _plain(value: object) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_plain(each) for each in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


_BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def _type(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(found, key)}"
        for found in field.metadata
        for key, sign in _BOUNDS.items()
        if getattr(found, key, None) is not None
    ]
    return _escaped(", ".join([_type_words(field.annotation), *bounds]))


def _type_words(kind: Any) -> str:
    if hasattr(kind, "__value__"):
        kind = kind.__value__
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _type_words(inner[0])
    if origin is typing.Literal:
        return " or ".join(str(each) for each in inner)
    if origin in (typing.Union, types.UnionType):
        words = [_type_words(each) for each in inner if each is not type(None)]
        return " or ".join(dict.fromkeys(words))
    if origin in (list, tuple):
        return f"list of {_type_words(inner[0])}"
    if origin is dict:
        return "mapping"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return names.get(kind, {"Path": "path"}.get(getattr(kind, "__name__", ""), "text"))


# Files and columns.


def with_tables(text: str) -> str:
    """Return the page of output files with the tables in it made anew."""
    for name, table in {
        "outputs": _outputs(),
        "traces": _columns_of(trace_columns()),
        "tracks": _columns_of(TRACKS),
        "shifts": _columns_of(SHIFTS),
        "nuclei": _columns_of(NUCLEI),
        "export": _export(),
    }.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        pattern = re.escape(begin) + ".*?" + re.escape(end)
        assert re.search(pattern, text, re.DOTALL), f"no place for {name}"
        new = f"{begin}\n{table}\n{end}"
        text = re.sub(pattern, lambda _, new=new: new, text, flags=re.DOTALL)
    return text


def _outputs() -> str:
    from pyama_core.outputs import KINDS

    rows = [
        (
            f"`{{base}}_fov_000_{kind.stem}{'_ch_N' if kind.names_channel else ''}{kind.suffix}`",
            kind.step,
            OUTPUT_WORDS[kind.name],
            kind.dtype or ("text" if kind.suffix == ".csv" else OTHER_TYPES[kind.name]),
            f"`{kind.name}`" if kind.releasable else "",
        )
        for kind in KINDS
    ]
    return _table(("file", "made by", "what it holds", "type", "released as"), rows)


OUTPUT_WORDS = {
    "pc": "the channel in which cells are found: phase contrast, or another",
    "fl": "a channel that is measured",
    "seg": "cells of each frame: 0 in the background",
    "fl_corrected": "fluorescence without background",
    "seg_labeled": "label image: the number of the cell, the same in all frames",
    "tracks_csv": "one row per cell",
    "shifts_csv": "one row per frame: movements of the stage",
    "nuclei": "label image of nuclei: each has the number of its cell",
    "nuclei_csv": "one row per nucleus and frame",
    "traces_csv": "one row per cell and frame, a table per channel",
}
OTHER_TYPES = {"pc": "of the file", "fl": "of the file", "seg": "bool, or labels"}

Meanings = Mapping[str, tuple[str, str]]
"""Of columns: unit and words."""

_KEYS: dict[str, tuple[str, str]] = {
    "fov": ("", "number of the field of view, from 0"),
    "cell": ("", "number of the cell, as in the label image"),
    "frame": ("", "number of the frame, from 0"),
}
TRACKS: Meanings = {
    "fov": _KEYS["fov"],
    "cell": _KEYS["cell"],
    "parent": ("", "cell that divided into this one; empty for none"),
    "first_frame": ("", "first frame in which the cell is seen, from 0"),
    "last_frame": ("", "last frame in which the cell is seen"),
    "fate": ("", "end of movie, left the frame, lost, divided or merged"),
    "n_frames": ("frames", "in how many frames the cell is seen"),
    "n_merged": ("frames", "in how many of them its object held other cells too"),
    "link_confidence": (
        "1",
        "how probable it is that the least sure of its links is right, 0 to 1",
    ),
    "link_frame": ("", "the frame which that link leads to: where to look first"),
    "unsure_links": (
        "",
        "all links that are less sure than 0.97, as frame:confidence, separated by spaces",
    ),
    "generation": ("", "divisions that led to the cell; where divisions are looked for"),
    "fate_probability": (
        "1",
        "how probable it is that the cell divided, if that is its fate, or that it did not",
    ),
    "birth_probability": ("1", "how probable the division is that it came from, 0 to 1"),
    "cycle_frames": ("frames", "from its mother's division to its own; empty if one is not seen"),
    "n_joined": ("frames", "in how many its object was put together, as other frames tell"),
    "n_cut": ("frames", "in how many its object was cut out of another, as other frames tell"),
}
SHIFTS: Meanings = {
    "fov": _KEYS["fov"],
    "frame": _KEYS["frame"],
    "shift_x": ("px", "columns that the image moved since the frame before; empty if not known"),
    "shift_y": ("px", "rows that the image moved since the frame before"),
}
NUCLEI: Meanings = {
    "fov": _KEYS["fov"],
    "frame": _KEYS["frame"],
    "nucleus": ("", "number of the nucleus in its frame, from 1"),
    "cell": ("", "the cell that holds most of it; empty for none"),
    "area": ("px²", "number of pixels"),
    "part_in_cell": ("1", "part of its pixels that lies in that cell, 0 to 1"),
    "position_x": ("px", "column of the centroid; the centre of the first pixel is 0"),
    "position_y": ("px", "row of the centroid"),
}


def trace_columns() -> Meanings:
    """Return what each column of traces holds, in the order in which they stand."""
    from pyama_core.exports.columns import meaning_of
    from pyama_core.processing.extraction.feature_names import BUILT_IN, SATURATED_PART
    from pyama_core.processing.extraction.quality import Reason

    columns: dict[str, tuple[str, str]] = {
        **_KEYS,
        "time": ("min", "since the first frame of the file; empty if the file does not tell"),
        "good": ("", "whether the cell can be trusted in this channel: True or False"),
        "position_x": ("px", "column of the centroid; the centre of the first pixel is 0"),
        "position_y": ("px", "row of the centroid"),
        "intensity_total": ("grey values", "sum of the corrected fluorescence over the cell"),
        "area": ("px²", "number of pixels"),
        "reason": (
            "",
            "why not good; empty if it is: " + ", ".join(filter(None, typing.get_args(Reason))),
        ),
    }
    for name in (*BUILT_IN, SATURATED_PART):
        meaning = meaning_of(f"{name}_CH", ["CH"])
        if not meaning.words:
            meaning = meaning_of(name, [])
        assert meaning.words, f"{name} says nowhere what it is"
        columns[name] = (meaning.unit, meaning.words.removesuffix(", channel CH"))
    return columns


def _columns_of(columns: Meanings) -> str:
    return _table(
        ("column", "unit", "what it holds"),
        [(f"`{name}`", unit, _escaped(words)) for name, (unit, words) in columns.items()],
    )


def _export() -> str:
    from pyama_core.exports.columns import meaning_of

    names = ("sample", "name", "time_min", "time_h", "daughters", "corrections")
    known = {name: meaning_of(name, []) for name in names}
    return _columns_of({name: (found.unit, found.words) for name, found in known.items()})


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return re.sub(r"([|<>*_`\[\]])", r"\\\1", text)


def main() -> None:
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
