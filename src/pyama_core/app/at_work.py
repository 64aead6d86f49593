"""Who works on an output folder now, told from locks alone."""

from __future__ import annotations

import time
from pathlib import Path

from pyama_core.app.file_state import state_of
from pyama_core.app.run_messages import RunBy
from pyama_core.io.storage.host import host_name
from pyama_core.io.storage.locks import LOCK_NAME, LOST_AFTER_S, find_holder
from pyama_core.io.storage.naming import fov_folder_name, fov_folders


def is_at_work(folder: Path) -> dict[str, str | int] | None:
    """Tell who works on any field of view of a folder; None if nobody does who shows a sign."""
    holders = holders_in(folder)
    lost = {(run.host, run.pid) for run in runs_by(folder, holders) if run.silent_minutes}
    return next(
        (each for each in holders.values() if (each["host"], each["pid"]) not in lost), None
    )


def holders_in(folder: Path) -> dict[int, dict[str, str | int]]:
    """Return who works on which fields of view."""
    found = {}
    for fov, path in fov_folders(folder):
        if (holder := find_holder(path)) is not None:
            found[fov] = holder
    return found


def runs_by(folder: Path, holders: dict[int, dict[str, str | int]]) -> tuple[RunBy, ...]:
    """Return the processes that work on the fields of view which are held."""
    groups: dict[tuple[str, int], list[int]] = {}
    for fov, holder in sorted(holders.items()):
        groups.setdefault((str(holder["host"]), int(holder["pid"])), []).append(fov)
    runs = []
    for (host, pid), fovs in groups.items():
        beat = state_of(folder / fov_folder_name(fovs[0]) / LOCK_NAME)[0] / 1e9
        silent_s = time.time() - beat if beat else 0.0
        is_lost = host != host_name() and silent_s > LOST_AFTER_S
        runs.append(
            RunBy(
                host=host,
                pid=pid,
                since=str(holders[fovs[0]]["since"]),
                n_fovs=len(fovs),
                silent_minutes=round(silent_s / 60) if is_lost else 0,
            )
        )
    return tuple(runs)
