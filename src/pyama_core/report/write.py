"""Writes the report of an output folder: whole or not at all."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from pyama_core.errors import PyamaError
from pyama_core.io.storage.naming import REPORT_NAME
from pyama_core.processing.workflow.run_notes import now, read_notes
from pyama_core.processing.workflow.shared_files import lock_shared_files
from pyama_core.report.details import SHOWN, details_section
from pyama_core.report.first import first_section, samples_section, verdict
from pyama_core.report.gather import Gathered, Progress, gather
from pyama_core.report.page import page
from pyama_core.report.place import put_report, require_place
from pyama_core.report.positions import positions_section
from pyama_core.report.ran import ran_section, seconds_by_fov
from pyama_core.report.traces import traces_section
from pyama_core.results.results import Results, open_results

logger = logging.getLogger(__name__)


def write_report(
    folder: Path | str,
    path: Path | None = None,
    on_progress: Progress = lambda _done, _all: None,
) -> tuple[Path, str]:
    """Write the report of an output folder, as its samples and corrections are now.

    Parameters
    ----------
    folder : path
        The output folder.
    path : path, optional
        File to write; by default ``report.html`` in the folder.
    on_progress : callable
        Is told after each position how many are read, and how many there are.

    Returns
    -------
    Path, str
        What was written, and its first line.

    Raises
    ------
    InputError
        There is no such folder, or it holds no results; or the name is that of another file.
    StorageError
        The file cannot be written.
    """
    results = open_results(folder)
    target = path or results.folder / REPORT_NAME
    require_place(target)
    found = gather(results, on_progress)
    text = report_of(results, found)
    # Who has the lock of a folder deletes what dead processes left of its files.
    in_folder = path is None or path.parent.resolve() == results.folder.resolve()
    with lock_shared_files(results.folder) if in_folder else contextlib.nullcontext():
        put_report(target, text)
    return target, verdict(found)


def report_of(results: Results, found: Gathered) -> str:
    """Return the text of a report."""
    shown = found.by_trouble[:SHOWN]
    detailed = frozenset(position.fov for position in shown)
    notes = read_notes(results.folder)
    sections = [
        first_section(found, detailed),
        samples_section(found),
        positions_section(found, detailed),
        details_section(found, shown, seconds_by_fov(notes)),
        traces_section(found),
        ran_section(found, notes),
    ]
    return page(results.folder.absolute().name, sections, now())


def write_report_of_run(
    folder: Path, tell: Callable[[str], None], on_progress: Progress = lambda _done, _all: None
) -> None:
    """Write the report at the end of a run, which does not fail whatever happens here.

    Parameters
    ----------
    folder : Path
        The output folder.
    tell : callable
        Takes a line about what was written.
    on_progress : callable
        As `write_report`; may raise to give up.
    """
    try:
        path, first_line = write_report(folder, on_progress=on_progress)
    except Exception as error:
        known = isinstance(error, (PyamaError, OSError, MemoryError))
        told = str(error) or type(error).__name__  # what lacks memory says nothing
        reason = told if known else f"{type(error).__name__}: {error}"
        logger.warning(
            "the report was not written, all results are there: %s; pyama report %s tries again",
            reason,
            folder,
        )
        logger.debug("traceback of the warning above", exc_info=error)
    else:
        tell(f"{first_line}; see {path}")
