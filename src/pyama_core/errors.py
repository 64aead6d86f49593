"""What can go wrong, in the words that a user reads.

Every message says what was expected, what was found, where, and what to do; it stands alone,
because the command prints nothing else.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Self

_NO_FILES = (errno.EMFILE, errno.ENFILE)
_WORDS_OF_SHORTAGE = ("can't start new thread", "failed to map segment", "annot allocate memory")
_ON_WINDOWS = os.name == "nt"
_LONGEST_ON_WINDOWS = 245
"""260 with the end, and what a temporary name has more."""


class PyamaError(Exception):
    """Base of all errors that a user can do something about."""


class InputError(PyamaError, ValueError):
    """The request cannot be carried out as asked: bad file, channel, range, parameter or folder."""


class ReleasedInputError(InputError):
    """A step must run, and what it reads was released in the belief that it need not."""


class MissingFrameError(PyamaError):
    """A plane that the file announces is absent or cannot be read."""


class DamagedFileError(PyamaError):
    """A file that this program wrote is not as it was written."""


class StorageError(PyamaError):
    """A file cannot be written: no space, no permission, a failing disk, a vanished folder."""

    @classmethod
    def about(cls, action: str, path: Path, error: OSError) -> Self:
        """Say which file it was, which the system's own words often leave out."""
        return cls(f"cannot {action} {path}: {reason_of(error, path)}")


def reason_of(error: OSError, path: Path | None = None) -> str:
    """Return why the system refused something, where its own words mislead in better ones.

    Parameters
    ----------
    error : OSError
        What the system answered.
    path : Path, optional
        What it answered about.
    """
    words = error.strerror or str(error)
    if error.errno in _NO_FILES:
        return f"{words}; {_way_out(error)}"
    if path is None or not isinstance(error, (FileExistsError, FileNotFoundError)):
        return words
    n_characters = len(str(path.absolute()))
    if _ON_WINDOWS and n_characters > _LONGEST_ON_WINDOWS:
        return (
            f"{words}; its path has {n_characters} characters, and Windows takes "
            f"{_LONGEST_ON_WINDOWS} where long paths are not enabled: use a folder nearer to the "
            "root of the drive"
        )
    if link := dangling_link(path):
        return link
    if isinstance(error, FileExistsError) and path.is_file():
        return "there is a file of this name"
    return words


def dangling_link(path: Path) -> str:
    """Say which link on the way to a path leads to nothing; empty if none does."""
    for place in (path, *path.parents):
        if place.is_symlink() and not place.exists():
            return f"{place} is a link to {place.readlink()}, which is not there"
    return ""


def _way_out(error: BaseException) -> str:
    """Return what can be done where the system grants no more of something."""
    number = error.errno if isinstance(error, OSError) else None
    # Of what befell another process, the words have come.
    told = str(error)
    if number in _NO_FILES or any(os.strerror(number) in told for number in _NO_FILES):
        what, limit = "open files", "ulimit -n"
    elif number == errno.EAGAIN or isinstance(error, RuntimeError):
        # What a thread lacks may be memory for its stack.
        what, limit = "processes or memory", "ulimit -u, ulimit -v"
    else:
        what, limit = "memory", "ulimit -v"
    how = "" if os.name == "nt" else f", or raise the limit on {what} ({limit})"
    return f"use fewer workers, close other programs{how}"


class ShortageError(PyamaError):
    """The system grants no more memory, threads or processes."""

    @classmethod
    def about(cls, action: str, error: BaseException) -> Self:
        """Say what the system refused, and what can be done."""
        words = error.strerror if isinstance(error, OSError) else str(error)
        return cls(f"cannot {action}: {words or 'out of memory'}; {_way_out(error)}")


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that there is no more memory, thread or open file to be had."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOMEM, *_NO_FILES)
    if isinstance(error, (ImportError, RuntimeError)):
        # There is no class for it.
        return any(words in str(error) for words in _WORDS_OF_SHORTAGE)
    return isinstance(error, MemoryError)


def shortage_behind(error: BaseException) -> BaseException | None:
    """Find a lack of memory in what an error was raised from, None if there is none."""
    seen = 0
    cause: BaseException | None = error
    while cause is not None and seen < 10:
        if is_shortage(cause):
            return cause
        cause, seen = cause.__cause__, seen + 1
    return None


class FolderBusyError(PyamaError):
    """Another run holds this field of view."""


class CancelledError(PyamaError):
    """The caller asked to stop; what was finished stays."""
