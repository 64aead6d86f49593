"""What every algorithm asks of a frame before it touches a pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError

FRAME_DTYPES = ("bool", "uint8", "uint16", "int16", "uint32", "int32", "float32", "float64")
LARGEST_FLOAT = 1e150  # its square and sums of such squares are still finite


def refusal_of(dtype: str) -> str | None:
    """Say why images of a pixel type cannot be processed; None if they can.

    Examples
    --------
    >>> refusal_of("uint16") is None, refusal_of("float16")[:22]
    (True, 'has pixels of float16,')
    """
    if dtype in FRAME_DTYPES:
        return None
    return f"has pixels of {dtype}, expected one of {', '.join(FRAME_DTYPES)}; convert it first"


def as_frame(pixels: NDArray[Any], what: str = "frame") -> NDArray[Any]:
    """Check one frame and hand it out in the one memory layout that the kernels are compiled for.

    Parameters
    ----------
    pixels
        (Y, X) array of one of `FRAME_DTYPES`, in any memory layout and byte order.
    what
        What the frame is called in an error.

    Returns
    -------
    ndarray
        (Y, X), C-contiguous, native byte order, read-only, bool seen as uint8; the memory of
        `pixels` wherever that allows. Read-only always, because a kernel compiled for writable
        arrays would be compiled again for the frames of a read-only memory map.

    Raises
    ------
    InputError
        If `pixels` is not two-dimensional, is empty, has another dtype or holds values that are
        not finite (or beyond ±1e150, whose squares are not).
    """
    frame = np.asarray(pixels)
    if frame.ndim != 2 or frame.size == 0:
        raise InputError(
            f"Expected a {what} of shape (Y, X) with at least one pixel, found shape {frame.shape}."
        )
    if frame.dtype.name not in FRAME_DTYPES:
        raise InputError(
            f"Expected a {what} of dtype {', '.join(FRAME_DTYPES)}, found {frame.dtype}; "
            "convert it first."
        )
    frame = np.ascontiguousarray(frame, dtype=frame.dtype.newbyteorder("="))
    if frame.dtype == np.bool_:
        frame = frame.view(np.uint8)
    elif frame.dtype.kind == "f":
        _refuse_non_finite(frame, what)
    return read_only(frame)


def read_only(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return a view through which the pixels cannot be changed."""
    view = pixels.view()
    view.flags.writeable = False
    return view


def _refuse_non_finite(frame: NDArray[Any], what: str) -> None:
    """Raise for pixels that are NaN, infinite or too large to square."""
    limit = min(LARGEST_FLOAT, float(np.finfo(frame.dtype).max))
    if -limit <= frame.min() and frame.max() <= limit:  # false where either is NaN
        return
    bad = ~(np.abs(frame) <= limit)
    row, column = np.unravel_index(int(np.argmax(bad)), frame.shape)
    raise InputError(
        f"Expected finite pixels in the {what}, found {np.count_nonzero(bad)} of {frame.size} that "
        f"are not, the first {frame[row, column]} at row {row}, column {column}."
    )


def as_labels(pixels: NDArray[Any], what: str = "label image") -> NDArray[Any]:
    """Check one label image and hand it out in one of the dtypes that kernels are compiled for.

    Parameters
    ----------
    pixels
        (Y, X) bool or integer of any size, 0 where background is.
    what
        What the image is called in an error.

    Returns
    -------
    ndarray
        (Y, X), C-contiguous, read-only, of dtype uint8, uint16, uint32 or int64; the memory of
        `pixels` wherever that allows.

    Raises
    ------
    InputError
        If `pixels` is not two-dimensional, is empty, has another dtype or negative labels.
    """
    labels = np.asarray(pixels)
    if labels.ndim != 2 or labels.size == 0 or labels.dtype.kind not in "biu":
        raise InputError(
            f"Expected a {what} of shape (Y, X) with at least one pixel and dtype bool or "
            f"integer, found shape {labels.shape} and dtype {labels.dtype}."
        )
    labels = np.ascontiguousarray(labels, dtype=labels.dtype.newbyteorder("="))
    size = labels.dtype.itemsize
    # Without negative values the signed and the unsigned integer of a size are the same bits.
    signed = labels.view(f"i{size}")
    if (labels.dtype.kind == "i" or size == 8) and signed.min() < 0:
        raise InputError(
            f"Expected labels from 0 to {2**63 - 1} in a {what}, found "
            f"{np.count_nonzero(signed < 0)} pixels outside."
        )
    labels = signed if size == 8 else labels.view(f"u{size}")
    return read_only(labels)
