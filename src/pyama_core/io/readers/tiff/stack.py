"""A row of equal planes in one TIFF file, wherever in its pages they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyama_core.io.readers.frame_source import Frame
from pyama_core.io.readers.tiff.pages import (
    UnreadablePlaneError,
    chain_ends,
    check_segments,
    decode_page,
    load_page,
    require_page,
)

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage


class TiffStack:
    """Equal planes in one TIFF file.

    Each is a page; or one of the samples of a page, as programs that take three or four frames
    for colours write them; or they all lie in a row behind a single page. ImageJ writes the latter
    for stacks beyond 4 GB, which a classic TIFF has no offsets for.

    Parameters
    ----------
    tiff : TiffFile
        The open file.
    pages : sequence of int
        Numbers of the pages, −1 for one that is not there.
    first : TiffPage
        A page that is like all of them.
    n_planes : int
        How many planes there should be.
    load : callable, optional
        Returns the page of a number, where it is not as the file has it.

    Attributes
    ----------
    frame_size : (int, int)
        (Y, X) of the planes.
    dtype : dtype
        Their pixel type, native byte order.
    """

    def __init__(
        self,
        tiff: TiffFile,
        pages: Sequence[int],
        first: TiffPage,
        n_planes: int,
        load: Callable[[int], TiffPage] | None = None,
    ) -> None:
        self._tiff = tiff
        self._pages = pages
        self._first = first
        self._n_planes = n_planes
        self._load = load or (lambda index: load_page(tiff, index))
        self.frame_size = first.imagelength, first.imagewidth
        self.dtype = np.dtype(first.dtype).newbyteorder("=")
        self._per_page = planes_of_page(first)
        n_separate, _, _, _, self._n_last = first.shaped
        self._is_separate = n_separate == self._per_page
        n_pages = -(-n_planes // self._per_page)
        single = len(tiff.pages) == 1 < n_pages and first.is_contiguous
        self._is_row = single and chain_ends(tiff)
        # The page read last, of those whose planes cannot be decoded one by one.
        self._decoded: tuple[int, npt.NDArray[Any]] | None = None

    def reopen(self) -> None:
        """Take a new handle of the file, in place of one that a network failure broke."""
        self._tiff.filehandle.close()
        self._tiff.filehandle.open()

    def present(self) -> npt.NDArray[np.bool_]:
        """Tell which planes are inside the file, as far as its pages say."""
        pages = np.asarray(self._pages, np.int64) >= 0
        there = np.repeat(pages, self._per_page)[: self._n_planes]
        present = np.zeros(self._n_planes, np.bool_)
        present[: len(there)] = there
        if self._is_row:
            room = self._tiff.filehandle.size - self._first.dataoffsets[0]
            present[len(there) : room // self._first.nbytes * self._per_page] = True
        elif len(there) and there[-1]:
            present[self._first_cut_off() * self._per_page :] = False
        return present

    def _first_cut_off(self) -> int:
        """Find the first page whose pixels lie beyond the end of a file that was cut off.

        Of a file that is whole, the last page alone is looked at.
        """
        first, end = 0, len(self._pages)
        if self._is_inside(end - 1):
            return end
        while first < end:
            middle = (first + end) // 2
            if self._pages[middle] < 0 or self._is_inside(middle):
                first = middle + 1
            else:
                end = middle
        return first

    def _is_inside(self, place: int) -> bool:
        """Whether the pixels of a page lie inside the file, as far as can be known."""
        try:
            page = self._load(self._pages[place])
        except UnreadablePlaneError:  # becomes an error with its place when it is read
            return True
        ends = map(sum, zip(page.dataoffsets, page.databytecounts, strict=False))
        return max(ends, default=0) <= self._tiff.filehandle.size

    def read(self, index: int) -> Frame:
        """Read one plane.

        Returns
        -------
        (Y, X) ndarray
            C-contiguous, native byte order.

        Raises
        ------
        UnreadablePlaneError
            If it is not in the file or damaged.
        """
        place, sample = divmod(index, self._per_page)
        if place >= len(self._pages) or self._pages[place] < 0:
            return self._read_from_row(place, sample)
        number = self._pages[place]
        if self._per_page == 1:
            page = self._load(number)
            plane = decode_page(page, number, self._first.shape, self.dtype)
            plane = plane.reshape(self.frame_size)
        elif self._is_separate:
            plane = self._read_sample(number, sample)
        else:
            plane = self._plane_of(self._whole_page(number), sample)
        return np.ascontiguousarray(plane, dtype=self.dtype)

    def _whole_page(self, number: int) -> npt.NDArray[Any]:
        if self._decoded is None or self._decoded[0] != number:
            page = self._load(number)
            self._decoded = number, decode_page(page, number, self._first.shape, self.dtype)
        return self._decoded[1]

    def _plane_of(self, pixels: npt.NDArray[Any], sample: int) -> npt.NDArray[Any]:
        """Take a plane out of a page whose samples lie together, or which has several in depth."""
        place, last = divmod(sample, self._n_last)
        planes = pixels.reshape(-1, *self.frame_size, self._n_last)
        plane: npt.NDArray[Any] = planes[place, ..., last]
        return plane

    def _read_sample(self, number: int, sample: int) -> npt.NDArray[Any]:
        """Decode those parts of a page that one of its samples is made of."""
        page = self._load(number)
        require_page(page, number, self._first.shape, self.dtype)
        file_size = self._tiff.filehandle.size
        if page.is_contiguous:
            n_bytes = page.nbytes // self._per_page
            offset = page.dataoffsets[0] + sample * n_bytes
            check_segments((offset,), (n_bytes,), file_size)
            return self._read_array(offset, self.frame_size)
        n_parts = len(page.dataoffsets) // self._per_page
        parts = range(sample * n_parts, (sample + 1) * n_parts)
        offsets = [page.dataoffsets[part] for part in parts]
        counts = [page.databytecounts[part] for part in parts]
        check_segments(offsets, counts, file_size)
        frame = np.empty(self.frame_size, self.dtype)
        try:
            for part, offset, count in zip(parts, offsets, counts, strict=True):
                self._decode_part(page, part, offset, count, frame)
        except Exception as error:  # each codec raises its own kind of error for damaged data
            raise UnreadablePlaneError(
                f"sample {sample} of page {number} cannot be decoded ({error})"
            ) from error
        return frame

    def _decode_part(
        self, page: TiffPage, part: int, offset: int, count: int, frame: Frame
    ) -> None:
        """Put a strip or tile where it belongs."""
        file = self._tiff.filehandle
        file.seek(offset)
        keyframe: Any = page.keyframe
        pixels, at, _ = keyframe.decode(file.read(count), part, jpegtables=page.jpegtables)
        top, left = at[2], at[3]
        target = frame[top : top + pixels.shape[1], left : left + pixels.shape[2]]
        target[:] = pixels[0, : target.shape[0], : target.shape[1], 0]

    def _read_from_row(self, place: int, sample: int) -> Frame:
        """Read a plane of those that lie behind a single page."""
        file, size = self._tiff.filehandle, self._first.nbytes
        offset = self._first.dataoffsets[0] + place * size
        if not self._is_row or offset + size > file.size:
            raise UnreadablePlaneError("it lies beyond the end of the file, which is cut off")
        return np.ascontiguousarray(
            self._plane_of(self._read_array(offset, self._first.shape), sample)
        )

    def _read_array(self, offset: int, shape: tuple[int, ...]) -> Frame:
        stored = self.dtype.newbyteorder(self._tiff.byteorder)
        pixels = self._tiff.filehandle.read_array(stored, math.prod(shape), offset)
        return np.ascontiguousarray(pixels.reshape(shape), dtype=self.dtype)


def planes_of_page(page: TiffPage) -> int:
    """Return how many planes (Y, X) a page holds."""
    return math.prod(page.shape) // (page.imagelength * page.imagewidth)
