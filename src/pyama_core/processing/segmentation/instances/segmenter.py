"""Segmentation of phase contrast into instances: one label per cell."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.processing.runs.holes import fill_holes
from pyama_core.processing.segmentation.bright.segmenter import ObjectSegmenter
from pyama_core.processing.segmentation.by_diameter import SegmenterByDiameter
from pyama_core.processing.segmentation.images import rounding
from pyama_core.processing.segmentation.instances import separation
from pyama_core.processing.segmentation.instances.bodies import outline_bodies, shows_bodies
from pyama_core.processing.segmentation.instances.contrast import (
    LARGEST_HOLE,
    ContrastImages,
    foreground,
)
from pyama_core.processing.segmentation.instances.diameter import estimate_diameter
from pyama_core.processing.segmentation.instances.method import NUCLEI, InstanceParameters
from pyama_core.processing.segmentation.instances.outlines import Outlines
from pyama_core.processing.segmentation.scale import Scale
from pyama_core.processing.segmentation.segmenter import Calibration
from pyama_core.processing.segmentation.single_precision import in_single_precision


class InstanceSegmenter(SegmenterByDiameter):
    """Segment the frames of one field of view into cells, each frame on its own.

    All sizes follow from the diameter of the cells, in an image shrunk until that spans 18 pixels:

    1. Foreground: where detail finer than the cells is rougher than between cells. The logarithm
       of the local variance has its mode in the background; the threshold lies at a fixed part of
       the way from there to the typical value of what exceeds the noise.
    2. Outlines: long bright lines, from the second derivatives, damped where the lines around
       point elsewhere, relative to the local contrast. Small holes of foreground and lines are
       filled.
    3. Halo: the border climbs to the crest of the halo around the cells; then what is bright for
       its surroundings is taken away from outside. Rounded cells, which are brighter than any
       halo, are kept whole.
    4. Separation: the distance to the nearest outline is cut into basins, which are joined where
       they meet over a wide neck, or, with nuclei, unless they hold different nuclei. Narrow,
       small and faint objects are left out; with nuclei, objects without one. Nuclei are spots
       of a size that follows from that of the cells, or, with `seeds: nuclei`, what the
       segmentation of bright objects finds with its defaults, whatever its size.
    5. Bodies: where a third of what was found is evenly dark, as bacteria are, each is outlined
       where it meets its halo, and gaps between them are left out. That is decided once, by the
       frames that `prepare` is given; without these, in each frame. With nuclei outlines stay as
       they are.

    The parameters that this takes are constants in units of the diameter; they stand at the head
    of the modules `contrast`, `outlines`, `separation` and `bodies`. The fixed numbers of the
    log-STD segmentation correspond to a diameter of about 60 pixels, of which its opening (19
    pixels) is a third.

    Parameters
    ----------
    parameters
        The defaults if None.

    Attributes
    ----------
    cell_diameter : float or None
        Pixels; None until `prepare` has estimated it.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> frame = rng.normal(1000, 5, (200, 200))
    >>> for x in (60, 140):
    ...     frame[80:120, x - 20 : x + 20] += rng.normal(0, 100, (40, 40))
    >>> segmenter = InstanceSegmenter(InstanceParameters(cell_diameter=45))
    >>> labels = segmenter.segment(frame)
    >>> int(labels.max()), bool(labels[100, 60] != labels[100, 140])
    (2, True)
    """

    fallback_diameter = 60.0  # what the fixed numbers of the log-STD segmentation suit
    looks_for = "cells"

    def __init__(self, parameters: InstanceParameters | None = None) -> None:
        self.parameters = InstanceParameters() if parameters is None else parameters
        super().__init__(self.parameters)
        self._images = ContrastImages()
        self._nuclei = ObjectSegmenter() if self.parameters.seeds == NUCLEI else None
        self._shows_bodies: bool | None = None

    def segment(
        self, frame: NDArray[Any], nuclei: NDArray[Any] | None = None
    ) -> NDArray[np.integer[Any]]:
        """Label the cells of a frame.

        Parameters
        ----------
        frame
            (Y, X) phase-contrast image: bool, integer of up to 32 bits, or float.
        nuclei
            (Y, X) image of a nuclear channel at the same moment, nuclei bright, if there is one.

        Returns
        -------
        ndarray
            (Y, X) uint16, int32 if that might not suffice: 0 in the background, 1, 2, … in cells,
            in raster order of their first pixel.

        Raises
        ------
        InputError
            If an image is not two-dimensional, has another dtype or pixels that are not finite,
            the two differ in shape, or `prepare` has not yet estimated the diameter, or
            `prepare_nuclei` that of nuclei, where they are seeds.
        """
        frame = in_single_precision(frame, "phase-contrast frame")
        scale, seeds = Scale(self._known_diameter()), None
        if nuclei is not None:
            nuclei = in_single_precision(nuclei, "frame of the nuclear channel")
            if nuclei.shape != frame.shape:
                raise InputError(
                    f"Expected a frame of the nuclear channel of shape {frame.shape}, as that of "
                    f"phase contrast, found {nuclei.shape}."
                )
            seeds = self._seeds(nuclei, scale)
        labels = _label(frame, scale, self._images, seeds)
        if seeds is None:
            diameter = scale.working_diameter
            labels = outline_bodies(labels, self._images.clean, diameter, self._shows_bodies)
        return scale.enlarge(labels, frame.shape)

    def prepare(self, frames: Sequence[NDArray[Any]]) -> Calibration:
        """Estimate the diameter, if it is not given, and tell whether cells are dark bodies.

        Parameters, result and errors are those of `SegmenterByDiameter.prepare`.
        """
        found = super().prepare(frames)
        scale = Scale(self._known_diameter())
        looked_at = (in_single_precision(frame, "phase-contrast frame") for frame in frames)
        labelled = ((_label(frame, scale, self._images), self._images.clean) for frame in looked_at)
        self._shows_bodies = shows_bodies(labelled, scale.working_diameter)
        return found

    def prepare_nuclei(self, frames: Sequence[NDArray[Any]]) -> Calibration | None:
        """Estimate the diameter of nuclei, if they are found by themselves.

        Parameters
        ----------
        frames
            Some (Y, X) frames of the nuclear channel, such as the first, middle and last.

        Returns
        -------
        Calibration or None
            What `bright` finds out of nuclei; None with other seeds.

        Raises
        ------
        InputError
            If there is no frame, or one is not an image.
        """
        return None if self._nuclei is None else self._nuclei.prepare(frames)

    def _seeds(self, nuclei: NDArray[Any], scale: Scale) -> NDArray[np.int32]:
        """Label what stands for cells, in the working image."""
        if self._nuclei is None:
            return separation.find_nuclei(nuclei, scale)
        return scale.shrink_labels(self._nuclei.segment(nuclei))

    def _estimate(self, frames: Sequence[NDArray[Any]]) -> float | None:
        return estimate_diameter(frames, partial(_label, images=self._images))


def create(parameters: InstanceParameters, _fov: int) -> InstanceSegmenter:
    """Make the segmenter of a field of view; all are alike."""
    return InstanceSegmenter(parameters)


def _label(
    frame: NDArray[Any],
    scale: Scale,
    images: ContrastImages,
    seeds: NDArray[np.int32] | None = None,
) -> NDArray[np.int32]:
    """Label the cells in the working image of a checked frame, one per seed if there are any."""
    mask, lines = body_and_lines(frame, scale, images)
    if seeds is not None:
        cells = separation.separate_by_nuclei(mask, lines, seeds, scale)
    else:
        cells = separation.separate(mask, lines, images.clean, scale)
    return separation.painted(cells, np.zeros(mask.shape, np.int32))


def body_and_lines(
    frame: NDArray[Any], scale: Scale, images: ContrastImages
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return masks of all cells and of the bright lines in them, in the working image.

    Its contrast is then in `images`.
    """
    diameter = scale.working_diameter
    small = scale.shrink(frame)
    images.compute(small, diameter)
    mask = foreground(images.roughness, diameter, rounding(frame, small))
    if not mask.any():
        return mask, mask
    outlines = Outlines(images, mask, diameter)
    lines = outlines.lines()
    mask = mask | lines
    fill_holes(mask, LARGEST_HOLE * scale.working_area)
    mask, bright = outlines.without_halo(mask)
    lines &= ~bright
    return mask, lines
