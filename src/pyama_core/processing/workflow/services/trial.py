"""A frame as a run would make it, without a run: to choose parameters by what they do.

The same segmenter, corrector and tracker work as in the steps of a run, on frames that come
straight from the source; nothing is written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.readers.survey import first_middle_last
from pyama_core.processing.background.corrector import find_correction
from pyama_core.processing.segmentation.by_diameter import SegmenterByDiameter
from pyama_core.processing.segmentation.growth import growth_in_pixels
from pyama_core.processing.segmentation.segmenter import (
    Calibration,
    KnowsTheMovie,
    Segmenter,
    SelfCalibrating,
)
from pyama_core.processing.tracking.tables import count_fates
from pyama_core.processing.tracking.tracker import LookAheadTracker, find_tracking
from pyama_core.processing.workflow.services.analysis import Analysis
from pyama_core.processing.workflow.services.base import at_frame, cell_channel
from pyama_core.processing.workflow.services.job import ReadsFrames
from pyama_core.processing.workflow.services.steps.found_objects import FoundObjects
from pyama_core.processing.workflow.services.steps.segmenting import (
    create_segmenter,
    method_of,
    prepare,
    prepare_nuclei,
    segment_frame,
)

ReadFrame = Callable[[int, int], NDArray[Any]]
"""Reads a frame of the field of view: of a channel, at a time."""


@dataclass(frozen=True)
class TrialFov:
    """A field of view on which something is tried.

    Attributes
    ----------
    metadata : MicroscopyMetadata
        The source.
    analysis : Analysis
        What is tried; its methods are settled (`pictures.settle_method`).
    fov : int
        Which field of view.
    read : callable
        Reads its frames.
    """

    metadata: MicroscopyMetadata
    analysis: Analysis
    fov: int
    read: ReadFrame

    @property
    def n_frames(self) -> int:
        """How many frames it has."""
        return self.metadata.shape_of(self.fov)[0]

    def there(self) -> list[int]:
        """Return the frames that can be segmented, so far as the first, middle and last tell.

        Where one of these is missing, all are looked at, as a run does.

        Raises
        ------
        InputError
            There is none.
        """
        if not self.n_frames:
            raise InputError(f"{self.metadata.fov_title(self.fov)} has no frames")
        every = list(range(self.n_frames))
        if not all(map(self._is_there, first_middle_last(self.n_frames))):
            every = [t for t in every if self._is_there(t)]
        if not every:
            raise InputError("no frame has both the channel that is segmented and nuclei")
        return every

    def _is_there(self, t: int) -> bool:
        channels = [cell_channel(self.analysis)]
        if (nuclei := self.nuclei) is not None:
            channels.append(nuclei)
        try:
            for channel in channels:
                self.read(channel, t)
        except MissingFrameError:
            return False
        return True

    @property
    def nuclei(self) -> int | None:
        """The channel of nuclei that the segmentation makes use of, or is given."""
        nuclei = self.analysis.channels.nuclei
        by_nuclei = method_of(self.analysis.parameters.segmentation).by_nuclei
        return nuclei if by_nuclei or not self.analysis.has_compartments else None

    def frames(self, channel: int) -> ReadsFrames:
        """Return the frames of a channel."""
        return _Frames(self.read, channel)


@dataclass(frozen=True)
class _Frames:
    read_frame: ReadFrame
    channel: int

    def read(self, t: int, /) -> NDArray[Any]:
        return self.read_frame(self.channel, t)


@dataclass(frozen=True)
class ReadySegmenter:
    """A segmenter that has looked at what it wants to look at, and may segment any frame.

    Attributes
    ----------
    segmenter : Segmenter
        As in a run.
    calibration : Calibration or None
        What it found, or was told; None where it works without.
    close : callable
        Gives back what it holds.
    """

    segmenter: Segmenter
    calibration: Calibration | None
    close: Callable[[], None]


def make_ready(on: TrialFov, known: Calibration | None = None) -> ReadySegmenter:
    """Make the segmenter of a field of view, and let it look at the frames that it looks at.

    Parameters
    ----------
    on : TrialFov
        The field of view.
    known : Calibration, optional
        What a segmenter found that differs only in parameters that are `beside_calibration`;
        one that is told its diameter needs not look again then.
    """
    segmenter = create_segmenter(on.analysis.parameters.segmentation, on)
    with contextlib.ExitStack() as stack:
        if isinstance(segmenter, contextlib.AbstractContextManager):
            stack.enter_context(segmenter)
        if isinstance(segmenter, KnowsTheMovie):
            segmenter.begin(on.n_frames)
        found: Calibration | None
        if known is not None and isinstance(segmenter, SegmenterByDiameter):
            segmenter.cell_diameter, found = known.cell_diameter, known
        elif isinstance(segmenter, SelfCalibrating):
            found = prepare(segmenter, on.frames(cell_channel(on.analysis)), on.there())
        else:
            found = None
        if on.nuclei is not None:
            prepare_nuclei(segmenter, on.frames(on.nuclei), on.there())
        return ReadySegmenter(segmenter, found, stack.pop_all().close)


@dataclass(frozen=True)
class TrialFrame:
    """A frame that was segmented.

    Attributes
    ----------
    found : (Y, X) array
        A mask or labels: what a run writes into its stack of masks.
    areas : array of int
        Areas of the objects in pixels, before they grow.
    """

    found: NDArray[Any]
    areas: NDArray[np.int64]


def try_segmentation(on: TrialFov, ready: ReadySegmenter, t: int) -> TrialFrame:
    """Segment a frame.

    Raises
    ------
    InputError
        It cannot be segmented, or there is no such frame.
    MissingFrameError
        The source lacks it.
    """
    if not 0 <= t < on.n_frames:
        raise InputError(f"frame {t}: expected 0 to {on.n_frames - 1}")
    cells, nuclei = on.frames(cell_channel(on.analysis)), on.nuclei
    growth = growth_in_pixels(on.analysis.parameters.segmentation, on.metadata.pixel_size_um)
    seen = FoundObjects([t])
    nuclear = None if nuclei is None else on.frames(nuclei)
    found = segment_frame(ready.segmenter, cells, nuclear, t, growth, seen)
    return TrialFrame(found, areas_of_parts(found) if found.dtype == np.bool_ else seen.areas)


def areas_of_parts(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the areas of the connected parts of a mask, each of which a tracker takes for one."""
    from pyama_core.processing.runs.objects import components  # loads the compiler
    from pyama_core.processing.runs.pixel_runs import paint

    runs, n = components(mask)
    numbers = np.zeros(mask.shape, np.int64)
    paint(runs, np.arange(1, n + 1), numbers)
    return np.bincount(numbers.ravel(), minlength=n + 1)[1:]


@dataclass(frozen=True)
class TrialCorrection:
    """A fluorescence frame without its background.

    Attributes
    ----------
    corrected, background : (Y, X) float32 array
        What is left, and what was taken away.
    resolved : mapping of str to object
        Parameters that the diameter of the cells decided.
    """

    corrected: NDArray[np.float32]
    background: NDArray[np.float32]
    resolved: dict[str, Any]


def try_correction(
    on: TrialFov, frame: TrialFrame, calibration: Calibration | None, t: int, channel: int
) -> TrialCorrection | None:
    """Take the background from a frame; None where it shows none, being all cell.

    Raises
    ------
    MissingFrameError
        The source lacks it.
    """
    parameters = on.analysis.parameters.correction
    method = find_correction(parameters.method)
    diameter = None if calibration is None else calibration.cell_diameter
    resolved = method.resolve(parameters, None if diameter is None else round(diameter))
    image = on.read(channel, t)
    corrector = method.create(resolved, on.metadata.shape_of(on.fov)[1:])
    with at_frame(t):
        estimate = corrector.estimate(image, frame.found)
        if estimate is None:
            return None
        corrected = corrector.correct(image, estimate)
    return TrialCorrection(
        corrected,
        image.astype(np.float32) - corrected,
        {name: getattr(resolved, name) for name in method.resolved},
    )


@dataclass(frozen=True)
class TrialTracks:
    """Cells that were followed through some frames.

    Attributes
    ----------
    labels : sequence of (Y, X) array
        Of each frame; labels are cells.
    cell, frame : array of int
        A row for each cell in each frame.
    x, y : array of float32
        Its centroid, in pixels.
    fates : mapping of str to int
        How many cells there are, and what became of them.
    """

    labels: list[NDArray[Any]]
    cell: NDArray[np.int32]
    frame: NDArray[np.int32]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    fates: dict[str, int]


def try_tracking(
    on: TrialFov,
    frames: Sequence[int],
    segmented: Sequence[TrialFrame],
    corrected: Callable[[int, int], NDArray[Any]],
) -> TrialTracks:
    """Follow the cells through some frames that were segmented.

    Parameters
    ----------
    on : TrialFov
        The field of view.
    frames : sequence of int
        Their numbers.
    segmented : sequence of TrialFrame
        The frames.
    corrected : callable
        Returns the corrected frame of a channel at a time, for trackers that want it.
    """
    parameters = on.analysis.parameters.tracking
    method = find_tracking(parameters.method)
    tracker = method.create(parameters, np.uint32)
    wanted = method.image(parameters)

    def image_at(t: int) -> NDArray[Any] | None:
        if wanted is None:
            return None
        return on.read(cell_channel(on.analysis), t) if wanted == "phase" else corrected(wanted, t)

    pairs = list(zip(frames, segmented, strict=True))
    if isinstance(tracker, LookAheadTracker):
        for t, each in pairs:
            with at_frame(t):
                tracker.preview(each.found, image_at(t))
    labels = []
    for t, each in pairs:
        with at_frame(t):
            labels.append(np.array(tracker.update(each.found, image_at(t))))
    rows = [_centroids(t, each) for t, each in zip(frames, labels, strict=True)]
    cell, frame, x, y = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    return TrialTracks(labels, cell, frame, x, y, count_fates(tracker.tracks()))


def _centroids(t: int, labels: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return cell, frame, x and y of the cells of a frame."""
    rows, columns = np.nonzero(labels)
    cells, index, areas = np.unique(labels[rows, columns], return_inverse=True, return_counts=True)
    y, x = (np.bincount(index, each, cells.size) / np.maximum(areas, 1) for each in (rows, columns))
    return (
        cells.astype(np.int32),
        np.full(cells.size, t, np.int32),
        x.astype(np.float32),
        y.astype(np.float32),
    )
