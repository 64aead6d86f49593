"""Compilation of the kernels, once per machine and version, before the work begins.

Compiling takes seconds per algorithm. Its result is kept on disk, where every later process finds
it. So before the first frame each chosen algorithm runs once on a movie of a few tiny frames, in
parts where it can: workers share these among them, as none can use what another is still compiling.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.processing.background.corrector import find_correction
from pyama_core.processing.extraction.parameters import ExtractionParameters
from pyama_core.processing.extraction.ring_size import RingSize
from pyama_core.processing.extraction.selection import select_features
from pyama_core.processing.parameters import MethodParameters
from pyama_core.processing.segmentation.cell_diameter import CellDiameterParameters
from pyama_core.processing.segmentation.segmenter import (
    FitsToCells,
    LooksAtNuclei,
    SelfCalibrating,
    find_segmentation,
)
from pyama_core.processing.tracking.tracker import LookAheadTracker, find_tracking
from pyama_core.processing.workflow.services.analysis import Analysis
from pyama_core.processing.workflow.threads import start_thread

if TYPE_CHECKING:
    from pyama_core.processing.extraction.compartments import CellNuclei

logger = logging.getLogger(__name__)

WarmUp = Callable[[], None]

_SLOW_S = 3.0
_SIDE = 160
_RADIUS = 9
_MOVIE = (
    ((40, 30), (40, 49), (120, 40), (80, 120)),
    ((40, 31), (40, 48), (118, 42), (30, 120)),
    ((40, 32), (40, 47), (30, 120)),
    ((40, 30), (40, 50), (114, 46), (20, 120), (40, 120)),
)
"""Centres of cells, frame by frame: they touch and part, get lost, are found again and divide."""
_CELLS = ((40, 40), (80, 120), (80, 135), (120, 40), (120, 90), (30, 120), (140, 140))


@dataclasses.dataclass(frozen=True)
class WarmUps:
    """Calls that make the chosen algorithms ready for work; they can be sent to other processes.

    Attributes
    ----------
    shared : tuple of callable
        Those that compile, each something else, so that processes can share them: the longest
        first.
    each : tuple of callable
        What every process calls then, to have all at hand.
    """

    shared: tuple[WarmUp, ...]
    each: tuple[WarmUp, ...] = ()

    def __iter__(self) -> Iterator[WarmUp]:
        """All, in an order in which one process can call them."""
        yield from (*self.shared, *self.each)


def warm_ups(analysis: Analysis, dtype: str) -> WarmUps:
    """Return calls that each make some of the chosen algorithms ready for work.

    Parameters
    ----------
    analysis : Analysis
        Channels and parameters of the run.
    dtype : str
        Type of the pixels of the source.
    """
    parameters, nuclei = analysis.parameters, analysis.channels.nuclei is not None
    parts = _parts_of(parameters.segmentation, dtype)
    segment = partial(_segment, parameters.segmentation, dtype, nuclei)
    others: list[WarmUp] = [
        partial(_track, parameters.tracking),
        partial(_measure, parameters.extraction),
        partial(_correct, parameters.correction, dtype),
    ]
    if analysis.has_compartments:
        if _parts_of(parameters.nuclei, dtype) != parts:
            parts += _parts_of(parameters.nuclei, dtype)
        others.append(partial(_segment, parameters.nuclei, dtype, False))
    if parts:
        return WarmUps((*parts, *others), (segment,))
    return WarmUps((segment, *others))


def all_warm_ups(of_runs: Iterable[WarmUps]) -> WarmUps:
    """Return the calls of several runs, each once."""
    shared: list[WarmUp] = []
    each: list[WarmUp] = []
    for calls in of_runs:
        for found, given in ((shared, calls.shared), (each, calls.each)):
            known = [_as_plain(call) for call in found]
            found.extend(call for call in given if _as_plain(call) not in known)
    return WarmUps(tuple(shared), tuple(each))


def _as_plain(call: WarmUp) -> object:
    """Return what can be compared; partial calls only know themselves."""
    return (call.func, call.args) if isinstance(call, partial) else call


def place_of_compiled_code() -> str | None:
    """Return the folder that holds the compiled code of this process; None if it is not kept."""
    from pyama_core.processing.compiling import place_of_code

    return place_of_code()


def _parts_of(parameters: MethodParameters, dtype: str) -> tuple[WarmUp, ...]:
    parts = find_segmentation(parameters.method).parts
    return tuple(partial(_segment_in_part, part, parameters, dtype) for part in parts)


def _segment_in_part(
    part: Callable[[Any, NDArray[Any], NDArray[np.uint16]], object],
    parameters: MethodParameters,
    dtype: str,
) -> None:
    part(parameters, _textured(_MOVIE[0]).astype(dtype), _numbered(_MOVIE[0]))


def warm_up_all(calls: Iterable[WarmUp]) -> None:
    """Make calls, and say why it takes so long if it does."""
    with _explained():
        for call in calls:
            call()


class CompilingProgress:
    """Says how far the compilation is, if it takes long.

    Parameters
    ----------
    total : int
        In how many parts it is done.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._began = time.monotonic()

    def __call__(self, n_made: int) -> None:
        """Take note that so many parts are done."""
        spent_s = time.monotonic() - self._began
        if spent_s > _SLOW_S:
            logger.info("kernels: %d of %d parts ready (%.0f s)", n_made, self._total, spent_s)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    from pyama_core.processing.compiling import compilation_noticed

    ended = threading.Event()
    with compilation_noticed() as noticed:
        telling = threading.Thread(
            target=_say_why_it_takes_so_long, args=(noticed, ended), name="telling", daemon=True
        )
        start_thread(telling)
        try:
            yield
        finally:
            ended.set()
            telling.join()


def _say_why_it_takes_so_long(noticed: threading.Event, ended: threading.Event) -> None:
    """Say so once it takes long, if anything is compiled; a busy machine may be slow without."""
    from pyama_core.processing.compiling import is_kept

    is_over = ended.wait(_SLOW_S)
    while not is_over and not noticed.is_set():
        is_over = ended.wait(_SLOW_S)
    if is_over:
        return
    if is_kept():
        logger.warning(
            "compiling the numerical kernels, once on this computer; it takes up to a minute "
            "(pyama warm-up does so beforehand)"
        )
    else:
        logger.warning(
            "compiling the numerical kernels, as each process of each run must here, for neither "
            "the folder of this package nor a home folder can be written; set NUMBA_CACHE_DIR to "
            "a folder that can be"
        )


def _segment(parameters: MethodParameters, dtype: str, nuclei: bool) -> None:
    method = find_segmentation(parameters.method)
    if not method.compiled:
        return
    if isinstance(parameters, CellDiameterParameters):
        parameters = parameters.for_trial(2.0 * _RADIUS + 2)
    segmenter = method.create(parameters, 0)
    if isinstance(segmenter, FitsToCells):
        segmenter.fit_to_cells(2.0 * _RADIUS)
    frames = [_textured(centres).astype(dtype) for centres in _MOVIE]
    if isinstance(segmenter, SelfCalibrating):
        segmenter.prepare(frames)
    if isinstance(segmenter, LooksAtNuclei):
        segmenter.prepare_nuclei(frames)
    segmenter.segment(frames[0])
    segmenter.segment(_widened(frames[0]))
    if nuclei and method.by_nuclei:
        segmenter.segment(frames[0], _numbered(_MOVIE[0]).astype(dtype))


def _widened(frame: NDArray[Any]) -> NDArray[Any]:
    """Return a frame that uses the whole range of its type, for which there may be own kernels."""
    wide = frame.copy()
    wide[0, 0] = np.iinfo(frame.dtype).max if frame.dtype.kind in "iu" else 1
    return wide


def _track(parameters: MethodParameters) -> None:
    method = find_tracking(parameters.method)
    if not method.compiled:
        return
    image = _textured(_MOVIE[0])
    for as_found in (np.bool_, np.uint16):
        tracker = method.create(parameters, np.uint16)
        for centres in _MOVIE:
            tracker.update(_numbered(centres).astype(as_found), image)
        tracker.tracks()
    ahead = method.create(parameters, np.uint16)
    if isinstance(ahead, LookAheadTracker):
        frames = _with_faults()
        for frame in frames:
            ahead.preview(frame, image)
        for frame in frames:
            ahead.update(frame, image)


def _with_faults() -> list[NDArray[np.uint16]]:
    """Return the same cells in each frame: one in pieces, two as one, and all moved at the end."""
    whole = _numbered(_CELLS)
    in_pieces, as_one = whole.copy(), whole.copy()
    in_pieces[: _CELLS[0][0]][whole[: _CELLS[0][0]] == 1] = len(_CELLS) + 1
    as_one[whole == 3] = 2
    return [whole, whole, in_pieces, whole, as_one, whole, np.roll(whole, _SIDE // 4, 0)]


def _correct(parameters: MethodParameters, dtype: str) -> None:
    method = find_correction(parameters.method)
    if not method.compiled:
        return
    labels = _numbered(_MOVIE[0])
    frame = _textured(_MOVIE[0]).astype(dtype)
    corrector = method.create(method.resolve(parameters, 2.0 * _RADIUS), labels.shape)
    corrector.correct(frame, corrector.estimate(frame, labels > 0))


def _measure(parameters: ExtractionParameters) -> None:
    from pyama_core.processing.extraction.measure import measure_cells  # loads the compiler

    labels = _numbered(_MOVIE[0])
    # The user's own features are not ours to call for nothing.
    selection = dataclasses.replace(select_features(parameters.features), custom=())
    nuclei = _nuclei_of(labels) if selection.has_compartments else None
    ring = parameters.background_ring
    measure_cells(labels, [_textured(_MOVIE[0]).astype(np.float32)], selection, ring, nuclei)


def _nuclei_of(labels: NDArray[np.uint16]) -> CellNuclei:
    """Find nuclei in all the forms that a segmentation may give them."""
    from pyama_core.processing.extraction.compartments import CellNuclei
    from pyama_core.processing.extraction.nuclei import assign_nuclei

    assign_nuclei(labels > 0, labels)
    return CellNuclei(assign_nuclei(labels, labels).labels, {}, RingSize(1, 0))


def _numbered(centres: tuple[tuple[int, int], ...]) -> NDArray[np.uint16]:
    """Return the label image of discs."""
    labels = np.zeros((_SIDE, _SIDE), np.uint16)
    rows, columns = np.ogrid[:_SIDE, :_SIDE]
    for number, (row, column) in enumerate(centres, 1):
        labels[(rows - row) ** 2 + (columns - column) ** 2 < _RADIUS**2] = number
    return labels


def _textured(centres: tuple[tuple[int, int], ...]) -> NDArray[np.float64]:
    """Return an image of rough discs on a smooth background, within the range of 8 bits."""
    rough = np.arange(_SIDE * _SIDE).reshape(_SIDE, _SIDE) * 7919 % 101
    return np.where(_numbered(centres) > 0, 50.0 + rough, 100.0 + rough % 3)
