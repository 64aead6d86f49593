"""Methods are found by their names: built in, or brought by installed packages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from inline import run_inline
from pyama_core.demo import DemoFiles
from pyama_core.errors import InputError
from pyama_core.io.storage.records import load_record
from pyama_core.processing import plugins
from pyama_core.processing.background import corrector
from pyama_core.processing.background.corrector import CorrectionMethod, find_correction
from pyama_core.processing.segmentation import segmenter
from pyama_core.processing.segmentation.segmenter import (
    Calibration,
    SegmentationMethod,
    find_segmentation,
)
from pyama_core.processing.tracking import tracker
from pyama_core.processing.tracking.iou.method import IoUParameters
from pyama_core.processing.tracking.tracker import TrackingMethod, find_tracking
from pyama_core.processing.workflow.services.parameters import validate_params
from runs import describe, new_context


class LeastParameters(BaseModel):
    """Parameters of a correction that subtracts the darkest pixel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["least"] = "least"
    more: float = 0.0
    size: float | Literal["auto"] = "auto"

    def of_size(self, diameter: float | None) -> LeastParameters:
        return self.model_copy(update={"size": diameter or 1.0}) if self.size == "auto" else self


class LeastCorrector:
    """Frames with pixels above 60,000 show no background."""

    def __init__(self, parameters: LeastParameters, shape: tuple[int, int]) -> None:
        self.more, self.shape = parameters.more, shape

    def estimate(self, frame: NDArray[Any], mask: NDArray[Any]) -> float | None:
        assert frame.shape == mask.shape == self.shape
        return float(frame.min()) + self.more

    def correct(self, frame: NDArray[Any], estimate: float) -> NDArray[np.float32]:
        return (frame - estimate).astype(np.float32)


class BrightSegmenter:
    """Whatever is brighter than the first frame's mean is a cell of seven pixels."""

    def __init__(self) -> None:
        self.level = 0.0

    def prepare(self, frames: list[NDArray[Any]]) -> Calibration:
        self.level = float(frames[0].mean())
        return Calibration(7.2)

    def segment(self, frame: NDArray[Any], nuclei: NDArray[Any] | None = None) -> NDArray[np.bool_]:
        return np.asarray(frame > self.level)


class BrightParameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["brightest"] = "brightest"


SEGMENTATION = SegmentationMethod(BrightParameters, "brightest/1", lambda *_: BrightSegmenter())
CORRECTION = CorrectionMethod(
    LeastParameters, "least/1", LeastCorrector, LeastParameters.of_size, ("size",)
)
TRACKING = TrackingMethod(IoUParameters, "mine/1", find_tracking("iou").create)
SOMETHING_ELSE = object()


@dataclass(frozen=True)
class Registry:
    """A kind of method, how it is found, and what a package might bring."""

    kind: str
    find: Callable[[str], Any]
    built_in: dict[str, str]
    group: str
    brought: Any


REGISTRIES = [
    Registry(
        "segmentation",
        find_segmentation,
        segmenter._BUILT_IN,
        "pyama_core.segmenters",
        SEGMENTATION,
    ),
    Registry(
        "correction",
        find_correction,
        corrector._BUILT_IN,
        "pyama_core.corrections",
        CORRECTION,
    ),
    Registry("tracking", find_tracking, tracker._BUILT_IN, "pyama_core.trackers", TRACKING),
]
every_registry = pytest.mark.parametrize("registry", REGISTRIES, ids=lambda r: r.kind)


def bring(monkeypatch: pytest.MonkeyPatch, **named: tuple[str, str]) -> None:
    """Pretend that packages are installed whose entry points are (kind, attribute of this file)."""
    groups = {registry.kind: registry.group for registry in REGISTRIES}
    entries = [EntryPoint(name, value, groups[kind]) for name, (kind, value) in named.items()]
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: [e for e in entries if e.group == group]
    )


@every_registry
def test_built_in_methods_are_found_by_the_name_in_their_parameters(registry: Registry) -> None:
    for name in set(registry.built_in) - {"laptrack", "trackastra"}:
        method = registry.find(name)
        assert method.parameters.model_fields["method"].default == name
        assert method.algorithm.startswith(f"{name}/")


def test_what_describes_a_built_in_method_names_something_that_can_be_imported() -> None:
    methods = [
        registry.find(name)
        for registry in REGISTRIES
        for name in registry.built_in
        if name not in ("laptrack", "trackastra")
    ]
    imported = [m.create for m in methods if isinstance(m.create, plugins.Imported)]
    assert len(imported) >= 5
    for create in imported:
        module, _, attribute = create.name.partition(":")
        __import__(module)
        assert callable(getattr(sys.modules[module], attribute))


@every_registry
def test_an_unknown_method_is_refused_with_the_known_ones(registry: Registry) -> None:
    known = ", ".join(sorted(registry.built_in))
    with pytest.raises(InputError, match=rf"a {registry.kind} method out of {known}, found 'magi'"):
        registry.find("magi")


@every_registry
def test_a_package_brings_a_method(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(monkeypatch, mine=(registry.kind, f"{__name__}:{registry.kind.upper()}"))
    assert registry.find("mine") is registry.brought
    with pytest.raises(InputError, match=r"out of .*mine.*, found 'none'"):
        registry.find("none")


@every_registry
def test_a_package_cannot_replace_a_built_in_method(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = min(registry.built_in)
    bring(monkeypatch, **{name: (registry.kind, f"{__name__}:{registry.kind.upper()}")})
    if name != "laptrack":
        assert registry.find(name).algorithm.startswith(f"{name}/")


@every_registry
@pytest.mark.parametrize("value", ["absent_package:x", f"{__name__}:absent"])
def test_a_method_that_cannot_be_imported_is_named(
    registry: Registry, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(monkeypatch, broken=(registry.kind, value))
    with pytest.raises(InputError, match=rf"the {registry.kind} broken in .* cannot be imported"):
        registry.find("broken")


@every_registry
def test_something_else_than_a_method_is_refused(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(monkeypatch, odd=(registry.kind, f"{__name__}:SOMETHING_ELSE"))
    with pytest.raises(InputError, match=rf"as the {registry.kind} odd, found .* of type object"):
        registry.find("odd")


def test_built_in_methods_are_found_without_a_look_at_the_installed_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def entry_points(group: str) -> None:  # takes milliseconds, and a run asks a hundred times
        raise AssertionError(f"looked for {group}")

    monkeypatch.setattr(plugins, "entry_points", entry_points)
    validate_params({"segmentation": {"method": "log-std"}, "tracking": {"method": "iou"}})
    validate_params({})


def test_parameters_of_every_method_are_checked_without_what_algorithms_need() -> None:
    code = """
import sys
from pyama_core.processing.workflow import pipeline
from pyama_core.processing.workflow.services.parameters import validate_params
validate_params({})
for segmentation in ({"method": "log-std"}, {"method": "files", "path": "masks"},
                     {"method": "cellpose", "weights": "file"}):
    validate_params({"segmentation": segmentation, "tracking": {"method": "iou"}})
print(sorted({"numba", "cv2", "scipy"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


def corrected_by(
    demo: DemoFiles, out: Path, **correction: Any
) -> tuple[NDArray[np.float32], dict[str, str]]:
    """Correct a movie with the exact methods besides; return the stack and its inputs on record."""
    context = new_context(out, correction=correction)
    assert run_inline(describe(demo), context, fovs=[0]).ok
    name = "demo_fov_000_fl_corrected_ch_1.npy"
    record = load_record(out / "fov_000" / "demo_fov_000_record.json")
    assert record is not None
    provenance = record.outputs[name].provenance
    assert provenance.algorithm == "least/1"
    return np.load(out / "fov_000" / name), provenance.inputs


def test_a_correction_that_a_package_brings_runs_and_has_its_own_parameters(
    demo: DemoFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(
        monkeypatch,
        least=("correction", f"{__name__}:CORRECTION"),
        brightest=("segmentation", f"{__name__}:SEGMENTATION"),
    )
    corrected, inputs = corrected_by(demo, tmp_path / "out", method="least", more=3.0)
    raw = np.load(tmp_path / "out" / "fov_000" / "demo_fov_000_fl_ch_1.npy")
    least = raw.min(axis=(1, 2), keepdims=True)
    np.testing.assert_array_equal(corrected, (raw - (least + 3.0)).astype(np.float32))
    # The size that was left to the segmentation, which does not know it, is a part of the record.
    assert inputs["size"] == "1.0"
    assert "size" not in corrected_by(demo, tmp_path / "given", method="least", size=2.0)[1]
    with pytest.raises(InputError, match=r"tile_size.*tiled-interpolation has it, set that"):
        validate_params({"correction": {"method": "least", "tile_size": 100}})


def test_what_a_segmentation_finds_out_in_advance_reaches_the_record_and_the_correction(
    demo: DemoFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(
        monkeypatch,
        least=("correction", f"{__name__}:CORRECTION"),
        brightest=("segmentation", f"{__name__}:SEGMENTATION"),
    )
    context = new_context(
        tmp_path / "out", segmentation={"method": "brightest"}, correction={"method": "least"}
    )
    assert run_inline(describe(demo), context, fovs=[0]).ok
    record = load_record(tmp_path / "out" / "fov_000" / "demo_fov_000_record.json")
    assert record is not None
    assert record.outputs["demo_fov_000_seg_ch_0.npy"].summary["cell_diameter"] == 7
    corrected = record.outputs["demo_fov_000_fl_corrected_ch_1.npy"]
    assert corrected.provenance.inputs["size"] == "7"
