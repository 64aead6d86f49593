from __future__ import annotations

import os
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from pyama_core import ProcessingContext
from pyama_core.processing.workflow.pool import WorkerPool
from pyama_core.processing.workflow.services.analysis import parse_analysis
from pyama_core.processing.workflow.warm_up import warm_ups
from runs import by_all_methods
from test_pool import _import_path, pid_after  # noqa: F401 - a fixture is used by its name

pytestmark = pytest.mark.slow
N_WORKERS = 3
N_CALLS = 4


def note(folder: Path, number: int, way: str = "sleep") -> None:
    """Note which worker made which call from when to when; the first may also die."""
    began = time.time()
    if number == 0 and way == "die" and not (folder / "died").exists():
        (folder / "died").touch()
        os._exit(3)
    time.sleep(0.3)
    (folder / f"{number} {os.getpid()}").write_text(f"{began} {time.time()}")


def count_when_warm(folder: Path) -> int:
    """How many calls this worker made before it was given work."""
    time.sleep(0.3)
    return len(list(folder.glob(f"* {os.getpid()}")))


@pytest.fixture
def pool_that_warms_up(request, tmp_path):
    calls = [partial(note, tmp_path, number, request.param) for number in range(N_CALLS)]
    pool = WorkerPool(N_WORKERS, warm_ups=calls)
    yield pool
    pool.shutdown(wait=True, cancel_futures=True)


@pytest.mark.parametrize("pool_that_warms_up", ["sleep"], indirect=True)
def test_workers_share_the_calls_first_and_then_make_those_of_the_others(
    pool_that_warms_up, tmp_path
):
    futures = [pool_that_warms_up.submit(count_when_warm, tmp_path) for _ in range(6)]
    assert [future.result(60) for future in futures] == [N_CALLS] * 6
    spans: dict[str, list[tuple[float, float]]] = {}
    for path in tmp_path.iterdir():
        began, ended = map(float, path.read_text().split())
        spans.setdefault(path.name.split()[0], []).append((began, ended))
    assert Counter(map(len, spans.values())) == {N_WORKERS: N_CALLS}
    ends_of_first = [min(found)[1] for found in spans.values()]
    begins_of_others = [began for found in spans.values() for began, _ in sorted(found)[1:]]
    assert max(ends_of_first) <= min(begins_of_others)


@pytest.mark.parametrize("pool_that_warms_up", ["die"], indirect=True)
def test_calls_are_answered_although_the_first_worker_died_warming_up(pool_that_warms_up):
    futures = [pool_that_warms_up.submit(pid_after, 0.1) for _ in range(4)]
    assert os.getpid() not in {future.result(60) for future in futures}


def test_afterwards_each_worker_calls_what_all_need_and_each_part_is_told(tmp_path):
    told: list[int] = []
    calls = [partial(note, tmp_path, number) for number in range(N_CALLS)]
    whole = partial(note, tmp_path, N_CALLS)
    with WorkerPool(2, warm_ups=calls, afterwards=[whole], on_warm_up=told.append) as pool:
        futures = [pool.submit(count_when_warm, tmp_path) for _ in range(4)]
        assert [future.result(60) for future in futures] == [N_CALLS + 1] * 4
    assert told == list(range(1, N_CALLS + 1))


def loaded(names: list[str]) -> list[str]:
    """Which of these modules this process has imported."""
    return [name for name in names if name in sys.modules]


@by_all_methods
def test_a_ready_worker_has_loaded_nothing_that_takes_long_and_few_movies_need(methods):
    """Each would make every worker start later, by a tenth of a second or more."""
    calls = list(warm_ups(parse_analysis(ProcessingContext(params=methods)), "uint16"))
    slow = ["scipy.optimize", "scipy.stats", "pandas", "matplotlib", "skimage", "nd2", "zarr"]
    with WorkerPool(1, warm_ups=calls) as pool:
        assert pool.submit(loaded, [*slow, "numba"]).result() == ["numba"]
