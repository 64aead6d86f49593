"""Which images an OME-Zarr holds, and what its metadata (versions 0.4 and 0.5) says of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pyama_core.io.readers.companions import leads_outside
from pyama_core.io.readers.image_folder.patterns import natural_order
from pyama_core.io.readers.ome_xml import OmeDataSet, OmeXmlError, parse_ome_xml
from pyama_core.io.readers.zarr.arrays import ArrayDocument, ZarrError
from pyama_core.io.readers.zarr.documents import ZarrStore
from pyama_core.io.readers.zarr.groups import OmeGroups
from pyama_core.io.units import micrometres_per, seconds_per

_AXES = "tczyx"
_XML_NAME = "OME/METADATA.ome.xml"


@dataclass(frozen=True)
class ZarrImage:
    """One image, which is one field of view.

    Attributes
    ----------
    name : str
        Its name, or its path in the store.
    array : ArrayDocument
        Its pixels at full resolution.
    axes : str
        One letter per dimension, from t, c, z, y, x; another letter is one of size 1.
    channel_names : tuple of str
        Empty if it does not name them.
    pixel_size_um, z_step_um, interval_min : float or None
        None where it does not say, or in no known unit.
    """

    name: str
    array: ArrayDocument
    axes: str
    channel_names: tuple[str, ...]
    pixel_size_um: float | None
    z_step_um: float | None
    interval_min: float | None

    def size(self, axis: str) -> int:
        """Return the size along one axis."""
        return self.array.shape[self.axes.index(axis)] if axis in self.axes else 1

    def index(self, time: int, channel: int, z: int) -> tuple[int, ...]:
        """Return the indices of a plane along all axes but the last two."""
        at = {"t": time, "c": channel, "z": z}
        return tuple(at.get(axis, 0) for axis in self.axes[:-2])


@dataclass(frozen=True)
class ZarrDataSet:
    """All images of a store, the OME-XML beside them if there is any, and what to warn of."""

    images: tuple[ZarrImage, ...]
    xml: OmeDataSet | None = None
    warnings: tuple[str, ...] = ()


def read_ome_zarr(store: ZarrStore) -> ZarrDataSet:
    """Find the images of a store: one, a plate's wells, a converted file's series, or a folder's.

    Raises
    ------
    ZarrError
        If there is none, or the metadata is damaged.
    """
    groups = OmeGroups(store)
    about = groups.get("")
    xml = None
    if about is None:
        children = [path for path in natural_order(store.folders()) if not path.startswith(".")]
        found = [(path, path, about) for path in children if (about := groups.get(path))]
        places = [(name, path, image) for name, path, image in found if _is_image(image)]
        places = [(_without_ending(name), path, image) for name, path, image in places]
    elif _is_image(about):
        places = [("", "", about)]
    elif hasattr(about, "plate"):
        places = list(_wells(groups, about.plate))
    elif getattr(about, "bioformats2raw_layout", None) is not None:
        places, xml = list(_series(groups)), _xml(groups)
    else:
        raise ZarrError(f"it is a {type(about).__name__}, not an image, plate or series of images")
    if not places:
        raise ZarrError("there is no OME-Zarr image in it")
    images = tuple(_image(store, *place) for place in places)
    return ZarrDataSet(images, xml, (*groups.told(), *(xml.warnings if xml else ())))


def _is_image(about: Any) -> bool:
    return bool(getattr(about, "multiscales", None))


def _without_ending(name: str) -> str:
    return name.removesuffix(".zarr").removesuffix(".ome")


def _wells(groups: OmeGroups, plate: Any) -> Iterator[tuple[str, str, Any]]:
    for well in plate.wells:
        about = groups.get(_inside("", well.path))
        if about is None:
            continue  # announced, but not imaged
        for field in about.well.images:
            path = _inside(well.path, field.path)
            image = groups.get(path)
            if image is not None:
                yield f"{well.path.replace('/', '')}/{field.path}", path, image


def _series(groups: OmeGroups) -> Iterator[tuple[str, str, Any]]:
    store = groups.store
    about = groups.get("OME") if store.attributes("OME") else None
    listed = getattr(about, "series", None) or store.attributes("OME").get("series")
    paths = listed or [path for path in natural_order(store.folders()) if path.isdigit()]
    for path in (_inside("", str(path)) for path in paths):
        image = groups.get(path)
        if image is not None:
            yield "", path, image


def _xml(groups: OmeGroups) -> OmeDataSet | None:
    """Return the OME-XML of a converted file, of which only names and times are used."""
    text = groups.store.read(_XML_NAME)
    if text is None:
        return None
    try:
        return parse_ome_xml(text)
    except OmeXmlError as error:
        groups.ignore(_XML_NAME, error)
        return None


def _image(store: ZarrStore, name: str, path: str, about: Any) -> ZarrImage:
    multiscale = about.multiscales[0]
    level = multiscale.datasets[0]
    array = store.array(_inside(path, level.path))
    # A letter that no axis has stands for one of another kind, such as a phase.
    names = [str(axis.name).lower() for axis in multiscale.axes]
    axes = "".join(name if name in _AXES else "?" for name in names)
    others = [n for n, s in zip(names, array.shape, strict=False) if n not in _AXES and s > 1]
    known = axes.replace("?", "")
    if len(axes) != len(array.shape) or axes[-2:] != "yx" or len(set(known)) != len(known):
        raise ZarrError(f"the axes {', '.join(names)} do not fit an array of shape {array.shape}")
    if others:
        raise ZarrError(f"it has the axes {', '.join(others)} beside t, c, z, y, x")
    scales = _scales(multiscale, level, len(axes))
    units = {
        axis: str(getattr(a, "unit", None) or "")
        for axis, a in zip(axes, multiscale.axes, strict=True)
    }
    steps = dict(zip(axes, scales, strict=True))
    seconds = seconds_per(units.get("t", ""))
    omero = getattr(about, "omero", None)
    return ZarrImage(
        name=name or str(multiscale.name or "").strip("/") or path,
        array=array,
        axes=axes,
        channel_names=tuple(str(c.label or "") for c in omero.channels) if omero else (),
        pixel_size_um=_length(steps.get("x"), units.get("x", "")),
        z_step_um=_length(steps.get("z"), units.get("z", "")),
        interval_min=_interval(steps.get("t"), seconds),
    )


def _inside(base: str, name: str) -> str:
    """Return the path of what the metadata of a group names.

    Raises
    ------
    ZarrError
        If it leads out of the store.
    """
    if leads_outside(name, base):
        raise ZarrError(f"its metadata names {name!r}, which lies outside of it")
    return str(PurePosixPath(base, name)).removeprefix(".")


def _length(step: float | None, unit: str) -> float | None:
    micrometres = micrometres_per(unit)
    if step is None or micrometres is None or not math.isfinite(step):
        return None
    return step * micrometres


def _interval(step: float | None, seconds: float | None) -> float | None:
    if step is None or seconds is None or not math.isfinite(step):
        return None
    return step * seconds / 60


def _scales(multiscale: Any, level: Any, n_axes: int) -> list[float]:
    """Multiply the scales of the level of full resolution and of the whole pyramid."""
    scales = [1.0] * n_axes
    for transformations in (
        level.coordinateTransformations,
        multiscale.coordinateTransformations or (),
    ):
        for transformation in transformations:
            if transformation.type == "scale" and len(transformation.scale) == n_axes:
                scales = [a * b for a, b in zip(scales, transformation.scale, strict=True)]
    return scales
