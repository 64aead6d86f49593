"""Write OME-Zarr images with zarr alone, in every way that chunks are stored and named."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

_KINDS = {"t": "time", "c": "channel"}


@dataclass(frozen=True)
class Layout:
    """How chunks are stored; `encoding` is None in version 2, where only the separator varies."""

    name: str
    version: int
    separator: str
    encoding: str | None = None
    sharded: bool = False


LAYOUTS = (
    Layout("v3 /", 3, "/", "default"),
    Layout("v3 .", 3, ".", "default"),
    Layout("v3 as v2", 3, ".", "v2"),
    Layout("v3 shards", 3, "/", "default", sharded=True),
    Layout("v2 .", 2, "."),
    Layout("v2 /", 2, "/"),
)


def write_image(
    path: Path,
    pixels: npt.NDArray[Any],
    layout: Layout = LAYOUTS[0],
    *,
    chunks: tuple[int, ...] | None = None,
    shards: tuple[int, ...] | None = None,
    fill_value: Any = 0,
    write_empty: bool = False,
) -> Path:
    """Write pixels (T, C, Z, Y, X) or fewer of these axes as one image; chunks are 16 × 16.

    Without `write_empty`, chunks that have nothing but the fill value are left out, as zarr does.
    """
    axes = "tczyx"[-pixels.ndim :] if pixels.ndim != 4 else "tcyx"
    chunks = chunks or (*(1,) * (pixels.ndim - 2), 16, 16)
    if layout.sharded and shards is None:
        shards = (*chunks[:-2], 2 * chunks[-2], 2 * chunks[-1])
    about = (pixels.shape, pixels.dtype.str, layout, chunks, shards, fill_value, write_empty)
    for name, content in _array_files(pixels.tobytes(), *about):
        (path / "0" / name).parent.mkdir(parents=True, exist_ok=True)
        (path / "0" / name).write_bytes(content)
    level = {
        "path": "0",
        "coordinateTransformations": [{"type": "scale", "scale": [1.0] * pixels.ndim}],
    }
    multiscale = {
        "axes": [{"name": axis, "type": _KINDS.get(axis, "space")} for axis in axes],
        "datasets": [level],
    }
    if layout.version == 3:
        attributes = {"ome": {"version": "0.5", "multiscales": [multiscale]}}
        document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        (path / "zarr.json").write_text(json.dumps(document))
    else:
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        (path / ".zattrs").write_text(
            json.dumps({"multiscales": [{"version": "0.4", **multiscale}]})
        )
    return path


@lru_cache(maxsize=32)
def _array_files(
    content: bytes,
    shape: tuple[int, ...],
    dtype: str,
    layout: Layout,
    chunks: tuple[int, ...],
    shards: tuple[int, ...] | None,
    fill_value: Any,
    write_empty: bool,
) -> tuple[tuple[str, bytes], ...]:
    """Return name and content of the files of an array; zarr takes long, and many are the same."""
    encoding = {"name": layout.encoding or "v2", "separator": layout.separator}
    with tempfile.TemporaryDirectory() as folder:
        array = zarr.create_array(
            folder,
            shape=shape,
            dtype=dtype,
            chunks=chunks,
            shards=shards,
            zarr_format=layout.version,  # type: ignore[arg-type]
            chunk_key_encoding=encoding,  # type: ignore[arg-type]
            fill_value=fill_value,
            config={"write_empty_chunks": write_empty},
        )
        array[...] = np.frombuffer(content, dtype).reshape(shape)
        root = Path(folder)
        files = [each for each in root.rglob("*") if each.is_file()]
        return tuple((each.relative_to(root).as_posix(), each.read_bytes()) for each in files)


def chunk_file(path: Path, layout: Layout, *at: int) -> Path:
    """Return the file of a chunk (of a shard, where there are any)."""
    start = f"c{layout.separator}" if layout.encoding == "default" else ""
    return path / "0" / (start + layout.separator.join(map(str, at)))


def random_pixels(*shape: int, dtype: Any = np.uint16) -> npt.NDArray[Any]:
    """Return pixels of which none is zero."""
    return np.random.default_rng(len(shape)).integers(1, 250, shape).astype(dtype)
