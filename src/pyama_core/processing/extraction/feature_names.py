"""Names of the features, apart from what computes them: parameters are checked against these."""

from __future__ import annotations

from collections.abc import Iterable

SHAPE_FEATURES = (
    "perimeter",
    "box_top",
    "box_left",
    "box_bottom",
    "box_right",
    "eccentricity",
    "solidity",
    "orientation",
)

INTENSITY_FEATURES = (
    "intensity_mean",
    "intensity_median",
    "intensity_std",
    "intensity_min",
    "intensity_max",
    "intensity_p5",
    "intensity_p95",
    "background_local",
)

SATURATED_PART = "saturated_part"
"""Measured of itself, and only in channels that are cut off at the camera's ceiling."""

NUCLEAR_SHAPES = ("area", "perimeter", "eccentricity", "solidity", "orientation")
"""What of the shape of a nucleus can be measured."""

COMPARTMENT_SHAPES = (
    "n_nuclei",
    *(f"{name}_nucleus" for name in NUCLEAR_SHAPES),
    "area_ring",
)
"""Of nuclei and the rings around them; the same in all channels."""

IN_COMPARTMENTS = (
    "intensity_total",
    *(name for name in INTENSITY_FEATURES if name != "background_local"),
)
"""What of the intensity in a nucleus, and in the ring around it, can be measured."""

COMPARTMENT_INTENSITIES = (
    *(f"{name}_nucleus" for name in IN_COMPARTMENTS),
    *(f"{name}_ring" for name in IN_COMPARTMENTS),
    "ratio_nucleus_ring",
)

GROUPS = {
    "shape": SHAPE_FEATURES,
    # Not the local background: finding it takes as long as all others together.
    "intensity": tuple(name for name in INTENSITY_FEATURES if name != "background_local"),
    "compartments": (
        "n_nuclei",
        "area_nucleus",
        "area_ring",
        "intensity_mean_nucleus",
        "intensity_mean_ring",
        "ratio_nucleus_ring",
    ),
}
"""Words that stand for several features."""

BUILT_IN = (
    *SHAPE_FEATURES,
    *COMPARTMENT_SHAPES,
    *INTENSITY_FEATURES,
    *COMPARTMENT_INTENSITIES,
)
"""All features by name, in the order of their columns."""


def names_of(words: Iterable[str]) -> set[str]:
    """Return the names that words of a configuration stand for.

    Examples
    --------
    >>> sorted(names_of(["intensity_min", "module:own"]))
    ['intensity_min', 'module:own']
    """
    return {name for word in words for name in GROUPS.get(word, (word,))}


def are_of_compartments(words: Iterable[str]) -> bool:
    """Whether some of the features need nuclei.

    Examples
    --------
    >>> are_of_compartments(["shape"]), are_of_compartments(["area_ring"])
    (False, True)
    """
    return not names_of(words).isdisjoint((*COMPARTMENT_SHAPES, *COMPARTMENT_INTENSITIES))
