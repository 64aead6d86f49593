from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import pytest

from pyama_core.processing.workflow.pool import WorkerPool
from test_pool import _import_path, pid_after  # noqa: F401 - a fixture is used by its name

N_WORKERS = 3


def warm_up(folder: Path, way: str = "sleep") -> None:
    """Note when this worker began and ended to warm up; the first may also die."""
    first = not any(folder.iterdir())
    name = folder / str(os.getpid())
    name.write_text(f"{time.time()}")
    if first and way == "die":
        os._exit(3)
    time.sleep(0.5)
    name.write_text(f"{name.read_text()} {time.time()}")


def call_when_warm(folder: Path) -> bool:
    """Whether this worker warmed up before it was given a call."""
    times = (folder / str(os.getpid())).read_text().split()
    time.sleep(0.3)
    return len(times) == 2


@pytest.fixture
def pool_that_warms_up(request, tmp_path):
    pool = WorkerPool(N_WORKERS, warm_up=partial(warm_up, tmp_path, request.param))
    yield pool
    pool.shutdown(wait=True, cancel_futures=True)
    pool.close_lines()


@pytest.mark.parametrize("pool_that_warms_up", ["sleep"], indirect=True)
def test_one_worker_warms_up_alone_and_none_is_given_a_call_before(pool_that_warms_up, tmp_path):
    futures = [pool_that_warms_up.submit(call_when_warm, tmp_path) for _ in range(6)]
    assert all(future.result(60) for future in futures)
    spans = sorted(tuple(map(float, path.read_text().split())) for path in tmp_path.iterdir())
    assert len(spans) == N_WORKERS
    assert all(begin >= spans[0][1] for begin, _ in spans[1:])


@pytest.mark.parametrize("pool_that_warms_up", ["die"], indirect=True)
def test_calls_are_answered_although_the_first_worker_died_warming_up(pool_that_warms_up):
    futures = [pool_that_warms_up.submit(pid_after, 0.1) for _ in range(4)]
    assert os.getpid() not in {future.result(60) for future in futures}
