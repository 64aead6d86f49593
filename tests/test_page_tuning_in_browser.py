"""Parameters are chosen by looking at what they do, in a real browser; what was chosen runs."""

from __future__ import annotations

import os
import shutil
import signal
import time

import numpy as np
import psutil
import pytest
import yaml
from typer.testing import CliRunner

from browsing import needs_chromium, serving, tabs
from movies import write_movie
from pyama_core.cli.app import app
from pyama_core.demo import write_demo

pytestmark = [needs_chromium, pytest.mark.slow]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("Versuche am Mikroskop")


@pytest.fixture(scope="module")
def server(root):
    with serving(root) as started:
        yield started


@pytest.fixture
def tab(browser, server):
    with tabs(browser, server) as [opened]:
        yield opened


@pytest.fixture(scope="module")
def demo_file(root):
    return write_demo(root / "ein Versuch", fovs=1, frames=4, size=256, seed=3).image


def tune(tab, path, **state):
    tab.open(place="tune", at=path, **state)
    tab.page.locator(".histogram").wait_for(timeout=60_000)


def labels_shown(tab):
    """Labels of the frame that is shown, as the server gave them to the page last."""
    return tab.page.evaluate(
        """async () => {
             const found = performance.getEntriesByType('resource')
               .filter(each => each.name.includes('/api/tune/reading')).at(-1);
             const answer = await fetch(found.name.replace(/level=\\d/, 'level=0'));
             return [answer.headers.get('X-Shape'), answer.headers.get('X-Dtype'),
                     Array.from(new Uint8Array(await answer.arrayBuffer()))];
           }"""
    )


def as_array(told):
    shape, dtype, content = told
    return np.array(content, np.uint8).view(dtype).reshape([int(n) for n in shape.split(",")])


def wait_for_outlines(tab):
    """Wait until what is set is found, and drawn."""
    tab.page.wait_for_function("() => !document.querySelector('.tune-found.busy')")
    tab.page.wait_for_timeout(200)


def config_in(folder):
    return yaml.safe_load((folder / "run.yaml").read_text(encoding="utf-8"))


def test_what_is_tuned_on_the_picture_is_what_runs(tab, demo_file):
    page, out = tab.page, demo_file.parent / "demo_results"
    tab.open(place="setup", at=demo_file)
    page.get_by_role("heading", name="1 position").wait_for()
    page.get_by_text("shows").first.wait_for()
    page.get_by_role("link", name="Tune").click()
    page.locator(".histogram").wait_for(timeout=60_000)
    wait_for_outlines(tab)
    before, picture = as_array(labels_shown(tab)), tab.read_picture()
    assert not (out / "run.yaml").exists()  # nobody set anything
    # The rim of the ruler is dragged out.
    rim, words = page.locator(".ruler-rim"), page.locator(".ruler-words")
    box, told = rim.bounding_box(), words.inner_text()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    r = (box["width"] - 12) / 2
    page.mouse.move(x + r, y)
    page.mouse.down()
    page.mouse.move(x + 2 * r, y, steps=8)
    page.mouse.up()
    page.get_by_text("saved as").wait_for()
    wait_for_outlines(tab)
    after = as_array(labels_shown(tab))
    assert words.inner_text() != told
    assert (before != after).any()
    assert (picture != tab.read_picture()).any()
    section = config_in(out)["segmentation"]
    pixels = int(words.inner_text().split()[1])
    assert section["cell_diameter"] == pixels > 1.7 * float(told.split()[1])
    assert page.get_by_label("cell diameter px").input_value() == str(pixels)
    done = CliRunner().invoke(app, ["run", "--config", str(out / "run.yaml"), "--workers", "1"])
    assert done.exit_code == 0, done.output
    [stack] = out.glob("fov_000*/*_seg_ch*.npy")
    np.testing.assert_array_equal(after, np.load(stack)[0])
    page.get_by_role("button", name="Run …").click()
    page.get_by_role("heading", name="Done", exact=True).wait_for()


def test_a_bad_value_is_said_in_words_and_the_outlines_stay(tab, demo_file):
    page = tab.page
    tune(tab, demo_file)
    found = page.locator(".tune-found p").inner_text()
    tab_errors = len(tab.errors)
    page.get_by_label("cell diameter px").fill("2 bananas")
    page.get_by_label("cell diameter px").press("Enter")
    page.get_by_role("alert").get_by_text("expected 6 to 2000 pixels").first.wait_for()
    assert page.locator(".tune-found p").inner_text().split(",")[0] == found.split(",")[0]
    page.get_by_role("button", name="cell diameter: back to auto").click()
    page.get_by_role("alert").first.wait_for(state="detached")
    # That it was not saved is an answer of 400, which the console repeats.
    assert all("400" in each for each in tab.errors[tab_errors:])
    tab.errors.clear()


def test_frames_stand_side_by_side_and_background_and_tracks_are_shown(tab, demo_file):
    page = tab.page
    tune(tab, demo_file)
    page.keyboard.press("2")
    for frame in (0, 2, 3):
        page.locator("figcaption", has_text=f"frame {frame} · ").get_by_text("objects").wait_for()
    page.keyboard.press("3")
    page.locator("figcaption", has_text="corrected · ").wait_for()
    assert page.locator(".tune-picture").count() == 3
    page.locator("dd", has_text="linear").wait_for()
    page.keyboard.press("4")
    page.get_by_role("button", name="follow cells").click()
    page.locator(".tune-path").first.wait_for()
    page.get_by_text("in frames 0 to 3").wait_for()
    page.get_by_label("min iou", exact=True).first.fill("0.9")
    page.get_by_label("min iou", exact=True).first.press("Enter")
    page.get_by_text("of what was set before").wait_for()
    tab.wait_for_state(show="tracks")


def test_fluorescence_alone_is_tuned_by_what_suits_it(tab, root):
    rng = np.random.default_rng(2)
    image = rng.normal(200, 8, (3, 1, 160, 200))
    rows, columns = np.ogrid[:160, :200]
    for y, x in ((40, 40), (40, 120), (110, 70), (120, 160)):
        image[:, :, (rows - y) ** 2 + (columns - x) ** 2 < 120] += 500
    path = write_movie(root / "nuclei.ome.tif", [image.astype(np.uint16)], ["DAPI"], 5)
    page = tab.page
    tune(tab, path)
    assert page.locator(".tune-line select").first.input_value() == "auto"
    page.get_by_text("4 objects").first.wait_for()
    assert "bright objects" in page.inner_text(".tune-found dl")
    page.locator(".tune-line select").first.select_option("bright")
    page.get_by_label("min diameter px").fill("60")
    page.get_by_label("min diameter px").press("Enter")
    page.get_by_text("0 objects").first.wait_for()


def test_a_process_that_is_killed_is_told_of_and_replaced_and_the_server_answers_meanwhile(
    tab, server, demo_file
):
    page = tab.page
    tune(tab, demo_file)
    [worker] = [
        each
        for each in psutil.Process(server.process.pid).children(recursive=True)
        if "spawn_main" in " ".join(each.cmdline())
    ]
    worker.suspend()
    page.get_by_label("cell diameter px").fill("50")
    page.get_by_label("cell diameter px").press("Enter")
    page.locator("figcaption", has_text="looking for them").wait_for()
    began = time.monotonic()
    for _ in range(5):
        assert page.evaluate("async () => (await fetch('/api/tune/methods')).status") == 200
    assert time.monotonic() - began < 5
    os.kill(worker.pid, signal.SIGKILL)
    page.get_by_role("alert").get_by_text("has ended in the middle of it").wait_for()
    page.get_by_label("cell diameter px").fill("52")
    page.get_by_label("cell diameter px").press("Enter")
    page.get_by_role("alert").wait_for(state="detached")
    page.get_by_text("52 px").first.wait_for()
    page.get_by_role("button", name="cell diameter: back to auto").click()
    wait_for_outlines(tab)


def test_a_worker_ends_with_its_server(browser, root, demo_file):
    shutil.copy(demo_file, root / "again.ome.tif")
    with serving(root) as server:
        with tabs(browser, server) as [tab]:
            tune(tab, root / "again.ome.tif")
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert children
        server.process.kill()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert alive == []
