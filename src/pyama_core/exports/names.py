"""What cells and frames are called in other programs: everywhere the same."""

from __future__ import annotations

from pyama_core.io.storage.naming import fov_folder_name


def cell_name(cell: int, frame: int | None = None) -> str:
    """Name a cell, or what is seen of it in a frame.

    Examples
    --------
    >>> cell_name(17), cell_name(17, 42)
    ('cell_0017', 'cell_0017_t042')
    """
    return f"cell_{cell:04d}" + ("" if frame is None else f"_t{frame:03d}")


def cell_of_fov_name(fov: int, cell: int, frame: int | None = None) -> str:
    """Name a cell, or what is seen of it in a frame, among those of all fields of view.

    Examples
    --------
    >>> cell_of_fov_name(3, 17), cell_of_fov_name(3, 17, 42)
    ('fov_003_cell_0017', 'fov_003_cell_0017_t042')
    """
    return f"{fov_folder_name(fov)}_{cell_name(cell, frame)}"
