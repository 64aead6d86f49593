"""Runs are begun, followed and stopped by the page, and follow from what they write alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from datetime import datetime, timedelta

import pytest

from asking import Page
from pyama_core.app.following import Follower
from pyama_core.app.run_jobs import RunJobs, command_of
from pyama_core.app.run_logs import RunLogs, last_lines
from pyama_core.demo import write_demo
from pyama_core.io.storage.locks import FolderLock
from pyama_core.io.storage.naming import STOP_NAME, find_records
from pyama_core.processing.workflow.source_description import load_description
from pyama_core.processing.workflow.stop_file import StopFile, ask_to_stop
from runs import doubt_diameters
from sources import write_image_folder

_PATIENCE_S = 90


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("Läufe am Mikroskop")


@pytest.fixture(scope="module")
def demo_file(root):
    return write_demo(root / "ein Versuch", fovs=3, frames=6, size=128, seed=3).image


@pytest.fixture
def opened(root):
    page = Page([root])
    yield page
    page.desk.close()


def wait_for(page, at, *states, out=""):
    """Ask until a run is in one of some states."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        told = page.get("/api/run", at=str(at), out=str(out)).json
        if told["state"] in states:
            return told
        time.sleep(0.1)
    raise AssertionError(f"it is {told['state']}, not {states}: {told['said']}")


def set_up(page, file, out, **changes):
    draft = page.get("/api/draft", at=str(file), out=str(out)).json["draft"]
    answer = page.post("/api/draft/save", at=str(file), out=str(out), draft={**draft, **changes})
    assert answer.status == 200, answer.json


@pytest.mark.slow
def test_what_is_set_up_is_run_and_followed_to_its_end(opened, demo_file, root):
    out = root / "ganz"
    assert opened.get("/api/run", at=str(demo_file), out=str(out)).json["state"] == "none"
    nothing = opened.post("/api/run/start", at=str(demo_file), out=str(out))
    assert nothing.status == 400
    assert "begin with Set up" in nothing.json["error"]
    set_up(opened, demo_file, out)
    started = opened.post("/api/run/start", at=str(demo_file), out=str(out))
    assert started.status == 200, started.json
    twice = opened.post("/api/run/start", at=str(demo_file), out=str(out))
    assert twice.status == 400
    assert "goes on already" in twice.json["error"]
    wait_for(opened, demo_file, "running", out=out)
    assert "goes on already" in opened.post("/api/run/start", at=str(out)).json["error"]
    told = wait_for(opened, out, "done")
    assert told["counts"] == {"done": 3}
    assert told["done"] == told["total"] == 3 * 6 * 5
    assert told["last"]["counts"] == {"done": 3}
    assert "--config" in told["last"]["command"]
    assert told["has_report"]
    report = opened.get("/api/report", at=str(out))
    assert report.headers["content-type"].startswith("text/html")
    assert report.headers["content-security-policy"].startswith("sandbox")
    assert b"<html" in report.content[:200].lower()
    lines = opened.get("/api/run/log", at=str(out)).json["lines"]
    assert any("FOV 0: tracking: 6/6" in line for line in lines)
    # Of a run in a terminal, another page sees the same.
    other = Page([root])
    assert other.get("/api/run", at=str(out)).json["counts"] == {"done": 3}


@pytest.mark.slow
def test_cells_are_followed_where_no_channel_is_measured(opened, demo_file, root):
    out = root / "ohne Messung"
    channels = {"pc": 0, "segment": None, "nuclei": None, "fl": []}
    set_up(opened, demo_file, out, channels=channels)
    assert opened.post("/api/run/start", at=str(demo_file), out=str(out)).status == 200
    told = wait_for(opened, demo_file, "done", "refused", out=out)
    assert (told["state"], told["said"]) == ("done", "")


@pytest.mark.slow
def test_a_run_that_cannot_begin_says_why(opened, demo_file, root):
    out = root / "verweigert"
    set_up(opened, demo_file, out)
    (out / "fov_000").write_text("a file where a folder should be")
    assert opened.post("/api/run/start", at=str(demo_file), out=str(out)).status == 200
    told = wait_for(opened, demo_file, "refused", out=out)
    assert "fov_000" in told["said"]
    (out / "fov_000").unlink()
    assert opened.post("/api/run/start", at=str(demo_file), out=str(out)).status == 200
    wait_for(opened, out, "running", "done")
    opened.post("/api/run/stop", at=str(out))
    wait_for(opened, out, "unfinished", "done")


@pytest.mark.slow
def test_what_failed_is_told_with_its_reason_and_tried_again_alone(opened, demo_file, root):
    out = root / "misslungen"
    set_up(opened, demo_file, out)
    assert opened.post("/api/run/start", at=str(out)).status == 200
    wait_for(opened, out, "done")
    record = find_records(out)[1]
    content = json.loads(record.read_bytes())
    for name in [name for name in content["outputs"] if "traces" in name]:
        del content["outputs"][name]
    words = "FOV 1, extraction: the disk is full; free some space"
    content["failure"] = {"step": "extraction", "error": words}
    record.write_text(json.dumps(content))
    told = wait_for(opened, out, "failed")
    assert told["counts"] == {"done": 2, "failed": 1}
    [row] = [row for row in told["fovs"] if row["state"] == "failed"]
    assert (row["fov"], row["step"]) == (1, "extraction")
    assert row["error"] == "the disk is full; free some space"
    others = [path.read_bytes() for path in find_records(out) if path != record]
    assert opened.post("/api/run/start", at=str(out), which="failed").status == 200
    told = wait_for(opened, out, "done")
    assert told["last"]["counts"] == {"done": 1}
    assert "--fovs index:1" in told["last"]["command"]
    assert [path.read_bytes() for path in find_records(out) if path != record] == others
    answer = opened.post("/api/run/start", at=str(out), which="failed")
    assert "nothing" in answer.json["error"]


@pytest.mark.slow
def test_a_position_whose_files_were_copied_again_is_tried_alone(opened, root):
    (root / "zwei Orte").mkdir()
    movie, out = write_image_folder(root / "zwei Orte"), root / "zum Teil beschädigt"
    images = {image: image.read_bytes() for image in movie.glob("Pos1/*GFP*")}
    for image, content in images.items():
        image.write_bytes(content[:1000])
    set_up(opened, movie, out)
    assert opened.post("/api/run/start", at=str(out)).status == 200
    told = wait_for(opened, out, "failed")
    assert told["counts"] == {"done": 1, "failed": 1}
    before = {path: path.read_bytes() for path in out.glob("fov_000/*.[cn][sp][vy]")}
    for image, content in images.items():
        image.write_bytes(content)
    assert opened.post("/api/run/start", at=str(out), which="failed").status == 200
    told = wait_for(opened, out, "done", "refused")
    assert (told["state"], told["said"]) == ("done", "")
    assert told["last"]["counts"] == {"done": 1}
    assert opened.post("/api/run/start", at=str(out)).status == 200
    told = wait_for(opened, out, "done", "refused")
    assert before == {path: path.read_bytes() for path in out.glob("fov_000/*.[cn][sp][vy]")}


@pytest.mark.slow
def test_a_stop_file_stops_the_command_and_the_same_command_goes_on(demo_file, root):
    out = root / "angehalten"
    command = [sys.executable, "-m", "pyama_core", "run", str(demo_file), "-o", str(out)]
    command += ["--pc", "0", "--fl", "1", "--workers", "1", "--batch-size", "1"]
    out.mkdir()
    ask_to_stop(out)  # of before: means no run that begins later
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + _PATIENCE_S
    while not find_records(out):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    ask_to_stop(out)
    _, said = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == 130, said
    assert "asks to stop" in (out / "pyama.log").read_text(encoding="utf-8")
    assert not (out / STOP_NAME).exists()
    assert Follower(out).look(RunJobs()).state == "unfinished"
    subprocess.run(command, check=True, capture_output=True, timeout=_PATIENCE_S)
    assert Follower(out).look(RunJobs()).state == "done"


def test_a_file_of_before_asks_nothing_and_one_that_is_touched_does(tmp_path, monkeypatch):
    monkeypatch.setattr("pyama_core.processing.workflow.stop_file._PERIOD_S", 0)
    path = ask_to_stop(tmp_path)
    watched = StopFile(tmp_path)
    assert not watched.is_new()
    os.utime(path, (1, 1))
    assert watched.is_new()
    watched.remove()
    assert not path.exists()
    assert not watched.is_new()


def test_stopping_what_does_not_run_and_what_lies_outside_is_refused(opened, root, tmp_path):
    out = root / "nichts"
    (out / "fov_000").mkdir(parents=True)
    (out / "run.yaml").write_text("file: nothing.tif\n")
    assert "nothing goes on" in opened.post("/api/run/stop", at=str(out)).json["error"]
    assert opened.post("/api/run/start", at=str(out)).status == 400
    outside = tmp_path / "outside"
    outside.mkdir()
    for path in ("/api/run/start", "/api/run/stop"):
        assert opened.post(path, at=str(outside)).status == 400
    assert opened.get("/api/report", at=str(outside)).status == 400
    assert list(outside.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="no links here")
def test_no_run_writes_through_a_link_that_leads_out(opened, demo_file, root, tmp_path):
    out = root / "verlinkt"
    set_up(opened, demo_file, out)
    (out / "pyama.said.txt").symlink_to(tmp_path / "target")
    answer = opened.post("/api/run/start", at=str(out))
    assert answer.status == 400
    assert "link" in answer.json["error"]
    assert not (tmp_path / "target").exists()


def test_a_command_is_made_of_a_folder_and_numbers():
    from pathlib import Path

    words = command_of(Path("/a b"), [3, 1])
    assert words[:5] == [sys.executable, "-P", "-m", "pyama_core", "run"]
    assert words[5:] == [
        "--config", str(Path("/a b/run.yaml")), "--output", str(Path("/a b")), "--fovs",
        "index:1,index:3",
    ]  # fmt: skip


def line(when, message, pid):
    return f"{when:%Y-%m-%d %H:%M:%S},000 INFO    pyama_core.x [{pid}] {message}\n"


def test_frames_per_second_and_time_left_follow_from_the_log(tmp_path):
    """A run that holds one lock and is half through its second step of three."""
    folder = tmp_path / "fov_000"
    folder.mkdir()
    lock = FolderLock.acquire(folder)
    began = datetime.now() - timedelta(seconds=20)  # noqa: DTZ005  as logs have it
    pid = os.getpid()
    log = tmp_path / "pyama.log"
    words = f"m.tif: 1 FOVs into {tmp_path}, 1 workers, batches of 1"
    log.write_text(
        line(began, "FOV 0: copying: 40/40", pid)
        + line(began, words, pid)
        + line(began + timedelta(seconds=5), "FOV 0: copying: 40/40", pid)
        + line(began + timedelta(seconds=15), "FOV 0: segmentation: 30/40", pid)
        + "2026-01-01 a broken li"
    )
    logs = RunLogs(tmp_path)
    logs.read()
    told = logs.told[pid]
    assert told.worked == {(0, "copying"): 40, (0, "segmentation"): 30}
    assert told.at == {0: ("segmentation", 30, 40)}
    now = Follower(tmp_path).look(RunJobs())
    assert now.state == "running"
    assert (now.by[0].pid, now.by[0].n_fovs) == (pid, 1)
    assert now.fovs[0].state == "running"
    assert (now.fovs[0].step, now.fovs[0].done, now.fovs[0].total) == ("segmentation", 30, 40)
    with log.open("a") as file:
        file.write("ne\n" + line(began, words, pid))
    logs.read()
    assert logs.told[pid].worked == {}
    assert last_lines(tmp_path, 200)[-1].endswith(words)
    lock.release()
    assert Follower(tmp_path).look(RunJobs()).state in ("none", "unfinished")


def test_copying_alone_does_not_tell_how_fast_the_other_steps_are(copied_results):
    began, pid = datetime.now() - timedelta(seconds=20), os.getpid()  # noqa: DTZ005  as logs have it
    log, lock = copied_results / "pyama.log", FolderLock.acquire(copied_results / "fov_000")
    words = f"m.tif: 1 FOVs into {copied_results}, 1 workers, batches of 1"
    copied = line(began, words, pid) + line(began, "FOV 0: copying: 40/40", pid)
    log.write_text(copied)
    now = Follower(copied_results).look(RunJobs())
    assert now.state == "running"
    assert now.seconds >= 20
    assert now.frames_per_s is None
    log.write_text(copied + line(began, "FOV 0: segmentation: 40/40", pid))
    now = Follower(copied_results).look(RunJobs())
    assert 0 < now.frames_per_s <= 80 / 20 / now.fovs[0].n_steps
    assert now.done == now.total
    assert now.seconds_left is None
    lock.release()


def test_frames_that_the_file_lacks_are_told_with_their_position(copied_results):
    [path] = (copied_results / "fov_001").glob("*_record.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    name = next(name for name, each in record["outputs"].items() if each["kind"] == "fl")
    record["outputs"][name]["missing"] = "1,3"
    path.write_text(json.dumps(record), encoding="utf-8")
    told = {row.fov: row.lacks for row in Follower(copied_results).look(RunJobs()).fovs}
    described = load_description(copied_results)
    channel = described.channel_names[record["outputs"][name]["channel"]]
    assert told.pop(1) == f"channel {channel} lacks frames 1,3"
    assert set(told.values()) == {""}


def test_the_like_doubts_of_several_positions_are_told_once(copied_results):
    doubt_diameters(copied_results, {0: 20, 1: 25, 2: 20})
    [told] = Follower(copied_results).look(RunJobs()).doubts
    assert (told.fovs, told.is_same) == ((0, 1, 2), False)
    assert "a diameter of 20 px in the middle, 60 px were assumed" in told.text
    doubt_diameters(copied_results, {1: 20})
    [told] = Follower(copied_results).look(RunJobs()).doubts
    assert told.is_same


def test_results_of_an_earlier_version_are_done_and_said_to_be_older(copied_results):
    for path in find_records(copied_results):
        made = path.read_text(encoding="utf-8")
        older, n_made = re.subn('("algorithm": "[a-z ]+)/[0-9]+"', '\\1/0"', made)
        assert n_made > 0
        path.write_text(older, encoding="utf-8")
    told = Follower(copied_results).look(RunJobs())
    assert (told.state, told.counts) == ("older", {"older": 3})
    (copied_results / "pyama.log").unlink()  # this process made them, and holds the lock
    lock = FolderLock.acquire(copied_results / "fov_002")
    assert Follower(copied_results).look(RunJobs()).counts == {"older": 2, "waiting": 1}
    lock.release()
    lost = next((copied_results / "fov_001").glob("*traces*.csv"))
    lost.unlink()
    told = Follower(copied_results).look(RunJobs())
    assert (told.state, told.counts) == ("unfinished", {"older": 2, "unfinished": 1})
