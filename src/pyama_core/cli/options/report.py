"""The command `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pyama_core.cli.options.base import command


@command
def report(
    folders: Annotated[
        list[str],
        typer.Argument(metavar="DIR...", help="Folder of outputs; several are compared."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="File to write; default DIR/report.html."
        ),
    ] = None,
) -> int:
    """Write one file to look at and to send: what came out, what needs a look, and why."""
    from pyama_core.cli.report import report as write
    from pyama_core.io.paths import given_path

    return write([given_path(folder, "DIR") for folder in folders], output)
