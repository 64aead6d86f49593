"""The report as a person opens it: a file in a real browser, without a server and a network."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from browsing import needs_chromium
from pyama_core.cli.app import app
from pyama_core.io.storage.naming import SOURCE_NAME
from pyama_core.report.compare import write_comparison
from pyama_core.report.write import write_report
from pyama_core.results.results import open_results

sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.made_results import Size, make_results

pytestmark = [needs_chromium, pytest.mark.slow]

HOSTILE = "<script>document.title='taken'</script>"


@contextlib.contextmanager
def opened(browser, path, **more):
    """Open a file; errors and requests of it fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, **more)
    context.set_default_timeout(15_000)
    page, errors, requests = context.new_page(), [], []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    yield page
    context.close()
    assert errors == []
    own = ("data:", "blob:", path.as_uri())
    assert [url for url in requests if not url.startswith(own)] == []


@pytest.fixture(scope="module")
def report(sampled, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "Bericht über alles.html"
    return write_report(sampled.folder, path)[0]


def look_at_traces(page):
    for _ in range(3):  # what is scrolled past gets its real height on the way
        page.evaluate("document.getElementById('look').scrollIntoView()")
        page.wait_for_timeout(100)
    page.locator("#traces canvas").wait_for()
    page.locator(".chart-box").scroll_into_view_if_needed()


def place_of(page, cell, report):
    """Where the middle of the trace of a cell is drawn, in the window: by what the axes say."""
    text = report.read_text(encoding="utf-8")
    data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    number = next(i for i, each in enumerate(data["cells"]) if (each["fov"], each["cell"]) == cell)
    return page.evaluate(
        """([number]) => {
          const data = JSON.parse(document.getElementById('data').textContent);
          const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer;
          const starts = new Int32Array(bytes(data.starts));
          const minutes = new Float32Array(bytes(data.minutes));
          const shown = data.columns[0];
          const steps = new Uint16Array(bytes(shown.values));
          const value = i => shown.low + steps[i] / 65534 * (shown.high - shown.low);
          let [y0, y1] = [Infinity, -Infinity];
          for (let i = 0; i < steps.length; i++) {
            y0 = Math.min(y0, value(i)); y1 = Math.max(y1, value(i));
          }
          for (const each of shown.courses) {
            y0 = Math.min(y0, ...each.low); y1 = Math.max(y1, ...each.high);
          }
          const margin = (y1 - y0) * 0.04;
          const [x0, x1] = [Math.min(...minutes), Math.max(...minutes)];
          const row = Math.floor((starts[number] + starts[number + 1]) / 2);
          const box = document.querySelector('#traces .u-over').getBoundingClientRect();
          return [
            box.left + (minutes[row] - x0) / (x1 - x0) * box.width,
            box.bottom - (value(row) - y0 + margin) / (y1 - y0 + 2 * margin) * box.height,
          ];
        }""",
        [number],
    )


def test_a_click_on_a_trace_shows_its_cell(browser, report, sampled):
    traces = sampled.read_traces()
    last = traces[traces["frame"] == 5].sort_values("intensity_total_GFP").iloc[-1]
    cell = (int(last["fov"]), int(last["cell"]))
    with opened(browser, report) as page:
        look_at_traces(page)
        x, y = place_of(page, cell, report)
        page.mouse.move(x, y)
        told = page.locator(".told")
        told.filter(has_text=f"cell {cell[1]} ").wait_for()
        page.mouse.click(x, y)
        image = page.locator(".strip img")
        image.wait_for()
        assert image.evaluate("each => each.decode().then(() => each.naturalWidth)") == 56 * 10
        assert page.locator(".strip svg path").first.get_attribute("d").startswith("M")
        assert f"FOV {cell[0]} " in told.inner_text()
        page.keyboard.press("Escape")
        assert image.count() == 0


def test_what_is_marked_is_saved_as_curate_takes_it(browser, owned, tmp_path):
    path, _ = write_report(owned.folder)
    with opened(browser, path) as page:
        look_at_traces(page)
        page.keyboard.press("n")
        page.keyboard.press("b")
        page.keyboard.press("n")
        page.keyboard.press("g")
        page.keyboard.press("n")
        page.keyboard.press("b")
        page.keyboard.press("u")
        assert "2 cells marked" in page.locator("#traces").inner_text()
        with page.expect_download() as download:
            page.get_by_role("button", name="save corrections").click()
        saved = tmp_path / download.value.suggested_filename
        download.value.save_as(saved)
    lines = [json.loads(line) for line in saved.read_text(encoding="utf-8").splitlines()]
    assert [line["good"] for line in lines] == [False, True]
    done = CliRunner().invoke(app, ["curate", str(owned.folder), "--import", str(saved)])
    assert done.exit_code == 0, done.output
    cells = open_results(owned.folder).cells.set_index(["fov", "cell"])
    for line in lines:
        assert bool(cells.loc[(line["fov"], line["cell"]), "good"]) is line["good"]


def test_outlines_can_be_switched_off_and_positions_sorted(browser, report):
    with opened(browser, report) as page:
        outlines = page.locator("svg.outlines").first
        assert outlines.is_visible()
        page.get_by_label("outlines of cells").uncheck()
        assert not outlines.is_visible()
        page.get_by_label("order of positions").select_option("position")
        tiles = page.locator("#tiles li")
        order = [tiles.nth(i).get_attribute("data-fov") for i in range(tiles.count())]
        assert order == ["0", "1", "2"]


def test_another_feature_and_one_sample_can_be_chosen(browser, report, sampled):
    with opened(browser, report) as page:
        look_at_traces(page)
        page.get_by_label("what is drawn").select_option(label="area (px)")
        page.get_by_label("sample", exact=True).select_option(label="control")
        n = len(sampled.read_cells(samples="control"))
        assert f"{n} cells" in page.locator("#traces .controls").first.inner_text()


def test_without_javascript_numbers_curves_and_pictures_are_there(browser, report, sampled):
    with opened(browser, report, java_script_enabled=False) as page:
        text = page.locator("body").text_content()
        assert "control" in text
        assert str(len(sampled.read_cells(samples="control"))) in text
        assert "the page needs JavaScript" in text
        assert not page.locator("#traces").is_visible()
        assert page.locator("#samples svg.chart").count() == 2
        assert page.locator("#details img").first.is_visible()


def test_names_are_text_whatever_they_are(browser, results_of_demo, tmp_path):
    folder = shutil.copytree(results_of_demo, tmp_path / "<img src=x onerror=alert(1)>")
    source = json.loads((folder / SOURCE_NAME).read_text(encoding="utf-8"))
    source["channel_names"] = ["<svg onload=alert(1)>", HOSTILE, "</style><h1>b"]
    source["fov_names"] = [HOSTILE, "<!--", "\"><img src='http://127.0.0.1:9/x'>"]
    (folder / SOURCE_NAME).write_text(json.dumps(source), encoding="utf-8")
    open_results(folder).assign_samples({HOSTILE: [0, 1]})
    path, _ = write_report(folder)
    other, _ = write_comparison([folder, results_of_demo], tmp_path / "compare.html")
    with opened(browser, path) as page:
        look_at_traces(page)
        page.keyboard.press("n")
        page.locator(".strip img").wait_for()
        assert page.title() == folder.name
        assert HOSTILE in page.locator("body").inner_text()
        assert page.locator("h1").count() == 1
    with opened(browser, other) as page:
        assert HOSTILE in page.locator("body").inner_text()


def test_the_page_can_neither_fetch_nor_run_what_somebody_puts_into_it(browser, report, tmp_path):
    text = report.read_text(encoding="utf-8")
    bad = "<script>document.title = 'taken'</script><img src='http://127.0.0.1:9/x.png'>"
    path = tmp_path / "changed.html"
    path.write_text(text.replace("<main>", f"<main>{bad}"), encoding="utf-8")
    page = browser.new_page()
    failed = []
    page.on("requestfailed", lambda request: failed.append(request.failure))
    page.goto(path.as_uri())
    assert page.title() != "taken"
    refused = page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')")
    assert refused == "refused"
    assert all("csp" in reason.lower() for reason in failed)
    page.close()


def test_it_prints_on_pages(browser, report, tmp_path):
    with opened(browser, report) as page:
        content = page.pdf()
    assert content.startswith(b"%PDF")
    assert 10_000 < len(content) < 5_000_000


@pytest.mark.nightly
def test_two_hundred_positions_are_small_soon_there_and_no_matter_of_memory(browser, tmp_path):
    """200 positions of 180 frames and 50 cells: in less than a minute, less than 10 MB."""
    size = Size(n_fovs=200, n_frames=180, n_cells=50)
    folder = make_results(tmp_path / "made", size)
    code = (
        "import sys, resource; from pyama_core.report.write import write_report; "
        "write_report(sys.argv[1]); "
        "used = resource.getrusage(resource.RUSAGE_SELF); "
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss)"
    )

    def write(of):
        done = subprocess.run(
            [sys.executable, "-c", code, str(of)], capture_output=True, text=True, check=True
        )
        return tuple(map(float, done.stdout.split()[-2:]))

    seconds, large = write(folder)  # of computing, for others may be at work on this machine
    assert seconds < 60
    assert (folder / "report.html").stat().st_size < 10e6
    few = make_results(tmp_path / "few", Size(n_fovs=50, n_frames=180, n_cells=50))
    assert large - write(few)[1] < 60 * 1024  # kB
    with opened(browser, folder / "report.html") as page:
        look_at_traces(page)
        page.keyboard.press("n")
        assert page.locator("#tiles li").count() == 200
        assert "cell" in page.locator(".told").inner_text()
