"""`pyama report`, and the report that a run writes at its end."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pyama_core.cli.interrupt import cancel_on_interrupt
from pyama_core.cli.messages import quieten
from pyama_core.cli.streams import echo
from pyama_core.errors import CancelledError, InputError, StorageError

Show = Callable[[int, int], None]


def report(folders: Sequence[Path], path: Path | None) -> int:
    """Write the report of a folder, or one that compares several, and say where it is."""
    from pyama_core.report.compare import write_comparison
    from pyama_core.report.write import write_report

    if len(folders) > 1 and path is None:
        raise InputError(f"{len(folders)} folders are compared: say where, with -o compare.html")
    if path is not None and path.is_dir():
        raise InputError(f"-o {path} is a folder; expected a file, such as {path / 'report.html'}")
    cancel = threading.Event()
    try:
        with cancel_on_interrupt(cancel), _bar() as show:
            on_progress = _cancelled_by(cancel, show)
            if len(folders) > 1:
                assert path is not None
                written, first_line = write_comparison(folders, path, on_progress)
            else:
                written, first_line = write_report(folders[0], path, on_progress)
    except CancelledError:
        echo("cancelled; no report was written", err=True)
        return 130
    except StorageError as error:
        if path is None:
            raise StorageError(f"{error}; -o FILE writes the report elsewhere") from error
        raise
    echo(f"{first_line}; see {written}")
    return 0


def report_of_run(folder: Path) -> None:
    """Write the report of a run that has ended, which it does not fail by."""
    from pyama_core.report.write import write_report_of_run

    cancel = threading.Event()
    with cancel_on_interrupt(cancel):
        write_report_of_run(folder, echo, _cancelled_by(cancel, lambda _done, _all: None))


def _cancelled_by(cancel: threading.Event, show: Show) -> Show:
    def on_progress(done: int, n_all: int) -> None:
        if cancel.is_set():
            raise CancelledError("it was interrupted")
        show(done, n_all)

    return on_progress


@contextlib.contextmanager
def _bar() -> Iterator[Show]:
    """Show how far the report is, on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not (console.is_terminal and sys.stderr.isatty()):
        yield lambda _done, _all: None
        return
    quieten(logging.WARNING)
    with Progress(console=console, redirect_stderr=True) as progress:
        bar = progress.add_task("reading positions", total=None)
        yield lambda done, n_all: progress.update(bar, completed=done, total=n_all)
