"""What contradicts what was assumed of the cells, told from records alone.

A run warns of it when its first position is through, `pyama status` and results whenever they are
asked, whatever was released since.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pyama_core.io.storage.records import OutputEntry
from pyama_core.outputs import FL_CORRECTED, NUCLEI, NUCLEI_CSV, SEG, TRACES_CSV, Output, OutputKind
from pyama_core.processing.extraction.quality import WITHOUT_LIGHT
from pyama_core.processing.segmentation.picture.kind import METHODS, PictureKind
from pyama_core.processing.workflow.few_good import find_few_good
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.services.steps.background_counts import FREE
from pyama_core.processing.workflow.services.steps.compartment_counts import (
    OWNERS,
    RINGS,
    tell_owners,
    tell_rings,
)
from pyama_core.processing.workflow.services.steps.found_objects import (
    ASSUMED,
    FOUND,
    OBJECTS,
    SHOWN,
    SHOWN_DIAMETER,
)
from pyama_core.processing.workflow.services.steps.saturation_counts import CEILING

_MOST_UNLIKE = 1.5
"""Factor between the diameter found and the one assumed."""
_MOST_UNLIKE_SHOWN = 1.6
"""The same of the one that a frame shows, which is no more than an estimate."""
_HARDLY_ANY = 0.2
_ENOUGH_TRACES = 8
_MANY_ODD = 0.25
"""Part of the cells, in all frames, that have no nucleus or several; a tenth is usual."""
_ENOUGH_CELLS = 20
_HARDLY_FREE = 80
"""Of a thousand pixels, so many must show background; with fewer, in light that falls by a fifth
towards the corners, that under a tenth of the cells is off by a twentieth and more."""
_WITHOUT_LIGHT, _FEW_WITHOUT_LIGHT = 0.01, 3
"""Part of the cells, and their number, that are darker than the background though they were found
by their light. Of the cells of real movies none is, or one of hundreds."""
_MANY_SATURATED = 0.1
"""Part of the cells that are at the ceiling."""
_JUMP = 4.0
"""Factor between the numbers of objects in fields of view."""
_ENOUGH_OBJECTS = 12
"""So many in one of them: fewer come and go by chance."""


class About(StrEnum):
    """What is in doubt."""

    PICTURE = "picture"
    METHOD = "method"
    NOTHING = "nothing found"
    SIZE = "size"
    NUCLEI = "size of nuclei"
    OWNERS = "nuclei of cells"
    RINGS = "rings around nuclei"
    BACKGROUND = "background"
    CEILING = "camera's ceiling"
    GOOD = "good cells"
    COUNTS = "counts"


@dataclass(frozen=True)
class Doubt:
    """Something that contradicts what was assumed.

    Attributes
    ----------
    about : About
        What is in doubt.
    text : str
        What was assumed and what was found.
    advice : str
        What to try.
    """

    about: About
    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.text}; {self.advice}"


def find_doubts(state: FovState) -> list[Doubt]:
    """Return what contradicts what was assumed in a field of view, by its record."""
    found = [_of_picture(state) or _of_method(state)]
    if state.lacks_cells():
        found.append(
            Doubt(
                About.NOTHING,
                "no cells in any frame",
                "look at the images; name the segmentation (--segmentation), or give the size of "
                "cells (--cell-diameter)",
            )
        )
    else:
        found += [
            _of_size(state, SEG, About.SIZE),
            _of_size(state, NUCLEI, About.NUCLEI),
            _of_owners(state),
            _of_rings(state),
            _of_background(state),
            _of_light(state),
            _of_ceiling(state),
            _of_good(state),
        ]
    return [doubt for doubt in found if doubt is not None]


def _of_picture(state: FovState) -> Doubt | None:
    picture = state.record.picture
    if picture is None or picture.kind != PictureKind.UNSURE:
        return None
    return Doubt(
        About.PICTURE,
        f"what the channel shows is unsure (perhaps {picture.likely}): {picture.reason}",
        f"it is segmented by {picture.method}: look at the outlines, and name the segmentation "
        "(--segmentation)",
    )


def _of_method(state: FovState) -> Doubt | None:
    """Tell whether frames show something that the segmentation is not made for, and are sure."""
    entry = _entry_of(state, SEG)
    shown = [] if entry is None else [kind for kind, name in SHOWN.items() if name in entry.summary]
    if entry is None or not shown or (suits := METHODS[shown[0]]) == _method_of(entry):
        return None
    return Doubt(
        About.METHOD,
        f"the frames show {shown[0]}, for which {_method_of(entry)} is not made",
        f"try --segmentation {suits}, or --segment in place of --pc, by which it is chosen",
    )


def _method_of(entry: OutputEntry) -> str:
    return str(entry.provenance.parameters.get("method"))


def _of_size(state: FovState, kind: OutputKind, about: About) -> Doubt | None:
    """Tell whether the diameter assumed is not that of what was found, or not what a frame shows.

    What is cut to pieces, or put together, has the size that was assumed: then the frame tells.
    """
    entry = _entry_of(state, kind)
    told = {} if entry is None else entry.summary
    assumed = told.get(ASSUMED, 0)
    what, option = ("nuclei", "nuclei.cell_diameter")
    if about is About.SIZE:
        what, option = ("objects", "--cell-diameter")
    advice = f"look at the outlines, and give the diameter as you see it ({option})"
    if _is_unlike(found := told.get(FOUND, 0), assumed, _MOST_UNLIKE):
        return Doubt(
            about,
            f"the {what} that were found have a diameter of {found} px in the middle, {assumed} px "
            "were assumed",
            advice,
        )
    enough = told.get(OBJECTS, 0) >= _ENOUGH_OBJECTS
    if enough and _is_unlike(shown := told.get(SHOWN_DIAMETER, 0), assumed, _MOST_UNLIKE_SHOWN):
        return Doubt(
            about,
            f"the {what} look as if they had a diameter of about {shown} px, {assumed} px were "
            "given",
            f"{advice}, or leave it to be estimated (auto)",
        )
    return None


def _is_unlike(diameter: int, assumed: int, factor: float) -> bool:
    return bool(diameter and assumed) and not 1 / factor <= diameter / assumed <= factor


def _of_owners(state: FovState) -> Doubt | None:
    """Tell whether nuclei and cells do not go together: many cells have none or several."""
    told = _many_odd(state, NUCLEI_CSV, OWNERS)
    if told is None:
        return None
    _, none, several = (told.get(name, 0) for name in OWNERS)
    if several > none:
        advice = "cells may be put together or nuclei cut to pieces"
    else:
        advice = "nuclei may be missed, or what is no cell be taken for one"
    return Doubt(
        About.OWNERS,
        tell_owners(told),
        f"{advice}: look at the outlines of both, and give their diameters as you see them "
        "(--cell-diameter, nuclei.cell_diameter)",
    )


def _of_rings(state: FovState) -> Doubt | None:
    """Tell whether many nuclei have no ring that could be measured."""
    told = _many_odd(state, TRACES_CSV, RINGS)
    if told is None:
        return None
    return Doubt(
        About.RINGS,
        tell_rings(told),
        "rings tell of those cells alone that have room around the nucleus: look at the outlines, "
        "and take a smaller gap (extraction.ring_gap), or let cells that are grown nuclei grow "
        "farther (segmentation.grow_by)",
    )


def _many_odd(
    state: FovState, kind: OutputKind, counted: Sequence[str]
) -> Mapping[str, int] | None:
    """Return the counts of an output if many of what it counts first are of the other sorts."""
    entry = _entry_of(state, kind)
    told = {} if entry is None else entry.summary
    n, *odd = (told.get(name, 0) for name in counted)
    return told if n >= _ENOUGH_CELLS and sum(odd) >= _MANY_ODD * n else None


def _of_background(state: FovState) -> Doubt | None:
    """Tell whether cells leave hardly any room from which the background is taken."""
    free = [
        entry.summary[FREE]
        for name, entry in state.record.outputs.items()
        if entry.kind == FL_CORRECTED.name and FREE in entry.summary and name not in state.outdated
    ]
    if not free or min(free) >= _HARDLY_FREE:  # it is the same of all channels
        return None
    return Doubt(
        About.BACKGROUND,
        f"cells, enlarged as the correction takes them, leave {min(free) / 10:g} % of a frame to "
        "tell the background from, so that intensities are unsure where light is uneven",
        "look at the outlines and at the corrected images; enlarge cells by less "
        "(correction.dilation_size), or plate fewer",
    )


def _of_light(state: FovState) -> Doubt | None:
    """Tell whether cells that were found by their light have none without the background."""
    for name, entry in state.record.outputs.items():
        n, n_cells = entry.summary.get(WITHOUT_LIGHT, 0), entry.summary.get("cells", 0)
        is_current = entry.kind == TRACES_CSV.name and name not in state.outdated
        if is_current and n >= max(_FEW_WITHOUT_LIGHT, _WITHOUT_LIGHT * n_cells):
            return Doubt(
                About.BACKGROUND,
                f"{n} of {n_cells} cells, which were found by their light in channel "
                f"{entry.channel}, are darker than what counts as background in some frame: it is "
                "taken from where other cells were missed",
                "look at the outlines; intensities of all cells around are too low",
            )
    return None


def _of_ceiling(state: FovState) -> Doubt | None:
    """Tell whether many cells are brighter than the camera can tell, in any channel."""
    told = []
    for name, entry in state.record.outputs.items():
        n, n_cells = entry.summary.get("saturated", 0), entry.summary.get("cells", 0)
        if entry.kind == TRACES_CSV.name and name not in state.outdated:
            corrected = state.record.find(Output(FL_CORRECTED, entry.channel))
            value = corrected[1].summary.get(CEILING) if corrected else None
            if n >= _MANY_SATURATED * n_cells > 0:
                at = "" if value is None else f" (grey value {value})"
                told.append(f"of {n} of {n_cells} cells in channel {entry.channel}{at}")
    if not told:
        return None
    return Doubt(
        About.CEILING,
        f"pixels are at the camera's ceiling: {', '.join(told)}; they have more light than was "
        "measured",
        "expose the next movie for a shorter time, or with less light; how much of a cell may be "
        "at the ceiling is extraction.max_saturated_part",
    )


def count_compartments(state: FovState) -> list[str]:
    """Say how nuclei, cells and rings of a field of view do not go together; nothing if they do."""
    counted = ((NUCLEI_CSV, OWNERS, tell_owners), (TRACES_CSV, RINGS, tell_rings))
    told = []
    for kind, names, tell in counted:
        entry = _entry_of(state, kind)
        if entry is not None and any(entry.summary.get(name) for name in names[1:]):
            told.append(tell(entry.summary))
    return told


def _of_good(state: FovState) -> Doubt | None:
    few = find_few_good([state], _HARDLY_ANY)
    if few is None or few.n_traces < _ENOUGH_TRACES:
        return None
    return Doubt(About.GOOD, str(few), "look at the outlines first, for they may be wrong")


def _entry_of(state: FovState, kind: OutputKind) -> OutputEntry | None:
    """Return the entry of an output that there is but one of, if it is as asked for."""
    for name, entry in state.record.outputs.items():
        if entry.kind == kind.name and name not in state.outdated:
            return entry
    return None


# Between fields of view


def count_objects(state: FovState) -> int | None:
    """Return how many objects a frame of a field of view has; None where that is not on record."""
    entry = _entry_of(state, SEG)
    return None if entry is None else entry.summary.get(OBJECTS)


def find_unlike_counts(states: Iterable[FovState]) -> dict[int, int]:
    """Return how many objects a frame has in fields of view that have far fewer or more than usual.

    Four times fewer or more than in the middle of all, if not both numbers are small.
    """
    counts = _counts(states)
    if len(counts) < 2:
        return {}
    usual = statistics.median(counts.values())
    return {fov: n for fov, n in counts.items() if _jumps(n, usual)}


def compare_counts(states: Sequence[FovState]) -> Doubt | None:
    """Tell whether the number of objects jumps between the first fields of view of a run."""
    counts = _counts(states)
    if len(counts) < 2:
        return None
    least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if not _jumps(counts[least], counts[most]):
        return None
    return Doubt(
        About.COUNTS,
        f"a frame has {counts[most]} objects in FOV {most}, but {counts[least]} in FOV {least}",
        "if both look alike in the images, give the segmentation (--segmentation) and the size of "
        "cells (--cell-diameter), so that they are not told for each",
    )


def _counts(states: Iterable[FovState]) -> dict[int, int]:
    return {state.record.fov: n for state in states if (n := count_objects(state)) is not None}


def _jumps(n: float, other: float) -> bool:
    few, many = sorted((n, other))
    return many >= _ENOUGH_OBJECTS and many > _JUMP * few
