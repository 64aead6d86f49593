"""`asked.json`: the fields of view that runs into an output folder were asked for.

A run leaves a record of each of its fields of view at once. Where many share the work, some may
never have begun, and nothing would tell that theirs are missing. So what all of them together
were asked for is noted first.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from pyama_core.errors import reason_of
from pyama_core.io.frame_ranges import format_ranges, parse_ranges
from pyama_core.io.regular_files import read_regular
from pyama_core.io.storage.atomic import write_whole
from pyama_core.io.storage.naming import ASKED_NAME
from pyama_core.processing.workflow.shared_files import lock_shared_files

logger = logging.getLogger(__name__)

_FORMAT = "pyama-core asked"
_MOST_FOVS = 10_000_000


def note_asked(output_dir: Path, fovs: Iterable[int]) -> None:
    """Add fields of view to those that were asked for.

    Raises
    ------
    StorageError
        The folder cannot be written.
    FolderBusyError
        Another process has been writing what all fields of view share for ten seconds.
    """
    wanted = set(fovs)
    if wanted <= load_asked(output_dir):
        return
    with lock_shared_files(output_dir):
        everything = sorted(wanted | load_asked(output_dir))
        content = {"format": _FORMAT, "version": 1, "fovs": format_ranges(everything)}
        write_whole(output_dir / ASKED_NAME, json.dumps(content) + "\n")


def load_asked(output_dir: Path) -> set[int]:
    """Return the fields of view that were asked for; none where nothing was noted."""
    path = output_dir / ASKED_NAME
    try:
        content = json.loads(read_regular(path))
        return set(parse_ranges(content["fovs"], _MOST_FOVS))
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning(
            "%s cannot be read (%s): whether FOVs are missing altogether is unknown",
            path,
            reason_of(error) if isinstance(error, OSError) else error,
        )
        return set()
