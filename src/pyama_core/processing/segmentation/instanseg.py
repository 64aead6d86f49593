"""Segmentation by InstanSeg, an optional package, with a TorchScript model on this machine."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pyama_core.errors import InputError
from pyama_core.io.paths import GivenPath
from pyama_core.processing.frame import as_frame
from pyama_core.processing.segmentation.growth import GrowthParameters
from pyama_core.processing.segmentation.model_files import (
    checked_labels,
    first_line,
    import_package,
    require_model,
)
from pyama_core.processing.segmentation.segmenter import SegmentationMethod

ALGORITHM = "instanseg/1"

_HOW = (
    "download a model such as fluorescence_nuclei_and_cells from the releases of InstanSeg and "
    "name its file instanseg.pt as weights."
)


_ATTRIBUTES = ("pixel_size", "cells_and_nuclei")
"""What models of InstanSeg tell of themselves, and others do not."""


class InstanSegModel(Protocol):
    """What is used of `instanseg.InstanSeg`."""

    def eval_small_image(self, image: NDArray[Any], /, **options: Any) -> Any:
        """Return a tensor of labels, (1, outputs, Y, X)."""


class InstanSegParameters(GrowthParameters):
    """Parameters of the segmentation by InstanSeg."""

    method: Literal["instanseg"] = Field("instanseg", description="name of the segmentation")
    weights: GivenPath = Field(description="file of the model (TorchScript, .pt) on this machine")
    target: Literal["cells", "nuclei"] = Field(
        "cells", description="what is taken of a model that finds both cells and nuclei"
    )
    pixel_size: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="µm per pixel, by which frames are brought to the scale of the model; empty: "
        "they are left as they are",
    )
    gpu: bool = Field(False, description="whether to compute on the graphics processor")


def segmentation_method() -> SegmentationMethod:
    """Describe the method."""
    return SegmentationMethod(
        InstanSegParameters,
        ALGORITHM,
        lambda parameters, _fov: InstanSegSegmenter(parameters),
        needs="instanseg",
    )


class InstanSegSegmenter:
    """Segment frames by a model that is loaded at the first of them.

    Parameters
    ----------
    parameters
        The file of the model must be named: nothing is downloaded.
    model
        A model to use instead of one loaded from the file.

    References
    ----------
    T. Goldsborough et al., "InstanSeg: an embedding-based instance segmentation algorithm optimized
    for accurate, efficient and portable cell segmentation", arXiv 2408.15954 (2024).
    """

    def __init__(
        self, parameters: InstanSegParameters, model: InstanSegModel | None = None
    ) -> None:
        self.parameters = parameters
        self._model = model

    def segment(self, frame: NDArray[Any], nuclei: NDArray[Any] | None = None) -> NDArray[np.int32]:
        """Return the (Y, X) int32 labels that the model finds; `nuclei` is not looked at.

        Raises
        ------
        InputError
            If the frame is none, the package or the model are missing or damaged, or the model
            returns something else than labels of the shape of the frame.
        """
        image = as_frame(frame, "frame")
        if self._model is None:
            self._model = _load_model(self.parameters)
        found = self._model.eval_small_image(
            np.array(image[None], np.float32),  # a copy: frames are read-only, tensors cannot be
            pixel_size=self.parameters.pixel_size,
            target=self.parameters.target,
            return_image_tensor=False,
        )
        found = found.cpu().numpy() if hasattr(found, "cpu") else np.asarray(found)
        if found.ndim == 4 and found.shape[:2] == (1, 1):
            found = found[0, 0]
        return checked_labels(found, image.shape, "InstanSeg")


def _load_model(parameters: InstanSegParameters) -> InstanSegModel:
    path = parameters.weights
    require_model(path, "an InstanSeg model", _HOW)
    package = import_package("instanseg", "instanseg-torch", "instanseg")
    torch = import_package("torch", "torch", "instanseg")
    try:
        network = torch.jit.load(str(path), map_location="cpu")
    except (RuntimeError, ValueError, OSError) as error:
        raise InputError(
            f"Expected an InstanSeg model in {path}, found something else ({first_line(error)}); "
            f"{_HOW}"
        ) from error
    if not all(hasattr(network, name) for name in _ATTRIBUTES):
        raise InputError(
            f"Expected an InstanSeg model in {path}, found another model of TorchScript; {_HOW}"
        )
    model: InstanSegModel = package.InstanSeg(
        network, device="cuda" if parameters.gpu else "cpu", verbosity=0
    )
    return model
