"""Commands about results: `samples`, `curate` and `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pyama_core.cli.options.base import Json, command

FORM_NAMES = ("csv", "parquet", "xlsx", "fiji", "geff", "ctc", "ome-zarr", "anndata")
"""Of exports, which are too much to import to say what there are."""


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
