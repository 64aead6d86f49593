"""The end of a run whose parts were done by several processes: what is done, and the results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyama_core.errors import InputError
from pyama_core.io.storage.naming import records_by_fov
from pyama_core.io.storage.records import load_record
from pyama_core.processing.workflow.asked_fovs import load_asked
from pyama_core.processing.workflow.findings import tell_findings
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.results_file import write_results


@dataclass(frozen=True)
class Standing:
    """How far all runs into a folder together are.

    Attributes
    ----------
    done, failed, unfinished, not_begun : tuple of int
        Fields of view: of which everything is there; that failed; that were left or are worked
        on; of which there is no record yet.
    """

    done: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    unfinished: tuple[int, ...] = ()
    not_begun: tuple[int, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.failed or self.unfinished or self.not_begun)


def find_standing(output_dir: Path) -> Standing:
    """Tell from the records how far all runs into a folder together are.

    Raises
    ------
    InputError
        The folder does not exist, or nothing was asked for in it.
    """
    if not output_dir.is_dir():
        raise InputError(f"there is no folder {output_dir}")
    records = records_by_fov(output_dir)
    everything = sorted(records.keys() | load_asked(output_dir))
    if not everything:
        raise InputError(f"{output_dir} holds no results: no record of any FOV")
    found: dict[str, list[int]] = {"done": [], "failed": [], "unfinished": [], "not_begun": []}
    for fov in everything:
        found[_standing_of(records.get(fov))].append(fov)
    return Standing(**{name: tuple(fovs) for name, fovs in found.items()})


def _standing_of(path: Path | None) -> str:
    if path is None:
        return "not_begun"
    record = load_record(path)
    if record is None:
        return "unfinished"
    standing = FovState(record).standing_in(path.parent)
    return "unfinished" if standing == "missing" else standing


def finish_run(output_dir: Path) -> Standing:
    """Write what a run writes at its end, for parts that left it; tell how far they came.

    Raises
    ------
    InputError
        The folder does not exist, or nothing was asked for in it.
    StorageError
        The folder cannot be written.
    FolderBusyError
        Another process has been writing the results file for ten seconds.
    """
    standing = find_standing(output_dir)
    tell_findings(write_results(output_dir), standing.done)
    return standing
