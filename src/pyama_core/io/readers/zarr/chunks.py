"""Which chunks of a plane there are, and what it means that others are not.

Zarr reads a chunk that is absent as the fill value. Writers leave chunks out on purpose where all
pixels have that value, but chunks also get lost, or were never copied or never written; then the
fill value is no measurement. Of a plane without any chunk nothing was ever written. If it has
some, what lies around an absent chunk tells: where the pixels beside it are not the fill value, or
where other chunks are stored although all their pixels are, it is lost. A chunk that no other plane
has either, such as a corner of a mosaic, was left out on purpose.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pyama_core.io.readers.frame_source import Frame
from pyama_core.io.readers.zarr.arrays import ArrayDocument, PlaneChunk
from pyama_core.io.readers.zarr.documents import ZarrStore
from pyama_core.io.spread import spread

# Of how many other places along t, c and z it is asked whether they have a chunk.
_WITNESSES = 8
# Which part of the pixels beside a chunk may be more than nothing, if nothing is what it holds.
_STRAY_SHARE = 0.05
_NOTHING = np.iinfo(np.uint64).max


class ChunkAudit:
    """Tells why a plane of one array is missing, if it is.

    All that is asked depends on the store alone, so the answers do in every process.
    """

    def __init__(self, store: ZarrStore, array: ArrayDocument) -> None:
        self._store = store
        self._array = array
        self._has: dict[str, bool] = {}

    def absent(self, chunks: Iterable[PlaneChunk]) -> list[PlaneChunk]:
        """Return those of some chunks that are not in the store.

        Raises
        ------
        OSError
            If the drive or server fails, or there is something else than a regular file.
        """
        return [chunk for chunk in chunks if not self._store.exists(chunk.name)]

    def why_missing(
        self,
        plane: tuple[int, ...],
        chunks: Sequence[PlaneChunk],
        absent: Sequence[PlaneChunk],
        pixels: Frame,
    ) -> str | None:
        """Say why a plane is missing, None if it is not.

        Parameters
        ----------
        plane : tuple of int
            Indices along all axes but the last two.
        chunks, absent : sequence of PlaneChunk
            The chunks that hold it, and which of them are not there.
        pixels : (Y, X) ndarray
            What zarr makes of it; anything if no chunk is there.
        """
        if len(absent) == len(chunks):
            return "none of its chunks was ever written"
        lost = self._lost(chunks, absent, pixels) if absent else []
        if lost:
            verb = "is" if len(lost) == 1 else "are"
            return f"{len(lost)} of its {len(chunks)} chunks {verb} lost, such as {lost[0].name}"
        if self._array.is_fill(pixels) and self._is_unwritten(plane, chunks):
            return "none of its chunks was ever written, although shards are there"
        return None

    def _is_unwritten(self, plane: tuple[int, ...], chunks: Sequence[PlaneChunk]) -> bool:
        """Tell whether shards have nothing of a plane that has the fill value throughout."""
        shards = self._array.shards
        if shards is None or not shards.index_bytes:
            return False
        return not any(self._has_in_shard(plane, chunk.name) for chunk in chunks)

    def _lost(
        self, chunks: Sequence[PlaneChunk], absent: Sequence[PlaneChunk], pixels: Frame
    ) -> list[PlaneChunk]:
        suspects = [chunk for chunk in absent if not self._is_absent_everywhere(chunk)]
        if not suspects:
            return []
        there = {chunk.at[-2:]: chunk for chunk in chunks}
        for chunk in absent:
            del there[chunk.at[-2:]]
        if any(self._array.is_fill(pixels[chunk.area]) for chunk in there.values()):
            return suspects
        return [chunk for chunk in suspects if self._is_in_the_midst(chunk, there, pixels)]

    def _is_absent_everywhere(self, chunk: PlaneChunk) -> bool:
        """Tell whether no other place along t, c and z has a chunk in this part of the plane."""
        *own, y, x = chunk.at
        counts = self._array.grid()[:-2]
        some = [
            tuple(int(i) for i in np.unravel_index(index, counts)) if counts else ()
            for index in spread(math.prod(counts), _WITNESSES).tolist()
        ]
        if any(self._remembers(self._array.chunk(block, y, x)) for block in some):
            return False
        others = (block for block in some if block != tuple(own))
        return any(
            any(self._remembers(c) for c in self._array.chunks_of(block)) for block in others
        )

    def _remembers(self, chunk: PlaneChunk) -> bool:
        """Tell whether a chunk is there; asked of the store once, because all frames ask it."""
        if chunk.name not in self._has:
            self._has[chunk.name] = self._store.exists(chunk.name)
        return self._has[chunk.name]

    def _is_in_the_midst(
        self, chunk: PlaneChunk, there: dict[tuple[int, ...], PlaneChunk], pixels: Frame
    ) -> bool:
        """Tell whether the pixels beside an absent chunk are those of an image."""
        lines = list(_beside(chunk, there, pixels))
        if not lines:
            return False
        strays = ~self._array.equals_fill(np.concatenate(lines))
        return bool(strays.mean() > _STRAY_SHARE)

    def _has_in_shard(self, plane: tuple[int, ...], name: str) -> bool:
        shards, array = self._array.shards, self._array
        assert shards is not None
        data = self._store.fetch(name, last=shards.index_bytes)
        if data is None:
            return False
        if len(data) < shards.index_bytes:
            return True  # damaged, which whoever reads it says
        counts = [n // m for n, m in zip(array.chunks, shards.chunks, strict=True)]
        index = np.frombuffer(data, "<u8", 2 * math.prod(counts)).reshape(*counts, 2)
        inner = tuple(
            at % n // m for at, n, m in zip(plane, array.chunks, shards.chunks, strict=False)
        )
        return bool((index[inner] != _NOTHING).any())


def written_planes(store: ZarrStore, array: ArrayDocument) -> npt.NDArray[np.bool_]:
    """Tell which planes have a chunk, from the names of all files of an array on a disk.

    Returns
    -------
    bool ndarray
        Along all axes but the last two.
    """
    written = np.zeros(array.grid()[:-2], np.bool_)
    for name in store.files(array.path):
        place = array.place_of(name)
        if place is not None:
            written[place[:-2]] = True
    for axis, (n, size) in enumerate(zip(array.shape[:-2], array.chunks[:-2], strict=True)):
        written = written.take(np.arange(n) // size, axis)
    return written


def _beside(
    chunk: PlaneChunk, there: dict[tuple[int, ...], PlaneChunk], pixels: Frame
) -> Iterator[Frame]:
    """Yield the rows and columns of pixels right beside a chunk in chunks that are there."""
    y, x = chunk.at[-2:]
    rows, columns = chunk.area
    if (y - 1, x) in there:
        yield pixels[rows.start - 1, columns]
    if (y + 1, x) in there:
        yield pixels[rows.stop, columns]
    if (y, x - 1) in there:
        yield pixels[rows, columns.start - 1]
    if (y, x + 1) in there:
        yield pixels[rows, columns.stop]
