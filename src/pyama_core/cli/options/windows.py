"""Commands that open a window: `app`, the page in the browser, and `view`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer

from pyama_core.cli.options.base import command


@functools.partial(command, name="app")
def page(
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FOLDER]...",
            help="Data and results below these can be opened; by default the current folder.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="0 takes any that is free.")] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address and open nothing.")
    ] = False,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Other than this computer's own: take care.")
    ] = "127.0.0.1",
) -> int:
    """Open the page in the browser: look at data and results, tune, run, correct, export."""
    from pyama_core.app.server import Asked, serve
    from pyama_core.io.paths import given_path

    places = [given_path(folder, "FOLDER") for folder in folders or ["."]]
    serve(Asked(places, port=port, host=host, opens_browser=not no_browser))
    return 0


@command
def view(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of outputs.")],
    fov: Annotated[
        str | None,
        typer.Option(
            "--fov", metavar="LIST", help="FOVs by number or name, side by side; default the first."
        ),
    ] = None,
) -> int:
    """Show images, cells and tracks in napari; corrections are applied."""
    from pyama_core.cli.view import view as show

    return show(folder, fov)
