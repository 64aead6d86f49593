"""How exports are asked for, and that they land whole or not at all, whatever the form."""

from __future__ import annotations

import importlib.util
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from inline import run_inline
from pyama_core import open_results
from pyama_core.cli.app import app
from pyama_core.cli.options.results import FORM_NAMES
from pyama_core.demo import write_demo
from pyama_core.errors import CancelledError, InputError, StorageError
from pyama_core.exports import csv_tables
from pyama_core.exports.destination import recover
from pyama_core.exports.exporting import export
from pyama_core.exports.file_names import file_names, sheet_names
from pyama_core.exports.forms import all_forms
from pyama_core.exports.left_out import tell_left_out
from pyama_core.io.storage.atomic import is_temporary
from pyama_core.io.storage.locks import FolderLock
from runs import SAMPLES, describe, files_in, new_context

pytestmark = pytest.mark.usefixtures("zarr_ends_its_threads")
every_form = pytest.mark.parametrize("form", [form.name for form in all_forms()])


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    """Return small results, for they are written in every form many times."""
    folder = tmp_path_factory.mktemp("sampled")
    demo = write_demo(folder / "demo", fovs=3, frames=6, size=160, seed=1)
    assert run_inline(describe(demo), new_context(folder / "Versuch 1")).ok
    results = open_results(folder / "Versuch 1")
    results.assign_samples(SAMPLES)
    assert {*results.cells.good} == {True, False}
    return results


def command(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*map(str, words)])
    return result.exit_code, result.output


def default_path(sampled, name):
    suffix = next(form.suffix for form in all_forms() if form.name == name)
    return sampled.folder / "exports" / (f"results{suffix}" if suffix else name)


def content_of(path):
    return files_in(path) if path.is_dir() else path.read_bytes()


# Asking


def test_the_command_knows_every_form():
    assert tuple(form.name for form in all_forms()) == FORM_NAMES


@every_form
def test_the_command_writes_into_the_folder_of_the_run_and_says_where(owned, form):
    code, told = command("export", owned.folder, "--to", form)
    path = default_path(owned, form)
    assert (code, re.sub(r"\s", "", told)[-len(str(path)) + str(path).count(" ") :]) == (
        0,
        re.sub(r"\s", "", str(path)),
    )
    assert path.exists()


@every_form
def test_the_same_results_give_the_same_bytes(sampled, tmp_path, form):
    suffix = next(each.suffix for each in all_forms() if each.name == form)
    first, second = (tmp_path / f"{name}{suffix}" for name in ("first", "second"))
    sampled.export(form, first)
    open_results(sampled.folder).export(form, second)
    assert content_of(first) == content_of(second)


@every_form
def test_progress_is_told_and_comes_to_its_end(sampled, tmp_path, form):
    told = []
    suffix = next(each.suffix for each in all_forms() if each.name == form)
    sampled.export(form, tmp_path / f"out{suffix}", on_progress=told.append)
    assert len(told) >= 3
    assert [event.done for event in told] == list(range(1, len(told) + 1))
    assert told[-1].done == told[-1].total
    assert all(event.doing for event in told)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"to": "excel"}, r"no form 'excel' to export; there are csv, "),
        ({"to": "csv", "decimal": "dot"}, r"decimal: .*'point' or 'comma', found 'dot'"),
        ({"to": "xlsx", "path": "a.xlsx", "decimal": "comma"}, r"xlsx has no option 'decimal'"),
        ({"to": "xlsx", "path": "a.csv"}, r"the name of a \.xlsx file, found a\.csv"),
        ({"to": "csv", "features": ["volume"]}, r"no feature 'volume'; there are .*area"),
        ({"to": "csv", "samples": "placebo"}, r"no sample 'placebo'; there are control"),
        ({"to": "csv", "fovs": "7"}, r"7"),
        ({"to": "csv", "fovs": "0", "samples": "+dox 5 µM"}, r"nothing to export"),
        ({"to": "csv", "path": " "}, r"expected a path, found an empty text"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(
    sampled, tmp_path, monkeypatch, asked, words
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words):
        sampled.export(**{"path": "out", **asked})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("form", "package"),
    [(form.name, package) for form in all_forms() for package in form.packages],
)
def test_a_package_that_is_not_installed_is_named_with_what_to_install(
    sampled, tmp_path, monkeypatch, form, package
):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: find(name, *more) if name != package else None,
    )
    words = rf'needs {package}, which is not installed: pip install "pyama-core\[{form}\]"$'
    with pytest.raises(InputError, match=words):
        sampled.export(form, tmp_path / "out")


# Landing


def test_what_is_there_is_only_replaced_on_request(sampled, tmp_path):
    for name in ("file.xlsx", "folder"):
        form = "xlsx" if name.endswith("xlsx") else "csv"
        path = sampled.export(form, tmp_path / name)
        before = content_of(path)
        with pytest.raises(InputError, match=r"is there already; .*--overwrite"):
            sampled.export(form, path, good_only=True)
        assert content_of(path) == before
        sampled.export(form, path, good_only=True, overwrite=True)
        assert content_of(path) != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.xlsx", "folder"]


def test_a_folder_that_no_export_made_is_never_replaced(sampled, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years")
    with pytest.raises(InputError, match="no export made it"):
        sampled.export("csv", tmp_path / "thesis", overwrite=True)
    with pytest.raises(InputError, match="no export made it"):
        sampled.export("csv", sampled.folder, overwrite=True)
    assert files_in(tmp_path) == {"thesis/chapter.txt": b"years"}


def test_what_a_person_put_or_changed_in_an_export_is_never_replaced(sampled, tmp_path):
    folder = sampled.export("csv", tmp_path / "out")
    note = folder / "figure.pzfx"
    note.write_text("a day's work")
    with pytest.raises(InputError, match=r"figure\.pzfx was not made by the export"):
        sampled.export("csv", folder, overwrite=True)
    note.unlink()
    table = folder / "cells.csv"
    table.write_text(table.read_text("utf-8").replace("True", "maybe"), "utf-8")
    with pytest.raises(InputError, match=r"cells\.csv was changed since"):
        sampled.export("csv", folder, overwrite=True)


def test_a_file_is_no_folder_and_a_folder_no_file(sampled, tmp_path):
    (tmp_path / "out.xlsx").mkdir()
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match=r"the export is a file, but .* is a folder"):
        sampled.export("xlsx", tmp_path / "out.xlsx", overwrite=True)
    with pytest.raises(InputError, match=r"the export is a folder, but .* is a file"):
        sampled.export("csv", tmp_path / "out", overwrite=True)


def test_an_export_that_fails_leaves_what_was_there(sampled, tmp_path, monkeypatch):
    folder = sampled.export("csv", tmp_path / "out")
    before = files_in(tmp_path)

    def fail(self, path, table):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(csv_tables.CsvFormat, "write_wide", fail)
    with pytest.raises(StorageError, match=r"cannot write .*out: No space left on device"):
        sampled.export("csv", folder, overwrite=True)
    assert files_in(tmp_path) == before


@every_form
def test_an_export_that_is_cancelled_leaves_nothing(sampled, tmp_path, form):
    suffix = next(each.suffix for each in all_forms() if each.name == form)
    with pytest.raises(CancelledError, match="nothing was written"):
        export(sampled.select(), form, tmp_path / f"out{suffix}", cancelled=lambda: True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["csv", "xlsx", "ome-zarr"])
def test_an_export_that_is_killed_leaves_nothing_that_looks_whole_and_the_next_clears_up(
    sampled, tmp_path, form
):
    path = tmp_path / ("[1].xlsx" if form == "xlsx" else "[1]")
    program = (
        "import os, sys; from pyama_core import open_results\n"
        "die = lambda progress: progress.done >= 2 and os._exit(9)\n"
        "open_results(sys.argv[1]).export(sys.argv[2], sys.argv[3], on_progress=die)"
    )
    words = [sys.executable, "-c", program, str(sampled.folder), form, str(path)]
    assert subprocess.run(words, check=False, timeout=120).returncode == 9
    (left,) = tmp_path.iterdir()
    assert is_temporary(left)
    sampled.export(form, path)
    assert list(tmp_path.iterdir()) == [path]


def killed_at_rename(number: int, folder: Path, path: Path) -> None:
    """Export over an export in a process that dies before one of its renames of folders."""
    program = (
        "import os, sys; from pathlib import Path; from pyama_core import open_results\n"
        "number, folder, path = int(sys.argv[1]), *sys.argv[2:]\n"
        "seen, replace = [], Path.replace\n"
        "def rename(source, target):\n"
        "    seen.extend([source] if source.is_dir() else [])\n"
        "    return os._exit(9) if len(seen) == number else replace(source, target)\n"
        "Path.replace = rename\n"
        "open_results(folder).export('csv', path, good_only=True, overwrite=True)"
    )
    words = [sys.executable, "-c", program, str(number), str(folder), str(path)]
    assert subprocess.run(words, check=False, timeout=120).returncode == 9


def test_an_export_that_was_to_be_replaced_when_the_process_was_killed_comes_back(
    sampled, tmp_path, caplog
):
    path = sampled.export("csv", tmp_path / "[für] Prism")
    before = files_in(path)
    killed_at_rename(1, sampled.folder, path)
    assert files_in(path) == before
    killed_at_rename(2, sampled.folder, path)
    assert not path.exists()
    with pytest.raises(InputError, match="is there already"):
        sampled.export("csv", path)
    assert "Prism is back" in caplog.text
    assert files_in(path) == before
    sampled.export("csv", path, good_only=True, overwrite=True)
    assert files_in(path) != before
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_left_of_a_deleted_export_does_not_come_back(sampled, tmp_path):
    path = sampled.export("csv", tmp_path / "out")
    (path / "cells.csv").unlink()
    path.rename(tmp_path / ".out.0.tmp")
    sampled.export("csv", path, good_only=True)
    assert list(tmp_path.iterdir()) == [path]


def test_an_export_that_is_being_replaced_is_left_to_who_replaces_it(sampled, tmp_path):
    path = sampled.export("csv", tmp_path / "out")
    (tmp_path / ".out.1.tmp").mkdir()
    lock = FolderLock.acquire(tmp_path / ".out.1.tmp")
    path.rename(tmp_path / ".out.0.tmp")
    recover(path)
    assert not path.exists()
    lock.release()
    recover(path)
    assert path.is_dir()
    (tmp_path / ".out.1.tmp").rmdir()


def test_an_export_whose_successor_cannot_be_renamed_stays(sampled, tmp_path, monkeypatch):
    path = sampled.export("csv", tmp_path / "out")
    before = files_in(tmp_path)
    replace = Path.replace

    def refuse(source: Path, target: Path) -> Path:
        if source.is_dir() and target == path:
            raise OSError(5, "Input/output error")
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StorageError, match=r"out: Input/output error"):
        sampled.export("csv", path, good_only=True, overwrite=True)
    assert files_in(tmp_path) == before


def test_what_others_write_at_the_same_time_is_not_cleared_up(sampled, tmp_path):
    path, events = tmp_path / "out", []

    def meanwhile(progress) -> None:
        if not events:
            events.append(progress)
            sampled.export("parquet", path)

    (tmp_path / ".out.note.tmp").mkdir()  # not of an export
    with pytest.raises(InputError, match="is there already"):
        sampled.export("csv", path, on_progress=meanwhile)
    assert (path / "traces.parquet").is_file()
    assert sorted(each.name for each in tmp_path.iterdir()) == [".out.note.tmp", "out"]
    (tmp_path / ".out.note.tmp").rmdir()


def test_folders_on_the_way_are_made_and_a_place_that_cannot_be_written_is_named(sampled, tmp_path):
    assert sampled.export("csv", tmp_path / "für" / "Prism").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot write .*file.*out"):
        sampled.export("csv", tmp_path / "file" / "out")


def test_exports_in_the_folder_of_a_run_are_no_results(owned):
    before = owned.fov_numbers
    owned.export("csv")
    assert open_results(owned.folder).fov_numbers == before
    code, told = command("verify", owned.folder)
    assert (code, "export" in told) == (0, False)


# What is missing


@pytest.mark.parametrize("form", [form.name for form in all_forms() if form.name != "fiji"])
@pytest.mark.parametrize("fov", [0, 1])
def test_tables_that_cannot_be_read_are_named_and_the_rest_is_exported(
    owned, tmp_path, caplog, form, fov
):
    (spoilt,) = owned.folder.glob(f"fov_{fov:03d}/*_traces_ch_1.csv")
    spoilt.write_text("fov,cell\n", "utf-8")
    suffix = next(each.suffix for each in all_forms() if each.name == form)
    with caplog.at_level(logging.WARNING):
        open_results(owned.folder).export(form, tmp_path / f"out{suffix}")
    (said,) = [record.getMessage() for record in caplog.records]
    assert re.match(rf"left out: FOV {fov} .*_traces_ch_1\.csv: is not as it was written", said)


@every_form
def test_a_fov_whose_record_is_damaged_is_named_and_the_others_are_exported(
    owned, tmp_path, caplog, form
):
    (record,) = owned.folder.glob("fov_000/*record.json")
    record.write_text("{", "utf-8")
    suffix = next(each.suffix for each in all_forms() if each.name == form)
    path = open_results(owned.folder).export(form, tmp_path / f"out{suffix}")
    assert re.search(r"left out: FOV 0 .*record\.json is damaged; run again", caplog.text)
    if path.is_dir():
        assert not [name for name in files_in(path) if re.match(r"(fov_)?000?[._]", name)]


def test_of_many_fovs_that_lack_something_the_first_few_are_named(caplog):
    with caplog.at_level(logging.WARNING):
        tell_left_out([f"FOV {fov}: gone" for fov in range(2000)])
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "left out: FOV 0: gone"
    assert said[5:] == ["left out: 1995 more; see pyama status"]


@pytest.mark.parametrize("at", ["out.h5ad", ".pyama.lock"])
def test_a_full_disk_is_told_in_one_line(sampled, tmp_path, monkeypatch, at):
    write_bytes = Path.write_bytes

    def fail(path, content):
        if at in path.name:
            # A view of a BytesIO that an error keeps crashes some Pythons when it is collected.
            assert isinstance(content, bytes)
            raise OSError(28, "No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(StorageError, match=r"^cannot write .*out\.h5ad: No space left on device$"):
        sampled.export("anndata", tmp_path / "out.h5ad")
    assert list(tmp_path.iterdir()) == []


def test_results_without_any_table_are_refused_with_the_reason(owned, tmp_path):
    for path in owned.folder.glob("fov_*/*.csv"):
        path.unlink()
    with pytest.raises(InputError, match=r"no tables to export: FOV 0 .*the file is gone"):
        open_results(owned.folder).export("csv", tmp_path / "out")


# Names


def test_names_of_files_differ_on_every_system_and_are_never_hidden_or_reserved():
    names = ["a", "A", "a?", 'a"', "..", ".hidden", "nul.txt", "x" * 300, "ü/ö", "trailing."]
    made = file_names(names)
    assert len({name.casefold() for name in made.values()}) == len(names)
    for name in made.values():
        assert name
        assert not re.search(r'[<>:"/\\|?*]|^\.|[. ]$', name)
        assert len(name.encode()) <= 255
    assert made["a"] == "a"


def test_names_of_sheets_are_short_distinct_and_not_those_of_others():
    names = ["a[1]", "a:1:", "x" * 40, "x" * 41, "'quoted'", "History", "cells"]
    made = sheet_names(names, taken=["cells"])
    assert len({name.casefold() for name in made.values()}) == len(names)
    for name in made.values():
        assert 0 < len(name) <= 31
        assert not re.search(r"[\[\]:*?/\\]|^'|'$", name)
        assert name.casefold() not in ("cells", "history")
