"""What an export lacks is told, but not a thousand times."""

from __future__ import annotations

import logging
from collections.abc import Sequence

logger = logging.getLogger(__name__)

_SHOWN = 5


def tell_left_out(reasons: Sequence[str]) -> None:
    """Warn of what is left out: the first few, and how many more there are."""
    for reason in reasons[:_SHOWN]:
        logger.warning("left out: %s", reason)
    if len(reasons) > _SHOWN:
        logger.warning("left out: %d more; see pyama status", len(reasons) - _SHOWN)
