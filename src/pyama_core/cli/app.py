"""The commands and their options; what they do is imported when they do it."""

from __future__ import annotations

import functools
import inspect as inspect_module
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from pyama_core.cli.streams import echo, forgive_lost_output, lost_output
from pyama_core.version import __version__

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
Sizes = Annotated[
    str | None,
    typer.Option("--sizes", metavar="N,N", help="Sizes of --axes but Y and X, e.g. 10,3."),
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
Numbering = Annotated[
    str | None,
    typer.Option(
        "--numbering",
        metavar="HOW",
        help="Frame numbers in names of images: auto (those that jump are gaps), order (no gaps), "
        "or how far frames are apart.",
    ),
]
_SHOWING = ("inspect", "status", "samples")
"""Commands that have done nothing if their output is lost."""
FORM_NAMES = ("csv", "parquet", "xlsx", "fiji", "geff", "ctc", "ome-zarr", "anndata")
"""Of exports, which are too much to import to say what there are."""
_CHANNEL = "name, or number from 0 (name:2 or index:2 where a name is a number)"


def _show_version(wanted: bool) -> None:
    if wanted:
        echo(f"pyama-core {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """From time-lapse microscopy files to one fluorescence trace per cell."""


_TAKES_MORE = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Of a command that hands what it does not know on to another."""


def command(
    function: Callable[..., int],
    name: str | None = None,
    settings: dict[str, Any] | None = None,
) -> Callable[..., None]:
    """Register a command: its return value is the exit code, its errors are one or two lines.

    It is called like the function, if no other name is given.

    Every command gains the option `--debug`, and refuses paths whose text is empty.
    """
    signature = inspect_module.signature(function, eval_str=True)
    paths = {name: flag for name, flag in map(_path_of, signature.parameters.values()) if flag}

    @functools.wraps(function)
    def run(*args: Any, debug: bool = False, **kwargs: Any) -> None:
        from pyama_core.cli.messages import listen
        from pyama_core.errors import PyamaError, ShortageError, is_shortage
        from pyama_core.io.paths import given_path

        with listen(logging.DEBUG if debug else logging.INFO):
            try:
                for name, flag in paths.items():
                    if kwargs[name] is not None:
                        kwargs[name] = given_path(kwargs[name], flag)
                code = function(*args, **kwargs)
            except PyamaError as error:
                if debug:
                    traceback.print_exc()
                echo(f"error: {error}", err=True)
                code = 2
            except (MemoryError, RuntimeError, OSError, ImportError) as error:
                if debug or not is_shortage(error):
                    raise
                echo(f"error: {ShortageError.about('go on', error)}", err=True)
                code = 1
            lost = _tell_lost_output()
        raise typer.Exit(code or (1 if lost and function.__name__ in _SHOWING else 0))

    parameter = inspect_module.Parameter(
        "debug", inspect_module.Parameter.KEYWORD_ONLY, default=False, annotation=Debug
    )
    typed = [*map(_as_typed, signature.parameters.values()), parameter]
    run.__signature__ = signature.replace(parameters=typed)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in typed}
    app.command(name, context_settings=settings)(run)
    return run


def _read_as(name: str, context: typer.Context) -> dict[str, Any]:
    """Read what a command was not told of as the arguments of another."""
    other = context.parent.command.commands[name]  # type: ignore[union-attr]
    parameters: dict[str, Any] = other.make_context(name, list(context.args), context.parent).params
    return parameters


def _tell_lost_output() -> bool:
    """Say why standard output could not be written; a reader who has seen enough lost nothing."""
    error = lost_output()
    if error is None or isinstance(error, BrokenPipeError):
        return False
    echo(f"error: cannot write to standard output: {error.strerror or error}", err=True)
    return True


def _path_of(parameter: inspect_module.Parameter) -> tuple[str, str]:
    """Return the name of a parameter and, if it is a path, the flag that people know it by."""
    kind, about = get_args(parameter.annotation)[:2] or (None, None)
    if kind not in (Path, Path | None):
        return parameter.name, ""
    # Where a default may stand, typer keeps the first of the flags.
    flags = [about.default, *(about.param_decls or ())]
    long = [flag for flag in flags if isinstance(flag, str) and flag.startswith("--")]
    return parameter.name, long[0] if long else about.metavar


def _as_typed(parameter: inspect_module.Parameter) -> inspect_module.Parameter:
    """Let a path be taken as text, for a path without text is the current folder."""
    if not _path_of(parameter)[1]:
        return parameter
    kind, *about = get_args(parameter.annotation)
    text = str if kind is Path else str | None
    return parameter.replace(annotation=Annotated[text, *about])


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


@command
def run(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Microscope file.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder for all outputs.")
    ] = None,
    pc: Annotated[
        str | None,
        typer.Option(
            "--pc", metavar="CH", help=f"Phase contrast, in which cells are found: {_CHANNEL}."
        ),
    ] = None,
    segment: Annotated[
        str | None,
        typer.Option(
            "--segment",
            metavar="CH",
            help="Any channel in which cells are found, in place of --pc; may be one of --fl.",
        ),
    ] = None,
    fl: Annotated[
        list[str] | None,
        typer.Option("--fl", metavar="CH", help="Fluorescence, the same way; may be repeated."),
    ] = None,
    nuclei: Annotated[
        str | None,
        typer.Option(
            "--nuclei",
            metavar="CH",
            help="Nuclei: they separate cells, and are measured apart (extraction.features).",
        ),
    ] = None,
    segmentation: Annotated[
        str | None,
        typer.Option(
            "--segmentation",
            metavar="METHOD",
            help="auto (default with --segment: by what the channel shows), instances (with --pc), "
            "bright, dark, log-std, files or cellpose.",
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
        str | None,
        typer.Option(
            "--fovs", metavar="LIST", help="FOVs by number or name, e.g. 0-3,7 or A1,B2; or all."
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", metavar="N", help="FOVs copied at a time.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Processes that work.")
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep",
            metavar="WHAT",
            help="Stacks that stay when a FOV is done: all (default), labels, traces (tables "
            "alone), or kinds as of release; the rest is released.",
        ),
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option("--interval", metavar="MIN", help="Minutes between frames, if unknown."),
    ] = None,
    z: Annotated[
        str | None, typer.Option("--z", metavar="PLANE", help="Plane of a z-stack, or max.")
    ] = None,
    axes: Axes = None,
    sizes: Sizes = None,
    pattern: Pattern = None,
    outside: Outside = False,
    numbering: Numbering = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare what is there with its checksums first.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="YAML", help="Settings; flags win over it."),
    ] = None,
    restore: Annotated[
        str | None,
        typer.Option(
            "--restore",
            metavar="KINDS",
            help="Make released stacks again: out of pc, fl, seg, fl_corrected, seg_labeled.",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Only the I-th of N even parts of the FOVs; others work on the rest, and pyama "
            "finish DIR closes the run.",
        ),
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
        segment=segment,
        fl=fl,
        nuclei=nuclei,
        segmentation=segmentation,
        cell_diameter=cell_diameter,
        tracking=tracking,
        fovs=fovs,
        batch_size=batch_size,
        workers=workers,
        keep=keep,
        interval=interval,
        z=z,
        axes=axes,
        sizes=sizes,
        pattern=pattern,
        outside=outside or None,
        numbering=numbering,
        check=check or None,
    )
    if write_config:
        return write_configuration(flags, config)
    return start(flags, config, restore, shard)


@functools.partial(command, settings=_TAKES_MORE)
def submit(
    context: typer.Context,
    array: Annotated[
        int | None,
        typer.Option(
            "--array", metavar="N", min=1, help="Tasks; default one per FOV, 100 at most."
        ),
    ] = None,
    cpus: Annotated[
        int | None,
        typer.Option(
            "--cpus", metavar="N", min=1, help="Cores of a task; default --workers, or 4."
        ),
    ] = None,
    memory: Annotated[
        str | None, typer.Option("--mem", metavar="SIZE", help="Memory of a task, e.g. 8G.")
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", metavar="TIME", help="Limit of a task, e.g. 4:00:00.")
    ] = None,
    partition: Annotated[
        str | None, typer.Option("--partition", metavar="NAME", help="Where tasks run.")
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", metavar="NAME", help="Who is charged.")
    ] = None,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(
            "--sbatch", metavar="OPTION", help="Any other, e.g. --sbatch=--qos=low; repeatable."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the scripts and submit nothing.")
    ] = False,
) -> int:
    """Run on a SLURM cluster: what pyama run takes is taken here too, and worked on in parts."""
    from pyama_core.cli.submit import submit
    from pyama_core.cluster.slurm import Resources

    resources = Resources(array, cpus, memory, time, partition, account, tuple(sbatch or ()))
    typed = _read_as("run", context)
    return submit(typed, context.args, resources, dry_run=dry_run)


@command
def finish(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of outputs.")],
) -> int:
    """Write the results file after all parts of a run, and say whether all is done."""
    from pyama_core.cli.submit import finish

    return finish(folder)


@command
def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of outputs.")],
    json: Json = False,
) -> int:
    """Show what is done, failed and missing, per FOV and step."""
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


@command
def samples(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of outputs.")],
    table: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="CSV",
            help="Take all samples from a table with the columns fov (or position, well, name) and "
            "sample, and any others.",
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SAMPLE=FOVS",
            help='Put FOVs into a sample, e.g. "control=0-9,A1"; may be repeated. The sample '
            "unassigned takes them out.",
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Show and change which FOVs belong to which sample; nothing is computed again."""
    from pyama_core.cli.samples import show_or_change

    return show_or_change(folder, table, setting or [], as_json=json)


@command
def curate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of outputs.")],
    fov: Annotated[
        str | None, typer.Option("--fov", metavar="FOV", help="FOV, by number or name.")
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option("--cell", metavar="CELLS", help="Cell to judge, e.g. 17; or 17,20-25."),
    ] = None,
    bad: Annotated[
        str | None,
        typer.Option("--bad", metavar="NOTE", help='--cell cannot be trusted, e.g. "dead".'),
    ] = None,
    good: Annotated[bool, typer.Option("--good", help="--cell can be trusted.")] = False,
    channel: Annotated[
        str | None,
        typer.Option("--channel", metavar="CH", help="--good or --bad in this channel only."),
    ] = None,
    join: Annotated[
        tuple[int, int] | None,
        typer.Option("--join", metavar="CELL CELL", help="Two tracks are of one cell."),
    ] = None,
    cut: Annotated[
        str | None,
        typer.Option(
            "--cut", metavar="CELL@FRAME", help="From a frame on a track is of another cell."
        ),
    ] = None,
    remove: Annotated[
        str | None, typer.Option("--remove", metavar="CELLS", help="What was found is no cell.")
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option("--frames", metavar="LIST", help="--remove in these frames only, e.g. 3-5."),
    ] = None,
    parent: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--parent", metavar="CELL CELL", help="The first came from the second; or from none."
        ),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the last correction back.")] = False,
    redo: Annotated[bool, typer.Option("--redo", help="Make it count again.")] = False,
    name: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="Another than the last, as --list names it."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--import",
            metavar="FILE",
            help="Add corrections from a file of JSON lines, such as the log of another folder.",
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who corrects, if not you.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Show all corrections.")] = False,
    json: Json = False,
) -> int:
    """Correct cells, for good and reversibly; files of the run are never changed."""
    from pyama_core.cli.curate import Asked
    from pyama_core.cli.curate import curate as carry_out

    asked = Asked(
        fov=fov,
        cell=cell,
        channel=channel,
        frames=frames,
        name=name,
        by=by,
        good=good,
        bad=bad,
        join=join,
        cut=cut,
        remove=remove,
        parent=parent,
        undo=undo,
        redo=redo,
        source=source,
        listed=listed,
    )
    return carry_out(folder, asked, as_json=json)


@command
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of outputs.")],
    to: Annotated[
        str, typer.Option("--to", metavar="FORM", help=f"One of {', '.join(FORM_NAMES)}.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="File or folder to write; default DIR/exports/…"
        ),
    ] = None,
    fovs: Annotated[
        str | None,
        typer.Option("--fovs", metavar="LIST", help="FOVs by number or name, e.g. 0-3,7 or A1,B2."),
    ] = None,
    sample: Annotated[
        list[str] | None,
        typer.Option("--sample", metavar="NAME", help="Only this sample; may be repeated."),
    ] = None,
    good_only: Annotated[
        bool, typer.Option("--good-only", help="Leave out cells that cannot be trusted.")
    ] = False,
    layout: Annotated[
        str | None,
        typer.Option(
            "--layout",
            metavar="HOW",
            help="Of csv, parquet and xlsx: long (a row per cell and frame), wide (a column per "
            "cell; a table per sample and feature) or both.",
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            "--features", metavar="LIST", help="Only these measurements, e.g. area,intensity_total."
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option("--time", metavar="UNIT", help="Of wide tables: h (default), min or frame."),
    ] = None,
    decimal: Annotated[
        str | None,
        typer.Option(
            "--decimal", metavar="MARK", help="Of csv: point (default), or comma: 0,5;1,5."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier export of the same place.")
    ] = False,
) -> int:
    """Write results for other programs: tables, ROIs, tracks or images; corrections are applied."""
    from pyama_core.cli.export import export_results

    options = {
        "layout": layout,
        "features": None if features is None else [*map(str.strip, features.split(","))],
        "time": time,
        "decimal": decimal,
    }
    return export_results(
        folder,
        to,
        output,
        fovs,
        sample or [],
        options,
        good_only=good_only,
        overwrite=overwrite,
    )


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


def main() -> None:
    """Entry point of the command `pyama`."""
    forgive_lost_output()
    app()
