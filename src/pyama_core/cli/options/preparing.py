"""The command that prepares a computer or an image: `warm-up`."""

from __future__ import annotations

import functools
from typing import Annotated

import typer

from pyama_core.cli.options.base import command


@functools.partial(command, name="warm-up")
def warm_up(
    segmentation: Annotated[
        list[str] | None,
        typer.Option(
            "--segmentation",
            metavar="METHOD",
            help="May be repeated; by default instances and bright, of which a run chooses.",
            show_default=False,
        ),
    ] = None,
    tracking: Annotated[
        list[str] | None,
        typer.Option(
            "--tracking",
            metavar="METHOD",
            help="May be repeated; by default lineage.",
            show_default=False,
        ),
    ] = None,
    pixels: Annotated[
        list[str] | None,
        typer.Option(
            "--pixels",
            metavar="TYPE",
            help="Type of the pixels of files: uint16 by default, uint8, float32; may be repeated.",
            show_default=False,
        ),
    ] = None,
    nuclei: Annotated[
        bool, typer.Option("--nuclei", help="Also for nuclei and their compartments.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes; by default one per core.")
    ] = None,
) -> int:
    """Compile the numerical kernels now, so that the first run need not."""
    from pyama_core.cli.warm_up import Wanted, compile_now

    wanted = Wanted.of(segmentation, tracking, pixels, nuclei=nuclei)
    return compile_now(wanted, workers)
