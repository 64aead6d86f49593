"""What cells and frames are called in other programs: everywhere the same."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pyama_core.io.storage.naming import fov_folder_name

_NOT_IN_KEYS = re.compile(r"[/\\\x00-\x1f]")


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


def plain_keys(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return a key of its own for each of several names, for HDF5 and Zarr.

    There a slash leads into a group, and what begins with a dot or an underscore may be reserved.

    Parameters
    ----------
    names : iterable of str
        Names, each once; those that are keys already stay.
    taken : iterable of str
        What no key may be.

    Examples
    --------
    >>> plain_keys(["area", "mean_a/b", "mean_a_b", "_index"], taken=["area"])
    {'area': 'area-2', 'mean_a/b': 'mean_a_b-2', 'mean_a_b': 'mean_a_b', '_index': 'index'}
    """
    plain = {name: _NOT_IN_KEYS.sub("_", name).lstrip("._") or "unnamed" for name in names}
    used = set(taken)
    keys = {}
    for name in sorted(plain, key=lambda name: plain[name] != name):
        number, key = 1, plain[name]
        while key in used:
            number += 1
            key = f"{plain[name]}-{number}"
        used.add(key)
        keys[name] = key
    return {name: keys[name] for name in plain}
