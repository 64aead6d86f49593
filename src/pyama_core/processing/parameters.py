"""Checks that the parameters of several algorithms share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator


def _refuse_even(value: int) -> int:
    """Return `value` if it is odd."""
    if value % 2 == 0:
        raise ValueError(f"must be odd, so that the square has a centre pixel; found {value}")
    return value


OddInt = Annotated[int, AfterValidator(_refuse_even)]
