"""A paragraph about the methods for a paper, with references, from what the record says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.report.markup import Markup, el
from pyama_core.results.records_of_fovs import readable_states
from pyama_core.results.results import Results
from pyama_core.version import __version__

if TYPE_CHECKING:
    from pyama_core.report.gather import Gathered

Described = Mapping[str, tuple[str, tuple[str, ...]]]
"""Of each method, a part of a sentence, and the keys of its references."""

_SEGMENTATION: Described = {
    "instances": (
        "cells were found in {channel} by their local contrast and separated by a watershed",
        ("jaccard", "meyer"),
    ),
    "bright": (
        "bright objects were found in {channel} by their contrast and separated by their shape",
        (),
    ),
    "dark": (
        "dark objects were found in {channel} by their contrast and separated by their shape",
        (),
    ),
    "log-std": (
        "cells were found in {channel} by a threshold on the logarithm of the local deviation",
        (),
    ),
    "files": ("outlines of cells were taken from masks that another program made", ()),
    "cellpose": ("cells were found in {channel} by Cellpose", ("cellpose",)),
    "stardist": ("cells were found in {channel} by StarDist", ("stardist",)),
    "instanseg": ("cells were found in {channel} by InstanSeg", ("instanseg",)),
    "bioimageio": ("cells were found in {channel} by a model of the BioImage Model Zoo", ("zoo",)),
}
_TRACKING: Described = {
    "iou": (
        "they were linked by the assignment that maximises the overlap of masks between frames",
        ("jonker",),
    ),
    "lineage": (
        "they were linked by overlap and predicted motion, in an optimal assignment",
        ("jaqaman", "jonker"),
    ),
    "laptrack": ("they were linked from frame to frame by LapTrack", ("laptrack",)),
    "trackastra": ("they were linked from frame to frame by Trackastra", ("trackastra",)),
}
_CORRECTION: Described = {
    "tiled-interpolation": (
        "background was interpolated by splines from medians outside of cells and subtracted",
        (),
    ),
}
_REFERENCES: Mapping[str, str] = {
    "cellpose": (
        "C. Stringer et al., Cellpose: a generalist algorithm for cellular segmentation. Nature "
        "Methods 18, 100–106 (2021)."
    ),
    "instanseg": (
        "T. Goldsborough et al., InstanSeg: an embedding-based instance segmentation algorithm "
        "optimized for accurate, efficient and portable cell segmentation. arXiv 2408.15954 (2024)."
    ),
    "jaccard": (
        "N. Jaccard et al., Automated method for the rapid and precise estimation of adherent cell "
        "culture characteristics from phase contrast microscopy images. Biotechnology and "
        "Bioengineering 111, 504–517 (2014)."
    ),
    "jaqaman": (
        "K. Jaqaman et al., Robust single-particle tracking in live-cell time-lapse sequences. "
        "Nature Methods 5, 695–702 (2008)."
    ),
    "jonker": (
        "R. Jonker, A. Volgenant, A shortest augmenting path algorithm for dense and sparse linear "
        "assignment problems. Computing 38, 325–340 (1987)."
    ),
    "laptrack": (
        "Y. T. Fukai, K. Kawaguchi, LapTrack: linear assignment particle tracking with tunable "
        "metrics. Bioinformatics 39(1), btac799 (2023)."
    ),
    "meyer": (
        "F. Meyer, Topographic distance and watershed lines. Signal Processing 38, 113–125 (1994)."
    ),
    "stardist": (
        "U. Schmidt et al., Cell detection with star-convex polygons. MICCAI, 265–273 (2018)."
    ),
    "trackastra": (
        "B. Gallusser, M. Weigert, Trackastra: transformer-based cell tracking for live-cell "
        "microscopy. ECCV (2024)."
    ),
    "zoo": (
        "W. Ouyang et al., BioImage Model Zoo: a community-driven resource for accessible deep "
        "learning in bioimage analysis. bioRxiv 2022.06.07.495102 (2022)."
    ),
}


def methods_of(results: Results) -> dict[str, str]:
    """Return name and version of the algorithm of each step, as the outputs were made."""
    found: dict[str, str] = {}
    for _, state in readable_states(results.chosen()):
        for name, entry in state.record.outputs.items():
            if name not in state.outdated:
                found.setdefault(entry.provenance.step, entry.provenance.algorithm)
    return found


def methods_text(
    found: Gathered, state: FovState | None, algorithms: Mapping[str, str]
) -> tuple[str, list[str]]:
    """Write the paragraph, and the references that it numbers.

    Parameters
    ----------
    found : Gathered
        What was read.
    state : FovState or None
        A record with what was asked for.
    algorithms : mapping of str to str
        Name and version of the algorithm of each step.
    """
    cited: list[str] = []
    results = found.results
    n = len(found.positions)
    sentences = [
        (
            f"Time-lapse images of {n} position{'s' * (n != 1)}{_frames(found)} were analysed with "
            f"pyama-core {_version(state)}."
        )
    ]
    parts = [
        _sentence(_SEGMENTATION, algorithms.get("segmentation"), _cells_in(results, state), cited),
        _sentence(_TRACKING, algorithms.get("tracking"), "", cited),
    ]
    told = "; ".join(part for part in parts if part)
    if told:
        sentences.append(f"{told[0].upper()}{told[1:]}.")
    if correction := _sentence(_CORRECTION, algorithms.get("correction"), "", cited):
        channels = ", ".join(found.channels)
        sentences.append(f"{correction[0].upper()}{correction[1:]} ({channels}).")
    n_cells = sum(row.n_cells for row in found.samples)
    n_good = sum(row.n_good for row in found.samples)
    sentences.append(
        f"Of {n_cells} cells, {n_good} were judged reliable by their length, size, distance from "
        "the edge and continuity, and kept for analysis."
    )
    if found.n_corrections:
        sentences.append(f"{found.n_corrections} corrections were made by hand.")
    used = sorted({name for name in algorithms.values() if name})
    sentences.append(f"Algorithms and their versions: {', '.join(used)}.")
    references = [f"[{i}] {_REFERENCES[name]}" for i, name in enumerate(cited, 1)]
    return " ".join(sentences), references


def _sentence(
    known: Described,
    algorithm: str | None,
    channel: str,
    cited: list[str],
) -> str:
    if not algorithm:
        return ""
    name = algorithm.rpartition("/")[0] or algorithm
    words, keys = known.get(name, (f"the method {algorithm} was used", ()))
    for key in keys:
        if key not in cited:
            cited.append(key)
    marks = "".join(f" [{cited.index(key) + 1}]" for key in keys)
    return words.format(channel=channel or "one channel") + marks


def _frames(found: Gathered) -> str:
    n = found.minutes.size
    if n == 0:
        return ""
    x, label = found.shown_x
    if n == 1:
        return " with one frame"
    unit = label.removeprefix("time (").removesuffix(")")
    return f" with {n} frames" + (f" over {x[-1]:.3g} {unit}" if label != "frame" else "")


def _version(state: FovState | None) -> str:
    if state is None or state.record.settings is None:
        return __version__
    return state.record.settings.version


def _cells_in(results: Results, state: FovState | None) -> str:
    """Name the channel in which cells were found; braces in it are no places to fill."""
    if state is None or state.channels.cells is None:
        return ""
    name = results.chosen()[0].name_of_channel(state.channels.cells)
    return f"phase contrast ({name})" if state.channels.pc is not None else f"channel {name}"


def methods_section(
    found: Gathered, state: FovState | None, algorithms: Mapping[str, str]
) -> Markup:
    """Return the paragraph to be copied into a paper."""
    text, references = methods_text(found, state, algorithms)
    return el(
        "details",
        el("summary", "Methods, to paste into a paper"),
        el("p", text, class_="paste"),
        el("ol", [el("li", each.partition("] ")[2]) for each in references])
        if references
        else None,
        id="methods",
    )
