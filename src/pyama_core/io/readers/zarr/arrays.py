"""What the metadata of a Zarr array says, version 2 or 3, as far as it can be true."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_CHUNKS_OF_A_PLANE = 1 << 16
MAX_CHUNK_BYTES = 1 << 32


class ZarrError(ValueError):
    """The store is not what it should be; says why."""


@dataclass(frozen=True)
class PlaneChunk:
    """An object in the store that holds a part of a plane, and which part.

    Attributes
    ----------
    name : str
        Below the root of the store.
    at : tuple of int
        Its place among all chunks of the array.
    area : (slice, slice)
        Pixels of the plane along Y and X.
    """

    name: str
    at: tuple[int, ...]
    area: tuple[slice, slice]


@dataclass(frozen=True)
class Shards:
    """How the objects of an array are divided into chunks of their own.

    Attributes
    ----------
    chunks : tuple of int
        Size of a chunk within a shard.
    index_bytes : int
        Size of the index at the end of a shard; 0 where it is stored in another way.
    """

    chunks: tuple[int, ...]
    index_bytes: int


@dataclass(frozen=True)
class ArrayDocument:
    """What the metadata of an array says.

    Attributes
    ----------
    path : str
        Below the root of the store.
    shape, chunks : tuple of int
        Size of the array and of what is one object in the store (a shard where there are any).
    dtype : dtype
        Pixel type, native byte order.
    fill_value : int or float
        What pixels of chunks that are absent count as.
    prefix, separator : str
        How the names of chunks are made.
    shards : Shards or None
        How objects are divided further, if they are.
    """

    path: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    fill_value: float
    prefix: str
    separator: str
    shards: Shards | None = None

    def grid(self) -> tuple[int, ...]:
        """Return how many objects there are along each axis."""
        return tuple(-(-n // size) for n, size in zip(self.shape, self.chunks, strict=True))

    def block_of(self, plane: tuple[int, ...]) -> tuple[int, ...]:
        """Return the place of the chunks of a plane along all axes but the last two."""
        return tuple(index // size for index, size in zip(plane, self.chunks, strict=False))

    def chunks_of(self, block: tuple[int, ...]) -> Iterator[PlaneChunk]:
        """Name the chunks that hold a plane, given their place along all axes but the last two."""
        return (self.chunk(block, y, x) for y, x in np.ndindex(self.grid()[-2:]))

    def chunk(self, block: tuple[int, ...], y: int, x: int) -> PlaneChunk:
        """Name one chunk, given its place."""
        at = (*block, y, x)
        name = f"{self.path}/{self.prefix}{self.separator.join(map(str, at))}".lstrip("/")
        (n_y, n_x), (height, width) = self.shape[-2:], self.chunks[-2:]
        rows = slice(y * height, min((y + 1) * height, n_y))
        return PlaneChunk(name, at, (rows, slice(x * width, min((x + 1) * width, n_x))))

    def chunk_names(self, plane: tuple[int, ...]) -> Iterator[str]:
        """Name all chunks that hold a plane, given its indices along all axes but the last two."""
        return (chunk.name for chunk in self.chunks_of(self.block_of(plane)))

    def place_of(self, name: str) -> tuple[int, ...] | None:
        """Return the place of a chunk among all of the array, by its name below that.

        Of a name that is not one of its chunks, return None.
        """
        if not name.startswith(self.prefix):
            return None
        parts = name[len(self.prefix) :].split(self.separator)
        if len(parts) != len(self.shape) or not all(p.isdigit() and p.isascii() for p in parts):
            return None
        place = tuple(map(int, parts))
        return place if all(at < n for at, n in zip(place, self.grid(), strict=True)) else None

    def is_fill(self, pixels: npt.NDArray[Any]) -> bool:
        """Tell whether all pixels are what those of absent chunks count as."""
        # Nearly always the first one tells.
        return bool(self.equals_fill(pixels[:1, :1]).all() and self.equals_fill(pixels).all())

    def equals_fill(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Tell of each pixel whether it is what those of absent chunks count as."""
        equal: npt.NDArray[np.bool_] = (
            np.isnan(pixels) if math.isnan(self.fill_value) else pixels == self.fill_value
        )
        return equal


def parse_array(
    path: str, modern: Mapping[str, Any] | None, older: Mapping[str, Any] | None
) -> ArrayDocument:
    """Make sense of the metadata of an array, of version 3 or else 2.

    Raises
    ------
    ZarrError
        If it makes none.
    """
    try:
        found = _older_array(path, older or {}) if modern is None else _modern_array(path, modern)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ZarrError(f"the description of the array {path} is damaged ({why})") from error
    _check(found)
    return found


def _check(array: ArrayDocument) -> None:
    """Refuse what no image has, and what would take for ever or all memory to read."""
    where = f"the array {array.path}"
    if len(array.shape) != len(array.chunks) or len(array.shape) < 2:
        raise ZarrError(f"{where} has the shape {array.shape} and chunks of {array.chunks}")
    if min(array.shape) < 0 or min(array.chunks) < 1:
        raise ZarrError(f"{where} cannot have the shape {array.shape}, chunks of {array.chunks}")
    if array.dtype.kind not in "buif":
        raise ZarrError(f"{where} has pixels of {array.dtype}, expected numbers")
    chunks = array.chunks if array.shards is None else array.shards.chunks
    if len(chunks) != len(array.chunks) or min(chunks) < 1:
        raise ZarrError(f"{where} cannot have shards of {array.chunks}, chunks of {chunks}")
    n_bytes = math.prod(chunks) * array.dtype.itemsize
    if n_bytes > MAX_CHUNK_BYTES:
        raise ZarrError(f"{where} has chunks of {chunks} pixels, which is {n_bytes:.1e} bytes each")
    n_chunks = math.prod(-(-n // m) for n, m in zip(array.shape[-2:], chunks[-2:], strict=True))
    if n_chunks > MAX_CHUNKS_OF_A_PLANE:
        raise ZarrError(f"{where} has {n_chunks} chunks in each plane, too many to read")


def _modern_array(path: str, content: Mapping[str, Any]) -> ArrayDocument:
    encoding = content.get("chunk_key_encoding", {"name": "default"})
    is_default = {"default": True, "v2": False}[encoding["name"]]
    separator = encoding.get("configuration", {}).get("separator", "/" if is_default else ".")
    if content["chunk_grid"]["name"] != "regular":
        raise ValueError("chunks of unequal size")
    dtype = np.dtype(str(content["data_type"]))
    return ArrayDocument(
        path=path,
        shape=_sizes(content["shape"]),
        chunks=_sizes(content["chunk_grid"]["configuration"]["chunk_shape"]),
        dtype=dtype,
        fill_value=_fill_value(content.get("fill_value"), dtype),
        prefix=f"c{separator}" if is_default else "",
        separator=_separator(separator),
        shards=_shards(content),
    )


def _older_array(path: str, content: Mapping[str, Any]) -> ArrayDocument:
    dtype = np.dtype(str(content["dtype"])).newbyteorder("=")
    return ArrayDocument(
        path=path,
        shape=_sizes(content["shape"]),
        chunks=_sizes(content["chunks"]),
        dtype=dtype,
        fill_value=_fill_value(content.get("fill_value"), dtype),
        prefix="",
        separator=_separator(content.get("dimension_separator", ".")),
    )


def _shards(content: Mapping[str, Any]) -> Shards | None:
    """Return how chunks are put together into shards; None where each is an object of its own."""
    for codec in content.get("codecs", ()):
        if codec["name"] != "sharding_indexed":
            continue
        about = codec["configuration"]
        chunks = _sizes(about["chunk_shape"])
        outer = _sizes(content["chunk_grid"]["configuration"]["chunk_shape"])
        if min(chunks, default=0) < 1 or any(n % m for n, m in zip(outer, chunks, strict=True)):
            raise ValueError(f"shards of {outer} cannot hold chunks of {chunks}")
        kinds = [kind["name"] for kind in about.get("index_codecs", ())]
        endian = {
            kind.get("configuration", {}).get("endian", "little")
            for kind in about.get("index_codecs", ())
        }
        is_known = kinds in (["bytes"], ["bytes", "crc32c"]) and endian == {"little"}
        if not is_known or about.get("index_location", "end") != "end":
            return Shards(chunks, 0)
        n_chunks = math.prod(n // m for n, m in zip(outer, chunks, strict=True))
        return Shards(chunks, 16 * n_chunks + 4 * kinds.count("crc32c"))
    return None


def _sizes(numbers: Sequence[object]) -> tuple[int, ...]:
    if not isinstance(numbers, list) or not all(type(n) is int for n in numbers):
        raise ValueError(f"sizes of {str(numbers)[:100]}")
    return tuple(n for n in numbers if isinstance(n, int))


def _separator(text: object) -> str:
    if text not in (".", "/"):
        raise ValueError(f"the separator {str(text)[:20]!r}")
    return str(text)


def _fill_value(value: object, dtype: np.dtype[Any]) -> float:
    """Return the pixel that stands for nothing; floats that JSON has no number for are text."""
    if isinstance(value, str) and dtype.kind == "f":
        if not value.startswith("0x"):
            return float(value)
        bits = np.array(int(value, 16), f"u{dtype.itemsize}")
        return float(bits.view(dtype))
    return value if isinstance(value, (int, float)) else 0.0
