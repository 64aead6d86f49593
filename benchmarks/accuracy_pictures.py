"""Outlines over an image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_COLOUR = (40, 90, 255)  # orange, as blue, green, red


def outlined(grey: NDArray[np.uint8], labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a colour image with a line where labels differ."""
    edge = np.zeros(labels.shape, np.bool_)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    colour = np.dstack([grey] * 3)
    colour[edge] = _COLOUR
    return np.asarray(colour, np.uint8)
