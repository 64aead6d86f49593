"""What a microscope file holds, as `pyama inspect` tells it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pyama_core.app.messages import Message
from pyama_core.app.sources import Seen
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.readers.intervals import describe_times, interval_of
from pyama_core.io.readers.survey import dark_warning
from pyama_core.processing.frame import refusal_of
from pyama_core.processing.workflow.services.roles import propose_roles, shows_nuclei
from pyama_core.processing.workflow.services.wells import well_of


class Fact(Message):
    """Something that is known of a file."""

    name: str
    words: str


class ChannelFact(Message):
    """A channel as the file names it."""

    channel: int
    name: str
    emission_nm: float | None


class FovFact(Message):
    """A field of view as the file describes it."""

    fov: int
    name: str
    n_frames: int
    height: int
    width: int
    well: tuple[int, int] | None
    """Row and column on a plate, from 1, where the name tells."""


class SourceFacts(Message):
    """What a file holds, without a look at its pixels."""

    file: str
    out: str
    """The folder of outputs that belongs to it."""
    title: str
    words: str
    """All in a sentence."""
    facts: tuple[Fact, ...]
    warnings: tuple[str, ...]
    refusal: str
    """Why no run can take it; empty if one can."""
    channels: tuple[ChannelFact, ...]
    fovs: tuple[FovFact, ...]
    n_frames: int
    has_times: bool
    """Whether it says when its frames were taken."""
    n_z: int
    pixel_size_um: float | None


class ChannelLook(Message):
    """What a channel shows, as far as a few frames tell."""

    channel: int
    low: float | None
    high: float | None
    """Smallest and largest grey value seen."""
    kind: str
    """What it shows; empty if that cannot be told, for it is dark or cannot be read."""
    is_sure: bool
    method: str
    """The segmentation that suits it."""
    reason: str
    is_nuclear: bool
    """Whether it has the name of a nuclear stain."""


class Look(Message):
    """What the channels show, and what each is taken for."""

    channels: tuple[ChannelLook, ...]
    pc: int | None
    segment: int | None
    fl: tuple[int, ...]
    warnings: tuple[str, ...]
    """Of channels that are dark, and frames that cannot be read."""


def facts_of(about: MicroscopyMetadata, file: Path, out: Path) -> SourceFacts:
    """Describe a file."""
    refusal = refusal_of(about.dtype)
    return SourceFacts(
        file=str(file),
        out=str(out),
        title=file.name,
        words=_sentence(about),
        facts=tuple(Fact(name=name, words=words) for name, words in _facts(about)),
        warnings=about.warnings,
        refusal="" if refusal is None else f"pyama run refuses it: it {refusal}",
        channels=tuple(
            ChannelFact(
                channel=channel,
                name=name,
                emission_nm=about.emission_nm[channel] if about.emission_nm else None,
            )
            for channel, name in enumerate(about.channel_names)
        ),
        fovs=tuple(_fov(about, fov) for fov in range(about.n_fovs)),
        n_frames=about.n_frames,
        has_times=interval_of(about) is not None,
        n_z=about.n_z,
        pixel_size_um=about.pixel_size_um,
    )


def _fov(about: MicroscopyMetadata, fov: int) -> FovFact:
    n_frames, height, width = about.fov_shapes[fov]
    well = well_of(about.fov_names[fov])
    return FovFact(
        fov=fov,
        name=about.fov_names[fov],
        n_frames=n_frames,
        height=height,
        width=width,
        well=None if well is None else (well.row, well.column),
    )


def _sentence(about: MicroscopyMetadata) -> str:
    counts = [
        _counted(about.n_fovs, "position"),
        _counted(about.n_frames, "frame"),
        _counted(about.n_channels, "channel"),
    ]
    return f"{', '.join(counts)}, {about.width} × {about.height} pixels"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _facts(about: MicroscopyMetadata) -> Iterator[tuple[str, str]]:
    yield "file type", about.file_type
    for note in about.notes:
        yield "read as", note.removeprefix("names are read as ")
    yield "times", describe_times(about, "say how long it is between frames, under Results")
    size = about.pixel_size_um
    yield "pixel size", "unknown" if size is None else f"{size:.4g} µm"
    bits = "" if about.bit_depth is None else f", {about.bit_depth} bits used"
    yield "pixels", f"{about.dtype}{bits}"
    if about.n_z > 1:
        step = "" if about.z_step_um is None else f", {about.z_step_um:.4g} µm apart"
        yield "z planes", f"{about.n_z}{step}"


def look_of(about: MicroscopyMetadata, seen: Seen) -> Look:
    """Describe what channels show."""
    roles = propose_roles(about, seen.survey, seen.pictures)
    dark = [
        dark_warning(about, channel)
        for channel, limits in enumerate(seen.survey.ranges)
        if limits == (0, 0)
    ]
    return Look(
        channels=tuple(_channel(about, seen, channel) for channel in range(about.n_channels)),
        pc=roles.pc,
        segment=roles.segment,
        fl=roles.fl,
        warnings=(*dark, *seen.survey.failures[:3]),
    )


def _channel(about: MicroscopyMetadata, seen: Seen, channel: int) -> ChannelLook:
    limits, picture = seen.survey.ranges[channel], seen.pictures.get(channel)
    told = (
        {"kind": "", "is_sure": False, "method": "", "reason": ""}
        if picture is None
        else {
            "kind": str(picture.likely),
            "is_sure": picture.is_sure,
            "method": picture.method,
            "reason": picture.reason,
        }
    )
    return ChannelLook(
        channel=channel,
        low=None if limits is None else limits[0],
        high=None if limits is None else limits[1],
        is_nuclear=shows_nuclei(about.channel_names[channel]),
        **told,
    )
