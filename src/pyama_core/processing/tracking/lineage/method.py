"""The tracking of lineages as the pipeline knows it: parameters and version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self

from pydantic import Field, NonNegativeInt

from pyama_core.errors import InputError
from pyama_core.processing.parameters import MethodParameters
from pyama_core.processing.plugins import Imported
from pyama_core.processing.tracking.tracker import Image, TrackingMethod

ALGORITHM = "lineage/14"


class LineageParameters(MethodParameters):
    """Parameters of the tracking of lineages."""

    method: Literal["lineage"] = Field("lineage", description="name of the tracking")
    min_iou: float = Field(
        0.1,
        gt=0,
        le=1,
        description="objects may be the same cell from this intersection over union on",
    )
    max_displacement: float = Field(
        3.0,
        ge=0,
        allow_inf_nan=False,
        description="how far a cell can go at most between two frames, in diameters of the "
        "disc of its area; for cells so fast that their masks do not overlap",
    )
    max_gap: int = Field(
        2, ge=0, description="a cell that is missed in up to so many frames keeps its number"
    )
    split_merged: bool = Field(
        True, description="divide an object among the cells that have merged into it"
    )
    max_broken: int = Field(
        3,
        ge=0,
        description="what breaks off a cell and is one with it again after up to so many frames is "
        "put together with it all the time; after more, if it never came apart and alternatives is "
        "'auto'",
    )
    alternatives: Literal["auto", "off"] = Field(
        "auto",
        description="what to take an object for where other frames tell otherwise than its own: "
        "'auto' puts pieces of a cell together (unless max_broken is 0) and cuts what is several "
        "(unless split_merged is false); 'off' leaves all objects as they were segmented",
    )
    divisions: bool = Field(True, description="look for cells that divide")
    brightness_channel: NonNegativeInt | str | None = Field(
        None,
        description="fluorescence channel, by name or number, whose brightness daughters share as "
        "they do their mother's area; empty: the area alone is looked at",
    )
    conservation: float = Field(
        0.5,
        gt=0,
        le=1,
        description="by what fraction the area and brightness of two daughters together may "
        "differ from their mother's; farther beyond, a division becomes improbable",
    )
    correct_drift: bool = Field(
        True, description="remove movements of the whole FOV before cells are matched"
    )
    border: int = Field(
        10,
        ge=0,
        description="a cell last seen within so many pixels of the edge has left the frame",
    )

    def with_channels(self, number_of: Callable[[int | str, str], int]) -> Self:
        """Return these parameters with the number of the channel in the place of its name."""
        channel = self.brightness_channel
        if not isinstance(channel, str):
            return self
        number = number_of(channel, "tracking.brightness_channel")
        return self.model_copy(update={"brightness_channel": number})

    def brightness_image(self) -> int | None:
        """Return the channel whose corrected images the tracker is to be given, if any.

        Raises
        ------
        InputError
            It has a name in its place still; only the source file can tell its number.
        """
        channel = self.brightness_channel if self.divisions else None
        if isinstance(channel, str):
            raise InputError(f"brightness_channel: expected a number, found the name {channel!r}")
        return channel

    def looks_at_borders(self) -> bool:
        """Return whether borders of cells are measured where they are found, as in phase contrast.

        A tracker is given one image: with a channel of brightness it is that.
        """
        has_brightness = self.divisions and self.brightness_channel is not None
        return self.alternatives == "auto" and self.max_broken > 0 and not has_brightness

    def image(self) -> Image:
        """Return which image the tracker is to be given; errors as `brightness_image`."""
        return "phase" if self.looks_at_borders() else self.brightness_image()


def tracking_method() -> TrackingMethod:
    """Describe the method."""
    return TrackingMethod(
        LineageParameters,
        ALGORITHM,
        Imported("pyama_core.processing.tracking.lineage.tracker:LineageTracker"),
        LineageParameters.image,
        compiled=True,
    )
