"""What docs/FORMATS.md promises: results of earlier versions open, are valid, and go on."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pyama_core import open_results
from pyama_core.cli.app import app

STORED = sorted((Path(__file__).parent / "stored").glob("results_*.zip"))


@pytest.fixture(params=STORED, ids=lambda path: path.stem.removeprefix("results_"))
def older(request, tmp_path):
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(tmp_path / "results")
    return tmp_path / "results"


def pyama(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_there_are_results_of_an_earlier_version():
    assert [path.stem for path in STORED] == ["results_0.1.0"]


def test_tables_and_labels_open(older):
    results = open_results(older)
    traces = results.traces
    assert traces["intensity_total_ch_1"].tolist()[:3] == [16983.0, 122050.0, 157321.0]
    assert traces["area"].tolist()[:3] == [659, 653, 725]
    assert results.cells["good"].tolist() == [True]
    labels = results.fov(0).labels
    assert labels.shape == (4, 64, 64)
    assert np.unique(labels).tolist() == [0, 1]
    assert int((labels[0] == 1).sum()) == 659


def test_they_are_whole_by_their_records(older):
    assert pyama("verify", older).exit_code == 0
    told = pyama("status", older)
    assert "released" in told.output
    # Verdicts are reached otherwise since: the tables are there, and a run would make them anew.
    assert told.exit_code == 1
    assert "outdated" in told.output
    assert "1 of 1" in told.output


def test_they_can_be_corrected_and_exported(older):
    assert pyama("curate", older, "--fov", 0, "--cell", 1, "--bad", "dead").exit_code == 0
    assert open_results(older).cells["good"].tolist() == [False]
    assert pyama("export", older, "--to", "csv").exit_code == 0
    assert (older / "exports" / "csv" / "traces.csv").is_file()


def test_a_file_that_was_changed_is_found(older):
    (table,) = older.rglob("*_traces_ch_1.csv")
    table.write_text(table.read_text(encoding="utf-8").replace("659", "660"), encoding="utf-8")
    assert pyama("verify", older).exit_code == 1
