"""What is counted and has a name besides: fields of view and channels, as people read them."""

from __future__ import annotations


def titled(number: int, name: str, kind: str) -> str:
    """Return a number with the name beside it, if the source has one.

    Examples
    --------
    >>> titled(3, "A1", "FOV"), titled(3, "FOV 3", "FOV"), titled(3, "", "FOV")
    ('3 (A1)', '3', '3')
    """
    return str(number) if name in ("", f"{kind} {number}") else f"{number} ({name})"
