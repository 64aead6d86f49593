"""Finding a Dask cluster, or starting one on this computer, for as long as a run takes."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING

from pyama_core.errors import InputError, ShortageError
from pyama_core.io.regular_files import read_regular
from pyama_core.processing.workflow.worker_process import deaf_to_stop_signals

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_S = float(os.environ.get("PYAMA_DASK_CONNECT_S", "30"))
"""Also how long a run waits for a scheduler that was lost."""
_ENVIRONMENT = "distributed.nanny.pre-spawn-environ"
"""Of workers. Dask would also have them give memory back at once, which frames then get anew."""


@dataclass(frozen=True)
class ClusterChoice:
    """Which cluster a run is to be done by; at most one of the first three is given.

    Attributes
    ----------
    scheduler : str or None
        Address, such as ``tcp://host:8786``.
    scheduler_file : Path or None
        File in which a scheduler wrote its address.
    cluster : str or None
        ``"local"``: one is started on this computer.
    max_readers : int or None
        How many workers may read the source at once.
    """

    scheduler: str | None = None
    scheduler_file: Path | None = None
    cluster: str | None = None
    max_readers: int | None = None

    @property
    def is_made(self) -> bool:
        """Whether there is to be a cluster at all."""
        return any(self._ways().values())

    def _ways(self) -> dict[str, object]:
        return {
            "--scheduler": self.scheduler,
            "--scheduler-file": self.scheduler_file,
            "--cluster": self.cluster,
        }

    def require_one(self) -> None:
        """Make sure that the choice makes sense.

        Raises
        ------
        InputError
            It does not.
        """
        given = [flag for flag, value in self._ways().items() if value]
        if len(given) > 1:
            raise InputError(f"{given[0]} and {given[1]}: give one of them")
        if self.cluster not in (None, "local"):
            raise InputError(f"--cluster: expected local, found {self.cluster!r}")
        if self.max_readers is not None and not given:
            raise InputError("--max-readers is for the workers of a Dask cluster (--scheduler)")


@contextlib.contextmanager
def connected(choice: ClusterChoice, n_workers: int) -> Iterator[Client]:
    """Connect to the chosen cluster, or start it with some workers; leave or end it.

    Raises
    ------
    InputError
        Dask is not installed, or no scheduler answers.
    ShortageError
        The cluster cannot be started.
    """
    try:
        import distributed
    except ImportError as error:
        raise InputError(
            "Dask is not installed here: pip install 'pyama-core[dask]', on all computers"
        ) from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # it is told in words of ours
    with contextlib.ExitStack() as stack:
        if choice.cluster:
            address: object = stack.enter_context(_local_cluster(n_workers))
        else:
            address = choice.scheduler or _address_in(choice.scheduler_file)
        try:
            client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(f"no Dask scheduler answers at {address}: {error}") from error
        yield stack.enter_context(client)


def _address_in(path: Path | None) -> str:
    import json

    try:
        return str(json.loads(read_regular(Path(path or "")))["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"--scheduler-file {path}: expected what dask scheduler --scheduler-file writes, found "
            f"{type(error).__name__}: {error}"
        ) from error


@contextlib.contextmanager
def _local_cluster(n_workers: int) -> Iterator[object]:
    import dask
    import distributed

    try:
        # Without a limit of memory, as the processes of a run have none otherwise: pages of files
        # would count, and a worker be paused for them.
        with _deaf_children(), dask.config.set({_ENVIRONMENT: {"OMP_NUM_THREADS": 1}}):
            cluster = distributed.LocalCluster(
                n_workers=n_workers,
                threads_per_worker=1,
                memory_limit=0,
                silence_logs=logging.CRITICAL,
                dashboard_address="127.0.0.1:0",
            )
    except (OSError, RuntimeError) as error:
        raise ShortageError.about("start a Dask cluster on this computer", error) from error
    with cluster:
        yield cluster


@contextlib.contextmanager
def _deaf_children() -> Iterator[None]:
    """Let processes that are started inside leave Ctrl-C in the terminal to this one."""
    if os.name == "posix":
        # In a thread of its own, for whoever starts it hears signals again.
        starting = threading.Thread(target=resource_tracker.ensure_running)
        starting.start()
        starting.join()
    with deaf_to_stop_signals():
        yield
