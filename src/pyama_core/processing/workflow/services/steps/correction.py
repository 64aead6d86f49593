"""Correction: each fluorescence stack loses its background."""

from __future__ import annotations

import contextlib

import numpy as np
from numpy.typing import NDArray

from pyama_core.io.errors import InputError
from pyama_core.io.fov_folder import PlannedOutput
from pyama_core.io.records import Provenance
from pyama_core.io.stacks import StackReader, StackWriter
from pyama_core.processing.background.tiled_interpolation.background import (
    ALGORITHM,
    TiledBackground,
    TiledInterpolationParameters,
)
from pyama_core.processing.workflow.services.base import BaseProcessingService, at_frame
from pyama_core.processing.workflow.services.job import FovJob


class CorrectionService(BaseProcessingService):
    """Subtracts the interpolated background from the fluorescence."""

    step = "correction"

    def plan(self, job: FovJob) -> list[PlannedOutput]:
        """Plan one corrected stack per fluorescence channel, from its copy and the masks."""
        inputs = {"seg": job.checksum("seg")}
        parameters, settled = job.parameters.correction, _for_cells_of(job)
        if parameters != settled:
            inputs |= {"tile_size": str(settled.tile_size), "edges": settled.edges}
        return [
            PlannedOutput(
                "fl_corrected",
                channel,
                Provenance(
                    step=self.step,
                    algorithm=ALGORITHM,
                    parameters=parameters.model_dump(mode="json"),
                    inputs={**inputs, "fl": job.checksum("fl", channel)},
                ),
            )
            for channel in job.fluorescence
        ]

    def make(self, job: FovJob, outputs: list[PlannedOutput]) -> None:
        """Correct frame by frame, all channels of a frame under one mask."""
        operator = TiledBackground(job.shape[1:], _for_cells_of(job))
        with contextlib.ExitStack() as stack:
            masks = stack.enter_context(job.open("seg"))
            channels = [
                _Channel(
                    operator,
                    stack.enter_context(job.open("fl", output.channel)),
                    masks,
                    stack.enter_context(job.folder.new_stack(output, job.shape, np.float32)),
                    job.missing("fl", output.channel) | job.missing("seg"),
                )
                for output in outputs
            ]
            for t in self.frames(job.fov, job.shape[0]):
                mask = masks.read(t)
                for channel in channels:
                    channel.correct(t, mask)


def _for_cells_of(job: FovJob) -> TiledInterpolationParameters:
    """Return the parameters for the diameter of cells that the segmentation has on record."""
    path = job.find("seg")
    entry = job.folder.record.outputs.get(path.name) if path.parent == job.folder.path else None
    diameter = None if entry is None else entry.summary.get("cell_diameter")
    return job.parameters.correction.for_cells_of(diameter)


class _Channel:
    """A fluorescence channel, and the background that it last showed."""

    def __init__(
        self,
        operator: TiledBackground,
        frames: StackReader,
        masks: StackReader,
        corrected: StackWriter,
        missing: frozenset[int],
    ) -> None:
        self._operator = operator
        self._frames = frames
        self._masks = masks
        self._corrected = corrected
        self._missing = missing
        self._medians: NDArray[np.float64] | None = None

    def correct(self, t: int, mask: NDArray[np.generic]) -> None:
        """Correct the next frame; one that is all cell takes the background of another."""
        if t in self._missing:
            self._corrected.append_missing()
            return
        frame = self._frames.read(t)
        with at_frame(t):
            medians = self._operator.tile_medians(frame, mask)
        if medians is None:
            medians = self._medians if self._medians is not None else self._first_medians(t)
        self._medians = medians
        self._corrected.append(self._operator.correct(frame, medians))

    def _first_medians(self, start: int) -> NDArray[np.float64]:
        """Tile medians of the first later frame that shows any background."""
        for t in range(start + 1, self._frames.shape[0]):
            if t in self._missing:
                continue
            with at_frame(t):
                medians = self._operator.tile_medians(self._frames.read(t), self._masks.read(t))
            if medians is not None:
                return medians
        raise InputError(
            f"no frame of {self._frames.path.name} shows any background: "
            "the mask, dilated, covers every pixel of all frames"
        )
