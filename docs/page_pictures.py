"""Draw the pictures of the page in the README and the documentation, from the demo.

Run `python docs/page_pictures.py`. Needs Chromium and Playwright.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from benchmarks.browser import OpenPage, browsing  # noqa: E402
from results_figure import make_results  # noqa: E402  from this folder

from pyama_core import open_results  # noqa: E402

TARGET = Path(__file__).parent


def main() -> None:
    """Make a demo, run it, and take pictures of the page in both themes."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "transfection").mkdir()
        folder = make_results(Path(name) / "transfection")
        open_results(folder).assign_samples({"control": "0-1", "drug": "2-3"})
        with browsing(folder.parent, scheme="dark") as opened:
            opened.open(place="look", at=folder, show="phase,GFP", scope="cells")
            wait(opened, ".legend svg", ".table .scroll .row")
            opened.page.keyboard.press("n")
            wait(opened, ".strip canvas")
            take(opened, "page_look_dark")
        with browsing(folder.parent, scheme="light") as opened:
            opened.open(
                place="look", at=folder, show="phase,GFP", scope="samples", cell=4, t=30, fov=2
            )
            wait(opened, ".legend svg", ".strip canvas")
            take(opened, "page_look_light")
            opened.open(place="export", at=folder)
            take(opened, "page_export")
        [source] = folder.parent.rglob("demo*.tif")
        with browsing(folder.parent, scheme="dark") as opened:
            opened.open(place="tune", at=source)
            opened.page.locator(".histogram").wait_for(timeout=120_000)
            take(opened, "page_tune")


def wait(opened: OpenPage, *parts: str) -> None:
    """Wait until some parts of the page are there."""
    for part in parts:
        opened.page.locator(part).first.wait_for()


def take(opened: OpenPage, name: str) -> None:
    """Take a picture of the window, with 256 colours, so that it is small."""
    from PIL import Image

    opened.page.wait_for_timeout(2500)
    picture = Image.open(io.BytesIO(opened.page.screenshot())).convert("RGB")
    small = picture.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    small.save(TARGET / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
