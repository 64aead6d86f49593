"""`pyama export`."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from pyama_core.cli.interrupt import cancel_on_interrupt
from pyama_core.cli.messages import quieten
from pyama_core.errors import CancelledError
from pyama_core.exports.exporting import export
from pyama_core.exports.progress import ExportProgress, OnProgress
from pyama_core.results.results import open_results


def export_results(
    folder: Path,
    to: str,
    path: Path | None,
    fovs: str | None,
    samples: Sequence[str],
    options: Mapping[str, Any],
    *,
    good_only: bool,
    overwrite: bool,
) -> int:
    """Export a part of the results and say where it is."""
    selection = open_results(folder).select(fovs, samples or None, good_only=good_only)
    cancel = threading.Event()
    try:
        with cancel_on_interrupt(cancel), _bar() as on_progress:
            written = export(
                selection,
                to,
                path,
                options,
                overwrite=overwrite,
                on_progress=on_progress,
                cancelled=cancel.is_set,
            )
    except CancelledError as error:
        typer.echo(str(error), err=True)
        return 130
    typer.echo(f"wrote {written}")
    return 0


@contextlib.contextmanager
def _bar() -> Iterator[OnProgress | None]:
    """Show how far the export is, on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not (console.is_terminal and sys.stderr.isatty()):
        yield None
        return
    quieten(logging.WARNING)
    with Progress(console=console, redirect_stderr=True) as progress:
        bar = progress.add_task("exporting", total=None)

        def show(event: ExportProgress) -> None:
            progress.update(bar, completed=event.done, total=event.total, description=event.doing)

        yield show
