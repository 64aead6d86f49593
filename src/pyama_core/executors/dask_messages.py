"""What workers tell the main process, as Dask's structured events can carry it: plain values.

Each message says of which task it is. The main process counts them, and so knows whether it has
heard all that a finished task said.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from pyama_core.processing.workflow.services.events import ProgressEvent, is_event

_TASK, _EVENT, _RECORD, _TEXT = "task", "event", "log", "text"
_PLAIN = (
    *("name", "levelno", "levelname", "msg", "created", "msecs", "process", "processName"),
    *("thread", "threadName", "module", "lineno", "funcName", "pathname", "filename", "exc_text"),
)


def encode(task: str, message: object) -> dict[str, Any]:
    """Return a message as plain values."""
    if isinstance(message, logging.LogRecord):
        return {_TASK: task, _RECORD: _of_record(message)}
    if is_event(message):
        numbers = {key: int(message[key]) for key in ("fov", "t", "T")}
        return {_TASK: task, _EVENT: {**message, **numbers}}
    return {_TASK: task, _TEXT: repr(message)}


def _of_record(record: logging.LogRecord) -> dict[str, Any]:
    plain = {name: getattr(record, name, None) for name in _PLAIN}
    plain["msg"] = record.getMessage()
    if record.exc_info:
        plain["exc_text"] = logging.Formatter().formatException(record.exc_info)
    return plain


@dataclass(frozen=True)
class Received:
    """A message, and of which task it is."""

    task: str
    content: ProgressEvent | logging.LogRecord | str


def decode(message: Any) -> Received:
    """Return what was encoded.

    Raises
    ------
    ValueError
        It is something else.
    """
    if isinstance(message, dict) and isinstance(task := message.get(_TASK), str):
        if isinstance(plain := message.get(_RECORD), dict):
            return Received(task, logging.makeLogRecord({"args": None, "exc_info": None, **plain}))
        if is_event(event := message.get(_EVENT)):
            return Received(task, event)
        if isinstance(text := message.get(_TEXT), str):
            return Received(task, text)
    raise ValueError(f"no message of a worker: {message!r}")
