"""An OME-TIFF read by the axes that a user says, where its OME-XML says wrong ones or colours."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyama_core.errors import InputError
from pyama_core.io.readers.frame_source import ReadOptions
from pyama_core.io.readers.ome_tiff.files import locate_files
from pyama_core.io.readers.ome_xml import OmeImage
from pyama_core.io.readers.tiff.directories import read_page_kinds
from pyama_core.io.readers.tiff.pages import TiffFiles, UnreadablePlaneError, damaged, load_page
from pyama_core.io.readers.tiff.series import (
    FoundStack,
    StackNotes,
    is_colour,
    row_of_pages,
    samples_of,
)
from pyama_core.io.readers.tiff.stack import TiffStack
from pyama_core.io.readers.tiff.stack_axes import ToldDimensions

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

_LEFT_OUT = "its axes are those asked for; times and names of FOVs in its OME-XML are left out"

Pages = npt.NDArray[np.int64]


def find_ome_stack(path: Path, tiff: TiffFile, choice: ReadOptions, files: TiffFiles) -> FoundStack:
    """Put the planes of an OME-TIFF in a row, image by image, each in the order of its file.

    Parameters
    ----------
    path : Path
        The file.
    tiff : TiffFile
        The same, open.
    choice : ReadOptions
        What was asked for.
    files : TiffFiles
        Files already open.

    Raises
    ------
    InputError
        If its planes lie in several files, or its images are not alike.
    """
    whole = locate_files(path, tiff.ome_metadata or "", files, outside=choice.outside)
    if len(whole.data.files) > 1 or any(other != path for other in whole.paths if other):
        choice.refuse_axes(path, "an OME-TIFF of several files")
    first, *others = whole.data.images
    alike = [first, *(image for image in others if not _is_thumbnail(image, first))]
    for image in alike:
        if (image.shape[3:], image.dtype) != (first.shape[3:], first.dtype):
            raise InputError(
                f"{path} holds images that are not alike, of {first.shape[3]} × {first.shape[4]} "
                f"pixels of {first.dtype} and {image.shape[3]} × {image.shape[4]} of "
                f"{image.dtype}; leave axes out, or export them as separate files."
            )
    pages = np.concatenate([_in_file_order(image) for image in alike])
    asked = 0 if choice.sizes is None else math.prod(choice.sizes)
    if min(asked, len(tiff.pages)) > pages.size:
        # Pages that the OME-XML leaves out, as of a second camera, are wanted as well.
        return row_of_pages(path, tiff, *read_page_kinds(tiff), as_one=True)
    pages[pages >= len(tiff.pages)] = -1
    page = _first_page(path, tiff, pages)
    told = _told(alike, page)
    if told.frame_size != first.shape[3:]:
        raise damaged(path, f"pages of {page.shape}, expected {first.shape[3:]}")
    notes = StackNotes(
        file_type="ome-tiff",
        pixel_size_um=first.pixel_size_um,
        channel_names=first.channel_names,
        bit_depth=first.bit_depth,
        warnings=(*whole.data.warnings, _LEFT_OUT),
    )
    return FoundStack(TiffStack(tiff, pages.tolist(), page, told.n_planes), told, notes)


def _is_thumbnail(image: OmeImage, first: OmeImage) -> bool:
    return image.shape[3] < first.shape[3] and image.shape[4] < first.shape[4]


def _in_file_order(image: OmeImage) -> Pages:
    order = ["TCZ".index(axis) for axis in image.slowest_first]
    return np.array(image.ifd.transpose(order)).reshape(-1)


def _first_page(path: Path, tiff: TiffFile, pages: Pages) -> TiffPage:
    there = pages[pages >= 0]
    try:
        return load_page(tiff, int(there[0]) if there.size else 0)
    except UnreadablePlaneError as error:
        raise damaged(path, error) from error


def _told(images: list[OmeImage], page: TiffPage) -> ToldDimensions:
    """Return what the OME-XML says, all images as one dimension that it says nothing of."""
    shapes = {(image.shape[:3], image.slowest_first) for image in images}
    if len(shapes) == 1:
        (shape, order), *_ = shapes
        axes, sizes = order, tuple(shape["TCZ".index(axis)] for axis in order)
        if len(images) > 1:
            axes, sizes = "Q" + axes, (len(images), *sizes)
    else:
        axes, sizes = "Q", (sum(image.ifd.size for image in images),)
    letters, lengths = samples_of(page)
    return ToldDimensions(
        axes + letters,
        sizes + lengths,
        (page.imagelength, page.imagewidth),
        samples_last=bool(lengths) and page.planarconfig == 1,
        colour=is_colour(page),
    )
