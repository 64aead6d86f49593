"""`pyama.log` in the output folder: what every run said, appended from run to run."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from pyama_core.errors import StorageError
from pyama_core.io.regular_files import require_regular
from pyama_core.io.storage.naming import LOG_NAME

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s [%(process)d] %(message)s"


@contextlib.contextmanager
def run_log(output_dir: Path) -> Iterator[None]:
    """Append the log records of this package to the log of an output folder.

    Raises
    ------
    StorageError
        The file cannot be opened.
    """
    path = output_dir / LOG_NAME
    try:
        with contextlib.suppress(FileNotFoundError):
            require_regular(path)
        # A file name may have bytes that are no text.
        handler = logging.FileHandler(path, "a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise StorageError.about("write", path, error) from error
    handler.setFormatter(logging.Formatter(_FORMAT))
    package = logging.getLogger("pyama_core")
    level = package.level
    if package.getEffectiveLevel() > logging.INFO:
        package.setLevel(logging.INFO)
    package.addHandler(handler)
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.setLevel(level)
        handler.close()
