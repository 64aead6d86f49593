"""Small data sets of one file and of many, which hold the same pixels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from movies import rough_squares, write_movie

N_FRAMES, SIZE, N_FOVS = 5, 64, 2
CORNERS = ((6, 6), (30, 30))


def pixels_of(fov: int) -> NDArray[np.uint16]:
    """Return (T, 2, Y, X): two cells in phase contrast, and in fluorescence."""
    return rough_squares(N_FRAMES, SIZE, CORNERS, seed=fov)


def write_ome_tiff(root: Path) -> Path:
    """Write all positions into one file."""
    positions = [pixels_of(fov) for fov in range(N_FOVS)]
    return write_movie(root / "movie.ome.tif", positions, ["phase", "GFP"], 2.0)


def write_image_folder(root: Path) -> Path:
    """Write an image per plane, as Micro-Manager names them, a folder per position."""
    for fov in range(N_FOVS):
        (root / "movie" / f"Pos{fov}").mkdir(parents=True)
        for t, frame in enumerate(pixels_of(fov)):
            for name, plane in zip(("phase", "GFP"), frame, strict=True):
                tifffile.imwrite(image_path(root / "movie", fov, t, name), plane)
    return root / "movie"


def image_path(folder: Path, fov: int, t: int, channel: str) -> Path:
    """Path of one plane in such a folder."""
    return folder / f"Pos{fov}" / f"img_{t:09d}_{channel}_000.tif"


def write_zarr(root: Path) -> Path:
    """Write an OME-Zarr 0.4 per position, without compression, in one folder."""
    for fov in range(N_FOVS):
        image = root / "movie.zarr" / f"{fov}.zarr"
        pixels = pixels_of(fov)
        _write_json(image / ".zgroup", {"zarr_format": 2})
        axes: list[dict[str, Any]] = [
            {"name": "t", "type": "time"},
            {"name": "c", "type": "channel"},
        ]
        axes += [{"name": name, "type": "space"} for name in "yx"]
        scale = [{"type": "scale", "scale": [1.0, 1.0, 1.0, 1.0]}]
        level = {"path": "0", "coordinateTransformations": scale}
        multiscale = {"version": "0.4", "axes": axes, "datasets": [level], "name": f"p{fov}"}
        _write_json(image / ".zattrs", {"multiscales": [multiscale]})
        array = {
            "zarr_format": 2,
            "shape": pixels.shape,
            "chunks": [1, 1, *pixels.shape[2:]],
            "dtype": "<u2",
            "compressor": None,
            "filters": None,
            "fill_value": 0,
            "order": "C",
            "dimension_separator": ".",
        }
        _write_json(image / "0" / ".zarray", array)
        for t, c in np.ndindex(pixels.shape[:2]):
            chunk_path(root / "movie.zarr", fov, t, c).write_bytes(pixels[t, c].tobytes())
    return root / "movie.zarr"


def chunk_path(store: Path, fov: int, t: int, channel: int) -> Path:
    """Path of one plane in such a store."""
    return store / f"{fov}.zarr" / "0" / f"{t}.{channel}.0.0"


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
