"""The OME metadata of the groups of a Zarr store, validated.

What an image could do without is lost with a warning where it is wrong: a scale that is no number,
and the section ``omero``, which is about showing an image.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator
from typing import Any

from pyama_core.io.readers.stated_numbers import Doubts
from pyama_core.io.readers.zarr.arrays import ZarrError
from pyama_core.io.readers.zarr.documents import ZarrStore

_KEYS = frozenset({"ome", "multiscales", "plate", "well", "bioformats2raw.layout"})


class OmeGroups:
    """The groups of a store.

    Parameters
    ----------
    store : ZarrStore
        Where they are.
    """

    def __init__(self, store: ZarrStore) -> None:
        self.store = store
        self.doubts = Doubts()
        self._ignored: dict[str, None] = {}

    def get(self, path: str) -> Any:
        """Return the validated metadata of a group; None if it has none.

        Raises
        ------
        ZarrError
            If they are wrong.
        """
        attributes = self.store.attributes(path)
        if not attributes.keys() & _KEYS:
            return None
        attributes = copy.deepcopy(attributes)
        ome = attributes.get("ome", attributes)
        for scale in _scales_in(ome):
            self._replace_texts(scale)
        where = path or "its root"
        try:
            return _validated(attributes, where)
        except ZarrError as error:
            if not isinstance(ome, dict) or ome.pop("omero", None) is None:
                raise
            found = _validated(attributes, where)
            self.ignore("omero", error)
            return found

    def ignore(self, what: str, why: Exception) -> None:
        """Remember that something is ignored."""
        self._ignored.setdefault(f"{what} is ignored, {why}")

    def told(self) -> tuple[str, ...]:
        """Return what a user should know."""
        return (*self._ignored, *self.doubts.told())

    def _replace_texts(self, scale: list[Any]) -> None:
        for axis, step in enumerate(scale):
            if isinstance(step, str):
                number = self.doubts.value(step, "scale")
                scale[axis] = math.nan if number is None else number


def _validated(attributes: dict[str, Any], where: str) -> Any:
    from pydantic import ValidationError
    from yaozarrs import validate_ome_object

    try:
        # The model's advice on names is for who writes a store, not for who reads it.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            found = validate_ome_object(attributes)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ZarrError(f"the OME metadata of {where} is wrong: {place}: {first['msg']}") from error
    return getattr(found, "ome", found)


def _scales_in(ome: Any) -> Iterator[list[Any]]:
    """Return the scales of all levels of all pyramids, as far as they are where they should be."""
    for multiscale in _dictionaries(ome, "multiscales"):
        for holder in (multiscale, *_dictionaries(multiscale, "datasets")):
            for transformation in _dictionaries(holder, "coordinateTransformations"):
                if isinstance(transformation.get("scale"), list):
                    yield transformation["scale"]


def _dictionaries(holder: Any, key: str) -> list[dict[str, Any]]:
    found = holder.get(key) if isinstance(holder, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
