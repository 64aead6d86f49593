"""A cell as pixels: its mask, its look in phase contrast, where its fluorescence comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pyama_core.demo.cell import Cell
from pyama_core.demo.scene import N_TEXTURES

_TEXTURE_SIZE = 160
_HALO_PX = 18
_FINE = 0.07
_COARSE = 0.055
_MAX_DEVIATION = 3.0


@dataclass(frozen=True)
class Patch:
    """What one cell adds to the part of a frame around it.

    Parameters
    ----------
    cell : Cell
        The cell.
    window : tuple of slice
        Rows and columns of the frame.
    mask : (h, w) bool array
        Pixels whose centre lies inside the outline.
    contrast : (h, w) float32 array
        Phase contrast as a fraction of the background.
    fluorescence : (h, w) float32 array
        Share of the cell's fluorescence per pixel: 0 outside the mask, 1 in sum if the whole
        cell lies in the frame.
    """

    cell: Cell
    window: tuple[slice, slice]
    mask: NDArray[np.bool_]
    contrast: NDArray[np.float32]
    fluorescence: NDArray[np.float32]

    def signals(self, time: float) -> list[tuple[int, float]]:
        """Return the counts within the mask that are the cell's own, with their channels."""
        share = float(self.fluorescence.sum(dtype=np.float64))
        courses = range(len(self.cell.courses))
        return [(index + 1, share * self.cell.total(index, time)) for index in courses]


class Pen:
    """Draws cells, each with a texture of its own that moves with it.

    Parameters
    ----------
    size : int
        Height and width of the frame in pixels.
    rng : numpy.random.Generator
        Decides the textures.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._size = size
        self._textures = [_texture(rng) for _ in range(2 * N_TEXTURES)]

    def draw(self, cell: Cell) -> Patch | None:
        """Draw a cell, or None where nothing of its mask is in the frame."""
        half = math.ceil(cell.reach) + _HALO_PX
        top, left = math.floor(cell.y) - half, math.floor(cell.x) - half
        y = np.arange(top, top + 2 * half + 2, dtype=np.float64)[:, None]
        x = np.arange(left, left + 2 * half + 2, dtype=np.float64)[None, :]
        depth = cell.depth(y, x)
        rows = slice(max(0, -top), max(0, min(len(y), self._size - top)))
        cols = slice(max(0, -left), max(0, min(x.size, self._size - left)))
        mask = depth[rows, cols] > 0
        if not mask.any():
            return None
        structure = self._structure(cell, top, left, len(y))
        return Patch(
            cell,
            (slice(top + rows.start, top + rows.stop), slice(left + cols.start, left + cols.stop)),
            mask,
            _phase_contrast(cell, depth, structure, y, x)[rows, cols].astype(np.float32),
            _fluorescence(cell, depth)[rows, cols].astype(np.float32),
        )

    def _structure(self, cell: Cell, top: int, left: int, n: int) -> NDArray[np.float32]:
        """Sample the texture of a cell at the pixels of its patch."""
        cos, sin = math.cos(cell.angle), math.sin(cell.angle)
        dx, dy = left - cell.x, top - cell.y
        middle = _TEXTURE_SIZE / 2
        turn = np.array(
            [
                [cos, sin, cos * dx + sin * dy + middle],
                [-sin, cos, -sin * dx + cos * dy + middle],
            ]
        )
        one, two = self._textures[cell.texture], self._textures[cell.texture + N_TEXTURES]
        mixed = math.cos(cell.churn) * one + math.sin(cell.churn) * two
        return np.asarray(
            cv2.warpAffine(
                mixed,
                turn,
                (n, n),
                flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_WRAP,
            ),
            dtype=np.float32,
        )


def _texture(rng: np.random.Generator) -> NDArray[np.float32]:
    """Band-limited noise: granules of one to four pixels on a coarser structure, bounded."""
    noise = rng.standard_normal((2, _TEXTURE_SIZE, _TEXTURE_SIZE), dtype=np.float32)
    bands = []
    for white, inner, outer in ((noise[0], 0.75, 2.0), (noise[1], 2.0, 5.0)):
        band = ndimage.gaussian_filter(white, inner, mode="wrap") - ndimage.gaussian_filter(
            white, outer, mode="wrap"
        )
        bands.append(np.clip(band / band.std(), -_MAX_DEVIATION, _MAX_DEVIATION))
    return np.asarray(_FINE * bands[0] + _COARSE * bands[1], dtype=np.float32)


def _phase_contrast(
    cell: Cell,
    depth: NDArray[np.float64],
    structure: NDArray[np.float32],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Dark granular body, paler nucleus, bright rim and a faint halo; brighter while round."""
    body = np.clip(depth / 2.5, 0, 1)
    along, across = math.cos(cell.angle), math.sin(cell.angle)
    u = (x - cell.x) * along + (y - cell.y) * across
    v = (y - cell.y) * along - (x - cell.x) * across
    nucleus = np.exp(-(((u / (0.48 * cell.radius)) ** 2 + (v / (0.36 * cell.radius)) ** 2) ** 2))
    inside = -0.08 + 0.1 * nucleus + 0.12 * cell.rounding + structure * (1 - 0.35 * nucleus)
    rim = (0.14 + 0.2 * cell.rounding) * np.exp(-(((depth - 1.6) / 1.2) ** 2))
    halo = (0.025 + 0.02 * cell.rounding) * np.exp(np.minimum(depth, 0) / 7.0) * (1 - body)
    return np.asarray(cell.contrast * (body * inside + rim + halo), dtype=np.float64)


def _fluorescence(cell: Cell, depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth dome over the cell that falls to zero at the outline."""
    height = np.clip(depth / (0.8 * cell.radius), 0, 1)
    dome = height * height * (3 - 2 * height)
    return np.asarray(dome / dome.sum(), dtype=np.float64)
