"""Ways to find the cells of one phase-contrast frame."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes import Scene

Call = Callable[[], str]


def _scene(size: Mapping[str, int]) -> Scene:
    return Scene(size["side"], size["cells"])


def _cells(labels: NDArray[Any]) -> str:
    return f"{np.count_nonzero(np.unique(labels))} cells"


def instances(size: Mapping[str, int]) -> Call:
    """Use the default method of this package."""
    from pyama_core.processing.segmentation.segmenter import SelfCalibrating, find_segmentation

    scene = _scene(size)
    method = find_segmentation("instances")
    segmenter = method.create(method.parameters(), 0)
    assert isinstance(segmenter, SelfCalibrating)
    segmenter.prepare([scene.phase(t) for t in (0, 30, 59)])  # once for a field of view
    frame = scene.phase(1)
    return lambda: _cells(segmenter.segment(frame))


def log_std(size: Mapping[str, int]) -> Call:
    """Use the plain method of this package, compiled."""
    from scipy import ndimage

    from pyama_core.processing.segmentation.log_std.segmenter import LogStdSegmenter

    segmenter, frame = LogStdSegmenter(), _scene(size).phase(1)
    n_cells = ndimage.label(segmenter.segment(frame))[1]

    def call() -> str:
        segmenter.segment(frame)
        return f"a mask of {n_cells} parts"

    return call


def log_std_by_scipy(size: Mapping[str, int]) -> Call:
    """Write the same with SciPy's filters."""
    from scipy import ndimage

    from benchmarks.plain import segment_plain

    frame = _scene(size).phase(1)
    n_cells = ndimage.label(segment_plain(frame))[1]

    def call() -> str:
        segment_plain(frame)
        return f"a mask of {n_cells} parts"

    return call


def scikit_image(size: Mapping[str, int]) -> Call:
    """Use what the manuals show: edges, Otsu, holes, and a watershed of distances."""
    from scipy import ndimage
    from skimage import feature, filters, measure, morphology, segmentation

    frame = _scene(size).phase(1)

    def call() -> str:
        edges = filters.gaussian(filters.sobel(filters.gaussian(frame, 1)), 2)
        mask = morphology.closing(edges > filters.threshold_otsu(edges), morphology.disk(5))
        mask = morphology.opening(ndimage.binary_fill_holes(mask), morphology.disk(5))
        distance = filters.gaussian(ndimage.distance_transform_edt(mask), 2)
        peaks = feature.peak_local_max(
            distance, min_distance=15, labels=measure.label(mask), exclude_border=False
        )
        markers = np.zeros(frame.shape, np.int32)
        markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
        return _cells(segmentation.watershed(-distance, markers, mask=mask))

    return call


def cellpose(size: Mapping[str, int]) -> Call:
    """Run the network of the installed Cellpose, untrained."""
    import torch
    from cellpose import models, vit

    torch.set_num_threads(1)
    torch.manual_seed(0)
    frame = _scene(size).phase(1)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "untrained"
        # In single precision, as processors without a graphics card are fastest with.
        vit.CPSAM(dtype=torch.float32).save_model(str(weights))
        model = models.CellposeModel(gpu=False, pretrained_model=str(weights), use_bfloat16=False)

    def call() -> str:
        model.eval(frame, compute_masks=False, batch_size=1)
        return "the network alone"

    return call


def stardist(size: Mapping[str, int]) -> Call:
    """Run the network of StarDist, untrained."""
    import tensorflow as tf
    from stardist.models import Config2D, StarDist2D

    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    frame = _scene(size).phase(1)
    image = (frame / np.float32(frame.max())).astype(np.float32)
    model = StarDist2D(Config2D(n_rays=32, grid=(2, 2)), name=None, basedir=None)

    def call() -> str:
        model.predict(image)
        return "the network alone"

    return call
