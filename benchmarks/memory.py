"""Part 4: how much memory a worker takes at most, against the number of frames."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path
from typing import Any

import psutil

from benchmarks.experiment import DEFAULT, EXACT
from benchmarks.report import Part, Table, Target
from benchmarks.scenes import write_ome_tiff
from pyama_core import Channels, ProcessingContext, load_microscopy_file
from pyama_core.io.readers.frame_source import Frame, FrameSource, MicroscopyMetadata
from pyama_core.processing.workflow.pool import WorkerPool

Params = dict[str, dict[str, Any]]

_MB = 1e6
_SHORT = 4
"""Frames of the movie that is repeated."""


def measure(folder: Path, *, quick: bool, side: int = 2048) -> Part:
    """Measure worker processes, a fresh one per number of frames."""
    lengths = (4, 16) if quick else (20, 160, 640)
    movie = folder / "memory.ome.tif"
    write_ome_tiff(movie, fovs=1, frames=_SHORT, side=side, n_cells=360)
    peaks = {n: _peak_of_worker(movie, folder / "memory", n, EXACT) for n in lengths}
    by_default = _peak_of_worker(movie, folder / "memory", lengths[0], DEFAULT)
    low, high = min(peaks.values()), max(peaks.values())
    rows = [(f"{n}", f"{peak:.0f} MB") for n, peak in peaks.items()]
    rows.append((f"{lengths[0]}, default settings", f"{by_default:.0f} MB"))
    return Part(
        "Memory",
        [Table(f"Peak resident memory of a worker, {side} × {side}", ("frames", "peak"), rows)],
        [
            Target("peak memory of a worker", high, 400, True, "MB"),
            Target(f"the same, {max(lengths)} frames against {min(lengths)}",
                   peaks[max(lengths)] / peaks[min(lengths)], 1.05, True),
        ],
        {"peak_mb": peaks, "peak_mb_by_default": by_default, "spread": high / low},
    )  # fmt: skip


def _peak_of_worker(movie: Path, out: Path, n_frames: int, params: Params) -> float:
    """Let a fresh process do all steps of a position; return its peak in MB."""
    pool = WorkerPool(1)
    try:
        pool.submit(_process, movie, out, n_frames, params).result()
        return pool.submit(peak_of_process).result()
    finally:
        pool.shutdown(wait=True)
        shutil.rmtree(out, ignore_errors=True)


def _process(movie: Path, out: Path, n_frames: int, params: Params) -> None:
    """Do all steps, the copying included, in this process."""
    from pyama_core.processing.workflow.graph import later_services
    from pyama_core.processing.workflow.services.copying import CopyingService

    source, metadata = load_microscopy_file(movie)
    with source:
        metadata = dataclasses.replace(
            metadata,
            n_frames=n_frames,
            fov_shapes=((n_frames, metadata.height, metadata.width),),
            timepoints=(tuple(map(float, range(n_frames))),),
        )
        copying = CopyingService(source=_Repeated(source, metadata))
        context = ProcessingContext(out, Channels(pc=0, fl=[1]), params=params)
        for service in [copying, *later_services()]:
            service.process_fov(metadata, context, out, 0)


class _Repeated(FrameSource):
    """A long movie in which the frames of a short one come again and again."""

    def __init__(self, short: FrameSource, metadata: MicroscopyMetadata) -> None:
        super().__init__(metadata, None)
        self._short = short

    def _read_plane(self, fov: int, channel: int, time: int, z: int) -> Frame:
        return self._short.read_frame(fov, channel, time % _SHORT, z)

    def _release(self) -> None:
        """Leave the short movie open."""


def peak_of_process() -> float:
    """Return the peak resident memory of this process in MB."""
    if sys.platform == "linux":
        # Not getrusage: that counts what the parent had when it started this process.
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / _MB
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / _MB
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MB
