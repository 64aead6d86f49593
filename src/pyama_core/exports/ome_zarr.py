"""Results as OME-Zarr 0.5: the channels of each FOV, with label images of cells in it.

::

    fov_000.ome.zarr/
        0, 1, …             the channels as they were taken, (T, C, Y, X), and smaller versions
        labels/
            segmentation/   what was segmented in each frame, (T, Y, X)
            tracks/         cells by number, (T, Y, X), with what became of each
            nuclei/         their nuclei, by the numbers of the cells; if nuclei were found
            rings/          the rings around these that were measured, alike
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.exports.cell_colors import cell_color
from pyama_core.exports.channel_colors import channel_colors
from pyama_core.exports.labels import LabelImages, labels_if_any
from pyama_core.exports.left_out import tell_left_out
from pyama_core.exports.options import Options
from pyama_core.exports.progress import Steps
from pyama_core.exports.reading import missing_tables
from pyama_core.exports.scale import Scale
from pyama_core.exports.zarr_images import VERSION, ImageShape, ImageWriter
from pyama_core.io.storage.naming import fov_folder_name
from pyama_core.outputs import FL, PC
from pyama_core.results.fov_results import FovResults
from pyama_core.results.grey_range import grey_range
from pyama_core.results.images import StacksByChannel
from pyama_core.results.selection import Selection

_KINDS = (PC.name, FL.name, "record")
"""What may be missing of images."""


def write(selection: Selection, path: Path, options: Options, steps: Steps) -> None:
    """Fill a folder with an OME-Zarr per FOV.

    Raises
    ------
    InputError
        A FOV has no images any more; the message says what brings them back.
    """
    del options
    left_out: list[str] = []
    sources = [_Sources.of(selection, fov, left_out) for fov in _with_images(selection, left_out)]
    for each in sources:
        left_out += missing_tables(each.fov)
    tell_left_out(left_out)
    steps.expect(sum(each.n_frames for each in sources))
    for each in sources:
        _write_fov(each, path / f"{fov_folder_name(each.fov.number)}.ome.zarr", steps)


@dataclass(frozen=True)
class _Sources:
    """What the OME-Zarr of a field of view is made of.

    Attributes
    ----------
    selection : Selection
        What it is part of.
    fov : FovResults
        The field of view.
    images : StacksByChannel
        Its channels.
    labels : tuple of LabelImages
        Its cells, their nuclei and rings, as far as there are label images.
    masks : (T, Y, X) array or None
        What was segmented, if that is there.
    """

    selection: Selection
    fov: FovResults
    images: StacksByChannel
    labels: tuple[LabelImages, ...]
    masks: NDArray[Any] | None

    @classmethod
    def of(cls, selection: Selection, fov: FovResults, left_out: list[str]) -> _Sources:
        """Open what there is of a field of view; what is not there is added to what is left out."""
        masks = None
        try:
            masks = fov.masks
        except InputError as error:
            left_out.append(str(error))
        cells = labels_if_any(selection, fov, left_out)
        labels = () if cells is None else (cells, *cells.compartments())
        return cls(selection, fov, fov.taken, labels, masks)

    @property
    def n_frames(self) -> int:
        """How many frames are written, of all images."""
        n_images = len(self.images) + len(self.labels) + (self.masks is not None)
        return n_images * len(next(iter(self.images.values())))

    @property
    def emissions_nm(self) -> list[float | None]:
        """Wavelengths of the light of the channels, where these are known."""
        known = self.selection.source.emission_nm if self.selection.source else ()
        numbers = self.images.numbers.values()
        return [known[number] if number < len(known) else None for number in numbers]

    @property
    def scale(self) -> Scale:
        """How far pixels and frames are apart."""
        return Scale.of(self.selection, self.fov)


def _with_images(selection: Selection, left_out: list[str]) -> Iterator[FovResults]:
    """Yield the fields of view that have images, and add the others to what is left out."""
    reasons = []
    for fov in selection.fovs:
        if fov.taken:
            yield fov
        else:
            lacking = (lack.reason for lack in fov.missing if lack.kind in _KINDS)
            reasons.append(f"{fov.title}: {next(lacking, 'there are no images')}")
            left_out.append(reasons[-1])
    if len(reasons) == len(selection.fovs):
        raise InputError(f"there are no images to export: {reasons[0]}")


def _write_fov(sources: _Sources, path: Path, steps: Steps) -> None:
    fov, stacks = sources.fov, dict(sources.images)
    n_frames, height, width = next(iter(stacks.values())).shape
    shape = ImageShape(n_frames, height, width, len(stacks))
    image = ImageWriter(path, shape, np.result_type(*(stack.dtype for stack in stacks.values())))
    for number, (name, stack) in enumerate(stacks.items()):
        for t, frame in enumerate(stack):
            image.append(np.asarray(frame), number)
            steps.done(f"FOV {fov.number}: {name}, frame {t}")
    omero = {"channels": _channels(sources, stacks), "rdefs": {"defaultT": 0, "model": "color"}}
    image.describe(fov.name, sources.scale, {"omero": omero}, _about(sources))
    _write_labels(sources, path / "labels", steps)


def _write_labels(sources: _Sources, path: Path, steps: Steps) -> None:
    """Write label images as a group within that of the image."""
    import zarr

    names: list[str] = []
    properties = _properties(sources) if sources.labels else []
    for labels in sources.labels:
        names.append("tracks" if labels.part == "cells" else labels.part)
        frames, dtype = labels.frames(), labels.dtype
        _write_label_image(sources, path / names[-1], frames, dtype, properties, steps)
    if sources.masks is not None:
        names.append("segmentation")
        masks = sources.masks
        dtype = np.dtype(np.uint8) if masks.dtype == bool else masks.dtype
        _write_label_image(sources, path / "segmentation", iter(masks), dtype, [], steps)
    if names:
        group = zarr.create_group(path, zarr_format=3)
        group.attrs["ome"] = {"version": VERSION, "labels": names}


def _write_label_image(
    sources: _Sources,
    path: Path,
    frames: Iterator[NDArray[Any]],
    dtype: np.dtype[Any],
    properties: Sequence[Mapping[str, Any]],
    steps: Steps,
) -> None:
    shape = ImageShape(*next(iter(sources.images.values())).shape)
    image = ImageWriter(path, shape, dtype, is_labels=True)
    for t, frame in enumerate(frames):
        image.append(np.asarray(frame).astype(dtype))
        steps.done(f"FOV {sources.fov.number}: {path.name}, frame {t}")
    about: dict[str, Any] = {"source": {"image": "../../"}}
    if properties:
        about["properties"] = list(properties)
        about["colors"] = [
            {"label-value": each["label-value"], "rgba": [*cell_color(each["label-value"]), 255]}
            for each in properties
        ]
    image.describe(path.name, sources.scale, {"image-label": about}, {})


# Metadata


def _about(sources: _Sources) -> dict[str, Any]:
    """Return what is known of a field of view and has no place in OME-Zarr."""
    fov = sources.fov
    about: dict[str, Any] = {
        "fov": fov.number,
        "name": fov.name,
        "sample": sources.selection.samples.of(fov.number),
        "times_min": list(sources.scale.times_min),
    }
    if missing := sorted(fov.missing_frames):
        about["missing_frames"] = missing
    return about


def _channels(sources: _Sources, stacks: Mapping[str, NDArray[Any]]) -> list[dict[str, Any]]:
    colors = channel_colors([*stacks], sources.emissions_nm, sources.fov.phase_channel)
    missing = sources.fov.missing_frames
    return [
        {"label": name, "color": color, "active": True, "window": _window(stack, missing)}
        for (name, stack), color in zip(stacks.items(), colors, strict=True)
    ]


def _window(stack: NDArray[Any], missing: Collection[int]) -> dict[str, float]:
    """Return the grey values between which a channel is shown, and those that there can be."""
    start, end = grey_range(stack, missing)
    lowest, highest = start, end
    if stack.dtype.kind in "iu":
        lowest, highest = np.iinfo(stack.dtype).min, np.iinfo(stack.dtype).max
    return {"min": lowest, "max": highest, "start": start, "end": end}


def _properties(sources: _Sources) -> list[dict[str, Any]]:
    """Return what is known of each cell, without what is not."""
    cells = sources.selection.read(sources.fov, ()).cells
    rows = cells.to_dict("records")
    return [{"label-value": row["cell"], **_known(row)} for row in rows]


def _known(row: Mapping[Hashable, Any]) -> dict[str, Any]:
    """Return the fields of a cell that say something, as JSON has them."""
    known = {}
    for name, value in row.items():
        if isinstance(value, tuple):
            if value:
                known[str(name)] = list(value)
        elif value is not None and value == value and value != "":
            known[str(name)] = value
    return known
