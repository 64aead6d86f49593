"""What results hold, at a glance, from their records alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pyama_core.app.messages import Message
from pyama_core.errors import DamagedFileError, InputError
from pyama_core.io.storage.locks import find_holder
from pyama_core.outputs import TRACES_CSV, TRACKS_CSV, step_names
from pyama_core.processing.extraction.quality import reasons_in
from pyama_core.processing.workflow.doubts import About, find_doubts
from pyama_core.processing.workflow.fov_state import DONE, FovState
from pyama_core.results.fov_results import FovResults
from pyama_core.results.results import Results

State = Literal["done", "running", "unfinished", "failed", "damaged"]

_FEW_GOOD = 0.5


class FovRow(Message):
    """A field of view in the list of all."""

    fov: int
    name: str
    sample: str
    state: State
    n_cells: int | None
    """That the run found."""
    n_good: int | None
    """That can be trusted, where a single channel was measured: of several, records tell only how
    many are good in each."""
    trouble: float
    """How much it needs a look, from 0 to 1."""
    words: str
    """What the trouble is; empty if there is none."""
    contradictions: tuple[str, ...] = ()
    """What contradicts what was assumed of the cells, and what to try."""


class SampleRow(Message):
    """A condition, and its fields of view."""

    sample: str
    place: int
    """Among all samples, those without results included, by which its colour is known."""
    fovs: tuple[int, ...]


class Overview(Message):
    """What an output folder holds."""

    at: str
    title: str
    source: str
    """Where the microscope file was; empty where that is not known."""
    n_frames: int
    pixel_size_um: float | None
    channels: tuple[str, ...]
    """That were measured."""
    samples: tuple[SampleRow, ...]
    samples_problem: str
    """Why samples cannot be read; empty if they can."""
    fovs: tuple[FovRow, ...]


def overview_of(results: Results, fovs: Sequence[FovResults]) -> Overview:
    """Describe an output folder by its records."""
    samples, problem = None, ""
    try:
        samples = results.read_samples()
    except InputError as error:
        problem = str(error)
    rows = [_row(fov, samples.of(fov.number) if samples else "") for fov in fovs]
    there = {fov.number for fov in fovs}
    groups = {} if samples is None else {name: samples.fovs_of(name) for name in samples.all()}
    source = results.source
    return Overview(
        at=str(results.folder),
        title=results.folder.name,
        source=source.path if source else "",
        n_frames=max((shape[0] for shape in source.fov_shapes), default=0) if source else 0,
        pixel_size_um=source.pixel_size_um if source else None,
        channels=tuple(results.channels),
        samples=tuple(
            SampleRow(sample=name, place=place, fovs=tuple(fov for fov in members if fov in there))
            for place, (name, members) in enumerate(groups.items())
            if there & set(members)
        ),
        samples_problem=problem,
        fovs=tuple(rows),
    )


def _row(fov: FovResults, sample: str) -> FovRow:
    try:
        state = fov.state
    except DamagedFileError as error:
        return FovRow(
            fov=fov.number,
            name=fov.name,
            sample=sample,
            state="damaged",
            n_cells=None,
            n_good=None,
            trouble=1.0,
            words=str(error),
        )
    counted = _counted(state)
    word = state_of(fov, state)
    trouble, words = _trouble(word, state, counted)
    return FovRow(
        fov=fov.number,
        name=fov.name,
        sample=sample,
        state=word,
        n_cells=counted.cells,
        n_good=counted.good if counted.n_channels == 1 else None,
        trouble=trouble,
        words=words,
        contradictions=tuple(map(str, find_doubts(state))),
    )


def state_of(fov: FovResults, state: FovState) -> State:
    """Return how far the run came with a field of view."""
    if find_holder(fov.folder) is not None:
        return "running"
    if state.record.failure is not None:
        return "failed"
    steps = {state.state_of(fov.folder, step) for step in step_names()} - {"not asked for"}
    return "done" if steps <= set(DONE) else "unfinished"


@dataclass(frozen=True)
class _Counted:
    """What a record tells of cells: how many, how many are good at most, why others are not."""

    cells: int | None
    good: int | None
    n_channels: int
    reasons: Counter[str]


def _counted(state: FovState) -> _Counted:
    found: list[int] = []
    good: list[int] = []
    reasons = Counter[str]()
    for name, entry in state.record.outputs.items():
        if entry.kind in (TRACKS_CSV.name, TRACES_CSV.name) and name not in state.outdated:
            found.append(entry.summary.get("cells", 0))
            if "good" in entry.summary:
                good.append(entry.summary["good"])
                reasons |= Counter(reasons_in(entry.summary))
    return _Counted(max(found, default=None), min(good, default=None), len(good), reasons)


def _trouble(word: State, state: FovState, counted: _Counted) -> tuple[float, str]:
    """Return how much a field of view needs a look, and why."""
    failure = state.record.failure
    if word == "failed" and failure is not None:
        return 1.0, f"{failure.step} failed: {failure.reason(state.record.fov)}"
    if word == "unfinished":
        return 0.9, "not finished; run again to go on"
    if counted.cells == 0:
        return 0.8, "no cells in any frame"
    if uncorrected := state.uncorrected():
        return 0.7, f"not corrected: {next(iter(uncorrected.values()))}"
    if doubts := [each for each in find_doubts(state) if each.about is not About.GOOD]:
        return 0.65, str(doubts[0])
    if missing := state.missing_frames():
        return 0.6, f"frames {next(iter(missing.values()))} are missing in the file"
    if counted.cells and counted.good is not None:
        bad = 1 - counted.good / counted.cells
        if bad > _FEW_GOOD:
            most = counted.reasons.most_common(1)
            why = f", most others: {most[0][0]}" if most and most[0][1] else ""
            limit = "at most " if counted.n_channels > 1 else ""
            return bad / 2, f"{limit}{counted.good} of {counted.cells} cells are good{why}"
        return bad / 2, ""
    return 0.0, ""
