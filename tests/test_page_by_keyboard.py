"""The page without a mouse: every control answers to keys, and dialogs give the focus back."""

from __future__ import annotations

import pytest

from browsing import needs_chromium, serving, tabs

pytestmark = [needs_chromium, pytest.mark.slow]


@pytest.fixture(scope="module")
def server(results_of_demo):
    with serving(results_of_demo.parent) as started:
        yield started


@pytest.fixture
def tab(browser, server, results_of_demo):
    with tabs(browser, server) as [opened]:
        opened.open(place="look", at=str(results_of_demo))
        opened.wait_for_picture("phase 0 0")
        opened.page.locator(".table .scroll .row").first.wait_for()
        yield opened


def has_focus(locator):
    return locator.evaluate("element => element === document.activeElement")


def test_a_space_ticks_a_box_that_has_the_focus_and_does_not_play(tab):
    box = tab.page.get_by_role("checkbox", name="GFP")
    box.focus()
    tab.page.keyboard.press(" ")
    tab.wait_for_picture("phase 0 0", "GFP 0 0")
    assert box.is_checked()
    assert tab.page.get_by_role("button", name="play").count() == 1


def test_letters_are_heard_while_the_slider_of_frames_has_the_focus(tab):
    slider = tab.page.get_by_label("frame", exact=True)
    slider.focus()
    tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("o")
    tab.wait_for_state(t=1, outlines="cell")


def test_what_was_used_by_the_mouse_does_not_keep_the_keys_to_itself(tab):
    tab.page.locator(".good-only input").click()
    tab.wait_for_state(good=1)
    tab.page.get_by_role("button", name="next frame").click()
    tab.wait_for_state(t=1)
    tab.page.keyboard.press(" ")
    tab.page.get_by_role("button", name="stop").wait_for()
    tab.page.keyboard.press(" ")
    tab.page.get_by_role("button", name="play").wait_for()
    assert tab.state["good"] == "1"


def test_small_dialogs_are_one_at_a_time_and_escape_leads_back_to_their_buttons(tab):
    dialogs = tab.page.get_by_role("dialog")
    contrast = tab.page.get_by_label("contrast of phase").first
    contrast.focus()
    tab.page.keyboard.press("Enter")
    dialogs.get_by_label("black at").focus()
    tab.page.keyboard.press("Escape")
    dialogs.wait_for(state="detached")
    assert has_focus(contrast)
    contrast.click()
    dialogs.get_by_label("black at").wait_for()
    tab.page.get_by_role("button", name="save …").click()
    dialogs.get_by_role("button", name="picture (PNG)").wait_for()
    assert dialogs.count() == 1


def test_the_keys_that_are_told_take_the_focus_let_no_other_key_through_and_give_it_back(tab):
    tab.page.locator(".table .scroll .row").first.click()
    tab.page.locator(".strip canvas").first.wait_for()
    judge = tab.page.get_by_role("button", name="✓ good")
    judge.focus()
    tab.page.keyboard.press("?")
    help_box = tab.page.get_by_role("dialog", name="keys")
    help_box.wait_for()
    assert has_focus(help_box.get_by_role("button", name="close"))
    tab.page.keyboard.press("x")
    tab.page.keyboard.press("Escape")
    help_box.wait_for(state="hidden")
    assert has_focus(judge)
    assert tab.page.locator(".begun").count() == 0


def test_keys_zoom_to_the_cell_that_is_chosen_and_back(tab):
    tab.page.locator(".table .scroll .row").nth(2).click()
    tab.page.locator(".strip canvas").first.wait_for()
    tab.page.keyboard.press("+")
    tab.page.wait_for_function("() => new URLSearchParams(location.search).has('view')")
    tab.page.keyboard.press("+")
    tab.page.keyboard.press("-")
    tab.page.keyboard.press("f")
    tab.wait_for_state(view=None)
