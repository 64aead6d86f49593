"""`run.yaml` in a folder of outputs, as the page shows and writes it: the file of the command."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from pyama_core.app.draft_samples import (
    SampleOf,
    as_rows,
    fov_words,
    put_samples,
    samples_for_config,
    samples_in,
    samples_of,
)
from pyama_core.app.messages import Message
from pyama_core.app.roots import Roots
from pyama_core.app.sources import Reading, plane_of
from pyama_core.errors import InputError, StorageError
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.storage.atomic import write_whole
from pyama_core.io.storage.naming import SAMPLES_NAME, records_by_fov
from pyama_core.io.storage.records import load_record
from pyama_core.processing.method_files import templates_of
from pyama_core.processing.workflow.configuration import (
    RunConfig,
    commented_yaml,
    load_config,
)
from pyama_core.processing.workflow.samples.stored import load_samples
from pyama_core.processing.workflow.services.analysis import (
    Analysis,
    choose,
    recorded_analysis,
)
from pyama_core.processing.workflow.services.parameters import StepParameters, validate_sections
from pyama_core.processing.workflow.services.selection import find_channel, find_fovs, word_of
from pyama_core.processing.workflow.services.types import Channels

CONFIG_NAME = "run.yaml"
_METHODS = ("segmentation", "correction", "tracking", "nuclei")
_READING = ("axes", "sizes", "pattern", "outside", "numbering")


class ChosenChannels(Message):
    """Channels by what they are, by number."""

    pc: int | None = None
    segment: int | None = None
    fl: tuple[int, ...] = ()
    nuclei: int | None = None


class Draft(Message):
    """What a run is to do: `run.yaml`, with channels and fields of view by number."""

    channels: ChosenChannels
    steps: dict[str, dict[str, Any]] = Field(default={})
    """Sections of the steps: names of methods, and what differs from its default."""
    fovs: tuple[int, ...] | None = None
    """None for all."""
    samples: tuple[SampleOf, ...] = ()
    workers: int | None = None
    keep: str = "all"
    reading: Reading = Reading()


@dataclass(frozen=True)
class Stored:
    """A draft, and where it was taken from.

    Attributes
    ----------
    draft : Draft or None
        None where there is none.
    origin : str
        In words.
    problem : str
        Why what is there cannot be used; it is not written over.
    """

    draft: Draft | None = None
    origin: str = ""
    problem: str = ""


def config_path(out: Path) -> Path:
    """Return where the configuration of a folder of outputs is."""
    return out / CONFIG_NAME


def load_draft(out: Path, file: Path, about: MicroscopyMetadata) -> Stored:
    """Read what a folder of outputs says of the run that makes them."""
    path = config_path(out)
    try:
        if path.exists():
            config = load_config(path, {})
            _require_file(path, config, file)
            return Stored(_draft_of(config, path, out, about), f"as saved in {path}")
        if (recorded := _recorded(out)) is not None:
            return Stored(_draft_of_analysis(recorded, out, about), "as the results were made")
    except InputError as error:
        return Stored(problem=str(error))
    return Stored()


def source_named(out: Path) -> tuple[Path, Reading] | None:
    """Return the file that the configuration in a folder of outputs is for, and how it is read."""
    path = config_path(out)
    if not path.exists():
        return None
    config = load_config(path, {})
    return None if config.file is None else (_file_of(path, config), _reading_of(config))


def _file_of(path: Path, config: RunConfig) -> Path:
    return Path(os.path.realpath(path.parent / (config.file or "")))


def _require_file(path: Path, config: RunConfig, file: Path) -> None:
    if config.file is None or _file_of(path, config) != file:
        raise InputError(f"{path} is for another file, {config.file}; choose another folder")


def _recorded(out: Path) -> Analysis | None:
    for path in records_by_fov(out).values():
        record = load_record(path)
        if record is not None and (found := recorded_analysis(record.settings)) is not None:
            return found
    return None


def _draft_of(config: RunConfig, path: Path, out: Path, about: MicroscopyMetadata) -> Draft:
    words, names = config.channels, about.channel_names

    def number(word: str | None) -> int | None:
        return None if word is None else find_channel(word, names)

    fovs = find_fovs(config.fovs, about.fov_names)
    return Draft(
        channels=ChosenChannels(
            pc=number(words.pc),
            segment=number(words.segment),
            fl=tuple(find_channel(word, names) for word in words.fl),
            nuclei=number(words.nuclei),
        ),
        steps=_sections(config),
        fovs=None if len(fovs) == about.n_fovs else tuple(fovs),
        samples=as_rows(samples_of(config, path, out, about)),
        workers=config.workers,
        keep=config.keep if isinstance(config.keep, str) else ",".join(config.keep),
        reading=_reading_of(config),
    )


def _draft_of_analysis(analysis: Analysis, out: Path, about: MicroscopyMetadata) -> Draft:
    chosen = analysis.channels
    parameters = dict(vars(analysis.parameters).items())
    z = analysis.parameters.copying.z
    return Draft(
        channels=ChosenChannels(
            pc=chosen.pc, segment=chosen.segment, fl=chosen.fl, nuclei=chosen.nuclei
        ),
        steps=_plain_sections(parameters),
        samples=as_rows(load_samples(out, about.fov_names)),
        reading=Reading(z="" if z is None else str(z)),
    )


def _reading_of(config: RunConfig) -> Reading:
    sizes = config.sizes
    if isinstance(sizes, list):
        sizes = ",".join(map(str, sizes))
    return Reading(
        z="" if config.copying.z is None else str(config.copying.z),
        axes=config.axes or "",
        sizes="" if sizes is None else str(sizes),
        pattern=config.pattern or "",
        outside=config.outside,
        numbering=config.numbering or "",
    )


def _sections(config: RunConfig) -> dict[str, dict[str, Any]]:
    return _plain_sections({name: getattr(config, name) for name in StepParameters.model_fields})


def _plain_sections(parts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return sections with the names of methods, and what differs from its default."""
    sections = {}
    for name, part in parts.items():
        plain = part.model_dump(mode="json", exclude_defaults=True)
        if name in _METHODS:
            plain["method"] = part.method
        if name == "copying":
            plain.pop("z", None)  # how the file is read
        if plain:
            sections[name] = plain
    return sections


# From the page


def config_of(
    draft: Draft, file: Path, out: Path, about: MicroscopyMetadata, roots: Roots, known: RunConfig
) -> RunConfig:
    """Return a draft as a configuration.

    Parameters
    ----------
    draft : Draft
        From the client.
    file, out : Path
        Below the roots.
    about : MicroscopyMetadata
        The file.
    roots : Roots
        That files which steps read lie below, too.
    known : RunConfig
        What is saved: code of one's own is taken from there alone.

    Raises
    ------
    InputError
        Something of it cannot be meant, or may not be asked for by a page.
    """
    names = about.channel_names
    chosen = draft.channels
    content: dict[str, Any] = {name: dict(section) for name, section in draft.steps.items()}
    if unknown := content.keys() - StepParameters.model_fields.keys():
        raise InputError(f"there is no step {min(unknown)!r}")
    content["file"], content["output"] = _written(file, out), "."
    content["channels"] = {
        "pc": _word(chosen.pc, names),
        "segment": _word(chosen.segment, names),
        "fl": [_word(channel, names) for channel in chosen.fl],
        "nuclei": _word(chosen.nuclei, names),
    }
    content["fovs"] = _fovs_as_words(draft.fovs, about)
    content["samples"] = samples_for_config(draft.samples, about, known, config_path(out))
    content["keep"] = draft.keep.split(",") if "," in draft.keep else draft.keep
    content["workers"] = draft.workers
    reading = draft.reading
    if reading.z.strip():
        content["copying"] = {**content.get("copying", {}), "z": plane_of(reading.z)}
    for name in _READING:
        content[name] = getattr(reading, name) or (False if name == "outside" else None)
    content |= {"check": known.check, "batch_size": known.batch_size}
    config = validate_sections(RunConfig, content, out, _default_method(chosen))
    choose(
        Channels(pc=chosen.pc, segment=chosen.segment, fl=list(chosen.fl), nuclei=chosen.nuclei),
        config.steps(),
        names,
    )
    _require_allowed(config, known, roots)
    return config


def analysis_of(config: RunConfig, about: MicroscopyMetadata) -> Analysis:
    """Return what a configuration asks for, found in the file."""
    words, names = config.channels, about.channel_names
    channels = Channels(
        pc=None if words.pc is None else find_channel(words.pc, names),
        segment=None if words.segment is None else find_channel(words.segment, names),
        fl=[find_channel(word, names) for word in words.fl],
        nuclei=None if words.nuclei is None else find_channel(words.nuclei, names),
    )
    return choose(channels, config.steps(), names)


def _default_method(chosen: ChosenChannels) -> str:
    return "auto" if chosen.pc is None and chosen.segment is not None else "instances"


def _written(file: Path, out: Path) -> str:
    """Return the path of a file as it is written: from the folder of outputs, where it is near."""
    try:
        relative = os.path.relpath(file, out)
    except ValueError:  # another drive
        return str(file)
    return str(file) if relative.count("..") > 3 else Path(relative).as_posix()


def _word(channel: int | None, names: tuple[str, ...]) -> str | None:
    if channel is None:
        return None
    if not 0 <= channel < len(names):
        raise InputError(f"channels: expected 0 to {len(names) - 1}, found {channel}")
    return word_of(channel, names)


def _fovs_as_words(fovs: tuple[int, ...] | None, about: MicroscopyMetadata) -> str | list[str]:
    if fovs is None:
        return "all"
    if not fovs:
        raise InputError("no position is chosen")
    return fov_words(fovs, about)


def _require_allowed(config: RunConfig, known: RunConfig, roots: Roots) -> None:
    """Refuse what would read files outside of the roots, or run code that is not in use already."""
    for name in StepParameters.model_fields:
        section = getattr(config, name)
        if section == getattr(known, name):
            continue
        for key, value in section:
            if isinstance(value, Path) or (key in templates_of(section) and value):
                roots.inside(_fixed_part(str(value)))
    own = {word for word in known.extraction.features if ":" in word}
    for word in config.extraction.features:
        if ":" in word and word not in own:
            raise InputError(
                f"extraction.features: {word} is code of one's own, which a page may not begin to "
                "use; write it into run.yaml by hand"
            )


def _fixed_part(template: str) -> Path:
    """Return the folder before the first field in braces of a path."""
    before, brace, _ = template.partition("{")
    return Path(f"{before}x").parent if brace else Path(template)


def save_draft(out: Path, file: Path, config: RunConfig, about: MicroscopyMetadata) -> Path:
    """Write a configuration into a folder of outputs, and its samples where there are results.

    Raises
    ------
    InputError
        What is there is for another file, or cannot be understood.
    StorageError
        The folder cannot be written.
    """
    path = config_path(out)
    saved_config(out, file)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError.about("make", out, error) from error
    write_whole(path, commented_yaml(config))
    if (out / SAMPLES_NAME).exists():
        put_samples(out, samples_in(config, path, about.fov_names))
    return path


def saved_config(out: Path, file: Path) -> RunConfig:
    """Return what is saved in a folder of outputs; the defaults if nothing is.

    Raises
    ------
    InputError
        It is for another file, or cannot be understood.
    """
    path = config_path(out)
    if not path.exists():
        return RunConfig()
    config = load_config(path, {})
    _require_file(path, config, file)
    return config
