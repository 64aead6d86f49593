"""Outlines of what is found, over images of each kind: the pictures of docs/ACCURACY.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.account.finding import prepared
from benchmarks.account.image_sets import (
    BACTERIA,
    BRIGHT_CELLS,
    NUCLEI,
    SETS,
    Image,
    ImageSet,
    Loaded,
)
from benchmarks.accuracy_pictures import outlined
from pyama_core.demo.experiment import watch
from pyama_core.demo.kinds import DemoKind
from pyama_core.demo.parameters import DemoParameters

_SIDE = 330
_GAP = 4
_DEMO_FRAME, _DEMO_SEED = 20, 2


def write_pictures(folder: Path) -> list[Path]:
    """Draw all that there are images for; return the files."""
    groups: dict[str, list[Loaded]] = {}
    for about in SETS:
        if about.is_there:
            groups.setdefault(_group(about), []).append(about.load())
    groups["demo"] = [_demo(kind) for kind in DemoKind]
    written = []
    for name, some in groups.items():
        path = folder / f"accuracy_{name}.jpg"
        panels = [panels_of(loaded, loaded.about.methods[-1:]) for loaded in some]
        written.append(_write(path, np.hstack([np.vstack(each) for each in panels])))
        for loaded, each in zip(some, panels, strict=True):
            if loaded.about.name == "incucyte P":  # which the tutorial of real images shows alone
                written.append(_write(folder / "accuracy_incucyte.jpg", np.hstack(each)))
    return written


def _write(path: Path, picture: NDArray[np.uint8]) -> Path:
    trimmed = picture[:-_GAP, :-_GAP]
    cv2.imencode(".jpg", trimmed, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tofile(path)
    return path


def _group(about: ImageSet) -> str:
    """Return the picture that a set is shown in."""
    names = {NUCLEI: "nuclei", BRIGHT_CELLS: "bright_cells"}
    return names.get(about.kind, "phase_contrast")


def _demo(kind: DemoKind) -> Loaded:
    """Make the frames of a demo that its segmentation is prepared with, and one to show."""
    bright = kind in (DemoKind.NUCLEI, DemoKind.CELLS)
    about = ImageSet(
        f"demo: {kind}",
        BACTERIA if kind is DemoKind.BACTERIA else NUCLEI,
        "bright" if bright else "instances",
        "",
        crop=(100, 100, _SIDE),
    )
    movie = watch(DemoParameters(1, 2 * _DEMO_FRAME, 512, _DEMO_SEED, kind), 0)
    planes = [frame.planes[0] for frame in movie.frames()]
    return Loaded(about, [planes[0], planes[_DEMO_FRAME], planes[-1]])


def panels_of(loaded: Loaded, before: Sequence[str] = ()) -> list[NDArray[np.uint8]]:
    """Return a crop of the middle frame, and what methods find there, the own one last."""
    frame = loaded.frames[len(loaded.frames) // 2]
    top, left, side = loaded.about.crop
    crop = slice(top, top + side), slice(left, left + side)
    low, high = np.percentile(frame[crop], (0.3, 99.7))
    grey = np.clip((frame[crop] - low) / max(high - low, 1) * 255, 0, 255).astype(np.uint8)
    methods = [*before, loaded.about.method]
    found: Mapping[str, Image] = {m: prepared(m, loaded).segment(frame)[crop] for m in methods}
    plain = _panel(grey, np.zeros(grey.shape, np.uint8), loaded.about.name)
    return [plain, *(_panel(grey, labels, method) for method, labels in found.items())]


def _panel(grey: NDArray[np.uint8], labels: NDArray[Any], words: str) -> NDArray[np.uint8]:
    """Return a crop in the size that all have, with outlines and a caption."""
    factor = _SIDE / max(grey.shape)
    size = (round(grey.shape[1] * factor), round(grey.shape[0] * factor))
    large = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    whole = labels.astype(np.float32)  # exact up to sixteen millions
    lines = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_NEAREST), np.int64)
    image = outlined(large, lines)
    for thickness, colour in ((3, (0, 0, 0)), (1, (255, 255, 255))):
        cv2.putText(image, words, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thickness,
                    cv2.LINE_AA)  # fmt: skip
    return np.pad(image, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=255)
