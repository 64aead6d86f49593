"""The command `pyama`, also as `python -m pyama_core`."""

from __future__ import annotations

import sys

_INTERRUPTED = 130


def main() -> None:
    """Run the command; Ctrl-C ends it without a traceback, even while it is being imported."""
    try:
        from pyama_core.cli.app import main as run_command

        run_command()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
