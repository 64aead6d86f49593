"""How far the brightest pixel of a cell is from the middle of the cell, in pixels."""

import numpy as np


def brightest_spot(image, mask):
    """Return the distance; image and mask are cut out around the cell."""
    rows, columns = np.nonzero(mask)
    brightest = np.argmax(image[rows, columns])
    return float(np.hypot(rows[brightest] - rows.mean(), columns[brightest] - columns.mean()))
