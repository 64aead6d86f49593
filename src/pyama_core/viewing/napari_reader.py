"""Tells napari of what is dropped on it whether that is results of a run, and what to show."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from pyama_core.errors import InputError
from pyama_core.io.storage.naming import RESULTS_NAME, fov_folder_name, records_by_fov
from pyama_core.results.results import Results, open_results
from pyama_core.viewing.layers import Layer, Shown, layers_of

Read = Callable[[str], list[Layer]]


def get_reader(path: str | Sequence[str]) -> Read | None:
    """Return what reads a path, if that is an output folder, or the folder of a field of view.

    Parameters
    ----------
    path : str or sequence of str
        What was dropped; several that are to become one stack are not taken.
    """
    return None if not isinstance(path, str) or _find(Path(path)) is None else read_layers


def read_layers(path: str) -> list[Layer]:
    """Return the layers of a field of view; of an output folder, those of the first that has any.

    What is not there is told as a warning, which napari shows.

    Raises
    ------
    InputError
        There are no results, or nothing of them can be shown.
    """
    found = _find(Path(path))
    if found is None:
        raise InputError(f"{path} holds no results: no record of any FOV")
    folder, asked = found
    results = open_results(folder)
    numbers = results.fov_numbers if asked is None else [asked]
    shown = Shown([], [])
    for number in numbers:
        selection = results.select([number])
        shown = layers_of(selection, selection.fovs[0])
        if shown.layers:
            break
    if not shown.layers:
        raise InputError(f"{path}: there is nothing to show: {'; '.join(shown.notes)}")
    for note in (*shown.notes, *_others(results, number, asked)):
        warnings.warn(note, stacklevel=2)
    return shown.layers


def _others(results: Results, shown: int, asked: int | None) -> list[str]:
    """Say how the other fields of view are shown."""
    n_fovs = len(results.fov_numbers)
    if asked is not None or n_fovs == 1:
        return []
    other = next(number for number in results.fov_numbers if number != shown)
    another = f"drop the folder {fov_folder_name(other)} to see another"
    typed = f"or type: pyama view {results.folder} --fov {other}"
    return [f"this is FOV {shown}, one of {n_fovs}; {another}, {typed}"]


def _find(path: Path) -> tuple[Path, int | None] | None:
    """Return the output folder that a path means, and the field of view if it means one."""
    path = path.absolute()
    folder = path.parent if path.name == RESULTS_NAME else path
    if not folder.is_dir():
        return None
    if records_by_fov(folder):
        return folder, None
    beside = records_by_fov(folder.parent).items()
    number = next((fov for fov, record in beside if record.parent.name == folder.name), None)
    return None if number is None else (folder.parent, number)
