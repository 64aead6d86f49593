"""Erosion and dilation by squares, 64 pixels at a time: masks with one bit per pixel.

A square is a window along one axis, then one along the other, and a window of 2·reach + 1 pixels
is one that reaches ahead, then one that reaches back. A window that reaches n pixels ahead comes
from doublings: two windows of n pixels, n apart, make one of 2n. So the time grows with the
logarithm of the size, and each doubling is one pass of word operations over the packed mask.

Outside of the frame is background, for erosion as for dilation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.compiling import compiled

Words = NDArray[np.uint64]

_NOTHING = np.uint64(0)
_ONE = np.uint64(1)


class BitMask:
    """A mask of one bit per pixel that can be eroded and dilated by squares.

    Rows follow each other as words, the first pixel in the lowest bit, with words of background
    before, between and after them: what is shifted out of a row does not reach the next.

    Parameters
    ----------
    mask
        (Y, X) bool or uint8, foreground where it is not 0.
    largest_reach
        The largest reach that will be asked for, pixels.
    """

    def __init__(self, mask: NDArray[Any], largest_reach: int) -> None:
        height, self._width = mask.shape
        self._words = -(-self._width // 64)
        self._margin = largest_reach // 64 + 1
        stride = self._words + self._margin
        # The margin before the first row is the last of a row of its own.
        rows = np.zeros((height + 1, stride), np.uint64)
        self._rows, self._other = rows, np.zeros_like(rows)
        self._bytes_of(rows)[:] = np.packbits(mask, axis=1, bitorder="little")

    def erode(self, reach: int) -> None:
        """Keep the pixels around which a square of 2·reach + 1 pixels is all foreground."""
        self._apply(reach, grows=False)

    def dilate(self, reach: int) -> None:
        """Set the pixels around which a square of 2·reach + 1 pixels has any foreground."""
        self._apply(reach, grows=True)

    def unpack(self) -> NDArray[np.uint8]:
        """Return the mask as (Y, X) uint8 of 0 and 1."""
        packed = self._bytes_of(self._rows)
        return np.unpackbits(packed, axis=1, count=self._width, bitorder="little")

    def _apply(self, reach: int, *, grows: bool) -> None:
        stride = self._rows.shape[1]
        words, other = self._rows.reshape(-1), self._other.reshape(-1)
        for unit in (1, -1, 64 * stride, -64 * stride):
            if slide(words, other, reach + 1, unit, stride, self._margin, grows):
                words, other = other, words
        self._rows, self._other = words.reshape(-1, stride), other.reshape(-1, stride)
        if grows:  # not beyond the frame
            self._rows[0] = 0
            self._rows[:, self._words - 1] &= np.uint64((1 << ((self._width - 1) % 64 + 1)) - 1)

    def _bytes_of(self, rows: Words) -> NDArray[np.uint8]:
        """Return the bytes of the pixels, without the margins."""
        return rows[1:].view(np.uint8)[:, : -(-self._width // 8)]


@compiled()
def _join(words: Words, distance: int, grows: bool, out: Words) -> None:
    """Join each bit with the one that is `distance` bits ahead: either if it grows, else both.

    A negative distance reaches back. Beyond the ends is background.
    """
    n, whole = words.size, abs(distance) // 64
    rest = np.uint64(abs(distance) % 64)
    across = np.uint64(63) - rest  # shifted by 1 before: a shift by 64 is undefined
    made = max(0, n - whole - 1)
    if distance > 0:
        begin = 0
        here, near, far = words[:made], words[whole : whole + made], words[n - made :]
        for i in range(made):
            other = (near[i] >> rest) | ((far[i] << _ONE) << across)
            out[i] = here[i] | other if grows else here[i] & other
    else:
        begin = n - made
        here, near, far = words[begin:], words[1 : 1 + made], words[:made]
        target = out[begin:]
        for i in range(made):
            other = (near[i] << rest) | ((far[i] >> _ONE) >> across)
            target[i] = here[i] | other if grows else here[i] & other
    for i in range(n - made):
        k = i if distance < 0 else made + i
        out[k] = words[k] if grows else _NOTHING


@compiled()
def slide(
    words: Words, other: Words, length: int, unit: int, stride: int, margin: int, grows: bool
) -> bool:
    """Join each bit with the `length` − 1 that follow at distances of `unit` bits.

    Works in `words` and `other` by turns; returns whether the result is in `other`.
    """
    swapped = False
    covered = 1
    while covered < length:
        step = min(covered, length - covered)
        _join(words, step * unit, grows, other)
        if abs(unit) == 1:
            for begin in range(stride - margin, words.size, stride):
                other[begin : begin + margin] = 0
        words, other = other, words
        swapped = not swapped
        covered += step
    return swapped
