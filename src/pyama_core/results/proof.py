"""Which files of a field of view can be believed, and why the others cannot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyama_core.errors import PyamaError, reason_of
from pyama_core.io.checksums import name_checksum, new_hasher
from pyama_core.io.regular_files import read_regular
from pyama_core.io.storage.records import OutputEntry


@dataclass(frozen=True)
class MissingOutput:
    """An output that was asked for and cannot be read, and why.

    Attributes
    ----------
    fov : int
        Field of view.
    output : str
        Name of the file, or the kind of output where there is none.
    kind : str
        The kind of output.
    reason : str
        Why it is missing, and what brings it back.
    """

    fov: int
    output: str
    kind: str
    reason: str


class NotProvenError(PyamaError):
    """A file is not as the record says that it was written."""


def released(*kinds: str) -> str:
    """Say that stacks of some kinds were released, and what brings them back."""
    return (
        "released to save space; the command of the run with --restore "
        f"{','.join(kinds)} makes {'it' if len(kinds) == 1 else 'them'} again"
    )


def read_proven(path: Path, entry: OutputEntry) -> bytes:
    """Read a table whose content is what was written, whatever became of its times.

    Raises
    ------
    NotProvenError
        It is gone, cannot be read, or was changed since.
    """
    try:
        content = read_regular(path)
    except FileNotFoundError as error:
        raise NotProvenError("the file is gone; run again to make it anew") from error
    except OSError as error:
        raise NotProvenError(f"cannot be read: {reason_of(error)}") from error
    hasher = new_hasher()
    hasher.update(content)
    if name_checksum(hasher) != entry.checksum:
        raise NotProvenError(
            "is not as it was written (was it edited or saved by another program?); run again to "
            "make it anew"
        )
    return content
