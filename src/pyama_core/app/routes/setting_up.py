"""What *Set up* shows: what a microscope file holds, and what is to be done with it."""

from __future__ import annotations

import shutil
from pathlib import Path

from pyama_core.app.desk import Desk
from pyama_core.app.draft_samples import SampleOf, proposed_samples
from pyama_core.app.drafts import (
    ChosenChannels,
    Draft,
    analysis_of,
    config_of,
    load_draft,
    save_draft,
    saved_config,
)
from pyama_core.app.file_cards import small_picture
from pyama_core.app.file_state import state_of
from pyama_core.app.messages import Message, Pixels
from pyama_core.app.places import SourcePlace, source_place
from pyama_core.app.routing import changes, reads
from pyama_core.app.source_facts import Look, SourceFacts, facts_of, look_of
from pyama_core.app.sources import Reading
from pyama_core.errors import InputError
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.processing.workflow.configuration import RunConfig
from pyama_core.processing.workflow.keeping import parse_keep
from pyama_core.processing.workflow.services.selection import find_fovs
from pyama_core.processing.workflow.sizes import size_of_fov

_LARGEST_THUMBNAIL = 512


class AskSource(Reading):
    """A microscope file, by itself or by the folder of its outputs."""

    at: str
    out: str = ""


class AskSourceThumbnail(AskSource):
    """A frame of a position."""

    fov: int
    channel: int
    t: int | None = None
    """None for the one in the middle."""
    size: int = 128


class AskPositions(AskSource):
    """Positions in words, such as 0-3,7 or B2-B6."""

    words: str


class Positions(Message):
    """Positions by number."""

    fovs: tuple[int, ...]


class StoredDraft(Message):
    """What a run is to do, as it was saved or as it is proposed."""

    draft: Draft
    origin: str
    """Where it is from, in words."""
    is_saved: bool
    problem: str
    """Why what is saved cannot be used; empty if it can, or nothing is."""


class SaveDraft(AskSource):
    """What a run is to do."""

    draft: Draft


class Saved(Message):
    """A configuration was written."""

    path: str
    out: str
    bytes: int
    """That a run will leave, roughly, beside what is there."""
    free_bytes: int
    """On the disk."""


def source(desk: Desk, asked: AskSource) -> SourceFacts:
    """Tell what a file holds."""
    place = source_place(desk.roots, asked.at, asked.out)
    with desk.sources.use(place.file, reading_of(asked, place)) as opened:
        about = opened.metadata
        return facts_of(about, place.file, place.out_for(desk.roots, about))


def look(desk: Desk, asked: AskSource) -> Look:
    """Tell what the channels of a file show."""
    place = source_place(desk.roots, asked.at, asked.out)
    reading = reading_of(asked, place)
    with desk.sources.use(place.file, reading) as opened:
        return look_of(opened.metadata, desk.sources.look(place.file, reading))


def thumbnail(desk: Desk, asked: AskSourceThumbnail) -> Pixels:
    """Draw a position in a channel."""
    place = source_place(desk.roots, asked.at, asked.out)
    reading = reading_of(asked, place)
    if not 0 < asked.size <= _LARGEST_THUMBNAIL:
        raise InputError(f"size: expected 1 to {_LARGEST_THUMBNAIL}, found {asked.size}")
    with desk.sources.use(place.file, reading) as opened:
        n_frames = opened.metadata.shape_of(asked.fov)[0]
        t = n_frames // 2 if asked.t is None else asked.t
        what = (asked.fov, asked.channel, t, asked.size)
        key = (place.file, state_of(place.file), reading, *what)
        return Pixels.of(
            desk.thumbnails.get(
                key,
                lambda: small_picture(opened.read_frame(asked.fov, asked.channel, t), asked.size),
            )
        )


def positions(desk: Desk, asked: AskPositions) -> Positions:
    """Find positions by words."""
    place = source_place(desk.roots, asked.at, asked.out)
    with desk.sources.use(place.file, reading_of(asked, place)) as opened:
        return Positions(fovs=tuple(find_fovs(asked.words, opened.metadata.fov_names)))


def draft(desk: Desk, asked: AskSource) -> StoredDraft:
    """Return what is saved in the folder of outputs, or what suits the file."""
    place = source_place(desk.roots, asked.at, asked.out)
    reading = reading_of(asked, place)
    with desk.sources.use(place.file, reading) as opened:
        about = opened.metadata
        out = place.out_for(desk.roots, about)
        stored = load_draft(out, place.file, about)
        if stored.draft is not None:
            return StoredDraft(draft=stored.draft, origin=stored.origin, is_saved=True, problem="")
        told = look_of(about, desk.sources.look(place.file, reading))
        return StoredDraft(
            draft=_proposed(told, reading, out, about),
            origin="as proposed, by what the file says and a few frames show",
            is_saved=False,
            problem=stored.problem,
        )


def _proposed(told: Look, reading: Reading, out: Path, about: MicroscopyMetadata) -> Draft:
    samples: tuple[SampleOf, ...] = ()
    try:
        samples = proposed_samples(out, about)
    except InputError:
        samples = ()  # the table in the folder is spoilt, which whoever reads results is told
    return Draft(
        channels=ChosenChannels(pc=told.pc, segment=told.segment, fl=told.fl),
        samples=samples,
        reading=reading,
    )


def save(desk: Desk, asked: SaveDraft) -> Saved:
    """Write what a run is to do into the folder of outputs."""
    place = source_place(desk.roots, asked.at, asked.out)
    reading = asked.draft.reading
    with desk.sources.use(place.file, reading) as opened:
        about = opened.metadata
        out = place.out_for(desk.roots, about)
        _require_apart(out, place.file)
        known = saved_config(out, place.file)
        config = config_of(asked.draft, place.file, out, about, desk.roots, known)
        path = save_draft(out, place.file, config, about)
        return Saved(
            path=str(path),
            out=str(out),
            bytes=_bytes_left(config, about, out),
            free_bytes=shutil.disk_usage(out).free,
        )


def _require_apart(out: Path, file: Path) -> None:
    """Refuse outputs among the files of a data set, but for a folder of single images."""
    if out == file or (out.is_relative_to(file) and file.suffix.lower() == ".zarr"):
        raise InputError(f"{out} is part of the data set; choose another folder for the results")


def _bytes_left(config: RunConfig, about: MicroscopyMetadata, out: Path) -> int:
    analysis = analysis_of(config, about)
    if analysis.channels.cells is None:
        return 0
    keep = parse_keep(config.keep)
    fovs = find_fovs(config.fovs, about.fov_names)
    return sum(size_of_fov(about, analysis, fov, keep, out).kept for fov in fovs)


def reading_of(asked: AskSource, place: SourcePlace) -> Reading:
    """Return how a file is read: as asked for, or else as something on disk tells."""
    given = Reading(**{name: getattr(asked, name) for name in Reading.model_fields})
    return place.reading if given == Reading() and place.reading is not None else given


ENDPOINTS = (
    reads("/api/source", source),
    reads("/api/source/look", look),
    reads("/api/source/thumbnail", thumbnail),
    reads("/api/source/positions", positions),
    reads("/api/draft", draft),
    changes("/api/draft/save", save),
)
