"""What holds for runs by the exact algorithm holds by the default methods, and by their flags."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from inline import run_inline
from pyama_core.cli.app import app
from pyama_core.demo import DemoFiles
from pyama_core.io.storage.records import load_record
from pyama_core.processing.workflow.graph import later_services
from pyama_core.processing.workflow.services.copying import CopyingService
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from runs import (
    DATA_FILES,
    DEFAULT,
    data_files,
    describe,
    inodes,
    new_context,
    run,
    worker_processes,
)

Params = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def undisturbed(demo: DemoFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folder of a run that nothing disturbed, in this process."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert run_inline(describe(demo), new_context(out, **DEFAULT)).ok
    return out


@pytest.fixture
def finished(undisturbed: Path, tmp_path: Path) -> Path:
    """A copy of a finished output folder, times of files included."""
    return shutil.copytree(undisturbed, tmp_path / "out")


def with_(params: Params) -> Params:
    """Return the default methods with some of their parameters set."""
    return {step: DEFAULT.get(step, {}) | params.get(step, {}) for step in {*DEFAULT, *params}}


@pytest.mark.slow
@pytest.mark.parametrize(("n_workers", "batch_size"), [(2, 1), (1, 5)])
def test_workers_and_batches_do_not_change_a_byte(
    demo: DemoFiles, undisturbed: Path, tmp_path: Path, n_workers: int, batch_size: int
) -> None:
    out = tmp_path / "out"
    assert run(demo, out, DEFAULT, n_workers=n_workers, batch_size=batch_size).ok
    assert data_files(out) == data_files(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["segmentation", "tracking"])
def test_workers_that_are_killed_cost_nothing_but_time(
    demo: DemoFiles, undisturbed: Path, tmp_path: Path, step: str
) -> None:
    hit: list[int] = []

    def strike(event: dict[str, Any]) -> None:
        if event["step"] == step and not hit:
            for process in worker_processes():
                hit.append(process.pid)
                process.kill()

    out = tmp_path / "out"
    assert run(demo, out, DEFAULT, on_progress=strike, batch_size=3, n_workers=2).ok
    assert hit
    assert data_files(out) == data_files(undisturbed)


def test_services_that_are_called_one_by_one_make_the_same_bytes(
    demo: DemoFiles, undisturbed: Path, tmp_path: Path
) -> None:
    context = new_context(tmp_path / "out", **DEFAULT)
    for service in [CopyingService(), *later_services()]:
        service.process_fov(describe(demo), context, tmp_path / "out", 1)
    expected = data_files(undisturbed)
    assert data_files(tmp_path / "out") == {
        name: content for name, content in expected.items() if name.startswith("fov_001/")
    }


AFTER_MASKS = {"fl_corrected", "seg_labeled", "tracks", "shifts", "traces"}
REDONE: dict[str, tuple[Params, set[str]]] = {
    "nothing": ({}, set()),
    "extraction": ({"extraction": {"min_frames": 1}}, {"traces"}),
    "tracking": ({"tracking": {"min_iou": 0.9}}, {"seg_labeled", "tracks", "shifts", "traces"}),
    "segmentation": ({"segmentation": {"cell_diameter": 20}}, {"seg", *AFTER_MASKS}),
}


@pytest.mark.parametrize("step", REDONE)
def test_a_changed_parameter_redoes_its_step_and_what_follows_only(
    demo: DemoFiles, finished: Path, step: str
) -> None:
    params, redone = REDONE[step]
    before = inodes(finished, DATA_FILES)
    assert run_inline(describe(demo), new_context(finished, **with_(params))).ok
    after = inodes(finished, DATA_FILES)
    changed = {name for name in after if after[name] != before[name]}
    assert {re.split(r"_ch_|\.", name[len("demo_fov_000_") :])[0] for name in changed} == redone


@pytest.mark.parametrize("kind", ["seg_ch_0.npy", "seg_labeled_ch_0.npy", "tracks.csv"])
def test_a_deleted_output_is_made_again_and_nothing_else(
    demo: DemoFiles, undisturbed: Path, finished: Path, kind: str
) -> None:
    before = inodes(finished, DATA_FILES)
    (finished / "fov_001" / f"demo_fov_001_{kind}").unlink()
    assert run_inline(describe(demo), new_context(finished, **DEFAULT)).ok
    after = inodes(finished, DATA_FILES)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"demo_fov_001_{kind}"}
    assert data_files(finished) == data_files(undisturbed)


# The flags


def typed(demo: DemoFiles, out: Path, *flags: str) -> dict[str, bytes]:
    """Content of the data files of a run of FOV 0 as the command does it."""
    words = ["run", str(demo.image), "-o", str(out), "--pc", "0", "--fl", "1", "--fovs", "0"]
    result = CliRunner().invoke(app, [*words, "--workers", "1", *flags])
    assert result.exit_code == 0, result.output
    return data_files(out)


@pytest.fixture(scope="module")
def called(
    demo: DemoFiles, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., dict[str, bytes]]:
    """The same run from Python."""

    @cache
    def call(nuclei: int | None = None, **segmentation: Any) -> dict[str, bytes]:
        out = tmp_path_factory.mktemp("called") / "out"
        params = {"segmentation": segmentation} if segmentation else {}
        context = ProcessingContext(out, Channels(pc=0, fl=[1], nuclei=nuclei), params=params)
        assert run_inline(describe(demo), context, fovs=[0]).ok
        return data_files(out)

    return call


@pytest.fixture(scope="module")
def plain(called: Callable[..., dict[str, bytes]]) -> dict[str, bytes]:
    return called()


SEG = "fov_000/demo_fov_000_seg_ch_0.npy"


@pytest.mark.usefixtures("works_inline")
@pytest.mark.parametrize("by", ["number", "name"])
def test_the_nuclei_that_are_typed_separate_the_cells(
    demo: DemoFiles, tmp_path: Path, called: Any, plain: dict[str, bytes], by: str
) -> None:
    word = "2" if by == "number" else describe(demo).channel_names[2]
    found = typed(demo, tmp_path / "out", "--nuclei", word)
    assert found == called(nuclei=2)
    assert found[SEG] != plain[SEG]


@pytest.mark.usefixtures("works_inline")
@pytest.mark.parametrize("unit", ["px", "um"])
def test_the_cell_diameter_that_is_typed_is_the_one_of_the_cells(
    demo: DemoFiles, tmp_path: Path, called: Any, plain: dict[str, bytes], unit: str
) -> None:
    size = describe(demo).pixel_size_um
    assert size is not None
    word = "30" if unit == "px" else f"{30 * size:g} um"
    out = tmp_path / "out"
    found = typed(demo, out, "--cell-diameter", word)
    assert found == called(cell_diameter=30)
    assert found[SEG] != plain[SEG]
    record = load_record(out / "fov_000" / "demo_fov_000_record.json")
    assert record is not None
    assert record.outputs[Path(SEG).name].summary["cell_diameter"] == pytest.approx(30)
