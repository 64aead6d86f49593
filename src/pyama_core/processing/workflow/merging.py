"""Bringing the results of workers together."""

from __future__ import annotations

from pyama_core.processing.workflow.services.types import ProcessingContext, paths_of_fov


def merge_contexts(parent: ProcessingContext, child: ProcessingContext) -> None:
    """Take the files that a worker made into the run's context, in place.

    Partial results count: what the child does not know leaves the parent as it is. Request and
    parameters are the parent's.

    Parameters
    ----------
    parent : ProcessingContext
        Gains files.
    child : ProcessingContext
        What a worker sent back.
    """
    for fov, made in (child.results_paths or {}).items():
        known = paths_of_fov(parent, fov)
        for output, path in made.items():
            known.add(output, path)
