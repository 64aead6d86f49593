"""Small pictures of positions and channels, made when they are asked for and kept for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from numpy.typing import NDArray

_MOST_BYTES = 48 << 20


class Thumbnails:
    """Keeps pictures up to some megabytes; those that were looked at last."""

    def __init__(self, most: int = _MOST_BYTES) -> None:
        self._most = most
        self._bytes = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()

    def get(self, key: Hashable, draw: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return a picture that is kept, or draw it."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        picture = draw()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = picture
                self._bytes += picture.nbytes
            while self._bytes > self._most and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return picture
