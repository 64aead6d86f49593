"""What *Tune* shows: a frame as a run would make it, with the parameters that are set just now."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyama_core.app import bench
from pyama_core.app.bench import Trial
from pyama_core.app.controls import Methods, known_methods
from pyama_core.app.desk import Desk
from pyama_core.app.drafts import Draft, analysis_of, config_of, saved_config
from pyama_core.app.file_state import state_of
from pyama_core.app.levels import MOST, averaged, sampled, shown
from pyama_core.app.messages import Message, Pixels, Table
from pyama_core.app.places import source_place
from pyama_core.app.routes.setting_up import AskSource, reading_of
from pyama_core.app.routing import changes, reads
from pyama_core.app.tuner import Haste, StaleError
from pyama_core.errors import InputError, PyamaError
from pyama_core.io.readers.survey import first_middle_last
from pyama_core.results.grey_range import grey_range

logger = logging.getLogger(__name__)

T = TypeVar("T")

MOST_TRACKED = 10
"""Frames through which cells are followed on trial."""
_N_BINS = 24


class AskSourceFrame(AskSource):
    """A frame of a channel, as it is in the file."""

    fov: int
    channel: int
    t: int
    level: int = 0


class AskSourceRange(AskSource):
    """A channel of a position."""

    fov: int
    channel: int


class GreyRange(Message):
    """Grey values that are shown from black to full."""

    low: float
    high: float


class AskMethods(Message):
    """Nothing: all that there are."""


class AskTrial(AskSource):
    """A frame, with what is set."""

    draft: Draft
    page: str
    """Who asks: of what it asks for, the newest counts."""
    fov: int
    t: int


class AskOutlines(AskTrial):
    """A frame, with what is set."""

    in_haste: bool = False
    """Whether the diameter estimated with other parameters may be taken meanwhile."""


class AskBackground(AskTrial):
    """A fluorescence frame, with what is set."""

    channel: int


class Outlines(Message):
    """What was found in a frame."""

    number: int
    """By which its labels are asked for."""
    t: int
    count: int
    edges: tuple[float, ...]
    """Borders of the bins of a histogram of diameters, in pixels."""
    counts: tuple[int, ...]
    median_diameter: float | None
    """Of a disc with the area of an object, in pixels."""
    method: str
    kind: str
    """What the channel shows, where that chose the method; empty if it was given."""
    is_sure: bool
    reason: str
    cell_diameter: float | None
    """In pixels, as given or estimated; None if the method works without."""
    is_rough: bool
    """Whether that is of other parameters, and still to be estimated with these."""
    found_cells: bool
    """Whether there was something to estimate it from."""
    pixel_size_um: float | None
    seconds: float


class Background(Message):
    """A fluorescence frame without its background."""

    number: int
    t: int
    raw: GreyRange
    corrected: GreyRange
    background: GreyRange
    resolved: dict[str, str]
    """What was taken where parameters are left open."""
    seconds: float


class Tracks(Message):
    """Cells that were followed through some frames."""

    number: int
    frames: tuple[int, ...]
    fates: dict[str, int]
    seconds: float


class TriedOutlines(Message):
    """What became of a question for outlines."""

    found: Outlines | None = None
    problem: str = ""
    """Why there are none, in words; empty if there are, or if nobody waits for them any more."""


class TriedBackground(Message):
    """What became of a question for a correction."""

    found: Background | None = None
    problem: str = ""


class TriedTracks(Message):
    """What became of a question for tracks."""

    found: Tracks | None = None
    problem: str = ""


class AskReading(Message):
    """A picture that was computed."""

    number: int
    name: str
    """``labels``, ``corrected``, ``background``, or ``labels 12`` of a frame that was tracked."""
    level: int = 0


class AskPaths(Message):
    """Paths of cells that were followed."""

    number: int


def methods(desk: Desk, asked: AskMethods) -> Methods:
    """Tell which methods there are, and their parameters."""
    del desk, asked
    return known_methods()


def frame(desk: Desk, asked: AskSourceFrame) -> Pixels:
    """Return a frame as it is in the file."""
    _require_level(asked.level)
    place = source_place(desk.roots, asked.at, asked.out)
    with desk.sources.use(place.file, reading_of(asked, place)) as opened:
        image = opened.read_frame(asked.fov, asked.channel, asked.t)
    return Pixels.of(averaged(shown(image), asked.level))


def grey(desk: Desk, asked: AskSourceRange) -> GreyRange:
    """Return the grey values between which a channel of a position is shown."""
    place = source_place(desk.roots, asked.at, asked.out)
    with desk.sources.use(place.file, reading_of(asked, place)) as opened:
        about = opened.metadata
        frames = [
            opened.read_frame(asked.fov, asked.channel, t)
            for t in first_middle_last(about.shape_of(asked.fov)[0])
        ]
    return _range(np.stack([shown(each) for each in frames]))


def outlines(desk: Desk, asked: AskOutlines) -> TriedOutlines:
    """Find the cells of a frame."""

    def work(trial: Trial) -> Outlines:
        began = time.perf_counter()
        found = desk.tuner.ask(
            asked.page, Haste.OUTLINES, bench.segment, trial, asked.t, in_haste=asked.in_haste
        )
        diameters = np.sqrt(4 / np.pi * found.frame.areas)
        counts, edges = np.histogram(diameters, _N_BINS) if diameters.size else ((), ())
        picture, calibration = found.picture, found.calibration
        return Outlines(
            number=desk.readings.keep({"labels": bench.labels_of(found.frame)}),
            t=asked.t,
            count=diameters.size,
            edges=tuple(map(float, edges)),
            counts=tuple(map(int, counts)),
            median_diameter=float(np.median(diameters)) if diameters.size else None,
            method=found.method,
            kind="" if picture is None else str(picture.likely),
            is_sure=picture is None or picture.is_sure,
            reason="" if picture is None else picture.reason,
            cell_diameter=None if calibration is None else calibration.cell_diameter,
            is_rough=found.is_rough,
            found_cells=calibration is None or calibration.found_cells,
            pixel_size_um=trial.metadata.pixel_size_um,
            seconds=time.perf_counter() - began,
        )

    tried = _try(desk, asked, work)
    return TriedOutlines(found=tried.found, problem=tried.problem)


def background(desk: Desk, asked: AskBackground) -> TriedBackground:
    """Take the background from a fluorescence frame."""

    def work(trial: Trial) -> Background:
        began = time.perf_counter()
        found = desk.tuner.ask(
            asked.page, Haste.CORRECTION, bench.correct, trial, asked.t, asked.channel
        )
        if found is None:
            raise InputError(
                f"frame {asked.t} shows no background: the cells, enlarged by "
                "correction.dilation_size, cover all of it; a run takes that of another frame"
            )
        pictures = {"corrected": found.corrected, "background": found.background}
        return Background(
            number=desk.readings.keep(pictures),
            t=asked.t,
            raw=_range((found.corrected + found.background)[None], shines=True),
            corrected=_range(found.corrected[None], shines=True),
            background=_range(found.background[None]),
            resolved={name: str(value) for name, value in found.resolved.items()},
            seconds=time.perf_counter() - began,
        )

    tried = _try(desk, asked, work)
    return TriedBackground(found=tried.found, problem=tried.problem)


def tracks(desk: Desk, asked: AskTrial) -> TriedTracks:
    """Follow the cells through some frames, from one on; outlines come in between."""

    def work(trial: Trial) -> Tracks:
        began = time.perf_counter()
        n_frames = trial.metadata.shape_of(trial.fov)[0]
        first = max(0, min(asked.t, n_frames - MOST_TRACKED))
        frames = list(range(first, min(n_frames, first + MOST_TRACKED)))
        for t in frames:  # one by one, so that what is more urgent needs not wait for all
            desk.tuner.ask(asked.page, Haste.TRACKING, bench.segment, trial, t)
        found = desk.tuner.ask(asked.page, Haste.TRACKING, bench.track, trial, frames)
        arrays: dict[str, NDArray[Any]] = {
            f"labels {t}": labels for t, labels in zip(frames, found.labels, strict=True)
        }
        arrays |= {"cell": found.cell, "frame": found.frame, "x": found.x, "y": found.y}
        return Tracks(
            number=desk.readings.keep(arrays),
            frames=tuple(frames),
            fates=found.fates,
            seconds=time.perf_counter() - began,
        )

    tried = _try(desk, asked, work)
    return TriedTracks(found=tried.found, problem=tried.problem)


def reading(desk: Desk, asked: AskReading) -> Pixels:
    """Return a picture that was computed."""
    _require_level(asked.level)
    arrays = desk.readings.get(asked.number)
    picture = arrays.get(asked.name)
    if picture is None or picture.ndim != 2:
        raise InputError(f"reading {asked.number} has no picture {asked.name!r}")
    smaller = averaged if picture.dtype.kind == "f" else sampled
    return Pixels.of(smaller(picture, asked.level))


def paths(desk: Desk, asked: AskPaths) -> Table:
    """Return where cells were that were followed."""
    arrays = desk.readings.get(asked.number)
    if "cell" not in arrays:
        raise InputError(f"reading {asked.number} has no tracks")
    return Table.of({name: arrays[name] for name in ("cell", "frame", "x", "y")})


@dataclass(frozen=True)
class _Tried(Generic[T]):
    found: T | None = None
    problem: str = ""


def _try(desk: Desk, asked: AskTrial, work: Callable[[Trial], T]) -> _Tried[T]:
    """Do something with what is set; what is wrong with that is an answer, too."""
    try:
        return _Tried(work(_trial_of(desk, asked)))
    except StaleError:
        return _Tried()
    except PyamaError as error:
        return _Tried(problem=str(error))
    except Exception as error:
        logger.exception("trying parameters")
        return _Tried(
            problem=f"{type(error).__name__}: {error}. This is a fault of the method that is "
            "chosen, or of the program; the terminal of pyama app tells more."
        )


def _trial_of(desk: Desk, asked: AskTrial) -> Trial:
    place = source_place(desk.roots, asked.at, asked.out)
    with desk.sources.use(place.file, asked.draft.reading) as opened:
        about = opened.metadata
        out = place.out_for(desk.roots, about)
        known = saved_config(out, place.file)
        config = config_of(asked.draft, place.file, out, about, desk.roots, known)
        return Trial(about, state_of(place.file), analysis_of(config, about), asked.fov)


def _range(stack: NDArray[Any], *, shines: bool = False) -> GreyRange:
    low, high = grey_range(stack, shines=shines)
    return GreyRange(low=low, high=high)


def _require_level(level: int) -> None:
    if not 0 <= level <= MOST:
        raise InputError(f"level: expected 0 to {MOST}, found {level}")


ENDPOINTS = (
    reads("/api/source/frame", frame),
    reads("/api/source/range", grey),
    reads("/api/tune/methods", methods),
    reads("/api/tune/reading", reading),
    reads("/api/tune/paths", paths),
    changes("/api/tune/outlines", outlines, is_slow=True),
    changes("/api/tune/background", background, is_slow=True),
    changes("/api/tune/tracks", tracks, is_slow=True),
)
