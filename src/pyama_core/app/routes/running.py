"""What *Run* shows and does: how the runs into a folder are, to begin one, and to stop them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pyama_core.app.at_work import is_at_work
from pyama_core.app.desk import Desk
from pyama_core.app.drafts import analysis_of, config_of, config_path, load_draft, save_draft
from pyama_core.app.following import failed_fovs
from pyama_core.app.messages import Blob, Done, Message
from pyama_core.app.places import is_of_outputs, source_place
from pyama_core.app.routing import changes, reads
from pyama_core.app.run_logs import last_lines
from pyama_core.app.run_messages import RunAt
from pyama_core.app.sources import Reading
from pyama_core.errors import InputError, reason_of
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.regular_files import read_regular
from pyama_core.io.storage.naming import REPORT_NAME
from pyama_core.processing.workflow.configuration import RunConfig, load_config
from pyama_core.processing.workflow.services.selection import find_fovs
from pyama_core.processing.workflow.stop_file import ask_to_stop

_LONGEST_LOG = 64 << 10
_REPORT_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    # A report is a file that anybody may have written: it gets no part in the page.
    "Content-Security-Policy": "sandbox allow-scripts allow-downloads; default-src 'none'; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:",
}


class AskRun(Message):
    """A folder of outputs, or a microscope file and the folder of its outputs."""

    at: str
    out: str = ""


class StartRun(AskRun):
    """What to begin: all that is set up, as far as it is not done, or what failed alone."""

    which: Literal["all", "failed"] = "all"


class Started(Message):
    """A process was begun."""

    pid: int
    out: str


class LogLines(Message):
    """The last lines of the logs."""

    lines: tuple[str, ...]


def run(desk: Desk, asked: AskRun) -> RunAt:
    """Tell how the runs into a folder are."""
    return desk.followers.look(_folder(desk, asked))


def log(desk: Desk, asked: AskRun) -> LogLines:
    """Return what the runs said last."""
    return LogLines(lines=tuple(last_lines(_folder(desk, asked), _LONGEST_LOG)))


def start(desk: Desk, asked: StartRun) -> Started:
    """Begin a run, or go on with one that was stopped or has failed."""
    place = source_place(desk.roots, asked.at, asked.out)
    with desk.sources.use(place.file, place.reading or Reading()) as opened:
        about = opened.metadata
    out = place.out_for(desk.roots, about)
    _require_nobody(out)
    config = _config(desk, place.file, out, about)
    if analysis_of(config, about).channels.cells is None:
        raise InputError(
            f"{config_path(out)} does not say in which channel cells are found; choose it in Set up"
        )
    find_fovs(config.fovs, about.fov_names)
    fovs = None
    if asked.which == "failed" and not (fovs := failed_fovs(out)):
        raise InputError(f"nothing in {out} has failed")
    desk.roots.require_links_inside(out)
    return Started(pid=desk.jobs.start(out, fovs), out=str(out))


def _require_nobody(out: Path) -> None:
    if (holder := is_at_work(out)) is not None:
        raise InputError(
            f"a run into {out} goes on already (process {holder['pid']} on {holder['host']}, "
            f"since {holder['since']}); wait for it, or stop it"
        )


def _config(desk: Desk, file: Path, out: Path, about: MicroscopyMetadata) -> RunConfig:
    """Return what is saved for a run; of results that a command made, save it first."""
    path = config_path(out)
    stored = load_draft(out, file, about)
    if stored.draft is None:
        raise InputError(stored.problem or f"nothing is set up in {out}; begin with Set up")
    if path.exists():
        return load_config(path, {})
    config = config_of(stored.draft, file, out, about, desk.roots, RunConfig())
    save_draft(out, file, config, about)
    return config


def stop(desk: Desk, asked: AskRun) -> Done:
    """Ask the runs into a folder to stop, as Ctrl-C does."""
    out = _folder(desk, asked)
    if is_at_work(out) is not None:
        desk.roots.require_links_inside(out)
        ask_to_stop(out)
    elif not desk.jobs.end_before_it_works(out):
        raise InputError(f"nothing goes on in {out}")
    return Done()


def report(desk: Desk, asked: AskRun) -> Blob:
    """Return the report of a folder of outputs."""
    path = _folder(desk, asked) / REPORT_NAME
    try:
        content = read_regular(desk.roots.inside(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({reason_of(error, path)})") from error
    return Blob(content, _REPORT_HEADERS)


def _folder(desk: Desk, asked: AskRun) -> Path:
    """Return the folder of outputs that is meant, which may not be there yet."""
    path = desk.roots.inside(asked.at)
    if is_of_outputs(path):
        return path
    if asked.out:
        return desk.roots.future(asked.out)
    with desk.sources.use(path, Reading()) as opened:
        return source_place(desk.roots, asked.at).out_for(desk.roots, opened.metadata)


ENDPOINTS = (
    reads("/api/run", run),
    reads("/api/run/log", log),
    reads("/api/report", report),
    changes("/api/run/start", start),
    changes("/api/run/stop", stop),
)
