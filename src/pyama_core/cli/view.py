"""`pyama view`."""

from __future__ import annotations

from pathlib import Path

from pyama_core.results.results import open_results
from pyama_core.viewing.napari_window import open_window, run_window


def view(folder: Path, fovs: str | None) -> int:
    """Show fields of view until the window is closed."""
    viewer = open_window(open_results(folder), fovs)
    run_window()
    del viewer  # until here, for napari keeps windows by weak references
    return 0
