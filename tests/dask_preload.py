"""What a Dask worker of a test loads first: it can be slow, deadly, and says what it begins.

SLOW_S: how long each frame takes that is written; SLOW_FOV: only of this FOV. DEADLY_FOV: kills
the worker. NOTES: a folder where each beginning of a FOV is noted.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import time
from pathlib import Path

from pyama_core.io.storage import stacks
from pyama_core.processing.workflow import worker

# A worker loads this file twice, the second time into the same names.
_begin = vars(worker).setdefault("begin_before", worker.begin_attempt)
_append = vars(stacks).setdefault("append_before", stacks.StackWriter.append)


def _begin_and_tell(ticket):
    begun = _begin(ticket)
    fov = int(ticket.path.parent.name.removeprefix("fov_"))
    if notes := os.environ.get("NOTES"):
        path = Path(notes) / f"begun-{secrets.token_hex(4)}"
        path.write_text(json.dumps({"fov": fov, "pid": os.getpid()}), encoding="utf-8")
        path.rename(path.with_suffix(".json"))
    if os.environ.get("DEADLY_FOV") == str(fov) and begun[1] < worker.MAX_DEATHS:
        os.kill(os.getpid(), signal.SIGKILL)
    return begun


def _append_slowly(self, frame):
    slow = os.environ.get("SLOW_FOV")
    if slow is None or f"_fov_{int(slow):03d}_" in self._file.final.name:
        time.sleep(float(os.environ.get("SLOW_S", "0")))
    _append(self, frame)


worker.begin_attempt = _begin_and_tell
stacks.StackWriter.append = _append_slowly
