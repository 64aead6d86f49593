"""The segmentations of bright and of dark objects as the pipeline knows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pyama_core.errors import InputError
from pyama_core.processing.lengths import length_in_pixels, parse_length
from pyama_core.processing.plugins import Imported
from pyama_core.processing.segmentation.cell_diameter import (
    AUTO,
    CellDiameterParameters,
    DiameterOrAuto,
)
from pyama_core.processing.segmentation.segmenter import SegmentationMethod

ALGORITHM = "bright/7"
ALGORITHM_OF_DARK = "dark/7"


def _parse_limit(value: Any) -> float | str | None:
    return None if value is None else parse_length(value)


Limit = Annotated[float | str | None, BeforeValidator(_parse_limit)]
"""Pixels as a number, or a length such as ``4 um``; None for no limit."""


class ObjectParameters(CellDiameterParameters):
    """What the segmentations of bright and of dark objects are told."""

    cell_diameter: DiameterOrAuto = Field(
        AUTO,
        description="diameter of a disc with the area of a typical object, in pixels, as 24, or "
        "with a unit, as 12 um: the surroundings that objects must stand out of, what is kept "
        "together and what is too small follow from it; auto estimates it for each FOV from three "
        "of its frames",
    )
    min_diameter: Limit = Field(
        None,
        description="objects with a smaller area than a disc of this diameter are left out, in "
        "pixels or with a unit; without it those of less than 0.45 cell_diameter, "
        "but for bright ones, such as the chromosomes of a nucleus that divides",
    )
    max_diameter: Limit = Field(
        None,
        description="objects with a larger area than a disc of this diameter are left out, as "
        "clumps and dust, in pixels or with a unit; without it none are",
    )
    contrast: float = Field(
        3.5,
        gt=0,
        le=1000,
        description="how far objects stand out of their surroundings, in units of the noise: "
        "raise it to leave out faint objects and what looks like noise, lower it to find fainter "
        "ones; the outlines of clear objects hardly change",
    )

    @property
    def lengths(self) -> dict[str, float | str]:
        """The limits that are given, by their names."""
        given = {"min_diameter": self.min_diameter, "max_diameter": self.max_diameter}
        return {name: value for name, value in given.items() if value is not None}

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        smallest, largest = self.min_diameter, self.max_diameter
        if isinstance(smallest, float) and isinstance(largest, float) and smallest > largest:
            raise ValueError(
                f"max_diameter must be at least min_diameter, found {largest:g} and {smallest:g}"
            )
        return self

    def in_pixels(self, pixel_size_um: float | None) -> Self:
        """Return the parameters with all diameters in pixels; see `CellDiameterParameters`."""
        converted = super().in_pixels(pixel_size_um)
        limits = {
            name: length_in_pixels(value, pixel_size_um, name)
            for name, value in self.lengths.items()
        }
        if limits.get("min_diameter", 0.0) > limits.get("max_diameter", float("inf")):
            raise InputError(
                f"expected max_diameter to be at least min_diameter, found {self.max_diameter} "
                f"and {self.min_diameter}; raise one or lower the other"
            )
        return converted.model_copy(update=limits)

    def for_trial(self, pixels: float) -> Self:
        """Return the parameters without lengths, for a frame whose objects have a diameter."""
        return (
            super()
            .for_trial(pixels)
            .model_copy(update={"min_diameter": None, "max_diameter": None})
        )


class BrightParameters(ObjectParameters):
    """Parameters of the segmentation of bright objects."""

    method: Literal["bright"] = Field("bright", description="name of the segmentation")


class DarkParameters(ObjectParameters):
    """Parameters of the segmentation of dark objects."""

    method: Literal["dark"] = Field("dark", description="name of the segmentation")


_CREATE = "pyama_core.processing.segmentation.bright.segmenter:create"


def bright_method() -> SegmentationMethod:
    """Describe the method for bright objects."""
    return _method(BrightParameters, ALGORITHM)


def dark_method() -> SegmentationMethod:
    """Describe the method for dark objects."""
    return _method(DarkParameters, ALGORITHM_OF_DARK)


def _method(parameters: type[ObjectParameters], algorithm: str) -> SegmentationMethod:
    return SegmentationMethod(
        parameters,
        algorithm,
        Imported(_CREATE),
        beside_calibration=("grow_by", "min_diameter", "max_diameter"),
        compiled=True,
    )
