"""`pyama.log` in the output folder: what every run said, appended from run to run.

Parts of a run that work at once, on several computers, have a log each: not every file server
keeps lines whole that two computers append to one file.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from pyama_core.errors import StorageError
from pyama_core.io.regular_files import require_regular
from pyama_core.io.storage.naming import LOG_NAME
from pyama_core.processing.workflow.shards import Shard

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s [%(process)d] %(message)s"


def log_path(output_dir: Path, shard: Shard | None = None) -> Path:
    """Return where a run, or a part of one, keeps its log.

    Examples
    --------
    >>> log_path(Path("out"), Shard(3, 10)).name
    'pyama.shard-03-of-10.log'
    """
    if shard is None:
        return output_dir / LOG_NAME
    number = f"{shard.number:0{len(str(shard.count))}}"
    return output_dir / f"{Path(LOG_NAME).stem}.shard-{number}-of-{shard.count}.log"


@contextlib.contextmanager
def run_log(output_dir: Path, shard: Shard | None = None) -> Iterator[None]:
    """Append the log records of this package to the log of an output folder.

    Raises
    ------
    StorageError
        The file cannot be opened.
    """
    path = log_path(output_dir, shard)
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
