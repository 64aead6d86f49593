"""Folders of single images, written for tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile


def write_image(path: Path, pixels: np.ndarray[Any, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".png":
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    else:
        tifffile.imwrite(path, pixels)


def write_numbered(folder: Path, names: Iterable[str], size: tuple[int, int] = (4, 6)) -> Path:
    """Write images whose pixels all have the place of the name in `names`, from 1."""
    for number, name in enumerate(names, 1):
        write_image(folder / name, np.full(size, number, np.uint16))
    return folder


def number_of(names: Iterable[str], name: str) -> int:
    """Return which pixels `write_numbered` gave the image of a name."""
    return list(names).index(name) + 1
