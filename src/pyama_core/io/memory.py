"""Memory that is asked for before libraries need it that cannot bear to be refused.

Where the system grants no more (``ulimit -v``, the limit of a batch system), libraries for linear
algebra that are just being loaded ask again and again, for ever, and nothing within the process
can stop them. So who loads them makes sure beforehand that there is enough.
"""

from __future__ import annotations

import mmap

_MEGABYTE = 1 << 20


def require_memory(n_megabytes: int, purpose: str) -> None:
    """Make sure that the system would grant so much memory at once; none of it is used.

    Raises
    ------
    MemoryError
        It would not.
    """
    try:
        mmap.mmap(-1, n_megabytes * _MEGABYTE).close()
    except (OSError, MemoryError) as error:
        raise MemoryError(f"the system refuses {n_megabytes} MB of memory to {purpose}") from error
