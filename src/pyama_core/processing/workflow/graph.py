"""The steps in order, and what they declare: the one place to ask what is made from what.

A step is a service in `LATER_SERVICES` and the kinds of output that it makes
(`pyama_core.outputs.KINDS`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from pyama_core.errors import InputError
from pyama_core.io.microscopy import FrameSource
from pyama_core.outputs import Declaration
from pyama_core.processing.workflow.services.analysis import Analysis
from pyama_core.processing.workflow.services.base import BaseProcessingService
from pyama_core.processing.workflow.services.copying import CopyingService
from pyama_core.processing.workflow.services.scope import ALONE, Scope
from pyama_core.processing.workflow.services.steps.correction import CorrectionService
from pyama_core.processing.workflow.services.steps.extraction import ExtractionService
from pyama_core.processing.workflow.services.steps.nuclei import NucleiService
from pyama_core.processing.workflow.services.steps.segmentation import SegmentationService
from pyama_core.processing.workflow.services.steps.tracking import TrackingService

LATER_SERVICES: Sequence[type[BaseProcessingService]] = (
    SegmentationService,
    CorrectionService,
    TrackingService,
    NucleiService,
    ExtractionService,
)
"""The services that follow the copying, in order."""


def later_services(scope: Scope = ALONE) -> list[BaseProcessingService]:
    """Return the services that follow the copying, in order."""
    return [service(scope) for service in LATER_SERVICES]


def all_services(
    scope: Scope = ALONE, source: FrameSource | None = None
) -> list[BaseProcessingService]:
    """Return all services, in order; the copying reads from `source` if that is open already."""
    return [CopyingService(scope, source), *later_services(scope)]


def declarations(analysis: Analysis) -> list[Declaration]:
    """Return what all steps declare for a request, in order.

    A step that cannot work for want of a channel makes nothing.
    """
    declared: list[Declaration] = []
    for service in all_services():
        with contextlib.suppress(InputError):
            declared += service.declare(analysis)
    return declared
