"""How the runs into an output folder are, told from records, locks and logs alone.

So it does not matter who began them, on which computer, and whether anybody looked.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pyama_core.app.at_work import holders_in, runs_by
from pyama_core.app.file_state import FileState, state_of
from pyama_core.app.run_jobs import RunJobs, Standing, said_in
from pyama_core.app.run_logs import RunLogs, Told, logs_in
from pyama_core.app.run_messages import DoubtTold, FovAt, FovKind, LastRun, RunAt, RunBy, RunKind
from pyama_core.io.storage.host import host_name
from pyama_core.io.storage.naming import (
    ASKED_NAME,
    REPORT_NAME,
    RUNS_NAME,
    STOP_NAME,
    records_by_fov,
)
from pyama_core.io.storage.records import load_record
from pyama_core.processing.workflow.asked_fovs import load_asked
from pyama_core.processing.workflow.doubts import About, Doubt, compare_counts, find_doubts
from pyama_core.processing.workflow.fov_state import DONE, FovState
from pyama_core.processing.workflow.run_notes import read_notes
from pyama_core.processing.workflow.source_description import load_description

_MOST_FOLLOWED = 16
_SETTLED: tuple[FovKind, ...] = ("done", "failed", "damaged")
_FIRST_LOOKED_AT = 3
_LEAST_ELAPSED_S = 3.0
_FIRST_STEP = "copying"
"""Done long before all others: how fast it is says nothing of them."""


@dataclass(frozen=True)
class _Record:
    """What the record of a field of view says, until it changes."""

    seen: FileState
    state: FovState | None
    steps: dict[str, str]
    standing: str
    doubts: tuple[Doubt, ...]


class Follower:
    """Follows the runs into one output folder; not for several threads at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._logs = RunLogs(folder)
        self._records: dict[int, _Record] = {}

    def look(self, jobs: RunJobs) -> RunAt:
        """Tell how the runs are now."""
        folder = self._folder
        paths = records_by_fov(folder)
        self._records = {fov: self._record(fov, path) for fov, path in paths.items()}
        self._logs.read()
        holders = holders_in(folder)
        if holders:
            jobs.note_seen(folder)
        standing = jobs.standing(folder)
        asked = sorted({*paths, *load_asked(folder), *holders})
        names, lengths, channels = self._described()
        rows = tuple(self._row(fov, holders.get(fov), names, lengths, channels) for fov in asked)
        counts = Counter(row.state for row in rows)
        state = _state_of(folder, bool(holders), standing, counts)
        by = runs_by(folder, holders)
        done, total = self._frames(rows, lengths)
        rate, left, elapsed = self._pace(by, done, total, rows)
        return RunAt(
            out=str(folder),
            state=state,
            by=by,
            done=done,
            total=total,
            frames_per_s=rate,
            seconds_left=left,
            seconds=elapsed,
            counts=dict(counts),
            fovs=rows,
            doubts=self._doubts(),
            said=said_in(folder) if state == "refused" else "",
            last=_last_run(folder),
            has_report=(folder / REPORT_NAME).is_file(),
            has_log=bool(logs_in(folder)),
        )

    def _record(self, fov: int, path: Path) -> _Record:
        seen = state_of(path)
        known = self._records.get(fov)
        if known is not None and known.seen == seen:
            return known
        record = load_record(path)
        if record is None:
            return _Record(seen, None, {}, "damaged", ())
        state = FovState(record)
        steps = {
            step: word
            for step, word in state.steps_in(path.parent).items()
            if word != "not asked for"
        }
        doubts = tuple(find_doubts(state))
        return _Record(seen, state, steps, _standing_of(state, path.parent), doubts)

    def _described(self) -> tuple[tuple[str, ...], tuple[int, ...], tuple[str, ...]]:
        """Return names of fields of view, how many frames each has, and names of channels."""
        if not self._folder.is_dir() or (described := load_description(self._folder)) is None:
            return (), (), ()
        lengths = tuple(shape[0] for shape in described.fov_shapes)
        return described.fov_names, lengths, described.channel_names

    def _row(
        self,
        fov: int,
        holder: dict[str, str | int] | None,
        names: Sequence[str],
        lengths: Sequence[int],
        channels: Sequence[str],
    ) -> FovAt:
        record = self._records.get(fov)
        steps = {} if record is None else record.steps
        n_done = sum(word in DONE for word in steps.values())
        step = next((name for name, word in steps.items() if word not in DONE), "")
        done, total = 0, lengths[fov] if fov < len(lengths) else 0
        state = _fov_kind(record, is_held=holder is not None)
        told = None if holder is None else self._logs.told.get(int(holder["pid"]))
        if holder is not None and told is not None and fov in told.at:
            at_step, done_there, total = told.at[fov]
            if steps.get(at_step) in DONE:
                done_there = 0  # the record tells more
            else:
                step = at_step
            done, state = done_there, "running" if state != "done" else state
        failure = None if record is None or record.state is None else record.state.record.failure
        error = ""
        if failure is not None and state == "failed":
            step = failure.step
            error = failure.reason(fov)
        return FovAt(
            fov=fov,
            name=names[fov] if fov < len(names) else "",
            state=state,
            step="" if state == "done" else step,
            done=done,
            total=total,
            steps_done=n_done,
            n_steps=len(steps),
            error=error,
            doubts=() if record is None else tuple(map(str, record.doubts)),
            lacks=_lacks(record, channels),
        )

    def _frames(self, rows: Iterable[FovAt], lengths: Sequence[int]) -> tuple[int, int]:
        """Return frames through steps, and how many there are."""
        done = total = 0
        n_steps = max((row.n_steps for row in rows), default=0)
        for row in rows:
            length = lengths[row.fov] if row.fov < len(lengths) else row.total
            total += length * (row.n_steps or n_steps)
            done += length * row.steps_done + (row.done if row.state == "running" else 0)
        return min(done, total), total

    def _pace(
        self, by: Sequence[RunBy], done: int, total: int, rows: Iterable[FovAt]
    ) -> tuple[float | None, float | None, float | None]:
        """Return frames per second, and seconds that are left and that have gone."""
        told = [self._logs.told[run.pid] for run in by if run.pid in self._logs.told]
        if not told:
            return None, None, None
        began = min(each.began for each in told)
        is_here = all(run.host == host_name() for run in by)
        now = datetime.now() if is_here else max(each.latest for each in told)  # noqa: DTZ005
        elapsed = (now - began).total_seconds()
        worked = _worked(told)
        is_known = any(step != _FIRST_STEP for each in told for _, step in each.worked)
        n_steps = max((row.n_steps for row in rows), default=0)
        if elapsed < _LEAST_ELAPSED_S or not worked or not n_steps or not is_known:
            return None, None, max(0.0, elapsed)
        pace = worked / elapsed
        return pace / n_steps, (total - done) / pace if done < total else None, elapsed

    def _doubts(self) -> tuple[DoubtTold, ...]:
        """Return what is in doubt, once for all fields of view of which the like is said."""
        found: dict[About, list[tuple[int, Doubt]]] = {}
        states: list[FovState] = []
        for fov, record in self._records.items():
            if record.state is not None and len(states) < _FIRST_LOOKED_AT and record.steps:
                states.append(record.state)
            for doubt in record.doubts:
                found.setdefault(doubt.about, []).append((fov, doubt))
        if (jump := compare_counts(states)) is not None:
            found[jump.about] = [(state.record.fov, jump) for state in states]
        return tuple(
            DoubtTold(
                text=alike[0][1].text,
                advice=alike[0][1].advice,
                fovs=tuple(fov for fov, _ in alike),
                is_same=all(doubt == alike[0][1] for _, doubt in alike),
            )
            for alike in found.values()
        )


class Followers:
    """Followers of the folders that pages look at; safe to use from several threads.

    Parameters
    ----------
    jobs : RunJobs
        Runs that the page began.
    """

    def __init__(self, jobs: RunJobs) -> None:
        self._jobs = jobs
        self._lock = threading.Lock()
        self._known: OrderedDict[Path, tuple[Follower, threading.Lock]] = OrderedDict()
        self._seen: dict[Path, object] = {}

    def look(self, folder: Path) -> RunAt:
        """Tell how the runs into a folder are, which is watched from now on."""
        with self._lock:
            known = self._known.setdefault(folder, (Follower(folder), threading.Lock()))
            self._known.move_to_end(folder)
            while len(self._known) > _MOST_FOLLOWED:
                self._seen.pop(self._known.popitem(last=False)[0], None)
        follower, turn = known
        with turn:
            return follower.look(self._jobs)

    def changed(self) -> list[Path]:
        """Return the folders in which something happened since this was asked last."""
        with self._lock:
            folders = list(self._known)
        found = []
        for folder in folders:
            now = self._fingerprint(folder)
            if self._seen.get(folder) != now:
                found.append(folder)
            self._seen[folder] = now
        return found

    def _fingerprint(self, folder: Path) -> object:
        standing = self._jobs.standing(folder)
        shared = [
            state_of(folder / name) for name in (RUNS_NAME, REPORT_NAME, ASKED_NAME, STOP_NAME)
        ]
        logs = [state_of(path) for path in logs_in(folder)]
        locks = holders_in(folder)
        records = [state_of(path) for path in records_by_fov(folder).values()]
        return standing, shared, logs, sorted(locks), records


def failed_fovs(folder: Path) -> list[int]:
    """Return the fields of view that failed, by their records."""
    found = []
    for fov, path in records_by_fov(folder).items():
        record = load_record(path)
        if record is not None and record.failure is not None:
            found.append(fov)
    return found


def _state_of(
    folder: Path, is_held: bool, standing: Standing | None, counts: Counter[FovKind]
) -> RunKind:
    lives = standing is not None and standing.exit_code is None
    if is_held:
        return "stopping" if (folder / STOP_NAME).exists() else "running"
    if standing is not None and lives:
        return "finishing" if standing.was_seen else "starting"
    if standing is not None and standing.exit_code not in (0, 1, 130) and not standing.was_seen:
        return "refused"
    if not counts:
        return "none"
    if set(counts) <= {"done"}:
        return "done"
    if set(counts) <= {"done", "older"}:
        return "older"
    return "failed" if set(counts) <= {"done", "older", "failed", "damaged"} else "unfinished"


def _standing_of(state: FovState, folder: Path) -> str:
    """Return how a field of view stands; "older" if other versions made all that was asked for."""
    standing = state.standing_in(folder)
    if standing == "missing" and FovState(state.record, any_version=True).is_done(folder):
        return "older"
    return standing


def _fov_kind(record: _Record | None, *, is_held: bool) -> FovKind:
    if record is None:
        return "waiting"
    for kind in _SETTLED:
        if record.standing == kind:
            return kind
    if is_held:
        return "waiting"
    return "older" if record.standing == "older" else "unfinished"


def _lacks(record: _Record | None, channels: Sequence[str]) -> str:
    """Return which frames are not in the file, or damaged there, in words; empty if none."""
    if record is None or record.state is None:
        return ""
    return "; ".join(
        f"channel {channels[channel] if channel < len(channels) else channel} lacks frames {frames}"
        for channel, frames in record.state.missing_frames().items()
    )


def _worked(told: Iterable[Told]) -> int:
    return sum(sum(each.worked.values()) for each in told)


def _last_run(folder: Path) -> LastRun | None:
    notes = read_notes(folder) if folder.is_dir() else []
    if not notes:
        return None
    note = notes[-1]
    return LastRun(
        started=note.started.timestamp(),
        ended=note.ended.timestamp(),
        command=note.command,
        host=note.machine.host,
        counts=note.counts,
    )
