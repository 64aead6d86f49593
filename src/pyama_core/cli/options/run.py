"""Commands that compute: `pyama run`, and `submit` and `finish` on a cluster."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any

import typer

from pyama_core.cli.options.base import Axes, Numbering, Outside, Pattern, Sizes, command

_CHANNEL = "name, or number from 0 (name:2 or index:2 where a name is a number)"
_TAKES_MORE = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Of a command that hands what it does not know on to another."""


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
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Stop (exit code 3) when the first position contradicts what was assumed: size of "
            "cells, what the channel shows, hardly any good cell. What is done stays.",
        ),
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
            help="Bring released stacks back: kinds as of release, or labels, or all.",
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
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="URL",
            help="Let the workers of a Dask cluster do it, e.g. tcp://host:8786.",
        ),
    ] = None,
    scheduler_file: Annotated[
        Path | None,
        typer.Option(
            "--scheduler-file",
            metavar="JSON",
            help="The same, by the file in which the scheduler wrote its address.",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster", metavar="local", help="Start a Dask cluster on this computer for it."
        ),
    ] = None,
    max_readers: Annotated[
        int | None,
        typer.Option(
            "--max-readers",
            metavar="N",
            min=1,
            help="Dask workers that read FILE at once; 16 unless you say so.",
        ),
    ] = None,
    scratch: Annotated[
        str | None,
        typer.Option(
            "--scratch",
            metavar="DIR",
            help="A local disk for the stacks of FOVs in work that --keep does not keep, e.g. "
            "'$TMPDIR', which each computer has its own of.",
        ),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write DIR/report.html at the end.")
    ] = True,
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
    from pyama_core.executors.dask_clusters import ClusterChoice

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
        strict=strict or None,
    )
    if write_config:
        return write_configuration(flags, config)
    chosen = ClusterChoice(scheduler, scheduler_file, cluster, max_readers)
    return start(flags, config, restore, shard, chosen, scratch, report=report)


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
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write DIR/report.html as well.")
    ] = True,
) -> int:
    """Write the results file after all parts of a run, and say whether all is done."""
    from pyama_core.cli.submit import finish

    return finish(folder, report=report)


def _read_as(name: str, context: typer.Context) -> dict[str, Any]:
    """Read what a command was not told of as the arguments of another."""
    other = context.parent.command.commands[name]  # type: ignore[union-attr]
    parameters: dict[str, Any] = other.make_context(name, list(context.args), context.parent).params
    return parameters
