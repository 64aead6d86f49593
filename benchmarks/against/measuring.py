"""Ways to take the background from a fluorescence frame, and to measure its cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes import Scene

Call = Callable[[], str]


def _frame_and_labels(size: Mapping[str, int]) -> tuple[NDArray[np.uint16], NDArray[Any]]:
    """Return a fluorescence frame and the true labels of its cells."""
    scene = Scene(size["side"], size["cells"])
    # Its movie of fluorescence begins with a drift of 1000 pixels.
    return scene.fluorescence(-1000), scene.labels


def _left(corrected: NDArray[Any], labels: NDArray[Any]) -> str:
    """Say how much of the background was left: in these frames, cells have 400 above it."""
    outside = np.abs(corrected[labels == 0]).mean()
    return f"cells {corrected[labels > 0].mean():.0f}, around them ±{outside:.0f}"


def _background_call(size: Mapping[str, int], correct: Any) -> Call:
    frame, labels = _frame_and_labels(size)
    outcome = _left(correct(frame, labels > 0), labels)
    mask = labels > 0

    def call() -> str:
        correct(frame, mask)
        return outcome

    return call


def tiled_interpolation(size: Mapping[str, int]) -> Call:
    """Use the method of this package."""
    from pyama_core.processing.background.tiled_interpolation.background import TiledBackground

    background = TiledBackground((size["side"], size["side"]))

    def correct(frame: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
        estimate = background.estimate(frame, mask)
        assert estimate is not None
        return background.correct(frame, estimate)

    return _background_call(size, correct)


def tiles_by_scipy(size: Mapping[str, int]) -> Call:
    """Write the same with NumPy and SciPy."""
    import reference

    return _background_call(size, reference.correct_plain)


def rolling_ball(size: Mapping[str, int]) -> Call:
    """Use scikit-image's rolling ball, of twice the size of a cell."""
    from skimage.restoration import rolling_ball as ball_of

    def correct(frame: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
        del mask
        return frame.astype(np.float32) - ball_of(frame, radius=50)

    return _background_call(size, correct)


def masked_gaussian(size: Mapping[str, int]) -> Call:
    """Smooth what is outside of the cells, with SciPy."""
    from scipy.ndimage import gaussian_filter

    def correct(frame: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
        outside = (~mask).astype(np.float32)
        light = gaussian_filter(frame * outside, 50, truncate=3)
        return frame - light / gaussian_filter(outside, 50, truncate=3)

    return _background_call(size, correct)


def measure_cells(size: Mapping[str, int]) -> Call:
    """Measure with this package."""
    from pyama_core.processing.extraction.measure import measure_cells as measured
    from pyama_core.processing.extraction.selection import Selection

    frame, labels = _frame_and_labels(size)
    image = frame.astype(np.float32)

    def call() -> str:
        shapes, [channel] = measured(labels, [image], Selection())
        return f"{shapes['cell'].size} cells, {channel['intensity_total'].sum():.0f} in all"

    return call


def regionprops(size: Mapping[str, int]) -> Call:
    """Measure with scikit-image."""
    from skimage.measure import regionprops_table

    frame, labels = _frame_and_labels(size)
    image = frame.astype(np.float32)

    def call() -> str:
        table = regionprops_table(
            labels, image, properties=("label", "area", "centroid", "bbox", "intensity_mean")
        )
        total = (table["area"] * table["intensity_mean"]).sum()
        return f"{table['label'].size} cells, {total:.0f} in all"

    return call


def scipy_labels(size: Mapping[str, int]) -> Call:
    """Measure with SciPy."""
    from scipy import ndimage

    frame, labels = _frame_and_labels(size)
    image = frame.astype(np.float32)

    def call() -> str:
        cells = np.unique(labels)[1:]
        ndimage.find_objects(labels)
        ndimage.sum_labels(np.ones_like(labels), labels, cells)
        ndimage.center_of_mass(np.ones_like(labels), labels, cells)
        total = ndimage.sum_labels(image, labels, cells)
        return f"{cells.size} cells, {total.sum():.0f} in all"

    return call
