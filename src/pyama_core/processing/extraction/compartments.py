"""Nucleus and ring of each cell, measured apart: one value per cell, NaN where there is none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.extraction import shapes
from pyama_core.processing.extraction.cells import FrameCells
from pyama_core.processing.extraction.feature_names import (
    COMPARTMENT_INTENSITIES,
    COMPARTMENT_SHAPES,
    IN_COMPARTMENTS,
    NUCLEAR_SHAPES,
)
from pyama_core.processing.extraction.intensities import measure_intensities
from pyama_core.processing.extraction.ring_size import RingSize
from pyama_core.processing.extraction.rings import find_rings
from pyama_core.processing.extraction.tables import Columns

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class CellNuclei:
    """The nuclei of one frame, as they are measured.

    Attributes
    ----------
    labels
        (Y, X) label image: the pixels of the nuclei of a cell have its label.
    counts
        How many nuclei a cell has; cells that are not in it have none.
    ring
        Size of the rings around them, and which are too small to be measured.
    """

    labels: NDArray[Any]
    counts: Mapping[int, int]
    ring: RingSize


@dataclass(frozen=True)
class Compartments:
    """Nuclei and rings of the cells of a frame.

    Attributes
    ----------
    cell
        (n,) int64: the cells, ascending.
    n_nuclei
        (n,) float64: how many nuclei each has; NaN if that is not known.
    nuclei, rings
        Of those cells that have them; None if that is not known.
    min_ring_area
        Light is measured in rings of so many pixels and more.
    """

    cell: NDArray[np.int64]
    n_nuclei: Float64Array
    nuclei: FrameCells | None
    rings: FrameCells | None
    min_ring_area: int = 1

    @classmethod
    def of(cls, cells: FrameCells, nuclei: CellNuclei | None) -> Self:
        """Find the compartments of the cells of a frame.

        Raises
        ------
        InputError
            If the nuclei are no label image of the shape of that of the cells.
        """
        if nuclei is None:
            return cls(cells.cell, np.full(cells.cell.size, np.nan), None, None)
        counts = [nuclei.counts.get(cell, 0) for cell in cells.cell.tolist()]
        found = FrameCells.of(nuclei.labels)
        rings = FrameCells.of(find_rings(cells, found, nuclei.ring))
        return cls(cells.cell, np.array(counts, np.float64), found, rings, nuclei.ring.min_area)

    def measure_shapes(self, wanted: Collection[str] = COMPARTMENT_SHAPES) -> Columns:
        """Measure the shapes of nuclei and the area of rings.

        Parameters
        ----------
        wanted
            Names out of `COMPARTMENT_SHAPES`.

        Returns
        -------
        dict of str to ndarray
            Columns of float64, a value per cell: ``n_nuclei``; of the nuclei of a cell together
            ``area_nucleus`` and what `measure_shapes` has, with ``_nucleus`` at its end; and
            ``area_ring``.
        """
        found: Columns = {"n_nuclei": self.n_nuclei}
        named = {f"{name}_nucleus": name for name in NUCLEAR_SHAPES}
        of_shapes = {named[name] for name in wanted if name in named}
        measured: Columns = {}
        if self.nuclei is not None and of_shapes:
            measured = shapes.measure_shapes(self.nuclei, of_shapes - {"area"})
        for name, own in named.items():
            if name in wanted:
                found[name] = self._spread(self.nuclei, measured.get(own))
        if "area_ring" in wanted:
            area = None if self.rings is None else self.rings.area
            found["area_ring"] = self._spread(self.rings, area)
        return {name: found[name] for name in wanted}

    def measure_intensities(
        self, image: NDArray[Any], wanted: Collection[str] = COMPARTMENT_INTENSITIES
    ) -> Columns:
        """Measure the brightness of nuclei and rings in one channel.

        Parameters
        ----------
        image
            (Y, X) image of the same frame.
        wanted
            Names out of `COMPARTMENT_INTENSITIES`.

        Returns
        -------
        dict of str to ndarray
            Columns of float64, a value per cell: what `intensities.measure_intensities` has, with
            ``_nucleus`` or ``_ring`` at its end, NaN where a ring is too small, and
            ``ratio_nucleus_ring``, that of their means, NaN where the mean of the ring is not
            above 0.

        Raises
        ------
        InputError
            If the image differs in shape or cannot be measured.
        """
        means = {"intensity_mean_nucleus", "intensity_mean_ring"}
        needed = {*wanted, *(means if "ratio_nucleus_ring" in wanted else ())}
        found = self._measure(self.nuclei, "nucleus", image, needed)
        found |= self._measure(self.rings, "ring", image, needed, self.min_ring_area)
        if "ratio_nucleus_ring" in wanted:
            ring = found["intensity_mean_ring"]
            ratio = np.full(ring.size, np.nan)
            found["ratio_nucleus_ring"] = np.divide(
                found["intensity_mean_nucleus"], ring, out=ratio, where=ring > 0
            )
        return {name: found[name] for name in wanted}

    def _measure(
        self,
        objects: FrameCells | None,
        which: str,
        image: NDArray[Any],
        needed: Collection[str],
        min_area: int = 1,
    ) -> Columns:
        names = [name for name in IN_COMPARTMENTS if f"{name}_{which}" in needed]
        measured: Columns = {}
        if objects is not None and names:
            beyond = [name for name in names if name != "intensity_total"]
            measured = measure_intensities(objects, image, beyond)
            is_large = objects.area >= min_area
            measured = {name: np.where(is_large, measured[name], np.nan) for name in names}
        return {f"{name}_{which}": self._spread(objects, measured.get(name)) for name in names}

    def _spread(self, objects: FrameCells | None, values: NDArray[Any] | None) -> Float64Array:
        """Return values of objects as a column with one for each cell."""
        column = np.full(self.cell.size, np.nan)
        if objects is not None and values is not None:
            places = np.searchsorted(self.cell, objects.cell)
            known = np.isin(objects.cell, self.cell)
            column[places[known]] = values[known]
        return column
