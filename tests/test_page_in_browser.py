"""The page as a person uses it, in a real browser with WebGL in software."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import imagecodecs
import numpy as np
import pytest

from browsing import needs_chromium, serving, tabs
from pyama_core.processing.workflow.release import parse_kinds, release_stacks
from pyama_core.results.results import open_results

pytestmark = [needs_chromium, pytest.mark.slow]

PALETTE = ("56b4e9", "e69f00", "009e73", "cc79a7", "f0e442", "0072b2", "d55e00")
SIZE = 256


@pytest.fixture(scope="module")
def server(results_of_demo):
    with serving(results_of_demo.parent) as started:
        yield started


@pytest.fixture
def tab(browser, server):
    with tabs(browser, server) as [opened]:
        yield opened


@pytest.fixture
def at(results_of_demo):
    return str(results_of_demo)


def colour(hexadecimal):
    return [int(hexadecimal[i : i + 2], 16) for i in (0, 2, 4)]


def instead(tab, images, limits=None):
    """Let the server give other images, by layer, and other limits of contrast."""

    def give(route):
        asked = parse_qs(urlsplit(route.request.url).query)
        image = images.get(asked["kind"][0])
        if image is None:
            route.continue_()
            return
        level = int(asked.get("level", ["0"])[0])
        assert level == 0, "these images are shown larger than they are"
        headers = {"X-Shape": f"{SIZE},{SIZE}", "X-Dtype": image.dtype.name}
        kind = "application/octet-stream"
        route.fulfill(status=200, headers=headers, content_type=kind, body=image.tobytes())

    def describe(route):
        described = route.fetch().json()
        for layer in described["layers"]:
            if layer["kind"] in images:
                layer |= {"low": limits[0], "high": limits[1]}
                layer["dtype"] = images[layer["kind"]].dtype.name
        route.fulfill(json=described)

    tab.page.route("**/api/frame?*", give)
    if limits is not None:
        tab.page.route("**/api/fov?*", describe)


def centres(shape):
    """Where the picture shows the centres of the pixels of a square image that fits."""
    height, width = shape[:2]
    scale = min(height, width) / SIZE
    offsets = (np.arange(SIZE) + 0.5 - SIZE / 2) * scale
    return np.floor(height / 2 + offsets).astype(int), np.floor(width / 2 + offsets).astype(int)


def at_centres(picture):
    return picture[np.ix_(*centres(picture.shape))]


def in_page(tab, y, x):
    """Place of a pixel of the image in the window."""
    box = tab.page.locator(".picture canvas").bounding_box()
    scale = min(box["height"], box["width"]) / SIZE
    return (
        box["x"] + box["width"] / 2 + (x + 0.5 - SIZE / 2) * scale,
        box["y"] + box["height"] / 2 + (y + 0.5 - SIZE / 2) * scale,
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_picture_shows_the_right_pixels_also_after_a_change_of_contrast(tab, at, dtype):
    rng = np.random.default_rng(1)
    most = {"uint8": 255, "uint16": 65_535, "float32": 65_535}[dtype]
    image = (rng.random((SIZE, SIZE)) * (most + 1)).clip(0, most).astype(dtype)
    labels = np.zeros((SIZE, SIZE), np.uint32)
    low, high = most * 0.1, most * 0.9
    instead(tab, {"phase": image, "labels": labels}, (low, high))
    tab.open(place="look", at=at, show="phase")
    tab.wait_for_picture("phase")

    def expected(low, high):
        shown = ((image.astype(float) - low) / (high - low)).clip(0, 1) * 255
        return np.repeat(shown[:, :, np.newaxis], 3, axis=2)

    np.testing.assert_allclose(at_centres(tab.read_picture()), expected(low, high), atol=1.1)
    asked = len([url for url in tab.requests if "/api/frame" in url and "&t=0&" in url])
    tab.page.get_by_label("contrast of phase").click()
    slider = tab.page.get_by_label("white at")
    slider.evaluate(
        """element => { element.value = String(Number(element.max) * 0.3);
             element.dispatchEvent(new Event('input', {bubbles: true})); }"""
    )
    white = float(slider.evaluate("element => element.value"))
    assert white < high
    np.testing.assert_allclose(at_centres(tab.read_picture()), expected(low, white), atol=1.1)
    assert len([url for url in tab.requests if "/api/frame" in url and "&t=0&" in url]) == asked


def test_a_picture_that_is_smaller_than_its_image_shows_means_and_outlines_at_the_border(tab, at):
    image = (np.random.default_rng(2).random((SIZE, SIZE)) * 65_535).astype(np.uint16)
    labels = np.full((SIZE, SIZE), 3, np.uint16)
    instead(tab, {"phase": image, "labels": labels}, (0, 65_535))
    tab.page.route("**/api/cells?*", lambda route: route.fulfill(json=no_cells()))
    scale = 0.7
    tab.open(
        place="look", at=at, show="phase", outlines="cell", view=f"{scale},{SIZE / 2},{SIZE / 2}"
    )
    tab.wait_for_picture("phase")
    picture = tab.read_picture()
    places = [(np.arange(n) + 0.5 - n / 2) / scale + SIZE / 2 for n in picture.shape[:2]]
    shown = [np.flatnonzero((q > 0) & (q < SIZE)) for q in places]
    (y, x), border = [q[inside] for q, inside in zip(places, shown, strict=True)], 3
    inner = picture[np.ix_(*shown)][border:-border, border:-border]
    expected = mean_of_neighbours(image, y, x)[border:-border, border:-border] * 255 / 65_535
    np.testing.assert_allclose(inner[..., 0], expected, atol=1.1)
    outlined = (picture[np.ix_(*shown)] == colour(PALETTE[3])).all(axis=2)
    for side in (outlined, outlined[::-1], outlined.T, outlined.T[::-1]):
        assert side[:2, border:-border].any(axis=0).all()  # The last pixel may be cut off.
    assert not outlined[border:-border, border:-border].any()


def mean_of_neighbours(image, y, x):
    """Return the image between pixels: linear between the four that are next."""
    (top, left), last = (np.floor(q - 0.5).astype(int) for q in (y, x)), SIZE - 1
    down, right = (y - 0.5 - top)[:, np.newaxis], x - 0.5 - left
    grey = image.astype(float)

    def at(rows, columns):
        return grey[np.ix_(rows.clip(0, last), columns.clip(0, last))]

    upper = at(top, left) * (1 - right) + at(top, left + 1) * right
    lower = at(top + 1, left) * (1 - right) + at(top + 1, left + 1) * right
    return upper * (1 - down) + lower * down


@pytest.mark.parametrize(
    ("label", "dtype"),
    [
        (65_535, np.uint16),
        (7, np.uint32),
        (65_536, np.uint32),
        (70_001, np.uint32),
        (4_000_000_123, np.uint32),
    ],
)
def test_labels_of_16_and_32_bits_have_outlines_and_can_be_clicked(tab, at, label, dtype):
    labels = np.zeros((SIZE, SIZE), dtype)
    labels[100:140, 60:120] = label
    instead(tab, {"phase": np.zeros((SIZE, SIZE), np.uint16), "labels": labels}, (0, 1))
    tab.page.route("**/api/cells?*", lambda route: route.fulfill(json=no_cells()))
    tab.open(place="look", at=at, show="phase", outlines="cell")
    tab.wait_for_picture("phase")
    picture = tab.read_picture()
    ys, xs = centres(picture.shape)
    inside = picture[ys[100:140]][:, xs[60:120]]
    assert (at_centres(picture)[labels == 0] == 0).all()
    assert (inside[10:30, 10:50] == 0).all()
    upper_edge = picture[ys[100] - 1 : ys[100] + 1, xs[90]]
    assert colour(PALETTE[label % len(PALETTE)]) in upper_edge.tolist()
    tab.page.mouse.click(*in_page(tab, 120, 90))
    tab.wait_for_state(cell=label)
    picture = tab.read_picture()
    assert [255, 255, 255] in picture[ys[100] - 1 : ys[100] + 1, xs[90]].tolist()


def wait_for_cells(tab):
    """Wait until the cells are known, which have outlines of other colours from then on."""
    tab.page.locator(".table .scroll .row").first.wait_for()


def no_cells():
    numbers = ("cell", "parent", "first_frame", "last_frame", "n_frames")
    return {name: [] for name in (*numbers, "fate", "good", "reason", "corrections", "verdicts")}


def test_a_click_on_a_cell_chooses_its_trace_its_row_and_its_film_strip(tab, at):
    fov = open_results(at).fov(1)
    row = fov.traces.query("frame == 5").iloc[2]
    cell = int(row["cell"])
    y, x = np.argwhere(fov.labels[5] == cell).mean(axis=0)
    tab.open(place="look", at=at, fov=1, t=5)
    tab.wait_for_picture("phase 1 5")
    tab.page.mouse.click(*in_page(tab, y, x))
    tab.wait_for_state(cell=cell, t=5)
    selected = tab.page.locator('.table .row[aria-selected="true"]')
    assert selected.inner_text().split()[0] == str(cell)
    tab.page.locator(".strip li").nth(4).wait_for()
    assert tab.page.locator(".strip li[aria-current]").count() == 1
    assert f"cell {cell}" in tab.page.locator(".cell-label").inner_text()
    # A click beside all cells chooses none.
    tab.page.mouse.click(*in_page(tab, *np.argwhere(fov.labels[5] == 0)[300]))
    tab.wait_for_state(cell=None)


def test_a_click_on_a_trace_goes_to_its_cell_and_frame(tab, at):
    traces = open_results(at).fov(0).traces
    tab.open(place="look", at=at, fov=0, column="area")
    tab.page.locator(".legend", has_text="median").wait_for()
    tab.page.get_by_text("reading traces").wait_for(state="detached")
    # The largest value of all, at a place of its own.
    row = traces.loc[traces["area"].idxmax()]
    box = tab.page.locator(".chart .u-over").bounding_box()
    low, high = traces["area"].min(), traces["area"].max()
    margin = (high - low) * 0.04
    times = traces["time_h"]
    share = (row["time_h"] - times.min()) / (times.max() - times.min())
    # Along the trace, so that the edge of the chart is not in the way.
    x = box["x"] + np.clip(share, 0.01, 0.99) * box["width"]
    y = box["y"] + margin / (high - low + 2 * margin) * box["height"]
    tab.page.mouse.move(x, y + 1)
    tab.page.mouse.click(x, y + 1)
    tab.wait_for_state(cell=int(row["cell"]))
    assert abs(int(tab.state["t"]) - int(row["frame"])) <= 1


def test_the_address_is_the_state_and_back_works(tab, at):
    tab.open(place="look", at=at, fov=1, t=3)
    tab.wait_for_picture("phase 1 3")
    tab.page.keyboard.press("ArrowDown")
    tab.wait_for_state(fov=2)
    tab.page.keyboard.press("ArrowRight")
    tab.wait_for_state(fov=2, t=4)
    tab.wait_for_picture("phase 2 4")
    tab.page.reload()
    tab.wait_for_picture("phase 2 4")
    tab.page.go_back()
    tab.wait_for_state(fov=1)
    tab.wait_for_picture("phase 1 3")


def test_every_key_is_told_and_layers_and_outlines_answer_to_theirs(tab, at):
    tab.open(place="look", at=at)
    tab.wait_for_picture("phase 0 0")
    tab.page.keyboard.press("2")
    tab.wait_for_picture("phase", "GFP")
    tab.page.keyboard.press("o")
    tab.wait_for_state(outlines="cell", show="phase,GFP")
    tab.page.keyboard.press("?")
    told = tab.page.locator(".help").inner_text()
    for words in ("next frame", "next position", "outlines", "find a cell"):
        assert words in told
    tab.page.keyboard.press("Escape")
    assert tab.page.locator(".help").count() == 0


def test_playing_goes_on_and_stops(tab, at):
    tab.open(place="look", at=at)
    tab.wait_for_picture("phase 0 0")
    tab.page.keyboard.press(" ")
    tab.wait_for_picture("phase 0 3")
    tab.page.keyboard.press(" ")
    tab.page.get_by_role("button", name="play").wait_for()
    slider = tab.page.get_by_label("frame", exact=True)
    stopped = slider.input_value()
    tab.page.wait_for_timeout(400)  # in which four frames would be played
    assert slider.input_value() == stopped


def test_cells_are_found_and_sorted(tab, at):
    cells = open_results(at).fov(0).cells
    tab.open(place="look", at=at)
    rows = tab.page.locator(".table .scroll .row")
    rows.first.wait_for()
    tab.page.keyboard.press("/")
    tab.page.keyboard.type("bad")
    bad = cells.loc[~cells["good"], "cell"].astype(str).tolist()
    tab.page.wait_for_function(
        "n => document.querySelectorAll('.table .scroll .row').length === n", arg=len(bad)
    )
    assert [text.split()[0] for text in rows.all_inner_texts()] == bad
    tab.page.keyboard.press("Enter")
    tab.wait_for_state(cell=bad[0])


def test_corrections_made_elsewhere_show_by_themselves(browser, copied_results):
    results = open_results(copied_results)
    cells = results.fov(0).cells
    cell = int(cells.loc[cells["good"], "cell"].iloc[0])
    with serving(copied_results) as server, tabs(browser, server, n=3) as opened:
        for tab in opened:
            tab.open(place="look", at=str(copied_results), cell=cell)
            tab.page.locator('.row[aria-selected="true"] > .mark.good').wait_for()
        results.fov(0).mark_bad(cell, "dead")
        for tab in opened:
            selected = tab.page.locator('.row[aria-selected="true"]')
            selected.locator("> .mark.bad").wait_for()
            assert "dead" in selected.inner_text()
        streams = [url for tab in opened for url in tab.requests if "/api/events" in url]
        # A page that was left ends its stream; three that are open share one.
        assert len(streams) <= 2


def test_what_is_missing_is_told_in_words_and_the_rest_is_shown(browser, copied_results):
    release_stacks(copied_results, parse_kinds("pc,fl,fl_corrected,seg_labeled"))
    with serving(copied_results) as server, tabs(browser, server) as [tab]:
        tab.open(place="look", at=str(copied_results))
        tab.page.locator(".picture .says", has_text="--restore").wait_for()
        tab.page.locator(".table .scroll .row").first.wait_for()
        tab.page.locator(".legend", has_text="good cells").wait_for()


def test_a_server_that_has_ended_is_told_in_words(browser, results_of_demo):
    with serving(results_of_demo) as server, tabs(browser, server) as [tab]:
        tab.open(place="look", at=str(results_of_demo))
        tab.wait_for_picture("phase 0 0")
        server.process.terminate()
        server.process.wait(10)
        tab.page.keyboard.press("ArrowDown")
        tab.page.locator("text=start pyama app again").first.wait_for()
        tab.page.close()
        # The browser itself reports each connection that was refused.
        tab.errors[:] = [
            each
            for each in tab.errors
            if "ERR_CONNECTION_REFUSED" not in each and "ERR_INCOMPLETE" not in each
        ]


def test_a_folder_that_holds_no_results_is_told_in_words(tab, at):
    tab.open(place="look", at=at + "/fov_000")
    tab.page.locator("text=holds no results").wait_for()
    tab.errors[:] = [each for each in tab.errors if "400" not in each]


def test_results_are_found_and_opened_by_a_click(tab, results_of_demo):
    tab.open()
    card = tab.page.locator(".card", has_text=results_of_demo.name)
    card.locator("text=3 done").wait_for()
    card.click()
    tab.wait_for_state(place="look", at=str(results_of_demo))
    tab.wait_for_picture("phase 0 0")


def test_an_empty_folder_says_how_to_begin(browser, tmp_path):
    with serving(tmp_path) as server, tabs(browser, server) as [tab]:
        tab.open()
        tab.page.get_by_role("button", name="adherent cells").wait_for()
        assert "ND2" in tab.page.locator(".says").inner_text()
        tab.open(place="look")
        tab.page.get_by_role("button", name="to the files").click()
        tab.wait_for_state(place="files")


# Corrections


def told(tab):
    return tab.page.locator(".correct .told").inner_text()


def wait_for_words(tab, words):
    tab.page.locator(".correct .told", has_text=words).wait_for()


def test_cells_are_corrected_by_keys_and_all_of_it_outlives_the_server(browser, copied_results):
    fov, at = open_results(copied_results).fov(0), str(copied_results)
    cells = fov.cells
    cut, removed = cells.loc[cells["n_frames"] == 10, "cell"].tolist()[:2]
    dead = int(cells.loc[cells["good"], "cell"].iloc[-1])
    with serving(copied_results) as server, tabs(browser, server) as [tab]:
        press = tab.page.keyboard.press
        tab.open(place="look", at=at, cell=dead)
        tab.page.locator('.row[aria-selected="true"] > .mark.good').wait_for()
        press("e")
        tab.page.get_by_label("note").fill("it is dead")
        press("Enter")
        tab.page.locator('.row[aria-selected="true"] > .mark.bad').wait_for()
        wait_for_words(tab, f"{dead} is bad: it is dead")
        # Cut at the frame that is shown, after a look at what comes of it.
        tab.open(place="look", at=at, cell=cut, t=5)
        tab.page.locator('.row[aria-selected="true"]').wait_for()
        press("c")
        wait_for_words(tab, f"{cut} is 50001 from frame 5 on; {cut}: frames 0-4; 50001: frames 5-9")
        press("ArrowRight")
        wait_for_words(tab, f"{cut}: frames 0-5; 50001: frames 6-9")
        assert fov.edits["correction"].tolist() == [f"{dead} is bad: it is dead"]
        press("Enter")
        wait_for_words(tab, "from frame 6 on")
        tab.page.locator(".table .row", has_text="50001").first.wait_for()
        tab.open(place="look", at=at, cell=removed)
        tab.page.locator('.row[aria-selected="true"]').wait_for()
        press("x")
        wait_for_words(tab, f"{removed} is removed")
        press("Enter")
        tab.wait_for_state(cell=None)
        server.process.kill()
        server.process.wait(10)
        tab.page.close()  # which else goes on to complain that nobody answers
        tab.errors.clear()
    with serving(copied_results) as server, tabs(browser, server) as [tab]:
        tab.open(place="look", at=at, cell=removed, list="corrections")
        wait_for_words(tab, f"There is no cell {removed} any more: {removed} is removed")
        history = tab.page.locator(".history li")
        history.nth(2).wait_for()
        assert [words.split("\n")[0] for words in history.all_inner_texts()] == [
            f"{removed} is removed",
            f"{cut} is 50001 from frame 6 on",
            f"{dead} is bad: it is dead",
        ]
        tab.page.keyboard.press("u")
        tab.wait_for_state(cell=removed)
        wait_for_words(tab, "undone")
        history.first.get_by_role("button", name="redo").click()
        wait_for_words(tab, "done again")
        history.nth(1).get_by_role("button", name="undo").click()
        tab.page.locator(".history li.undone", has_text="50001").wait_for()
    assert open_results(copied_results).edits["stands"].tolist() == [
        "applied",
        "undone",
        "applied",
    ]


def test_a_cell_to_join_is_clicked_and_a_conflict_is_told_in_words(browser, copied_results):
    fov, at = open_results(copied_results).fov(0), str(copied_results)
    cells = fov.cells
    first, other = cells.loc[cells["n_frames"] == 10, "cell"].tolist()[:2]
    new = fov.cut(first, 4)
    with serving(copied_results) as server, tabs(browser, server) as [tab]:
        held = []
        tab.page.route("**/api/doubts?*", lambda route: held.append(route))
        with tab.page.expect_request("**/api/doubts?*"):
            tab.open(place="look", at=at, cell=first, t=6)
        tab.wait_for_picture("phase 0 6")
        tab.page.locator(".row", has_text=str(new)).first.wait_for()
        tab.page.keyboard.press("j")
        for route in held:
            route.continue_()
        tab.page.unroute("**/api/doubts?*")
        # It ends where the new one begins, which is proposed as soon as it is known.
        wait_for_words(tab, f"{first} and {new} are one cell")
        tab.page.locator(".table .scroll .row").nth(sorted(fov.cells["cell"]).index(other)).click()
        wait_for_words(tab, "both seen in frames 0-3; cut or remove one of them there first")
        tab.page.keyboard.press("Enter")
        assert tab.state["cell"] == str(first)
        tab.page.mouse.click(*in_page(tab, *np.argwhere(fov.label_image(6) == new).mean(axis=0)))
        wait_for_words(tab, f"{first} and {new} are one cell; {first}: frames 0-9")
        # Both are drawn like the chosen cell.
        ys, xs = np.nonzero(fov.label_image(6) == new)
        shown = at_centres(tab.read_picture())
        assert (shown[ys.min(), xs[ys == ys.min()]] == 255).all(axis=1).any()
        tab.page.locator(".begun").get_by_role("button", name="join").click()
        tab.page.wait_for_function(
            "n => ![...document.querySelectorAll('.table .row .number')]"
            ".some(each => each.textContent === String(n))",
            arg=new,
        )
        assert tab.state["cell"] == str(first)
    assert new not in fov.cells["cell"].tolist()


def test_two_pages_see_each_others_corrections_and_conflicts(browser, copied_results):
    fov, at = open_results(copied_results).fov(0), str(copied_results)
    cell = int(fov.cells.loc[fov.cells["good"], "cell"].iloc[0])
    with (
        serving(copied_results) as server,
        tabs(browser, server) as [mine],
        tabs(browser, server) as [theirs],
    ):
        for tab in (mine, theirs):
            tab.open(place="look", at=at, cell=cell)
            tab.page.locator('.row[aria-selected="true"] > .mark.good').wait_for()
        theirs.page.keyboard.press("c")
        mine.page.keyboard.press("b")
        theirs.page.locator('.row[aria-selected="true"] > .mark.bad').wait_for()
        theirs.page.keyboard.press("Escape")
        theirs.page.keyboard.press("u")
        mine.page.locator('.row[aria-selected="true"] > .mark.good').wait_for()
        mine.page.keyboard.press("x")
        wait_for_words(mine, "is removed")
        mine.page.keyboard.press("Enter")
        wait_for_words(theirs, f"There is no cell {cell} any more: {cell} is removed")


def test_doubted_cells_are_gone_through_most_suspicious_first(browser, copied_results):
    at = str(copied_results)
    with serving(copied_results) as server, tabs(browser, server) as [tab]:
        tab.open(place="look", at=at)
        tab.page.locator(".correct", has_text=re.compile("[1-9][0-9]* doubted")).wait_for()
        doubts = tab.page.evaluate(
            """async at => (await (await fetch(`/api/doubts?fov=0&at=${encodeURIComponent(at)}`))
                 .json()).doubts""",
            at,
        )
        assert len(doubts) > 1
        for doubt in doubts[:2]:
            tab.page.keyboard.press("n")
            tab.wait_for_state(cell=doubt["cell"], t=doubt["frame"])
            wait_for_words(tab, doubt["words"])
        tab.page.keyboard.press("g")
        wait_for_words(tab, f"{doubts[1]['cell']} is good")
        tab.page.locator(".correct", has_text=f"{len(doubts) - 1} doubted").wait_for()
        tab.page.keyboard.press("p")
        tab.wait_for_state(cell=doubts[0]["cell"])
        for _ in range(len(doubts) - 1):
            tab.page.keyboard.press("n")
        wait_for_words(tab, "n again goes to position 1")
        tab.page.keyboard.press("n")
        tab.wait_for_state(fov=1)


# What is saved and linked


def test_a_picture_is_what_is_on_the_screen_with_scale_bar_and_time(tab, at):
    tab.open(place="look", at=at, t=6, show="phase,GFP")
    tab.wait_for_picture("phase 0 6", "GFP 0 6")
    shown = tab.read_picture()
    with tab.page.expect_download() as saved:
        tab.page.keyboard.press("s")
    assert saved.value.suggested_filename.endswith("t006.png")
    picture = imagecodecs.png_decode(Path(saved.value.path()).read_bytes())[:, :, :3]
    height, width = picture.shape[:2]
    left = (shown.shape[1] - width) // 2
    middle = np.s_[height // 4 : height // 2, :]
    part = shown[:height, left : left + width]
    np.testing.assert_array_equal(picture[middle], part[middle])
    # The bar is white, at the right below; the time at the left above.
    changed = (picture != part).any(axis=2)
    assert changed[: height // 6, : width // 2].sum() > 100
    assert changed[-height // 6 :, -width // 2 :].sum() > 100
    assert not changed[height // 6 : -height // 6].any()


def test_a_folder_that_was_away_is_shown_again_when_it_is_back(browser, copied_results):
    with serving(copied_results.parent) as server, tabs(browser, server) as [tab]:
        # Frames that are fetched ahead are refused: kept, the last one would be there already, and
        # kept back it would be waited for.
        first = re.compile(r"[?&]t=0(&|$)")
        tab.page.route(
            re.compile("/api/frame"),
            lambda route: route.continue_() if first.search(route.request.url) else route.abort(),
        )
        tab.open(place="look", at=copied_results, show="phase")
        tab.wait_for_picture("phase 0 0")
        tab.page.unroute_all()
        away = copied_results.rename(copied_results.with_name("away"))
        tab.page.keyboard.press("End")
        tab.page.locator(".problem.over").wait_for()
        away.rename(copied_results)
        tab.page.get_by_role("button", name="try again").click()
        tab.wait_for_picture("phase 0 9")
        tab.errors.clear()  # what was refused meanwhile is in the console too


def test_a_place_that_there_is_not_is_that_of_files(tab, at):
    tab.open(place="nowhere", at=at)
    tab.page.get_by_role("navigation", name="folder").wait_for()


def test_the_scale_bar_of_a_film_strip_is_a_line_in_its_picture(tab, at):
    tab.open(place="look", at=at, cell=1)
    bar, picture = tab.page.locator(".strip-bar"), tab.page.locator(".strip .square").first
    bar.wait_for()
    inner, outer = bar.bounding_box(), picture.bounding_box()
    assert inner["height"] < 22
    assert inner["x"] + inner["width"] <= outer["x"] + outer["width"]
    assert bar.evaluate("each => getComputedStyle(each).backgroundColor") == "rgba(0, 0, 0, 0)"


@pytest.mark.parametrize("lacks", ["nothing", "mp4"])
def test_a_film_holds_the_frames_that_were_asked_for(tab, at, lacks):
    """A browser that makes no MP4, as Firefox, makes WebM."""
    tab.page.add_init_script(
        f"""const isMade = MediaRecorder.isTypeSupported.bind(MediaRecorder);
            MediaRecorder.isTypeSupported = type => !type.includes("{lacks}") && isMade(type);"""
    )
    tab.open(place="look", at=at, t=2, show="GFP", outlines="none")
    tab.wait_for_picture("GFP 0 2")
    tab.page.get_by_role("button", name="save …").click()
    tab.page.get_by_label("last frame").fill("5")
    tab.page.get_by_label("frames per second").fill("5")
    with tab.page.expect_download() as saved:
        tab.page.get_by_role("button", name=re.compile("film \\(")).click()
    content = Path(saved.value.path()).read_bytes()
    if lacks == "mp4":
        assert saved.value.suggested_filename.endswith(".webm")
        assert content[:4] == b"\x1a\x45\xdf\xa3"  # as Matroska begins
    width, height, seconds = tab.page.evaluate(
        """async text => {
             const bytes = Uint8Array.from(atob(text), each => each.charCodeAt(0));
             const film = document.createElement('video');
             film.muted = true;
             film.src = URL.createObjectURL(new Blob([bytes]));
             await new Promise((done, failed) => { film.onended = done; film.onerror = failed;
               film.oncanplay = () => film.play(); });
             return [film.videoWidth, film.videoHeight, film.currentTime];
           }""",
        base64.b64encode(content).decode(),
    )
    assert (width % 2, height % 2) == (0, 0)
    assert min(width, height) > 200
    # Four frames at five a second, by the clock of a computer that may be busy.
    assert 0.7 < seconds < 10
    # The frame that was looked at before is looked at again.
    tab.wait_for_state(t=2)


def test_zoom_contrast_and_samples_stand_in_the_address(browser, sampled):
    at = str(sampled.folder)
    with serving(sampled.folder) as server, tabs(browser, server) as [tab]:
        tab.open(place="look", at=at, fov=1, show="phase", scope="samples")
        tab.wait_for_picture("phase 1 0")
        wait_for_cells(tab)
        tab.page.mouse.move(*in_page(tab, 60, 60))
        tab.page.mouse.wheel(0, -600)
        tab.page.get_by_label("contrast of phase").click()
        tab.page.get_by_label("white at").press("ArrowLeft")
        tab.page.locator(".legend label", has_text="control").get_by_role("checkbox").uncheck()
        tab.page.wait_for_function(
            "() => ['view', 'contrast', 'without'].every(name =>"
            " new URLSearchParams(location.search).has(name))"
        )
        shown = tab.read_picture()
        link = tab.page.url
        tab.page.goto("about:blank")
        tab.page.goto(link)
        tab.wait_for_picture("phase 1 0")
        wait_for_cells(tab)
        np.testing.assert_allclose(tab.read_picture().astype(int), shown, atol=3)
        boxes = tab.page.locator(".legend label", has_text="good cell").get_by_role("checkbox")
        boxes.first.wait_for()
        assert [box.is_checked() for box in boxes.all()] == [False, True]
        tab.requests[:] = [url for url in tab.requests if url != "about:blank"]


# Export


def test_results_are_exported_to_a_table_with_progress_and_found_in_the_folder(
    browser, copied_results
):
    with serving(copied_results) as server, tabs(browser, server) as [tab]:
        tab.open(place="export", at=str(copied_results))
        card = tab.page.get_by_role("article", name="csv")
        card.get_by_label("tables").select_option("wide")
        card.get_by_role("button", name="export").click()
        card.locator("text=wrote").wait_for()
        assert str(copied_results / "exports" / "csv") in card.inner_text()
        assert list((copied_results / "exports" / "csv").rglob("*.csv"))
        # A second time only on request.
        button = card.get_by_role("button", name="export")
        card.get_by_label("replace the earlier one").check()
        (copied_results / "exports" / "csv" / "mine.txt").write_text("mine")
        button.click()
        card.locator("text=mine.txt was not made by the export").wait_for()
        assert (copied_results / "exports" / "csv" / "mine.txt").read_text() == "mine"
        assert tab.page.get_by_role("article").count() >= 8
