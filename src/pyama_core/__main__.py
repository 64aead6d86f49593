"""The command `pyama`, also as `python -m pyama_core`."""

from __future__ import annotations

import os
import sys

from pyama_core.errors import ShortageError, is_shortage
from pyama_core.io.memory import require_memory

_INTERRUPTED = 130
_NEEDED_MB = 160
"""Suffice to load numpy."""


def main() -> None:
    """Run the command; neither Ctrl-C nor a lack of memory ends it with a traceback.

    Not even while it is being imported.
    """
    # This process computes nothing; threads that do cost memory for each core of the machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        require_memory(_NEEDED_MB, "start")
        from pyama_core.cli.app import main as run_command

        run_command()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except Exception as error:
        if not is_shortage(error):
            raise
        sys.stderr.write(f"error: {ShortageError.about('go on', error)}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
