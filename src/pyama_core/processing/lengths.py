"""Lengths as users give them: in pixels, or with a unit of length."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from pyama_core.errors import InputError
from pyama_core.io.units import micrometres_per

_PIXELS = ("", "px", "pixel", "pixels")
_EXPECTED = "expected pixels, as 5, or a length, as 2.5 um"


def parse_length(value: Any) -> float | str:
    """Return pixels as a number, and a length as text in micrometres.

    Raises
    ------
    ValueError
        For anything else, and for what is negative or not finite.

    Examples
    --------
    >>> parse_length("5 px"), parse_length(0), parse_length("2500nm"), parse_length("2.5µm")
    (5.0, 0.0, '2.5 um', '2.5 um')
    """
    found = re.fullmatch(r"([\d.eE+-]+)\s*(\D*)", str(value).strip())
    if found is None or isinstance(value, bool):
        raise ValueError(_EXPECTED)
    try:
        number = float(found[1])
    except ValueError:
        raise ValueError(_EXPECTED) from None
    per = 1.0 if found[2] in _PIXELS else micrometres_per(found[2])
    if per is None or not (number >= 0 and math.isfinite(number * per)):
        raise ValueError(_EXPECTED)
    return number if found[2] in _PIXELS else f"{number * per:g} um"


Length = Annotated[float | str, BeforeValidator(parse_length)]
"""Pixels as a number, or a length such as ``2.5 um``."""


def length_in_pixels(length: float | str, pixel_size_um: float | None, name: str) -> float:
    """Return a length in pixels.

    Parameters
    ----------
    length
        As `parse_length` returns it.
    pixel_size_um
        Of the source; None where it does not tell.
    name
        Of the parameter, for messages.

    Raises
    ------
    InputError
        It is not in pixels, and the size of a pixel is unknown.

    Examples
    --------
    >>> length_in_pixels("2.6 um", 0.65, "ring_width")
    4.0
    """
    if not isinstance(length, str):
        return length
    if pixel_size_um is None:
        raise InputError(
            f"{name} is {length}, but the file does not tell its pixel size; give it in pixels"
        )
    return float(length.removesuffix("um")) / pixel_size_um
