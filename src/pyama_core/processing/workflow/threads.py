"""Starting threads on a machine that may grant no more of them.

Each thread takes address space for its stack, and counts as a process on some systems; so limits
on memory or on processes (``ulimit -v``, ``ulimit -u``, a container's) are met first where one is
started. Met in the middle of the work that would leave somebody waiting for ever.
"""

from __future__ import annotations

import threading

from pyama_core.errors import ShortageError


def start_thread(thread: threading.Thread) -> None:
    """Start a thread.

    Raises
    ------
    ShortageError
        The system grants no more.
    """
    try:
        thread.start()
    except (RuntimeError, MemoryError) as error:
        raise ShortageError.about(f"start the thread '{thread.name}'", error) from error


def require_threads(n_threads: int) -> None:
    """Make sure that so many threads more can live at the same time, by letting them do so.

    Raises
    ------
    ShortageError
        They cannot.
    """
    ending = threading.Event()
    started: list[threading.Thread] = []
    try:
        for number in range(n_threads):
            thread = threading.Thread(target=ending.wait, name=f"pyama trial {number}", daemon=True)
            thread.start()
            started.append(thread)
    except (RuntimeError, MemoryError) as error:
        what = f"start {n_threads} threads (after {len(started)} of them)"
        raise ShortageError.about(what, error) from error
    finally:
        ending.set()
        for thread in started:
            thread.join()
