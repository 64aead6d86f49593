"""From a typed function to a route: what is asked for is checked, what goes wrong is told in words.

A handler is a plain function of the desk and a `Message` that returns a `Message` or a `Blob`. Its
annotations are the contract: requests are validated by them, and the client's types are generated
from them. Handlers run in threads, a few at a time; what nobody waits for any more is dropped.
"""

from __future__ import annotations

import logging
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pyama_core.app.desk import Desk
from pyama_core.app.messages import Blob, Failure, Message
from pyama_core.errors import InputError, PyamaError, ShortageError, is_shortage

logger = logging.getLogger(__name__)

Q = TypeVar("Q", bound=Message)
Handler = Callable[[Desk, Q], Message | Blob]

_AT_ONCE = 4
_SLOW_AT_ONCE = 16
_LARGEST_BODY = 1 << 20
_GONE = 499


@dataclass(frozen=True)
class Endpoint:
    """Something that the client can ask for.

    Attributes
    ----------
    method : "GET" or "POST"
        POST for what changes something.
    path : str
        Below ``/api/``.
    handle : callable
        Answers.
    asks, answers : type
        Of the question and the answer.
    is_slow : bool
        Whether it waits for something that takes its time, and must not hold up others meanwhile.
    """

    method: Literal["GET", "POST"]
    path: str
    handle: Handler[Any]
    asks: type[Message]
    answers: type[Message] | type[Blob]
    is_slow: bool = False


def reads(path: str, handle: Handler[Q]) -> Endpoint:
    """Return an endpoint that shows something: its question travels in the address."""
    return Endpoint("GET", path, handle, *_types_of(handle))


def changes(path: str, handle: Handler[Q], *, is_slow: bool = False) -> Endpoint:
    """Return an endpoint that changes something: its question travels as JSON.

    So does one that computes something of a question that is too long for an address.
    """
    return Endpoint("POST", path, handle, *_types_of(handle), is_slow=is_slow)


def _types_of(handle: Handler[Any]) -> tuple[type[Message], type[Message] | type[Blob]]:
    hints = typing.get_type_hints(handle)
    answers = hints.pop("return")
    [asks] = [hint for hint in hints.values() if hint is not Desk]
    return asks, answers


def as_route(endpoint: Endpoint, desk: Desk) -> Route:
    """Return the route of an endpoint."""

    async def answer(request: Request) -> Response:
        try:
            if endpoint.method == "POST":
                asked = await _read_body(endpoint, request)
            else:
                asked = _read_address(endpoint, request)
        except ValidationError as error:
            return _failure(InputError(_in_words(error)))
        except InputError as error:
            return _failure(error)
        async with _turn(request, endpoint.is_slow):
            if endpoint.method == "GET" and await request.is_disconnected():
                return Response(status_code=_GONE)
            return await run_in_threadpool(_answer, endpoint, desk, asked)

    return Route(endpoint.path, answer, methods=[endpoint.method])


def _turn(request: Request, is_slow: bool) -> Any:
    """Return what lets a few requests at a time through, one for each loop and pace."""
    import anyio

    state = request.app.state
    if not hasattr(state, "turns"):
        state.turns = anyio.CapacityLimiter(_AT_ONCE), anyio.CapacityLimiter(_SLOW_AT_ONCE)
    return state.turns[is_slow]


def _answer(endpoint: Endpoint, desk: Desk, asked: Message) -> Response:
    try:
        answer = endpoint.handle(desk, asked)
    except PyamaError as error:
        return _failure(error)
    except (MemoryError, OSError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        return _failure(ShortageError.about(f"answer {endpoint.path}", error))
    if isinstance(answer, Blob):
        headers = {"Content-Type": "application/octet-stream", **answer.headers}
        return Response(answer.content, headers=headers)
    return as_json(answer)


def as_json(message: Message, status: int = 200) -> Response:
    """Return a message as a response."""
    return Response(message.model_dump_json(), status, media_type="application/json")


def _failure(error: PyamaError) -> Response:
    return as_json(Failure(error=str(error)), 400 if isinstance(error, InputError) else 409)


async def _read_body(endpoint: Endpoint, request: Request) -> Message:
    """Read a question in JSON; errors as pydantic raises them."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > _LARGEST_BODY:
            raise InputError(f"{endpoint.path}: expected at most {_LARGEST_BODY} bytes")
    return endpoint.asks.model_validate_json(content, strict=False)


def _read_address(endpoint: Endpoint, request: Request) -> Message:
    """Read a question in an address: a name may come several times where several are expected."""
    given: dict[str, Any] = {}
    for name in request.query_params:
        field = endpoint.asks.model_fields.get(name)
        several = field is not None and _is_tuple(field.annotation)
        values = request.query_params.getlist(name)
        if not several and len(values) > 1:
            raise InputError(f"{name}: expected one value, found {len(values)}")
        given[name] = values if several else values[0]
    return endpoint.asks.model_validate(given)


def _is_tuple(annotation: Any) -> bool:
    if isinstance(annotation, types.UnionType):
        return any(map(_is_tuple, typing.get_args(annotation)))
    return typing.get_origin(annotation) is tuple


def _in_words(error: ValidationError) -> str:
    """Return the first thing that is wrong with a question."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where or 'question'}: {first['msg']}, found {str(first['input'])[:60]!r}"
