"""The whole job in a real browser: from an empty folder to a table, and what comes between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from browsing import needs_chromium, serving, tabs
from pyama_core.demo import write_demo
from pyama_core.io.storage.naming import find_records
from runs import doubt_diameters

pytestmark = [needs_chromium, pytest.mark.slow]

_LONG_MS = 120_000


def wait_for_title(page, title):
    page.get_by_role("heading", name=title, exact=True).wait_for(timeout=_LONG_MS)


def in_a_terminal(file, out, *more):
    command = [sys.executable, "-m", "pyama_core", "run", str(file), "-o", str(out)]
    return [*command, "--pc", "0", "--fl", "1", "--workers", "1", "--batch-size", "1", *more]


def test_the_whole_job_from_an_empty_folder_to_a_table(browser, tmp_path):
    with serving(tmp_path) as server, tabs(browser, server) as [tab]:
        page = tab.page
        page.get_by_role("button", name="adherent cells").click()
        page.locator("a.card").filter(has_text="positions").click(timeout=_LONG_MS)
        page.get_by_text("shows").first.wait_for(timeout=_LONG_MS)
        page.get_by_role("button", name="Run …").click()
        page.get_by_role("heading", name="Nothing has run here yet").wait_for()
        page.get_by_role("link", name="Look").click()
        page.get_by_text("No results of this file can be shown yet").wait_for()
        tab.errors.clear()  # the refusal is in the console too
        page.get_by_role("button", name="to the run").click()
        page.get_by_role("button", name="start", exact=True).click()
        wait_for_title(page, "Running")
        page.get_by_text("the log").click()
        page.get_by_label("the log").filter(has_text="copying").wait_for()
        wait_for_title(page, "Done")
        assert page.locator("tr[data-state=done]").count() == page.locator("tr[data-state]").count()
        assert page.locator("tr[data-state=done]").count() > 1
        assert page.get_by_role("link", name="the report").is_visible()
        page.get_by_role("button", name="look at the cells").click()
        tab.wait_for_picture("phase")
        page.go_back()
        page.get_by_role("link", name="Set up").click()
        page.get_by_text("shows").first.wait_for()
        page.get_by_role("link", name="Look").click()
        tab.wait_for_picture("phase")
        page.get_by_role("link", name="Export").click()
        card = page.get_by_role("article", name="csv")
        card.get_by_role("button", name="export").click()
        card.locator("text=wrote").wait_for(timeout=_LONG_MS)
    assert list(tmp_path.glob("demo/*_results/exports/csv/*.csv"))


def test_a_run_goes_on_when_its_server_is_killed_and_a_new_one_shows_it(browser, tmp_path):
    file = write_demo(tmp_path, fovs=4, frames=8, size=256).image
    with serving(tmp_path) as server:
        with tabs(browser, server) as [tab]:
            tab.open(place="setup", at=file)
            tab.page.get_by_text("shows").first.wait_for()
            tab.page.get_by_role("button", name="Run …").click()
            tab.page.get_by_role("button", name="start", exact=True).click()
            wait_for_title(tab.page, "Running")
            out = tab.state["out"]
        server.process.kill()
    with serving(tmp_path) as server, tabs(browser, server) as [tab]:
        tab.open(place="run", at=out)
        tab.page.get_by_role("heading", name="Done", exact=True).wait_for(timeout=_LONG_MS)
        assert tab.page.locator("tr[data-state=done]").count() == 4


def test_a_run_of_a_terminal_is_shown_stopped_and_gone_on_with(browser, tmp_path):
    file, out = write_demo(tmp_path, fovs=6, frames=10, size=256).image, tmp_path / "out"
    out.mkdir()
    with serving(tmp_path) as server, tabs(browser, server) as [tab]:
        page = tab.page
        process = subprocess.Popen(in_a_terminal(file, out), stderr=subprocess.DEVNULL)
        while not find_records(out):
            assert process.poll() is None
        tab.open(place="run", at=out)
        wait_for_title(page, "Running")
        page.get_by_text(f"process {process.pid} on").wait_for()
        page.get_by_role("button", name="stop", exact=True).click()
        wait_for_title(page, "Stopped before the end")
        assert process.wait(30) == 130
        page.get_by_role("button", name="go on from here").click()
        wait_for_title(page, "Done")
        assert page.locator("tr[data-state=done]").count() == 6


def test_failures_are_told_with_what_to_do(browser, tmp_path):
    file, out = write_demo(tmp_path, fovs=2, frames=4, size=128).image, tmp_path / "out"
    command = in_a_terminal(file, out, "--no-report")
    (out / "fov_001").mkdir(parents=True)
    (out / "fov_001" / "demo_fov_001_pc_ch_0.npy").mkdir()
    subprocess.run(command, check=False, capture_output=True)
    with serving(tmp_path) as server, tabs(browser, server) as [tab]:
        page = tab.page
        tab.open(place="run", at=out)
        page.get_by_role("heading", name="✕ Failed").wait_for()
        reason = page.get_by_label("failures").inner_text()
        assert "position 1" in reason
        assert "copying" in reason
        assert "wants another folder of results" in reason
        (out / "fov_001" / "demo_fov_001_pc_ch_0.npy").rmdir()
        page.get_by_role("button", name="retry the failed (1)").click()
        wait_for_title(page, "Done")


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_run_that_was_killed_is_told_and_gone_on_with(browser, tmp_path):
    file, out = write_demo(tmp_path, fovs=3, frames=6, size=128).image, tmp_path / "out"
    out.mkdir()
    process = subprocess.Popen(
        in_a_terminal(file, out), stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not find_records(out):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    with serving(tmp_path) as server, tabs(browser, server) as [tab]:
        tab.open(place="run", at=out)
        wait_for_title(tab.page, "Stopped before the end")
        tab.page.get_by_role("button", name="go on from here").click()
        wait_for_title(tab.page, "Done")


def test_what_contradicts_the_assumptions_is_told_once_with_what_to_try(browser, copied_results):
    doubt_diameters(copied_results, {0: 20, 2: 25})
    with serving(copied_results.parent) as server, tabs(browser, server) as [tab]:
        tab.open(place="run", at=copied_results)
        doubts = tab.page.get_by_role("alert", name="doubts")
        doubts.wait_for()
        told = doubts.inner_text()
        assert "! What was found contradicts what was assumed" in told
        assert "before it goes on" not in told
        assert "2 positions: such as position 0: " in told
        assert told.count("What to try:") == 1
        assert "a diameter of 20 px in the middle, 60 px were assumed" in told
