"""Background of a fluorescence frame: medians of tiles between cells, a smooth surface through."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.processing.background.tiled_interpolation.hidden_tiles import HiddenTiles
from pyama_core.processing.background.tiled_interpolation.kernels.spline import subtract
from pyama_core.processing.background.tiled_interpolation.kernels.tile_medians import (
    BlockCounts,
    no_counts,
    tile_medians,
)
from pyama_core.processing.background.tiled_interpolation.method import TiledInterpolationParameters
from pyama_core.processing.background.tiled_interpolation.spline_basis import ORDER, SplineBasis
from pyama_core.processing.bit_masks import BitMask
from pyama_core.processing.frame import as_frame

_COUNTED = {"uint8": (0, 256), "uint16": (0, 65_536), "int16": (32_768, 65_536)}
_MOST_COUNTED_TILES = 256  # per row of tiles: counts of 65,536 values take 0.5 MB for each
_FINEST_STEP = 1 / 16  # in which what is left is counted
_ROOM = 4.0  # times the range of the medians, for what is left
_SUBTRACTED = ("uint8", "uint16", "int16", "float32")
_ENOUGH = 0.01  # of the pixels of a tile; fewer lie where cells nearly touch, in their light

Medians = tuple[NDArray[np.float64], NDArray[np.int64]]
"""The median of each tile, NaN where it has no unmasked pixel, and how many of these it has."""


class TiledBackground:
    """Estimate and subtract the background of fluorescence frames of one shape.

    The mask is dilated by a square. The frame is cut into tiles that overlap by half: with
    edges e at ``rint(linspace(0, n, 2 * max(ceil(n / tile_size) + 1, 2) - 1))``, tile i spans
    e[i] to e[i + 2] and has its centre at (e[i] + e[i + 2]) / 2. The background at a tile's
    centre is the median of its unmasked pixels, and between centres the tensor product of
    interpolating cubic splines with not-a-knot ends (lower degrees where an axis has fewer than
    four tiles); beyond the outer centres it is constant or, where parameters say so, goes on along
    the straight line through the two outer ones. Half a tile more at each end of an axis of several
    brings those nearer to the edge, for a line leaves light that bends.

    A tile that cells hide has the median of all unmasked pixels or, where parameters say so, the
    value there of the surface that bends least (`HiddenTiles`) through the tiles that show
    background: those with a hundredth of their pixels unmasked or, if there are none, with any.

    A median is not the background in the middle of its tile where the background is bent, or where
    cells leave but a side of the tile free. Where parameters say so, the medians of what is left of
    the frame are added to the first ones; tiles that cells hide take them, too, from around them or
    are left as they are.

    Keeps the counts that it works with (0.5 MB per column of tiles) from frame to frame. Not to be
    called from two threads at once.

    Parameters
    ----------
    shape
        (Y, X) of the frames.
    parameters
        The defaults if None; what they leave open is taken as for cells of unknown size: tiles of
        256 pixels, constant beyond the outer centres, the frame's median in tiles that cells hide.

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.full((300, 300), 100, dtype=np.uint16)
    >>> frame[20:40, 20:40] = 500
    >>> background = TiledBackground(frame.shape)
    >>> medians = background.estimate(frame, frame > 200)
    >>> corrected = background.correct(frame, medians)
    >>> round(float(corrected[0, 0]), 3), round(float(corrected[30, 30]), 3)
    (0.0, 400.0)
    """

    def __init__(
        self, shape: tuple[int, int], parameters: TiledInterpolationParameters | None = None
    ) -> None:
        self.shape = (int(shape[0]), int(shape[1]))
        parameters = TiledInterpolationParameters() if parameters is None else parameters
        self.parameters = parameters.for_cells_of(None)
        if min(self.shape) < 1:
            raise InputError(f"Expected frames with at least one pixel, found shape {self.shape}.")
        assert self.parameters.tile_size != "auto"
        goes_on = self.parameters.edges == "linear"
        self._edges = [_tile_edges(n, self.parameters.tile_size, goes_on) for n in self.shape]
        centres = [(edges[:-2] + edges[2:]) / 2 for edges in self._edges]
        self._rows, self._columns = (
            SplineBasis.through(along, n, goes_on)
            for along, n in zip(centres, self.shape, strict=True)
        )
        sizes = (edges[2:] - edges[:-2] for edges in self._edges)
        self._enough = np.maximum(1, _ENOUGH * np.multiply.outer(*sizes))
        self._hidden = HiddenTiles(*centres)
        self._counts: dict[int, BlockCounts] = {}

    def estimate(self, frame: NDArray[Any], mask: NDArray[Any]) -> NDArray[np.float64] | None:
        """Return the background in the middle of each tile: the median of its unmasked pixels.

        Parameters
        ----------
        frame
            (Y, X) raw frame: bool, integer of up to 32 bits, or float.
        mask
            (Y, X) bool or label image; cells are where it is > 0, and are dilated here.

        Returns
        -------
        ndarray or None
            (n_tile_rows, n_tile_columns) float64 in the unit of the frame, those of hidden tiles
            as parameters say, medians of what is left added where there are several rounds. None
            if there are no unmasked pixels at all.

        Raises
        ------
        InputError
            If frame or mask have another shape or dtype, or pixels that are not finite.
        """
        frame = self._checked(frame, "fluorescence frame")
        masked = self._dilated(mask)
        medians, n_free = self._medians(frame, masked)
        if not n_free.any():
            return None
        if self.parameters.hidden_tiles == "around":
            shows = n_free >= self._enough
            shows = shows if shows.any() else n_free > 0
            medians = self._hidden.fill(medians, shows)
        else:
            shows = n_free > 0
            if not shows.all():
                medians[~shows] = np.median(frame[masked == 0].astype(np.float64))
        assert self.parameters.rounds != "auto"
        for _ in range(self.parameters.rounds - 1):
            left = self._medians_left(frame, masked, medians)
            if self.parameters.hidden_tiles == "around":
                left = self._hidden.fill(left, shows)
            medians = medians + np.where(np.isnan(left), 0.0, left)
        return medians

    def free_part(self, mask: NDArray[Any]) -> float:
        """Return which part of a frame shows background: what is left of it beside the mask.

        Parameters
        ----------
        mask
            (Y, X) bool or label image, as in `estimate`.
        """
        return 1.0 - float(self._dilated(mask).mean())

    def background(self, medians: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the (Y, X) float64 surface through the tile medians."""
        coefficients = self._coefficients(medians)
        along_rows = self._rows.interpolate(coefficients)
        return self._columns.interpolate(along_rows.T).T

    def correct(self, frame: NDArray[Any], medians: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the frame minus the surface through the tile medians, (Y, X) float32.

        Raises
        ------
        InputError
            If the frame has another shape or dtype, or pixels that are not finite, or if
            `medians` are not one finite number per tile.
        """
        frame = self._checked(frame, "fluorescence frame")
        if frame.dtype.name not in _SUBTRACTED:
            frame = as_frame(frame.astype(np.float64))
        out = np.empty(self.shape, np.float32)
        rows, columns = self._rows, self._columns
        coefficients = self._coefficients(medians)
        subtract(
            frame, rows.first, rows.weights, columns.first, columns.weights, columns.pieces,
            coefficients, out,
        )  # fmt: skip
        return out

    def _coefficients(self, medians: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the spline's coefficients, padded with 0 to at least four per axis."""
        rows, columns = self._rows, self._columns
        expected = (len(rows.collocation), len(columns.collocation))
        medians = np.asarray(medians, np.float64)
        if medians.shape != expected or not np.isfinite(medians).all():
            raise InputError(
                f"Expected finite tile medians of shape {expected} for frames of {self.shape} "
                f"pixels, found shape {medians.shape}."
            )
        along_rows = np.linalg.solve(rows.collocation, medians)
        solved = np.linalg.solve(columns.collocation, along_rows.T).T
        coefficients = np.zeros((max(expected[0], ORDER), max(expected[1], ORDER)))
        coefficients[: expected[0], : expected[1]] = solved
        return coefficients

    def _checked(self, pixels: NDArray[Any], what: str) -> NDArray[Any]:
        """Return a frame as kernels take it, refusing one of another shape."""
        frame = as_frame(pixels, what)
        if frame.shape != self.shape:
            raise InputError(f"Expected a {what} of shape {self.shape}, found {frame.shape}.")
        return frame

    def _dilated(self, mask: NDArray[Any]) -> NDArray[np.uint8]:
        """Return 1 within reach of a cell, else 0."""
        assert self.parameters.dilation_size != "auto"
        reach = self.parameters.dilation_size // 2
        cells = self._checked(mask, "mask")
        bits = BitMask(cells if cells.dtype == np.uint8 else cells > 0, reach)
        bits.dilate(reach)
        return bits.unpack()

    def _medians(self, frame: NDArray[Any], masked: NDArray[np.uint8]) -> Medians:
        """Return the medians of the tiles."""
        if frame.dtype.name in _COUNTED and self._edges[1].size <= _MOST_COUNTED_TILES:
            return self._counted_medians(frame, masked)
        return self._selected_medians(frame, masked)

    def _medians_left(
        self, frame: NDArray[Any], masked: NDArray[np.uint8], medians: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the medians of what is left of a frame, of whole grey values by counting.

        That is counted in steps of a sixteenth, or as fine as there is room for. Room is needed for
        no more than what is left of the medians themselves; what is beyond moves no median.
        """
        left = self.correct(frame, medians)
        if frame.dtype.name not in _COUNTED:
            return self._medians(left, masked)[0]
        middle = 32_768  # of what is counted
        step = max(_FINEST_STEP, float(_ROOM * np.ptp(medians) / middle))
        left *= np.float32(1 / step)
        left += np.float32(middle)
        np.rint(np.clip(left, 0, 2 * middle - 1, out=left), out=left)
        return step * (self._medians(as_frame(left.astype(np.uint16)), masked)[0] - middle)

    def _counted_medians(self, frame: NDArray[Any], masked: NDArray[np.uint8]) -> Medians:
        """Return the medians of the tiles of a frame with few enough possible values to count."""
        row_edges, column_edges = self._edges
        offset, n_values = _COUNTED[frame.dtype.name]
        if n_values not in self._counts:
            self._counts[n_values] = no_counts(column_edges.size - 1, n_values)
        counts = self._counts[n_values]
        found: Medians = tile_medians(frame, masked, row_edges, column_edges, offset, counts)
        return found

    def _selected_medians(self, frame: NDArray[Any], masked: NDArray[np.uint8]) -> Medians:
        """Return the medians of the tiles of a frame with too many possible values to count."""
        row_edges, column_edges = self._edges
        medians = np.full((row_edges.size - 2, column_edges.size - 2), np.nan)
        n_free = np.zeros(medians.shape, np.int64)
        for i, j in np.ndindex(medians.shape):
            tile = (
                slice(row_edges[i], row_edges[i + 2]),
                slice(column_edges[j], column_edges[j + 2]),
            )
            unmasked = frame[tile][masked[tile] == 0]
            n_free[i, j] = unmasked.size
            if unmasked.size:
                medians[i, j] = np.median(unmasked.astype(np.float64))
        return medians, n_free


def create(parameters: TiledInterpolationParameters, shape: tuple[int, int]) -> TiledBackground:
    """Make the corrector of a field of view."""
    return TiledBackground(shape, parameters)


def _tile_edges(n: int, tile_size: int, goes_on: bool) -> NDArray[np.int64]:
    """Return where the half-overlapping tiles of an axis of `n` pixels begin and end.

    Where the background goes on beyond them, the first and the last of several are half a tile.
    """
    n_edges = 2 * max(-(-n // tile_size) + 1, 2) - 1
    edges = np.rint(np.linspace(0, n, n_edges)).astype(np.int64)
    return np.pad(edges, 1, "edge") if goes_on and n_edges > 3 else edges
