"""Standard output and error that may be full, closed, or unable to show a character.

Nobody may be reading any more (``pyama run … | head -1``), the disk that output goes to may be full
and a program may be started without streams at all. None of that is a reason for the work to stop,
or to be called a failure; that output was lost is remembered, for commands whose output is all
that they do.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import IO, TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_OUT, _ERR = 1, 2


class _Forgiving(io.RawIOBase):
    """A stream that writes while that is possible, and afterwards takes all without a word.

    Parameters
    ----------
    raw : file object
        Where bytes go.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self.error: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int | None:
        """Write, or do as if."""
        if self.error is None:
            try:
                return self._raw.write(data)
            except OSError as error:
                self.error = error
        return memoryview(data).nbytes

    def writable(self) -> bool:
        """Return whether there is anything to write to."""
        return True

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return self._raw.isatty()

    def fileno(self) -> int:
        """Return the number of the file."""
        return self._raw.fileno()


def forgive_lost_output() -> None:
    """Let standard output and error of this process be written whatever becomes of them."""
    _fill_closed()
    sys.stdout, sys.stderr = _forgiving(sys.stdout, _OUT), _forgiving(sys.stderr, _ERR)


def echo(text: str = "", *, err: bool = False) -> None:
    """Write a line to standard output, or standard error, in the encoding that it has.

    The function of the same name of click writes UTF-8 where it finds ASCII, whoever asked for it.
    """
    stream = sys.stderr if err else sys.stdout
    stream.write(f"{text}\n")
    stream.flush()


def lost_output() -> OSError | None:
    """Return why some of the standard output could not be written; None if all of it was."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(raw, _Forgiving):
        return None
    sys.stdout.flush()
    return raw.error


def _fill_closed() -> None:
    """Open nothing in place of streams that are closed.

    Otherwise the next file that is opened, such as one of results, gets the number of the stream,
    and what a library prints goes into it.
    """
    for number in range(_ERR + 1):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number, which is this one.
            os.open(os.devnull, os.O_RDWR)


def _forgiving(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:
        return _text(io.FileIO(number, "w", closefd=False), "utf-8")
    buffer: Any = getattr(stream, "buffer", None)
    if buffer is None:
        return stream
    with contextlib.suppress(OSError):
        stream.flush()
    # There is no buffer in between if Python was asked for that (python -u).
    raw = getattr(buffer, "raw", buffer)
    return _text(raw, stream.encoding, by_line=number == _ERR or stream.isatty() or buffer is raw)


def _text(raw: Any, encoding: str, *, by_line: bool = False) -> TextIO:
    # Names have µ and Greek letters, which Windows consoles may not have, and bytes that are no
    # text; both are shown as what they are.
    return io.TextIOWrapper(
        io.BufferedWriter(_Forgiving(raw)),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=by_line,
    )
