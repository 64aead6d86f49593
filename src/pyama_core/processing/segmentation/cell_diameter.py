"""A cell diameter as users give it: in pixels, or in micrometres."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field

from pyama_core.errors import InputError
from pyama_core.processing.lengths import parse_length
from pyama_core.processing.segmentation.growth import GrowthParameters

AUTO = "auto"
SMALLEST, LARGEST = 6.0, 2000.0
_EXPECTED = f"expected {SMALLEST:g} to {LARGEST:g} pixels, as 38, or a length, as 25 um"


def parse_diameter(value: Any) -> float | str:
    """Return pixels as a number and a length as text in micrometres.

    Raises
    ------
    ValueError
        For anything else, and for pixels out of bounds.

    Examples
    --------
    >>> parse_diameter("38 px"), parse_diameter("0.025 mm"), parse_diameter("25µm")
    (38.0, '25 um', '25 um')
    """
    try:
        length = parse_length(value)
    except ValueError:
        raise ValueError(_EXPECTED) from None
    if isinstance(length, str):
        is_possible = float(length.removesuffix("um")) > 0
    else:
        is_possible = SMALLEST <= length <= LARGEST
    if not is_possible:
        raise ValueError(_EXPECTED)
    return length


def _parse_or_auto(value: Any) -> float | str:
    return AUTO if value == AUTO else parse_diameter(value)


Diameter = Annotated[float | str, BeforeValidator(parse_diameter)]
"""Pixels as a number, or a length such as ``25 um``."""
DiameterOrAuto = Annotated[
    float | str,
    BeforeValidator(_parse_or_auto),
    Field(json_schema_extra={"minimum": SMALLEST, "maximum": LARGEST}),
]


class CellDiameterParameters(GrowthParameters):
    """Parameters of a method that is told how large cells are."""

    cell_diameter: float | str | None

    @property
    def length(self) -> str | None:
        """The cell diameter if it is a length and not in pixels."""
        given = self.cell_diameter
        return given if isinstance(given, str) and given != AUTO else None

    def for_trial(self, pixels: float) -> Self:
        """Return the parameters without lengths, for a frame whose cells have a diameter."""
        return self if self.length is None else self.model_copy(update={"cell_diameter": pixels})

    def in_pixels(self, pixel_size_um: float | None) -> Self:
        """Return the parameters with the cell diameter in pixels.

        Raises
        ------
        InputError
            If it is a length and the pixel size is unknown, or the result out of bounds.
        """
        if self.length is None:
            return self
        pixels = _diameter_in_pixels(self.length, pixel_size_um)
        return self.model_copy(update={"cell_diameter": pixels})


def _diameter_in_pixels(diameter: str, pixel_size_um: float | None) -> float:
    """Return a length such as ``25 um`` in pixels."""
    if pixel_size_um is None:
        raise InputError(
            f"cell_diameter is {diameter}, but the file does not tell its pixel size; give it in "
            "pixels, or leave it at auto"
        )
    pixels = float(diameter.removesuffix("um")) / pixel_size_um
    if not SMALLEST <= pixels <= LARGEST:
        raise InputError(
            f"cell_diameter is {diameter}, which are {pixels:.3g} pixels of {pixel_size_um:.4g} "
            f"um; expected {SMALLEST:g} to {LARGEST:g} pixels"
        )
    return pixels
