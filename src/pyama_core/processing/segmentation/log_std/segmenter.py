"""Segmentation of phase contrast by local contrast: cells are rough, background is smooth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.bit_masks import BitMask
from pyama_core.processing.frame import as_frame
from pyama_core.processing.runs.holes import fill_holes
from pyama_core.processing.segmentation.log_std.image import (
    LogStdImage,
    LogStdImages,
    write_log_std,
)
from pyama_core.processing.segmentation.log_std.method import LogStdParameters


class LogStdSegmenter:
    """Segment the frames of one stack, one after the other.

    Keeps the arrays that it works in (4 to 8 bytes per pixel) from frame to frame. Not to be
    called from two threads at once.

    Parameters
    ----------
    parameters
        The defaults if None.

    See Also
    --------
    segment_frame : The same for a single frame, with the description of the algorithm.
    """

    def __init__(self, parameters: LogStdParameters | None = None) -> None:
        self.parameters = LogStdParameters() if parameters is None else parameters
        self._images = LogStdImages(self.parameters.window_radius)

    def segment(self, frame: NDArray[Any], nuclei: NDArray[Any] | None = None) -> NDArray[np.bool_]:
        """Return the (Y, X) bool mask of the cells in a (Y, X) phase-contrast frame.

        `nuclei` is not looked at.
        """
        frame = as_frame(frame, "phase-contrast frame")
        image = self._images.of(frame, self.parameters.n_bins)
        mask = np.zeros(frame.shape, np.uint8)
        if image.low == image.high:
            return mask.view(np.bool_)
        image.write_above(self._threshold(image), mask)
        fill_holes(mask.view(np.bool_))
        return self._opened_and_closed(mask).view(np.bool_)

    def _threshold(self, image: LogStdImage) -> float:
        """Return mode + n_sigma·σ of the log-STD."""
        n_bins = self.parameters.n_bins
        fullest = int(np.argmax(image.count_bins(n_bins)))
        edges = np.linspace(image.low, image.high, n_bins + 1)
        mode = float(edges[fullest] + edges[fullest + 1]) / 2
        return mode + self.parameters.n_sigma * image.spread_up_to(mode)

    def _opened_and_closed(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Open, then close a mask, both with outside of the frame as background.

        Iterating a square is the same as a larger square once, and the dilation that ends the
        opening and the one that begins the closing are one dilation.
        """
        reach = self.parameters.iterations * (self.parameters.square_size // 2)
        bits = BitMask(mask, 2 * reach)
        bits.erode(reach)
        bits.dilate(2 * reach)
        bits.erode(reach)
        return bits.unpack()


def create(parameters: LogStdParameters, _fov: int) -> LogStdSegmenter:
    """Make the segmenter of a field of view; all are alike."""
    return LogStdSegmenter(parameters)


def segment_frame(
    frame: NDArray[Any], parameters: LogStdParameters | None = None
) -> NDArray[np.bool_]:
    """Segment one phase-contrast frame by the logarithm of its local standard deviation.

    The histogram of log-STD has its mode where the background is. σ is the standard deviation of
    the values up to the mode, and what exceeds the mode by `n_sigma` σ is foreground. Holes
    (background that is not 4-connected to the frame's edge) are filled; an opening and a closing
    by squares smooth the result, outside of the frame counting as background. A frame whose
    log-STD is the same everywhere has no foreground.

    Parameters
    ----------
    frame
        (Y, X) image: bool, integer of up to 32 bits, or float; any intensity unit.
    parameters
        The defaults if None.

    Returns
    -------
    ndarray
        (Y, X) bool, True in cells.

    Raises
    ------
    InputError
        If the frame is not two-dimensional, has another dtype or pixels that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=(128, 128))
    >>> noise[40:90, 40:90] *= 50
    >>> mask = segment_frame((1000 + noise).astype(np.uint16))
    >>> bool(mask[65, 65]), bool(mask[10, 10])
    (True, False)
    """
    return LogStdSegmenter(parameters).segment(frame)


def log_std(frame: NDArray[Any], window_radius: int = 1) -> NDArray[np.float64]:
    """Return the natural logarithm of the local standard deviation of a frame.

    ½ ln of the population variance in a window of (2·window_radius + 1)² pixels, the frame
    mirrored at its edges (`c b a | a b c`), 0 where the variance is 0. Images of up to 16 bits
    are computed in exact integers, others as differences from the window's centre pixel, so that
    a constant window has a variance of exactly 0 at any brightness.

    Parameters
    ----------
    frame
        (Y, X) image: bool, integer of up to 32 bits, or float.
    window_radius
        1 to 18 pixels.

    Returns
    -------
    ndarray
        (Y, X) float64.

    Examples
    --------
    >>> import numpy as np
    >>> log_std(np.array([[0, 0, 9]], dtype=np.uint8)).round(3)
    array([[0.   , 1.445, 1.445]])
    """
    parameters = LogStdParameters(window_radius=window_radius)
    frame = as_frame(frame)
    out = np.empty(frame.shape)
    write_log_std(frame, parameters.window_radius, out)
    return out
