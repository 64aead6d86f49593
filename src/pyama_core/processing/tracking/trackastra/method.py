"""The tracking by trackastra as the pipeline knows it: parameters and version."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from pydantic import Field

from pyama_core.errors import InputError
from pyama_core.io.paths import GivenPath
from pyama_core.processing.parameters import MethodParameters
from pyama_core.processing.plugins import Imported
from pyama_core.processing.tracking.tracker import TrackingMethod


class TrackastraParameters(MethodParameters):
    """Parameters of the tracking by trackastra."""

    method: Literal["trackastra"] = Field("trackastra", description="name of the tracking")
    folder: GivenPath = Field(
        description="folder on this machine with the model's weights and train_config.yaml"
    )
    mode: Literal["greedy", "greedy_nodiv"] = Field(
        "greedy", description="how the model's links become tracks: with or without divisions"
    )
    device: str = Field("cpu", description="what to compute on: cpu, cuda, mps or automatic")


def algorithm() -> str:
    """Return name and version, which is that of the package.

    Raises
    ------
    InputError
        If trackastra is not installed.
    """
    try:
        return f"trackastra/{version('trackastra')}"
    except PackageNotFoundError as error:
        raise not_installed() from error


def tracking_method() -> TrackingMethod:
    """Describe the method.

    Raises
    ------
    InputError
        If trackastra is not installed.
    """
    return TrackingMethod(
        TrackastraParameters,
        algorithm(),
        Imported("pyama_core.processing.tracking.trackastra.linker:make"),
        lambda _parameters: "phase",
    )


def not_installed() -> InputError:
    """Say how to install trackastra."""
    return InputError(
        "Tracking with trackastra needs the package trackastra, which is not installed: "
        "pip install trackastra"
    )
