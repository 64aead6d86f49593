"""The client's types, generated from the server's: `python -m pyama_core.app.client_types FILE`.

Every model that a question or an answer is made of becomes an interface, and every endpoint an
entry by its path, so that the client cannot ask for what does not exist.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pyama_core.app.application import endpoints
from pyama_core.app.events import Event
from pyama_core.app.messages import Blob, Failure, Message, TableHeader
from pyama_core.app.routing import Endpoint

_HEAD = """\
// Generated from the server's types by `python -m pyama_core.app.client_types`; do not edit.

import type { Pixels, Table } from "./binary.js";
"""
_PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


def write_types(path: Path) -> None:
    """Write the types of everything that the client can ask for and be told."""
    path.write_text(as_typescript(endpoints()), encoding="utf-8", newline="\n")


def as_typescript(known: Sequence[Endpoint]) -> str:
    """Return the types that some endpoints, and the stream of events, need."""
    asked = _reachable(endpoint.asks for endpoint in known)
    answers = [endpoint.answers for endpoint in known if issubclass(endpoint.answers, Message)]
    told = _reachable([*answers, *typing.get_args(Event), Failure, TableHeader])
    models = _by_name({*asked, *told})
    parts = [_HEAD, *(_interface(model, optional=model not in told) for model in models)]
    parts.append(f"export type Event = {_type(Event)};\n")
    for name, method in (("Reads", "GET"), ("Changes", "POST")):
        lines = [
            f'  "{each.path}": {{ asks: {each.asks.__name__}; answers: {each.answers.__name__} }};'
            for each in known
            if each.method == method
        ]
        parts.append("\n".join([f"export interface {name} {{", *lines, "}\n"]))
    return "\n".join(parts)


def _by_name(models: Iterable[type[Message]]) -> list[type[Message]]:
    """Sort models by name, of which TypeScript knows one each."""
    known: dict[str, type[Message]] = {}
    for model in models:
        other = known.setdefault(model.__name__, model)
        if other is not model:
            raise TypeError(
                f"{other.__module__} and {model.__module__} both have a message called "
                f"{model.__name__}; give one another name"
            )
    return [known[name] for name in sorted(known)]


def _interface(model: type[Message], *, optional: bool) -> str:
    """Return a model as an interface, in which what has a default may be left out of questions."""
    lines = [f"/** {_first_line(model)} */", f"export interface {model.__name__} {{"]
    for name, field in model.model_fields.items():
        mark = "?" if optional and not field.is_required() else ""
        lines.append(f"  {name}{mark}: {_type(field.annotation)};")
    return "\n".join([*lines, "}\n"])


def _first_line(model: type[Message]) -> str:
    return (inspect.getdoc(model) or "").partition("\n")[0].replace("*/", "")


def _type(annotation: Any) -> str:
    """Return a type of Python in TypeScript.

    Examples
    --------
    >>> _type(tuple[int | None, ...])
    'readonly (number | null)[]'
    """
    if isinstance(annotation, type) and issubclass(annotation, Message):
        return annotation.__name__
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " | ".join(f'"{value}"' for value in annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return " | ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in args)
    if origin in (types.UnionType, typing.Union):
        return " | ".join(map(_type, args))
    if origin is tuple and args[-1] is Ellipsis:
        inner = _type(args[0])
        return f"readonly ({inner})[]" if "|" in inner else f"readonly {inner}[]"
    if origin is tuple:
        return f"readonly [{', '.join(map(_type, args))}]"
    if origin is dict:
        return f"Readonly<Record<{_type(args[0])}, {_type(args[1])}>>"
    if annotation is Any:
        return "unknown"
    raise TypeError(f"{annotation} has no counterpart in TypeScript; give it one")


def _reachable(models: Iterable[type[Any]]) -> set[type[Message]]:
    """Return models and those that they are made of."""
    found: set[type[Message]] = set()
    waiting = [model for model in models if not issubclass(model, Blob)]
    while waiting:
        model = waiting.pop()
        if model not in found:
            found.add(model)
            for field in model.model_fields.values():
                waiting += _models_in(field.annotation)
    return found


def _models_in(annotation: Any) -> Iterator[type[Message]]:
    if isinstance(annotation, type) and issubclass(annotation, Message):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models_in(part)


if __name__ == "__main__":
    write_types(Path(sys.argv[1]))
