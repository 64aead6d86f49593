"""Matplotlib, where it is installed: figures of no window, which notebooks show once."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from pyama_core.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, `width` by `height` inches, that pyplot knows nothing of.

    Raises
    ------
    InputError
        Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            'figures need matplotlib, which is not installed: pip install "pyama-core[plot]"'
        ) from error

    class ShownFigure(Figure):
        """Shows itself in notebooks, whether pyplot was imported or not."""

        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=100)
            return buffer.getvalue()

    return ShownFigure(figsize=(width, height), layout="constrained")


def plain_text(text: str) -> str:
    """Return a text in which nothing is taken for mathematics."""
    return text.replace("$", r"\$")
