"""What segmentations share all of whose sizes follow from one diameter, given or estimated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.processing.segmentation.cell_diameter import (
    AUTO,
    SMALLEST,
    CellDiameterParameters,
)
from pyama_core.processing.segmentation.scale import Scale
from pyama_core.processing.segmentation.segmenter import Calibration
from pyama_core.processing.segmentation.single_precision import in_single_precision

MOST_PIXELS = 640**2  # of a working image, to estimate a diameter from


class SegmenterByDiameter:
    """Knows the diameter of what it segments, or estimates it from some frames.

    Parameters
    ----------
    parameters
        With diameters in pixels.

    Attributes
    ----------
    cell_diameter : float or None
        Pixels; None until `prepare` has estimated it.
    fallback_diameter : float
        Pixels: what is looked for where frames hold nothing to estimate it from.
    looks_for : str
        What it segments, for messages.
    """

    fallback_diameter: ClassVar[float]
    looks_for: ClassVar[str]

    def __init__(self, parameters: CellDiameterParameters) -> None:
        given = parameters.cell_diameter
        if parameters.length is not None:
            raise InputError(
                f"Expected diameters in pixels, found cell_diameter {given}; convert it by "
                f"{type(parameters).__name__}.in_pixels."
            )
        self._is_given = given != AUTO
        self.cell_diameter: float | None = float(given or 0.0) if self._is_given else None

    def prepare(self, frames: Sequence[NDArray[Any]]) -> Calibration:
        """Estimate the diameter in whole pixels, if the parameters leave it open.

        Of frames that hold nothing, nothing can be estimated: `fallback_diameter` is taken, at
        which nothing is found in them either, but may be in others.

        Parameters
        ----------
        frames
            Some (Y, X) frames of the field of view, such as the first, middle and last. The more
            there is in them, the better the estimate; that of three frames costs as much as to
            segment ten to thirty.

        Returns
        -------
        Calibration
            The diameter, given or estimated, and whether there was something to estimate it from.

        Raises
        ------
        InputError
            If there is no frame, or one is not an image.
        """
        if self._is_given:
            return Calibration(self.cell_diameter)
        if len(frames) == 0:
            raise InputError(
                f"Expected at least one frame to estimate the diameter of {self.looks_for} from, "
                "found none; give the diameter as cell_diameter."
            )
        found = self._estimate([in_single_precision(frame, "frame") for frame in frames])
        self.cell_diameter = (
            self.fallback_diameter if found is None else max(SMALLEST, float(round(found)))
        )
        return Calibration(self.cell_diameter, found_cells=found is not None)

    def diameter_shown(self, frame: NDArray[Any]) -> float | None:
        """Return the diameter of what a frame holds, in pixels, to hold a given one against it.

        None where none was given, as `prepare` estimates it then, or where the frame holds nothing.
        """
        if not self._is_given:
            return None
        return self._estimate([in_single_precision(frame, "frame")])

    def _estimate(self, frames: Sequence[NDArray[Any]]) -> float | None:
        """Return the diameter of what checked frames hold, in pixels; None if they hold nothing."""
        raise NotImplementedError

    def _known_diameter(self) -> float:
        if self.cell_diameter is None:
            raise InputError(
                f"Expected the diameter of {self.looks_for}, found that it is still to be "
                "estimated; call prepare with some frames first, or give it as cell_diameter."
            )
        return self.cell_diameter


def diameters_between(smallest: float, largest: float, step: float) -> list[float]:
    """Return diameters, each larger than the one before by a factor, from the smallest."""
    diameters = [smallest]
    while diameters[-1] * step <= largest:
        diameters.append(diameters[-1] * step)
    return diameters


def centre(frame: NDArray[Any], scale: Scale, most_diameters: float) -> NDArray[Any]:
    """Return the centre of a frame, if its working image is larger than an estimate needs.

    That is `MOST_PIXELS`, and as many as a square of so many diameters has.
    """
    working_pixels = frame.size / scale.factor**2
    most = min(MOST_PIXELS, (most_diameters * scale.working_diameter) ** 2)
    shorten = min(1.0, float(np.sqrt(most / working_pixels)))
    height, width = (max(1, int(n * shorten)) for n in frame.shape)
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    return np.ascontiguousarray(frame[top : top + height, left : left + width])


def summit(values: NDArray[np.float64], best: int) -> float:
    """Return where between its neighbours the parabola through a maximum has its summit."""
    before, at, after = np.pad(values, 1)[best : best + 3].tolist()
    curvature = before - 2 * at + after
    return float(0.5 * (before - after) / curvature) if curvature < 0 else 0.0
