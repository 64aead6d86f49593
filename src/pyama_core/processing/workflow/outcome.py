"""How a run ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class FovStatus(StrEnum):
    """How work on a field of view ended."""

    DONE = "done"
    SKIPPED = "skipped"
    """Nothing to do: the records prove every output."""
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class FovOutcome:
    """How work on a field of view ended, and for a failure where and why.

    Attributes
    ----------
    fov : int
        The field of view.
    status : FovStatus
        How it ended.
    step, error : str or None
        Of a failure.
    lacks_released : bool
        Whether a step failed only because what it reads was released.
    seconds : mapping of str to float
        How long each step took.
    """

    fov: int
    status: FovStatus
    step: str | None = None
    error: str | None = None
    lacks_released: bool = False
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    Attributes
    ----------
    fovs : mapping of int to FovOutcome
        Every field of view that was asked for; empty if the request was refused.
    refusal : str or None
        Why nothing was done at all.
    stopped : str or None
        What was found that made the run stop of its own accord.
    """

    fovs: Mapping[int, FovOutcome]
    refusal: str | None = None
    stopped: str | None = None

    def with_status(self, status: FovStatus) -> list[FovOutcome]:
        """Outcomes of one kind, in order of FOV."""
        return [outcome for _, outcome in sorted(self.fovs.items()) if outcome.status == status]

    @property
    def ok(self) -> bool:
        """Whether every field of view that was asked for is done."""
        finished = (FovStatus.DONE, FovStatus.SKIPPED)
        return self._went_through and all(o.status in finished for o in self.fovs.values())

    @property
    def _went_through(self) -> bool:
        return self.refusal is None and self.stopped is None

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 0 done, 1 some failed, 2 refused, 3 stopped, 130 cancelled."""
        if self.refusal is not None:
            return 2
        if self.stopped is not None:
            return 3
        if self.with_status(FovStatus.CANCELLED):
            return 130
        return 1 if self.with_status(FovStatus.FAILED) else 0
