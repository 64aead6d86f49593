"""Samples as the page shows them, and as `run.yaml` has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyama_core.app.messages import Message
from pyama_core.errors import InputError
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.storage.naming import SAMPLES_NAME
from pyama_core.processing.workflow.configuration import RunConfig
from pyama_core.processing.workflow.samples.sample_table import read_sample_table
from pyama_core.processing.workflow.samples.samples import UNASSIGNED, Assignment, Samples
from pyama_core.processing.workflow.samples.stored import (
    change_samples,
    load_samples,
    told_by_names,
)
from pyama_core.processing.workflow.samples.words import assignments_from_mapping
from pyama_core.processing.workflow.services.selection import find_fovs


class SampleOf(Message):
    """A condition, and the fields of view that belong to it."""

    sample: str
    fovs: tuple[int, ...]


def proposed_samples(out: Path, about: MicroscopyMetadata) -> tuple[SampleOf, ...]:
    """Return the samples that there are, or that names of fields of view tell."""
    has_table = (out / SAMPLES_NAME).exists()
    return as_rows(
        load_samples(out, about.fov_names) if has_table else told_by_names(about.fov_names)
    )


def samples_of(config: RunConfig, path: Path, out: Path, about: MicroscopyMetadata) -> Samples:
    """Return the samples of results, which are what counts, or else of a configuration."""
    names = about.fov_names
    if (out / SAMPLES_NAME).exists():
        return load_samples(out, names)
    return samples_in(config, path, names)


def samples_in(config: RunConfig, path: Path, names: tuple[str, ...]) -> Samples:
    """Return the samples that a configuration names."""
    if config.samples is None:
        return Samples(names)
    if isinstance(config.samples, str):
        each = read_sample_table(path.parent / config.samples, names)
    else:
        each = assignments_from_mapping(config.samples, names, "samples")
    return Samples.made_of(names, each, str(path))


def as_rows(samples: Samples) -> tuple[SampleOf, ...]:
    """Return samples as the client has them."""
    return tuple(
        SampleOf(sample=name, fovs=tuple(samples.fovs_of(name)))
        for name in samples.all()
        if name != UNASSIGNED
    )


def fov_words(fovs: tuple[int, ...], about: MicroscopyMetadata) -> str | list[str]:
    """Return fields of view in words that mean these alone, whatever their names are."""
    if outside := [fov for fov in fovs if not 0 <= fov < about.n_fovs]:
        raise InputError(f"there is no position {outside[0]}; there are {about.n_fovs}")
    ranges = format_ranges(fovs)
    try:
        if find_fovs(ranges, about.fov_names) == sorted(set(fovs)):
            return ranges
    except InputError:
        pass  # names are numbers themselves
    return [f"index:{fov}" for fov in sorted(set(fovs))]


def samples_for_config(
    samples: tuple[SampleOf, ...], about: MicroscopyMetadata, known: RunConfig, path: Path
) -> dict[str, Any] | str | None:
    """Return samples as a configuration has them, with what it says of them besides.

    Parameters
    ----------
    samples : tuple of SampleOf
        From the client.
    about : MicroscopyMetadata
        The file.
    known, path : RunConfig, Path
        What is saved, and where: a page knows nothing of other columns, such as a concentration.

    Raises
    ------
    InputError
        Two samples have the same name, or the configuration names a table that tells of single
        positions what cannot be said of a sample as a whole.
    """
    given = _words_of(samples, about)
    mapped = assignments_from_mapping(given, about.fov_names, "samples")
    wanted = Samples.made_of(about.fov_names, mapped, "the page")
    before = samples_in(known, path, about.fov_names)
    if known.samples is not None and dict(before.sample_of) == dict(wanted.sample_of):
        return known.samples
    for name, words in given.items():
        if columns := _columns_of(before, wanted.fovs_of(name), name):
            fovs = words["fovs"] if isinstance(words, Mapping) else words
            given[name] = {"fovs": fovs, **columns}
    return given or None


def _words_of(samples: tuple[SampleOf, ...], about: MicroscopyMetadata) -> dict[str, Any]:
    given = {
        each.sample: {"fovs": words} if isinstance(words, list) else words
        for each in samples
        if each.fovs
        for words in [fov_words(each.fovs, about)]
    }
    if len(given) < len([each for each in samples if each.fovs]):
        raise InputError("samples: two of them have the same name")
    return given


def _columns_of(known: Samples, fovs: list[int], sample: str) -> dict[str, str]:
    """Return what is known of a sample: of those of its positions that were in it already."""
    columns = {}
    for column, values in known.further.items():
        told = {values[fov] for fov in fovs if fov in values and known.of(fov) == sample}
        if len(told) > 1:
            raise InputError(
                f"samples.{sample}: its positions differ in {column}, which was read from a table; "
                "change the sample in the table, which run.yaml names"
            )
        if told:
            columns[column] = told.pop()
    return columns


def put_samples(out: Path, wanted: Samples) -> None:
    """Put the fields of view of results into their samples; what else is known of them stays."""
    there = load_samples(out, wanted.names)
    others = [fov for fov in range(len(wanted.names)) if there.of(fov) != wanted.of(fov)]
    if others:
        each = [Assignment(wanted.of(fov), (fov,), "the page") for fov in others]
        change_samples(out, lambda now: now.changed(each))
