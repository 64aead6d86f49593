"""What is not kept is released when its FOV is done, and nothing else changes."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from pathlib import Path

import pytest
import yaml

import pyama_core.processing.workflow.request as request_module
from inline import run_inline
from pyama_core.demo import DemoFiles, write_demo
from pyama_core.errors import InputError
from pyama_core.io.storage import fov_folder
from pyama_core.io.storage.naming import find_records
from pyama_core.io.storage.records import load_record
from pyama_core.outputs import all_kinds
from pyama_core.processing.workflow import worker
from pyama_core.processing.workflow.configuration import load_config
from pyama_core.processing.workflow.keeping import CHOICES, KEEP_ALL, parse_keep
from pyama_core.processing.workflow.outcome import FovOutcome, FovStatus
from pyama_core.processing.workflow.pipeline import run_complete_workflow
from pyama_core.processing.workflow.release import release_stacks
from pyama_core.processing.workflow.services.analysis import parse_analysis
from pyama_core.processing.workflow.services.steps.extraction import ExtractionService
from pyama_core.processing.workflow.services.steps.segmentation import SegmentationService
from pyama_core.processing.workflow.services.steps.tracking import TrackingService
from pyama_core.processing.workflow.sizes import most_at_once, size_of_fov
from pyama_core.processing.workflow.status import describe_folder, verify_folder
from runs import data_files, describe, inodes, new_context, run

STACKS = {"pc", "fl", "seg", "fl_corrected", "seg_labeled"}


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> DemoFiles:
    return write_demo(tmp_path_factory.mktemp("small"), fovs=3, frames=4, size=64, seed=2)


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory) -> Path:
    """Everything that a run makes."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert run_inline(describe(small), new_context(out)).ok
    return out


@pytest.fixture
def finished(whole, tmp_path) -> Path:
    return shutil.copytree(whole, tmp_path / "finished")


def go(demo: DemoFiles, out: Path, keep="all", params=None, **options):
    return run_inline(describe(demo), new_context(out, **(params or {})), keep=keep, **options)


def statuses(outcome) -> set[str]:
    return {str(found.status) for found in outcome.fovs.values()}


def kinds_there(out: Path) -> set[str]:
    """Kinds of the stacks that are there."""
    return {kind for kind in STACKS if list(out.glob(f"fov_*/*_{kind}_ch_*.npy"))}


def files_of_kinds(out: Path, kinds: set[str]) -> dict[str, bytes]:
    """Content of all tables, and of the stacks of some kinds."""
    wanted = tuple(f"_fov_{fov:03d}_{kind}_ch_" for fov in range(3) for kind in kinds)
    return {
        name: content
        for name, content in data_files(out).items()
        if name.endswith(".csv") or any(each in name for each in wanted)
    }


KEPT = {
    "all": ("all", STACKS),
    "labels": ("labels", {"seg_labeled"}),
    "traces": ("traces", set()),
    "kinds": (["seg", "fl_corrected"], {"seg", "fl_corrected"}),
    "labels-and-a-kind": ("labels,fl", {"seg_labeled", "fl"}),
}


@pytest.mark.parametrize(("keep", "kinds"), KEPT.values(), ids=KEPT)
def test_what_is_kept_is_what_a_run_that_keeps_all_makes_and_the_rest_is_gone(
    small, whole, tmp_path, keep, kinds
):
    assert go(small, tmp_path, keep).ok
    assert data_files(tmp_path) == files_of_kinds(whole, kinds)
    assert kinds_there(tmp_path) == kinds
    assert not list(tmp_path.rglob("*.tmp"))
    assert verify_folder(tmp_path) == {}


def test_workers_release_what_is_not_kept(small, whole, tmp_path):
    assert run(small, tmp_path, keep="labels", n_workers=2).ok
    assert data_files(tmp_path) == files_of_kinds(whole, {"seg_labeled"})


def test_the_choices_follow_from_the_table_of_kinds():
    for kind in all_kinds():
        assert CHOICES["all"].has(kind)
        assert CHOICES["traces"].has(kind) is not kind.releasable
        is_label = kind.name in ("seg_labeled", "nuclei")
        assert CHOICES["labels"].has(kind) is (not kind.releasable or is_label)


WRONG = ["fl_corected", "traces_csv", "", ",", "labels,", "../x", "none", "All", [], ["seg", ""]]


@pytest.mark.parametrize("words", WRONG)
def test_what_cannot_be_kept_is_refused_with_what_can(words):
    with pytest.raises(InputError) as refusal:
        parse_keep(words)
    for known in ("all", "labels", "traces", *STACKS):
        assert known in str(refusal.value)


def test_tables_are_said_to_be_kept_always():
    with pytest.raises(InputError, match=r"found 'traces_csv'; tables are always kept"):
        parse_keep(["traces_csv"])


def test_all_with_anything_else_is_all():
    assert parse_keep(["seg", "all"]) == parse_keep("all") == KEEP_ALL


def test_a_wrong_word_is_a_refusal_before_anything_is_written(small, tmp_path, caplog):
    outcome = go(small, tmp_path / "out", keep="lables")
    assert outcome.exit_code == 2
    assert outcome.refusal.startswith("keep: expected all, labels, traces, or kinds out of pc,")
    assert not run_complete_workflow(describe(small), new_context(tmp_path / "out"), keep=["x"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["keep: lables", "keep: [seg, traces_csv]", "keep: 3", "keep: []"])
def test_a_configuration_with_a_wrong_word_is_refused_with_its_place(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"run\.yaml: keep: "):
        load_config(path, {})


def test_a_flag_wins_over_the_configuration_and_is_blamed_by_its_name(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("keep: [seg_labeled, fl]")
    assert load_config(path, {}).keep == ["seg_labeled", "fl"]
    assert load_config(path, {"keep": "traces"}).keep == "traces"
    with pytest.raises(InputError, match=r"^--keep: expected all"):
        load_config(path, {"keep": "trace"}, {("keep",): "--keep"})


# It is no parameter


def test_another_choice_computes_nothing_again(small, finished):
    before = {path: load_record(path) for path in find_records(finished)}
    kept = inodes(finished, "*.csv") | inodes(finished, "*seg_labeled*")
    for keep in ("all", "labels", "all", "labels,fl"):
        assert statuses(go(small, finished, keep)) == {"skipped"}
    assert inodes(finished, "*.csv") | inodes(finished, "*.npy") == kept
    for path, record in before.items():
        after = load_record(path)
        assert after.settings == record.settings
        for name, entry in record.outputs.items():
            released = entry.kind in STACKS - {"seg_labeled"}
            assert after.outputs[name] == entry.model_copy(update={"released": released})


def test_a_finished_folder_is_thinned_out_by_a_run_that_keeps_less(small, whole, finished):
    assert go(small, finished, "traces").ok
    assert data_files(finished) == files_of_kinds(whole, set())


def test_only_fovs_and_channels_that_were_asked_for_are_released(small, finished):
    context = new_context(finished)
    context.channels.fl = [1]
    assert run_inline(describe(small), context, keep="traces", fovs=[1]).ok
    assert len(list(finished.glob("fov_000/*.npy"))) == 7
    left = {path.name for path in finished.glob("fov_001/*.npy")}
    assert left == {"demo_fov_001_fl_ch_2.npy", "demo_fov_001_fl_corrected_ch_2.npy"}


@pytest.mark.parametrize("keep", ["all", "traces"])
@pytest.mark.parametrize(
    "params",
    [
        {"extraction": {"min_frames": 1}},
        {"tracking": {"min_iou": 0.8}},
        {"correction": {"tile_size": 40}},
        {"segmentation": {"n_sigma": 2.0}},
    ],
    ids=lambda params: next(iter(params)),
)
def test_what_a_later_request_needs_is_made_again_to_the_same_bytes(small, tmp_path, params, keep):
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    assert go(small, out, "traces", fovs=[0]).ok
    assert go(small, out, keep, params, fovs=[0]).ok
    assert go(small, fresh, "all", params, fovs=[0]).ok
    made, expected = data_files(out), data_files(fresh)
    assert {name: expected[name] for name in made} == made
    assert {name for name in expected if name.endswith(".csv")} <= set(made)
    assert bool(kinds_there(out)) == (keep == "all")


def test_a_channel_more_is_measured_where_all_stacks_were_released(small, whole, tmp_path):
    context = new_context(tmp_path)
    context.channels.fl = [1]
    assert run_inline(describe(small), context, keep="traces").ok
    assert go(small, tmp_path, "traces").ok
    assert data_files(tmp_path) == files_of_kinds(whole, set())


# Nothing is released that is still needed


def test_what_a_step_will_read_is_not_released_before(small, whole, tmp_path, monkeypatch):
    released = []

    def impatient(service_type):
        make = service_type.work_on

        def work_on(self, metadata, analysis, output_dir, fov, given=()):
            made = make(self, metadata, analysis, output_dir, fov, dict(given))
            request = requests[0]
            before = kinds_there(tmp_path)
            worker.release_rest_of(request, self.scope, FovOutcome(fov, FovStatus.DONE))
            released.append(before - kinds_there(tmp_path))
            return made

        monkeypatch.setattr(service_type, "work_on", work_on)

    requests = []
    process = worker.run_single_worker

    def note(request, connection, tickets):
        requests[:] = [request]
        return process(request, connection, tickets)

    monkeypatch.setattr("pyama_core.processing.workflow.crews.run_single_worker", note)
    for service_type in (SegmentationService, TrackingService):
        impatient(service_type)
    assert go(small, tmp_path, "traces", fovs=[0]).ok
    # Of all that is there, the steps to come read neither the phase contrast nor, at last, masks.
    assert released == [{"pc"}, {"fl", "seg"}]
    assert data_files(tmp_path) == {
        name: content
        for name, content in files_of_kinds(whole, set()).items()
        if name.startswith("fov_000")
    }


def fail_at(monkeypatch, service_type, fov: int) -> None:
    """Let a step of one FOV fail."""
    make = service_type.make

    def failing(self, job, outputs):
        if job.fov == fov:
            raise InputError("it was to fail")
        make(self, job, outputs)

    monkeypatch.setattr(service_type, "make", failing)


@pytest.mark.parametrize("service_type", [SegmentationService, ExtractionService])
def test_a_fov_that_failed_takes_no_room_and_is_done_later_to_the_same_bytes(
    small, whole, tmp_path, monkeypatch, service_type
):
    with monkeypatch.context() as patch:
        fail_at(patch, service_type, 1)
        outcome = go(small, tmp_path, "labels")
    assert [str(o.status) for _, o in sorted(outcome.fovs.items())] == ["done", "failed", "done"]
    found = describe_folder(tmp_path)["fovs"]["1"]
    assert (found["status"], found["steps"]["copying"]) == ("failed", "released")
    assert found["steps"][service_type.step] == "failed"
    assert {path.name for path in tmp_path.glob("fov_001/*.npy")} <= {
        "demo_fov_001_seg_labeled_ch_0.npy"
    }
    assert go(small, tmp_path, "labels").ok
    assert data_files(tmp_path) == files_of_kinds(whole, {"seg_labeled"})


def test_a_copying_that_fails_releases_nothing_of_what_was_there(small, finished, monkeypatch):
    monkeypatch.setattr(
        "pyama_core.processing.workflow.services.copying.CopyingService.make",
        lambda self, job, outputs: (_ for _ in ()).throw(InputError("the drive is away")),
    )
    (finished / "fov_001" / "demo_fov_001_fl_ch_1.npy").unlink()
    assert statuses(go(small, finished, "labels")) == {"skipped", "failed"}
    assert len(list(finished.glob("fov_001/*.npy"))) == 6


def test_a_cancelled_run_keeps_what_it_had_and_the_next_goes_on(small, whole, tmp_path):
    cancel = threading.Event()

    def stop(event):
        if event["step"] == "tracking":
            cancel.set()

    outcome = run(small, tmp_path, keep="traces", cancel=cancel, on_progress=stop)
    assert outcome.exit_code in (0, 130)  # it may have been quicker
    assert run(small, tmp_path, keep="traces").ok
    assert data_files(tmp_path) == files_of_kinds(whole, set())


def test_a_stack_that_cannot_be_deleted_is_named_and_released_by_the_next_run(
    small, whole, tmp_path, monkeypatch, caplog
):
    def refuse(path):
        if "_seg_ch" in path.name:
            raise PermissionError(13, os.strerror(13))
        delete(path)

    delete = fov_folder.delete
    with monkeypatch.context() as patch:
        patch.setattr(fov_folder, "delete", refuse)
        caplog.set_level(logging.WARNING)
        assert statuses(go(small, tmp_path, "traces", fovs=[0])) == {"done"}
    assert "FOV 0: not all is released that is not kept: cannot delete" in caplog.text
    assert "seg" in kinds_there(tmp_path)
    assert statuses(go(small, tmp_path, "traces", fovs=[0])) == {"skipped"}
    assert kinds_there(tmp_path) == set()


def test_a_stack_that_somebody_changed_is_kept_aside(small, finished):
    edited = finished / "fov_000" / "demo_fov_000_seg_labeled_ch_0.npy"
    content = bytearray(edited.read_bytes())
    content[-1] ^= 1
    edited.write_bytes(content)
    assert go(small, finished, "traces").ok
    assert [path.name for path in finished.rglob("*.npy")] == [
        "demo_fov_000_seg_labeled_ch_0.changed.npy"
    ]
    assert next(finished.rglob("*.npy")).read_bytes() == content


# What is wanted back


@pytest.mark.parametrize("kinds", ["fl_corrected", ["seg_labeled", "pc"]])
def test_what_is_wanted_back_stays_in_a_run_that_keeps_less(small, whole, finished, kinds):
    release_stacks(finished, sorted(STACKS))
    assert statuses(go(small, finished, "traces", restore=kinds)) == {"done"}
    wanted = {kinds} if isinstance(kinds, str) else set(kinds)
    assert data_files(finished) == files_of_kinds(whole, wanted)
    assert statuses(go(small, finished, "traces", restore=kinds)) == {"skipped"}
    assert kinds_there(finished) == wanted


@pytest.mark.parametrize(
    ("words", "kinds"),
    [("seg_labeled", {"seg_labeled"}), ("labels", {"seg_labeled"}), ("fl", {"fl"})],
)
def test_what_is_made_on_the_way_to_what_is_wanted_back_goes_again(
    small, whole, finished, words, kinds
):
    release_stacks(finished, sorted(STACKS))
    tables = {path: path.stat().st_ino for path in finished.rglob("*.csv")}
    assert statuses(go(small, finished, restore=words)) == {"done"}
    assert data_files(finished) == files_of_kinds(whole, kinds)
    assert {path: path.stat().st_ino for path in finished.rglob("*.csv")} == tables
    assert verify_folder(finished) == {}
    assert statuses(go(small, finished, restore=words)) == {"skipped"}


def test_all_that_was_released_can_be_wanted_back(small, whole, finished):
    release_stacks(finished, sorted(STACKS))
    assert statuses(go(small, finished, restore="all")) == {"done"}
    assert data_files(finished) == data_files(whole)


def test_tables_follow_what_came_back_otherwise_than_it_was(small, whole, finished, caplog):
    release_stacks(finished, sorted(STACKS))
    for path in find_records(finished)[:1]:
        # As if another version of a library had made the labels that the tables were made from.
        entry = load_record(path).outputs["demo_fov_000_seg_labeled_ch_0.npy"]
        other = entry.checksum[:-4] + ("0000" if entry.checksum[-4:] != "0000" else "1111")
        path.write_text(path.read_text("utf-8").replace(entry.checksum, other), "utf-8")
    with caplog.at_level(logging.WARNING):
        assert statuses(go(small, finished, restore="seg_labeled")) == {"done"}
    assert "FOV 0: what came back is not as it was" in caplog.text
    assert "FOV 1: what came back" not in caplog.text
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
    labels_and_tables = files_of_kinds(whole, {"seg_labeled"})
    assert labels_and_tables.items() <= data_files(finished).items()
    assert describe_folder(finished)["fovs"]["0"]["status"] == "done"
    assert statuses(go(small, finished, restore="seg_labeled")) == {"skipped"}


def test_what_was_released_of_channels_that_are_not_asked_for_stays_on_record(small, finished):
    release_stacks(finished, sorted(STACKS))
    context = new_context(finished)
    context.channels.fl = [1]
    outcome = run_inline(describe(small), context, keep="traces", restore="fl_corrected", fovs=[0])
    assert statuses(outcome) == {"done"}
    record = load_record(finished / "fov_000" / "demo_fov_000_record.json")
    assert record.outputs["demo_fov_000_fl_corrected_ch_2.npy"].released
    assert not record.outputs["demo_fov_000_fl_corrected_ch_1.npy"].released


@pytest.mark.parametrize("restore", ["fl_corected", ["traces_csv"], ","])
def test_a_wrong_word_of_what_is_wanted_back_is_a_refusal(small, finished, restore):
    before = {path: path.read_bytes() for path in find_records(finished)}
    outcome = go(small, finished, restore=restore)
    assert outcome.refusal.startswith("restore: expected stacks out of pc,")
    assert {path: path.read_bytes() for path in find_records(finished)} == before


# What is told


def test_status_results_file_and_caller_are_told_what_was_released(small, tmp_path):
    context = new_context(tmp_path)
    assert run_inline(describe(small), context, keep="labels").ok
    found = describe_folder(tmp_path)["fovs"]["0"]
    assert found["status"] == "done"
    assert found["steps"] == {
        "copying": "released",
        "segmentation": "released",
        "correction": "released",
        "tracking": "done",
        "nuclei": "not asked for",
        "extraction": "done",
    }
    results = yaml.safe_load((tmp_path / "processing_results.yaml").read_text())
    assert results["released"][2] == [
        f"fov_002/demo_fov_002_{which}.npy"
        for which in ("fl_ch_1", "fl_ch_2", "fl_corrected_ch_1", "fl_corrected_ch_2", "pc_ch_0")
    ] + ["fov_002/demo_fov_002_seg_ch_0.npy"]
    assert results["results_paths"][2]["fl"] == []
    assert results["results_paths"][2]["seg_labeled"][1].endswith("seg_labeled_ch_0.npy")
    paths = context.results_paths[0]
    assert (paths.pc, paths.fl, paths.seg, paths.fl_corrected) == (None, [], None, [])
    assert paths.seg_labeled[1].exists()


def test_the_log_tells_what_is_kept_and_how_much_was_released(small, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    assert go(small, tmp_path, "labels", fovs=[0]).ok
    assert "kept of each FOV when it is done: tables, seg_labeled" in caplog.text
    assert "FOV 0: released 6 files" in caplog.text


# Space


@pytest.fixture(scope="module")
def larger(tmp_path_factory) -> DemoFiles:
    return write_demo(tmp_path_factory.mktemp("larger"), fovs=8, frames=12, size=256, seed=4)


def size_on_disk(out: Path) -> int:
    total = 0
    for folder, _, names in os.walk(out):
        for name in names:
            with_path = Path(folder) / name
            try:
                total += with_path.stat().st_size
            except FileNotFoundError:
                continue
    return total


def needed(demo: DemoFiles, out: Path, keep: str, batch_size: int, n_workers: int) -> int:
    metadata, analysis = describe(demo), parse_analysis(new_context(out))
    sizes = [
        size_of_fov(metadata, analysis, fov, parse_keep(keep), out)
        for fov in range(metadata.n_fovs)
    ]
    return most_at_once(sizes, batch_size, n_workers)


@pytest.mark.slow
@pytest.mark.parametrize("keep", ["all", "labels", "traces"])
@pytest.mark.parametrize(("batch_size", "n_workers"), [(1, 1), (3, 2)])
def test_the_disk_never_holds_more_than_was_reckoned(larger, tmp_path, keep, batch_size, n_workers):
    out, most, over = tmp_path / "out", [0], threading.Event()

    def watch():
        while not over.is_set():
            most[0] = max(most[0], size_on_disk(out))
            time.sleep(0.002)

    reckoned = needed(larger, out, keep, batch_size, n_workers)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        ok = run(larger, out, keep=keep, batch_size=batch_size, n_workers=n_workers).ok
    finally:
        over.set()
        thread.join()
    assert ok
    assert 0.6 * reckoned < most[0] <= reckoned
    if keep != "all":
        everything = needed(larger, tmp_path / "other", "all", batch_size, n_workers)
        assert reckoned < 0.8 * everything


def only_free(monkeypatch, out: Path, free: int) -> None:
    usage = shutil.disk_usage(out.parent)._replace(free=free)
    monkeypatch.setattr(request_module.shutil, "disk_usage", lambda path: usage)


def test_a_run_that_fits_only_if_less_is_kept_is_refused_with_what_would(
    larger, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    only_free(monkeypatch, out, needed(larger, out, "labels", 2, 1) + 1)
    outcome = run(larger, out)
    assert outcome.exit_code == 2
    assert "choose another disk, or keep less: --keep labels (" in outcome.refusal
    assert " or --keep traces (" in outcome.refusal
    assert not out.exists()
    only_free(monkeypatch, out, needed(larger, out, "labels", 2, 1) - 1)
    outcome = run(larger, out, keep="labels")
    assert "will be needed at once, only" in outcome.refusal
    assert "keep less: --keep traces (" in outcome.refusal
    assert "--keep labels" not in outcome.refusal


@pytest.mark.parametrize("keep", ["all", "labels"])
def test_a_full_disk_is_no_obstacle_to_who_wants_no_more(small, finished, monkeypatch, keep):
    only_free(monkeypatch, finished, 0)
    assert statuses(go(small, finished, keep)) == {"skipped"}


def test_what_is_released_at_the_beginning_makes_room_for_the_rest(small, tmp_path, monkeypatch):
    assert go(small, tmp_path, fovs=[0, 1]).ok
    only_free(monkeypatch, tmp_path, 0)
    assert go(small, tmp_path, "all").exit_code == 2
    assert statuses(go(small, tmp_path, "traces", batch_size=1)) == {"skipped", "done"}


def test_what_was_released_takes_no_room_unless_it_is_needed_again(small, finished, monkeypatch):
    release_stacks(finished, list(STACKS))
    only_free(monkeypatch, finished, 0)
    assert statuses(go(small, finished)) == {"skipped"}
    assert go(small, finished, params={"extraction": {"min_frames": 1}}).exit_code == 2


def test_what_is_wanted_back_needs_room_and_is_refused_without_being_forgotten(
    small, finished, monkeypatch
):
    release_stacks(finished, sorted(STACKS))
    before = {path: path.read_bytes() for path in find_records(finished)}
    with monkeypatch.context() as patch:
        only_free(patch, finished, 0)
        assert go(small, finished, restore="pc").exit_code == 2
        assert statuses(go(small, finished)) == {"skipped"}
    assert {path: path.read_bytes() for path in find_records(finished)} == before
    assert statuses(go(small, finished, restore="pc")) == {"done"}


def test_what_is_wanted_back_and_there_already_needs_no_room(small, finished, monkeypatch):
    only_free(monkeypatch, finished, 0)
    assert statuses(go(small, finished, restore="pc")) == {"skipped"}
