"""Names of the features, apart from what computes them: parameters are checked against these."""

from __future__ import annotations

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

GROUPS = {
    "shape": SHAPE_FEATURES,
    # Not the local background: finding it takes as long as all others together.
    "intensity": tuple(name for name in INTENSITY_FEATURES if name != "background_local"),
}
"""Words that stand for several features."""
