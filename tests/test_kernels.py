from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numba.core.dispatcher import Dispatcher
from scipy import ndimage

from frames import label_image, seeds, shapes
from pyama_core import processing
from pyama_core.processing.bit_masks import BitMask
from pyama_core.processing.runs.connected import connect
from pyama_core.processing.runs.pixel_runs import find_runs, paint
from pyama_core.processing.workflow.services.analysis import parse_analysis
from pyama_core.processing.workflow.services.types import ProcessingContext
from pyama_core.processing.workflow.warm_up import warm_up_all, warm_ups


def dispatchers():
    """Every kernel of the package, each once, from the module that defines it."""
    for module in pkgutil.walk_packages(processing.__path__, f"{processing.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Dispatcher) and value.py_func.__module__ == module.name:
                yield value


def counts():
    """How many types of arguments each kernel is compiled for, by its whole name."""
    return {
        f"{kernel.py_func.__module__}.{kernel.py_func.__name__}": len(kernel.signatures)
        for kernel in dispatchers()
    }


EXACT = {"segmentation": {"method": "log-std"}, "tracking": {"method": "iou"}}
OTHERS = {"segmentation": {"method": "instances"}, "tracking": {"method": "lineage"}}

COUNT_WHAT_A_RUN_COMPILES = """
import json, sys
from pathlib import Path
from inline import run_inline
from pyama_core.demo import write_demo
from pyama_core.processing.workflow.services.analysis import parse_analysis
from pyama_core.processing.workflow.warm_up import warm_up_all, warm_ups
from runs import describe, new_context
from test_kernels import counts

folder, params = Path(sys.argv[1]), json.loads(sys.argv[2])
demo = write_demo(folder / "demo", fovs=1, frames=12, size=256)
warm_up_all(warm_ups(parse_analysis(new_context(folder, **params)), "uint16"))
before = counts()
assert run_inline(describe(demo), new_context(folder / "out", **params)).ok
after = counts()
print({name: after[name] - n for name, n in before.items() if after[name] != n})
"""


def test_every_kernel_is_cached_on_disk_and_leaves_other_threads_alone():
    warm_up_all(warm_ups(parse_analysis(ProcessingContext(params=EXACT)), "uint16"))
    found = list(dispatchers())
    assert len(found) >= 15
    for kernel in found:
        assert kernel.targetoptions["nogil"], kernel
        assert kernel.stats.cache_path is not None, kernel
    cached = {file.name for kernel in found for file in Path(kernel.stats.cache_path).glob("*.nbi")}
    for name in ("log_std_integer", "tile_medians", "subtract", "common_pixels", "sum_objects"):
        assert any(f".{name}-" in file for file in cached), name


@pytest.mark.slow
@pytest.mark.parametrize("params", [EXACT, OTHERS], ids=["exact", "others"])
def test_after_the_warm_up_a_run_compiles_nothing(params, tmp_path):
    # In a process of its own, in which no other test has compiled anything.
    script = tmp_path / "count.py"
    script.write_text(COUNT_WHAT_A_RUN_COMPILES, encoding="utf-8")
    command = [sys.executable, str(script), str(tmp_path), json.dumps(params)]
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "{}"


def _compile_something() -> None:
    @njit
    def added(number):
        return number + 1

    added(1)


def test_what_takes_long_on_a_busy_machine_without_compiling_is_not_called_so(caplog, monkeypatch):
    monkeypatch.setattr("pyama_core.processing.workflow.warm_up._SLOW_S", 0.01)
    with caplog.at_level("WARNING", "pyama_core"):
        warm_up_all([partial(time.sleep, 0.2)])
    assert caplog.text == ""


def test_warming_up_for_long_is_explained(caplog, monkeypatch):
    monkeypatch.setattr("pyama_core.processing.workflow.warm_up._SLOW_S", 0.01)
    with caplog.at_level("WARNING", "pyama_core"):
        warm_up_all([_compile_something, partial(time.sleep, 0.5)])
    assert "compiling the numerical kernels" in caplog.text
    caplog.clear()
    monkeypatch.setattr("pyama_core.processing.workflow.warm_up._SLOW_S", 60.0)
    with caplog.at_level("WARNING", "pyama_core"):
        warm_up_all([partial(time.sleep, 0.01)])
    assert caplog.text == ""


@settings(max_examples=60, deadline=None)
@given(shape=shapes, seed=seeds)
def test_runs_are_in_raster_order_and_painting_them_gives_the_image_again(shape, seed):
    labels = label_image(shape, seed)
    runs = find_runs(labels, 0)
    painted = np.zeros_like(labels)
    paint(runs._replace(label=np.arange(runs.label.size)), runs.label.astype(np.uint16), painted)
    np.testing.assert_array_equal(painted, labels)
    assert runs.first[-1] == runs.start.size == runs.stop.size
    for y in range(shape[0]):
        row = slice(runs.first[y], runs.first[y + 1])
        assert (runs.start[row] < runs.stop[row]).all()
        assert (runs.stop[row][:-1] <= runs.start[row][1:]).all()


@settings(max_examples=80, deadline=None)
@given(shape=shapes, seed=seeds, diagonally=st.booleans(), alike=st.booleans())
def test_runs_that_are_connected_have_the_same_first_run(shape, seed, diagonally, alike):
    labels = label_image(shape, seed)
    # Runs that touch side by side are of one part only if they are alike, and then they are one.
    image = labels if alike else (labels > 0).astype(np.uint16)
    runs = find_runs(image, 0)
    found = np.zeros(shape, np.int64)
    first = connect(runs, int(diagonally), alike)
    paint(runs._replace(label=np.arange(runs.label.size)), 1 + first, found)
    expected = np.zeros(shape, np.int64)
    structure = ndimage.generate_binary_structure(2, 2 if diagonally else 1)
    for label in np.unique(image[image > 0]):
        parts, n = ndimage.label(image == label, structure)
        for part in range(1, n + 1):
            # The runs are numbered in raster order: the first pixel of a part is in its first run.
            y, x = np.argwhere(parts == part)[0]
            run = runs.first[y] + np.searchsorted(runs.start[runs.first[y] : runs.first[y + 1]], x)
            expected[parts == part] = 1 + run
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 200)),
    share=st.sampled_from([0.002, 0.5, 0.998]),
    reaches=st.lists(st.integers(0, 90), min_size=1, max_size=3),
    seed=seeds,
)
def test_erosions_and_dilations_are_those_of_squares(shape, share, reaches, seed):
    mask = np.random.default_rng(seed).random(shape) < share
    bits = BitMask(mask, max(reaches))
    for reach in reaches:
        bits.dilate(reach)
        # The maximum over a square; ndimage.binary_dilation takes seconds for large ones.
        mask = ndimage.maximum_filter(mask, 2 * reach + 1, mode="constant", cval=0)
        np.testing.assert_array_equal(bits.unpack(), mask)
        bits.erode(reach // 2)
        mask = ndimage.minimum_filter(mask, 2 * (reach // 2) + 1, mode="constant", cval=0)
        np.testing.assert_array_equal(bits.unpack(), mask)
