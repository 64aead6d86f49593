"""What the process that tries parameters does, and what it keeps from one try to the next.

It keeps the file open, the frames that were read, segmenters that are ready, and frames that were
segmented: so a parameter that is changed costs no more than what depends on it.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.app.file_state import FileState, state_of
from pyama_core.app.kept import Kept
from pyama_core.errors import InputError
from pyama_core.io.microscopy import FrameSource, MicroscopyMetadata, open_source
from pyama_core.io.readers.frame_source import PlaneChoice
from pyama_core.processing.segmentation.cell_diameter import AUTO
from pyama_core.processing.segmentation.picture.kind import Picture
from pyama_core.processing.segmentation.segmenter import Calibration, find_segmentation
from pyama_core.processing.workflow.services.analysis import Analysis, chosen_plane
from pyama_core.processing.workflow.services.base import cell_channel
from pyama_core.processing.workflow.services.pictures import look_at_channel, settle_method
from pyama_core.processing.workflow.services.trial import (
    ReadySegmenter,
    TrialCorrection,
    TrialFov,
    TrialFrame,
    TrialTracks,
    make_ready,
    try_correction,
    try_segmentation,
    try_tracking,
)

_MOST_SOURCES = 2
_MOST_READY = 3
_MOST_KNOWN = 256
_MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Trial:
    """What is tried, and on which field of view.

    Attributes
    ----------
    metadata : MicroscopyMetadata
        The source.
    stamp : FileState
        Changes when the file does.
    analysis : Analysis
        As a configuration asks for it.
    fov : int
        The field of view.
    """

    metadata: MicroscopyMetadata
    stamp: FileState
    analysis: Analysis
    fov: int


@dataclass(frozen=True)
class Segmented:
    """A frame that was segmented, and what was taken where parameters leave something open.

    Attributes
    ----------
    frame : TrialFrame
        Labels or a mask.
    method : str
        Name of the segmentation.
    picture : Picture or None
        What the channel shows, where that chose the method.
    calibration : Calibration or None
        Diameter of the cells.
    is_rough : bool
        Whether that is the one of other parameters, for it was not estimated with these yet.
    """

    frame: TrialFrame
    method: str
    picture: Picture | None
    calibration: Calibration | None
    is_rough: bool = False


class Bench:
    """The state of the process; it does one thing at a time."""

    def __init__(self) -> None:
        self._sources: Kept[FrameSource] = Kept(_MOST_SOURCES, close=lambda each: each.close())
        self._frames: Kept[NDArray[Any]] = Kept(_MOST_BYTES, lambda each: each.nbytes)
        self._pictures: Kept[Picture] = Kept(_MOST_KNOWN)
        self._ready: Kept[ReadySegmenter] = Kept(_MOST_READY, close=lambda each: each.close())
        self._calibrations: Kept[Calibration | None] = Kept(_MOST_KNOWN)
        self._last_calibrations: dict[Hashable, Calibration] = {}
        self._segmented: Kept[TrialFrame] = Kept(_MOST_BYTES, lambda each: each.found.nbytes)

    def segment(self, trial: Trial, t: int, *, in_haste: bool = False) -> Segmented:
        """Segment a frame; errors as of a run.

        Parameters
        ----------
        trial : Trial
            What is tried.
        t : int
            The frame.
        in_haste : bool
            Take the diameter that was estimated with other parameters, if it is not known yet
            with these: to estimate it takes longer than to segment the frame.
        """
        on = self._on(trial)
        if in_haste and (rough := self._segment_roughly(trial, on, t)) is not None:
            return rough
        ready = self._make_ready(trial, on)
        chosen = on.analysis.parameters.segmentation
        key = (*_source_key(trial), trial.fov, _segmentation_key(on), t)
        frame = self._segmented.get(key, lambda: try_segmentation(on, ready, t))
        return Segmented(frame, chosen.method, on.analysis.picture, ready.calibration)

    def _segment_roughly(self, trial: Trial, on: TrialFov, t: int) -> Segmented | None:
        place, chosen = (*_source_key(trial), trial.fov), on.analysis.parameters.segmentation
        known = self._last_calibrations.get((*place, chosen.method, cell_channel(on.analysis)))
        is_open = getattr(chosen, "cell_diameter", None) == AUTO
        if known is None or not is_open or (*place, _calibration_key(on)) in self._calibrations:
            return None
        ready = make_ready(on, known)
        try:
            frame = try_segmentation(on, ready, t)
        finally:
            ready.close()
        return Segmented(frame, chosen.method, on.analysis.picture, known, is_rough=True)

    def correct(self, trial: Trial, t: int, channel: int) -> TrialCorrection | None:
        """Take the background from a frame; None where it shows none."""
        segmented = self.segment(trial, t)
        return try_correction(self._on(trial), segmented.frame, segmented.calibration, t, channel)

    def track(self, trial: Trial, frames: list[int]) -> TrialTracks:
        """Follow cells through some frames."""
        segmented = [self.segment(trial, t).frame for t in frames]

        def corrected(channel: int, t: int) -> NDArray[Any]:
            found = self.correct(trial, t, channel)
            if found is None:
                raise InputError(
                    f"frame {t} shows no background, and tracking.brightness_channel wants it "
                    "corrected; leave that empty to try the tracking"
                )
            return found.corrected

        return try_tracking(self._on(trial), frames, segmented, corrected)

    # What is kept

    def _on(self, trial: Trial) -> TrialFov:
        source = self._sources.get(_source_key(trial), lambda: open_source(trial.metadata))
        z = chosen_plane(trial.metadata, trial.analysis)

        def look(channel: int, z: PlaneChoice | None) -> Picture:
            key = (*_source_key(trial), channel, z)
            return self._pictures.get(key, lambda: look_at_channel(source, channel, z))

        def read(channel: int, t: int) -> NDArray[Any]:
            key = (*_source_key(trial), trial.fov, channel, t, z)
            return self._frames.get(key, lambda: source.read_frame(trial.fov, channel, t, z))

        analysis = settle_method(trial.metadata, trial.analysis, look)
        return TrialFov(trial.metadata, analysis, trial.fov, read)

    def _make_ready(self, trial: Trial, on: TrialFov) -> ReadySegmenter:
        place = (*_source_key(trial), trial.fov)

        def make() -> ReadySegmenter:
            known: list[ReadySegmenter] = []

            def calibrate() -> Calibration | None:
                known.append(make_ready(on))
                return known[0].calibration

            key = (*place, _calibration_key(on))
            calibration = self._calibrations.get(key, calibrate)
            if calibration is not None and calibration.found_cells:
                chosen = on.analysis.parameters.segmentation
                of_method = (*place, chosen.method, cell_channel(on.analysis))
                self._last_calibrations[of_method] = calibration
            return known[0] if known else make_ready(on, calibration)

        return self._ready.get((*place, _segmentation_key(on)), make)


def _source_key(trial: Trial) -> tuple[Hashable, ...]:
    options = json.dumps(dict(trial.metadata.options), default=str, sort_keys=True)
    return trial.metadata.file_path, trial.stamp, options


def _segmentation_key(on: TrialFov) -> str:
    """Return what decides on labels: channels, plane, parameters, and files that are read."""
    return _key(on, on.analysis.parameters.segmentation.model_dump(mode="json"))


def _calibration_key(on: TrialFov) -> str:
    """Return what decides on what a segmenter finds out before it begins."""
    parameters = on.analysis.parameters.segmentation
    beside = set(find_segmentation(parameters.method).beside_calibration)
    return _key(on, parameters.model_dump(mode="json", exclude=beside))


def _key(on: TrialFov, parameters: dict[str, Any]) -> str:
    channels = [cell_channel(on.analysis), on.nuclei]
    plane = chosen_plane(on.metadata, on.analysis)
    about = [channels, plane, on.metadata.pixel_size_um, parameters, _files_as_they_are(on)]
    return json.dumps(about, sort_keys=True)


def _files_as_they_are(on: TrialFov) -> list[tuple[str, str, FileState]]:
    """Return what changes when a file does that the segmentation reads."""
    parameters = on.analysis.parameters.segmentation
    files = find_segmentation(parameters.method).files(parameters, on.fov, on.n_frames)
    return [
        (what, str(path), state_of(path))
        for found in files.values()
        for what, path in found.items()
    ]


_bench: list[Bench] = []
"""The one of this process."""


def _own() -> Bench:
    if not _bench:
        _bench.append(Bench())
    return _bench[0]


def segment(trial: Trial, t: int, *, in_haste: bool = False) -> Segmented:
    """Segment a frame, in the process of its own."""
    return _own().segment(trial, t, in_haste=in_haste)


def correct(trial: Trial, t: int, channel: int) -> TrialCorrection | None:
    """Correct a frame, in the process of its own."""
    return _own().correct(trial, t, channel)


def track(trial: Trial, frames: list[int]) -> TrialTracks:
    """Follow cells, in the process of its own."""
    return _own().track(trial, frames)


def labels_of(frame: TrialFrame) -> NDArray[Any]:
    """Return labels or a mask as they are shown."""
    found = frame.found
    return found.view(np.uint8) if found.dtype == np.bool_ else found
