"""What figures ask of a field of view."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from pyama_core.results.outlines import Polygon
from pyama_core.results.tables import FovTables


class DrawnFov(Protocol):
    """The part of `FovResults` that figures use."""

    number: int

    @property
    def title(self) -> str:
        """Number and name, for people."""
        ...

    @property
    def channels(self) -> list[str]:
        """Names of the channels that were measured."""
        ...

    @property
    def segmented(self) -> str:
        """What `image` calls the channel in which cells were found."""
        ...

    @property
    def columns(self) -> list[str]:
        """Columns of the traces."""
        ...

    @property
    def corrected(self) -> Mapping[str, NDArray[Any]]:
        """Fluorescence without background, by channel."""
        ...

    def read_tables(self, columns: Collection[str] | None = None) -> FovTables:
        """Read traces and cells."""
        ...

    def image(self, channel: str) -> NDArray[Any]:
        """Return the stack of a channel."""
        ...

    def outlines(self, t: int, cells: Collection[int] | None = None) -> dict[int, list[Polygon]]:
        """Return the outlines of cells in a frame."""
        ...

    def box_of(self, cell: int, t: int, margin: int = 0) -> tuple[slice, slice]:
        """Return the rows and columns of a cell in a frame."""
        ...
