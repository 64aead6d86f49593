"""Progress on a terminal: overall, per FOV and step, frames per second, time left."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pyama_core.cli.messages import quieten
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.outputs import step_names
from pyama_core.processing.workflow.progress import ProgressCallback, ProgressEvent


class WorkCounter:
    """Counts frames through steps, so that the share of work done is known at any time.

    Parameters
    ----------
    metadata : MicroscopyMetadata
        The source.
    fovs : sequence of int
        Fields of view of the run.
    steps : sequence of str
        Its steps.
    """

    def __init__(
        self, metadata: MicroscopyMetadata, fovs: Sequence[int], steps: Sequence[str]
    ) -> None:
        n_frames = sum(metadata.shape_of(fov)[0] for fov in fovs)
        self.total = n_frames * len(steps)
        self._n_steps = len(steps)
        self._seen: dict[tuple[int, str], int] = {}

    def count(self, event: ProgressEvent) -> None:
        """Take in an event."""
        self._seen[event["fov"], event["step"]] = event["t"]

    @property
    def done(self) -> int:
        """Frames through steps; a step that is tried once more starts over."""
        return sum(self._seen.values())

    @property
    def frames(self) -> float:
        """Frames done, counting a frame when all steps have had it."""
        return self.done / self._n_steps


class RunDisplay:
    """Bars for the run and for each field of view at work.

    Parameters
    ----------
    progress : Progress
        Where the bars are drawn.
    counter : WorkCounter
        Knows how much there is to do.
    """

    def __init__(self, progress: Progress, counter: WorkCounter) -> None:
        self._progress = progress
        self._counter = counter
        self._lock = threading.Lock()
        self._bars: dict[int, TaskID] = {}
        self._passes: dict[int, dict[str, int]] = {}
        self._overall = progress.add_task("all FOVs", total=counter.total, rate="")

    def show(self, event: ProgressEvent) -> None:
        """Draw an event."""
        with self._lock:
            self._counter.count(event)
            elapsed = self._progress.tasks[0].elapsed or 0.0
            rate = f"{self._counter.frames / elapsed:.1f} frames/s" if elapsed > 1 else ""
            self._progress.update(self._overall, completed=self._counter.done, rate=rate)
            fov, step = event["fov"], event["step"]
            if fov not in self._bars:
                self._bars[fov] = self._progress.add_task("", total=event["T"], rate="")
            self._progress.update(
                self._bars[fov],
                description=f"FOV {fov}: {step}",
                completed=event["t"],
                total=event["T"],
                visible=step != step_names()[-1] or event["t"] < event["T"],
            )


@contextlib.contextmanager
def progress_display(
    metadata: MicroscopyMetadata, fovs: Sequence[int] | None, steps: Sequence[str]
) -> Iterator[ProgressCallback | None]:
    """Show bars on a terminal; elsewhere leave it to the log, a line for each event."""
    console = Console(stderr=True)
    if not (console.is_terminal and sys.stderr.isatty()):
        yield None
        return
    chosen = [fov for fov in (fovs or range(metadata.n_fovs)) if fov < metadata.n_fovs]
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # Warnings are printed by way of standard error, which rich puts above its bars.
    quieten(logging.WARNING)
    with Progress(*columns, console=console, redirect_stderr=True) as progress:
        display = RunDisplay(progress, WorkCounter(metadata, chosen, steps))
        yield display.show
