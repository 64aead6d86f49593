"""A file is set up in a real browser, by mouse, keys and words."""

from __future__ import annotations

import pytest
import yaml

from browsing import needs_chromium, serving, tabs
from pyama_core.demo import write_demo

pytestmark = [needs_chromium, pytest.mark.slow]
N_FRAMES = 4


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
    return write_demo(root / "ein Versuch", fovs=5, frames=N_FRAMES, size=128, seed=3).image


def saved(page):
    page.get_by_text("saved as").wait_for()


def config_in(folder):
    return yaml.safe_load((folder / "run.yaml").read_text(encoding="utf-8"))


def test_channels_and_samples_are_chosen_and_are_still_there_when_the_page_is_opened_again(
    tab, demo_file
):
    page, out = tab.page, demo_file.parent / "demo_results"
    tab.open(place="setup", at=demo_file)
    page.get_by_role("heading", name="5 positions").wait_for()
    page.get_by_text("shows").first.wait_for()
    assert not out.exists()
    page.get_by_role("checkbox", name="measured in each cell").nth(2).uncheck()
    tiles = page.locator(".tile")
    tiles.nth(0).click()
    tiles.nth(2).click(modifiers=["Shift"])
    page.get_by_label("sample of the selected positions").fill("control")
    page.get_by_role("button", name="assign").click()
    page.get_by_label("select positions by words").fill("3-4")
    page.get_by_label("select positions by words").press("Enter")
    page.get_by_text("2 positions selected").wait_for()
    page.get_by_label("sample of the selected positions").fill("5 µM")
    page.get_by_label("sample of the selected positions").press("Enter")
    tiles.nth(1).click()
    page.get_by_role("button", name="leave out of the run").click()
    saved(page)
    page.wait_for_function("!document.body.innerText.includes('saving …')")
    written = config_in(out)
    assert written["samples"] == {"control": "0-2", "5 µM": "3-4"}
    assert (written["channels"]["pc"], written["channels"]["fl"]) == ("phase contrast", ["GFP"])
    assert written["fovs"] == "0,2-4"
    page.reload()
    page.get_by_label("name of sample control").wait_for()
    assert "4 of 5 positions will be run" in page.inner_text(".setup-side")
    assert not page.get_by_role("checkbox", name="measured in each cell").nth(2).is_checked()
    page.get_by_role("button", name="run all").click()
    saved(page)
    assert f'pyama run --config "{out / "run.yaml"}"' in page.inner_text(".command")


def test_positions_are_selected_by_dragging(tab, demo_file):
    page = tab.page
    tab.open(place="setup", at=demo_file)
    page.locator(".tile").nth(4).wait_for()
    page.locator(".shows").nth(2).wait_for()  # what comes above would move them
    first, third = (page.locator(".tile").nth(i).bounding_box() for i in (0, 2))
    page.mouse.move(first["x"] + 5, first["y"] + 5)
    page.mouse.down()
    page.mouse.move(third["x"] + 8, third["y"] + 20, steps=5)
    page.mouse.up()
    page.get_by_text("3 positions selected").wait_for()


def test_positions_are_shown_in_their_first_and_last_frame(tab, demo_file):
    page = tab.page
    tab.open(place="setup", at=demo_file)
    choice = page.get_by_label("frame of the pictures")
    seen = [picture_after(page, "")]
    for frame, t in (("first", 0), ("last", N_FRAMES - 1)):
        with page.expect_response(
            lambda answer, t=t: "fov=0" in answer.url and f"t={t}" in answer.url
        ):
            choice.select_option(frame)
        seen.append(picture_after(page, seen[-1]))
    assert len(set(seen)) == 3
    choice.select_option("middle")
    assert picture_after(page, seen[-1]) == seen[0]


def picture_after(page, before):
    """Wait until the first position has another picture; return it."""
    return page.wait_for_function(
        """before => {
          const canvas = document.querySelector('.tile canvas');
          const now = canvas?.width > 1 && canvas.toDataURL();
          return now && now !== before && now;
        }""",
        arg=before,
    ).json_value()


def test_the_minutes_between_frames_are_typed_or_left_to_the_file(tab, demo_file):
    page, out = tab.page, demo_file.parent / "demo_results"
    tab.open(place="setup", at=demo_file)
    field = page.get_by_label("minutes between frames")
    for typed, shown, written in (("7,5", "7.5", 7.5), ("soon", "", None)):
        field.fill(typed)
        field.press("Enter")
        saved(page)
        page.wait_for_function("!document.body.innerText.includes('saving …')")
        assert field.input_value() == shown
        assert config_in(out)["extraction"]["interval_minutes"] == written
        assert ("replaces the times of the file" in page.inner_text(".setup-side")) == bool(shown)


def test_a_file_that_cannot_be_read_is_told_and_read_as_one_says(tab, root):
    import numpy as np
    import tifffile

    path = root / "one long stack.tif"
    tifffile.imwrite(path, np.zeros((6, 30, 40), np.uint8))
    page = tab.page
    tab.open(place="setup", at=path)
    page.get_by_role("alert").get_by_text("axes").wait_for()
    page.get_by_label("axes of a plain TIFF stack").fill("CYX")
    page.get_by_label("axes of a plain TIFF stack").press("Enter")
    page.get_by_text("1 position, 1 frame, 6 channels").wait_for()
    tab.errors.clear()  # the refusal is in the console too, for it is an answer of 400
