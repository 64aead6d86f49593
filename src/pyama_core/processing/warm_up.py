"""Compilation of the kernels, once per installation, before worker processes read them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import DTypeLike

from pyama_core.processing.background.tiled_interpolation import TiledBackground
from pyama_core.processing.extraction.features import measure_frame
from pyama_core.processing.segmentation.log_std import LogStdSegmenter
from pyama_core.processing.tracking.iou import IoUTracker


def compile_kernels(phase_dtype: DTypeLike, fluorescence_dtypes: Iterable[DTypeLike]) -> None:
    """Run every algorithm once on tiny frames, so that all kernels are in the compiler's cache.

    Compiling takes seconds and is needed once per machine and version; processes started
    afterwards load the kernels from the cache instead of each compiling them again.

    Parameters
    ----------
    phase_dtype
        Dtype of the phase-contrast frames.
    fluorescence_dtypes
        Dtypes of the fluorescence frames.

    Raises
    ------
    InputError
        If a dtype is not one that frames can have.
    """
    phase = (np.arange(16 * 16).reshape(16, 16) % 7).astype(phase_dtype)
    LogStdSegmenter().segment(phase)
    wide = phase.copy()
    wide[0, 0] = np.iinfo(wide.dtype).max if wide.dtype.kind in "iu" else 1
    LogStdSegmenter().segment(wide)  # intensities too far apart for the kernels that took `phase`
    mask = np.zeros(phase.shape, np.bool_)
    mask[4:8, 4:8] = True
    for label_dtype in (np.uint16, np.uint32):
        tracker = IoUTracker(dtype=label_dtype)
        for objects in (mask, mask, mask.astype(label_dtype)):
            labels = tracker.update(objects)
        measure_frame(labels, mask.astype(np.float32))
    background = TiledBackground(mask.shape)
    for dtype in fluorescence_dtypes:
        frame = np.ones(mask.shape, dtype)
        medians = background.tile_medians(frame, np.zeros_like(mask))
        if medians is not None:
            background.correct(frame, medians)
