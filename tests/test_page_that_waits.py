"""Keys and clicks while the server is slow, or refuses: none is lost, and none counts twice."""

from __future__ import annotations

import json
import re

import pytest

from browsing import needs_chromium, serving, tabs
from pyama_core.results.results import open_results

pytestmark = [needs_chromium, pytest.mark.slow]


@pytest.fixture
def tab(browser, copied_results):
    with serving(copied_results) as server, tabs(browser, server) as [opened]:
        yield opened


def hold(tab, address):
    """Hold requests back, and return what lets all that came go on, and those to come pass."""
    held = []
    tab.page.route(address, lambda route: held.append(route))

    def let_go():
        for route in held:
            route.continue_()
        tab.page.unroute(address)

    return held, let_go


def test_the_next_doubted_cell_is_gone_to_as_soon_as_the_doubts_are_known(tab, copied_results):
    held, let_go = hold(tab, "**/api/doubts?*")
    with tab.page.expect_request("**/api/doubts?*"):
        tab.open(place="look", at=copied_results)
    tab.wait_for_picture("phase 0 0")
    tab.page.keyboard.press("n")
    assert "cell" not in tab.state
    let_go()
    tab.page.wait_for_function("() => new URLSearchParams(location.search).has('cell')")
    assert len(held) == 1


def test_a_key_pressed_twice_while_it_is_saved_corrects_once(tab, copied_results):
    fov = open_results(copied_results).fov(0)
    cell = int(fov.cells["cell"].iloc[0])
    tab.open(place="look", at=copied_results, cell=cell)
    tab.page.locator('.row[aria-selected="true"]').wait_for()
    held, let_go = hold(tab, "**/api/correct")
    tab.page.keyboard.press("e")
    tab.page.get_by_label("note").fill("dead")
    with tab.page.expect_request("**/api/correct"):
        tab.page.keyboard.press("Enter")
    tab.page.keyboard.press("Enter")
    let_go()
    tab.page.locator(".told", has_text="is bad: dead").wait_for()
    # Had it been asked for twice, the second would be saved by the time that this is.
    tab.page.keyboard.press("x")
    tab.page.locator(".begun b").wait_for()
    with tab.page.expect_response("**/api/correct"):
        tab.page.keyboard.press("Enter")
        tab.page.keyboard.press("Enter")
    tab.wait_for_state(cell=None)
    assert len(held) == 1
    assert fov.edits["correction"].tolist() == [f"{cell} is bad: dead", f"{cell} is removed"]


@pytest.mark.parametrize("key", ["x", "e"])
def test_what_could_not_be_saved_is_told_where_it_was_asked_for_and_can_be_tried_again(
    tab, copied_results, key
):
    cell = int(open_results(copied_results).fov(0).cells["cell"].iloc[0])
    tab.open(place="look", at=copied_results, cell=cell)
    tab.page.locator('.row[aria-selected="true"]').wait_for()
    refusal = json.dumps({"error": "cannot write the log: No space left on device"})
    refuse = re.compile("/api/correct$")
    tab.page.route(
        refuse,
        lambda route: route.fulfill(status=409, content_type="application/json", body=refusal),
    )
    tab.page.keyboard.press(key)
    if key == "e":
        tab.page.get_by_label("note").fill("dead")
    else:
        tab.page.locator(".begun b").wait_for()
    tab.page.keyboard.press("Enter")
    tab.page.locator(".begun .bad", has_text="No space left").wait_for()
    tab.page.unroute(refuse)
    tab.page.keyboard.press("Enter")
    tab.page.locator(".told", has_text="is bad" if key == "e" else "is removed").wait_for()
    tab.page.locator(".begun").wait_for(state="detached")
    tab.errors.clear()  # what was refused is in the console too


def test_a_frame_that_takes_long_is_told_to_be_on_its_way_and_the_last_stays(tab, copied_results):
    first = re.compile(r"[?&]t=0(&|$)")
    held = []
    frames = re.compile("/api/frame")
    tab.page.route(
        frames,
        lambda route: route.continue_() if first.search(route.request.url) else held.append(route),
    )
    tab.open(place="look", at=copied_results, show="phase")
    tab.wait_for_picture("phase 0 0")
    assert tab.page.locator(".waiting").count() == 0
    tab.page.keyboard.press("End")
    tab.page.locator(".waiting", has_text="reading frame 9").wait_for()
    tab.wait_for_picture("phase 0 0")
    tab.page.unroute(frames)
    tab.wait_for_picture("phase 0 9")
    tab.page.locator(".waiting").wait_for(state="detached")
