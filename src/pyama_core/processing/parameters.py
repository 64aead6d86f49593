"""What the parameters of several algorithms share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def refuse_even(value: int) -> int:
    """Return `value` if it is odd."""
    if value % 2 == 0:
        raise ValueError(f"must be odd, so that the square has a centre pixel; found {value}")
    return value


OddInt = Annotated[int, AfterValidator(refuse_even), Field(json_schema_extra={"odd": True})]


class MethodParameters(BaseModel):
    """Parameters of one of several methods for a step; `method` has a single value in each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str

    def with_channels(self, number_of: Callable[[int | str, str], int]) -> Self:
        """Return these parameters with the number of a channel in the place of its name.

        Parameters
        ----------
        number_of : callable
            Given a number or name, and the place where it stands, returns the number.
        """
        del number_of
        return self
