"""The file ``metadata.txt`` that Micro-Manager writes beside images saved one by one.

Version 1.4 has a key ``FrameKey-T-C-Z`` per image with its file name inside, version 2 a key
``Metadata-FOLDER/FILE``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyama_core.io.readers.micro_manager.notes import elapsed_min, pixel_size_um, stage_um
from pyama_core.io.readers.stated_numbers import Doubts
from pyama_core.io.regular_files import read_regular

METADATA_NAME = "metadata.txt"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MicroManagerNotes:
    """What one ``metadata.txt`` says.

    Attributes
    ----------
    minutes : dict
        When each image was taken, by its path below the data set's folder.
    stage_um : dict
        Where the stage was for each image, (x, y, z).
    pixel_size_um : float or None
        None where it was not calibrated.
    """

    minutes: Mapping[str, float]
    stage_um: Mapping[str, tuple[float, float, float | None]]
    pixel_size_um: float | None


def read_notes(folder: Path, relative_path: str) -> MicroManagerNotes | None:
    """Read a ``metadata.txt``; None, with a warning, if it is none or too damaged.

    Parameters
    ----------
    folder : Path
        Folder of the data set.
    relative_path : str
        Path of the file below it.
    """
    try:
        content = _parse(read_regular(folder / relative_path).decode(errors="replace"))
    except (OSError, ValueError, RecursionError) as error:
        logger.warning("%s cannot be read (%s); it is ignored", folder / relative_path, error)
        return None
    prefix = relative_path[: -len(METADATA_NAME)]
    minutes, stage, sizes, doubts = {}, {}, [], Doubts()
    for key, plane in content.items():
        if not isinstance(plane, dict) or not key.startswith(("FrameKey-", "Metadata-")):
            continue
        file = plane.get("FileName") or key.removeprefix("Metadata-")
        image = prefix + str(file).replace("\\", "/").rpartition("/")[2]
        taken = elapsed_min(plane, doubts)
        if taken is not None:
            minutes[image] = taken
        place = stage_um(plane, doubts)
        if place is not None:
            stage[image] = place
        sizes.append(pixel_size_um(plane, doubts))
    summary = content.get("Summary")
    if isinstance(summary, dict):
        sizes.append(pixel_size_um(summary, doubts))
    for told in doubts.told():
        logger.warning("%s: %s", folder / relative_path, told)
    return MicroManagerNotes(minutes, stage, next((size for size in sizes if size), None))


def _parse(text: str) -> dict[str, Any]:
    """Parse the text; an acquisition that was stopped leaves it without its closing brace."""
    try:
        content = json.loads(text)
    except ValueError:
        content = json.loads(text.rstrip().rstrip(",") + "}")
    if not isinstance(content, dict):
        raise ValueError(  # noqa: TRY004  it is about the file's content
            f"expected keys and values, found {type(content).__name__}"
        )
    return content
