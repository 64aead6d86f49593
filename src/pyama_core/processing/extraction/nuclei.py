"""Which nucleus belongs to which cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.processing.extraction.cells import FrameCells
from pyama_core.processing.runs.measures import areas_and_boxes
from pyama_core.processing.runs.objects import components, labelled_objects
from pyama_core.processing.runs.pixel_runs import Runs, paint
from pyama_core.processing.tracking.kernels.overlaps import common_pixels

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class FrameNuclei:
    """The nuclei of one frame, in raster order of their first pixels.

    Attributes
    ----------
    labels
        (Y, X) label image of the dtype of that of the cells: in the pixels of a nucleus, the cell
        that it belongs to; 0 elsewhere, and in nuclei of no cell.
    cell
        (n,) int64: the cell of each nucleus, 0 for none.
    area
        (n,) int64: number of pixels.
    part_in_cell
        (n,) float64: the part of them that lies in its cell.
    position_y, position_x
        (n,) float64: centroid.
    cells
        (m,) int64: all cells of the frame, ascending.
    """

    labels: NDArray[Any]
    cell: IntArray
    area: IntArray
    part_in_cell: NDArray[np.float64]
    position_y: NDArray[np.float64]
    position_x: NDArray[np.float64]
    cells: IntArray

    @property
    def n_nuclei(self) -> IntArray:
        """(m,) int64: how many nuclei each cell has."""
        owned = self.cell[self.cell > 0]
        places = np.searchsorted(self.cells, owned)
        return np.bincount(places, minlength=self.cells.size).astype(np.int64)


def assign_nuclei(found: NDArray[Any], cells: NDArray[Any]) -> FrameNuclei:
    """Give each nucleus to the cell that holds most of it.

    That is the cell with the most of its pixels, if no more of them lie outside of all cells; of
    several such cells, the one with the smallest number. A nucleus most of which lies outside
    belongs to none.

    Parameters
    ----------
    found
        (Y, X) nuclei: labels, or a bool mask, of which each 4-connected part is a nucleus.
    cells
        (Y, X) label image of the cells in the same frame.

    Raises
    ------
    InputError
        If one is not a label image, or they differ in shape.

    Examples
    --------
    >>> import numpy as np
    >>> nuclei = np.array([[1, 1, 1, 0, 2, 2, 2]])
    >>> assign_nuclei(nuclei, np.array([[7, 9, 9, 9, 9, 0, 0]])).labels
    array([[9, 9, 9, 0, 0, 0, 0]])
    """
    of_cells = FrameCells.of(cells)
    if found.shape != cells.shape:
        raise InputError(
            f"Expected nuclei and cells of the same shape, found {found.shape} and {cells.shape}."
        )
    runs, n = _objects(found)
    area, row_sum, column_sum, _ = areas_and_boxes(runs, n)
    owner, inside = _owners(runs, area, of_cells)
    labels = np.zeros(cells.shape, cells.dtype)
    paint(runs, owner.astype(cells.dtype), labels)
    return FrameNuclei(
        labels=labels,
        cell=owner,
        area=area,
        part_in_cell=inside / area,
        position_y=row_sum / area,
        position_x=column_sum / area,
        cells=of_cells.cell,
    )


def _objects(found: NDArray[Any]) -> tuple[Runs, int]:
    """Return the runs of nuclei, numbered in raster order, and how many there are."""
    if found.dtype == np.bool_:
        return components(found)
    runs, label = labelled_objects(found)
    return runs, label.size


def _owners(runs: Runs, area: IntArray, cells: FrameCells) -> tuple[IntArray, IntArray]:
    """Return the cell of each nucleus, 0 for none, and how many of its pixels lie in it."""
    owner, inside = np.zeros(area.size, np.int64), np.zeros(area.size, np.int64)
    nucleus, place, common = common_pixels(cells.runs, runs, cells.cell.size)
    order = np.lexsort((place, -common, nucleus))
    nucleus, place, common = nucleus[order], place[order], common[order]
    outside = area - np.bincount(nucleus, common, area.size).astype(np.int64)
    each, most = np.unique(nucleus, return_index=True)
    belongs = common[most] >= outside[each]
    owner[each[belongs]] = cells.cell[place[most[belongs]]]
    inside[each[belongs]] = common[most[belongs]]
    return owner, inside
