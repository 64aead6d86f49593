"""Planes of an OME-TIFF that its metadata leave out, or name twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pyama_core.io.ome_tiff_files import FileSet
from pyama_core.io.ome_xml import OmeImage
from pyama_core.io.tiff_pages import TiffFiles, is_reduced

if TYPE_CHECKING:
    from tifffile import TiffFile

_LOOKED_AT = 8


def left_out(path: Path, file_set: FileSet, files: TiffFiles) -> Iterator[str]:
    """Say which planes are left out, and how to read them.

    Parameters
    ----------
    path : Path
        The file asked for; pages of others are not counted, because they are not opened for this.
    file_set : FileSet
        The data set, all its images included.
    files : TiffFiles
        Files already open.
    """
    images = [image for image in file_set.data.images if image.beyond]
    if images:
        n_planes = sum(len(pages) for image in images for _, pages in image.beyond)
        where = f" of {len(images)} images" if len(images) > 1 else ""
        yield (
            f"{n_planes} planes{where} lie beyond the announced sizes and are left out "
            f"({_sizes(images[0])}); to read them, correct that in the OME-XML (for instance with "
            "tifffile.tiffcomment)"
        )
    owners = [owner for owner, found in enumerate(file_set.paths) if found == path]
    if owners and path in files:
        n_pages = _unnamed_pages(files.get(path), owners, file_set.data.images)
        if n_pages:
            yield (
                f"{n_pages} pages of {path.name} belong to no plane by its OME-XML and are left "
                "out; to read them, correct its sizes and TiffData"
            )


def named_twice(file_set: FileSet) -> Iterator[str]:
    """Say how many planes are on a page on which there is another plane already."""
    places = {found: place for place, found in enumerate(dict.fromkeys(file_set.paths))}
    of_owner = np.array([places[found] for found in file_set.paths] or [0])
    pages = [
        np.stack([of_owner[image.file[image.ifd >= 0]], image.ifd[image.ifd >= 0]])
        for image in file_set.data.images
    ]
    found = np.concatenate(pages, axis=1)
    by_place = found[:, np.lexsort(found)]
    n_twice = int((by_place[:, 1:] == by_place[:, :-1]).all(axis=0).sum())
    if n_twice:
        yield (
            f"{n_twice} planes are said to be on the page of another plane, and show the same "
            "pixels; the OME-XML is wrong there"
        )


def _sizes(image: OmeImage) -> str:
    """Name the sizes that are too small."""
    pairs = zip("TCZ", image.shape[:3], image.reach, strict=True)
    return ", ".join(
        f"Size{axis} is {size}, planes are named up to {reach}"
        for axis, size, reach in pairs
        if reach > size
    )


def _unnamed_pages(tiff: TiffFile, owners: Sequence[int], images: Sequence[OmeImage]) -> int:
    """Count the pages that no image names; none if they are smaller versions of others."""
    named = np.zeros(len(tiff.pages), np.bool_)
    for image in images:
        inside = (image.ifd >= 0) & (image.ifd < len(named))
        named[image.ifd[inside & np.isin(image.file, owners)]] = True
        for file, beyond in image.beyond:
            if file in owners:
                named[beyond.start : beyond.stop] = True
    unnamed = np.flatnonzero(~named)
    looked_at = unnamed[:_LOOKED_AT].tolist()
    return 0 if all(is_reduced(tiff, page) for page in looked_at) else len(unnamed)
