"""The commands and their options; what they do is imported when they do it."""

from __future__ import annotations

import functools
import inspect as inspect_module
import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from pyama_core import __version__

app = typer.Typer(
    name="pyama",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug messages.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Axes = Annotated[
    str | None,
    typer.Option("--axes", help="Axes of a plain TIFF stack, slowest first, e.g. TCYX."),
]
Pattern = Annotated[
    str | None,
    typer.Option(
        "--pattern",
        metavar="NAMES",
        help="How images in a folder are named, e.g. '{*}_{channel}_{fov}_{time}.tif'.",
    ),
]
Outside = Annotated[
    bool,
    typer.Option("--outside", help="Also read files that FILE names outside of its own folder."),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pyama-core {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """From time-lapse microscopy files to one fluorescence trace per cell."""


def command(function: Callable[..., int]) -> Callable[..., None]:
    """Register a command: its return value is the exit code, its errors are one or two lines.

    Every command gains the option `--debug`.
    """

    @functools.wraps(function)
    def run(*args: Any, debug: bool = False, **kwargs: Any) -> None:
        from pyama_core.cli.messages import listen
        from pyama_core.io.errors import PyamaError, ShortageError, is_shortage

        with listen(logging.DEBUG if debug else logging.INFO):
            try:
                code = function(*args, **kwargs)
            except PyamaError as error:
                if debug:
                    traceback.print_exc()
                typer.echo(f"error: {error}", err=True)
                code = 2
            except (MemoryError, RuntimeError) as error:
                if debug or not is_shortage(error):
                    raise
                typer.echo(f"error: {ShortageError.about('go on', error)}", err=True)
                code = 1
        raise typer.Exit(code)

    parameter = inspect_module.Parameter(
        "debug", inspect_module.Parameter.KEYWORD_ONLY, default=False, annotation=Debug
    )
    signature = inspect_module.signature(function, eval_str=True)
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), parameter]
    )
    run.__annotations__ = {**function.__annotations__, "debug": Debug}
    app.command()(run)
    return run


@command
def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write into.")],
    fovs: Annotated[int, typer.Option(help="Fields of view.")] = 2,
    frames: Annotated[int, typer.Option(help="Frames of each.")] = 40,
    size: Annotated[int, typer.Option(help="Height and width in pixels.")] = 512,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
) -> int:
    """Write a small synthetic experiment with known truth."""
    from pyama_core.cli.demo import write

    return write(folder, fovs=fovs, frames=frames, size=size, seed=seed)


@command
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Microscope file or folder.")],
    json: Json = False,
    axes: Axes = None,
    pattern: Pattern = None,
    outside: Outside = False,
    thumbnail: Annotated[
        Path | None,
        typer.Option(
            "--thumbnail",
            metavar="PNG",
            help="Draw first, middle and last frame of each channel into this file.",
        ),
    ] = None,
) -> int:
    """Show positions, frames, channels, sizes, times and what a run would take."""
    from pyama_core.cli.inspect import show

    given = {"axes": axes, "pattern": pattern, "outside": outside or None}
    options = {name: value for name, value in given.items() if value is not None}
    return show(file, as_json=json, options=options, thumbnail=thumbnail)


@command
def run(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Microscope file.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder for all outputs.")
    ] = None,
    pc: Annotated[
        str | None, typer.Option("--pc", metavar="CH", help="Phase contrast: name or number.")
    ] = None,
    fl: Annotated[
        list[str] | None,
        typer.Option("--fl", metavar="CH", help="Fluorescence: name or number; may be repeated."),
    ] = None,
    nuclei: Annotated[
        str | None,
        typer.Option("--nuclei", metavar="CH", help="Nuclei, by which cells are separated."),
    ] = None,
    segmentation: Annotated[
        str | None,
        typer.Option(
            "--segmentation",
            metavar="METHOD",
            help="instances (default), log-std, files or cellpose.",
        ),
    ] = None,
    cell_diameter: Annotated[
        str | None,
        typer.Option(
            "--cell-diameter",
            metavar="D",
            help="Pixels, or a length as '25 um'; auto (default) estimates it (instances).",
        ),
    ] = None,
    tracking: Annotated[
        str | None,
        typer.Option(
            "--tracking", metavar="METHOD", help="lineage (default), iou, laptrack or trackastra."
        ),
    ] = None,
    fovs: Annotated[
        str | None, typer.Option("--fovs", metavar="LIST", help="Positions, e.g. 0-3,7; or all.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", metavar="N", help="Positions copied at a time.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Processes that work.")
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option("--interval", metavar="MIN", help="Minutes between frames, if unknown."),
    ] = None,
    z: Annotated[
        str | None, typer.Option("--z", metavar="PLANE", help="Plane of a z-stack, or max.")
    ] = None,
    axes: Axes = None,
    pattern: Pattern = None,
    outside: Outside = False,
    check: Annotated[
        bool, typer.Option("--check", help="Compare what is there with its checksums first.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="YAML", help="Settings; flags win over it."),
    ] = None,
    write_config: Annotated[
        bool,
        typer.Option(
            "--write-config",
            help="Write a commented configuration (to --config, or run.yaml) and stop.",
        ),
    ] = False,
) -> int:
    """Turn a microscope file into one fluorescence trace per cell."""
    from pyama_core.cli.run import Flags, start, write_configuration

    flags = Flags(
        file=file,
        output=output,
        pc=pc,
        fl=fl,
        nuclei=nuclei,
        segmentation=segmentation,
        cell_diameter=cell_diameter,
        tracking=tracking,
        fovs=fovs,
        batch_size=batch_size,
        workers=workers,
        interval=interval,
        z=z,
        axes=axes,
        pattern=pattern,
        outside=outside or None,
        check=check or None,
    )
    if write_config:
        return write_configuration(flags, config)
    return start(flags, config)


@command
def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of outputs.")],
    json: Json = False,
) -> int:
    """Show what is done, failed and missing, per position and step."""
    from pyama_core.cli.status import show

    return show(folder, as_json=json)


@command
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of outputs.")],
) -> int:
    """Compare every output with its recorded checksum."""
    from pyama_core.cli.status import verify

    return verify(folder)


@command
def release(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of outputs.")],
    stacks: Annotated[
        str,
        typer.Option(
            "--stacks",
            metavar="KINDS",
            help="Out of pc, fl, seg, fl_corrected, seg_labeled; separated by commas.",
        ),
    ],
) -> int:
    """Delete stacks that can be made again, to save space; what was made from them stays valid."""
    from pyama_core.cli.status import release

    return release(folder, stacks)


def main() -> None:
    """Entry point of the command `pyama`."""
    for stream in (sys.stdout, sys.stderr):
        # Names of channels have µ and Greek letters; Windows consoles may not.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    app()
