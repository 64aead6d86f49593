"""Try again what a network drive failed to do."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

logger = logging.getLogger(__name__)

PAUSES_S = (0.2, 1.0, 3.0)

# What will be the same in a moment; everything else that a system reports of a drive may pass.
_LASTING = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EINVAL}
    | {errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE, errno.EBADF, errno.ENOSPC}
)


def patiently(action: Callable[[], T], prepare: Callable[[], None] = lambda: None) -> T:
    """Do something, and again after a pause where the drive failed in a way that may pass.

    Parameters
    ----------
    action : callable
        Reads something.
    prepare : callable
        Called before each further try.

    Returns
    -------
    object
        What `action` returns.

    Raises
    ------
    Exception
        What `action` raises, if it lasts or was not a failure of a drive.
    """
    for pause in PAUSES_S:
        try:
            return action()
        except Exception as error:
            failure = passing_failure(error)
            if failure is None:
                raise
            logger.warning("reading failed (%s); trying again in %.1f s", failure, pause)
        time.sleep(pause)
        try:
            prepare()
        except OSError as error:
            logger.warning("reopening failed (%s)", error)
    return action()


def telling_damage(
    read: Callable[[], T], find_failure: Callable[[], OSError | None], prepare: Callable[[], None]
) -> T:
    """Read with a library whose errors do not tell a failing drive from damaged data.

    Parameters
    ----------
    read : callable
        Reads something with the library.
    find_failure : callable
        Reads the same bytes without it, and returns the system's error if there is one.
    prepare : callable
        Called before the second try.

    Returns
    -------
    object
        What `read` returns.

    Raises
    ------
    OSError
        The drive fails.
    Exception
        What `read` raises a second time although the drive works.
    """
    try:
        return read()
    except Exception as error:
        failure = find_failure()
        if failure is not None:
            raise failure from error
    prepare()
    return read()


def passing_failure(error: BaseException) -> OSError | None:
    """Find the system's own error in what an error was raised from, if it may pass."""
    failure = system_failure(error)
    return None if failure is None or failure.errno in (None, *_LASTING) else failure


def system_failure(error: BaseException | None) -> OSError | None:
    """Find the system's own error in what an error was raised from, None if there is none."""
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, OSError):
            return error
        error, seen = error.__cause__, seen + 1
    return None
