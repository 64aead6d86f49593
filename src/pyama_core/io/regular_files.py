"""Opening files for reading: regular ones only, and without ever waiting.

Under the name of a file may stand something else. Opening a named pipe waits until somebody
writes into it, reading a terminal waits for keys, and a device may have no end. What is opened
here is none of these, and who asks for such a thing is told at once.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from io import BufferedReader, FileIO
from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""Windows has neither, and no pipes among its files."""
_PATIENCE_S = 0.5 if os.name == "nt" else 0.0
_PAUSE_S = 0.02
_NOT_OPENED = frozenset({errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP, errno.EISDIR, errno.EACCES})
"""What systems answer of sockets, of devices without a driver, and (Windows) of folders."""


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading.

    Raises
    ------
    OSError
        It is not a regular file, which the error's `strerror` says, or cannot be opened.

    Examples
    --------
    >>> open_regular(Path("."))
    Traceback (most recent call last):
    IsADirectoryError: [Errno 21] not a regular file but a folder: '.'
    """
    return BufferedReader(open_unbuffered(path))


def open_unbuffered(path: Path) -> FileIO:
    """Open a regular file for reading in large blocks; errors as `open_regular`."""
    return FileIO(path, "r", opener=_open_at_once)


def read_regular(path: Path) -> bytes:
    """Return the whole content of a regular file; errors as `open_regular`."""
    with open_unbuffered(path) as file:
        return file.read()


def require_regular(path: Path) -> None:
    """Make sure that a file is regular, before a library opens it by its name.

    Raises
    ------
    OSError
        It is not, or there is nothing of that name.
    """
    _refuse_others(path, path.stat().st_mode)


def what_else(path: Path) -> str | None:
    """Say what there is of a name that is no regular file; None for a regular file or nothing."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return None
    return None if stat.S_ISREG(mode) else _in_words(mode)


def found_instead(error: OSError) -> str:
    """Say what there is in place of a file that could not be opened."""
    return "no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)


def _open_at_once(path: str, flags: int) -> int:
    # Asked of the open file, because on a network drive to ask before costs another answer.
    try:
        descriptor = _open_patiently(path, flags | _AT_ONCE)
    except BlockingIOError:
        # Another program has a lease on it, or it has to come from a tape: worth waiting for.
        require_regular(Path(path))
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno in _NOT_OPENED:
            require_regular(Path(path))
        raise
    try:
        _refuse_others(Path(path), os.fstat(descriptor).st_mode)
        if _AT_ONCE:
            os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open_patiently(path: str, flags: int) -> int:
    """Open a file; on Windows one may be refused for the moment in which another replaces it."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return os.open(path, flags)
        except PermissionError:
            if time.monotonic() >= deadline or not stat.S_ISREG(Path(path).stat().st_mode):
                raise
            time.sleep(_PAUSE_S)


def _refuse_others(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
    raise OSError(number, _in_words(mode), str(path))


def _in_words(mode: int) -> str:
    kind = next((words for is_kind, words in _KINDS if is_kind(mode)), "something else")
    return f"not a regular file but {kind}"
