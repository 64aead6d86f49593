"""Which features are measured, as words of the configuration choose them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from pyama_core.errors import InputError
from pyama_core.processing.extraction.custom import CustomFeature, load_feature
from pyama_core.processing.extraction.feature_names import (
    GROUPS,
    INTENSITY_FEATURES,
    SHAPE_FEATURES,
)

ALGORITHM = "features/2"

BASIC_COLUMNS = (
    "cell",
    "frame",
    "time",
    "good",
    "position_x",
    "position_y",
    "intensity_total",
    "area",
    "reason",
)
"""Columns that every table has, before all others."""


@dataclass(frozen=True)
class Selection:
    """The features that were chosen besides the basic ones, in the order of their columns."""

    shapes: tuple[str, ...] = ()
    intensities: tuple[str, ...] = ()
    custom: tuple[CustomFeature, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of their columns."""
        return (*self.shapes, *self.intensities, *(feature.column for feature in self.custom))


def current_features(words: tuple[str, ...]) -> Selection:
    """Return the features that words stand for; code that was changed since is loaded anew.

    Raises
    ------
    InputError
        As `select_features`.
    """
    selection = select_features(words)
    outdated = [feature for feature in selection.custom if feature.is_outdated()]
    if not outdated:
        return selection
    for feature in outdated:
        if feature.code is not None:
            feature.code.unload()
    select_features.cache_clear()
    return select_features(words)


@lru_cache(maxsize=32)
def select_features(words: tuple[str, ...]) -> Selection:
    """Return the features that words stand for; see `ExtractionParameters.features`.

    Raises
    ------
    InputError
        If a user's feature cannot be loaded, or two columns would have the same name.

    Examples
    --------
    >>> select_features(("solidity", "intensity_p5")).columns
    ('solidity', 'intensity_p5')
    """
    named = {name for word in words for name in GROUPS.get(word, (word,))}
    built_in = {*SHAPE_FEATURES, *INTENSITY_FEATURES}
    selection = Selection(
        tuple(name for name in SHAPE_FEATURES if name in named),
        tuple(name for name in INTENSITY_FEATURES if name in named),
        tuple(
            load_feature(word)
            for word in dict.fromkeys(words)
            if word not in built_in and word not in GROUPS
        ),
    )
    columns = ["fov", *BASIC_COLUMNS, *selection.columns]
    for column in columns:
        if columns.count(column) > 1:
            raise InputError(
                f"Expected features with names of their own, found several of the name {column!r}; "
                "give your function another name."
            )
    return selection
