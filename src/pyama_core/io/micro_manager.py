"""The file ``metadata.txt`` that Micro-Manager writes beside images saved one by one.

Version 1.4 has a key ``FrameKey-T-C-Z`` per image with its file name inside, version 2 a key
``Metadata-FOLDER/FILE``.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyama_core.io.regular_files import read_regular

METADATA_NAME = "metadata.txt"

_MS_PER_MINUTE = 60_000.0

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
    minutes, stage, sizes = {}, {}, []
    for key, plane in content.items():
        if not isinstance(plane, dict) or not key.startswith(("FrameKey-", "Metadata-")):
            continue
        file = plane.get("FileName") or key.removeprefix("Metadata-")
        image = prefix + str(file).replace("\\", "/").rpartition("/")[2]
        elapsed = _number(plane.get("ElapsedTime-ms", plane.get("ElapsedTimeMs")))
        if elapsed is not None:
            minutes[image] = elapsed / _MS_PER_MINUTE
        x, y, z = (_number(plane.get(f"{axis}PositionUm")) for axis in "XYZ")
        if x is not None and y is not None:
            stage[image] = (x, y, z)
        sizes.append(_number(plane.get("PixelSizeUm")))
    summary = content.get("Summary")
    if isinstance(summary, dict):
        sizes.append(_number(summary.get("PixelSize_um")))
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


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None
