"""By what the source is known: all of its files, and those of one field of view."""

from __future__ import annotations

from pyama_core.errors import InputError, reason_of
from pyama_core.io.checksums import SourceIdentity, identify_source
from pyama_core.io.microscopy import FrameSource, MicroscopyMetadata, open_source
from pyama_core.io.storage.fov_folder import FovFolder
from pyama_core.io.watched_files import WatchedFiles

_SAMPLED_OWN_FILES = 512
"""Mostly all: where something of the whole changed, these decide whose files it was."""


def identify(metadata: MicroscopyMetadata) -> SourceIdentity:
    """Identify the source file.

    Raises
    ------
    InputError
        It cannot be read.
    """
    if metadata.content_checksum:
        # Not made of local files: the reader took a checksum of what describes the data set.
        checksum = metadata.content_checksum
        return SourceIdentity(size=0, mtime_ns=0, sample=checksum, content=checksum)
    try:
        return identify_source(metadata.companions)
    except OSError as error:
        raise InputError(
            f"cannot read {error.filename or metadata.file_path}: {reason_of(error)}"
        ) from error


def identify_own_files(source: FrameSource, fov: int) -> SourceIdentity | None:
    """Identify the files that a field of view has apart from others; None if it has none.

    Raises
    ------
    InputError
        One cannot be read.
    """
    own = source.own_files(fov)
    if own is None or len(own.files) >= len(source.metadata.companions):
        return None
    try:
        return identify_source(own.files, layout=own.layout, n_sampled=_SAMPLED_OWN_FILES)
    except OSError as error:
        raise InputError(f"cannot read {error.filename}: {reason_of(error)}") from error


def require_same_source(
    metadata: MicroscopyMetadata, folder: FovFolder, identity: SourceIdentity
) -> None:
    """Make sure, where no run did, that the source may be the one that was copied.

    Raises
    ------
    InputError
        It is another, or another state of the files of this field of view.
    """
    record = folder.record
    if record.may_be_of(identity) or record.own_files is None:
        return
    with open_source(metadata) as source:
        own = identify_own_files(source, folder.fov)
    if own is None or not own.may_be(record.own_files):
        raise InputError(
            f"{folder.path} holds results of other files than those of {metadata.file_path.name}; "
            "choose another output folder, or delete this one"
        )


def watch(metadata: MicroscopyMetadata) -> WatchedFiles:
    """Remember how all files of the source are now.

    Raises
    ------
    InputError
        One cannot be looked at.
    """
    path = metadata.file_path
    try:
        return WatchedFiles(metadata.companions, path if path.is_dir() else None)
    except OSError as error:
        raise InputError(f"cannot read {error.filename}: {reason_of(error)}") from error
