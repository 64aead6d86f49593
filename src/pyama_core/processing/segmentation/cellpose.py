"""Segmentation by Cellpose, an optional package, with weights from the user's machine."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pyama_core.errors import InputError
from pyama_core.io.paths import GivenPath
from pyama_core.processing.frame import as_frame
from pyama_core.processing.segmentation.cell_diameter import CellDiameterParameters, Diameter
from pyama_core.processing.segmentation.model_files import (
    checked_labels,
    first_line,
    import_package,
    require_model,
)
from pyama_core.processing.segmentation.segmenter import SegmentationMethod

ALGORITHM = "cellpose/1"

_HOW = (
    "download or train a model of the installed version (those of Cellpose 3 and 4 differ) and "
    "name its file as weights."
)


class CellposeModel(Protocol):
    """What is used of `cellpose.models.CellposeModel`."""

    def eval(self, x: NDArray[Any], /, **options: Any) -> tuple[Any, ...]:
        """Return labels, then flows and more."""


class CellposeParameters(CellDiameterParameters):
    """Parameters of the segmentation by Cellpose."""

    method: Literal["cellpose"] = Field("cellpose", description="name of the segmentation")
    weights: GivenPath = Field(description="file of the model's weights on this machine")
    cell_diameter: Diameter | None = Field(
        None,
        description="diameter of cells, in pixels, as 38, or with a unit, as 25 um; empty: what "
        "the model was trained for",
    )
    flow_threshold: float = Field(
        0.4, ge=0, allow_inf_nan=False, description="largest error of the flows of a cell"
    )
    cellprob_threshold: float = Field(
        0.0, allow_inf_nan=False, description="least value of the map of cells in a cell"
    )
    gpu: bool = Field(False, description="whether to compute on the graphics processor")


def segmentation_method() -> SegmentationMethod:
    """Describe the method."""
    return SegmentationMethod(
        CellposeParameters,
        ALGORITHM,
        lambda parameters, _fov: CellposeSegmenter(parameters),
        needs="cellpose",
    )


class CellposeSegmenter:
    """Segment frames by a Cellpose model, which is loaded at the first frame.

    Parameters
    ----------
    parameters
        The file of weights must be named: nothing is downloaded.
    model
        A model to use instead of one loaded from the file.

    References
    ----------
    C. Stringer et al., "Cellpose: a generalist algorithm for cellular segmentation",
    Nature Methods 18, 100-106 (2021).
    """

    def __init__(self, parameters: CellposeParameters, model: CellposeModel | None = None) -> None:
        self.parameters = parameters
        self._model = model

    def segment(self, frame: NDArray[Any], nuclei: NDArray[Any] | None = None) -> NDArray[np.int32]:
        """Return the (Y, X) int32 labels that the model finds in a (Y, X) frame.

        With a (Y, X) frame of a nuclear channel, the model sees both, as (2, Y, X).

        Raises
        ------
        InputError
            If an image is not one, Cellpose or the file of weights is missing, or the model
            returns something else than labels of the shape of the frame.
        """
        image = as_frame(frame, "frame")
        if nuclei is not None:
            image = np.stack([image, as_frame(nuclei, "frame of the nuclear channel")])
        if self._model is None:
            self._model = _load_model(self.parameters)
        options: dict[str, Any] = {"channel_axis": 0} if nuclei is not None else {}
        found = self._model.eval(
            image,
            diameter=self.parameters.cell_diameter,
            flow_threshold=self.parameters.flow_threshold,
            cellprob_threshold=self.parameters.cellprob_threshold,
            **options,
        )[0]
        return checked_labels(found, frame.shape, "Cellpose")


def _load_model(parameters: CellposeParameters) -> CellposeModel:
    """Load a model from a file of weights."""
    require_model(parameters.weights, "the weights of a Cellpose model", _HOW)
    models = import_package("cellpose.models", "Cellpose", "cellpose")
    try:
        model: CellposeModel = models.CellposeModel(
            gpu=parameters.gpu, pretrained_model=str(parameters.weights)
        )
    except Exception as error:
        raise InputError(
            f"Expected the weights of a Cellpose model in {parameters.weights}, found what the "
            f"installed Cellpose cannot load ({first_line(error)}); {_HOW}"
        ) from error
    return model
