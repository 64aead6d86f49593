"""Which channels of an ND2 file were taken in a frame, and which only look so.

All channels of a frame lie in one chunk. NIS-Elements fills a channel that was not taken in a
frame, or not in that z plane, with zeros. A camera never measures those: its dark pixels have an
offset. A confocal microscope may, and dark planes of zeros are then real. So a channel that is
zero throughout a frame was not taken if it has images elsewhere in the file, and those are not
black over large areas themselves.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from pyama_core.io.readers.frame_source import Frame
from pyama_core.io.readers.nd2.chunks import ChunkError
from pyama_core.io.spread import spread

# Of how many frames some rows are looked at, and of how many all, before a channel counts as dark.
_GLANCES = 1024
_LOOKS = 32
# In how many of its images black areas are looked for.
_IMAGES = 8
_BLOCK = 16
_BLACK_SHARE = 0.1


class TakenChannels:
    """Tells what zeros throughout a frame mean, by a choice of frames that only the file decides.

    Nothing is read before the first question. Every process, and every order of reading, comes to
    the same answers.

    Parameters
    ----------
    places : (P, T, Z) int64 ndarray
        Place of each frame in the acquisition.
    written : (N,) int64 ndarray
        Places of the frames that the file has, in order.
    glance : callable
        Given a place, returns some rows of it, (Y, X, C).
    look : callable
        Given a place, yields all rows of it, some at a time.
    """

    def __init__(
        self,
        places: npt.NDArray[np.int64],
        written: npt.NDArray[np.int64],
        glance: Callable[[int], Frame],
        look: Callable[[int], Iterator[Frame]],
    ) -> None:
        self._places = places
        self._written = written
        self._glance = glance
        self._look = look
        self._images: dict[tuple[int, int], int | None] = {}
        self._black: dict[int, bool] = {}

    def is_absent(self, channel: int, z: int) -> bool:
        """Tell whether zeros throughout this z plane mean that the channel was not taken there.

        Where a channel has no image in a plane at all, only the other planes could tell.

        Raises
        ------
        OSError
            If the drive fails; nothing is concluded from that.
        """
        return self._image(channel, z) is not None and not self._is_black(channel)

    def is_absent_elsewhere(self, channel: int) -> bool:
        """Tell whether they mean so in any z plane of the channel."""
        return any(self.is_absent(channel, z) for z in range(self._places.shape[2]))

    def _image(self, channel: int, z: int) -> int | None:
        """Return the place of a frame in which the channel is not zero, None if there is none."""
        if (channel, z) not in self._images:
            self._images[channel, z] = self._find_image(channel, z)
        return self._images[channel, z]

    def _find_image(self, channel: int, z: int) -> int | None:
        n_z = self._places.shape[2]
        there = np.intersect1d(self._places[:, :, z], self._written)
        for place in there[spread(len(there), max(1, _GLANCES // n_z))].tolist():
            if self._plane(place, channel, glance=True).any():
                return int(place)
        for place in there[spread(len(there), max(1, _LOOKS // n_z))].tolist():
            if self._plane(place, channel).any():
                return int(place)
        return None

    def _is_black(self, channel: int) -> bool:
        """Tell whether a good part of the images of a channel is black."""
        if channel not in self._black:
            found = [self._image(channel, z) for z in range(self._places.shape[2])]
            images = [place for place in found if place is not None]
            there = np.intersect1d(self._places, self._written)
            places = [images[i] for i in spread(len(images), _IMAGES)]
            places += there[spread(len(there), _IMAGES)].tolist()
            planes = (self._plane(place, channel) for place in dict.fromkeys(places))
            shares = [_black_share(plane) for plane in planes if plane.any()]
            self._black[channel] = bool(np.mean(shares) >= _BLACK_SHARE)
        return self._black[channel]

    def _plane(self, place: int, channel: int, *, glance: bool = False) -> Frame:
        """Return one channel of a frame or of some of its rows; of a damaged one nothing."""
        try:
            parts = [self._glance(place)] if glance else self._look(place)
            return np.concatenate([part[:, :, channel] for part in parts])
        except (ChunkError, zlib.error):
            return np.zeros((0, 0), np.uint8)


def _black_share(plane: Frame) -> float:
    """Return which part of the blocks of an image is zero throughout."""
    height, width = (min(_BLOCK, n) for n in plane.shape)
    n_y, n_x = plane.shape[0] // height, plane.shape[1] // width
    blocks = plane[: n_y * height, : n_x * width].reshape(n_y, height, n_x, width)
    return float(np.mean(~blocks.any(axis=(1, 3))))
