"""The parameters of methods as controls of the page, made of the schemas of their models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from pyama_core.app.messages import Message
from pyama_core.errors import InputError
from pyama_core.processing.background.corrector import find_correction, known_corrections
from pyama_core.processing.segmentation.segmenter import find_segmentation, known_segmentations
from pyama_core.processing.tracking.tracker import find_tracking, known_trackings
from pyama_core.processing.workflow.services.analysis import default_segmentation
from pyama_core.processing.workflow.services.parameters import StepParameters
from pyama_core.processing.workflow.services.types import Channels

OTHER = "segmentation of another channel"
ControlKind = Literal["number", "integer", "flag", "choice", "text"]


class Control(Message):
    """A parameter, and what may be put in its place."""

    name: str
    description: str
    kind: ControlKind
    takes_text: bool
    """Whether a number may be a text as well, such as a length with its unit."""
    unit: str
    default: Any
    is_required: bool
    auto: bool
    """Whether it may be left to the program."""
    empty: bool
    """Whether it may be left out, which is not the same as a number."""
    low: float | None
    high: float | None
    is_low_allowed: bool
    """Whether the lower bound itself may be given."""
    step: float | None
    """Distance of values that may be given, from the lower bound; None for any."""
    choices: tuple[str, ...]


class Method(Message):
    """A method of a step, and its parameters."""

    name: str
    description: str
    controls: tuple[Control, ...]
    problem: str
    """Why it cannot be used here; empty if it can, as far as that is known."""


class Methods(Message):
    """The methods that there are, by step."""

    segmentation: tuple[Method, ...]
    correction: tuple[Method, ...]
    tracking: tuple[Method, ...]
    usual: dict[str, str]
    """The method of each step where none is named; ``segmentation of another channel`` is that of
    what is not phase contrast."""


class _HasParameters(Protocol):
    @property
    def parameters(self) -> type[BaseModel]: ...


def known_methods() -> Methods:
    """Return all methods, those of installed packages as well."""
    return Methods(
        segmentation=tuple(_methods(known_segmentations(), find_segmentation)),
        correction=tuple(_methods(known_corrections(), find_correction)),
        tracking=tuple(_methods(known_trackings(), find_tracking)),
        usual={
            "segmentation": default_segmentation(Channels(pc=0)),
            OTHER: default_segmentation(Channels(segment=0)),
            "correction": StepParameters().correction.method,
            "tracking": StepParameters().tracking.method,
        },
    )


def _methods(names: list[str], find: Callable[[str], _HasParameters]) -> Iterator[Method]:
    for name in names:
        try:
            method = find(name)
        except InputError as error:
            yield Method(name=name, description="", controls=(), problem=str(error))
            continue
        model = method.parameters
        yield Method(
            name=name,
            description=(model.__doc__ or "").partition("\n")[0],
            controls=tuple(_controls(model)),
            problem=_want_of(getattr(method, "needs", ""), name),
        )


def _want_of(package: str, method: str) -> str:
    """Return what to do about a package that is not installed; empty if it is, or none is needed.

    Examples
    --------
    >>> _want_of("json", "mine")
    ''
    """
    try:
        if not package or find_spec(package) is not None:
            return ""
    except ModuleNotFoundError:  # not even what it is a part of
        pass
    return (
        f"{method} needs the package {package}, which is not installed here: "
        f'pip install "pyama-core[{method}]", then start pyama app again'
    )


def _controls(model: type[BaseModel]) -> Iterator[Control]:
    """Yield the parameters of a model; those of the model itself before those that it shares."""
    schema = model.model_json_schema()
    required = schema.get("required", [])
    shared = [name for base in model.__mro__[1:] for name in getattr(base, "__annotations__", {})]
    own = set(getattr(model, "__annotations__", {}))
    names = sorted(schema["properties"], key=lambda name: name not in own and name in shared)
    for name in names:
        if name != "method":
            yield control_of(name, schema["properties"][name], is_required=name in required)


def control_of(name: str, schema: Mapping[str, Any], *, is_required: bool = False) -> Control:
    """Return a parameter as a control.

    Parameters
    ----------
    name : str
        Of the parameter.
    schema : mapping
        Its JSON schema.
    is_required : bool
        Whether it has no default.

    Examples
    --------
    >>> control_of("side", {"type": "integer", "minimum": 1, "description": "in pixels"}).low
    1.0
    """
    parts = schema.get("anyOf", [schema])
    types = {part.get("type") for part in parts}
    choices = tuple(str(each) for part in parts for each in part.get("enum", ()))
    default = schema.get("default")
    text = [part for part in parts if part.get("type") == "string" and "const" not in part]
    number: Mapping[str, Any] = next(
        (part for part in parts if part.get("type") in ("number", "integer")), {}
    )
    bounds = {**schema, **number}
    low = bounds.get("minimum", bounds.get("exclusiveMinimum"))
    description = str(schema.get("description", ""))
    kind: ControlKind = "text"
    if choices:
        kind = "choice"
    elif number:
        kind = "integer" if number["type"] == "integer" else "number"
    elif "boolean" in types:
        kind = "flag"
    return Control(
        name=name,
        description=description,
        kind=kind,
        takes_text=bool(text) and not choices and kind != "text",
        unit="px" if "pixels" in description or "pixel" in description.split() else "",
        default=default,
        is_required=is_required,
        auto=default == "auto" and not choices,
        empty="null" in types,
        low=None if low is None else float(low),
        high=_bound(bounds.get("maximum", bounds.get("exclusiveMaximum"))),
        is_low_allowed="exclusiveMinimum" not in bounds,
        step=_step(kind, bounds),
        choices=choices,
    )


def _step(kind: ControlKind, schema: Mapping[str, Any]) -> float | None:
    if kind != "integer":
        return None
    return 2.0 if schema.get("odd") else 1.0


def _bound(value: float | None) -> float | None:
    return None if value is None else float(value)
