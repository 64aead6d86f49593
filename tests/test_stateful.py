"""Whatever happened before, a finished run equals a fresh run with the same settings."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from inline import asked_files, run_inline
from pyama_core.demo import write_demo
from pyama_core.io.microscopy import MicroscopyMetadata, load_microscopy_file
from pyama_core.io.storage import fov_folder, stacks
from pyama_core.processing.workflow.release import release_stacks
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from runs import exact

PARAMS: list[dict[str, dict[str, Any]]] = [
    {},
    {"segmentation": {"n_sigma": 2.0}},
    {"correction": {"tile_size": 40}},
    {"tracking": {"min_iou": 0.8}},
    {"tracking": {"method": "lineage"}},
    {"segmentation": {"method": "instances"}},
    {"segmentation": {"method": "instances"}, "tracking": {"method": "lineage"}},
    {"extraction": {"min_frames": 1}},
    {"extraction": {"interval_minutes": 2.5}},
]
CHANNELS = [(1,), (2,), (1, 2)]
FOVS = [(0,), (1,), (0, 1)]
KEEP = ["all", "labels", "traces"]


class Killed(BaseException):
    """Stands for the end of the process: no handler of the package catches it."""


@cache
def experiment() -> MicroscopyMetadata:
    folder = Path(tempfile.mkdtemp(prefix="pyama-stateful-"))
    demo = write_demo(folder / "demo", fovs=2, frames=4, size=64, seed=5)
    source, metadata = load_microscopy_file(demo.image)
    source.close()
    return metadata


def request(out: Path, params: int, channels: tuple[int, ...]) -> ProcessingContext:
    return ProcessingContext(out, Channels(0, list(channels)), params=exact(PARAMS[params]))


@cache
def fresh(params: int, channels: tuple[int, ...], fovs: tuple[int, ...]) -> dict[str, bytes]:
    out = Path(tempfile.mkdtemp(prefix="pyama-fresh-"))
    assert run_inline(experiment(), request(out, params, channels), fovs=fovs).ok
    files = asked_files(out, list(fovs), list(channels))
    shutil.rmtree(out)
    return files


@pytest.fixture(scope="module", autouse=True)
def _clean_up():
    yield
    shutil.rmtree(experiment().file_path.parents[1])
    experiment.cache_clear()
    fresh.cache_clear()


class Folder(RuleBasedStateMachine):
    """An output folder to which things happen between runs."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="pyama-folder-"))
        self.out = self.root / "out"

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    def outputs(self) -> list[Path]:
        return sorted(path for path in self.out.rglob("*") if path.suffix in (".npy", ".csv"))

    @initialize()
    def start(self) -> None:
        self.params, self.channels, self.fovs, self.rotten = 0, (1,), (0,), False

    @rule(params=st.integers(0, len(PARAMS) - 1))
    def change_a_parameter(self, params: int) -> None:
        self.params = params

    @rule(channels=st.sampled_from(CHANNELS))
    def change_the_channels(self, channels: tuple[int, ...]) -> None:
        self.channels = channels

    @rule(fovs=st.sampled_from(FOVS))
    def change_the_fovs(self, fovs: tuple[int, ...]) -> None:
        self.fovs = fovs

    @rule(keep=st.sampled_from(KEEP))
    def run(self, keep: str) -> None:
        context = request(self.out, self.params, self.channels)
        options = {"fovs": self.fovs, "check": self.rotten, "keep": keep}
        assert run_inline(experiment(), context, **options).ok
        self.rotten = False
        found = asked_files(self.out, list(self.fovs), list(self.channels))
        stacks = {name for name in found if name.endswith("npy")}
        assert keep == "all" or all("seg_labeled" in name for name in stacks)
        assert keep != "traces" or not stacks
        expected = fresh(self.params, self.channels, self.fovs)
        # Released stacks need not be there; what is there must be right.
        assert {name: expected[name] for name in found} == found
        assert {n for n in expected if n.endswith("csv")} <= set(found)
        assert not list(self.out.rglob("*.tmp"))
        assert not list(self.out.rglob("*.lock"))

    @rule(after=st.integers(1, 60), check=st.booleans(), keep=st.sampled_from(KEEP))
    def kill_a_run(self, after: int, check: bool, keep: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            bomb(patch, after)
            try:
                run_inline(
                    experiment(),
                    request(self.out, self.params, self.channels),
                    fovs=self.fovs,
                    check=check,
                    keep=keep,
                )
            except Killed:
                return

    @precondition(lambda self: self.outputs())
    @rule(data=st.data())
    def delete_an_output(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.outputs())).unlink()

    @precondition(lambda self: self.outputs())
    @rule(data=st.data(), keep_time=st.booleans())
    def flip_a_bit(self, data: st.DataObject, keep_time: bool) -> None:
        path = data.draw(st.sampled_from(self.outputs()))
        status, content = path.stat(), bytearray(path.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1
        path.write_bytes(content)
        if keep_time:
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
            self.rotten = True

    @precondition(lambda self: self.outputs())
    @rule(data=st.data())
    def cut_an_output(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(self.outputs()))
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])

    @precondition(lambda self: list(self.out.rglob("*record.json")))
    @rule(data=st.data())
    def damage_a_record(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(self.out.rglob("*record.json"))))
        path.write_bytes(path.read_bytes()[: data.draw(st.integers(0, 50))])

    @precondition(lambda self: not self.rotten and list(self.out.rglob("*record.json")))
    @rule(kind=st.sampled_from(["pc", "fl", "seg", "fl_corrected", "seg_labeled"]))
    def release(self, kind: Any) -> None:
        try:
            release_stacks(self.out, [kind])
        except fov_folder.DamagedFileError:
            return


def bomb(patch: pytest.MonkeyPatch, after: int) -> None:
    """Let the process 'die' at the n-th write, rename or record."""
    left = [after]

    def armed(function):
        def tick(*args, **kwargs):
            if threading.current_thread() is threading.main_thread():
                left[0] -= 1
                if left[0] == 0:
                    raise Killed
            return function(*args, **kwargs)

        return tick

    patch.setattr(stacks.FileWriter, "write", armed(stacks.FileWriter.write))
    patch.setattr(fov_folder, "put_in_place", armed(fov_folder.put_in_place))
    patch.setattr(fov_folder, "save_record", armed(fov_folder.save_record))
    patch.setattr(fov_folder, "delete", armed(fov_folder.delete))


Folder.TestCase.settings = settings(
    max_examples=20,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestFolder = pytest.mark.slow(pytest.mark.timeout(900)(Folder.TestCase))
