"""Exports a part of the results of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pyama_core.errors import InputError
from pyama_core.exports.destination import new_file, new_folder, require_free
from pyama_core.exports.forms import ExportForm, form_named
from pyama_core.exports.progress import OnProgress, Steps
from pyama_core.exports.steady import steady
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.io.paths import given_path
from pyama_core.results.selection import Selection

FOLDER_NAME = "exports"
"""Where exports land in the output folder of a run, unless another place is given."""


def export(
    selection: Selection,
    to: str,
    path: Path | str | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """Write a part of the results of a run in another form.

    Parameters
    ----------
    selection : Selection
        The part.
    to : str
        Name of the form; see `pyama_core.exports.forms`.
    path : path, optional
        File or folder to write; by default in the folder ``exports`` of the run.
    options : mapping, optional
        Of the form; see `pyama_core.exports.options`.
    overwrite : bool
        Whether an earlier export may be replaced.
    on_progress : callable, optional
        Is given an `ExportProgress` after each step.
    cancelled : callable, optional
        Whether the caller wants to stop.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    InputError
        There is no such form or option, a package is missing, something is in the way, the results
        lack what the form needs, do not fit into it, or were made anew meanwhile.
    StorageError
        It cannot be written.
    CancelledError
        The caller stopped it; nothing was written.
    """
    form = form_named(to)
    checked = form.options.read(form.name, options or {})
    write = form.load()
    target = _target(selection, form, path)
    require_free(target, folder=form.is_folder, overwrite=overwrite)
    if not selection.fovs:
        raise InputError("there is nothing to export: no FOV is in the samples that were asked for")
    steps = Steps(0, on_progress, cancelled)
    if form.is_folder:
        about = _about(selection, form, checked.model_dump(mode="json"))
        with new_folder(target, about, overwrite=overwrite) as folder, steady(selection.fovs):
            write(selection, folder, checked, steps)
    else:
        with new_file(target, overwrite=overwrite) as file, steady(selection.fovs):
            write(selection, file, checked, steps)
    return target


def place_of(folder: Path, form: ExportForm) -> Path:
    """Return where exports of an output folder in a form land, unless another place is given."""
    return folder / FOLDER_NAME / (f"results{form.suffix}" if form.suffix else form.name)


def _target(selection: Selection, form: ExportForm, path: Path | str | None) -> Path:
    if path is None:
        return place_of(selection.folder, form)
    given = given_path(path, "path of the export")
    if form.suffix and given.suffix.lower() != form.suffix:
        raise InputError(f"expected the name of a {form.suffix} file, found {given}")
    return given


def _about(selection: Selection, form: ExportForm, options: dict[str, Any]) -> dict[str, Any]:
    numbers = [fov.number for fov in selection.fovs]
    return {
        "form": form.name,
        "fovs": format_ranges(numbers),
        "samples": selection.used_samples,
        "good_only": selection.good_only,
        "options": options,
    }
