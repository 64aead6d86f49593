"""The parameters of all steps, validated in one place before anything is touched."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    ValidationError,
    create_model,
)

from pyama_core.errors import InputError
from pyama_core.processing.background.corrector import CorrectionMethod, find_correction
from pyama_core.processing.background.tiled_interpolation.method import TiledInterpolationParameters
from pyama_core.processing.extraction.parameters import ExtractionParameters
from pyama_core.processing.method_files import with_absolute_paths
from pyama_core.processing.parameters import MethodParameters
from pyama_core.processing.segmentation.bright.method import BrightParameters
from pyama_core.processing.segmentation.instances.method import InstanceParameters
from pyama_core.processing.segmentation.segmenter import SegmentationMethod, find_segmentation
from pyama_core.processing.tracking.lineage.method import LineageParameters
from pyama_core.processing.tracking.tracker import TrackingMethod, find_tracking

SectionsT = TypeVar("SectionsT", bound="StepParameters")


class CopyingParameters(BaseModel):
    """Which plane of a z-stack is copied."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    z: NonNegativeInt | Literal["max"] | None = Field(
        default=None,
        description="plane of a z-stack, from 0, or max for the maximum projection; "
        "empty: as the file was opened, the first plane",
    )


class StepParameters(BaseModel):
    """One section per step, named as the step, in the form in which parameters are validated.

    The sections of segmentation, correction, tracking and nuclei are those of the default methods;
    another method puts its own in their place (`validate_sections`). Nuclei are segmented by the
    methods by which cells are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    copying: CopyingParameters = CopyingParameters()
    segmentation: InstanceParameters = InstanceParameters()
    correction: TiledInterpolationParameters = TiledInterpolationParameters()
    tracking: LineageParameters = LineageParameters()
    nuclei: BrightParameters = BrightParameters()
    extraction: ExtractionParameters = ExtractionParameters()

    def steps(self) -> Parameters:
        """Return the sections of the steps alone, as a value that travels between processes."""
        sections = {part.name: getattr(self, part.name) for part in dataclasses.fields(Parameters)}
        return Parameters(**sections)


@dataclass(frozen=True)
class Parameters:
    """Validated parameters of all steps, by whatever methods were chosen."""

    copying: CopyingParameters = field(default_factory=CopyingParameters)
    segmentation: MethodParameters = field(default_factory=InstanceParameters)
    correction: MethodParameters = field(default_factory=TiledInterpolationParameters)
    tracking: MethodParameters = field(default_factory=LineageParameters)
    nuclei: MethodParameters = field(default_factory=BrightParameters)
    extraction: ExtractionParameters = field(default_factory=ExtractionParameters)

    def of_step(self, step: str) -> BaseModel | None:
        """Return the section of a step; None for a step without parameters."""
        section: BaseModel | None = vars(self).get(step)
        return section

    def as_plain_data(self) -> dict[str, dict[str, Any]]:
        """Return ``{step: {name: value}}``, defaults included."""
        return {step: section.model_dump(mode="json") for step, section in vars(self).items()}


def defaults_of(section: BaseModel) -> dict[str, Any]:
    """Return the defaults of the parameters of a section, as records keep them."""
    return dict(_defaults(type(section)))


@functools.lru_cache(maxsize=64)
def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    optional = {name for name, known in model.model_fields.items() if not known.is_required()}
    return model.model_construct().model_dump(mode="json", include=optional)


def validate_params(
    params: Mapping[str, Mapping[str, Any]] | None, segmentation: str = "instances"
) -> StepParameters:
    """Check the parameters of a run.

    Parameters
    ----------
    params : mapping or None
        ``{step: {name: value}}``. The name ``method`` of segmentation, correction, tracking and
        nuclei decides which other names there are.
    segmentation : str
        The method of segmentation where they name none.

    Returns
    -------
    StepParameters
        All parameters, defaults filled in.

    Raises
    ------
    InputError
        An unknown step, method or name (with the nearest known one) or a value out of bounds.

    Examples
    --------
    >>> validate_params({"correction": {"tile_size": 128}}).correction.tile_size
    128
    """
    return validate_sections(StepParameters, params or {}, segmentation=segmentation)


def validate_sections(
    model: type[SectionsT],
    content: Mapping[str, Any],
    base: Path | None = None,
    segmentation: str = "instances",
) -> SectionsT:
    """Check a configuration that has sections for the steps; see `validate_params`.

    Relative paths in the sections start from the folder `base`, by default the current one;
    `segmentation` is the method where none is named.
    """
    chosen: type[SectionsT] = _with_methods(
        model,
        _parameters_of(find_segmentation, content, "segmentation", segmentation),
        _parameters_of(find_correction, content, "correction", "tiled-interpolation"),
        _parameters_of(find_tracking, content, "tracking", "lineage"),
        _parameters_of(find_segmentation, content, "nuclei", "bright"),
    )
    try:
        checked = chosen.model_validate(content)
    except ValidationError as error:
        raise _explained(error, chosen) from error
    sections = {name: getattr(checked, name) for name in StepParameters.model_fields}
    absolute = {name: with_absolute_paths(found, base) for name, found in sections.items()}
    return checked.model_copy(update=absolute) if absolute != sections else checked


def _parameters_of(
    find: Callable[[str], SegmentationMethod | CorrectionMethod | TrackingMethod],
    content: Mapping[str, Any],
    step: str,
    default: str,
) -> type[BaseModel]:
    """Return the parameters of the method that a section names."""
    section = content.get(step)
    name = section.get("method", default) if isinstance(section, Mapping) else default
    try:
        return find(str(name)).parameters
    except InputError as error:
        raise ParameterError(str(error), (step, "method")) from error


@functools.lru_cache(maxsize=32)
def _with_methods(
    model: type[SectionsT],
    segmentation: type[BaseModel],
    correction: type[BaseModel],
    tracking: type[BaseModel],
    nuclei: type[BaseModel],
) -> type[SectionsT]:
    """Return a model whose sections have the names that the chosen methods know."""
    sections = {
        "segmentation": segmentation,
        "correction": correction,
        "tracking": tracking,
        "nuclei": nuclei,
    }
    if all(StepParameters.model_fields[name].annotation is sections[name] for name in sections):
        return model
    fields: dict[str, Any] = {
        name: (found, Field(default_factory=found)) for name, found in sections.items()
    }
    chosen: type[SectionsT] = create_model(
        model.__name__,
        __base__=model,
        __doc__=model.__doc__,
        **fields,
    )
    return chosen


class ParameterError(InputError):
    """A value of a configuration cannot be used.

    Attributes
    ----------
    place : tuple of str
        Keys that lead to the value.
    reason : str
        What is wrong, without the place.
    """

    def __init__(self, message: str, place: Sequence[str] = (), reason: str = "") -> None:
        super().__init__(message)
        self.place = tuple(place)
        self.reason = reason or message


def _explained(error: ValidationError, model: type[BaseModel]) -> ParameterError:
    """Say in one sentence what is wrong with the first wrong value of a configuration."""
    problem = error.errors(include_url=False)[0]
    place = _keys_of(model, problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _known_keys(model, place[:-1])
        hint = _of_another_method(place) or nearest(place[-1], known)
        return ParameterError(f"unknown key {'.'.join(place)!r}{hint}", place)
    if problem["type"] == "missing":
        return ParameterError(f"{'.'.join(place)}: needed, and not given", place)
    reason = problem["msg"].removeprefix("Value error, ")
    if reason == problem["msg"] or "found" not in reason:
        reason = f"{reason[:1].lower()}{reason[1:]}, found {problem.get('input')!r}"
    return ParameterError(f"{'.'.join(place)}: {reason}", place, reason)


def _of_another_method(place: list[str]) -> str:
    """Phrase that names the built-in method that has a parameter; empty if none has."""
    step, name = (place[0], place[-1]) if len(place) == 2 else ("", "")
    methods = {
        "segmentation": {m: find_segmentation(m).parameters for m in ("instances", "log-std")},
        "correction": {m: find_correction(m).parameters for m in ("tiled-interpolation",)},
        "tracking": {m: find_tracking(m).parameters for m in ("lineage", "iou")},
    }
    methods["nuclei"] = methods["segmentation"]
    for method, parameters in methods.get(step, {}).items():
        if name in parameters.model_fields:
            return f"; {step}.method: {method} has it, set that too"
    return ""


def nearest(word: str, known: list[str]) -> str:
    """Phrase that names the known word most like a mistaken one, or all if none is like it."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are {', '.join(sorted(known))}"


def _keys_of(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """Keys that lead to a value, without what pydantic adds for each type of a union."""
    keys = []
    for part in place:
        keys.append(str(part))
        known = model.model_fields.get(str(part))
        annotation = None if known is None else known.annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            break
        model = annotation
    return keys


def _known_keys(model: type[BaseModel], place: list[str]) -> list[str]:
    for part in place:
        annotation = model.model_fields[part].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return list(model.model_fields)
