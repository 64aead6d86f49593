"""From a file and a request to results for many fields of view.

Names are imported when they are first used: a worker process imports this package before it
knows what it will need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyama_core.processing.workflow.pipeline import run_complete_workflow
    from pyama_core.processing.workflow.services.types import ensure_context

__all__ = ["ensure_context", "run_complete_workflow"]


def __getattr__(name: str) -> Any:
    if name == "run_complete_workflow":
        from pyama_core.processing.workflow.pipeline import run_complete_workflow

        return run_complete_workflow
    if name == "ensure_context":
        from pyama_core.processing.workflow.services.types import ensure_context

        return ensure_context
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
