"""The files of an OME-TIFF data set: which there are, and which are named but not there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyama_core.errors import InputError
from pyama_core.io.readers.companions import Surroundings
from pyama_core.io.readers.ome_tiff.uuids import files_by_uuid
from pyama_core.io.readers.ome_xml import FileReference, OmeDataSet, OmeXmlError, parse_ome_xml
from pyama_core.io.readers.tiff.pages import TiffFiles, UnreadablePlaneError
from pyama_core.io.regular_files import open_regular, read_regular

_SHOWN = 3


@dataclass(frozen=True)
class FileSet:
    """A parsed data set and where its files are.

    Attributes
    ----------
    data : OmeDataSet
        What the OME-XML says.
    paths : tuple of (Path or None)
        Place of each of its files, None for one that is not there.
    absent : dict of int to str
        Name of each file that is not there, and why it is not read.
    companions : tuple of Path
        All files that are there, the one asked for first.
    """

    data: OmeDataSet
    paths: tuple[Path | None, ...]
    absent: Mapping[int, str]
    companions: tuple[Path, ...]


@dataclass(frozen=True)
class _Holder:
    """The file that holds the OME-XML.

    Attributes
    ----------
    path : Path
        Where it is.
    base : str
        Its folder, relative to that of the file asked for.
    has_pages : bool
        Whether it is a TIFF, which may hold planes as well.
    """

    path: Path
    base: str
    has_pages: bool


def locate_files(path: Path, text: str, files: TiffFiles, *, outside: bool) -> FileSet:
    """Parse the OME-XML, following it to the file that holds it, and find the TIFF files.

    Parameters
    ----------
    path : Path
        The file asked for.
    text : str
        The OME-XML in it.
    files : TiffFiles
        Files already open.
    outside : bool
        Whether files outside of its folder may be read.

    Raises
    ------
    InputError
        If the OME-XML cannot be followed, or no file that it names is there.
    """
    around = Surroundings(path.parent, outside)
    data, holder = _parse(path, text), _Holder(path, "", path in files)
    if data.metadata_file and not data.images:
        data, holder = _follow(path, data.metadata_file, around, files)
    if not data.images:
        raise InputError(f"{path} has OME-XML without an image; export it again.")
    paths = _paths_of(data, holder, around)
    absent = {
        owner: _describe(reference, holder, around)
        for owner, (reference, found) in enumerate(zip(data.files, paths, strict=True))
        if found is None
    }
    if data.files and len(absent) == len(data.files):
        names = list(dict.fromkeys(absent.values()))
        shown = ", ".join(names[:_SHOWN])
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise InputError(
            f"{path}: none of the TIFF files that it names can be read: {shown}{more}; copy the "
            "whole data set into one folder."
        )
    there = dict.fromkeys((path, holder.path, *(p for p in paths if p is not None)))
    return FileSet(data, paths, absent, tuple(there))


def rightful_file(file_set: FileSet, owner: int, found: str) -> Path:
    """Return the file that a reference stands for, once it is known what the named one says it is.

    Parameters
    ----------
    file_set : FileSet
        The data set.
    owner : int
        Which of its files; it is there.
    found : str
        Identifier in the file that has the name; empty if it has none.

    Raises
    ------
    UnreadablePlaneError
        If that is another file of the data set, and the right one cannot be found.
    """
    path, references = file_set.paths[owner], file_set.data.files
    wanted = references[owner]
    assert path is not None
    if not _differ(wanted.uuid, found):
        return path
    names = {reference.name for reference in references if reference.uuid == found}
    right = files_by_uuid(path.parent, {wanted.uuid}).get(wanted.uuid)
    if right in file_set.companions:
        return right
    if names and wanted.name not in names:
        raise UnreadablePlaneError(
            f"its file is not there: {path.name} is {names.pop()!r}, renamed"
        )
    # Saved again by a program that gave it another identifier.
    return path


def _follow(
    path: Path, name: str, around: Surroundings, files: TiffFiles
) -> tuple[OmeDataSet, _Holder]:
    """Go on to the file that a file names as that with the metadata."""
    found = around.find(name)
    if found is None:
        raise InputError(
            f"{path} keeps its metadata in {name}, which {around.why_absent(name)}; copy that "
            "file into the same folder."
        )
    with open_regular(found) as file:
        is_tiff = file.read(2) in (b"II", b"MM")
    text = files.get(found).ome_metadata or "" if is_tiff else read_companion(found)
    try:
        relative = os.path.relpath(found.parent, around.folder)
    except ValueError:  # on another drive
        relative = str(found.parent)
    return _parse(found, text), _Holder(found, relative.replace(os.sep, "/"), is_tiff)


def _paths_of(data: OmeDataSet, holder: _Holder, around: Surroundings) -> tuple[Path | None, ...]:
    """Find each file of a data set; None for one that is not there.

    A page number counts in one file alone: a file that cannot be found is never taken for the one
    that holds the OME-XML. Names may lie after somebody renamed files; identifiers come first.
    """
    by_uuid = {data.uuid: holder.path} if data.uuid and holder.has_pages else {}
    by_name = [_by_name(reference, holder, around) for reference in data.files]
    paths = _resolve_references(data.files, by_name, by_uuid)
    unknown = {
        reference.uuid
        for reference, found in zip(data.files, paths, strict=True)
        if found is None and reference.uuid
    }
    if unknown:
        by_uuid |= files_by_uuid(holder.path.parent, unknown)
        paths = _resolve_references(data.files, by_name, by_uuid)
    if paths == (None,) and holder.has_pages and not _differ(data.files[0].uuid, data.uuid):
        # A file that was renamed, of a data set of one.
        return (holder.path,)
    return paths


def _by_name(reference: FileReference, holder: _Holder, around: Surroundings) -> Path | None:
    if reference.name:
        return around.find(reference.name, holder.base)
    return holder.path if holder.has_pages and not reference.uuid else None


def _resolve_references(
    references: Sequence[FileReference],
    by_name: Sequence[Path | None],
    by_uuid: Mapping[str, Path],
) -> tuple[Path | None, ...]:
    """Take the files known by identifier, and by name those that are not known to be others."""
    names: dict[Path, set[str]] = {}
    for reference in references:
        if reference.uuid in by_uuid:
            names.setdefault(by_uuid[reference.uuid], set()).add(reference.name)

    def resolved(reference: FileReference, named: Path | None) -> Path | None:
        if reference.uuid in by_uuid:
            return by_uuid[reference.uuid]
        is_another = named in names and reference.name not in names[named]
        return None if reference.uuid and is_another else named

    return tuple(map(resolved, references, by_name))


def _differ(one: str, other: str) -> bool:
    """Tell whether two identifiers are known and not the same."""
    return bool(one) and bool(other) and one != other


def _describe(reference: FileReference, holder: _Holder, around: Surroundings) -> str:
    if reference.name:
        return f"{reference.name} {around.why_absent(reference.name, holder.base)}"
    if reference.uuid:
        return f"with the identifier {reference.uuid} is not beside it"
    return "is not named"


def _parse(path: Path, text: str) -> OmeDataSet:
    try:
        return parse_ome_xml(text)
    except OmeXmlError as error:
        raise InputError(f"{path}: its OME-XML {error}; export the file again.") from error


def read_companion(path: Path) -> str:
    """Read a file of OME-XML.

    Raises
    ------
    InputError
        If it is no text.
    """
    try:
        return read_regular(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as OME-XML ({error}).") from error
