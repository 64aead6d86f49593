"""The choice of a segmentation by what the channel shows, as the pipeline knows it.

It segments nothing itself: before a run begins, the method that suits the picture takes its place,
in parameters, records and results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NoReturn

from pydantic import Field

from pyama_core.errors import InputError
from pyama_core.processing.parameters import MethodParameters
from pyama_core.processing.segmentation.cell_diameter import (
    AUTO,
    CellDiameterParameters,
    DiameterOrAuto,
)
from pyama_core.processing.segmentation.segmenter import SegmentationMethod, find_segmentation

if TYPE_CHECKING:
    from pyama_core.processing.segmentation.picture.kind import Picture


class AutoParameters(CellDiameterParameters):
    """Parameters of the choice, which those that can be chosen have in common."""

    method: Literal["auto"] = Field(
        "auto",
        description="the segmentation that suits what the channel shows: instances (adherent cells "
        "in phase contrast), bright (bright objects) or dark (dark ones)",
    )
    cell_diameter: DiameterOrAuto = Field(
        AUTO,
        description="diameter of a disc with the area of a typical cell, in pixels, as 38, or with "
        "a unit, as 25 um; auto estimates it for each FOV from three of its frames",
    )


def choose(parameters: AutoParameters, picture: Picture) -> MethodParameters:
    """Return the parameters of the method that suits a picture."""
    given = parameters.model_dump(exclude_defaults=True) | {"method": picture.method}
    chosen = find_segmentation(picture.method).parameters.model_validate(given)
    assert isinstance(chosen, MethodParameters)
    return chosen


def _segments_nothing(_parameters: object, _fov: int) -> NoReturn:
    raise InputError(
        "the segmentation auto only chooses one of the others, by what the frames of a data set "
        "show; expected the one that was chosen"
    )


def segmentation_method() -> SegmentationMethod:
    """Describe the method."""
    return SegmentationMethod(AutoParameters, "auto/1", _segments_nothing, choose=choose)
