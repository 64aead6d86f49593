"""A file has its final name only when it is whole.

Whatever is written goes to a temporary name in the same folder (so that the rename never
crosses file systems), is closed (Windows renames no open file), and is then renamed over the
final name. A temporary name begins with a dot and ends in `.tmp`: what is found under such a
name is the remains of a process that died, and belongs to nobody.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from pathlib import Path

from pyama_core.errors import StorageError
from pyama_core.io.regular_files import open_regular

_SUFFIX = ".tmp"
_PATIENCE_S = 10.0
_PAUSE_S = 0.2


def temporary_path(final: Path) -> Path:
    """Return a name beside `final` that no other process uses."""
    return final.with_name(f".{final.name}.{secrets.token_hex(4)}{_SUFFIX}")


def is_temporary(path: Path) -> bool:
    """Whether a name was made by `temporary_path`."""
    return path.name.startswith(".") and path.name.endswith(_SUFFIX)


def move_into_place(temporary: Path, final: Path, about: Path | None = None) -> None:
    """Rename a whole, closed file to its final name, replacing what is there.

    Errors name the file that it is all about, if that is another.

    Another program (a spreadsheet, a virus scanner) may hold the target open, which Windows
    answers with a refusal: this is retried for ten seconds.

    Raises
    ------
    StorageError
        The rename is refused; the message names the file.
    """
    about = about or final
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            temporary.replace(final)
        except PermissionError as error:
            if time.monotonic() >= deadline:
                raise StorageError(
                    f"cannot replace {about}: another program seems to hold it open; "
                    "close it there and run again"
                ) from error
            time.sleep(_PAUSE_S)
        except OSError as error:
            raise StorageError.about("rename to", about, error) from error
        else:
            return


def write_whole(path: Path, content: str | bytes) -> None:
    r"""Write a small file (text as UTF-8, ``\n``) so that it is never seen half written.

    Raises
    ------
    StorageError
        The folder cannot be written, the disk is full or failing.
    """
    temporary = temporary_path(path)
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        move_into_place(temporary, path)
    except OSError as error:
        raise StorageError.about("write", path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Make sure that the content of a file survives a loss of power.

    Raises
    ------
    OSError
        The file is gone or the disk fails.
    """
    # Windows flushes only through a handle that may write.
    with path.open("r+b") if os.name == "nt" else open_regular(path) as file:
        os.fsync(file.fileno())
