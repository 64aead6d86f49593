"""When a glimpse is taken, where it lies, and whether it is of what there is."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from pyama_core.errors import PyamaError
from pyama_core.io.storage.naming import fov_folder_name
from pyama_core.io.storage.records import FovRecord, OutputEntry
from pyama_core.io.storage.stacks import StackReader
from pyama_core.outputs import FL, PC, SEG_LABELED, OutputKind
from pyama_core.processing.segmentation.picture.kind import PictureKind
from pyama_core.processing.workflow.edits.on_record import tracks_on_record
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.glimpses.glimpse import Glimpse, load_glimpse, save_glimpse
from pyama_core.processing.workflow.glimpses.grey import PICTURE
from pyama_core.processing.workflow.glimpses.squares import TILE
from pyama_core.processing.workflow.glimpses.taking import STRIP_FRAMES, Layer, take_glimpse

logger = logging.getLogger(__name__)

_CELLS_OF_ALL = 240
_FEWEST, _MOST = 8, 160
_PIXELS_PER_CELL = 10_000
_BYTES_PER_PIXEL = 0.2
_SHOWN: tuple[OutputKind, ...] = (PC, FL, SEG_LABELED)


def cells_per_fov(n_fovs: int) -> int:
    """Return of how many cells of a field of view there are strips.

    Examples
    --------
    >>> cells_per_fov(1), cells_per_fov(3), cells_per_fov(20), cells_per_fov(200)
    (160, 80, 12, 8)
    """
    return min(max(-(-_CELLS_OF_ALL // max(n_fovs, 1)), _FEWEST), _MOST)


def expected_size(shape: tuple[int, int, int], n_channels: int, n_fovs: int) -> int:
    """Return roughly how many bytes a glimpse takes: of noisy images, which shrink least."""
    pixels = 3 * min(shape[1] * shape[2], PICTURE**2)
    n_cells = min(cells_per_fov(n_fovs), -(-shape[1] * shape[2] // _PIXELS_PER_CELL))
    pixels += n_cells * min(STRIP_FRAMES, shape[0]) * TILE**2
    return round(_BYTES_PER_PIXEL * pixels * n_channels)


def glimpse_path(folder: Path, record: FovRecord) -> Path:
    """Return where the glimpse of a field of view lies."""
    return folder / f"{record.base_name}_{fov_folder_name(record.fov)}_glimpse.npz"


def current_glimpse(folder: Path, state: FovState) -> Glimpse | None:
    """Return the glimpse of a field of view, if it is of the stacks that the record speaks of."""
    glimpse = load_glimpse(glimpse_path(folder, state.record), TILE)
    return glimpse if glimpse is not None and _is_current(glimpse, state) else None


def _is_current(glimpse: Glimpse, state: FovState) -> bool:
    on_record = {key: entry for key, (_, entry) in _shown(state).items()}
    same = {key for key, checksum in glimpse.inputs.items() if _is_of(on_record, key, checksum)}
    there = {key for key, entry in on_record.items() if not entry.released}
    return same == glimpse.inputs.keys() and there <= same


def _is_of(on_record: dict[str, OutputEntry], key: str, checksum: str) -> bool:
    return key in on_record and on_record[key].checksum == checksum


def _shown(state: FovState) -> dict[str, tuple[str, OutputEntry]]:
    """Return name and entry of each stack that a glimpse is taken of."""
    names = [kind.name for kind in _SHOWN]
    return {
        f"{entry.kind} {entry.channel}": (name, entry)
        for name, entry in sorted(state.record.outputs.items())
        if entry.kind in names and name not in state.outdated and not entry.not_made
    }


def _shows_phase(state: FovState) -> bool:
    """Whether the channel in which cells are found is phase contrast, though nobody named it so."""
    picture = state.record.picture
    return picture is not None and picture.kind == PictureKind.ADHERENT


def keep_glimpse(
    folder: Path,
    record: FovRecord,
    n_fovs: int,
    stopped: Callable[[], bool] = lambda: False,
    place_of: Callable[[str], Path] | None = None,
) -> None:
    """Take and save a glimpse of a field of view, unless there is one; never raises.

    Parameters
    ----------
    folder : Path
        Of the field of view.
    record : FovRecord
        Its record.
    n_fovs : int
        Of the experiment, which decides of how many cells there are strips.
    stopped : callable
        Asked before every frame whether to give up.
    place_of : callable, optional
        Tells where a stack lies by its name, if not all are in the folder.
    """
    try:
        state = FovState(record)
        if current_glimpse(folder, state) is None:
            glimpse = glimpse_of(folder, state, n_fovs, stopped, place_of)
            if glimpse is not None:
                save_glimpse(glimpse_path(folder, record), glimpse)
    except Exception as error:
        known = isinstance(error, (PyamaError, OSError))
        logger.warning(
            "FOV %d: no pictures are kept for the report: %s",
            record.fov,
            error if known else repr(error),
            exc_info=None if known else error,
        )


def glimpse_of(
    folder: Path,
    state: FovState,
    n_fovs: int,
    stopped: Callable[[], bool] = lambda: False,
    place_of: Callable[[str], Path] | None = None,
) -> Glimpse | None:
    """Take a glimpse of the stacks that are there; None if no channel is.

    Parameters
    ----------
    folder, state, n_fovs, stopped, place_of
        As `keep_glimpse`; what the record says.

    Raises
    ------
    PyamaError
        A stack cannot be read.
    """
    there = {key: found for key, found in _shown(state).items() if not found[1].released}
    channels = [found for found in there.values() if found[1].kind != SEG_LABELED.name]
    cells_in = state.channels.cells
    where = place_of or folder.joinpath
    with contextlib.ExitStack() as stack:
        layers, shapes = [], set()
        # Phase contrast that is measured, too, is looked at once, as phase contrast.
        by_kind = sorted(channels, key=lambda found: found[1].kind == PC.name)
        of_channel = {entry.channel: (name, entry) for name, entry in by_kind}
        for name, entry in sorted(of_channel.values(), key=lambda found: found[1].channel):
            reader = stack.enter_context(StackReader(where(name)))
            shapes.add(reader.shape)
            is_phase = entry.kind == PC.name or (_shows_phase(state) and entry.channel == cells_in)
            layers.append(Layer(entry.channel, reader.read, is_phase, entry.channel == cells_in))
        labels = None
        for name, entry in there.values():
            if entry.kind == SEG_LABELED.name and entry.channel == cells_in:
                labels = stack.enter_context(StackReader(where(name)))
                shapes.add(labels.shape)
        if not layers or len(shapes) != 1:
            return None
        return take_glimpse(
            state.record.fov,
            layers,
            None if labels is None else labels.read,
            [] if labels is None else tracks_on_record(folder, state),
            shapes.pop(),
            frozenset[int]().union(*(entry.missing_frames() for _, entry in there.values())),
            cells_per_fov(n_fovs),
            {key: entry.checksum for key, (_, entry) in there.items()},
            stopped,
        )
