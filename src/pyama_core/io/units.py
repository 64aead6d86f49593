"""Units of time and length as microscopy files spell them."""

from __future__ import annotations

import functools
import unicodedata

_SECONDS = {
    "ns": 1e-9,
    "nanosecond": 1e-9,
    "microsecond": 1e-6,
    "millisecond": 1e-3,
    "us": 1e-6,
    "ms": 1e-3,
    "msec": 1e-3,
    "cs": 1e-2,
    "ds": 0.1,
    "s": 1.0,
    "sec": 1.0,
    "secs": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "ks": 1e3,
    "min": 60.0,
    "mins": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hr": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "days": 86400.0,
}
_MICROMETRES = {
    "pm": 1e-6,
    "å": 1e-4,
    "angstrom": 1e-4,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "dm": 1e5,
    "m": 1e6,
    "meter": 1e6,
    "inch": 25400.0,
    "in": 25400.0,
}


@functools.lru_cache(maxsize=256)
def seconds_per(unit: str) -> float | None:
    """Return the length of a unit of time in seconds, or None for an unknown unit.

    Examples
    --------
    >>> seconds_per("ms"), seconds_per("fortnight")
    (0.001, None)
    """
    return _SECONDS.get(_plain(unit))


@functools.lru_cache(maxsize=256)
def micrometres_per(unit: str) -> float | None:
    """Return a unit of length in micrometres, or None for an unknown unit such as ``pixel``.

    Examples
    --------
    >>> micrometres_per("nm"), micrometres_per("pixel")
    (0.001, None)
    """
    return _MICROMETRES.get(_plain(unit))


def _plain(unit: str) -> str:
    # The micro sign and the Greek letter mu are two characters; ImageJ writes either escaped.
    unit = unit.strip().replace("\\u00B5", "µ").replace("\\u00b5", "µ")
    unit = unicodedata.normalize("NFKC", unit).replace("μ", "u")
    # "Ms" and "Mm" are mega in OME, everything else is told apart without case.
    return unit if unit in {"Ms", "Mm"} else unit.lower()
