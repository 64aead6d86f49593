"""Requests to the page's application without a network, and what its own page would send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("starlette", reason="the page needs pyama-core[app]")

from starlette.routing import BaseRoute, Mount, Route

from pyama_core.app.application import endpoints, make_application, routes
from pyama_core.app.desk import Desk
from pyama_core.app.guard import Identity
from pyama_core.app.roots import Roots

PORT = 8123
HOST = f"127.0.0.1:{PORT}"
IDENTITY = Identity(
    frozenset(f"{name}:{PORT}" for name in ("127.0.0.1", "localhost", "[::1]")),
    PORT,
    token="the token",
    secret="the secret",
)
COOKIE = {"cookie": f"{IDENTITY.cookie}={IDENTITY.secret}"}
READING = {"host": HOST, "sec-fetch-site": "same-origin", **COOKIE}
CHANGING = {**READING, "origin": f"http://{HOST}", "content-type": "application/json"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class Page:
    """The application as its own page sees it."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.desk = Desk(Roots.of(folders))
        self.app = make_application(self.desk, IDENTITY)

    def get(self, path: str, /, **asks: Any) -> Answer:
        query = urlencode(asks, doseq=True)
        return self.send("GET", path, query, READING)

    def post(self, path: str, /, **asks: Any) -> Answer:
        return self.send("POST", path, "", CHANGING, json.dumps(asks).encode())

    def send(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: dict[str, str | list[str]] | None = None,
        body: bytes = b"",
    ) -> Answer:
        return asyncio.run(_send(self.app, method, path, query, headers or {}, body))


async def _send(
    app: Any, method: str, path: str, query: str, headers: dict[str, Any], body: bytes
) -> Answer:
    several = [
        (name.encode(), each.encode())
        for name, value in headers.items()
        for each in ([value] if isinstance(value, str) else value)
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": several,
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", PORT),
        "state": {},
    }
    began = asyncio.Event()
    sent_body = False
    status, found, content = 0, {}, b""

    async def receive() -> dict[str, Any]:
        nonlocal sent_body
        if not sent_body:
            sent_body = True
            return {"type": "http.request", "body": body, "more_body": False}
        # The browser goes away once a stream that never ends has begun.
        await began.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status, found, content
        if message["type"] == "http.response.start":
            status = message["status"]
            found = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            content += message.get("body", b"")
            if content:
                began.set()

    await asyncio.wait_for(app(scope, receive, send), 20)
    return Answer(status, found, content)


def every_route() -> Iterator[tuple[str, str]]:
    """Method and an address of every route that the application has."""
    return _found(routes(Desk(Roots(()))))


def _found(known: Sequence[BaseRoute], before: str = "") -> Iterator[tuple[str, str]]:
    for route in known:
        if isinstance(route, Mount):
            yield "GET", f"{before}{route.path}/app.js"
        else:
            assert isinstance(route, Route)
            for method in sorted((route.methods or {"GET"}) - {"HEAD"}):
                yield method, before + route.path


def paths_of_changes() -> set[str]:
    return {endpoint.path for endpoint in endpoints() if endpoint.method == "POST"}


def read_pixels(answer: Answer) -> NDArray[Any]:
    """Read an array as the client does."""
    shape = tuple(map(int, answer.headers["x-shape"].split(",")))
    dtype = np.dtype(answer.headers["x-dtype"]).newbyteorder("<")
    return np.frombuffer(answer.content, dtype).reshape(shape)


def read_table(content: bytes) -> dict[str, NDArray[Any]]:
    """Read a table as the client does."""
    length = int.from_bytes(content[:4], "little")
    header, offset, columns = json.loads(content[4 : 4 + length]), 4 + length, {}
    for column in header["columns"]:
        assert offset % 8 == 0
        dtype = np.dtype(column["dtype"]).newbyteorder("<")
        columns[column["name"]] = np.frombuffer(content, dtype, column["length"], offset)
        offset += -(-column["length"] * dtype.itemsize // 8) * 8
    return columns
