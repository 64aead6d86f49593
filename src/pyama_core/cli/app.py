"""The command `pyama`."""

from __future__ import annotations

# Each declares its commands; the help lists them in this order.
# isort: off
from pyama_core.cli.options import source  # noqa: F401
from pyama_core.cli.options import run  # noqa: F401
from pyama_core.cli.options import folder  # noqa: F401
from pyama_core.cli.options import results  # noqa: F401
from pyama_core.cli.options import report  # noqa: F401
from pyama_core.cli.options import windows  # noqa: F401
from pyama_core.cli.options import preparing  # noqa: F401
# isort: on

from pyama_core.cli.options.base import app
from pyama_core.cli.streams import forgive_lost_output


def main() -> None:
    """Entry point of the command `pyama`."""
    forgive_lost_output()
    app()
