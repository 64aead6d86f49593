"""Label images as forms take them: under corrections, and of good cells only where asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import DamagedFileError, InputError
from pyama_core.exports.left_out import tell_left_out
from pyama_core.outputs import SEG_LABELED
from pyama_core.results.fov_results import FovResults
from pyama_core.results.selection import Selection

Part = Literal["cells", "nuclei", "rings"]


@dataclass(frozen=True)
class LabelImages:
    """The label images of a field of view.

    Attributes
    ----------
    fov : FovResults
        The field of view.
    dtype : dtype
        Type of the numbers; that of the run, or a larger one for the numbers of corrections.
    cells : array of int, or None
        Cells that are taken; None for all.
    part : str
        Of cells, what is labelled: the ``cells`` as a whole, their ``nuclei``, or the ``rings``
        around these; by the numbers of the cells.
    """

    fov: FovResults
    dtype: np.dtype[Any]
    cells: NDArray[np.int64] | None = None
    part: Part = "cells"

    @classmethod
    def of(cls, selection: Selection, fov: FovResults) -> LabelImages:
        """Return the label images of a field of view of a selection.

        Raises
        ------
        InputError
            It has none; the message says what brings them back.
        """
        n_frames, dtype = len(fov.labels), fov.labels.dtype
        given = (number for t in range(n_frames) for number in fov.numbers_in(t).values())
        if max(given, default=0) > np.iinfo(dtype).max:
            dtype = np.dtype(np.uint32)
        if not selection.good_only:
            return cls(fov, dtype)
        return cls(fov, dtype, selection.read(fov, ()).cells["cell"].to_numpy(np.int64))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        n_frames, height, width = self.fov.labels.shape
        return n_frames, height, width

    def frames(self) -> Iterator[NDArray[Any]]:
        """Yield the label image of each frame, (Y, X)."""
        for t in range(self.shape[0]):
            yield self.frame(t)

    def frame(self, t: int) -> NDArray[Any]:
        """Return the label image of a frame, (Y, X)."""
        labels = self._read(t).astype(self.dtype, copy=False)
        if self.cells is None:
            return labels
        there = np.unique(labels)
        if not (dropped := np.setdiff1d(there, self.cells)).any():
            return labels
        kept = np.where(np.isin(there, dropped), 0, there).astype(labels.dtype)
        return kept[np.searchsorted(there, labels)]

    def _read(self, t: int) -> NDArray[Any]:
        if self.part == "nuclei":
            return self.fov.nuclei_image(t)
        return self.fov.ring_image(t) if self.part == "rings" else self.fov.label_image(t)

    def compartments(self) -> list[LabelImages]:
        """Return the label images of nuclei, and of rings if these were measured, where any are."""
        try:
            self.fov.nuclei  # noqa: B018 - opens them
        except InputError:
            return []
        parts: list[Part] = ["nuclei", "rings"] if self.fov.has_rings else ["nuclei"]
        return [replace(self, part=part) for part in parts]


def labels_if_any(selection: Selection, fov: FovResults, left_out: list[str]) -> LabelImages | None:
    """Return the label images of a field of view; None, and the reason added, if there are none."""
    try:
        return LabelImages.of(selection, fov)
    except InputError as error:
        left_out.append(str(error))
        return None


def with_labels(selection: Selection) -> Selection:
    """Return a selection without the fields of view that have no label images, which is told.

    Raises
    ------
    InputError
        None has, or those of one were released, which a command brings back.
    """
    kept, reasons = [], []
    for fov in selection.fovs:
        try:
            fov.labels  # noqa: B018 - opens them
        except InputError as error:
            if _were_released(fov):
                raise
            reasons.append(str(error))
        else:
            kept.append(fov)
    if not kept:
        raise InputError(f"there are no label images to export: {reasons[0]}")
    tell_left_out(reasons)
    return replace(selection, fovs=tuple(kept))


def _were_released(fov: FovResults) -> bool:
    try:
        entries = fov.record.outputs.values()
    except DamagedFileError:
        return False
    return any(entry.released for entry in entries if entry.kind == SEG_LABELED.name)
