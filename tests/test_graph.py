"""One table of outputs and what services declare: all that is told of outputs follows from it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

import pyama_core.outputs as outputs_module
from inline import run_inline
from pyama_core import Channels, ProcessingContext
from pyama_core.demo import DemoFiles, write_demo
from pyama_core.errors import InputError
from pyama_core.io.storage.naming import find_records
from pyama_core.io.storage.records import FovRecord, load_record, save_record
from pyama_core.outputs import (
    FL_CORRECTED,
    SEG_LABELED,
    Declaration,
    Form,
    Output,
    OutputKind,
    all_kinds,
    step_names,
)
from pyama_core.processing.extraction.parameters import ExtractionParameters
from pyama_core.processing.workflow import fov_state, graph
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.processing.workflow.keeping import parse_keep
from pyama_core.processing.workflow.outcome import FovStatus
from pyama_core.processing.workflow.release import release_stacks
from pyama_core.processing.workflow.services.analysis import Analysis, ChannelChoice, parse_analysis
from pyama_core.processing.workflow.services.base import BaseProcessingService, cell_channel
from pyama_core.processing.workflow.services.parameters import Parameters
from pyama_core.processing.workflow.sizes import expected_outputs
from pyama_core.processing.workflow.status import describe_folder, verify_folder
from runs import data_files, describe, new_context

DOUBLED = OutputKind(
    "fl_doubled",
    "doubling",
    Form.STACK,
    stem="fl_doubled",
    suffix=".npy",
    per_channel=True,
    dtype="float32",
    releasable=True,
)
COUNTS = OutputKind("counts", "counting", Form.FOLDER, "counts", ".parts", releasable=True)


class DoublingService(BaseProcessingService):
    """A step between the correction and the tracking."""

    step = "doubling"

    def declare(self, analysis):
        return [
            Declaration(Output(DOUBLED, channel), {"fl_corrected": Output(FL_CORRECTED, channel)})
            for channel in analysis.channels.fl
        ]

    def algorithm(self, analysis):
        return "doubling/1"

    def make(self, job, outputs):
        for planned in outputs:
            with (
                job.open(planned.inputs["fl_corrected"]) as frames,
                job.folder.new_stack(planned, job.shape, np.float32) as doubled,
            ):
                for t in self.frames(job.fov, job.shape[0]):
                    doubled.append(2 * frames.read(t))


class CountingService(BaseProcessingService):
    """A step whose output is a folder of files."""

    step = "counting"

    def declare(self, analysis):
        channel = cell_channel(analysis)
        return [Declaration(Output(COUNTS, channel), {"labels": Output(SEG_LABELED, channel)})]

    def algorithm(self, analysis):
        return "counting/1"

    def make(self, job, outputs):
        (planned,) = outputs
        with (
            job.open(planned.inputs["labels"]) as labels,
            job.folder.new_folder(planned) as folder,
        ):
            (folder / "deep").mkdir()
            for t in self.frames(job.fov, job.shape[0]):
                (folder / "deep" / f"{t}.txt").write_text(f"{np.unique(labels.read(t)).size}\n")


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> DemoFiles:
    return write_demo(tmp_path_factory.mktemp("demo"), fovs=2, frames=6, size=256)


@pytest.fixture
def more_steps(monkeypatch) -> Iterator[None]:
    """Add both steps: a row in the table of kinds, and the service in its place."""
    kinds = list(all_kinds())
    kinds.insert(kinds.index(FL_CORRECTED) + 1, DOUBLED)
    kinds.insert(kinds.index(SEG_LABELED), COUNTS)
    kinds.append(kinds.pop(kinds.index(COUNTS)))
    monkeypatch.setattr(outputs_module, "KINDS", tuple(kinds))
    services = list(graph.LATER_SERVICES)
    services.insert(2, DoublingService)
    services.append(CountingService)
    monkeypatch.setattr(graph, "LATER_SERVICES", tuple(services))
    fov_state.forget_what_was_asked()
    yield
    fov_state.forget_what_was_asked()


def run(demo: DemoFiles, out: Path, **params):
    return run_inline(describe(demo), new_context(out, **params))


def folder_of(out: Path) -> Path:
    return out / "fov_000" / "demo_fov_000_counts_ch_0.parts"


@pytest.mark.usefixtures("more_steps")
class TestAStepAndAFolderAddedInTwoPlaces:
    def test_appear_in_status_results_and_sizes(self, demo, tmp_path):
        assert step_names()[3:5] == ["doubling", "tracking"]
        assert run(demo, tmp_path).ok
        found = describe_folder(tmp_path)["fovs"]["0"]
        assert found["status"] == "done"
        assert found["steps"]["doubling"] == found["steps"]["counting"] == "done"
        results = yaml.safe_load((tmp_path / "processing_results.yaml").read_text())
        paths = results["results_paths"][0]
        assert paths["fl_doubled"][1] == [2, "fov_000/demo_fov_000_fl_doubled_ch_2.npy"]
        assert paths["counts"] == [0, "fov_000/demo_fov_000_counts_ch_0.parts"]
        analysis = parse_analysis(new_context(tmp_path))
        expected = sum(expected_outputs(describe(demo), analysis, 0).values())
        assert expected == sum(path.stat().st_size for path in tmp_path.glob("fov_000/*.npy"))

    def test_are_told_to_the_caller(self, demo, tmp_path):
        context = new_context(tmp_path)
        assert run_inline(describe(demo), context).ok
        others = context.results_paths[0].others
        assert [channel for channel, _ in others["fl_doubled"]] == [1, 2]
        assert others["counts"] == [(0, folder_of(tmp_path))]

    def test_are_made_once_and_again_when_an_input_or_a_file_changes(self, demo, tmp_path):
        assert run(demo, tmp_path).ok
        before = data_files(tmp_path)
        assert {o.status for o in run(demo, tmp_path).fovs.values()} == {FovStatus.SKIPPED}
        (folder_of(tmp_path) / "deep" / "0.txt").write_text("other\n")
        assert list(verify_folder(tmp_path)) == ["fov_000/demo_fov_000_counts_ch_0.parts"]
        outcome = run(demo, tmp_path)
        assert [o.status for _, o in sorted(outcome.fovs.items())] == ["done", "skipped"]
        assert verify_folder(tmp_path) == {}
        assert data_files(tmp_path) == before
        assert run(demo, tmp_path, correction={"tile_size": 64}).ok
        doubled = np.load(tmp_path / "fov_000" / "demo_fov_000_fl_doubled_ch_1.npy")
        corrected = np.load(tmp_path / "fov_000" / "demo_fov_000_fl_corrected_ch_1.npy")
        assert np.array_equal(doubled, 2 * corrected)

    def test_are_released_and_come_back_when_needed(self, demo, tmp_path):
        assert run(demo, tmp_path).ok
        before = data_files(tmp_path)
        assert release_stacks(tmp_path, ["fl_doubled", "counts", "seg_labeled"]).n_files == 8
        assert not folder_of(tmp_path).exists()
        assert describe_folder(tmp_path)["fovs"]["0"]["steps"]["counting"] == "released"
        assert {o.status for o in run(demo, tmp_path).fovs.values()} == {FovStatus.SKIPPED}
        for path in find_records(tmp_path):
            record = load_record(path)
            names = [name for name, entry in record.outputs.items() if entry.kind == "fl_doubled"]
            for name in names:
                record = record.without_output(name)
            save_record(path, record)
        assert run(demo, tmp_path).ok
        kept = {name: text for name, text in before.items() if "seg_labeled" not in name}
        assert data_files(tmp_path) == kept

    def test_are_released_unless_they_are_kept(self, demo, tmp_path):
        assert run(demo, tmp_path / "all").ok
        metadata = describe(demo)
        for keep, kept in (
            ("traces", set()),
            ("labels", {"seg_labeled_ch_0.npy"}),
            (["counts", "fl"], {"counts_ch_0.parts", "fl_ch_1.npy", "fl_ch_2.npy"}),
        ):
            out = tmp_path / "-".join(keep)
            assert run_inline(metadata, new_context(out), keep=keep).ok
            found = [path for path in out.glob("fov_*/*") if path.suffix in (".npy", ".parts")]
            assert {path.name.split("_", 3)[3] for path in found} == kept
            assert len(found) == 2 * len(kept)
        with pytest.raises(InputError, match=r"seg_labeled.*counts"):
            parse_keep("count")

    def test_leave_nothing_behind_when_interrupted(self, demo, tmp_path, monkeypatch):
        def fail(self, job, outputs):
            with job.folder.new_folder(outputs[0]) as folder:
                (folder / "half").write_text("half")
                raise KeyboardInterrupt

        monkeypatch.setattr(CountingService, "make", fail)
        with contextlib.suppress(KeyboardInterrupt):
            run(demo, tmp_path)
        assert list(tmp_path.rglob("*half*")) == []
        monkeypatch.undo()


def test_a_folder_whose_release_is_killed_in_its_midst_is_nobodys_work(
    demo, tmp_path, more_steps, monkeypatch
):
    def die(path, *args, **kwargs):
        next(path.rglob("*.txt")).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pyama_core.io.storage.artifacts.shutil.rmtree", die)
        with contextlib.suppress(KeyboardInterrupt):
            run_inline(describe(demo), new_context(tmp_path), keep="traces")
    assert run_inline(describe(demo), new_context(tmp_path), keep="traces").ok
    assert [path.name for path in tmp_path.rglob("*counts*")] == []


def test_a_folder_that_a_killed_run_left_half_written_is_swept(demo, tmp_path, more_steps):
    assert run(demo, tmp_path).ok
    remains = folder_of(tmp_path).with_name(f".{folder_of(tmp_path).name}.0123abcd.tmp")
    (remains / "deep").mkdir(parents=True)
    (remains / "deep" / "0.txt").write_text("half")
    assert run(demo, tmp_path).ok
    assert not remains.exists()


# What the copies of the table disagreed about


def three_channels(tmp_path) -> DemoFiles:
    return write_demo(tmp_path / "demo", fovs=1, frames=4, size=128)


def with_nuclei(out: Path, nuclei: int | None) -> ProcessingContext:
    return ProcessingContext(out, Channels(pc=0, fl=[1], nuclei=nuclei))


def test_masks_made_by_another_nuclei_channel_are_outdated(tmp_path):
    demo, out = three_channels(tmp_path), tmp_path / "out"
    assert run_inline(describe(demo), with_nuclei(out, 2)).ok
    asked = parse_analysis(with_nuclei(out, 1)).as_settings()
    (path,) = find_records(out)
    record = load_record(path)
    save_record(path, record.model_copy(update={"settings": asked}))
    found = describe_folder(out)["fovs"]["0"]
    assert found["steps"]["segmentation"] == "outdated"
    assert found["steps"]["copying"] == "done"
    assert found["status"] == "missing"


def test_masks_made_by_nuclei_are_outdated_where_none_are_asked_for(tmp_path):
    demo, out = three_channels(tmp_path), tmp_path / "out"
    assert run_inline(describe(demo), with_nuclei(out, 2)).ok
    (path,) = find_records(out)
    asked = parse_analysis(with_nuclei(out, None)).as_settings()
    save_record(path, load_record(path).model_copy(update={"settings": asked}))
    assert describe_folder(out)["fovs"]["0"]["steps"]["segmentation"] == "outdated"


def test_status_asks_for_the_copy_of_the_nuclei(tmp_path):
    demo, out = three_channels(tmp_path), tmp_path / "out"
    assert run_inline(describe(demo), with_nuclei(out, 2)).ok
    assert describe_folder(out)["fovs"]["0"]["status"] == "done"
    (out / "fov_000" / "demo_fov_000_fl_ch_2.npy").unlink()
    assert describe_folder(out)["fovs"]["0"]["steps"]["copying"] == "missing"


@pytest.mark.parametrize("method", ["instances", "log-std"])
def test_the_space_asked_for_is_what_a_run_takes(tmp_path, method):
    demo, out = three_channels(tmp_path), tmp_path / "out"
    context = with_nuclei(out, 2 if method == "instances" else None)
    context.params = {"segmentation": {"method": method}}
    assert run_inline(describe(demo), context).ok
    expected = expected_outputs(describe(demo), parse_analysis(context), 0)
    written = {path.stat().st_size for path in out.rglob("*.npy")}
    assert sum(expected.values()) == sum(path.stat().st_size for path in out.rglob("*.npy"))
    assert set(expected.values()) == written


def with_all_parameters(record: FovRecord) -> FovRecord:
    """Return a record as version 0.1.0 wrote it, with the defaults in each provenance."""
    outputs = {
        name: entry.model_copy(
            update={
                "provenance": entry.provenance.model_copy(
                    update={"parameters": record.settings.params[entry.provenance.step]}
                )
            }
        )
        for name, entry in record.outputs.items()
    }
    return record.model_copy(update={"outputs": outputs})


def test_a_record_with_all_defaults_in_it_is_as_valid_as_one_without(demo, tmp_path):
    assert run(demo, tmp_path, correction={"tile_size": 64}).ok
    for path in find_records(tmp_path):
        record = load_record(path)
        old = with_all_parameters(record)
        assert old != record
        assert FovState(old).outdated == FovState(record).outdated == frozenset()
        save_record(path, old)
    outcome = run(demo, tmp_path, correction={"tile_size": 64})
    assert {o.status for o in outcome.fovs.values()} == {FovStatus.SKIPPED}
    assert run(demo, tmp_path, correction={"tile_size": 96}).fovs[0].status == FovStatus.DONE


def test_what_equals_the_default_is_left_out_of_the_provenance(demo, tmp_path):
    assert run(demo, tmp_path, segmentation={"n_sigma": 2.5}, tracking={"min_iou": 0.1}).ok
    record = load_record(find_records(tmp_path)[0])
    made = {entry.kind: entry.provenance.parameters for entry in record.outputs.values()}
    assert made["seg"] == {"method": "log-std", "n_sigma": 2.5}
    assert made["seg_labeled"] == {"method": "iou"}
    assert made["traces_csv"] == made["pc"] == {}


def test_status_works_where_a_method_is_not_installed(demo, tmp_path, caplog):
    assert run(demo, tmp_path).ok
    path = find_records(tmp_path)[0]
    record = load_record(path)
    params = record.settings.params | {"tracking": {"method": "not-installed"}}
    settings = record.settings.model_copy(update={"params": params})
    save_record(path, record.model_copy(update={"settings": settings}))
    found = describe_folder(tmp_path)["fovs"]["0"]
    assert found["steps"]["tracking"] == "done"
    assert "what is outdated cannot be told" in caplog.text


def test_every_kind_is_declared_by_the_step_that_it_names():
    extraction = ExtractionParameters(features=("compartments",))
    analysis = Analysis(ChannelChoice(pc=0, fl=(1,), nuclei=2), Parameters(extraction=extraction))
    made = {
        service.step: {declared.output.kind for declared in service.declare(analysis)}
        for service in graph.all_services()
    }
    named = {step: {kind for kind in all_kinds() if kind.step == step} for step in step_names()}
    assert made == named
    assert [service.step for service in graph.all_services()] == step_names()
