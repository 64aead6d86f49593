"""Running the pipeline, and the floor under it, on files made for the purpose."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import timed, touch_memory
from pyama_core import Channels, ProcessingContext, load_microscopy_file, run_complete_workflow
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.processing.workflow.graph import later_services
from pyama_core.processing.workflow.pipeline import ForeignExecutor
from pyama_core.processing.workflow.pool import WorkerPool
from pyama_core.processing.workflow.services.analysis import parse_analysis
from pyama_core.processing.workflow.services.copying import CopyingService
from pyama_core.processing.workflow.warm_up import warm_up_all, warm_ups
from pyama_core.processing.workflow.worker_process import PipeConnection

EXACT: dict[str, dict[str, Any]] = {
    "segmentation": {"method": "log-std"},
    "tracking": {"method": "iou"},
    "extraction": {"features": []},
}
"""Parameters of the exact algorithm, to which the measurements refer."""

DEFAULT: dict[str, dict[str, Any]] = {
    "segmentation": {"method": "instances"},
    "tracking": {"method": "lineage"},
}
"""What the command does unless told otherwise: one label per cell, lineages, all features."""

_WRITTEN_PER_PIXEL = (2, 2, 1, 4, 2)
"""Bytes per pixel of phase contrast, fluorescence, mask, corrected fluorescence, label image."""


def describe(path: Path) -> MicroscopyMetadata:
    """Return what a file holds."""
    source, metadata = load_microscopy_file(path)
    source.close()
    return metadata


@contextlib.contextmanager
def ready_workers(n_workers: int) -> Iterator[ForeignExecutor]:
    """Provide worker processes that have already imported and loaded all that they need."""
    pool = WorkerPool(n_workers)
    try:
        # Each is busy long enough for the next to go to another worker.
        wait([pool.submit(_get_ready) for _ in range(n_workers)])
        yield ForeignExecutor(pool, PipeConnection(), _PromptEvents(pool))
    finally:
        pool.shutdown(wait=True)


class _PromptEvents:
    """The events of a pool that outlives the run, at whose end nobody waits long for another."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool

    def get(self, block: bool = True, timeout: float | None = None) -> object:
        """Return the next message."""
        return self._pool.get(block, min(timeout or 0.0, 0.005))


def _get_ready() -> None:
    warm_up_all(warm_ups(parse_analysis(ProcessingContext(params=EXACT)), "uint16"))
    time.sleep(1.0)


def run(
    metadata: MicroscopyMetadata,
    output_dir: Path,
    n_workers: int,
    executor: ForeignExecutor | None = None,
    params: dict[str, dict[str, Any]] = EXACT,
) -> None:
    """Run the pipeline on channels 0 and 1 of a file."""
    context = ProcessingContext(output_dir, Channels(pc=0, fl=[1]), params=params)
    if not run_complete_workflow(
        metadata, context, batch_size=n_workers, n_workers=n_workers, executor=executor
    ):
        raise RuntimeError("the run failed; see the log")


def time_steps(
    metadata: MicroscopyMetadata,
    output_dir: Path,
    fovs: Sequence[int],
    params: dict[str, dict[str, Any]] = EXACT,
) -> dict[str, float]:
    """Take fields of view through all steps in this process; return the seconds of each step.

    Steps whose outputs are there take no time.
    """
    context = ProcessingContext(output_dir, Channels(pc=0, fl=[1]), params=params)
    seconds: dict[str, float] = {}
    for fov in fovs:
        for service in [CopyingService(), *later_services()]:
            taken = timed(partial(service.process_fov, metadata, context, output_dir, fov))
            seconds[service.step] = seconds.get(service.step, 0.0) + taken
    return seconds


def run_floor(path: Path, folder: Path) -> None:
    """Read all planes of a file and write what a run writes, with nothing in between."""
    source, metadata = load_microscopy_file(path)
    folder.mkdir(parents=True)
    with source, contextlib.ExitStack() as stack:
        for fov in range(metadata.n_fovs):
            n_frames, height, width = metadata.shape_of(fov)
            made = [np.ones((height, width * size), np.uint8) for size in _WRITTEN_PER_PIXEL[2:]]
            files = [
                stack.enter_context((folder / f"{fov}_{i}.npy").open("wb", buffering=0))
                for i in range(len(_WRITTEN_PER_PIXEL))
            ]
            for t in range(n_frames):
                planes = [source.read_frame(fov, channel, t) for channel in (0, 1)]
                for file, array in zip(files, [*planes, *made], strict=True):
                    file.write(array.data)


def written_bytes(metadata: MicroscopyMetadata) -> int:
    """Size of what a run writes, about."""
    pixels = sum(int(np.prod(metadata.shape_of(fov))) for fov in range(metadata.n_fovs))
    return pixels * sum(_WRITTEN_PER_PIXEL)


def fresh(folder: Path, work: Callable[[], object], touched: int = 0) -> float:
    """Seconds of work that writes into a folder, which is deleted before and after.

    So many bytes of memory are touched before.
    """
    shutil.rmtree(folder, ignore_errors=True)
    touch_memory(touched)
    seconds = timed(work)
    shutil.rmtree(folder)
    return seconds
