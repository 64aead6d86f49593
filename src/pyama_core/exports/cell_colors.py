"""Colours of cells: a cell has the same in all frames, and neighbours in number differ."""

from __future__ import annotations

import colorsys

_GOLDEN_ANGLE = 0.618034


def cell_color(cell: int) -> tuple[int, int, int]:
    """Return red, green and blue of a cell, 0 to 255."""
    red, green, blue = colorsys.hsv_to_rgb(cell * _GOLDEN_ANGLE % 1, 0.8, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)
