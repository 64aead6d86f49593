"""Ctrl-C once stops and keeps what is finished; twice ends everything at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import typer

_EXIT_CODE = 130


@contextlib.contextmanager
def cancel_on_interrupt(cancel: threading.Event) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into a cancellation, a second one into the end."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if cancel.is_set():
            # Workers end when their pipe closes; what they leave is swept by the next run.
            os._exit(_EXIT_CODE)
        cancel.set()
        typer.echo("stopping; press Ctrl-C again to stop at once", err=True)

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
