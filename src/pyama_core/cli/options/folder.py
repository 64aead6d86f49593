"""Commands about what a run has written: `status`, `verify` and `release`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pyama_core.cli.options.base import Json, command


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
            help="Out of pc, fl, seg, fl_corrected, seg_labeled, nuclei; separated by commas.",
        ),
    ],
) -> int:
    """Delete stacks that can be made again, to save space; what was made from them stays valid."""
    from pyama_core.cli.status import release

    return release(folder, stacks)
