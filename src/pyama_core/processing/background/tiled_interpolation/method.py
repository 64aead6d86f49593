"""The background by tiled interpolation as the pipeline knows it: parameters and version."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pyama_core.processing.background.corrector import CorrectionMethod
from pyama_core.processing.parameters import MethodParameters, refuse_even
from pyama_core.processing.plugins import Imported

ALGORITHM = "tiled-interpolation/3"

_USUAL_TILE, _LEAST_TILE, _LARGEST_TILE = 256, 64, 16_384
_LEAST_REACH, _USUAL_REACH = 7, 21  # blur and steps of outlines are as wide around small cells

TileSize = Annotated[int, Field(ge=8, le=_LARGEST_TILE)]
Reach = Annotated[
    int, Field(ge=1, le=1001, json_schema_extra={"odd": True}), AfterValidator(refuse_even)
]
Rounds = Annotated[int, Field(ge=1, le=3)]


class TiledInterpolationParameters(MethodParameters):
    """Parameters of the background by tiled interpolation."""

    method: Literal["tiled-interpolation"] = Field(
        "tiled-interpolation", description="name of the background correction"
    )
    dilation_size: Reach | Literal["auto"] = Field(
        21,
        description="cells are enlarged by a square of this side, odd, pixels; auto: half as wide "
        "as cells, from 7 to 21, where the segmentation knows their diameter, otherwise 21",
    )
    tile_size: TileSize | Literal["auto"] = Field(
        "auto",
        description="the frame is cut into tiles of about this side, overlapping by half, pixels; "
        "auto: four cells wide where the segmentation knows their diameter, otherwise 256",
    )

    edges: Literal["constant", "linear", "auto"] = Field(
        "auto",
        description="the background beyond the centres of the outer tiles: constant, or linear, "
        "going on as it comes from the tiles before, of which those along the edges are cut in "
        "half; auto: linear where the segmentation knows the diameter of cells, otherwise constant",
    )
    hidden_tiles: Literal["median", "around", "auto"] = Field(
        "auto",
        description="what a tile takes that cells hide: median, that of the whole frame; around, "
        "what goes on smoothly from the tiles around it, as do those of which less than a "
        "hundredth shows; auto: around where the segmentation knows the diameter of cells, "
        "otherwise median",
    )
    rounds: Rounds | Literal["auto"] = Field(
        "auto",
        description="how often medians of tiles are taken, from the second time on of what is left "
        "of the frame: one is not the background in the middle of its tile where that is bent, or "
        "cells leave but a side of the tile free; auto: twice where the segmentation knows the "
        "diameter of cells, otherwise once",
    )

    def for_cells_of(self, diameter: float | None) -> TiledInterpolationParameters:
        """Return parameters of which none is ``auto``.

        Parameters
        ----------
        diameter
            Of a typical cell, in pixels; None where it is not known.

        Examples
        --------
        >>> TiledInterpolationParameters().for_cells_of(40).tile_size
        160
        """
        size, edges, hidden = self.tile_size, self.edges, self.hidden_tiles
        rounds, reach = self.rounds, self.dilation_size
        if reach == "auto":
            reach = _USUAL_REACH if diameter is None else 2 * round(diameter / 4) + 1
            reach = min(max(reach, _LEAST_REACH), _USUAL_REACH)
        if size == "auto":
            size = _USUAL_TILE if diameter is None else max(_LEAST_TILE, round(4 * diameter))
            size = min(size, _LARGEST_TILE)
        if edges == "auto":
            edges = "constant" if diameter is None else "linear"
        if hidden == "auto":
            hidden = "median" if diameter is None else "around"
        if rounds == "auto":
            rounds = 1 if diameter is None else 2
        settled = {"tile_size": size, "edges": edges, "hidden_tiles": hidden, "rounds": rounds}
        return self.model_copy(update=settled | {"dilation_size": reach})


def correction_method() -> CorrectionMethod:
    """Describe the method."""
    return CorrectionMethod(
        TiledInterpolationParameters,
        ALGORITHM,
        Imported("pyama_core.processing.background.tiled_interpolation.background:create"),
        resolve=TiledInterpolationParameters.for_cells_of,
        resolved=("dilation_size", "tile_size", "edges", "hidden_tiles", "rounds"),
        compiled=True,
    )
