"""Planes of an OME-TIFF that its metadata leave out, or name twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pyama_core.io.readers.ome_tiff.files import FileSet
from pyama_core.io.readers.ome_xml import OmeImage
from pyama_core.io.readers.tiff.pages import TiffFiles, is_reduced

if TYPE_CHECKING:
    from tifffile import TiffFile

_LOOKED_AT = 8
_IN_A_ROW = (
    ", or read all pages of a TIFF in a row with axes and sizes (command line: --axes TCYX "
    "--sizes 10,3)"
)


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
            f"tifffile.tiffcomment){_IN_A_ROW}"
        )
    owners = [owner for owner, found in enumerate(file_set.paths) if found == path]
    if owners and path in files:
        n_pages = _unnamed_pages(files.get(path), owners, file_set.data.images)
        if n_pages:
            yield (
                f"{n_pages} pages of {path.name} belong to no plane by its OME-XML and are left "
                f"out; to read them, correct its sizes and TiffData{_IN_A_ROW}"
            )


def without_doubles(file_set: FileSet) -> tuple[FileSet, tuple[str, ...]]:
    """Leave each page to one plane: the first that is said to be on it.

    Micro-Manager names the page of another frame, behind the planes that there are, for a channel
    that was not taken in a frame; others repeat pages by mistake. Such planes have no image.

    Returns
    -------
    file_set : FileSet
        With no page for the others.
    told : tuple of str
        How many they are, if any.
    """
    images = file_set.data.images
    files = [file_set.paths.index(found) if found else i for i, found in enumerate(file_set.paths)]
    of_owner = np.array(files or [0])
    named = [np.flatnonzero(image.ifd >= 0) for image in images]
    pairs = list(zip(images, named, strict=True))
    owner = np.concatenate([of_owner[image.file.ravel()[at]] for image, at in pairs])
    page = np.concatenate([image.ifd.ravel()[at] for image, at in pairs])
    place = owner * (page.max(initial=0) + 1) + page
    if (np.diff(np.sort(place)) > 0).all():
        return file_set, ()
    number = np.concatenate([np.full(at.size, number) for number, at in enumerate(named)])
    rank = np.concatenate([image.rank.ravel()[at] for image, at in pairs])
    order = np.lexsort((rank, number, place))
    same = np.diff(place[order]) == 0
    doubles, shared = np.zeros((2, order.size), np.bool_)
    doubles[order[1:]] = same
    shared[order[:-1]] = same
    kept = []
    ends = np.cumsum([at.size for at in named])[:-1]
    for (image, at), is_double, is_shared in zip(
        pairs, np.split(doubles, ends), np.split(shared, ends), strict=True
    ):
        ifd, has_others = image.ifd.flatten(), np.zeros(image.ifd.size, np.bool_)
        ifd[at[is_double]] = -1
        has_others[at[is_shared]] = True
        shape = image.ifd.shape
        kept.append(replace(image, ifd=ifd.reshape(shape), shared=has_others.reshape(shape)))
    told = (
        f"{int(doubles.sum())} planes are said to be on the page of another plane and are missing, "
        "as those of a channel that was not taken in every frame; or the OME-XML is wrong there"
    )
    return replace(file_set, data=replace(file_set.data, images=tuple(kept))), (told,)


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
