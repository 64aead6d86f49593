"""What a run is asked for, in the form that records keep."""

from __future__ import annotations

import dataclasses

from pyama_core import __version__
from pyama_core.io.records import Settings
from pyama_core.processing.workflow.services.parameters import validate_params
from pyama_core.processing.workflow.services.types import ProcessingContext, requested_channels


def settings_of(context: ProcessingContext) -> Settings:
    """Return channels and all parameters, defaults included, of a context."""
    return Settings(
        channels=dataclasses.asdict(requested_channels(context)),
        params=validate_params(context.params).model_dump(mode="json"),
        time_units=context.time_units or "min",
        version=__version__,
    )
