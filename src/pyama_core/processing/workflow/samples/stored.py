"""`samples.csv`: the samples of an output folder, beside its records."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pyama_core.errors import InputError
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.io.storage.atomic import write_whole
from pyama_core.io.storage.naming import SAMPLES_NAME
from pyama_core.processing.workflow.samples.sample_table import (
    read_sample_table,
    write_sample_table,
)
from pyama_core.processing.workflow.samples.samples import UNASSIGNED, Assignment, Samples
from pyama_core.processing.workflow.samples.telling_names import samples_from_names
from pyama_core.processing.workflow.shared_files import lock_shared_files
from pyama_core.processing.workflow.source_description import load_description, load_names

logger = logging.getLogger(__name__)

_SHOWN = 10


def fov_names(output_dir: Path) -> tuple[str, ...]:
    """Return the names of all fields of view of the file; numbered names where none are known."""
    return load_names(output_dir, load_description(output_dir)).fovs


def load_samples(output_dir: Path, names: tuple[str, ...] | None = None) -> Samples:
    """Return the samples of an output folder: as they were given, or else as names tell.

    Parameters
    ----------
    output_dir : Path
        Folder of outputs.
    names : tuple of str, optional
        Names of all fields of view, if they are known already.

    Raises
    ------
    InputError
        The table was edited and cannot be understood.
    """
    names = fov_names(output_dir) if names is None else names
    path = output_dir / SAMPLES_NAME
    if path.exists() or path.is_symlink():
        return Samples.made_of(names, read_sample_table(path, names), SAMPLES_NAME)
    return told_by_names(names)


def told_by_names(names: tuple[str, ...]) -> Samples:
    """Return the samples that the names of fields of view tell by themselves."""
    found = samples_from_names(names)
    if found is None:
        return Samples(names)
    words, origin = found
    each = [Assignment(word, (fov,), origin) for fov, word in enumerate(words)]
    return Samples.made_of(names, each, origin)


def change_samples(
    output_dir: Path, change: Callable[[Samples], Samples], *, anew: bool = False
) -> Samples:
    """Change the samples of an output folder; nothing is computed again.

    Parameters
    ----------
    output_dir : Path
        Folder of outputs.
    change : callable
        Is given the samples, and returns those that take their place.
    anew : bool
        Whether it is given none, whatever is there.

    Raises
    ------
    InputError
        The table that is there cannot be understood.
    StorageError
        The folder cannot be written.
    FolderBusyError
        Another process has been writing what all fields of view share for ten seconds.
    """
    with lock_shared_files(output_dir):
        there = Samples(fov_names(output_dir)) if anew else load_samples(output_dir)
        changed = change(there)
        write_whole(output_dir / SAMPLES_NAME, write_sample_table(changed))
    return replace(changed, origin=SAMPLES_NAME)


def keep_samples(output_dir: Path, given: Samples | None) -> None:
    """At the beginning of a run, give positions the samples of its configuration, and tell.

    Those that were given one since keep it. A table that cannot be understood is no reason not to
    run: nothing is computed from it.

    Raises
    ------
    StorageError, FolderBusyError
        As `change_samples`.
    """
    try:
        if given is None:
            _tell_names(load_samples(output_dir))
        else:
            _fill(output_dir, given)
    except InputError as error:
        logger.warning("%s; correct it, or replace it (pyama samples DIR --from FILE)", error)


def _tell_names(samples: Samples) -> None:
    if samples.sample_of and samples.origin != SAMPLES_NAME:
        logger.info("samples are taken from %s: %s", samples.origin, described(samples))


def _fill(output_dir: Path, given: Samples) -> None:
    """Write what a configuration says, but for positions that have a sample already."""
    is_first = not (output_dir / SAMPLES_NAME).exists()
    there = given if is_first else load_samples(output_dir)
    free = [fov for fov in given.sample_of if fov not in there.sample_of]
    if is_first:
        change_samples(output_dir, lambda _: given, anew=True)
    elif free:
        change_samples(output_dir, lambda there: there.changed(given.assignments(free)))
    if other := [
        fov for fov, sample in given.sample_of.items() if there.of(fov) not in (sample, UNASSIGNED)
    ]:
        logger.warning(
            "FOVs %s have other samples in %s than in the configuration, and keep them; to change "
            "them: pyama samples DIR --set",
            format_ranges(other),
            SAMPLES_NAME,
        )


def described(samples: Samples) -> str:
    """Return the samples and their fields of view, in a line."""
    each = [f"{sample} ({fovs})" for sample, fovs in samples.as_ranges().items()]
    more = f" and {len(each) - _SHOWN} more" if len(each) > _SHOWN else ""
    return ", ".join(each[:_SHOWN]) + more
