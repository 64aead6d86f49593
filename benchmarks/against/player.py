"""The process of a contestant: prepares its work, and does it whenever it is told to.

Started with the words of `_Task`; each line that comes in asks for one call, each that goes out is
JSON. Imports nothing of this package, so that a program with other requirements can be called from
an environment of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any


def version_of(name: str) -> str | None:
    """Return the version of a package, None where it is not installed."""
    try:
        if name == "pyama-core":  # the one that is imported, whatever is installed
            return str(importlib.import_module("pyama_core.version").__version__)
        return version(name)
    except (PackageNotFoundError, ModuleNotFoundError):
        return None


def prepare(
    make: str, size: dict[str, int], packages: list[str], rehearse: bool
) -> tuple[Any, dict[str, Any]]:
    """Return the call to be timed, and what is to be said before."""
    versions = {name: version_of(name) for name in packages}
    absent = [name for name, found in versions.items() if found is None]
    if absent:
        return None, {"why_not": f"not installed: {', '.join(absent)}", "versions": versions}
    module, _, function = make.partition(":")
    try:
        call: Callable[[], str] = getattr(importlib.import_module(module), function)(size)
        if rehearse:
            call()  # compiles, loads and allocates; does not count
    except Exception as error:  # noqa: BLE001 - of programs that are not ours, any
        why_not = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return None, {"why_not": why_not, "versions": versions}
    return call, {"why_not": "", "versions": versions}


def main() -> None:
    """Play until nothing comes in any more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what programs print is no answer
    task = json.loads(sys.argv[1])
    call, said = prepare(**task)
    print(json.dumps(said), file=answers, flush=True)
    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    while True:
        orders.get()
        started = time.process_time()
        outcome = call()
        spent = time.process_time() - started
        print(json.dumps({"spent": spent, "outcome": outcome}), file=answers, flush=True)


def _listen(orders: queue.SimpleQueue[str]) -> None:
    """Pass on what comes in; end the process, whatever it does, when nothing will come any more."""
    for line in sys.stdin:
        orders.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
