"""From time-lapse microscopy files to one fluorescence trace per cell.

The names below are imported when they are first used, so that `import pyama_core` and
`pyama --help` answer at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pyama_core.version import __version__

if TYPE_CHECKING:
    from pyama_core.exports.exporting import export
    from pyama_core.io.microscopy import MicroscopyMetadata, load_microscopy_file
    from pyama_core.processing.workflow.pipeline import run_complete_workflow
    from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
    from pyama_core.results.results import open_results

__all__ = [
    "Channels",
    "MicroscopyMetadata",
    "ProcessingContext",
    "__version__",
    "export",
    "load_microscopy_file",
    "open_results",
    "run_complete_workflow",
]

_HOMES = {
    "Channels": "pyama_core.processing.workflow.services.types",
    "MicroscopyMetadata": "pyama_core.io.microscopy",
    "ProcessingContext": "pyama_core.processing.workflow.services.types",
    "export": "pyama_core.exports.exporting",
    "load_microscopy_file": "pyama_core.io.microscopy",
    "open_results": "pyama_core.results.results",
    "run_complete_workflow": "pyama_core.processing.workflow.pipeline",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
