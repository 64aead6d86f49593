"""A folder that somebody deletes, empties or renames during a run is called just that."""

from __future__ import annotations

import shutil

import pytest

from inline import run_inline
from pyama_core.demo import write_demo
from pyama_core.errors import StorageError
from pyama_core.io.storage.locks import FolderLock
from pyama_core.processing.workflow.graph import all_services
from pyama_core.processing.workflow.results_file import write_results
from pyama_core.processing.workflow.services.base import BaseProcessingService
from runs import data_files, describe, new_context

GONE = "fov_000 was deleted, emptied or renamed while this run worked in it"
STEPS = [service.step for service in all_services() if service.step != "nuclei"]  # on request


def delete(folder) -> None:
    shutil.rmtree(folder)


def empty(folder) -> None:
    delete(folder)
    folder.mkdir()


def rename(folder) -> None:
    folder.rename(folder.with_name("elsewhere"))


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("movie"), fovs=2, frames=4, size=64, seed=5)


@pytest.fixture(scope="module")
def whole(movie, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    assert run_inline(describe(movie), new_context(out)).ok
    return data_files(out)


def spoil_within(patch, step, spoil) -> None:
    """Do something to the folder of FOV 0 while a step works on it."""
    kinds = {kind.step: kind for kind in map(type, all_services())}
    make = kinds[step].make

    def spoilt(self, job, outputs):
        if job.fov == 0:
            spoil(job.folder.path)
        make(self, job, outputs)

    patch.setattr(kinds[step], "make", spoilt)


@pytest.mark.parametrize("spoil", [delete, empty, rename])
@pytest.mark.parametrize("step", STEPS)
def test_the_folder_of_a_fov_that_is_gone_is_named_as_the_cause(
    movie, whole, tmp_path, monkeypatch, caplog, step, spoil
):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        spoil_within(patch, step, spoil)
        outcome = run_inline(describe(movie), new_context(out))
    assert outcome.exit_code == 1
    assert (outcome.fovs[0].status, outcome.fovs[1].status) == ("failed", "done")
    assert GONE in (outcome.fovs[0].error or "")
    errors = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert all(GONE in each for each in errors), errors
    assert "computer sleep" not in caplog.text
    assert "found none on record" not in caplog.text
    shutil.rmtree(out / "elsewhere", ignore_errors=True)
    assert run_inline(describe(movie), new_context(out)).ok
    assert data_files(out) == whole


@pytest.mark.parametrize("spoil", [delete, rename])
def test_an_output_folder_that_is_gone_is_named_and_nothing_is_written_in_its_place(
    movie, tmp_path, monkeypatch, caplog, spoil
):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        spoil_within(patch, "segmentation", lambda folder: spoil(folder.parent))
        outcome = run_inline(describe(movie), new_context(out))
    assert outcome.exit_code == 1
    assert "fov_001 was deleted, emptied or renamed" in (outcome.fovs[1].error or "")
    assert f"the folder {out} is not there; was it deleted or renamed?" in caplog.text
    assert not out.exists()


def test_a_step_that_is_used_alone_says_so_too(movie, tmp_path, monkeypatch):
    spoil_within(monkeypatch, "copying", delete)
    service = all_services()[0]
    assert isinstance(service, BaseProcessingService)
    with pytest.raises(StorageError, match=f"^FOV 0, copying: .*{GONE}"):
        service.process_fov(describe(movie), new_context(tmp_path), tmp_path, 0)


def test_a_results_file_has_no_place_in_a_folder_that_is_gone(tmp_path):
    with pytest.raises(StorageError, match="is not there"):
        write_results(tmp_path / "gone")


def test_a_lock_that_cannot_be_read_is_not_called_lost(tmp_path):
    lock = FolderLock.acquire(tmp_path)
    lock.ticket.path.unlink()
    lock.ticket.path.mkdir()
    with pytest.raises(StorageError, match="cannot read"):
        lock.ticket.require()
