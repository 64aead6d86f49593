"""A run without processes of its own, for tests that need many runs."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from pathlib import Path
from queue import Queue
from typing import Any

from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.processing.workflow.outcome import RunOutcome
from pyama_core.processing.workflow.pipeline import ForeignExecutor, run_workflow
from pyama_core.processing.workflow.services.types import ProcessingContext


class InlineExecutor(Executor):
    """Does every task at once, in the calling thread."""

    def submit(self, fn, /, *args, **kwargs):
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - as executors do
            future.set_exception(error)
        return future


class InlineConnection:
    """Puts messages into a queue of the same process."""

    def __init__(self) -> None:
        self.queue: Queue[object] = Queue()

    def send(self, message: object) -> None:
        self.queue.put(message)

    def cancelled(self) -> bool:
        return False


def inline_crew() -> ForeignExecutor:
    """Return who works in this process, in place of `LocalCrew`."""
    connection = InlineConnection()
    return ForeignExecutor(InlineExecutor(), connection, connection.queue)


def run_inline(
    metadata: MicroscopyMetadata, context: ProcessingContext, **options: Any
) -> RunOutcome:
    """Run in this process."""
    return run_workflow(metadata, context, executor=inline_crew(), **options)


def asked_files(out: Path, fovs: list[int], channels: list[int]) -> dict[str, bytes]:
    """Content of the data files that a run was asked for."""
    wanted = ("_tracks", "_shifts", *(f"_ch_{channel}" for channel in [0, *channels]))
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for fov in fovs
        for path in sorted((out / f"fov_{fov:03d}").iterdir())
        if path.suffix in (".npy", ".csv") and path.stem.endswith(wanted)
    }
