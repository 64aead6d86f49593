"""What records count of nuclei, cells and rings, by name and in words."""

from __future__ import annotations

from collections.abc import Mapping

OWNERS = ("cells", "without nucleus", "with several nuclei")
"""In the summary of the table of nuclei: cells, in all frames, and those that are odd."""
RINGS = ("nuclei of cells", "without ring", "with too small a ring")
"""In the summary of a table of traces: cells with nucleus, in all frames, and what they lack."""


def tell_owners(summary: Mapping[str, int]) -> str:
    """Say how many cells have no nucleus or several; nothing where that was not counted.

    Examples
    --------
    >>> tell_owners({"cells": 40, "without nucleus": 3, "with several nuclei": 1})
    'of 40 cells, counted in each frame, 3 have no nucleus and 1 several'
    """
    if not all(name in summary for name in OWNERS):
        return ""
    cells, none, several = (summary[name] for name in OWNERS)
    return f"of {cells} cells, counted in each frame, {none} have no nucleus and {several} several"


def tell_rings(summary: Mapping[str, int]) -> str:
    """Say how many nuclei have no ring, or too small a one; nothing where that was not counted.

    Examples
    --------
    >>> tell_rings({"nuclei of cells": 90, "without ring": 2, "with too small a ring": 1})
    'of 90 nuclei in cells, counted in each frame, 2 have no ring and 1 too small a one'
    """
    if not all(name in summary for name in RINGS):
        return ""
    nuclei, none, small = (summary[name] for name in RINGS)
    return (
        f"of {nuclei} nuclei in cells, counted in each frame, {none} have no ring and {small} "
        "too small a one"
    )
