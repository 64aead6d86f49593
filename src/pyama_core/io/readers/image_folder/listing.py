"""The images in a folder and below it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pyama_core.errors import InputError, reason_of
from pyama_core.io.readers.image_folder.patterns import IMAGE_ENDINGS, natural_order
from pyama_core.io.readers.micro_manager.metadata_file import METADATA_NAME

_DEEPEST = 6

# Made by macOS and by storage servers beside the images, not by a microscope.
_NOT_OF_THE_DATA = ("__MACOSX", "@eaDir")


@dataclass
class Listing:
    """Files in a folder, by their paths below it.

    Attributes
    ----------
    folder : Path
        The folder.
    images, notes : list of str
        Images, and metadata files of Micro-Manager.
    endings : set of str
        How the other files end.
    unseen : list of str
        Folders that lie too deep to have been looked into.
    """

    folder: Path
    images: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    endings: set[str] = field(default_factory=set)
    unseen: list[str] = field(default_factory=list)

    def none_found(self) -> InputError:
        """Return the error for a folder without images."""
        kinds = natural_order(self.endings)
        hint = f"; it holds files ending in {', '.join(kinds[:5])}, name one of them" * bool(kinds)
        return InputError(f"{self.folder} is a folder without TIFF or PNG images{hint}.")


def list_folder(folder: Path, depth: int) -> Listing:
    """List the files of a folder and those below it, hidden ones left out.

    Raises
    ------
    InputError
        If the folder cannot be listed.
    """
    found = Listing(folder)
    for name in _walk(found, "", depth):
        _sort_in(found, name)
    found.images.sort()
    found.notes.sort()
    return found


def list_deeper(above: Listing, most: int) -> tuple[Listing, bool]:
    """List the folders that lay too deep, down to where no data set lies.

    Parameters
    ----------
    above : Listing
        What was found so far.
    most : int
        How many files are looked at, because the folder may be a whole disk.

    Returns
    -------
    Listing
        The files in `above`, and those further below.
    bool
        Whether these are all.
    """
    found = Listing(above.folder, [*above.images], [*above.notes], {*above.endings})
    for start in above.unseen:
        files = _walk(found, start, _DEEPEST - start.count("/"))
        # Folders of others, into which nobody may look, are none of the data set.
        with contextlib.suppress(InputError):
            for name in files:
                if not most:
                    return found, False
                most -= 1
                _sort_in(found, name)
    found.images.sort()
    found.notes.sort()
    return found, True


def _sort_in(found: Listing, name: str) -> None:
    if name.lower().endswith(IMAGE_ENDINGS):
        found.images.append(name)
    elif name.rpartition("/")[2] == METADATA_NAME:
        found.notes.append(name)
    elif suffix := Path(name).suffix:
        found.endings.add(suffix)


def _walk(found: Listing, prefix: str, left: int) -> Iterator[str]:
    """Yield the paths of all files; what cannot be read is told when it is read."""
    try:
        with os.scandir(found.folder / prefix) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in _NOT_OF_THE_DATA:
                    continue
                if entry.is_dir():
                    below = f"{prefix}{entry.name}/"
                    if left > 0:
                        yield from _walk(found, below, left - 1)
                    else:
                        found.unseen.append(below)
                else:
                    yield prefix + entry.name
    except OSError as error:
        where = found.folder / prefix
        raise InputError(f"{where} cannot be listed ({reason_of(error)}).") from error
