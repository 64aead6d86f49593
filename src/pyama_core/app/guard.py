"""Who may ask this server for what: the page that it gave to its user, and nobody else.

A server on the loopback can be reached by every page that the user's browser shows and by every
user of the computer. So, before anything is answered:

- the Host header must be one of the server's own names, on every request: a page whose name was
  made to point here (DNS rebinding) sends its own;
- a secret cookie must come along, which the browser was given for the token in the address that
  the command printed. It is HttpOnly and SameSite=Strict. Only the empty page itself is given
  without, which holds nothing but public code, so that links from elsewhere open it. The token
  stays good as long as the server lives, so that its user can open the page in another browser, or
  after cookies were deleted; who can read it in the terminal is that user. It is taken out of the
  address at once, and no link or header carries it on;
- a browser that says that another site asks (Sec-Fetch-Site) is refused;
- what changes something must be a POST of JSON, from this server's own Origin, by a browser that
  says so in Sec-Fetch-Site too: no form and no page of another site can send that.

No CORS header is ever sent, and the page itself may only load what comes from here.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SHELL = "/"
"""Address of the page."""
STATIC = "/static/"
"""What the page is made of."""
TOKEN = "token"  # noqa: S105  the name of it
_READING = ("GET", "HEAD")
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Identity:
    """What the server is called, and its secrets.

    Attributes
    ----------
    hosts : frozenset of str
        Values of the Host header that mean this server, ports included, in lower case.
    port : int
        Its port.
    token : str
        Comes in the first address.
    secret : str
        Comes in the cookie from then on.
    """

    hosts: frozenset[str]
    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def cookie(self) -> str:
        """Name of the cookie; servers of one computer share their cookies, whatever the port."""
        return f"pyama_{self.port}"

    @property
    def origins(self) -> frozenset[str]:
        """Origins of this server's own pages."""
        return frozenset(f"http://{host}" for host in self.hosts)


class Guard:
    """Stands before an application and lets through what `Identity`'s own page asks.

    Parameters
    ----------
    app : callable
        An ASGI application.
    identity : Identity
        Of the server.
    """

    def __init__(self, app: App, identity: Identity) -> None:
        self._app, self._identity = app, identity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = self._refusal(scope) or self._exchange(scope)
        await (answer or self._app)(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        """Return why a request is refused; None if it is not."""
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._identity.hosts:
            return _refuse("this server does not go by that name; use the address that it printed")
        site = headers.get("sec-fetch-site")
        public = path == SHELL or path.startswith(STATIC)
        if method in _READING:
            if public:
                return None
            if site not in (None, "same-origin", "none"):
                return _refuse("another site asked for this")
        elif refusal := self._refusal_of_change(headers, method, site):
            return refusal
        if not self._is_known(headers):
            return _refuse("open the address that pyama app printed in this browser first", 401)
        return None

    def _refusal_of_change(
        self, headers: Headers, method: str, site: str | None
    ) -> Response | None:
        if method != "POST":
            return _refuse(f"{method} is not understood here", 405)
        origins = headers.getlist("origin")
        if len(origins) != 1 or origins[0] not in self._identity.origins:
            return _refuse("another site asked for this")
        if origins[0] != f"http://{headers['host'].lower()}":
            return _refuse("another site asked for this")
        if site != "same-origin":
            return _refuse("another site asked for this, or the browser is too old")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return _refuse("expected JSON", 415)
        return None

    def _is_known(self, headers: Headers) -> bool:
        """Whether the cookie came along."""
        for header in headers.getlist("cookie"):
            for part in header.split(";"):
                name, _, value = part.strip().partition("=")
                if name == self._identity.cookie and _same(value, self._identity.secret):
                    return True
        return False

    def _exchange(self, scope: Scope) -> Response | None:
        """Give the cookie for the token, and take the token out of the address."""
        if scope["path"] != SHELL or scope["method"] != "GET":
            return None
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get(TOKEN, [])
        if not given:
            return None
        if len(given) != 1 or not _same(given[0], self._identity.token):
            return _refuse("this address is of a server that has ended; use the one printed last")
        answer = RedirectResponse(SHELL, 303)
        answer.set_cookie(
            self._identity.cookie, self._identity.secret, httponly=True, samesite="strict", path="/"
        )
        return answer


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _refuse(why: str, status: int = 403) -> Response:
    return PlainTextResponse(f"pyama app: {why}\n", status)


def _with_headers(send: Send) -> Send:
    """Return a `send` that says, with every answer, what a browser may do with it."""

    async def send_with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
