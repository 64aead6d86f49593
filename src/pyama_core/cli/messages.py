"""Log records as lines for a person, on standard error."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from pyama_core.cli.streams import echo


class _Echo(logging.Handler):
    """Writes a record as one line; above whatever a progress display shows."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write(record)
        except OSError:
            # Whoever read along is gone (`pyama run 2>&1 | head`), which must not end the run.
            self.handleError(record)

    def _write(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            text = f"{record.levelname.lower()}: {text}"
        echo(text, err=True)
        if record.exc_info and logging.getLogger("pyama_core").level <= logging.DEBUG:
            echo(logging.Formatter().formatException(record.exc_info), err=True)
        elif record.exc_text and logging.getLogger("pyama_core").level <= logging.DEBUG:
            echo(record.exc_text, err=True)


@contextlib.contextmanager
def listen(level: int) -> Iterator[None]:
    """Show the log records of this package from a level upwards."""
    package = logging.getLogger("pyama_core")
    handler = _Echo()
    before = package.level
    package.addHandler(handler)
    package.setLevel(level)
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.setLevel(before)


def quieten(level: int) -> None:
    """Show records from a level upwards only, while a progress display tells the rest."""
    for handler in logging.getLogger("pyama_core").handlers:
        if isinstance(handler, _Echo):
            handler.setLevel(level)
