"""Runs over a demo, as several test modules need them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from pyama_core.demo import DemoFiles
from pyama_core.io.microscopy import MicroscopyMetadata, load_microscopy_file
from pyama_core.processing.workflow.outcome import RunOutcome
from pyama_core.processing.workflow.pipeline import run_workflow
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext

DATA_FILES = "*.[cn][sp][vy]"
"""Pattern of .csv and .npy."""


def describe(demo: DemoFiles) -> MicroscopyMetadata:
    """Return the metadata of a demo, with its file closed."""
    source, metadata = load_microscopy_file(demo.image)
    source.close()
    return metadata


EXACT = {"segmentation": {"method": "log-std"}, "tracking": {"method": "iou"}}
"""The exact algorithm, whose results are known beforehand, and which is quick."""

DEFAULT = {"segmentation": {"method": "instances"}, "tracking": {"method": "lineage"}}
"""What a run does where nothing is asked for."""

SAMPLES: dict[str, Any] = {
    "control": {"fovs": "0", "dose": 0},
    "+dox 5 µM": {"fovs": "1-2", "dose": 5},
}
"""For the three FOVs of a demo."""

by_all_methods = pytest.mark.parametrize("methods", [EXACT, DEFAULT], ids=["exact", "default"])


def exact(params: dict[str, dict[str, Any]] | None = None) -> dict[str, dict[str, Any]]:
    """Return parameters with the methods of the exact algorithm where they name none."""
    params = params or {}
    steps = EXACT.keys() | params.keys()
    return {step: EXACT.get(step, {}) | params.get(step, {}) for step in sorted(steps)}


def new_context(output_dir: Path, **params: Any) -> ProcessingContext:
    """Return a request for all channels of a demo; by the exact algorithm, if none is named."""
    return ProcessingContext(
        output_dir=output_dir, channels=Channels(pc=0, fl=[1, 2]), params=exact(params)
    )


def run(
    demo: DemoFiles, output_dir: Path, params: dict[str, Any] | None = None, **options: Any
) -> RunOutcome:
    """Run a demo with one worker, unless the options say otherwise."""
    options = {"n_workers": 1, "batch_size": 2, **options}
    return run_workflow(describe(demo), new_context(output_dir, **(params or {})), **options)


def statuses(outcome: RunOutcome) -> dict[int, str]:
    """How each field of view ended."""
    return {fov: str(found.status) for fov, found in outcome.fovs.items()}


def doubt_diameters(output_dir: Path, found: dict[int, int], assumed: int = 60) -> None:
    """Let records say that objects were found of a diameter that was not assumed."""
    for fov, diameter in found.items():
        [path] = (output_dir / f"fov_{fov:03d}").glob("*_record.json")
        record = json.loads(path.read_text(encoding="utf-8"))
        name = next(name for name, each in record["outputs"].items() if each["kind"] == "seg")
        of_run = {"found_diameter": diameter, "cell_diameter": assumed}
        record["outputs"][name]["summary"] |= of_run
        path.write_text(json.dumps(record), encoding="utf-8")


def data_files(output_dir: Path) -> dict[str, bytes]:
    """Content of all data files of an output folder, by relative path."""
    return {
        path.relative_to(output_dir).as_posix(): path.read_bytes()
        for path in sorted(output_dir.rglob("*"))
        if path.suffix in (".npy", ".csv") and path.is_file()
    }


def files_in(folder: Path) -> dict[str, bytes]:
    """Content of all files below a folder, by relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def made_files(output_dir: Path) -> dict[str, bytes]:
    """As `data_files`, without what was changed on purpose and is kept aside."""
    files = data_files(output_dir)
    return {name: content for name, content in files.items() if ".changed" not in name}


def inodes(output_dir: Path, pattern: str) -> dict[str, int]:
    """Number of each file on its disk, which changes when the file is replaced."""
    return {path.name: path.stat().st_ino for path in output_dir.rglob(pattern)}


def worker_processes() -> list[psutil.Process]:
    """Child processes that are workers of a pool."""
    return [
        child
        for child in psutil.Process().children()
        if "resource_tracker" not in " ".join(child.cmdline())
    ]
