"""What is shown of a field of view: layers as napari takes them, made without napari.

A layer is a triple: data, how it is shown, and its type. Stacks are memory maps, so that nothing is
read but the frames that are looked at, and a few to choose the contrast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pyama_core.errors import InputError
from pyama_core.exports.channel_colors import channel_colors
from pyama_core.exports.geff_tracks import edges_of, parents_of
from pyama_core.exports.scale import Scale
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.results.fov_results import FovResults
from pyama_core.results.grey_range import grey_range
from pyama_core.results.proof import released
from pyama_core.results.selection import Selection
from pyama_core.viewing.label_stack import LabelStack, MadeLabels

if TYPE_CHECKING:
    import pandas as pd

LayerType = Literal["image", "labels", "tracks"]
Layer = tuple[Any, dict[str, Any], LayerType]

_COLORMAPS = {
    "FFFFFF": "gray",
    "0000FF": "blue",
    "00FFFF": "cyan",
    "00FF00": "green",
    "FFFF00": "yellow",
    "FF0000": "red",
    "FF00FF": "magenta",
}
_AXES = ("t", "y", "x")
_UNKNOWN = "pixel"
"""What napari calls the unit of an axis that has none."""


@dataclass(frozen=True)
class Shown:
    """What is shown of a field of view.

    Attributes
    ----------
    layers : list of Layer
        From the lowest to the uppermost.
    notes : list of str
        A line on each thing that is not there, and why.
    """

    layers: list[Layer]
    notes: list[str]


def layers_of(selection: Selection, fov: FovResults, offset_x: float = 0) -> Shown:
    """Return the layers of a field of view, under corrections as they are now, and then stay.

    Parameters
    ----------
    selection : Selection
        What it is part of.
    fov : FovResults
        One of its fields of view.
    offset_x : float
        How far to the right it is shown, in the unit of the pixel size.
    """
    showing = _Showing(selection, fov, offset_x)
    layers = [*showing.images(), *showing.labels(), *showing.tracks()]
    return Shown(layers, list(_notes(fov)))


@dataclass(frozen=True)
class _Showing:
    """How a field of view is shown."""

    selection: Selection
    fov: FovResults
    offset_x: float

    def common(self, name: str) -> dict[str, Any]:
        """Return what layers of all types have: name, place, scale and units."""
        scale = Scale.of(self.selection, self.fov)
        interval, pixel = scale.interval_min, scale.pixel_size_um
        return {
            "name": f"FOV {self.fov.number}: {name}",
            "scale": (interval or 1.0, pixel or 1.0, pixel or 1.0),
            "translate": (0.0, 0.0, self.offset_x),
            "units": (
                "minute" if interval else _UNKNOWN,
                *("micrometer" if pixel else _UNKNOWN for _ in "yx"),
            ),
            "axis_labels": _AXES,
            "metadata": {
                "folder": str(self.selection.folder),
                "fov": self.fov.number,
                "fov_name": self.fov.name,
                "sample": self.selection.samples.of(self.fov.number),
                "times_min": scale.times_min,
            },
        }

    # Images

    def images(self) -> Iterator[Layer]:
        """Yield the channels: as they were taken, and hidden where there is a corrected one."""
        taken, corrected = _readable(self.fov.taken), _readable(self.fov.corrected)
        names = list(dict.fromkeys((*taken, *corrected)))
        phase = self.fov.phase_channel
        colors = dict(zip(names, channel_colors(names, self._emissions(names), phase), strict=True))
        for name, stack in taken.items():
            if name in corrected:
                yield self._image(f"{name} as taken", stack, colors[name], visible=False)
            else:
                yield self._image(name, stack, colors[name])
        for name, stack in corrected.items():
            yield self._image(name, stack, colors[name], is_corrected=True)

    def _image(
        self, name: str, stack: Any, color: str, *, visible: bool = True, is_corrected: bool = False
    ) -> Layer:
        is_grey = color == "FFFFFF"
        darkest, brightest = grey_range(stack, self.fov.missing_frames)
        if is_corrected and brightest > 0:  # where there is nothing, it is 0 but for noise
            darkest = max(darkest, 0.0)
        shown = {
            **self.common(name),
            "colormap": _COLORMAPS[color],
            "contrast_limits": (darkest, brightest),
            "blending": "translucent" if is_grey else "additive",
            "visible": visible,
            "multiscale": False,
        }
        return stack, shown, "image"

    def _emissions(self, names: list[str]) -> list[float | None]:
        source = self.selection.source
        numbers = {**self.fov.taken.numbers, **self.fov.corrected.numbers}
        known = source.emission_nm if source else ()
        return [known[numbers[name]] if numbers[name] < len(known) else None for name in names]

    # Cells

    def labels(self) -> Iterator[Layer]:
        """Yield what was segmented, then rings, nuclei and cells by the numbers of the tables.

        What was segmented and rings are hidden: the one is cells again, the others are slow.
        """
        if (masks := _readable_stack(self.fov, "masks")) is not None:
            whole = masks.view(np.uint8) if masks.dtype == bool else masks
            shown = {**self.common("segmentation"), "visible": False, "multiscale": False}
            yield whole, shown, "labels"
        nuclei, cells = (self._numbered(which) for which in ("nuclei", "labels"))
        if cells is not None and nuclei is not None and self.fov.has_rings:
            rings = MadeLabels(cells, self.fov.ring_image)
            yield rings, {**self._labelled("rings"), "visible": False}, "labels"
        for name, labels in (("nuclei", nuclei), ("cells", cells)):
            if labels is not None:
                yield labels, self._labelled(name), "labels"

    def _numbered(self, which: Literal["nuclei", "labels"]) -> Any:
        """Return label images under corrections; None if they cannot be read."""
        labels = _readable_stack(self.fov, which)
        if labels is None:
            return None
        changed = ((t, self.fov.numbers_in(t)) for t in range(len(labels)))
        numbers = {t: new for t, new in changed if new}
        return LabelStack(labels, numbers) if numbers else labels

    def _labelled(self, name: str) -> dict[str, Any]:
        return {
            **self.common(name),
            "features": _features_of_cells(self.selection.read(self.fov, ()).cells),
            "opacity": 0.6,
            "multiscale": False,
        }

    def tracks(self) -> Iterator[Layer]:
        """Yield the tracks of cells, with what was measured, and who descends from whom."""
        tables = self.selection.read(self.fov)
        traces = tables.traces
        if not {"position_x", "position_y"}.issubset(traces) or not len(traces):
            return
        columns = ["cell", "frame", "position_y", "position_x"]
        places = traces[columns].to_numpy(np.float64)
        known = np.isfinite(places).all(axis=1)
        if not known.any():
            return
        there = set(places[known, 0].astype(int).tolist())
        parents = parents_of(traces, edges_of(tables))
        shown = {
            **self.common("tracks"),
            "features": _features_of_rows(traces[known]),
            "graph": {
                cell: [parent]
                for cell, parent in parents.items()
                if cell in there and parent in there
            },
        }
        yield places[known], shown, "tracks"


def _features_of_rows(traces: pd.DataFrame) -> pd.DataFrame:
    """Return numbers by which tracks can be coloured."""
    left_out = ("sample", "fov", "cell", "frame", "position_x", "position_y")
    features = traces.drop(columns=[name for name in left_out if name in traces])
    if "good" in features:
        features = features.assign(good=features["good"].fillna(value=False).astype(np.int8))
    return features.astype(np.float64).reset_index(drop=True)


def _features_of_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """Return what is told of the cell under the mouse, as text; nothing where nothing is known."""
    wanted = ["good", "fate", "parent", "daughters", "first_frame", "last_frame", "corrections"]
    columns = [
        *(name for name in wanted if name in cells),
        *(str(name) for name in cells if str(name).startswith("reason_")),
    ]
    told = cells[columns].map(_as_text)
    told.insert(0, "index", cells["cell"].to_numpy(np.int64))
    return told.reset_index(drop=True)


def _as_text(value: Any) -> str:
    import pandas as pd

    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if pd.isna(value) else str(value)


# What is there


def _readable(stacks: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of several stacks that can be read; `FovResults.missing` names the others."""
    found = {}
    for name in stacks:
        try:
            found[name] = stacks[name]
        except InputError:
            continue
    return found


def _readable_stack(fov: FovResults, which: Literal["masks", "nuclei", "labels"]) -> Any:
    try:
        return getattr(fov, which)
    except InputError:
        return None


def _notes(fov: FovResults) -> Iterator[str]:
    """Say what is not there: released stacks in one line, all else in a line each."""
    missing = fov.missing
    kinds = dict.fromkeys(lack.kind for lack in missing if lack.reason == released(lack.kind))
    if kinds:
        yield f"{fov.title}: {', '.join(kinds)}: {released(*kinds)}"
    for lack in missing:
        if lack.kind not in kinds:
            yield f"{fov.title}: {lack.output}: {lack.reason}"
    if frames := fov.missing_frames:
        yield f"{fov.title}: the file lacks frames {format_ranges(sorted(frames))}"
