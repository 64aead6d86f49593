"""Crowded cells as pixels: who owns which, and what each channel gets of whom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pyama_core.demo.crowd import Body
from pyama_core.demo.kinds import DemoKind, Habit

_BLUR = {DemoKind.NUCLEI: 0.9, DemoKind.CELLS: 0.9, DemoKind.BACTERIA: 1.5}
_MARGIN_PX = 24
_TEXTURE_SIZE, _N_TEXTURES = 128, 12
_GRAIN = {DemoKind.NUCLEI: 0.10, DemoKind.CELLS: 0.07, DemoKind.BACTERIA: 0.02}
_HALO_PX = 8.0
_DARK, HALO = -0.6, 0.24


@dataclass(frozen=True)
class Drawn:
    """What one cell adds to the part of a frame around it.

    Parameters
    ----------
    cell : Body
        The cell.
    window : tuple of slice
        Rows and columns of the frame.
    mask : (h, w) bool array
        Pixels that are its own: their centres lie inside its outline, and in no other's deeper.
    light : tuple of (h, w) float32 array
        What it adds to each channel: counts, or a part of the background in phase contrast.
    measured : tuple of int
        The channels that are fluorescence.
    """

    cell: Body
    window: tuple[slice, slice]
    mask: NDArray[np.bool_]
    light: tuple[NDArray[np.float32], ...]
    measured: tuple[int, ...]

    def signals(self, time: float) -> list[tuple[int, float]]:
        """Return the counts within the mask that are the cell's own, with their channels."""
        del time  # the light is that of the moment
        return [(c, float(self.light[c][self.mask].sum(dtype=np.float64))) for c in self.measured]


class CrowdPen:
    """Draws the cells of a frame together.

    Parameters
    ----------
    kind : DemoKind
        What they are.
    habit : Habit
        What they look like.
    measured : tuple of int
        The channels that are fluorescence.
    size : int
        Height and width of the frame in pixels.
    rng : numpy.random.Generator
        Decides the textures.
    """

    def __init__(
        self,
        kind: DemoKind,
        habit: Habit,
        measured: tuple[int, ...],
        size: int,
        rng: np.random.Generator,
    ) -> None:
        self._kind, self._habit, self._measured, self._size = kind, habit, measured, size
        noise = rng.standard_normal((_N_TEXTURES, _TEXTURE_SIZE, _TEXTURE_SIZE), dtype=np.float32)
        self._textures = [texture(white) for white in noise]

    def draw(self, cells: Sequence[Body], time: float) -> list[Drawn]:
        """Draw the cells of which anything is in the frame."""
        deepest = np.zeros((self._size, self._size), np.float32)
        owner = np.full(deepest.shape, -1, np.int32)
        drawn = []
        for cell in cells:
            sheet = self._sheet(cell, time)
            if sheet is None:
                continue
            window, depth, light = sheet
            is_deeper = depth > deepest[window]
            deepest[window][is_deeper] = depth[is_deeper]
            owner[window][is_deeper] = cell.key
            drawn.append((cell, window, light))
        patches = [
            Drawn(cell, window, owner[window] == cell.key, light, self._measured)
            for cell, window, light in drawn
        ]
        return [patch for patch in patches if patch.mask.any()]

    def _sheet(
        self, cell: Body, time: float
    ) -> tuple[tuple[slice, slice], NDArray[np.float32], tuple[NDArray[np.float32], ...]] | None:
        half = math.ceil(cell.reach) + _MARGIN_PX
        top, left = math.floor(cell.y) - half, math.floor(cell.x) - half
        n = 2 * half + 2
        rows = slice(max(0, -top), max(0, min(n, self._size - top)))
        cols = slice(max(0, -left), max(0, min(n, self._size - left)))
        if rows.start >= rows.stop or cols.start >= cols.stop:
            return None
        y = np.arange(top, top + n, dtype=np.float64)[:, None]
        x = np.arange(left, left + n, dtype=np.float64)[None, :]
        depth = cell.depth(y, x)
        light = (self._marker(cell, depth), _reporter(cell, depth, time))
        window = (
            slice(top + rows.start, top + rows.stop),
            slice(left + cols.start, left + cols.stop),
        )
        seen = tuple(np.ascontiguousarray(plane[rows, cols], np.float32) for plane in light)
        return window, depth[rows, cols].astype(np.float32), seen

    def _marker(self, cell: Body, depth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what shows the cell: a dye within it, or a dark rod in its halo."""
        inside = np.clip(depth + 0.5, 0, 1)
        sigma = _BLUR[self._kind]
        if self._kind is DemoKind.BACTERIA:
            body = cv2.GaussianBlur(inside, (0, 0), sigma)
            halo = np.exp(np.minimum(depth, 0) / _HALO_PX) * (1 - body)
            return np.asarray(_DARK * body + HALO * halo, np.float64)
        flat = self._habit.flatness
        profile = inside * (
            flat + (1 - flat) * _dome(depth, cell.width) * self._hill(cell, len(depth))
        )
        grain = self._grain(cell, len(depth)) * (1 + cell.condensed)
        lit = cell.level / (0.6 + 0.4 * flat) * profile * np.maximum(1 + grain, 0.2)
        return np.asarray(cv2.GaussianBlur(lit, (0, 0), sigma), np.float64)

    def _hill(self, cell: Body, n: int) -> NDArray[np.float64]:
        """Return how thick a cell is: most in its middle."""
        y, x = (np.arange(n) - (n - 2) / 2 - v + math.floor(v) for v in (cell.y, cell.x))
        along = (y[:, None] + 1j * x[None, :]) * np.conj(cell.axis)
        spread = 0.8 * (cell.straight + cell.width)
        return np.asarray(np.exp(-((along.real / spread) ** 2)), np.float64)

    def _grain(self, cell: Body, n: int) -> NDArray[np.float64]:
        """Return the texture of a cell, which moves and turns with it."""
        cos, sin = math.cos(cell.angle), math.sin(cell.angle)
        # The middle of a sheet is within a pixel of the centre of its cell.
        dx = (n - 2) / 2 + cell.x - math.floor(cell.x)
        dy = (n - 2) / 2 + cell.y - math.floor(cell.y)
        middle = _TEXTURE_SIZE / 2
        turn = np.array(
            [
                [cos, sin, middle - cos * dx - sin * dy],
                [-sin, cos, middle + sin * dx - cos * dy],
            ]
        )
        seen = cv2.warpAffine(
            self._textures[cell.texture % _N_TEXTURES],
            turn,
            (n, n),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_WRAP,
        )
        return np.asarray(_GRAIN[self._kind] * seen, np.float64)


def _reporter(cell: Body, depth: NDArray[np.float64], time: float) -> NDArray[np.float64]:
    """Return a smooth dome of light that falls to zero at the outline."""
    dome = _dome(depth, 0.8 * cell.width)
    return np.asarray(cell.share * cell.course.total(time) * dome / dome.sum(), np.float64)


def _dome(depth: NDArray[np.float64], height: float) -> NDArray[np.float64]:
    rise = np.clip(depth / height, 0, 1)
    return np.asarray(rise * rise * (3 - 2 * rise), np.float64)


def texture(white: NDArray[np.float32]) -> NDArray[np.float32]:
    """Smooth grains of some four pixels, bounded."""
    blurred = [
        cv2.GaussianBlur(white, (0, 0), s, borderType=cv2.BORDER_REFLECT) for s in (1.6, 5.0)
    ]
    band = blurred[0] - blurred[1]
    return np.asarray(np.clip(band / band.std(), -2.5, 2.5), np.float32)
