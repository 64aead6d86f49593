"""The application: every route there is, behind the guard."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from pyama_core.app.desk import Desk
from pyama_core.app.guard import SHELL, App, Guard, Identity
from pyama_core.app.routes import correcting, exporting, looking, running, setting_up, tuning
from pyama_core.app.routes import files as files_routes
from pyama_core.app.routing import Endpoint, as_route

EVENTS = "/api/events"


def endpoints() -> Sequence[Endpoint]:
    """Return everything that the client can ask for, from all places of the page."""
    return (
        *files_routes.ENDPOINTS,
        *setting_up.ENDPOINTS,
        *tuning.ENDPOINTS,
        *running.ENDPOINTS,
        *looking.ENDPOINTS,
        *correcting.ENDPOINTS,
        *exporting.ENDPOINTS,
    )


def make_application(desk: Desk, identity: Identity) -> App:
    """Return the application of a server.

    Parameters
    ----------
    desk : Desk
        What it has open.
    identity : Identity
        What it is called, and its secrets.
    """
    return Guard(Starlette(routes=routes(desk), lifespan=_watching(desk)), identity)


def routes(desk: Desk) -> list[BaseRoute]:
    """Return all routes."""
    return [
        Route(SHELL, _shell),
        Mount("/static", StaticFiles(directory=static_folder())),
        Route(EVENTS, _events(desk)),
        *(as_route(endpoint, desk) for endpoint in endpoints()),
    ]


def static_folder() -> Path:
    """Return the folder of what the page is made of."""
    return Path(str(files("pyama_core.app"))) / "static"


async def _shell(request: Request) -> Response:
    del request
    return FileResponse(static_folder() / "index.html")


def _events(desk: Desk) -> Callable[..., Any]:
    """Return what answers with the stream of events."""

    async def stream(request: Request) -> Response:
        del request
        return StreamingResponse(
            _lines(desk), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    return stream


async def _lines(desk: Desk) -> AsyncIterator[str]:
    async with contextlib.aclosing(desk.hub.listen()) as events:
        async for event in events:
            yield ":\n\n" if event is None else f"data: {event.model_dump_json()}\n\n"


def _watching(desk: Desk) -> Callable[..., Any]:
    """Return what looks after the folders that are open, as long as the server runs."""
    import anyio

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(desk.watcher.watch)
            tasks.start_soon(desk.watch_runs)
            tasks.start_soon(desk.rest_when_idle)
            yield
            desk.exports.cancel_all()
            tasks.cancel_scope.cancel()
        await anyio.to_thread.run_sync(desk.close)

    return lifespan
