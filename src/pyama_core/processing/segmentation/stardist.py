"""Segmentation by StarDist, run by the optional package cellcast, with weights on this machine."""

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

ALGORITHM = "stardist/1"

_HOW = (
    "download stardist_2d_versatile_fluo.bpk from the folder weights/stardist of the repository "
    "uw-loci/cellcast, or convert a model of your own to burnpack, and name that file as weights."
)


class StarDistModel(Protocol):
    """What is used of `cellcast.models.StarDist2D`."""

    def predict_fluo(self, data: NDArray[Any], /, **options: Any) -> Any:
        """Return labels."""


class StarDistParameters(GrowthParameters):
    """Parameters of the segmentation by StarDist."""

    method: Literal["stardist"] = Field("stardist", description="name of the segmentation")
    weights: GivenPath = Field(description="file of the model's weights (.bpk) on this machine")
    prob_threshold: float = Field(
        0.479071463157368, ge=0, le=1, description="least probability of an object"
    )
    nms_threshold: float = Field(
        0.3, ge=0, le=1, description="how far two objects may overlap and still be two"
    )
    gpu: bool = Field(False, description="whether to compute on the graphics processor")


def segmentation_method() -> SegmentationMethod:
    """Describe the method."""
    return SegmentationMethod(
        StarDistParameters,
        ALGORITHM,
        lambda parameters, _fov: StarDistSegmenter(parameters),
        needs="cellcast",
    )


class StarDistSegmenter:
    """Segment frames into star-convex objects by a model that is loaded at the first frame.

    Parameters
    ----------
    parameters
        The file of weights must be named: nothing is downloaded.
    model
        A model to use instead of one loaded from the file.

    References
    ----------
    U. Schmidt et al., "Cell detection with star-convex polygons", Medical Image Computing and
    Computer Assisted Intervention, 265-273 (2018).
    """

    def __init__(self, parameters: StarDistParameters, model: StarDistModel | None = None) -> None:
        self.parameters = parameters
        self._model = model

    def segment(self, frame: NDArray[Any], nuclei: NDArray[Any] | None = None) -> NDArray[np.int32]:
        """Return the (Y, X) int32 labels that the model finds; `nuclei` is not looked at.

        Raises
        ------
        InputError
            If the frame is none, the package or the weights are missing or damaged, or the model
            returns something else than labels of the shape of the frame.
        """
        image = as_frame(frame, "frame")
        if self._model is None:
            self._model = _load_model(self.parameters)
        if image.min() == image.max():  # nothing to normalise by
            return np.zeros(image.shape, np.int32)
        found = self._model.predict_fluo(
            image.astype(np.float32),
            prob_threshold=self.parameters.prob_threshold,
            nms_threshold=self.parameters.nms_threshold,
        )
        return checked_labels(found, image.shape, "StarDist")


def _load_model(parameters: StarDistParameters) -> StarDistModel:
    path = parameters.weights
    require_model(path, "the weights of a StarDist model", _HOW)
    models = import_package("cellcast.models", "cellcast", "stardist")
    try:
        model: StarDistModel = models.StarDist2D.init_fluo(str(path), parameters.gpu)
    except BaseException as error:
        # What the package panics of is no Exception; all others of that kind are not its own.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise InputError(
            f"Expected the weights of a StarDist model in {path}, found something else "
            f"({first_line(error)}); {_HOW}"
        ) from error
    return model
