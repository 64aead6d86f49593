"""The page in a real browser, as benchmarks and pictures for the documentation use it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

_ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--no-first-run"]
_PATIENCE_MS = 120_000


@dataclass
class OpenPage:
    """A page of the browser, and the address of the server."""

    page: Any
    origin: str

    def open(self, **state: Any) -> None:
        """Go to a view."""
        self.page.goto(f"{self.origin}/?{urlencode(state)}")


@contextlib.contextmanager
def browsing(folder: Path, *, scheme: str = "dark", scale: float = 1) -> Iterator[OpenPage]:
    """Serve a folder, and show it in a window of 1280×800 without a graphics card.

    Parameters
    ----------
    folder : Path
        Of files and results.
    scheme : str
        ``dark`` or ``light``.
    scale : float
        Pixels of the screen per pixel of the window.
    """
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with serving(folder) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        context = browser.new_context(
            viewport={"width": 1280, "height": 800}, color_scheme=scheme, device_scale_factor=scale
        )
        context.set_default_timeout(_PATIENCE_MS)
        page = context.new_page()
        page.goto(address)
        parts = urlsplit(address)
        yield OpenPage(page, f"{parts.scheme}://{parts.netloc}")
        browser.close()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder until the end of the block; yields the first address."""
    process = subprocess.Popen(  # noqa: S603  this program, and a folder of one's own
        [sys.executable, "-m", "pyama_core", "app", str(folder), "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"},
    )
    assert process.stdout is not None
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://\S+", line):
                break
        else:
            raise RuntimeError(f"the server did not start: {''.join(said)}")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield found[0]
    finally:
        process.terminate()
        process.wait(10)
