"""What a file or a folder of results holds, in a sentence and a thumbnail."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

from numpy.typing import NDArray

from pyama_core.app.desk import Desk
from pyama_core.app.file_cards import Card, plural, small_picture
from pyama_core.app.overview import overview_of
from pyama_core.errors import DamagedFileError, InputError
from pyama_core.io.storage.naming import holds_records
from pyama_core.results.fov_results import FovResults


def card_of(desk: Desk, place: str) -> Card:
    """Describe a file or a folder of results.

    Raises
    ------
    InputError
        It cannot be read, or is not below the roots.
    """
    path = desk.roots.inside(place)
    return (
        _card_of_results(desk, place)
        if holds_records(path)
        else desk.cards.of_file(desk.roots, path)[0]
    )


def thumbnail_of(desk: Desk, place: str) -> NDArray[Any]:
    """Draw a file or a folder of results, (Y, X) uint8; errors as `card_of`."""
    path = desk.roots.inside(place)
    if not holds_records(path):
        return desk.cards.of_file(desk.roots, path)[1]
    for fov in desk.fovs(place):
        if (stack := _some_stack(fov)) is not None and len(stack):
            return small_picture(stack[len(stack) // 2])
    raise InputError(f"{path} holds no images any more")


def _some_stack(fov: FovResults) -> NDArray[Any] | None:
    with contextlib.suppress(InputError, DamagedFileError):
        return fov.phase
    for channel in fov.fluorescence:
        with contextlib.suppress(InputError, DamagedFileError):
            return fov.fluorescence[channel]
    return None


def _card_of_results(desk: Desk, place: str) -> Card:
    told = overview_of(desk.results(place), desk.fovs(place))
    states = Counter(row.state for row in told.fovs)
    n_cells = sum(row.n_cells or 0 for row in told.fovs)
    samples = [each.sample for each in told.samples]
    troubled = sorted(told.fovs, key=lambda row: -row.trouble)
    return Card(
        words=f"{plural(len(told.fovs), 'position')}, {plural(n_cells, 'cell')}",
        details=(
            *([f"channels: {', '.join(told.channels)}"] if told.channels else []),
            *([f"samples: {', '.join(samples)}"] if len(samples) > 1 else []),
            *(f"position {row.fov} ({row.name}): {row.words}" for row in troubled[:3] if row.words),
        ),
        states=tuple(states.items()),
    )
