"""Giving space back: stacks that can be made again are deleted, and made again when needed.

A released stack keeps its entry in the record, checksum included, so that everything made from
it stays valid. Only when a later step has to run again are the stacks that it reads forgotten,
whereupon the run makes them again, to the same bytes.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyama_core.errors import DamagedFileError, InputError, PyamaError
from pyama_core.io.storage.fov_folder import FovFolder
from pyama_core.io.storage.locks import FolderLock
from pyama_core.io.storage.naming import find_records
from pyama_core.io.storage.records import FovRecord, load_record
from pyama_core.outputs import NUCLEI, SEG_LABELED, Declaration, Output, all_kinds
from pyama_core.processing.workflow.results_file import write_results
from pyama_core.processing.workflow.services.base import BaseProcessingService
from pyama_core.processing.workflow.services.job import FovJob

logger = logging.getLogger(__name__)

LABELS = (SEG_LABELED.name, NUCLEI.name)
"""Kinds of label images whose numbers are those of the tables."""


@dataclass(frozen=True)
class Released:
    """What was given back."""

    n_files: int
    n_bytes: int


def parse_kinds(words: str | Sequence[str]) -> list[str]:
    """Read kinds of stacks, such as ``fl_corrected,seg`` or ``labels``, or a list of them.

    Raises
    ------
    InputError
        A kind is unknown, or is a table, which is what all else is for.
    """
    given = words.split(",") if isinstance(words, str) else list(words)
    stacks = [kind.name for kind in all_kinds() if kind.releasable]
    meant = {**{name: [name] for name in stacks}, "labels": LABELS, "all": stacks}
    chosen = [word.strip() for word in given if word.strip()]
    unknown = [word for word in chosen if word not in meant]
    if unknown or not chosen:
        raise InputError(
            f"expected stacks out of {', '.join(stacks)}, labels or all, separated by commas, "
            f"found {words!r}"
        )
    return list(dict.fromkeys(name for word in chosen for name in meant[word]))


def release_stacks(output_dir: Path, kinds: Iterable[str]) -> Released:
    """Delete all stacks of some kinds, of every field of view.

    Parameters
    ----------
    output_dir : Path
        Folder of outputs.
    kinds : iterable of str
        Kinds of stacks.

    Returns
    -------
    Released
        How much was deleted.

    Raises
    ------
    InputError
        The folder holds no results.
    FolderBusyError
        A run works on one of the fields of view.
    """
    records = find_records(output_dir)
    if not records:
        raise InputError(f"{output_dir} holds no results: no record of any FOV")
    wanted = set(kinds)
    sizes: list[int] = []
    for path in records:
        lock = FolderLock.acquire(path.parent)
        try:
            sizes += _release_in(path, lock, wanted)
        finally:
            lock.release()
    write_results(output_dir)
    return Released(len(sizes), sum(sizes))


def _release_in(record_path: Path, lock: FolderLock, kinds: set[str]) -> list[int]:
    record = load_record(record_path)
    if record is None:
        raise DamagedFileError(f"{record_path} is damaged; run again before you release stacks")
    folder = FovFolder(
        record_path.parent.parent, record.base_name, record.fov, record.source, lock.ticket
    )
    return [
        entry.size
        for name, entry in sorted(record.outputs.items())
        if entry.kind in kinds and folder.release(name)
    ]


def forget_released_inputs(
    services: Sequence[BaseProcessingService], job: FovJob, wanted: Collection[Output] = ()
) -> list[Output]:
    """Forget the released stacks that a run will read or is to bring back, so that it makes them.

    A step must run if an output is not proven, or if one that it is made from will be made anew,
    for that may turn out different. What is only brought back is expected to be as it was.

    Parameters
    ----------
    services : sequence of BaseProcessingService
        All services, the copying included.
    job : FovJob
        The field of view, with its lock.
    wanted : collection of Output
        Released outputs that are to be brought back.

    Returns
    -------
    list of Output
        What was forgotten only for the sake of those, if they are all there is to do.
    """
    inputs_of = _inputs_of(services, job)
    made = _to_be_made(services, job, inputs_of)
    has_other_work = bool(made)
    made.update(wanted)
    forgotten = {output for output in wanted if _forget_released(job, output)}
    queue = list(made)
    while queue:
        for output in inputs_of.get(queue.pop(), []):
            is_gone = job.folder.record.find(output) is None
            if _forget_released(job, output):
                forgotten.add(output)
                is_gone = True
            if is_gone and output not in made:
                made.add(output)
                queue.append(output)
    return [] if has_other_work else [output for output in forgotten if output not in wanted]


def _forget_released(job: FovJob, output: Output) -> bool:
    """Forget an output if it was released; return whether it was."""
    found = job.folder.record.find(output)
    if found is None or not found[1].released:
        return False
    job.folder.forget(found[0])
    return True


def released_outputs(
    record: FovRecord, declared: Iterable[Declaration], kinds: Collection[str]
) -> set[Output]:
    """Return the outputs of some kinds, out of those that are declared, that were released."""
    return {
        each.output
        for each in declared
        if each.output.kind.name in kinds
        and (found := record.find(each.output)) is not None
        and found[1].released
    }


def restored_outputs(
    record: FovRecord, declared: Iterable[Declaration], kinds: Collection[str]
) -> set[Output]:
    """Return what is made again where all is done and released stacks of some kinds are wanted.

    That is these, and what they are made from, as far as it was released.
    """
    order = list(declared)
    gone = released_outputs(record, order, {each.output.kind.name for each in order})
    made = {output for output in gone if output.kind.name in kinds}
    for each in reversed(order):
        if each.output in made:
            made.update(gone.intersection(each.inputs.values()))
    return made


def needed_still(services: Sequence[BaseProcessingService], job: FovJob) -> set[Output]:
    """Return what those outputs are made from that are not proven, or will be made anew."""
    inputs_of = _inputs_of(services, job)
    made = _to_be_made(services, job, inputs_of)
    return {needed for output in made for needed in inputs_of[output]}


def _inputs_of(
    services: Sequence[BaseProcessingService], job: FovJob
) -> dict[Output, list[Output]]:
    return {
        declared.output: list(declared.inputs.values())
        for service in services
        for declared in service.declare(job.analysis)
    }


def _to_be_made(
    services: Sequence[BaseProcessingService],
    job: FovJob,
    inputs_of: Mapping[Output, list[Output]],
) -> set[Output]:
    made: set[Output] = set()
    for service in services:
        planned = []
        with contextlib.suppress(PyamaError):  # an input is missing: it is among those made
            planned = service.plan(job)
        proven = {p.output for p in planned if job.folder.proves(p, hashing=False)}
        for declared in service.declare(job.analysis):
            output = declared.output
            if output not in proven or made.intersection(inputs_of[output]):
                made.add(output)
    return made
