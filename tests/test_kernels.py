from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.dispatcher import Dispatcher
from scipy import ndimage

from frames import label_image, seeds, shapes
from pyama_core.io.errors import InputError
from pyama_core.processing import kernels
from pyama_core.processing.kernels.runs import find_runs, paint
from pyama_core.processing.kernels.squares import PackedMask
from pyama_core.processing.warm_up import compile_kernels


def dispatchers():
    for module in pkgutil.iter_modules(kernels.__path__):
        content = vars(importlib.import_module(f"{kernels.__name__}.{module.name}"))
        yield from (value for value in content.values() if isinstance(value, Dispatcher))


def test_every_kernel_is_cached_on_disk_and_leaves_other_threads_alone():
    compile_kernels(np.uint16, [np.uint16])
    found = list(dispatchers())
    assert len(found) >= 15
    for kernel in found:
        assert kernel.targetoptions["nogil"], kernel
        assert kernel.stats.cache_path is not None, kernel
    cached = {file.name for kernel in found for file in Path(kernel.stats.cache_path).glob("*.nbi")}
    for name in ("log_std_integer", "tile_medians", "subtract", "overlaps", "sum_objects"):
        assert any(f".{name}-" in file for file in cached), name


def test_after_the_warm_up_nothing_is_compiled_for_frames_of_the_same_dtypes():
    compile_kernels(np.uint16, [np.uint16])
    before = [list(kernel.signatures) for kernel in dispatchers()]
    compile_kernels(np.uint16, [np.uint16])
    assert [list(kernel.signatures) for kernel in dispatchers()] == before


def test_a_dtype_that_frames_cannot_have_is_refused():
    with pytest.raises(InputError, match="complex64"):
        compile_kernels(np.complex64, [])


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


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 200)),
    share=st.sampled_from([0.002, 0.5, 0.998]),
    reaches=st.lists(st.integers(0, 90), min_size=1, max_size=3),
    seed=seeds,
)
def test_erosions_and_dilations_of_packed_masks_are_those_of_squares(shape, share, reaches, seed):
    mask = np.random.default_rng(seed).random(shape) < share
    packed = PackedMask(mask, max(reaches))
    for reach in reaches:
        packed.dilate(reach)
        # The maximum over a square; ndimage.binary_dilation takes seconds for large ones.
        mask = ndimage.maximum_filter(mask, 2 * reach + 1, mode="constant", cval=0)
        np.testing.assert_array_equal(packed.unpack(), mask)
        packed.erode(reach // 2)
        mask = ndimage.minimum_filter(mask, 2 * (reach // 2) + 1, mode="constant", cval=0)
        np.testing.assert_array_equal(packed.unpack(), mask)
