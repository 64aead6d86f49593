"""`pyama inspect`."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyama_core.cli.messages import quieten
from pyama_core.cli.run_line import UNKNOWN_CHANNEL, as_line, words_of_run
from pyama_core.cli.streams import echo
from pyama_core.io.microscopy import FrameSource, MicroscopyMetadata, load_microscopy_file
from pyama_core.io.readers.intervals import describe_times, interval_of
from pyama_core.io.readers.survey import Survey, dark_warning, survey
from pyama_core.io.urls import text_of
from pyama_core.processing.frame import refusal_of
from pyama_core.processing.segmentation.picture.kind import Picture
from pyama_core.processing.workflow.keeping import CHOICES, KEEP_ALL, Keep
from pyama_core.processing.workflow.services.analysis import Analysis, ChannelChoice
from pyama_core.processing.workflow.services.pictures import look_at_channel
from pyama_core.processing.workflow.services.roles import Pictures
from pyama_core.processing.workflow.sizes import FovSize, most_at_once, size_of_fov

if TYPE_CHECKING:
    from rich.table import Table

_SHOWN_FOVS = 12

# Measured on one core of a server of the 2020s, reading from and writing to its page cache.
_STARTUP_S = 3.0
_PHASE_S_PER_PIXEL = 20e-9
_FLUORESCENCE_S_PER_PIXEL = 15e-9
_WRITTEN_BYTES_PER_S = 1e9


def show(file: Path, *, as_json: bool, options: dict[str, Any], thumbnail: Path | None) -> int:
    """Show what a microscope file holds, read with some options."""
    # What the reader notes is a row of the table, and a field of the JSON.
    quieten(logging.WARNING)
    source, metadata = load_microscopy_file(file, **options)
    with source:
        seen = survey(source)
        refusal = refusal_of(metadata.dtype)
        pictures = {} if refusal else _look_at_channels(source, seen)
    if thumbnail is not None:
        from pyama_core.cli.thumbnail import write_contact_sheet

        write_contact_sheet(thumbnail, seen, metadata)
    can_run = refusal is None and seen.seconds_per_frame is not None
    words = words_of_run(file, options, metadata, seen, pictures) if can_run else None
    if as_json:
        content = {**as_plain_data(metadata, seen), "pictures": _as_plain(pictures), "run": words}
        echo(json.dumps(content, indent=1, allow_nan=False))
    else:
        _print_tables(metadata, seen)
        _print_pictures(metadata, pictures)
    for warning in dark_warnings(metadata, seen):
        echo(f"warning: {warning}", err=True)
    if refusal is not None:
        echo(f"warning: pyama run refuses it: it {refusal}", err=True)
    for failure in seen.failures[:1]:
        if seen.seconds_per_frame is None:
            echo(f"error: none of the frames looked at can be read: {failure}", err=True)
            return 1
        echo(f"warning: {failure} ({len(seen.failures)} of the frames looked at)", err=True)
    if words is not None and not as_json:
        _print_run(words)
    return 0


def _look_at_channels(source: FrameSource, seen: Survey) -> dict[int, Picture]:
    """Tell what each channel shows that has frames and is not dark."""
    lit = [channel for channel, limits in enumerate(seen.ranges) if limits not in (None, (0, 0))]
    return {channel: look_at_channel(source, channel) for channel in lit}


def _as_plain(pictures: Pictures) -> list[dict[str, Any]]:
    return [
        {
            "channel": channel,
            "kind": picture.kind,
            "likely": picture.likely,
            "segmentation": picture.method,
            "reason": picture.reason,
            **dataclasses.asdict(picture.contrast),
            "n_frames": picture.n_frames,
            "n_telling": picture.n_telling,
        }
        for channel, picture in pictures.items()
    ]


def _print_pictures(metadata: MicroscopyMetadata, pictures: Pictures) -> None:
    """Say what channels show, and why."""
    from rich.console import Console

    console = Console()
    if pictures:
        console.print()
    for channel, picture in pictures.items():
        told = f"channel {metadata.channel_title(channel)} shows {picture}"
        console.print(told, markup=False, highlight=False)


def _print_run(words: list[str]) -> None:
    """End with the line to type, in one piece however wide the terminal is."""
    unknown = UNKNOWN_CHANNEL in words
    doubt = f"; no channel surely shows cells: put yours for {UNKNOWN_CHANNEL}"
    echo(f"\nto run it{doubt if unknown else ''}:\n{as_line(words)}")


def as_plain_data(metadata: MicroscopyMetadata, seen: Survey) -> dict[str, Any]:
    """Return the fields of the metadata and what was found out beside them, ready for JSON."""
    fields = {field.name: getattr(metadata, field.name) for field in dataclasses.fields(metadata)}
    fields["file_path"] = text_of(metadata.file_path)
    fields["companions"] = [str(path) for path in metadata.companions]
    fields["options"] = dict(metadata.options)
    fields["warnings"] = [*metadata.warnings, *dark_warnings(metadata, seen)]
    interval = interval_of(metadata)
    return {
        **fields,
        "interval_min": None if interval is None else dataclasses.asdict(interval),
        "intensity_ranges": [_finite(limits) for limits in seen.ranges],
        "size_on_disk_bytes": size_on_disk(metadata),
        "estimated_output_bytes": estimate_output_bytes(metadata),
        "estimated_bytes_by_keep": {
            choice: {
                "kept": estimate_output_bytes(metadata, keep),
                "most_at_once": estimate_peak_bytes(metadata, keep, os.cpu_count() or 1),
            }
            for choice, keep in CHOICES.items()
        },
        "estimated_run_seconds": estimate_run_seconds(metadata, seen, os.cpu_count() or 1),
    }


def dark_warnings(metadata: MicroscopyMetadata, seen: Survey) -> list[str]:
    """Name the channels that are zero throughout all frames looked at."""
    return [
        dark_warning(metadata, channel)
        for channel, limits in enumerate(seen.ranges)
        if limits == (0, 0)
    ]


def _finite(limits: tuple[float, float] | None) -> tuple[float | None, ...] | None:
    """Replace what JSON has no number for."""
    if limits is None:
        return None
    return tuple(value if math.isfinite(value) else None for value in limits)


def size_on_disk(metadata: MicroscopyMetadata) -> int:
    """Size of all files of a data set in bytes."""
    return sum(path.stat().st_size for path in metadata.companions)


def estimate_output_bytes(metadata: MicroscopyMetadata, keep: Keep = KEEP_ALL) -> int:
    """Size of what a run leaves if one channel is phase contrast and all others fluorescence.

    A channel that is alone is segmented and measured.
    """
    return sum(size.kept for size in _sizes_of_fovs(metadata, keep))


def estimate_peak_bytes(metadata: MicroscopyMetadata, keep: Keep, n_workers: int) -> int:
    """Size of what that run has on disk when it has the most."""
    return most_at_once(_sizes_of_fovs(metadata, keep), n_workers, n_workers)


def _sizes_of_fovs(metadata: MicroscopyMetadata, keep: Keep) -> Iterator[FovSize]:
    others = tuple(range(1, metadata.n_channels))
    channels = ChannelChoice(pc=0, fl=others) if others else ChannelChoice(segment=0, fl=(0,))
    analysis = Analysis(channels)
    return (size_of_fov(metadata, analysis, fov, keep) for fov in range(metadata.n_fovs))


def estimate_run_seconds(metadata: MicroscopyMetadata, seen: Survey, n_workers: int) -> float:
    """Estimate how long that run takes: the slower of copying and of the workers beside it.

    Reading is as fast as it was just now; the rest are times measured once, on one machine.
    """
    n_frames = sum(shape[0] for shape in metadata.fov_shapes)
    n_pixels = sum(math.prod(shape) for shape in metadata.fov_shapes)
    planes = n_frames * metadata.n_channels
    copying = planes * (seen.seconds_per_frame or 0.0)
    copying += estimate_output_bytes(metadata) / _WRITTEN_BYTES_PER_S
    per_pixel = _PHASE_S_PER_PIXEL + (metadata.n_channels - 1) * _FLUORESCENCE_S_PER_PIXEL
    working = n_pixels * per_pixel / min(n_workers, metadata.n_fovs)
    first = max(math.prod(shape) for shape in metadata.fov_shapes)
    # The workers wait for the first field of view to be copied.
    return _STARTUP_S + max(copying, working) + copying * first / max(n_pixels, 1)


def _print_tables(metadata: MicroscopyMetadata, seen: Survey) -> None:
    from rich.console import Console

    console = Console()
    console.print(text_of(metadata.file_path), style="bold", markup=False, highlight=False)
    for table in (
        _table(["", ""], list(_summary(metadata, seen)), show_header=False),
        _channel_table(metadata, seen),
        _fov_table(metadata),
    ):
        console.print()
        console.print(table)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], **style: Any) -> Table:
    """Make a table without the columns that have nothing in them."""
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    kept = [i for i in range(len(titles)) if any(row[i] for row in rows)]
    table = Table(*(titles[i] for i in kept), box=SIMPLE, show_edge=False, **style)
    for row in rows:
        table.add_row(*(escape(row[i]) for i in kept))
    return table


def _summary(metadata: MicroscopyMetadata, seen: Survey) -> Iterator[tuple[str, str]]:
    pixel = "unknown" if metadata.pixel_size_um is None else f"{metadata.pixel_size_um:.4g} µm"
    step = "" if metadata.z_step_um is None else f", {metadata.z_step_um:.4g} µm apart"
    n_workers = os.cpu_count() or 1
    seconds = estimate_run_seconds(metadata, seen, n_workers)
    yield "file type", metadata.file_type
    for note in metadata.notes:
        yield "read as", note.removeprefix("names are read as ")
    yield "FOVs", str(metadata.n_fovs)
    yield "frames", _span(shape[0] for shape in metadata.fov_shapes)
    yield "times", describe_times(metadata)
    yield "frame size", f"{_frame_sizes(metadata)} pixels of {metadata.dtype}"
    yield "pixel size", pixel
    yield "z planes", f"{metadata.n_z}{step}"
    if metadata.companions:
        yield "size on disk", describe_bytes(size_on_disk(metadata))
    writes = f"writes about {describe_bytes(estimate_output_bytes(metadata))}"
    takes = f"takes roughly {describe_seconds(seconds)} with {n_workers} workers"
    yield "a run of all", f"{writes}, {takes}"
    less = [
        f"--keep {choice} leaves {describe_bytes(estimate_output_bytes(metadata, keep))} (at most "
        f"{describe_bytes(estimate_peak_bytes(metadata, keep, n_workers))} at a time)"
        for choice, keep in CHOICES.items()
        if keep != KEEP_ALL
    ]
    yield "keeping less", ", ".join(less)


def _channel_table(metadata: MicroscopyMetadata, seen: Survey) -> Table:
    rows = []
    for channel, name in enumerate(metadata.channel_names):
        emission = metadata.emission_nm[channel] if metadata.emission_nm else None
        limits = seen.ranges[channel]
        rows.append(
            (
                str(channel),
                name,
                "" if emission is None else f"{emission:.0f} nm",
                "" if limits is None else f"{limits[0]:.6g} to {limits[1]:.6g}",
                _bits(metadata, limits),
            )
        )
    return _table(("channel", "name", "emission", "grey values seen", "bits used"), rows)


def _bits(metadata: MicroscopyMetadata, limits: tuple[float, float] | None) -> str:
    """Say how many bits the values seen need, of those that the file says a pixel has."""
    of = "" if metadata.bit_depth is None else f"of {metadata.bit_depth}"
    if limits is None or metadata.dtype.startswith("float") or not limits[0] >= 0:
        return of
    return f"{int(limits[1]).bit_length()} {of}".rstrip()


def _fov_table(metadata: MicroscopyMetadata) -> Table:
    rows = []
    for fov in range(min(metadata.n_fovs, _SHOWN_FOVS)):
        n_frames, height, width = metadata.fov_shapes[fov]
        begins = metadata.timepoints[fov][0] if metadata.timepoints[fov] else None
        stage = metadata.stage_positions_um[fov] if metadata.stage_positions_um else None
        rows.append(
            (
                str(fov),
                metadata.fov_names[fov],
                str(n_frames),
                f"{width} × {height}",
                "" if begins is None else _minutes(begins),
                "" if stage is None else f"{stage[0]:.1f}, {stage[1]:.1f}",
            )
        )
    if metadata.n_fovs > _SHOWN_FOVS:
        rows.append(("…", f"{metadata.n_fovs - _SHOWN_FOVS} more", "", "", "", ""))
    titles = ("FOV", "name", "frames", "width × height", "begins at", "stage x, y (µm)")
    return _table(titles, rows)


def _minutes(time: float) -> str:
    return f"{time * 60:.3g} s" if 0 < time < 1 else f"{time:.4g} min"


def _span(values: Iterator[int]) -> str:
    low, *others = sorted(set(values))
    return f"{low} to {others[-1]}" if others else str(low)


def _frame_sizes(metadata: MicroscopyMetadata) -> str:
    sizes = {shape[1:] for shape in metadata.fov_shapes}
    unequal = "at most " if len(sizes) > 1 else ""
    return f"{unequal}{metadata.width} × {metadata.height}"


def describe_bytes(size: int) -> str:
    """Write a size for a person.

    Examples
    --------
    >>> describe_bytes(1_234_567)
    '1.23 MB'
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} bytes"


def describe_seconds(seconds: float) -> str:
    """Write a duration for a person.

    Examples
    --------
    >>> describe_seconds(42), describe_seconds(600), describe_seconds(10_000)
    ('42 s', '10 min', '2.8 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
