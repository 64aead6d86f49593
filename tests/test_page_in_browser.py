"""The page as a person uses it, in a real browser with WebGL in software."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from browsing import chromium, needs_chromium, serving, tabs
from pyama_core.processing.workflow.release import parse_kinds, release_stacks
from pyama_core.results.results import open_results

pytestmark = needs_chromium

PALETTE = ("56b4e9", "e69f00", "009e73", "cc79a7", "f0e442", "0072b2", "d55e00")
SIZE = 256


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    """Stand in for the check of all other tests: a browser keeps processes as it likes."""


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


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


@pytest.mark.parametrize("label", [7, 65_535, 65_536, 70_001, 4_000_000_123])
def test_labels_of_32_bits_have_outlines_and_can_be_clicked(tab, at, label):
    labels = np.zeros((SIZE, SIZE), np.uint32)
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


def no_cells():
    numbers = ("cell", "parent", "first_frame", "last_frame", "n_frames")
    return {name: [] for name in (*numbers, "fate", "good", "reason", "corrections")}


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
    assert tab.page.locator(".strip li").count() >= 5
    assert tab.page.locator(".strip li[aria-current]").count() == 1
    assert f"cell {cell}" in tab.page.locator(".cell-label").inner_text()
    # A click beside all cells chooses none.
    tab.page.mouse.click(*in_page(tab, *np.argwhere(fov.labels[5] == 0)[300]))
    tab.wait_for_state(cell=None)


def test_a_click_on_a_trace_goes_to_its_cell_and_frame(tab, at):
    traces = open_results(at).fov(0).traces
    tab.open(place="look", at=at, fov=0, column="area")
    tab.page.locator(".legend", has_text="median").wait_for()
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
    tab.page.wait_for_timeout(400)
    stopped = tab.state["t"]
    tab.page.wait_for_timeout(400)
    assert tab.state["t"] == stopped


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
            tab.page.locator('.row[aria-selected="true"] .mark.good').wait_for()
        results.fov(0).mark_bad(cell, "dead")
        for tab in opened:
            selected = tab.page.locator('.row[aria-selected="true"]')
            selected.locator(".mark.bad").wait_for()
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
        tab.page.get_by_role("button", name="write the demo here").wait_for()
        assert "ND2" in tab.page.locator(".says").inner_text()
        tab.open(place="look")
        tab.page.get_by_role("button", name="to the files").click()
        tab.wait_for_state(place="files")
