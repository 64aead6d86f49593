"""How runs are, as the page is told."""

from __future__ import annotations

from typing import Literal

from pyama_core.app.messages import Message

RunKind = Literal[
    "none",
    "starting",
    "running",
    "stopping",
    "finishing",
    "refused",
    "unfinished",
    "failed",
    "older",
    "done",
]
FovKind = Literal["done", "older", "failed", "running", "waiting", "unfinished", "damaged"]


class FovAt(Message):
    """How far work on a field of view is."""

    fov: int
    name: str
    state: FovKind
    step: str
    """At which it is, or failed."""
    done: int
    total: int
    """Frames of that step."""
    steps_done: int
    n_steps: int
    error: str
    doubts: tuple[str, ...]
    lacks: str
    """Frames that are not in the file, or damaged there, and were left out; empty if none."""


class RunBy(Message):
    """A process that works on fields of view now."""

    host: str
    pid: int
    since: str
    n_fovs: int
    silent_minutes: int
    """How long it has not shown that it lives, if that is longer than it may be; else 0."""


class DoubtTold(Message):
    """Something that contradicts what was assumed of the cells, in one or several positions."""

    text: str
    """What was found in the first of them."""
    advice: str
    fovs: tuple[int, ...]
    is_same: bool
    """Whether the same is said of all; else only the kind is, such as another diameter."""


class LastRun(Message):
    """The last run that has ended, as it noted itself."""

    started: float
    ended: float
    """Seconds since 1970."""
    command: str
    host: str
    counts: dict[str, int]


class RunAt(Message):
    """How the runs into an output folder are."""

    out: str
    state: RunKind
    by: tuple[RunBy, ...]
    done: int
    total: int
    """Frames through steps, and all of the fields of view that are asked for."""
    frames_per_s: float | None
    """A frame counts when all steps had it."""
    seconds_left: float | None
    seconds: float | None
    """Since the run began."""
    counts: dict[str, int]
    """Fields of view by state."""
    fovs: tuple[FovAt, ...]
    doubts: tuple[DoubtTold, ...]
    said: str
    """What a run that ended before it worked on anything said."""
    last: LastRun | None
    has_report: bool
    has_log: bool
