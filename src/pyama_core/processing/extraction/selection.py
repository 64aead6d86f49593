"""Which features are measured, as words of the configuration choose them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from pyama_core.errors import InputError
from pyama_core.processing.extraction.custom import CustomFeature, load_feature
from pyama_core.processing.extraction.feature_names import (
    BUILT_IN,
    COMPARTMENT_INTENSITIES,
    COMPARTMENT_SHAPES,
    GROUPS,
    INTENSITY_FEATURES,
    SHAPE_FEATURES,
    are_of_compartments,
    names_of,
)

ALGORITHM = "features/5"
ALGORITHM_OF_COMPARTMENTS = f"{ALGORITHM}.1"
"""Where nuclei and rings are measured, which has versions of its own."""

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
    compartment_shapes: tuple[str, ...] = ()
    compartment_intensities: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of their columns."""
        return (
            *self.shapes,
            *self.compartment_shapes,
            *self.intensities,
            *self.compartment_intensities,
            *(feature.column for feature in self.custom),
        )

    @property
    def has_compartments(self) -> bool:
        """Whether nuclei are needed."""
        return bool(self.compartment_shapes or self.compartment_intensities)


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
    named = names_of(words)
    if are_of_compartments(words):
        named.add("n_nuclei")  # without which the other columns, and verdicts, say little
    if any(name.endswith("_ring") for name in named):
        named.add("area_ring")  # which tells where there is none, and which are small
    selection = Selection(
        tuple(name for name in SHAPE_FEATURES if name in named),
        tuple(name for name in INTENSITY_FEATURES if name in named),
        tuple(
            load_feature(word)
            for word in dict.fromkeys(words)
            if word not in BUILT_IN and word not in GROUPS
        ),
        tuple(name for name in COMPARTMENT_SHAPES if name in named),
        tuple(name for name in COMPARTMENT_INTENSITIES if name in named),
    )
    columns = ["fov", *BASIC_COLUMNS, *selection.columns]
    for column in columns:
        if columns.count(column) > 1:
            raise InputError(
                f"Expected features with names of their own, found several of the name {column!r}; "
                "give your function another name."
            )
    return selection
