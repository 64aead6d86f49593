"""Timing calls in turn, and what is made of the times."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import psutil


@dataclass(frozen=True)
class Times:
    """Seconds that repetitions of the same work took."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        low, high = min(self.seconds), max(self.seconds)
        return f"{_short(self.median)} ({_short(low)} – {_short(high)})"


def _short(seconds: float) -> str:
    if seconds < 0.995:
        return f"{1e3 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"


def timed(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def in_turn(cases: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Times]:
    """Run cases A B A B ..., each of which returns the seconds that count."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            seconds[name].append(case())
    return {name: Times(tuple(values)) for name, values in seconds.items()}


def calls_in_turn(cases: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Times]:
    """Time calls A B A B ..., after one of each that does not count."""
    for call in cases.values():
        call()
    return in_turn({name: partial(timed, call) for name, call in cases.items()}, rounds)


def fitted_exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Exponent b of the power law a·sizeᵇ through the times, by least squares of logarithms.

    Examples
    --------
    >>> round(fitted_exponent([1, 2, 4], [3, 6, 12]), 6)
    1.0
    """
    slope, _ = np.polyfit([math.log(x) for x in sizes], [math.log(s) for s in seconds], 1)
    return float(slope)


def touch_memory(n_bytes: int) -> None:
    """Make sure that free memory is really there, before it is needed for something timed.

    A virtual machine gives free pages back to its host, and getting one again takes ten times as
    long as writing to it. Whoever comes first after a pause would pay for that.
    """
    room = min(n_bytes, psutil.virtual_memory().available // 2)
    np.ones(room // 8)
