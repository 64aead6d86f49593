"""What kind of image each page of a TIFF file is, read from the tags alone.

tifffile makes an object of every page that it is asked about, which takes it a tenth of a
millisecond and, in files that were written page by page, a time that grows with their square.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tifffile import TiffFile

_REDUCED, _WIDTH, _HEIGHT, _BITS, _SAMPLES, _PLANAR, _FORMAT = 254, 256, 257, 258, 277, 284, 339
_WANTED = frozenset({_REDUCED, _WIDTH, _HEIGHT, _BITS, _SAMPLES, _PLANAR, _FORMAT})
_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}


@dataclass(frozen=True)
class PageKind:
    """What pages of one stack have in common; the defaults are those of TIFF."""

    height: int = 0
    width: int = 0
    bits: int = 1
    sample_format: int = 1
    samples: int = 1
    planar: int = 1
    reduced: bool = False

    def in_words(self) -> str:
        """Describe the images."""
        format_ = {2: "signed", 3: "float", 5: "complex", 6: "complex"}.get(self.sample_format, "")
        several = f", {self.samples} samples" if self.samples > 1 else ""
        return f"{self.height} × {self.width} of {self.bits} bit {format_}".rstrip() + several

    def is_thumbnail_of(self, other: PageKind) -> bool:
        """Whether it is marked as a smaller version of another, or at most half as large."""
        return self.reduced or (2 * self.height <= other.height and 2 * self.width <= other.width)


def read_page_kinds(tiff: TiffFile) -> tuple[list[PageKind], npt.NDArray[np.int64]]:
    """Tell of every page what kind it is.

    Parameters
    ----------
    tiff : TiffFile
        The open file.

    Returns
    -------
    kinds : list of PageKind
        Each kind that there is, in order of its first page.
    of_page : (N,) int64 ndarray
        Which of them each page is.

    Raises
    ------
    struct.error
        If a page is cut off.
    """
    file, form = tiff.filehandle, tiff.tiff
    order, entry = tiff.byteorder, struct.Struct(tiff.byteorder + _entry_format(form.tagsize))
    inline = form.tagoffsetthreshold
    known: dict[PageKind, int] = {}
    of_page = np.empty(len(tiff.pages), np.int64)
    offset = tiff.pages.first.offset
    for index in range(len(of_page)):
        file.seek(offset)
        (n_tags,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
        data = file.read(n_tags * form.tagsize + form.offsetsize)
        end = n_tags * form.tagsize
        values = {}
        for tag, kind, count, value in entry.iter_unpack(data[:end]):
            if tag not in _WANTED or kind not in _NUMBERS or not count:
                continue
            number = struct.Struct(order + _NUMBERS[kind])
            if count * number.size > inline:
                # All samples have the same number of bits; the first will do.
                file.seek(struct.unpack(form.offsetformat, value)[0])
                value = file.read(number.size)
            values[tag] = number.unpack_from(value)[0]
        found = _kind_of(values)
        of_page[index] = known.setdefault(found, len(known))
        (offset,) = struct.unpack_from(form.offsetformat, data, end)
    return list(known), of_page


def _entry_format(tag_size: int) -> str:
    return {12: "HHI4s", 20: "HHQ8s"}[tag_size]


def _kind_of(values: dict[int, int]) -> PageKind:
    return PageKind(
        values.get(_HEIGHT, 0),
        values.get(_WIDTH, 0),
        values.get(_BITS, 1),
        values.get(_FORMAT, 1),
        values.get(_SAMPLES, 1),
        values.get(_PLANAR, 1),
        bool(values.get(_REDUCED, 0) & 1),
    )
