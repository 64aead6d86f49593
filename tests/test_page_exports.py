"""The page exports what the command exports, tells how far it is, and stops on request."""

from __future__ import annotations

import filecmp
import threading
import time
from pathlib import Path

import pytest

from asking import Page
from pyama_core.app.events import Hub
from pyama_core.app.export_jobs import ExportJobs, Wanted
from pyama_core.errors import InputError
from pyama_core.exports.forms import all_forms
from pyama_core.io.storage.atomic import temporary_path
from pyama_core.results.results import open_results


@pytest.fixture
def page(copied_results):
    return Page([copied_results.parent])


def ended(jobs: ExportJobs, folder: Path):
    """Wait until the last export of a folder has ended."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        told = jobs.of(folder)
        if told and told[-1].state != "running":
            return told[-1]
        time.sleep(0.02)
    raise AssertionError(f"still running: {jobs.of(folder)}")


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_table_is_that_of_the_command(page, copied_results, tmp_path):
    results = open_results(copied_results)
    results.assign_samples({"control": "0", "drug": "1-2"})
    asks = {"samples": ["drug"], "good_only": True, "options": {"layout": "long"}}
    told = page.post("/api/export", at=str(copied_results), form="csv", **asks).json
    assert (told["state"], told["form"]) == ("running", "csv")
    assert told["path"] == str(copied_results / "exports" / "csv")
    last = ended(page.desk.exports, copied_results)
    assert (last.state, last.words) == ("done", "")
    expected = results.export(
        "csv", tmp_path / "by hand", samples=["drug"], good_only=True, layout="long"
    )
    written = Path(told["path"])
    assert files_in(written) == files_in(expected)
    names = [name for name in files_in(expected) if (expected / name).is_file()]
    assert filecmp.cmpfiles(written, expected, names, shallow=False)[0] == names
    forms = page.get("/api/forms", at=str(copied_results)).json
    assert forms["exports"] == [last.model_dump(mode="json")]
    assert {form["name"]: form["is_there"] for form in forms["forms"]} == {
        form.name: form.name == "csv" for form in all_forms()
    }
    # Once there, it is only replaced on request.
    again = page.post("/api/export", at=str(copied_results), form="csv").json
    assert again["state"] == "running"
    assert "is there already" in ended(page.desk.exports, copied_results).words
    page.post("/api/export", at=str(copied_results), form="csv", overwrite=True)
    assert ended(page.desk.exports, copied_results).state == "done"


def test_an_export_lands_below_the_roots_and_nowhere_else(page, copied_results, tmp_path_factory):
    at, outside = str(copied_results), tmp_path_factory.mktemp("outside")
    inside = copied_results.parent / "für Prism"
    page.post("/api/export", at=at, form="csv", path=str(inside))
    assert ended(page.desk.exports, copied_results).state == "done"
    assert (inside / "export.json").is_file()
    (copied_results.parent / "way out").symlink_to(outside)
    (copied_results.parent / "file out").symlink_to(outside / "new")
    for path in (
        outside / "csv",
        copied_results.parent / "way out" / "csv",
        copied_results.parent / "file out",
        copied_results.parent / "not there" / "csv",
        copied_results / ".." / ".." / "csv",
        "../../../csv",
    ):
        told = page.post("/api/export", at=at, form="csv", path=str(path))
        assert told.status == 400, path
        assert told.json["error"]
    (copied_results / "exports").symlink_to(outside)
    assert page.post("/api/export", at=at, form="csv").status == 400
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    ("asks", "words"),
    [
        ({"form": "excel"}, "there is no form 'excel'"),
        ({"form": "csv", "options": {"layout": "broad"}}, "layout"),
        ({"form": "ctc", "options": {"layout": "long"}}, "has no option 'layout'"),
        ({"form": "xlsx", "path": "{}/table.csv"}, "expected the name of a .xlsx file"),
        ({"form": "csv", "samples": ["nobody"]}, "nobody"),
        ({"form": "csv", "features": ["brightness"]}, "brightness"),
    ],
)
def test_what_cannot_be_exported_is_told_in_words(page, copied_results, asks, words):
    asks = {
        name: value.format(copied_results) if name == "path" else value
        for name, value in asks.items()
    }
    answer = page.post("/api/export", at=str(copied_results), **asks)
    found = (
        answer.json["error"]
        if answer.status == 400
        else ended(page.desk.exports, copied_results).words
    )
    assert words in found
    assert not any((copied_results / "exports").rglob("*"))


def wanted(results, path: Path, select=None) -> Wanted:
    return Wanted(
        at=results.folder,
        form="csv",
        path=path,
        options={},
        overwrite=False,
        select=select or results.select,
    )


def test_an_export_that_is_stopped_leaves_nothing(sampled, tmp_path):
    jobs, go_on = ExportJobs(Hub()), threading.Event()

    def select():
        assert go_on.wait(20)
        return sampled.select()

    told = jobs.start(wanted(sampled, tmp_path / "csv", select))
    with pytest.raises(InputError, match="is being written just now"):
        jobs.start(wanted(sampled, tmp_path / "csv"))
    jobs.cancel(told.number)
    go_on.set()
    last = ended(jobs, sampled.folder)
    assert (last.state, last.words) == (
        "cancelled",
        "the export was cancelled; nothing was written",
    )
    assert list(tmp_path.iterdir()) == []
    jobs.cancel(told.number)
    jobs.start(wanted(sampled, tmp_path / "csv"))
    assert ended(jobs, sampled.folder).state == "done"


def test_a_fault_of_the_program_is_told_and_logged(sampled, tmp_path, caplog):
    jobs = ExportJobs(Hub())

    def select():
        raise ZeroDivisionError("by zero")

    jobs.start(wanted(sampled, tmp_path / "csv", select))
    last = ended(jobs, sampled.folder)
    assert last.state == "failed"
    assert last.words.startswith("ZeroDivisionError: by zero. This is a fault of the program")
    assert "Traceback" in caplog.text
    jobs.start(wanted(sampled, tmp_path / "csv"))
    assert ended(jobs, sampled.folder).state == "done"


def test_progress_is_told_step_by_step(sampled, tmp_path):
    told = []

    class Listening(Hub):
        def publish(self, event):
            told.append(event)

    jobs = ExportJobs(Listening())
    jobs.start(wanted(sampled, tmp_path / "csv"))
    ended(jobs, sampled.folder)
    running = [event for event in told if event.state == "running"]
    assert any(0 < event.done <= event.total and event.words for event in running)
    assert told[-1].state == "done"


def test_an_export_that_comes_back_is_told_to_be_there_and_is_replaced_on_request(
    page, copied_results
):
    at = str(copied_results)
    place = Path(page.post("/api/export", at=at, form="csv").json["path"])
    assert ended(page.desk.exports, copied_results).state == "done"
    # As the process that was to replace it left it when it was killed.
    place.rename(temporary_path(place))
    [csv] = [each for each in page.get("/api/forms", at=at).json["forms"] if each["name"] == "csv"]
    assert csv["is_there"]
    assert not place.exists(), "who only looks moves nothing"
    page.post("/api/export", at=at, form="csv", overwrite=True)
    assert ended(page.desk.exports, copied_results).state == "done"
    assert (place / "export.json").is_file()
    assert [each.name for each in place.parent.iterdir()] == ["csv"]


def test_a_name_alone_lands_beside_the_usual_place(page, copied_results):
    page.post("/api/export", at=str(copied_results), form="csv", path="for Anna")
    last = ended(page.desk.exports, copied_results)
    assert (last.state, last.path) == ("done", str(copied_results / "exports" / "for Anna"))
    assert (copied_results / "exports" / "for Anna" / "export.json").is_file()


def test_what_an_export_leaves_out_is_told_beside_what_it_wrote(page, copied_results):
    damaged = next(copied_results.rglob("*_traces_ch_1.csv"))
    damaged.write_text("", encoding="utf-8")
    page.post("/api/export", at=str(copied_results), form="csv")
    last = ended(page.desk.exports, copied_results)
    assert last.state == "done"
    assert damaged.name in last.words
    assert "left out" in last.words
