"""Which image of a folder is which plane."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyama_core.errors import InputError
from pyama_core.io.readers.frame_source import MAX_PLANES, Numbering
from pyama_core.io.readers.image_folder.frame_numbers import FrameAxis, arrange_frames
from pyama_core.io.readers.image_folder.listing import Listing
from pyama_core.io.readers.image_folder.patterns import FilePattern, ImageName, natural_order

_SHOWN = 3


@dataclass(frozen=True)
class ImageGrid:
    """Where each image of a folder belongs.

    Attributes
    ----------
    pattern : FilePattern
        How the images are named.
    fovs, channels, planes : tuple of str
        The values of each field, in order.
    frames : FrameAxis
        The frames that the times in names stand for.
    files : (P, T, C, Z) int64 ndarray
        Which of `names` is the image of each plane, −1 where there is none.
    names : list of str
        Paths of the images, below the folder.
    ignored : tuple of str
        Images that are not named so.
    experiments : tuple of str
        Parts of names that should be the same in all.
    """

    pattern: FilePattern
    fovs: tuple[str, ...]
    channels: tuple[str, ...]
    planes: tuple[str, ...]
    frames: FrameAxis
    files: npt.NDArray[np.int64]
    names: list[str]
    ignored: tuple[str, ...]
    experiments: tuple[str, ...]

    def describe(self, place: Iterable[int]) -> str:
        """Name a plane (FOV, frame, channel, z) in the words of the images' names."""
        fov, time, channel, z = place
        name = ImageName(
            self.fovs[fov], self.channels[channel], self.frames.names[time], self.planes[z]
        )
        return str(name)


def arrange_images(listing: Listing, pattern: FilePattern, numbering: Numbering) -> ImageGrid:
    """Put the images of a folder where their names say.

    Raises
    ------
    InputError
        If two are the same plane, or their times are not understood.
    """
    path = listing.folder
    named = [(image, n) for image in listing.images if (n := pattern.parse(image)) is not None]
    fovs = natural_order(name.fov for _, name in named)
    channels = natural_order(name.channel for _, name in named)
    planes = natural_order(name.z for _, name in named)
    times = {name.time for _, name in named}
    frames = arrange_frames(path, times, numbering, pattern.unit, pattern.title)
    shape = len(fovs), len(frames.names), len(channels), len(planes)
    if math.prod(shape) > MAX_PLANES:
        raise InputError(
            f"{path}: by their names the images are of {shape[0]} FOVs × {shape[1]} frames × "
            f"{shape[2]} channels × {shape[3]} z planes, more than any data set has; say what else "
            "the numbers are, with {*} or {time:ms} in --pattern, or --numbering order."
        )
    files = np.full(shape, -1, np.int64)
    fov_of, channel_of, plane_of = (
        {value: i for i, value in enumerate(axis)} for axis in (fovs, channels, planes)
    )
    for index, (_, name) in enumerate(named):
        # Numbers of frames are compared by value: t1 and t01 are the same.
        time = frames.frame_of[name.time]
        at = fov_of[name.fov], time, channel_of[name.channel], plane_of[name.z]
        if files[at] >= 0:
            raise _same_plane(listing, named, int(files[at]), index)
        files[at] = index
    taken = {image for image, _ in named}
    return ImageGrid(
        pattern,
        tuple(fovs),
        tuple(channels),
        tuple(planes),
        frames,
        files,
        [image for image, _ in named],
        tuple(image for image in listing.images if image not in taken),
        tuple(natural_order(name.experiment for _, name in named)),
    )


def _same_plane(
    listing: Listing, named: Sequence[tuple[str, ImageName]], before: int, after: int
) -> InputError:
    experiments = natural_order(name.experiment for _, name in named)
    which = (
        f"; it holds several experiments ({', '.join(experiments[:_SHOWN])})"
        if len(experiments) > 1
        else ""
    )
    return InputError(
        f"{listing.folder}: {named[before][0]} and {named[after][0]} are the same plane by their "
        f"names{which}; say what tells them apart, as in --pattern "
        '"{fov}_{channel}_{time}.tif", or move one of them away.'
    )


def explain(grid: ImageGrid) -> Iterator[str]:
    """Show how the names were understood, by one example."""
    name = grid.names[0]
    parsed = grid.pattern.parse(name)
    assert parsed is not None
    yield f"names are read as {grid.pattern.title}: {name} is {parsed}"
    yield from grid.frames.notes


def grid_warnings(grid: ImageGrid) -> Iterator[str]:
    """Say what is missing, and what may have been understood otherwise than it was meant."""
    yield from grid.frames.warnings
    missing = grid.files < 0
    # Frames without any image have a warning of their own.
    missing &= ~missing.all(axis=(0, 2, 3), keepdims=True)
    places = np.argwhere(missing)
    if len(places):
        shown = "; ".join(grid.describe(place) for place in places[:_SHOWN].tolist())
        more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
        yield f"{len(places)} of {grid.files.size} images are not there: {shown}{more}"
    per_frame = (grid.files >= 0).sum(axis=(0, 2, 3))
    if len(per_frame) > 1 and per_frame.max() == 1 and grid.files.size > grid.files.shape[1]:
        yield (
            "no two images have the same time by their names, although there are several FOVs "
            "or channels; do the numbers count images rather than frames?"
        )
    z_numbers = [int(z) for z in grid.planes if z.isdigit()]
    if z_numbers and len(z_numbers) <= z_numbers[-1] - z_numbers[0]:
        yield (
            f"numbers of z planes jump ({', '.join(grid.planes[:5])}); z planes are counted in "
            "this order, from 0"
        )
    if len(grid.experiments) > 1:
        shown = ", ".join(repr(name) for name in grid.experiments[:_SHOWN])
        yield f"names begin in different ways ({shown}), and are read as one data set"
    if grid.ignored:
        yield f"{len(grid.ignored)} images are named otherwise and ignored, first {grid.ignored[0]}"
