"""Which pages of a TIFF file are its stack, and what the file says of their order."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pyama_core.errors import InputError
from pyama_core.io.readers.stated_numbers import Doubts
from pyama_core.io.readers.tiff.directories import PageKind, read_page_kinds
from pyama_core.io.readers.tiff.imagej_notes import imagej_interval, imagej_pixel_size
from pyama_core.io.readers.tiff.pages import chain_ends, damaged
from pyama_core.io.readers.tiff.stack import TiffStack, planes_of_page
from pyama_core.io.readers.tiff.stack_axes import ToldDimensions, factors_in_words

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPageSeries

# Kinds of series that tifffile makes of pages that follow each other.
_CONSECUTIVE = frozenset({"imagej", "shaped", "uniform"})

# What the tag PhotometricInterpretation says.
_WHITE_IS_ZERO, _PALETTE = 0, 3
_COLOURS = frozenset({2, 5, 6, 8, 9, 10})


@dataclass(frozen=True)
class StackNotes:
    """What a file says beside its stack.

    Attributes
    ----------
    file_type : str
        As in `pyama_core.io.readers.frame_source.MicroscopyMetadata`.
    pixel_size_um, interval_min : float or None
        None where it does not say.
    channel_names : tuple of str
        None at all where it does not say.
    bit_depth : int or None
        Bits of a pixel that were used.
    warnings : tuple of str
        What a user should know.
    """

    file_type: str
    pixel_size_um: float | None = None
    interval_min: float | None = None
    channel_names: tuple[str, ...] = ()
    bit_depth: int | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoundStack:
    """The stack of a file.

    Attributes
    ----------
    stack : TiffStack
        Its planes.
    told : ToldDimensions
        What the file says of them.
    notes : StackNotes
        What else it says.
    """

    stack: TiffStack
    told: ToldDimensions
    notes: StackNotes


def find_stack(path: Path, tiff: TiffFile, *, as_one: bool) -> FoundStack:
    """Find the stack of a file; thumbnails and pyramid levels beside it are not frames.

    Parameters
    ----------
    path : Path
        The file, for errors.
    tiff : TiffFile
        The open file.
    as_one : bool
        Whether pages that the file does not say belong together are one stack, if they are alike.

    Raises
    ------
    InputError
        If it is damaged or holds pages of several kinds.
    """
    try:
        appended = _appended_pages(tiff)
        if appended is None:
            first, *others = tiff.series
            said = tiff.shaped_metadata
            announced = math.prod(said[0]["shape"]) if said else first.size
    except Exception as error:  # damaged tags and descriptions raise nearly anything
        raise damaged(path, error) from error
    if appended is not None:
        return row_of_pages(path, tiff, *appended, as_one=as_one)
    page = first.keyframe
    height, width = page.imagelength, page.imagewidth
    if height < 1 or width < 1 or page.dtype is None:
        raise damaged(path, f"an image of {height}×{width} pixels")
    if first.is_multifile:
        # A page number counts in one file alone.
        raise InputError(
            f"{path} is one of several files of a data set ({first.kind}) that is not known; "
            "export it as OME-TIFF."
        )
    # tifffile falls back to a bare row of pages where a description announces more than there is.
    if announced != first.size or (tiff.is_imagej and first.kind != "imagej"):
        raise damaged(path, "fewer images than its description says")
    small = [other.keyframe for other in others if not other.keyframe.is_reduced]
    if any(2 * other.imagelength > height or 2 * other.imagewidth > width for other in small):
        try:
            kinds, of_page = read_page_kinds(tiff)
        except Exception as error:
            raise damaged(path, error) from error
        return row_of_pages(path, tiff, kinds, of_page, as_one=as_one)
    warnings = [f"{len(small)} kinds of smaller images are ignored as thumbnails"] * bool(small)
    told = _told_by(first)
    return FoundStack(
        TiffStack(tiff, _pages_of(tiff, first, told), page, told.n_planes, _loader(first)),
        told,
        _notes(tiff, warnings),
    )


def _pages_of(tiff: TiffFile, series: TiffPageSeries, told: ToldDimensions) -> Sequence[int]:
    first = series.keyframe
    if series.kind in _CONSECUTIVE:
        n_pages = -(-told.n_planes // planes_of_page(first))
        start = int(first.index)
        return range(start, min(start + n_pages, len(tiff.pages)))
    return [-1 if page is None else int(page.index) for page in series.pages]


def _loader(series: TiffPageSeries) -> Any:
    """Return what gives the pages of formats whose tags tifffile has to mend; None for others."""
    if series.kind != "lsm":
        return None
    mended = {int(page.index): page for page in series.pages if page is not None}
    return mended.__getitem__


def _told_by(series: TiffPageSeries) -> ToldDimensions:
    """Take Y and X out of the dimensions that tifffile understood."""
    page, axes, shape = series.keyframe, series.axes, tuple(series.shape)
    size = (page.imagelength, page.imagewidth)
    place = axes.find("YX")
    if shape[place : place + 2] != size or len(axes) > place + 3:
        # It says something that its pages contradict.
        n_planes = math.prod(shape) // math.prod(size)
        return ToldDimensions("Q", (n_planes,), size)
    behind = shape[place + 2 :] not in ((), (1,))
    kept = [*range(place), *range(place + 2, len(axes))] if behind else [*range(place)]
    return ToldDimensions(
        "".join(axes[i] for i in kept),
        tuple(shape[i] for i in kept),
        size,
        samples_last=behind,
        colour=is_colour(page),
    )


def samples_of(page: TiffPage) -> tuple[str, tuple[int, ...]]:
    """Return letter and size of the dimension that the samples of a page are, if it has some."""
    n_samples = planes_of_page(page)
    return ("S", (n_samples,)) if n_samples > 1 else ("", ())


def is_colour(page: TiffPage) -> bool:
    """Tell whether a page says that its samples are colours."""
    return page.photometric in _COLOURS


def _appended_pages(tiff: TiffFile) -> tuple[list[PageKind], Any] | None:
    """Look at all pages of a file that was written piece by piece; None if it was not.

    Each piece describes itself alone, as by ``imwrite(..., append=True)``.
    """
    announced = _announced_pages(tiff.pages.first)
    if announced is None or announced >= len(tiff.pages):
        return None
    kinds, of_page = read_page_kinds(tiff)
    n_alike = int(np.count_nonzero(of_page == 0))
    others_are_small = all(kind.is_thumbnail_of(kinds[0]) for kind in kinds[1:])
    return None if n_alike == announced and others_are_small else (kinds, of_page)


def _announced_pages(page: TiffPage) -> int | None:
    """Return how many pages the array has that a page describes; None if it describes none."""
    text = page.shaped_description
    if text is None or page.subifds:
        return None
    if text.startswith("{"):
        about = json.loads(text)
        shape, in_a_row = about["shape"], bool(about.get("truncated"))
    else:
        shape, in_a_row = [int(n) for n in re.findall(r"\d+", text)], False
    n_values = math.prod(page.shape)
    return None if in_a_row or not n_values else math.prod(shape) // n_values


def row_of_pages(
    path: Path, tiff: TiffFile, kinds: list[PageKind], of_page: Any, *, as_one: bool
) -> FoundStack:
    """Make one stack of pages that nothing but their likeness says belong together."""
    small = [kind.is_thumbnail_of(kinds[0]) for kind in kinds]
    unlike = next((i for i in range(1, len(kinds)) if not small[i]), None)
    if unlike is not None:
        raise InputError(
            f"{path} holds several stacks, without saying what they are: page 0 is "
            f"{kinds[0].in_words()}, page {int(np.argmax(of_page == unlike))} is "
            f"{kinds[unlike].in_words()}; export it as OME-TIFF."
        )
    pages, first = np.flatnonzero(of_page == 0), tiff.pages.first
    if not as_one:
        sizes = factors_in_words(len(pages))
        raise InputError(
            f"{path} holds {len(pages)} images of {kinds[0].in_words()} that were written one by "
            "one, without saying what they are; if they are frames of one movie, say so: "
            f'axes="TYX" (command line: --axes TYX{sizes}).'
        )
    letters, lengths = samples_of(first)
    told = ToldDimensions(
        "Q" + letters,
        (len(pages), *lengths),
        (first.imagelength, first.imagewidth),
        samples_last=bool(lengths) and first.planarconfig == 1,
        colour=is_colour(first),
    )
    warnings = [f"{sum(small)} kinds of smaller images are ignored as thumbnails"] * any(small)
    return FoundStack(
        TiffStack(tiff, cast("Sequence[int]", pages.tolist()), first, told.n_planes),
        told,
        _notes(tiff, warnings),
    )


def _notes(tiff: TiffFile, warnings: list[str]) -> StackNotes:
    about = (tiff.imagej_metadata or {}) if tiff.is_imagej else {}
    doubts = Doubts()
    return StackNotes(
        file_type="imagej-tiff" if tiff.is_imagej else "tiff",
        pixel_size_um=imagej_pixel_size(tiff, about),
        interval_min=imagej_interval(about, doubts),
        warnings=(*warnings, *_warnings(tiff), *doubts.told()),
    )


def _only_tints(page: TiffPage) -> bool:
    """Whether a palette gives grey values a colour, as look-up tables of microscopes do."""
    if page.colormap is None:
        return False
    steps = np.diff(page.colormap.astype(np.int64), axis=-1)
    return bool((steps >= 0).all() or (steps <= 0).all())


def _warnings(tiff: TiffFile) -> list[str]:
    warnings, page = [], tiff.pages.first
    if not chain_ends(tiff):
        warnings.append(f"the file is cut off after page {len(tiff.pages) - 1}")
    if page.photometric == _PALETTE and not tiff.is_imagej and not _only_tints(page):
        warnings.append("its pixels are numbers of colours in a palette, read as grey values")
    if page.photometric == _WHITE_IS_ZERO and page.dtype != np.bool_:
        warnings.append(
            "it says that 0 is white; values are read as they are stored, brighter ones smaller"
        )
    return warnings
