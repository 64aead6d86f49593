"""Draw `report.png`, the picture of the report in the README, from the demo.

Run `python docs/report.py`. Needs Chromium, and playwright, which the extra `dev` installs.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright
from results_figure import make_results  # from this folder

from pyama_core import open_results
from pyama_core.report.write import write_report

HERE = Path(__file__).parent
WIDTH = 1000


def main() -> None:
    """Make a demo, run it, open its report and take its picture."""
    with tempfile.TemporaryDirectory() as folder:
        path = make_report(Path(folder))
        with sync_playwright() as playwright:
            chromium = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": 900})
            page.goto(path.as_uri())
            parts = [part_of(page, "header, #first, #samples"), traces_of(page)]
            browser.close()
    picture = np.vstack([np.full((24, WIDTH, 3), 255, np.uint8), *parts])
    # Sixteen levels of each colour are enough, and small.
    picture = np.rint(picture / 17).astype(np.uint8) * 17
    cv2.imwrite(str(HERE / "report.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def make_report(folder: Path) -> Path:
    """Run a demo of four positions in two samples, and write its report."""
    results = open_results(make_results(folder, name="experiment 12"))
    results.assign_samples({"control": [0, 1], "drug": [2, 3]})
    return write_report(results.folder)[0]


def part_of(page: Page, selector: str) -> np.ndarray:
    """Take the picture of some elements that follow each other."""
    boxes = [each.bounding_box() for each in page.locator(selector).all()]
    found = [box for box in boxes if box]
    top = min(box["y"] for box in found)
    bottom = max(box["y"] + box["height"] for box in found)
    return taken(page, top, bottom - top)


def traces_of(page: Page) -> np.ndarray:
    """Choose a cell, and take the picture of the traces and its pictures."""
    for _ in range(3):  # what is scrolled past gets its real height on the way
        page.evaluate("document.getElementById('look').scrollIntoView()")
        page.wait_for_timeout(300)
    page.locator("#traces canvas").wait_for()
    for _ in range(5):
        page.keyboard.press("n")
    page.locator(".strip img").wait_for()
    page.wait_for_timeout(300)
    page.locator("#look h2").scroll_into_view_if_needed()
    box = page.locator("#look").bounding_box()
    assert box is not None
    scrolled = page.evaluate("scrollY")
    return taken(page, box["y"] + scrolled - 20, box["height"] + 20)


def taken(page: Page, top: float, height: float) -> np.ndarray:
    """Take the picture of some rows of the page."""
    clip = {"x": 0, "y": top, "width": WIDTH, "height": height}
    content = page.screenshot(clip=clip, full_page=True)
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(picture)


if __name__ == "__main__":
    main()
