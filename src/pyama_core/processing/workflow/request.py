"""Checking a request as a whole, before anything is written."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyama_core.errors import InputError
from pyama_core.io.base_names import require_portable
from pyama_core.io.checksums import SourceIdentity
from pyama_core.io.microscopy import LateSource, MicroscopyMetadata
from pyama_core.io.storage.naming import find_records, record_name
from pyama_core.io.storage.records import load_record
from pyama_core.io.storage.scratch import Scratch
from pyama_core.io.watched_files import WatchedFiles
from pyama_core.outputs import Output, all_kinds
from pyama_core.processing.extraction.selection import select_features
from pyama_core.processing.frame import refusal_of
from pyama_core.processing.segmentation.cell_diameter import CellDiameterParameters
from pyama_core.processing.segmentation.growth import growth_in_pixels
from pyama_core.processing.segmentation.segmenter import find_segmentation
from pyama_core.processing.workflow.file_checks import check_files
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.graph import declarations
from pyama_core.processing.workflow.keeping import CHOICES, KEEP_ALL, Keep
from pyama_core.processing.workflow.misplaced import find_misplaced
from pyama_core.processing.workflow.release import restored_outputs
from pyama_core.processing.workflow.same_source import SourceCheck
from pyama_core.processing.workflow.samples.samples import Samples
from pyama_core.processing.workflow.services.analysis import Analysis, ChannelChoice, chosen_plane
from pyama_core.processing.workflow.services.base import validate_fov_range
from pyama_core.processing.workflow.services.pictures import settle_method
from pyama_core.processing.workflow.services.selection import find_fovs
from pyama_core.processing.workflow.services.source_identity import identify, watch
from pyama_core.processing.workflow.services.steps.extraction import warn_of_times
from pyama_core.processing.workflow.services.steps.nuclei import nuclei_channel
from pyama_core.processing.workflow.services.steps.tracking import image_for_tracking
from pyama_core.processing.workflow.shards import Shard
from pyama_core.processing.workflow.sizes import FovSize, most_at_once, size_of_fov

logger = logging.getLogger(__name__)

_GB = 1e9
_MB = 1e6


@dataclass(frozen=True)
class RunRequest:
    """A request that can be carried out; it travels to workers as it is.

    Attributes
    ----------
    metadata : MicroscopyMetadata
        The source.
    analysis : Analysis
        What is done with each field of view.
    output_dir : Path
        Folder of all outputs.
    fovs : tuple of int
        Fields of view, in order.
    identity : SourceIdentity
        Identity of the source file.
    watched : WatchedFiles or None
        All its files, and how they were before; of no concern to workers.
    batch_size, n_workers : int
        Fields of view copied at a time, worker processes.
    check : bool
        Whether what is there is compared with its checksums before it is believed.
    restore : tuple of str
        Kinds of released stacks that are wanted back.
    strict : bool
        Whether the run stops when its first position contradicts what was assumed of the cells.
    keep : Keep
        Which stacks stay when a field of view is done, those that are wanted back among them; no
        part of the analysis, nor on record.
    samples : Samples or None
        What fields of view belong to, as far as the configuration says; of no concern to workers.
    shard : Shard or None
        Which part of the fields of view these are, if others work on the rest.
    asked : tuple of int
        The fields of view of all parts; of no concern to workers.
    scratch : Scratch or None
        A local disk, where stacks are that are not kept.
    """

    metadata: MicroscopyMetadata
    analysis: Analysis
    output_dir: Path
    fovs: tuple[int, ...]
    identity: SourceIdentity
    watched: WatchedFiles | None = None
    batch_size: int = 2
    n_workers: int = 2
    check: bool = False
    strict: bool = False
    restore: tuple[str, ...] = ()
    keep: Keep = KEEP_ALL
    samples: Samples | None = None
    shard: Shard | None = None
    asked: tuple[int, ...] = ()
    scratch: Scratch | None = None

    def for_fovs(self, fovs: Sequence[int]) -> RunRequest:
        """Return the part of a request that concerns some fields of view, small enough to send.

        Times are the bulk of the metadata; those of other fields of view are left out.
        """
        times = enumerate(self.metadata.timepoints)
        own = tuple(row if fov in fovs else () for fov, row in times)
        metadata = dataclasses.replace(self.metadata, timepoints=own)
        return dataclasses.replace(
            self, fovs=tuple(fovs), metadata=metadata, watched=None, samples=None, asked=()
        )


def request_run(
    metadata: MicroscopyMetadata,
    analysis: Analysis,
    output_dir: Path,
    fovs: Sequence[int],
    *,
    batch_size: int = 2,
    n_workers: int = 2,
    check: bool = False,
    strict: bool = False,
    restore: Sequence[str] = (),
    keep: Keep = KEEP_ALL,
    samples: Samples | None = None,
    shard: Shard | None = None,
    scratch: str | None = None,
    scratch_is_here: bool = True,
) -> RunRequest:
    """Check everything that can be known before the first byte is written.

    With a shard, the request is for its part of the fields of view only.

    Raises
    ------
    InputError
        One sentence on the first thing that is wrong.
    """
    watched = watch(metadata)  # before anything else is asked of its files
    require_portable(metadata.base_name)
    for name, value in (("batch_size", batch_size), ("n_workers", n_workers)):
        if value < 1:
            raise InputError(f"{name}: expected 1 or more, found {value}")
    chosen_plane(metadata, analysis)
    _check_channels(metadata, analysis.channels)
    if (refusal := refusal_of(metadata.dtype)) is not None:
        raise InputError(f"{metadata.file_path.name} {refusal}")
    analysis = settle_method(metadata, analysis)
    request = RunRequest(
        metadata=metadata,
        analysis=analysis,
        output_dir=output_dir,
        fovs=tuple(fovs if shard is None else shard.of(fovs)),
        identity=identify(metadata),
        batch_size=batch_size,
        n_workers=n_workers,
        watched=watched,
        check=check,
        strict=strict,
        restore=tuple(restore),
        keep=keep.with_kinds(restore),
        samples=samples,
        shard=shard,
        asked=tuple(fovs),
    )
    if scratch is not None:
        request = _with_scratch(request, scratch, is_here=scratch_is_here)
    _check_nuclei(analysis)
    _check_diameter(metadata, analysis)
    _check_brightness(analysis)
    select_features(analysis.parameters.extraction.features)
    check_files(metadata, analysis, request.fovs)
    done = _check_folder(request)
    warn_of_times(metadata, analysis.parameters.extraction)
    _check_space(request, done)
    return request


def _with_scratch(request: RunRequest, root: str, *, is_here: bool) -> RunRequest:
    if request.keep == KEEP_ALL:
        raise InputError(
            "--scratch: all stacks are kept, so there are none for it; keep less (--keep labels or "
            "traces)"
        )
    kinds = (kind for kind in all_kinds() if kind.releasable and request.keep.has(kind))
    scratch = Scratch(root, request.output_dir.absolute(), frozenset(kind.name for kind in kinds))
    if is_here:
        scratch.require()
    return dataclasses.replace(request, scratch=scratch)


def select_fovs(
    metadata: MicroscopyMetadata,
    fov_start: int | None = 0,
    fov_end: int | None = None,
    fovs: str | Sequence[int | str] | None = None,
) -> list[int]:
    """Return the fields of view of a selection, or of a range, in order.

    Raises
    ------
    InputError
        (a ValueError) One is not in the file, or none was chosen.
    """
    if fovs is None:
        return list(validate_fov_range(metadata, fov_start, fov_end))
    words = [fovs] if isinstance(fovs, str) else fovs
    for fov in words:
        if not isinstance(fov, str):
            metadata.shape_of(fov)
    try:
        chosen = find_fovs(words, metadata.fov_names)
    except InputError as error:
        raise InputError(f"fovs: {error}") from error
    if not chosen:
        raise InputError("the selection of FOVs is empty")
    return chosen


def _check_channels(metadata: MicroscopyMetadata, channels: ChannelChoice) -> None:
    known = ", ".join(f"{i} ({name})" for i, name in enumerate(metadata.channel_names))
    if channels.cells is None and not channels.fl:
        raise InputError(f"no channel was chosen; {metadata.file_path.name} has {known}")
    if channels.cells is None:
        raise InputError(
            "no channel was chosen in which cells are found (phase contrast: pc, any other: "
            f"segment); {metadata.file_path.name} has {known}"
        )
    nuclei = [] if channels.nuclei is None else [channels.nuclei]
    for channel in [channels.cells, *channels.fl, *nuclei]:
        if not 0 <= channel < metadata.n_channels:
            raise InputError(
                f"channel {channel} does not exist; {metadata.file_path.name} has {known}"
            )
    if channels.pc in channels.fl:
        logger.warning(
            "channel %d is both phase contrast and fluorescence; if it is fluorescence, segment "
            "(--segment) takes the place of pc (--pc)",
            channels.pc,
        )
    if not channels.fl:
        logger.warning("no fluorescence channel was chosen: cells are tracked, but not measured")


def _check_diameter(metadata: MicroscopyMetadata, analysis: Analysis) -> None:
    """Refuse a cell diameter in micrometres that cannot be one in pixels; the same of rings."""
    segmentations = [analysis.parameters.segmentation]
    if analysis.has_compartments:
        segmentations.append(analysis.parameters.nuclei)
        analysis.parameters.extraction.ring_in_pixels(metadata.pixel_size_um)
    for parameters in segmentations:
        growth_in_pixels(parameters, metadata.pixel_size_um)
        if isinstance(parameters, CellDiameterParameters):
            parameters.in_pixels(metadata.pixel_size_um)


def _check_nuclei(analysis: Analysis) -> None:
    """Refuse a nuclei channel of which no use would be made, and what needs one without it."""
    chosen = analysis.parameters.segmentation
    if analysis.channels.nuclei is None and find_segmentation(chosen.method).needs_nuclei(chosen):
        raise InputError(
            "segmentation.seeds is nuclei, but no channel was chosen that shows nuclei; name it "
            "as nuclei (--nuclei CH), or leave seeds at auto"
        )
    if analysis.has_compartments:
        nuclei_channel(analysis)
        return
    method = analysis.parameters.segmentation.method
    if analysis.channels.nuclei is not None and not find_segmentation(method).by_nuclei:
        raise InputError(
            f"the segmentation method {method} makes no use of nuclei; leave the nuclei channel "
            "out, or choose a method that does (segmentation.method: instances), or measure "
            "nuclei and rings around them (extraction.features: [compartments, ...])"
        )


def _check_brightness(analysis: Analysis) -> None:
    """Refuse a fluorescence channel for the tracking that is not corrected."""
    image = image_for_tracking(analysis).get("brightness")
    if image is not None and image.channel not in analysis.channels.fl:
        raise InputError(
            "tracking.brightness_channel: expected one of the fluorescence channels "
            f"{list(analysis.channels.fl)}, found {image.channel}"
        )


def _check_folder(request: RunRequest) -> dict[int, set[Output]]:
    """Refuse a folder that belongs to another source; return what is to be made of known FOVs.

    That is, of those of which all is made, what is wanted back and with it.
    """
    if request.output_dir.exists() and not request.output_dir.is_dir():
        raise InputError(f"the output folder {request.output_dir} is a file")
    done: dict[int, set[Output]] = {}
    declared = declarations(request.analysis)
    with LateSource(request.metadata) as source:
        check = SourceCheck(source, request.identity, request.output_dir)
        for path in find_records(request.output_dir):
            record = load_record(path)
            if record is None:
                continue
            if path.name != record_name(request.metadata.base_name, record.fov):
                raise check.of_another(record)
            if check.is_as_copied(record):
                asked = record.model_copy(update={"settings": request.analysis.as_settings()})
                if FovState(asked).is_done(path.parent):
                    done[record.fov] = restored_outputs(record, declared, request.restore)
        check.require_this_source()
    for each in find_misplaced(request.output_dir):
        if each.is_needed:
            logger.warning("%s: %s", request.output_dir / each.place, each)
    return done


def _check_space(request: RunRequest, done: Mapping[int, set[Output]]) -> None:
    """Refuse a run that cannot fit; what is there already counts as written."""
    needed = _space_needed(request, request.keep, done)
    existing = request.output_dir.absolute()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if needed <= free:
        _check_scratch(request, done)
        return
    written = "will be written" if request.keep == KEEP_ALL else "will be needed at once"
    raise InputError(
        f"{request.output_dir}: {_in_words(needed)} {written}, only {_in_words(free)} are free; "
        f"free some space or choose another disk{_keeping_less(request, done, needed, free)}"
    )


def _check_scratch(request: RunRequest, done: Mapping[int, set[Output]]) -> None:
    if request.scratch is None or not request.scratch.place.is_dir():
        return
    needed = _space_needed(request, request.keep, done, on_scratch=True)
    free = shutil.disk_usage(request.scratch.place).free
    if needed > free:
        raise InputError(
            f"--scratch {request.scratch.root}: {_in_words(needed)} will be needed at once, only "
            f"{_in_words(free)} are free; work on fewer FOVs at a time (--workers, --batch-size)"
        )


def _space_needed(
    request: RunRequest,
    keep: Keep,
    done: Mapping[int, set[Output]],
    *,
    on_scratch: bool = False,
) -> int:
    """Bytes that a run takes at once: in the output folder, or on the local disk beside it."""
    metadata, analysis, output_dir = request.metadata, request.analysis, request.output_dir
    restored = Keep(frozenset(request.restore)) if keep == KEEP_ALL else keep
    sizes = (
        size_of_fov(
            metadata,
            analysis,
            fov,
            restored if done.get(fov) else keep,
            output_dir,
            made=done.get(fov),
        )
        for fov in request.fovs
    )
    if on_scratch:
        sizes = (FovSize(copied=size.copied, made=size.made) for size in sizes)
    elif request.scratch is not None:
        sizes = (dataclasses.replace(size, copied=0, made=0) for size in sizes)
    return most_at_once(sizes, request.batch_size, request.n_workers)


def _keeping_less(
    request: RunRequest, done: Mapping[int, set[Output]], needed: int, free: int
) -> str:
    """Phrase that names what could be kept instead, where that would fit."""
    fitting = [
        f"--keep {choice} ({_in_words(less)})"
        for choice, word in CHOICES.items()
        if (keep := word.with_kinds(request.restore)) != request.keep
        if (less := _space_needed(request, keep, done)) < needed and less <= free
    ]
    return f", or keep less: {' or '.join(fitting)}" if fitting else ""


def _in_words(n_bytes: int) -> str:
    return f"{n_bytes / _GB:.1f} GB" if n_bytes >= _GB else f"{n_bytes / _MB:.1f} MB"
