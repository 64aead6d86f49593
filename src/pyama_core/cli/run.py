"""`pyama run`."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from pyama_core.cli.display import progress_display
from pyama_core.cli.interrupt import cancel_on_interrupt
from pyama_core.cli.report import report_of_run
from pyama_core.cli.run_line import as_line
from pyama_core.cli.streams import echo
from pyama_core.errors import InputError
from pyama_core.executors.dask_clusters import ClusterChoice, connected
from pyama_core.io.microscopy import MicroscopyMetadata, load_microscopy_file
from pyama_core.io.paths import without_tilde
from pyama_core.io.storage.atomic import write_whole
from pyama_core.io.storage.naming import RESULTS_NAME
from pyama_core.io.urls import is_url, local_path
from pyama_core.outputs import NUCLEI, step_names
from pyama_core.processing.workflow.configuration import RunConfig, commented_yaml, load_config
from pyama_core.processing.workflow.crews import Crew
from pyama_core.processing.workflow.keeping import parse_keep
from pyama_core.processing.workflow.outcome import FovStatus, RunOutcome
from pyama_core.processing.workflow.pipeline import carry_out
from pyama_core.processing.workflow.release import parse_kinds
from pyama_core.processing.workflow.request import RunRequest, request_run, select_fovs
from pyama_core.processing.workflow.run_log import log_path
from pyama_core.processing.workflow.samples.sample_table import read_sample_table
from pyama_core.processing.workflow.samples.samples import Samples
from pyama_core.processing.workflow.samples.words import assignments_from_mapping
from pyama_core.processing.workflow.services.analysis import choose
from pyama_core.processing.workflow.services.roles import is_asked_what_to_measure
from pyama_core.processing.workflow.services.selection import find_channel, find_fovs
from pyama_core.processing.workflow.services.types import Channels
from pyama_core.processing.workflow.shards import Shard

logger = logging.getLogger(__name__)

T = TypeVar("T")

_SHOWN_FAILURES = 10
_NO_CLUSTER = ClusterChoice()


@dataclass(frozen=True)
class Flags:
    """What was typed; None where nothing was."""

    file: Path | None = None
    output: Path | None = None
    pc: str | None = None
    segment: str | None = None
    fl: list[str] | None = None
    nuclei: str | None = None
    segmentation: str | None = None
    cell_diameter: str | None = None
    tracking: str | None = None
    fovs: str | None = None
    batch_size: int | None = None
    workers: int | None = None
    keep: str | None = None
    interval: float | None = None
    z: str | None = None
    axes: str | None = None
    sizes: str | None = None
    pattern: str | None = None
    outside: bool | None = None
    numbering: str | None = None
    check: bool | None = None
    strict: bool | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Take the flags out of what the command was called with."""
        found = {field.name: values[field.name] for field in fields(cls)}
        return cls(**{name: None if value is False else value for name, value in found.items()})

    def typed(self) -> dict[str, Any]:
        """Return what was typed, by the names of these attributes."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value not in (None, [])}

    def as_config(self) -> dict[str, Any]:
        """Return what was typed, in the shape of the configuration."""
        config: dict[str, Any] = {}
        for name, value in self.typed().items():
            *sections, key = _KEYS.get(name, (name,))
            section = config
            for outer in sections:
                section = section.setdefault(outer, {})
            section[key] = str(value) if isinstance(value, Path) else value
        for typed, other in (("pc", "segment"), ("segment", "pc")):
            if typed in config.get("channels", {}):  # it takes the place of either
                config["channels"].setdefault(other, None)
        return config

    def names(self) -> dict[tuple[str, ...], str]:
        """Return the flag that was typed for each of the keys of the configuration."""
        return {_KEYS.get(name, (name,)): _flag(name) for name in self.typed()}


_KEYS: Mapping[str, tuple[str, ...]] = {
    "pc": ("channels", "pc"),
    "segment": ("channels", "segment"),
    "fl": ("channels", "fl"),
    "nuclei": ("channels", "nuclei"),
    "z": ("copying", "z"),
    "segmentation": ("segmentation", "method"),
    "cell_diameter": ("segmentation", "cell_diameter"),
    "tracking": ("tracking", "method"),
    "interval": ("extraction", "interval_minutes"),
}
"""Flags whose key in the configuration is another; of the others it is their name."""


def _flag(name: str) -> str:
    return "FILE" if name == "file" else f"--{name.replace('_', '-')}"


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def write_configuration(flags: Flags, config: Path | None) -> int:
    """Write a commented configuration with what was typed, and nothing else."""
    target, source = config or Path("run.yaml"), flags.file
    if config is None and source is not None and source.suffix.lower() in (".yaml", ".yml"):
        target, source = source, None
    typed = {**flags.as_config(), "file": None if source is None else str(source)}
    if target.parent.absolute() != Path().absolute():
        # There, a relative path starts from another folder than where it was typed.
        for key, path in (("file", source), ("output", flags.output)):
            typed[key] = None if path is None else str(local_path(path))
    text = commented_yaml(load_config(None, typed, flags.names()))
    if target.exists():
        raise InputError(f"{target} exists already; name another file with --config")
    write_whole(target, text)
    echo(f"wrote {target}")
    return 0


@dataclass(frozen=True)
class PlannedRun:
    """What was typed and configured, found in the file.

    Attributes
    ----------
    metadata : MicroscopyMetadata
        The file.
    output : Path
        Folder of all outputs.
    fovs : list of int
        Fields of view that were chosen.
    steps : list of str
        What is done with each.
    workers : int or None
        Processes, if somebody said how many.
    shard : Shard or None
        Which part of all that were chosen these are.
    parse : callable
        Makes the request; what it raises is a refusal. May be told how many workers there are
        elsewhere.
    """

    metadata: MicroscopyMetadata
    output: Path
    fovs: list[int]
    steps: list[str]
    workers: int | None
    shard: Shard | None
    parse: Callable[..., RunRequest]


def start(
    flags: Flags,
    config_path: Path | None,
    restore: str | None = None,
    shard: str | None = None,
    cluster: ClusterChoice = _NO_CLUSTER,
    scratch: str | None = None,
    *,
    report: bool = True,
) -> int:
    """Run, or a part of it, and say how it ended; make released stacks of some kinds again."""
    cluster.require_one()
    planned = plan_run(flags, config_path, restore, shard, scratch)
    cancel = threading.Event()
    with (
        cancel_on_interrupt(cancel),
        _crew(cluster, planned) as (crew, places),
        progress_display(planned.metadata, planned.fovs, planned.steps) as on_progress,
    ):
        parse = partial(planned.parse, places)
        outcome = carry_out(
            parse, on_progress=on_progress, cancel=cancel, executor=crew, command=typed_line()
        )
    if outcome.refusal is None:
        _tell(outcome, planned)
        if report and planned.shard is None and not outcome.with_status(FovStatus.CANCELLED):
            report_of_run(planned.output)
    return outcome.exit_code


@contextlib.contextmanager
def _crew(cluster: ClusterChoice, planned: PlannedRun) -> Iterator[tuple[Crew | None, int | None]]:
    """Provide the workers of a Dask cluster, if one was chosen, and say how many they are."""
    if not cluster.is_made:
        yield None, None
        return
    with connected(cluster, planned.workers or os.cpu_count() or 1) as client:
        from pyama_core.executors.dask import MAX_READERS, dask_executor

        crew = dask_executor(client, max_readers=cluster.max_readers or MAX_READERS)
        yield crew, crew.n_workers()


def plan_run(
    flags: Flags,
    config_path: Path | None,
    restore: str | None = None,
    shard: str | None = None,
    scratch: str | None = None,
) -> PlannedRun:
    """Find what was typed and configured in the file.

    Raises
    ------
    InputError
        Something of it cannot be meant.
    """
    kinds = [] if restore is None else _parsed("--restore", parse_kinds, restore)
    part = None if shard is None else _parsed("--shard", Shard.parse, shard)
    if config_path is not None and (folder := str(config_path.parent.absolute())) not in sys.path:
        # Features of one's own may lie beside the configuration; workers have the same path.
        sys.path.append(folder)
    config = load_config(config_path, flags.as_config(), flags.names())
    if config.file is None:
        raise InputError("no microscope file was given; see pyama run --help")
    if config.output is None:
        raise InputError("no output folder was given; add -o DIR")
    places = _Places(flags, config_path)
    output = Path(places.path("output", config.output))
    options = _given(
        axes=config.axes,
        sizes=config.sizes,
        pattern=config.pattern,
        outside=config.outside or None,
        numbering=config.numbering,
        z=config.copying.z,
    )
    source, metadata = load_microscopy_file(places.path("file", config.file), **options)
    source.close()
    workers = config.workers or os.cpu_count() or 1
    with places.named("fovs"):
        fovs = find_fovs(config.fovs, metadata.fov_names)
    channels = _find_channels(config, metadata, places)
    samples = _find_samples(config, metadata, places)

    def parse(places: int | None = None) -> RunRequest:
        return request_run(
            metadata,
            choose(channels, config.steps(), metadata.channel_names),
            output,
            select_fovs(metadata, fovs=fovs),
            # Dask workers have as many copied as there are of them, and no batch is made ahead.
            batch_size=-(-places // 2) if places else config.batch_size or workers,
            n_workers=places or workers,
            check=config.check,
            strict=config.strict,
            restore=kinds,
            keep=parse_keep(config.keep),
            samples=samples,
            shard=part,
            scratch=scratch,
            scratch_is_here=places is None,
        )

    own = fovs if part is None else part.of(fovs)
    return PlannedRun(metadata, output, own, _steps_of(config), config.workers, part, parse)


def typed_line() -> str:
    """Return what was typed to start this command, as it can be typed again."""
    return as_line(["pyama", *sys.argv[1:]])


def _parsed(flag: str, parse: Callable[[str], T], words: str) -> T:
    """Read what was typed after a flag; an error names the flag."""
    try:
        return parse(words)
    except InputError as error:
        raise InputError(f"{flag}: {error}") from error


def _steps_of(config: RunConfig) -> list[str]:
    """Return the steps that a run has."""
    left_out = () if config.extraction.needs_nuclei else (NUCLEI.step,)
    return [step for step in step_names() if step not in left_out]


@dataclass(frozen=True)
class _Places:
    """Where words of a run come from: a flag, or a key of the configuration."""

    flags: Flags
    config_path: Path | None

    def path(self, key: str, text: str) -> str:
        """Return a path that a flag or the configuration gave.

        What was typed starts from the current folder, what the configuration says from its own.
        """
        if self.config_path is None or key in self.flags.typed() or is_url(text):
            return text
        path = self.config_path.parent / without_tilde(Path(text))
        if path != Path(text) and Path(text).exists() and not path.exists():
            logger.warning(
                "%s: %s: paths start from the folder of the configuration: %s is meant, not %s",
                self.config_path,
                key,
                path.absolute(),
                Path(text).absolute(),
            )
        return str(path)

    @contextlib.contextmanager
    def named(self, *keys: str) -> Iterator[None]:
        """Say in every error where the word that is looked up comes from."""
        try:
            yield
        except InputError as error:
            place = self.flags.names().get(keys) or f"{self.config_path}: {'.'.join(keys)}"
            raise InputError(f"{place}: {error}") from error


def _find_channels(config: RunConfig, metadata: MicroscopyMetadata, places: _Places) -> Channels:
    words, names = config.channels, metadata.channel_names
    # To measure nothing is said by an empty list.
    is_told = words.fl or "fl" in words.model_fields_set
    is_complete = is_told or not is_asked_what_to_measure(len(names))
    if (words.pc is None and words.segment is None) or not is_complete:
        known = ", ".join(f"{index} ({name})" for index, name in enumerate(names))
        raise InputError(
            "choose channels: --pc and --fl, or --segment and --fl without phase contrast; "
            f"{metadata.file_path.name} has {known}"
        )
    channels = Channels()
    with places.named("channels", "pc"):
        channels.pc = None if words.pc is None else find_channel(words.pc, names)
    with places.named("channels", "segment"):
        channels.segment = None if words.segment is None else find_channel(words.segment, names)
    with places.named("channels", "fl"):
        channels.fl = [find_channel(word, names) for word in words.fl]
    with places.named("channels", "nuclei"):
        channels.nuclei = None if words.nuclei is None else find_channel(words.nuclei, names)
    return channels


def _find_samples(
    config: RunConfig, metadata: MicroscopyMetadata, places: _Places
) -> Samples | None:
    given, names = config.samples, metadata.fov_names
    if given is None:
        return None
    try:
        if isinstance(given, str):
            each = read_sample_table(without_tilde(Path(places.path("samples", given))), names)
        else:
            each = assignments_from_mapping(given, names, "samples")
        return Samples.made_of(names, each, "configuration")
    except InputError as error:
        raise InputError(f"{places.config_path}: {error}") from error


def _tell(outcome: RunOutcome, planned: PlannedRun) -> None:
    done = outcome.with_status(FovStatus.DONE)
    skipped = outcome.with_status(FovStatus.SKIPPED)
    failed = outcome.with_status(FovStatus.FAILED)
    cancelled = outcome.with_status(FovStatus.CANCELLED)
    parts = [
        f"{len(outcomes)} {word}"
        for outcomes, word in (
            (done, "done"),
            (skipped, "skipped"),
            (failed, "failed"),
            (cancelled, "cancelled"),
        )
        if outcomes
    ]
    output_dir, shard = planned.output, planned.shard
    part = "FOVs" if shard is None else f"FOVs of shard {shard}"
    results = output_dir / RESULTS_NAME if shard is None else f"pyama finish {output_dir}"
    echo(f"{part}: {', '.join(parts) or 'none'}; see {results}")
    if outcome.stopped is not None:
        echo(f"  stopped by --strict after {outcome.stopped}", err=True)
    for error in list(dict.fromkeys(failure.error for failure in failed))[:_SHOWN_FAILURES]:
        echo(f"  {error}", err=True)
    if outcome.stopped is not None and cancelled:
        echo("run without --strict to go on all the same, or with other settings", err=True)
    elif failed or cancelled:
        log = log_path(output_dir, shard)
        echo(f"run the same command again to go on from here; the log is {log}", err=True)
