"""Giving space back: stacks that can be made again are deleted, and made again when needed.

A released stack keeps its entry in the record, checksum included, so that everything made from
it stays valid. Only when a later step has to run again are the stacks that it reads forgotten,
whereupon the run makes them again, to the same bytes.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pyama_core.io.errors import DamagedFileError, InputError, PyamaError
from pyama_core.io.fov_folder import FovFolder
from pyama_core.io.locks import FolderLock
from pyama_core.io.naming import (
    KINDS_OF_STEP,
    PHASE_KINDS,
    TABLE_KINDS,
    OutputKind,
    find_records,
)
from pyama_core.io.records import load_record
from pyama_core.io.results import write_results
from pyama_core.processing.workflow.services.base import BaseProcessingService
from pyama_core.processing.workflow.services.job import FovJob
from pyama_core.processing.workflow.services.steps.tracking import image_for_tracking
from pyama_core.processing.workflow.services.types import ProcessingContext, requested_channels

logger = logging.getLogger(__name__)

Output = tuple[OutputKind, int]
"""Kind and channel of an output."""

_INPUTS: Mapping[OutputKind, tuple[OutputKind, ...]] = {
    "pc": (),
    "fl": (),
    "seg": ("pc",),
    "fl_corrected": ("fl", "seg"),
    "seg_labeled": ("seg",),
    "tracks_csv": ("seg",),
    "shifts_csv": ("seg",),
    "traces_csv": ("seg_labeled", "tracks_csv", "fl_corrected"),
}


@dataclass(frozen=True)
class Released:
    """What was given back."""

    n_files: int
    n_bytes: int


def parse_kinds(words: str) -> list[OutputKind]:
    """Read a list of kinds of stacks such as ``fl_corrected,seg``.

    Raises
    ------
    InputError
        A kind is unknown, or is a table, which is what all else is for.
    """
    stacks = {str(kind): kind for kind in get_args(OutputKind) if kind not in TABLE_KINDS}
    chosen = [word.strip() for word in words.split(",") if word.strip()]
    unknown = [word for word in chosen if word not in stacks]
    if unknown or not chosen:
        raise InputError(
            f"expected stacks out of {', '.join(stacks)}, separated by commas, found {words!r}"
        )
    return [stacks[word] for word in chosen]


def release_stacks(output_dir: Path, kinds: Iterable[OutputKind]) -> Released:
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
        raise InputError(f"{output_dir} holds no results: no record of any field of view")
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


def _release_in(record_path: Path, lock: FolderLock, kinds: set[OutputKind]) -> list[int]:
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
    services: Sequence[BaseProcessingService],
    job: FovJob,
) -> None:
    """Forget the released stacks that steps which must run will read, so that they are made again.

    A step must run if an output is not proven, or if one that it is made from will be made anew,
    for that may turn out different.
    """
    made = _to_be_made(services, job)
    queue = sorted(made)
    while queue:
        for kind, channel in _inputs_of(queue.pop(), job.context):
            found = job.folder.record.find(kind, channel)
            if found is not None and found[1].released:
                job.folder.forget(found[0])
            if (found is None or found[1].released) and (kind, channel) not in made:
                made.add((kind, channel))
                queue.append((kind, channel))


def _to_be_made(
    services: Sequence[BaseProcessingService],
    job: FovJob,
) -> set[Output]:
    made: set[Output] = set()
    for service in services:
        planned = []
        with contextlib.suppress(PyamaError):  # an input is missing: it is among those made
            planned = service.plan(job)
        proven = {(p.kind, p.channel) for p in planned if job.folder.proves(p, hashing=False)}
        for output in _outputs_of(service, job.context):
            if output not in proven or made.intersection(_inputs_of(output, job.context)):
                made.add(output)
    return made


def _outputs_of(service: BaseProcessingService, context: ProcessingContext) -> list[Output]:
    channels = requested_channels(context)
    outputs: list[Output] = []
    for kind in KINDS_OF_STEP[service.step]:
        if kind not in PHASE_KINDS:
            chosen = channels.copied() if kind == "fl" else channels.fl
            outputs += [(kind, channel) for channel in chosen]
        elif channels.pc is not None:
            outputs.append((kind, channels.pc))
    return outputs


def _inputs_of(output: Output, context: ProcessingContext) -> list[Output]:
    kind, channel = output
    channels = requested_channels(context)
    assert channels.pc is not None
    inputs: list[Output] = [
        (role, channels.pc if role in PHASE_KINDS else channel) for role in _INPUTS[kind]
    ]
    if kind == "seg" and channels.nuclei is not None:
        inputs.append(("fl", channels.nuclei))
    if kind in KINDS_OF_STEP["tracking"]:
        image = image_for_tracking(context)
        inputs += [] if image is None else [image]
    return inputs
