"""Progress events: plain data that any queue, JSON or interface takes as it is."""

from __future__ import annotations

from typing import TypedDict, TypeGuard


class ProgressEvent(TypedDict):
    """A step of a field of view has come so far; plain data, for queues, JSON and interfaces.

    Attributes
    ----------
    step : str
        Name of the step.
    fov : int
        Field of view.
    t : int
        Frames done.
    T : int
        Frames in all.
    message : str
        The same in words.
    """

    step: str
    fov: int
    t: int
    T: int
    message: str


_TYPES = {"step": str, "fov": int, "t": int, "T": int, "message": str}


def is_event(message: object) -> TypeGuard[ProgressEvent]:
    """Whether a message is a progress event, whatever sent it.

    Examples
    --------
    >>> is_event({"step": "tracking", "fov": 0, "t": 3, "T": 9, "message": "tracking: 3/9"})
    True
    >>> is_event({"step": "tracking"})
    False
    """
    return isinstance(message, dict) and all(
        isinstance(message.get(name), kind) for name, kind in _TYPES.items()
    )
