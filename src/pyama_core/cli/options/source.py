"""Commands about a microscope file: `pyama demo` makes one, `pyama inspect` shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pyama_core.cli.options.base import Axes, Json, Numbering, Outside, Pattern, Sizes, command


@command
def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write into.")],
    fovs: Annotated[int, typer.Option(help="Fields of view.")] = 2,
    frames: Annotated[int, typer.Option(help="Frames of each.")] = 40,
    size: Annotated[int, typer.Option(help="Height and width in pixels.")] = 512,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    kind: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="What it shows: adherent cells in phase contrast (adherent), or nuclei, cells "
            "(spread, in fluorescence alone) or bacteria.",
        ),
    ] = "adherent",
) -> int:
    """Write a small synthetic experiment with known truth."""
    from pyama_core.cli.demo import write

    return write(folder, fovs=fovs, frames=frames, size=size, seed=seed, kind=kind)


@command
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Microscope file or folder.")],
    json: Json = False,
    axes: Axes = None,
    sizes: Sizes = None,
    pattern: Pattern = None,
    outside: Outside = False,
    numbering: Numbering = None,
    thumbnail: Annotated[
        Path | None,
        typer.Option(
            "--thumbnail",
            metavar="PNG",
            help="Draw first, middle and last frame of each channel into this file.",
        ),
    ] = None,
) -> int:
    """Show FOVs, frames, channels, sizes, times and what a run would take."""
    from pyama_core.cli.inspect import show

    given = {
        "axes": axes,
        "sizes": sizes,
        "pattern": pattern,
        "outside": outside or None,
        "numbering": numbering,
    }
    options = {name: value for name, value in given.items() if value is not None}
    return show(file, as_json=json, options=options, thumbnail=thumbnail)
