"""The tracking by laptrack as the pipeline knows it: parameters and version."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from pydantic import Field, JsonValue, field_validator

from pyama_core.errors import InputError
from pyama_core.processing.parameters import MethodParameters
from pyama_core.processing.plugins import Imported
from pyama_core.processing.tracking.tracker import TrackingMethod


class LapTrackParameters(MethodParameters):
    """Parameters of the tracking by laptrack."""

    method: Literal["laptrack"] = Field("laptrack", description="name of the tracking")
    options: dict[str, JsonValue] = Field(
        {},
        description="parameters of laptrack.LapTrack, such as {cutoff: 900}, the square of the "
        "largest step in pixels",
    )

    @field_validator("options")
    @classmethod
    def _known_to_laptrack(cls, options: dict[str, JsonValue]) -> dict[str, JsonValue]:
        known = import_laptrack().LapTrack.model_fields
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise ValueError(
                f"expected parameters of laptrack.LapTrack ({', '.join(known)}); unknown: "
                f"{', '.join(unknown)}"
            )
        return options


def algorithm() -> str:
    """Return name and version, which is that of the package.

    Raises
    ------
    InputError
        If laptrack is not installed.
    """
    try:
        return f"laptrack/{version('laptrack')}"
    except PackageNotFoundError as error:
        raise _not_installed() from error


def tracking_method() -> TrackingMethod:
    """Describe the method.

    Raises
    ------
    InputError
        If laptrack is not installed.
    """
    return TrackingMethod(
        LapTrackParameters,
        algorithm(),
        Imported("pyama_core.processing.tracking.laptrack.linker:make"),
    )


def import_laptrack() -> Any:
    """Import laptrack, or say how to install it."""
    try:
        return import_module("laptrack")
    except ImportError as error:
        raise _not_installed() from error


def _not_installed() -> InputError:
    return InputError(
        "Tracking with laptrack needs the package laptrack, which is not installed: "
        'pip install "pyama-core[laptrack]"'
    )
