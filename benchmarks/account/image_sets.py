"""The images of the account: where they lie, what is in them, and how they are run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]
Frames = list[Image]

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
ADHERENT, NUCLEI, BRIGHT_CELLS, BACTERIA = "adherent", "nuclei", "bright cells", "bacteria"


@dataclass(frozen=True)
class ImageSet:
    """Images of one channel.

    Attributes
    ----------
    name : str
        As the account names it.
    kind : str
        What it shows.
    method : str
        The segmentation that is for it: the default with ``--pc``, else what ``auto`` takes.
    source : str
        File or folder in `DATA`.
    channel : int
        Number of the channel.
    axes : str
        Order of the axes, where the file does not tell.
    labels : str
        Pattern of the files with labels; empty where there are none.
    nuclei : int or None
        The channel of the same source that shows the nuclei of these cells.
    crop : tuple of int
        Top, left and side of what is shown of it, in the middle frame.
    beside : tuple of str
        Other methods to measure.
    """

    name: str
    kind: str
    method: str
    source: str
    channel: int = 0
    axes: str = ""
    labels: str = ""
    nuclei: int | None = None
    crop: tuple[int, int, int] = (0, 0, 400)
    beside: tuple[str, ...] = ("log-std",)

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods that are measured, its own first."""
        return (self.method, *self.beside)

    @property
    def options(self) -> Mapping[str, Any]:
        """What is to be said when its file is opened."""
        return {"axes": self.axes} if self.axes else {}

    @property
    def is_there(self) -> bool:
        """Whether the images are on this machine."""
        return (DATA / self.source).exists()

    def load(self) -> Loaded:
        """Read its frames and labels."""
        frames = self._channel(self.channel)
        nuclei = [] if self.nuclei is None else self._channel(self.nuclei)
        return Loaded(self, frames, _read_labels(self.labels) if self.labels else [], nuclei)

    def _channel(self, channel: int) -> Frames:
        from pyama_core.io.microscopy import load_microscopy_file

        source, metadata = load_microscopy_file(DATA / self.source, **self.options)
        with source:
            there = range(metadata.n_frames)
            return [source.read_frame(0, channel, t).copy() for t in there]


@dataclass(frozen=True)
class Loaded:
    """Images of one channel, in memory.

    Attributes
    ----------
    about : ImageSet
        What they are.
    frames, truth, nuclei : list of (Y, X) arrays
        Images; labels, if there are any; the channel of nuclei, if there is one.
    """

    about: ImageSet
    frames: Frames
    truth: Frames = field(default_factory=list)
    nuclei: Frames = field(default_factory=list)

    @cached_property
    def some(self) -> Frames:
        """The first, middle and last frame: what a run prepares a segmentation with."""
        there = sorted({0, (len(self.frames) - 1) // 2, len(self.frames) - 1})
        return [self.frames[i] for i in there]


def _read_labels(pattern: str) -> Frames:
    import cv2
    import tifffile

    paths = sorted(DATA.glob(pattern))
    if paths and paths[0].suffix == ".png":
        return [np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) for path in paths]
    labels = tifffile.imread(paths[0])
    return [labels] if labels.ndim == 2 else list(labels)


SETS = (
    ImageSet("t98g", ADHERENT, "instances", "t98g/raw", labels="t98g/masks/*.png",
             crop=(300, 380, 420)),
    ImageSet("incucyte P", ADHERENT, "instances", "incucyte", 1, nuclei=2, crop=(300, 700, 420)),
    ImageSet("pbmc", ADHERENT, "instances", "nd2/example-pbmc.nd2", crop=(0, 0, 256)),
    ImageSet("trpl", BACTERIA, "instances", "trpl/trpL_150310-11_img.tif", axes="TYX",
             labels="trpl/*_mask.tif", crop=(190, 130, 330)),
    ImageSet("nuclei", NUCLEI, "bright", "nuclei/image.tif", axes="YX", labels="nuclei/mask.tif",
             crop=(60, 60, 400), beside=("seeds", "log-std")),
    ImageSet("hela", NUCLEI, "bright", "hela/images.tif", axes="TYX",
             labels="hela/labels_of_another_program.tif", crop=(100, 300, 400),
             beside=("seeds", "log-std")),
    ImageSet("il1b DAPI", NUCLEI, "bright", "il1b/testimages1", crop=(50, 50, 400),
             beside=("seeds", "log-std")),
    ImageSet("nanog", NUCLEI, "bright", "nanog", crop=(300, 500, 400), beside=("seeds", "log-std")),
    ImageSet("incucyte R", NUCLEI, "bright", "incucyte", 2, crop=(300, 700, 400),
             beside=("seeds", "log-std")),
    ImageSet("incucyte G", BRIGHT_CELLS, "bright", "incucyte", 0, nuclei=2, crop=(300, 700, 400),
             beside=("instances", "log-std")),
    ImageSet("il1b YFP", BRIGHT_CELLS, "bright", "il1b/testimages1", 2, nuclei=0,
             crop=(50, 50, 400), beside=("instances", "log-std")),
)  # fmt: skip


def set_named(name: str) -> ImageSet:
    """Return the images of a name."""
    return next(each for each in SETS if each.name == name)
