"""Where few cells are good: which limit dropped most of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pyama_core.outputs import TRACES_CSV
from pyama_core.processing.extraction.quality import (
    CUT_OFF,
    FURTHER_LIMITS,
    LIMITS,
    NOT_CORRECTED,
    Reason,
)
from pyama_core.processing.workflow.fov_state import FovState

ENOUGH = 0.5
"""Share of good cells below which few are."""
_LIMITS = {**LIMITS, **FURTHER_LIMITS}


@dataclass(frozen=True)
class FewGood:
    """What became of the traces of several fields of view, one of each cell and channel.

    Attributes
    ----------
    n_traces, n_good : int
        How many there are, and how many of them are good.
    reason : str
        Why most of the others are not.
    n_for_reason : int
        How many these are.
    n_cut_off : int
        Of how many the life is cut off by the beginning or end of the movie; these say nothing of
        how cells are found, and do not count where it is asked whether few are good.
    """

    n_traces: int
    n_good: int
    reason: Reason
    n_for_reason: int
    n_cut_off: int = 0

    def __str__(self) -> str:
        limits = " or ".join(f"extraction.{name}" for name in _LIMITS.get(self.reason, ()))
        cut_off = (
            f" ({self.n_cut_off} are of lives that the movie cuts off)" if self.n_cut_off else ""
        )
        told = (
            f"only {self.n_good} of {self.n_traces} traces are good{cut_off}; the usual reason "
            f"against the others is '{self.reason}' ({self.n_for_reason})"
        )
        return f"{told}, to which {limits} is the limit" if limits else told


def find_few_good(states: Iterable[FovState], enough: float = ENOUGH) -> FewGood | None:
    """Count the verdicts on all cells that were asked for; None if enough of them are good."""
    counts: Counter[str] = Counter()
    for state in states:
        for name, entry in state.record.outputs.items():
            if entry.kind == TRACES_CSV.name and name not in state.outdated:
                counts.update(entry.summary)
    n_traces, n_good = counts["cells"], counts["good"]
    if n_good >= enough * (n_traces - counts[CUT_OFF]):
        return None
    against: Counter[Reason] = Counter({reason: counts[reason] for reason in _LIMITS})
    against[NOT_CORRECTED] = n_traces - n_good - against.total()
    ((reason, n_for_reason),) = against.most_common(1)
    return FewGood(n_traces, n_good, reason, n_for_reason, counts[CUT_OFF])
