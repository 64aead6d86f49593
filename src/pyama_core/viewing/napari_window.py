"""A window of napari with results in it."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyama_core.errors import InputError
from pyama_core.results.results import Fovs, Results
from pyama_core.viewing.layers import Layer, layers_of

if TYPE_CHECKING:
    import napari

logger = logging.getLogger(__name__)

_GAP = 1.05
"""How far fields of view are apart, in widths of one."""
_OUTLINE_PX = 2


def open_window(results: Results, fovs: Fovs | None = None) -> napari.Viewer:
    """Open a window with fields of view side by side; nothing of napari runs yet.

    Parameters
    ----------
    results : Results
        The results.
    fovs : str or iterable, optional
        Fields of view by number, range, name or well; by default the first that can be shown.

    Raises
    ------
    InputError
        There is no such field of view, nothing of it can be shown, napari is not installed, or
        there is no screen.
    """
    _require_screen()
    layers = layers_side_by_side(results, fovs)
    api = _import_napari()
    numbers = sorted({about["metadata"]["fov"] for _, about, _ in layers})
    title = f"{results.folder.absolute().name}: FOV {', '.join(map(str, numbers))}"
    try:
        viewer: napari.Viewer = api.Viewer(title=title)
    except ImportError as error:
        raise InputError(f"napari finds no Qt: {error}; {_INSTALL}") from error
    fill_viewer(viewer, layers)
    return viewer


def fill_viewer(viewer: Any, layers: Sequence[Layer]) -> None:
    """Add layers to a viewer, or to the model of one, and show them from the first frame on."""
    api = _import_napari()
    for data, about, kind in layers:
        layer = viewer.add_layer(api.layers.Layer.create(data, about, kind))
        # Corrections have a log of their own (pyama curate); what is painted here would be lost.
        layer.editable = False
        if kind == "labels":
            layer.contour = _OUTLINE_PX
    cells = [layer for layer in viewer.layers if isinstance(layer, api.layers.Labels)]
    if cells:
        viewer.layers.selection.active = cells[-1]  # whose cell under the mouse is told
    viewer.canvas.overlays.scale_bar.visible = True
    viewer.dims.set_current_step(0, 0)
    viewer.reset_view()


def run_window() -> None:
    """Show windows until all are closed."""
    _import_napari().run()


def layers_side_by_side(results: Results, fovs: Fovs | None = None) -> list[Layer]:
    """Return the layers of fields of view, and tell what is not there; errors as `open_window`."""
    layers: list[Layer] = []
    notes: list[str] = []
    offset = 0.0
    for chosen in results.chosen(fovs):
        selection = results.select([chosen.number])
        shown = layers_of(selection, selection.fovs[0], offset)
        notes += shown.notes
        layers += shown.layers
        if layers and fovs is None:
            break
        offset += _GAP * max((_width(layer) for layer in shown.layers), default=0)
    for note in notes:
        logger.warning("%s", note)
    if not layers:
        raise InputError(f"{results.folder}: there is nothing to show")
    return layers


def _width(layer: Layer) -> float:
    """Return how wide an image is, in the unit of the pixel size."""
    data, about, kind = layer
    pixels = data[:, -1].max() if kind == "tracks" else data.shape[-1]
    return float(pixels * about["scale"][-1])


_INSTALL = 'pip install "pyama-core[napari]"'


def _import_napari() -> Any:
    if importlib.util.find_spec("napari") is None:
        raise InputError(f"showing results needs napari, which is not installed: {_INSTALL}")
    import napari

    return napari


def _require_screen() -> None:
    """Refuse where Qt would end the process with words of its own."""
    variables = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, variables)):
        raise InputError(
            "there is no screen to show a window on (DISPLAY is not set); use a desktop, or "
            "pyama export --to ome-zarr and look at that elsewhere"
        )
