"""What lies in a folder, as far as the page can open it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pyama_core.app.messages import Message
from pyama_core.app.roots import Roots
from pyama_core.errors import InputError, reason_of
from pyama_core.io.readers.ndtiff.files import is_ndtiff_folder
from pyama_core.io.readers.registry import known_endings
from pyama_core.io.storage.naming import holds_records

EntryKind = Literal["folder", "results", "file", "images"]

_MOST_ENTRIES = 2000
_LOOKED_AT = 300
_FEW_IMAGES = 4
_IMAGES = (".tif", ".tiff", ".png")
_STORES = (".zarr",)


class Entry(Message):
    """Something in a folder."""

    name: str
    at: str
    kind: EntryKind
    size: int
    """Bytes of a file; 0 of a folder."""
    modified: float
    """Seconds since 1970."""


class Folder(Message):
    """A folder below a root."""

    at: str
    parents: tuple[str, ...]
    """From the root down, without itself."""
    entries: tuple[Entry, ...]
    n_left_out: int
    """Entries that cannot be opened: of other types, hidden, or too many."""
    is_images: bool
    """Whether the folder itself can be opened, as a folder of single images."""


def list_folder(roots: Roots, place: str) -> Folder:
    """List a folder; of an empty text, the only root, or all of them.

    Raises
    ------
    InputError
        It is not below the roots, or cannot be read.
    """
    if not place and len(roots.folders) > 1:
        entries = tuple(_as_entry(root, str(root)) for root in roots.folders)
        return Folder(at="", parents=(), entries=entries, n_left_out=0, is_images=False)
    folder = roots.inside(place or roots.folders[0])
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder")
    found: list[Entry] = []
    n_left_out = 0
    for entry in _entries_of(folder):
        if len(found) < _MOST_ENTRIES and (known := _describe(roots, entry)) is not None:
            found.append(known)
        else:
            n_left_out += 1
    order = {"results": 0, "file": 1, "images": 1, "folder": 2}
    found.sort(key=lambda each: (order[each.kind], each.name.casefold()))
    root = next(root for root in roots.folders if folder.is_relative_to(root))
    parents = [parent for parent in folder.parents if parent.is_relative_to(root)]
    return Folder(
        at=str(folder),
        parents=tuple(map(str, reversed(parents))),
        entries=tuple(found),
        n_left_out=n_left_out,
        is_images=_is_of_images(folder),
    )


def kind_of(path: Path) -> EntryKind | None:
    """Tell what a file or folder is for the page; None if it is of no use."""
    name = path.name.lower()
    if not path.is_dir():
        return "file" if name.endswith(known_endings()) else None
    if name.endswith(_STORES) or is_ndtiff_folder(path):
        return "file"
    if holds_records(path):
        return "results"
    return "images" if _is_of_images(path) else "folder"


def _entries_of(folder: Path) -> Sequence[Path]:
    try:
        return sorted(folder.iterdir(), key=lambda path: path.name.casefold())
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({reason_of(error)})") from error


def _describe(roots: Roots, path: Path) -> Entry | None:
    """Describe an entry; None if it is hidden, leads out of the roots or is of no use."""
    if path.name.startswith((".", "~")) or not _is_text(path.name):
        return None
    try:
        real = roots.inside(path)
        kind = kind_of(real)
        return None if kind is None else _as_entry(real, path.name, kind)
    except (InputError, OSError):
        return None


def _as_entry(path: Path, name: str, kind: EntryKind = "folder") -> Entry:
    status = path.stat()
    size = 0 if path.is_dir() else status.st_size
    return Entry(name=name, at=str(path), kind=kind, size=size, modified=status.st_mtime)


def _is_text(name: str) -> bool:
    """Whether a name can be written in an address."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_of_images(folder: Path) -> bool:
    n_images = sum(name.lower().endswith(_IMAGES) for name in _some_names(folder))
    return n_images >= _FEW_IMAGES


def _some_names(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            for _, entry in zip(range(_LOOKED_AT), entries, strict=False):
                yield entry.name
    except OSError:
        return
