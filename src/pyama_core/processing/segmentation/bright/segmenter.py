"""Segmentation of bright or dark objects into instances: one label per object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.processing.segmentation.bright.contrast import measure_contrast
from pyama_core.processing.segmentation.bright.diameter import (
    MOST_DIAMETERS,
    Found,
    estimate_diameter,
)
from pyama_core.processing.segmentation.bright.method import (
    BrightParameters,
    DarkParameters,
    ObjectParameters,
)
from pyama_core.processing.segmentation.bright.objects import Areas, find_objects
from pyama_core.processing.segmentation.by_diameter import SegmenterByDiameter, centre
from pyama_core.processing.segmentation.scale import Scale
from pyama_core.processing.segmentation.single_precision import in_single_precision

FINER = 0.8
"""Of the diameter is the scale that is worked at: too small a scale is safer than too large."""

WORKING_DIAMETER = 24.0
"""The scale is at most so many pixels; finer detail says little about outlines."""

SMALLEST_OBJECT, SMALLEST_BRIGHT = 0.45, 0.27
"""Of the diameter, where there is no `min_diameter`: of any object, and of one so bright that there
is as much in it as in others."""


class ObjectSegmenter(SegmenterByDiameter):
    """Segment the frames of one field of view into bright or dark objects, each frame on its own.

    All sizes follow from the diameter of the objects, in an image shrunk until a scale of 0.8 of it
    spans 24 pixels:

    1. Contrast: how far each pixel stands out of the mean of its surroundings, and of the mean of
       that part of them in which nothing stands out; the noise is measured there as well, again and
       again. The contrast to all surroundings finds objects in crowds and on uneven backgrounds,
       that to the free part finds the faint parts of large ones.
    2. Mask: where the contrast is beyond noise. It is cut into basins of the distance to its
       outline; which of them together are one object, the likeness to ellipses decides, for all
       groups in a tree of necks at once.
    3. Cores: each object is cut at half of its own contrast, which bares the fainter ones beside
       it, and the necks between those of equal brightness; then step 2 is done once more.
    4. Outlines: each core grows to where its object ends, at a part of the level at which its
       outline is steepest, in an image that is smoothed less: smoothing moves edges. Where a
       brighter object near by hid one's end, it grows to that.

    What is faint is smoothed, as noise would tear it to pieces. What is small is left out, unless
    it is as bright as it is small, and what is too faint for its area. The numbers stand at the
    heads of the modules `contrast` and `objects`, in units of the scale.

    Parameters
    ----------
    parameters
        The defaults for bright objects if None.

    Attributes
    ----------
    cell_diameter : float or None
        Pixels; None until `prepare` has estimated it.

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.random.default_rng(0).normal(100, 5, (120, 200))
    >>> for x in (60, 90, 140):
    ...     frame[48:72, x - 12 : x + 12] += 80
    >>> segmenter = ObjectSegmenter(BrightParameters(cell_diameter=25))
    >>> int(segmenter.segment(frame).max())
    3
    """

    fallback_diameter = 24.0
    looks_for = "objects"

    def __init__(self, parameters: ObjectParameters | None = None) -> None:
        self.parameters: ObjectParameters = BrightParameters() if parameters is None else parameters
        super().__init__(self.parameters)
        for name, length in self.parameters.lengths.items():
            if isinstance(length, str):
                raise InputError(
                    f"Expected diameters in pixels, found {name} {length}; convert it by "
                    "the parameters' in_pixels."
                )
        self._sign = -1 if isinstance(self.parameters, DarkParameters) else 1

    def segment(
        self, frame: NDArray[Any], _nuclei: NDArray[Any] | None = None
    ) -> NDArray[np.integer[Any]]:
        """Label the objects of a frame.

        Parameters
        ----------
        frame
            (Y, X) image: bool, integer of up to 32 bits, or float.

        Returns
        -------
        ndarray
            (Y, X) uint16, int32 if that might not suffice: 0 in the background, 1, 2, … in objects,
            in raster order of their first pixel.

        Raises
        ------
        InputError
            If the frame is not two-dimensional, has another dtype or pixels that are not finite, or
            `prepare` has not yet estimated the diameter.
        """
        frame = in_single_precision(frame, "frame")
        diameter = self._known_diameter()
        scale = scale_of(diameter)
        areas = self._areas(diameter, scale)
        found = self._find(frame, scale, areas, hidden_sides=True)
        return scale.enlarge(found.labels, frame.shape)

    def _estimate(self, frames: Sequence[NDArray[Any]]) -> float | None:
        return estimate_diameter(frames, self._find_in_centre)

    def _find_in_centre(self, frame: NDArray[Any], diameter: float) -> Found:
        """Find the objects of any size in the centre of a frame, at the scale of a diameter.

        Without their hidden sides: an object that grows into its neighbourhood at one scale more
        than at another would tell of the scale, not of its size.
        """
        scale = scale_of(diameter)
        areas = _areas(scale, SMALLEST_OBJECT * diameter, np.inf, SMALLEST_BRIGHT * diameter)
        return self._find(centre(frame, scale, MOST_DIAMETERS), scale, areas, hidden_sides=False)

    def _find(
        self, frame: NDArray[Any], scale: Scale, areas: Areas, *, hidden_sides: bool
    ) -> Found:
        limit = self.parameters.contrast
        contrast = measure_contrast(frame, scale, limit, self._sign)
        labels = find_objects(contrast, scale, limit, areas, hidden_sides=hidden_sides)
        return Found(labels, contrast, scale.factor)

    def _areas(self, diameter: float, scale: Scale) -> Areas:
        smallest, largest = self.parameters.min_diameter, self.parameters.max_diameter
        most = np.inf if largest is None else float(largest)
        if smallest is not None:
            return _areas(scale, float(smallest), most, float(smallest))
        return _areas(scale, SMALLEST_OBJECT * diameter, most, SMALLEST_BRIGHT * diameter)


def _areas(scale: Scale, *diameters: float) -> Areas:
    """Return the areas of discs, in pixels of the working image."""
    return Areas(*(float(np.pi / 4 * (diameter / scale.factor) ** 2) for diameter in diameters))


def scale_of(diameter: float) -> Scale:
    """Return the scale that objects of a diameter are looked at."""
    return Scale(FINER * diameter, WORKING_DIAMETER)


def create(parameters: ObjectParameters, _fov: int) -> ObjectSegmenter:
    """Make the segmenter of a field of view; all are alike."""
    return ObjectSegmenter(parameters)
