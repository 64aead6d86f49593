"""What was made last, until newer things take its room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Keeps what was asked for last, up to some weight; safe to use from several threads.

    Parameters
    ----------
    most : int
        Largest weight of all; the newest is kept even if it alone weighs more.
    weigh : callable
        Weight of one.
    close : callable
        Called with each that is given up.
    """

    def __init__(
        self,
        most: int,
        weigh: Callable[[T], int] = lambda _: 1,
        close: Callable[[T], None] = lambda _: None,
    ) -> None:
        self._most, self._weigh, self._close = most, weigh, close
        self._weight = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, T] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._kept

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what is kept under a key, or make it; two threads may both make it."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        given_up = []
        with self._lock:
            if key in self._kept:
                given_up.append(made)
            else:
                self._kept[key] = made
                self._weight += self._weigh(made)
            while self._weight > self._most and len(self._kept) > 1:
                given_up.append(self._kept.popitem(last=False)[1])
                self._weight -= self._weigh(given_up[-1])
            kept = self._kept[key]
        for each in given_up:
            self._close(each)
        return kept
