"""The server: on the loopback, for one user, until Ctrl-C."""

from __future__ import annotations

import logging
import socket
import threading
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyama_core.app.roots import Roots
from pyama_core.errors import InputError, StorageError, reason_of

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_GRACE_S = 1


@dataclass(frozen=True)
class Asked:
    """How the server is wanted.

    Attributes
    ----------
    folders : sequence of Path
        Below which things may be opened.
    port : int
        0 takes any that is free.
    host : str
        Address to listen at.
    opens_browser : bool
        Whether the page is shown at once.
    """

    folders: Sequence[Path]
    port: int = 0
    host: str = LOOPBACK
    opens_browser: bool = True


def serve(asked: Asked) -> None:
    """Serve the page until Ctrl-C.

    Raises
    ------
    InputError
        There is no such folder, or what the page needs is not installed.
    StorageError
        The port is taken.
    """
    try:
        import uvicorn

        from pyama_core.app.application import make_application
        from pyama_core.app.desk import Desk
        from pyama_core.app.guard import TOKEN, Identity
    except ImportError as error:
        raise InputError(
            "the page needs Starlette and Uvicorn, which are not installed: "
            'pip install "pyama-core[app]"'
        ) from error
    desk = Desk(Roots.of(asked.folders))
    with _listening(asked) as listener:
        port = listener.getsockname()[1]
        identity = Identity(hosts_of(asked.host, port), port)
        address = f"http://{_in_address(asked.host)}:{port}/?{TOKEN}={identity.token}"
        config = uvicorn.Config(
            make_application(desk, identity),
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="on",
            timeout_graceful_shutdown=_GRACE_S,
        )
        _announce(asked, desk.roots, address)
        if asked.opens_browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            logger.info("the page has ended; runs that it started go on")


def _announce(asked: Asked, roots: Roots, address: str) -> None:
    if asked.host not in (LOOPBACK, "localhost", "::1"):
        logger.warning(
            "%s can be reached from other computers: whoever sees the address below, or listens "
            "on the network, can read and change what lies in %s",
            asked.host,
            ", ".join(map(str, roots.folders)),
        )
    logger.info("the page, for this user only: %s", address)
    logger.info("Ctrl-C ends it")


def _listening(asked: Asked) -> socket.socket:
    family = socket.AF_INET6 if ":" in asked.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.bind((asked.host, asked.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise StorageError(
            f"cannot listen at {asked.host}, port {asked.port} ({reason_of(error)}); "
            "choose another with --port, or leave it away"
        ) from error
    except OverflowError as error:
        listener.close()
        raise InputError(f"--port: expected 0 to 65535, found {asked.port}") from error
    return listener


def hosts_of(host: str, port: int) -> frozenset[str]:
    """Return the values of the Host header by which a server that listens at a host is meant."""
    names = {*_LOOPBACK_NAMES, _in_address(host.lower())}
    if host not in (LOOPBACK, "localhost", "::1"):
        names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
    return frozenset(f"{name}:{port}" for name in names)


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host
