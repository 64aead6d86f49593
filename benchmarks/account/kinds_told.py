"""What channels are taken for: each channel of each series, whole, and in many views of a part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from benchmarks.account.image_sets import DATA, Frames
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.readers.phase_contrast import is_fluorescence
from pyama_core.processing.segmentation.picture.kind import Picture, PictureKind, judge_picture
from pyama_core.processing.segmentation.picture.measuring import measure_contrast

BRIGHT, DARK, BOTH, UNSURE = (
    PictureKind.BRIGHT,
    PictureKind.DARK,
    PictureKind.ADHERENT,
    PictureKind.UNSURE,
)

OF_EACH_SERIES: Mapping[str, Mapping[int, PictureKind]] = {
    "hela/images.tif": {0: BRIGHT},
    "il1b/testimages1": {0: BRIGHT, 1: BRIGHT, 2: BRIGHT},
    "il1b/testimages2": {0: BRIGHT, 1: BRIGHT, 2: BRIGHT},
    "incucyte": {0: BRIGHT, 1: BOTH, 2: BRIGHT},
    "nanog": {0: BRIGHT},
    "t98g/raw": {0: BOTH},
    "trpl/trpL_150310-11_img.tif": {0: BOTH},
    "nuclei/image.tif": {0: BRIGHT},
    "nd2/example-cerevisiae.nd2": {0: BOTH, 1: BRIGHT},
    "nd2/example-multichannel.nd2": {0: BOTH, 1: BRIGHT, 2: BRIGHT, 3: BRIGHT},
    # Rings and holes of fluorescence are neither of the kinds.
    "nd2/example-pbmc.nd2": {0: BOTH, 1: DARK, 2: UNSURE, 3: BRIGHT},
    "nd2/example-timelapse.nd2": {0: BRIGHT},
    "nd2/example-zstack.nd2": {0: UNSURE},
    "nd2/cluster.nd2": {0: UNSURE, 1: UNSURE},
    "czi/Airyscan.czi": {0: BRIGHT, 1: BRIGHT},
    "czi/CellDivision_T3_Z5_CH2_X240_Y170.czi": {0: BRIGHT, 1: BRIGHT},
    "czi/S3_1Pos_2Mosaic_T2_Z3_CH2_sm.czi": {0: BRIGHT, 1: BRIGHT},
    "czi/WellD6-7_S2.czi": {0: UNSURE},
}
"""What each channel shows, by eye."""

LEAST_SIDE = 64
"""In pixels: of smaller frames no parts are looked at."""


@dataclass(frozen=True)
class Told:
    """What views of a series were taken for.

    Attributes
    ----------
    place : str
        The series.
    n_channels, n_views : int
        Its channels, and how many views there were of all.
    n_right : int
        Views that were taken for what the channel shows.
    wrong : list of str
        Views that were taken, without a doubt, for something else.
    """

    place: str
    n_channels: int
    n_views: int
    n_right: int
    wrong: list[str]


def options_of(place: str) -> dict[str, Any]:
    """Return what is to be said when the file of a series is opened."""
    if place.startswith(("hela", "trpl")):
        return {"axes": "TYX"}
    return {"axes": "YX"} if place.startswith("nuclei") else {}


def judged(frames: Frames, *, dyed: bool = False) -> Picture:
    """Tell what frames show, as a run does."""
    return judge_picture([measure_contrast(frame) for frame in frames], is_fluorescence=dyed)


def views_told(place: str) -> Told:
    """Judge all views of all channels of a series."""
    expected, n_views, n_right, wrong = OF_EACH_SERIES[place], 0, 0, list[str]()
    for dyed, channel, frames in channels_of(place):
        shown = expected[channel]
        fits = {shown} | ({DARK} if place.startswith("trpl") else set())  # bacteria are dark, too
        for part, views in views_of(frames):
            found = judged(views, dyed=dyed).kind
            n_views += 1
            n_right += found in fits - {UNSURE}
            if found not in fits | {UNSURE}:
                wrong.append(f"channel {channel}, {part}: {found}")
    return Told(place, len(expected), n_views, n_right, wrong)


def channels_of(place: str) -> Iterator[tuple[bool, int, Frames]]:
    """Yield whether a channel is fluorescence by its name, its number, and three of its frames."""
    source, metadata = load_microscopy_file(DATA / place, **options_of(place))
    with source:
        for channel, name in enumerate(metadata.channel_names):
            times = sorted({0, metadata.n_frames // 2, metadata.n_frames - 1})
            emission = metadata.emission_nm[channel] if metadata.emission_nm else None
            dyed = is_fluorescence(name, emission)
            yield dyed, channel, [source.read_frame(0, channel, t).copy() for t in times]


def views_of(frames: Frames) -> Iterator[tuple[str, Frames]]:
    """Yield frames, and what shows the same: other sizes, halves and quarters, 8 bit, cut off."""
    yield "whole", frames
    if min(frames[0].shape) < LEAST_SIDE:
        return
    for factor in (0.5, 2.0):
        resized = [
            np.asarray(
                cv2.resize(f.astype(np.float32), None, fx=factor, fy=factor, interpolation=3)
            )
            for f in frames
        ]
        yield f"{factor} times the size", [frame[:900, :900] for frame in resized]
    height, width = frames[0].shape
    for n in (2, 4):
        for y in range(0, height - height // n + 1, height // n):
            for x in range(0, width - width // n + 1, width // n):
                cut = np.s_[y : y + height // n, x : x + width // n]
                yield f"{n}: {cut}", [frame[cut] for frame in frames]
    low, high = min(frame.min() for frame in frames), max(frame.max() for frame in frames)
    scale = 255.0 / (float(high) - float(low))
    yield "8 bit", [((frame - float(low)) * scale).astype(np.uint8) for frame in frames]
    yield "saturated", [np.minimum(frame, np.percentile(frame, 97)) for frame in frames]
