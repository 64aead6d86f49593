"""Kernels are compiled when they are first called, and kept on disk where that is possible.

A package that cannot be written, a home that does not exist or is full, a file of compiled code
that was cut off: none of these is a reason not to run. Then each process compiles for itself.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit
from numba.core import event
from numba.core.caching import FunctionCache

from pyama_core.errors import reason_of

logger = logging.getLogger(__name__)

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_without_place: set[str] = set()
_full: set[str] = set()
_places: set[str] = set()


def compiled(**options: Any) -> Callable[[Kernel], Kernel]:
    """Compile a function when it is first called; threads may call it at the same time.

    Parameters
    ----------
    **options
        As of `numba.njit`.
    """

    def compile_later(function: Kernel) -> Kernel:
        # Nor is code made by which C would call it, which takes a tenth of the time for nothing.
        fixed: dict[str, Any] = {"nogil": True, "no_cfunc_wrapper": True}
        dispatcher: Any = njit(**fixed, **options)(function)
        code = _kept_code(function)
        if code is None:
            _without_place.add(function.__qualname__)
        else:
            dispatcher._cache = code
            _places.add(str(code.cache_path))
        return cast("Kernel", dispatcher)

    return compile_later


def place_of_code() -> str | None:
    """Return the folder below which compiled code is kept; None if none is, or not all."""
    if _without_place or not _places:
        return None
    refused = [place for place in _full if place in _places]
    if refused:
        return None
    try:
        return os.path.commonpath(sorted(_places))
    except ValueError:  # on several drives
        return min(_places)


@contextlib.contextmanager
def compilation_noticed() -> Iterator[threading.Event]:
    """Set an event as soon as anything is compiled meanwhile; what is only loaded does not."""
    noticed = threading.Event()

    class Listener(event.Listener):
        def on_start(self, event: event.Event) -> None:
            noticed.set()

        def on_end(self, event: event.Event) -> None:
            """Nothing is to be done then."""

    with event.install_listener("numba:compile", Listener()):
        yield noticed


def is_kept() -> bool:
    """Whether there is a place for compiled code, as far as kernels were asked for."""
    return not _without_place


def _kept_code(function: Callable[..., Any]) -> _KeptCode | None:
    if not _may_look_for_a_place(function):
        return None
    try:
        return _KeptCode(function)
    except RuntimeError:  # no place was found
        return None


def _may_look_for_a_place(function: Callable[..., Any]) -> bool:
    """Whether there is one beside the package, or a home; without one, a folder `~` were made."""
    if os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME"):
        return True
    try:
        Path.home()
    except RuntimeError:
        return _can_be_written(Path(inspect.getfile(function)).parent / "__pycache__")
    return True


def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


class _KeptCode(FunctionCache):
    """The compiled code of a function on disk, as far as the disk lets it be there."""

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Return what is there; None where it is not, or damaged."""
        try:
            return super().load_overload(signature, target_context)
        except MemoryError:
            raise
        except Exception as error:
            logger.debug("compiled code in %s is not used", self.cache_path, exc_info=error)
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Keep compiled code; where the disk refuses, say so, once in a process."""
        try:
            super().save_overload(signature, data)
        except OSError as error:
            if self.cache_path not in _full:
                _full.add(self.cache_path)
                why = reason_of(error)
                logger.warning("compiled code cannot be kept in %s: %s", self.cache_path, why)
