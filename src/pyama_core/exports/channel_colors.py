"""Colours in which viewers show channels."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WHITE, _BLUE, _CYAN, _GREEN = "FFFFFF", "0000FF", "00FFFF", "00FF00"
_YELLOW, _RED, _MAGENTA = "FFFF00", "FF0000", "FF00FF"
_BY_EMISSION = ((480, _BLUE), (500, _CYAN), (550, _GREEN), (575, _YELLOW), (650, _RED))
"""Below which wavelength, in nm."""
_BY_NAME = tuple(
    (re.compile(pattern, re.IGNORECASE), color)
    for pattern, color in (
        (r"phase|bright|dic\b|trans|\bbf\b|\bpc\b|^p$", _WHITE),
        (r"dapi|hoechst|bfp|^b$|blue", _BLUE),
        (r"cfp|cerulean|^c$|cyan", _CYAN),
        (r"gfp|fitc|488|^g$|green", _GREEN),
        (r"yfp|venus|citrine|^y$|yellow", _YELLOW),
        (r"cy5|irfp|647|far.?red|magenta", _MAGENTA),
        (r"rfp|cherry|tomato|tritc|texas|cy3|561|594|ruby|scarlet|^r$|red", _RED),
    )
)
_OTHERS = (_GREEN, _RED, _CYAN, _MAGENTA, _YELLOW, _BLUE)


def channel_colors(
    names: Sequence[str], emissions_nm: Sequence[float | None], phase: str | None = None
) -> list[str]:
    """Return a colour, RRGGBB, for each channel.

    Parameters
    ----------
    names : sequence of str
        Names of the channels.
    emissions_nm : sequence of float or None
        Wavelengths of their light, where these are known.
    phase : str, optional
        Name of the channel that is phase contrast, which is grey.

    Examples
    --------
    >>> channel_colors(["Phase", "488", "x", "y"], [None, 509.0, None, 610.0])
    ['FFFFFF', '00FF00', '00FFFF', 'FF0000']
    """
    found = [
        _WHITE if name == phase else _known(name, emission)
        for name, emission in zip(names, emissions_nm, strict=True)
    ]
    free = iter([color for color in _OTHERS if color not in found] * len(found))
    return [color or next(free, _WHITE) for color in found]


def _known(name: str, emission_nm: float | None) -> str | None:
    if emission_nm is not None:
        return next((color for limit, color in _BY_EMISSION if emission_nm < limit), _MAGENTA)
    return next((color for pattern, color in _BY_NAME if pattern.search(name.strip())), None)
