"""A run on the workers of a Dask cluster.

Each field of view is a task, from its copy to its tables: no pixel passes through the scheduler or
the client. What Dask's own `Client.get_executor` would get wrong is done otherwise: tasks are
never pure, so that a repeated one does not return an old failure; a running task is cancelled by
a word that it hears, not by a promise; a death is told from a failure, and one field of view costs
two workers at most, however many the scheduler would allow, since leases count them.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyama_core.errors import InputError
from pyama_core.executors.dask_session import DaskSession
from pyama_core.executors.dask_worker import (
    Nature,
    describe_scheduler,
    describe_worker,
)
from pyama_core.io.urls import is_url
from pyama_core.processing.workflow.crews import Work, Workers
from pyama_core.processing.workflow.progress import ProgressDrainer
from pyama_core.processing.workflow.warm_up import warm_up_all

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)

MAX_READERS = 16


def dask_executor(client: Client, *, max_readers: int = MAX_READERS) -> DaskCrew:
    """Let a run be done by the workers of a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
        A client that is not asynchronous; it is not closed.
    max_readers : int
        How many workers may read the microscope file at once.

    Returns
    -------
    DaskCrew
        To be given to `run_complete_workflow` as its `executor`.

    Raises
    ------
    InputError
        A worker cannot do the work; the message says why.

    Examples
    --------
    >>> from distributed import Client  # doctest: +SKIP
    >>> with Client("tcp://host:8786") as client:  # doctest: +SKIP
    ...     run_complete_workflow(metadata, context, executor=dask_executor(client))
    """
    if client.asynchronous:
        raise InputError("expected a Dask client that is not asynchronous")
    if max_readers < 1:
        raise InputError(f"max_readers: expected 1 or more, found {max_readers}")
    crew = DaskCrew(client, max_readers)
    crew.require_fit_workers()
    return crew


class DaskCrew:
    """Workers of a Dask cluster; make one with `dask_executor`."""

    def __init__(self, client: Client, max_readers: int) -> None:
        self._client = client
        self._max_readers = max_readers

    def n_workers(self) -> int:
        """How many workers there are now."""
        return len(self._client.nthreads())

    def require_fit_workers(self, paths: Sequence[Path] = ()) -> list[Nature]:
        """Make sure that all workers there are can do the work, and see some paths.

        Raises
        ------
        InputError
            One does not; the message says which, and why.
        """
        try:
            self._client.run_on_scheduler(describe_scheduler)
        except ModuleNotFoundError as error:
            raise InputError(
                f"the Dask scheduler {self._client.scheduler.address} lacks {error.name}: start it "
                "where pyama-core[dask] is installed"
            ) from error
        told: dict[str, object] = self._client.run(describe_worker, paths, on_error="return")
        for address, nature in sorted(told.items()):
            if not isinstance(nature, Nature):
                reason = f"{type(nature).__name__}: {nature}"
                if isinstance(nature, ModuleNotFoundError):
                    reason = f"it lacks {nature.name}: install pyama-core[dask] there"
            else:
                reason = nature.unfit_for(os.getpid())
            if reason:
                raise InputError(f"Dask worker {address}: {reason}")
        return [nature for nature in told.values() if isinstance(nature, Nature)]

    @contextlib.contextmanager
    def at_work(self, work: Work) -> Iterator[tuple[Workers, ProgressDrainer]]:
        """Bring the request to the workers, listen to them, and leave nothing there."""
        # Workers may share the cache of compiled kernels with this computer, so it fills it first.
        warm_up_all(list(work.first_calls))
        request = work.request
        paths = [next(iter(work.tickets.values())).path]
        source = request.metadata.file_path
        found = self.require_fit_workers(paths if is_url(source) else [*paths, source])
        hosts = {nature.host for nature in found}
        logger.info(
            "Dask scheduler %s: %d workers on %d computer(s); up to %d read at once",
            self._client.scheduler.address,
            len(found),
            len(hosts),
            self._max_readers,
        )
        session = DaskSession(self._client, work, self._max_readers)
        with contextlib.ExitStack() as stack:
            drainer = stack.enter_context(ProgressDrainer(session, work.on_progress))
            stack.callback(session.end)
            session.begin()
            yield (
                Workers(
                    session.hand_out,
                    survives_death=True,
                    cancel=session.cancel,
                    check=session.check,
                    copies=True,
                    backlog=session.backlog,
                ),
                drainer,
            )
