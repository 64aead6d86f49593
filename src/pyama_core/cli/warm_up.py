"""`pyama warm-up`."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from itertools import product
from typing import Any, Self

from pyama_core.cli.streams import echo
from pyama_core.errors import InputError
from pyama_core.processing.segmentation.segmenter import find_segmentation
from pyama_core.processing.tracking.tracker import find_tracking
from pyama_core.processing.workflow.pool import WorkerPool
from pyama_core.processing.workflow.services.analysis import parse_analysis
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from pyama_core.processing.workflow.warm_up import (
    WarmUps,
    all_warm_ups,
    place_of_compiled_code,
    warm_ups,
)

logger = logging.getLogger(__name__)

_SEGMENTATIONS = ("instances", "bright")
_TRACKINGS = ("lineage",)
_PIXELS = ("uint8", "uint16", "float32", "int16", "int32", "uint32", "float64")
_WITH_NUCLEI = {"features": ["shape", "intensity", "compartments"]}


@dataclass(frozen=True)
class Wanted:
    """For what runs kernels are compiled.

    Attributes
    ----------
    segmentations, trackings : tuple of str
        Names of methods.
    pixels : tuple of str
        Types of pixels.
    nuclei : bool
        Whether nuclei are found and measured apart.
    """

    segmentations: tuple[str, ...] = _SEGMENTATIONS
    trackings: tuple[str, ...] = _TRACKINGS
    pixels: tuple[str, ...] = ("uint16",)
    nuclei: bool = False

    @classmethod
    def of(
        cls,
        segmentations: Sequence[str] | None,
        trackings: Sequence[str] | None,
        pixels: Sequence[str] | None,
        *,
        nuclei: bool = False,
    ) -> Self:
        """Take what was typed, and the defaults in place of what was not.

        Raises
        ------
        InputError
            There is no such method or type.
        """
        for name in segmentations or ():
            find_segmentation(name)
        for name in trackings or ():
            find_tracking(name)
        for name in pixels or ():
            if name not in _PIXELS:
                known = ", ".join(_PIXELS)
                raise InputError(f"--pixels: there is no type {name!r} of pixels; known: {known}")
        return cls(
            tuple(segmentations or cls.segmentations),
            tuple(trackings or cls.trackings),
            tuple(pixels or cls.pixels),
            nuclei,
        )

    def calls(self) -> WarmUps:
        """Return what compiles all this."""
        channels = Channels(pc=0, fl=[1], nuclei=2 if self.nuclei else None)
        found = []
        for segmentation, tracking, dtype in product(
            self.segmentations, self.trackings, self.pixels
        ):
            params: dict[str, dict[str, Any]] = {
                "segmentation": {"method": segmentation},
                "tracking": {"method": tracking},
                "extraction": _WITH_NUCLEI if self.nuclei else {},
            }
            analysis = parse_analysis(ProcessingContext(channels=channels, params=params))
            found.append(warm_ups(analysis, dtype))
        return all_warm_ups(found)


def compile_now(wanted: Wanted, n_workers: int | None) -> int:
    """Compile, and say where the code is kept; 1 if it is kept nowhere."""
    began = time.monotonic()
    calls = wanted.calls()
    cores = n_workers or os.cpu_count() or 1
    with WorkerPool(min(cores, len(calls.shared)), logger.getEffectiveLevel()) as pool:
        waiting = [pool.submit(call) for call in calls.shared]
        for n_made, future in enumerate(as_completed(waiting), 1):
            future.result()
            logger.info("kernels: %d of %d parts ready", n_made, len(waiting))
        for call in calls.each:
            pool.submit(call).result()
        place = pool.submit(place_of_compiled_code).result()
    if place is None:
        raise InputError(
            "compiled code cannot be kept: neither the folder of this package nor a home folder "
            "can be written; set NUMBA_CACHE_DIR to a folder that can be"
        )
    echo(f"compiled in {time.monotonic() - began:.0f} s, and kept in {place}")
    return 0
