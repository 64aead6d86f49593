"""The page in a real browser: a server of its own, Chromium, and what tests ask of both."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="the page needs pyama-core[app]")
sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this computer")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_PATIENCE_MS = 15_000


@dataclass
class Server:
    """A server of the page, in a process of its own."""

    process: subprocess.Popen[str]
    address: str

    @property
    def origin(self) -> str:
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}"


@contextlib.contextmanager
def serving(*folders: Path) -> Iterator[Server]:
    """Serve folders until the end of the block."""
    command = [sys.executable, "-m", "pyama_core", "app", *map(str, folders), "--no-browser"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"},
    )
    assert process.stdout is not None
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if found := re.search(r"http://\S+", line):
                break
        else:
            raise AssertionError(f"the server did not start: {lines}")
        # What it says from then on is read, so that it never waits for a reader.
        reader = threading.Thread(target=process.stdout.read, daemon=True)
        reader.start()
        yield Server(process, found[0])
    finally:
        process.terminate()
        process.wait(10)
        reader.join(10)
        process.stdout.close()


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser without a window."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Tab:
    """A page, and what it did that nobody wants."""

    page: Any
    server: Server
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, **state: Any) -> None:
        """Go to a view."""
        self.page.goto(f"{self.server.origin}/?{urlencode(state)}")

    @property
    def state(self) -> dict[str, str]:
        """What the address says."""
        return self.page.evaluate("Object.fromEntries(new URLSearchParams(location.search))")

    def wait_for_state(self, **state: Any) -> None:
        """Wait until the address says something; None stands for nothing."""
        self.page.wait_for_function(
            """wanted => Object.entries(wanted).every(([name, value]) =>
                 new URLSearchParams(location.search).get(name) === value)""",
            arg={name: None if value is None else str(value) for name, value in state.items()},
        )

    def wait_for_picture(self, *parts: str) -> None:
        """Wait until something is drawn whose description has some parts."""
        self.page.wait_for_function(
            """parts => { const drawn = document.querySelector('canvas')?.dataset.drawn;
                 return drawn && parts.every(part => drawn.includes(part)); }""",
            arg=list(parts),
        )

    def read_picture(self) -> Any:
        """Return what the picture shows, (Y, X, 3)."""
        height, width, content = self.page.evaluate(
            """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
                 const canvas = document.querySelector('.picture canvas');
                 const gl = canvas.getContext('webgl2');
                 const {width, height} = canvas;
                 const pixels = new Uint8Array(width * height * 4);
                 gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
                 let text = '';
                 for (let i = 0; i < pixels.length; i += 8192)
                   text += String.fromCharCode(...pixels.subarray(i, i + 8192));
                 done([height, width, btoa(text)]);
               })))"""
        )
        flat = np.frombuffer(base64.b64decode(content), np.uint8)
        return flat.reshape(height, width, 4)[::-1, :, :3]


@contextlib.contextmanager
def tabs(browser: Any, server: Server, n: int = 1) -> Iterator[list[Tab]]:
    """Open tabs of one browser profile; what they did wrong fails the test at the end."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(_PATIENCE_MS)
    opened = []
    for i in range(n):
        tab = Tab(context.new_page(), server)
        tab.page.on("console", lambda m, tab=tab: _note(tab, m))
        tab.page.on("pageerror", lambda error, tab=tab: tab.errors.append(str(error)))
        tab.page.on("request", lambda request, tab=tab: tab.requests.append(request.url))
        if i == 0:
            tab.page.goto(server.address)
        opened.append(tab)
    yield opened
    context.close()
    for tab in opened:
        assert tab.errors == []
        own = (server.origin, "data:", "blob:")
        assert [url for url in tab.requests if not url.startswith(own)] == []


def _note(tab: Tab, message: Any) -> None:
    if message.type == "error":
        tab.errors.append(message.text)
