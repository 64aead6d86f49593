"""What can go wrong, in the words that a user reads.

Every message says what was expected, what was found, where, and what to do; it stands alone,
because the command prints nothing else.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Self

_WORDS_OF_SHORTAGE = ("can't start new thread", "failed to map segment", "annot allocate memory")


class PyamaError(Exception):
    """Base of all errors that a user can do something about."""


class InputError(PyamaError, ValueError):
    """The request cannot be carried out as asked: bad file, channel, range, parameter or folder."""


class MissingFrameError(PyamaError):
    """A plane that the file announces is absent or cannot be read."""


class DamagedFileError(PyamaError):
    """A file that this program wrote is not as it was written."""


class StorageError(PyamaError):
    """A file cannot be written: no space, no permission, a failing disk, a vanished folder."""

    @classmethod
    def about(cls, action: str, path: Path, error: OSError) -> Self:
        """Say which file it was, which the system's own words often leave out."""
        return cls(f"cannot {action} {path}: {error.strerror or error}")


class ShortageError(PyamaError):
    """The system grants no more memory, threads or processes."""

    @classmethod
    def about(cls, action: str, error: BaseException) -> Self:
        """Say what the system refused, and what can be done."""
        return cls(
            f"cannot {action}: {str(error) or 'out of memory'}; use fewer workers, close other "
            "programs, or raise the limit on memory or processes (ulimit -v, ulimit -u)"
        )


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that there is no memory, be it for a library or a thread's stack."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
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
