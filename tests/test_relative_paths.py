"""A relative path in a configuration means the same, whichever folder the command is typed in."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from pyama_core.cli.app import app
from pyama_core.processing.extraction.selection import select_features
from sources import N_FRAMES, SIZE, write_ome_tiff

pytestmark = pytest.mark.usefixtures("workers_inline")


def pyama(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """Return a folder with a movie, masks, a feature and a configuration that names them."""
    folder = tmp_path / "Projekt {1}"
    folder.mkdir()
    write_ome_tiff(folder)
    labels = np.zeros((N_FRAMES, SIZE, SIZE), np.uint16)
    labels[:, 10:30, 10:30] = 1
    np.save(folder / "masks.npy", labels)
    code = "def own_feature(image, mask):\n    return 7.0\n"
    (folder / "code_beside_it.py").write_text(code, encoding="utf-8")
    config = {
        "file": "movie.ome.tif",
        "output": "results",
        "channels": {"pc": "phase", "fl": ["GFP"]},
        "fovs": "0",
        "workers": 1,
        "segmentation": {"method": "files", "path": "masks.npy"},
        "tracking": {"method": "iou"},
        "extraction": {"features": ["code_beside_it:own_feature"]},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    yield folder
    select_features.cache_clear()
    sys.modules.pop("code_beside_it", None)


def test_a_configuration_leads_to_the_same_files_from_every_folder(project, tmp_path, monkeypatch):
    result = pyama("run", "--config", project / "run.yaml")
    assert result.exit_code == 0, result.output
    assert str(project / "results") in result.output
    (table,) = (project / "results" / "fov_000").glob("*_traces_ch_1.csv")
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert {(row["area"], row["own_feature"]) for row in rows} == {("400", "7.0")}
    for folder in (project, tmp_path.parent):
        monkeypatch.chdir(folder)
        relative = Path("run.yaml") if folder == project else project / "run.yaml"
        result = pyama("run", "--config", relative)
        assert "FOVs: 1 skipped" in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == [project.name]


def test_what_is_typed_starts_from_the_current_folder(project, tmp_path):
    result = pyama("run", "--config", project / "run.yaml", "-o", "here")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "here" / "processing_results.yaml").is_file()
    assert not (project / "results").exists()


def test_who_meant_the_current_folder_is_told(project, tmp_path):
    (tmp_path / "results").mkdir()
    result = pyama("run", "--config", project / "run.yaml")
    assert f"{project / 'results'} is meant, not {tmp_path / 'results'}" in result.output


def test_a_file_that_is_not_beside_the_configuration_is_named_in_full(project):
    (project / "masks.npy").unlink()
    result = pyama("run", "--config", project / "run.yaml")
    assert result.exit_code == 2
    assert str(project / "masks.npy") in result.output


def test_a_configuration_written_elsewhere_names_what_was_typed(project, tmp_path):
    movie = Path(project.name) / "movie.ome.tif"
    config = tmp_path / "elsewhere" / "run.yaml"
    config.parent.mkdir()
    words = ["run", movie, "-o", "out", "--pc", "0", "--fl", "1", "--fovs", "0"]
    assert pyama(*words, "--write-config", "--config", config).exit_code == 0
    written = yaml.safe_load(config.read_text(encoding="utf-8"))
    assert (written["file"], written["output"]) == (str(tmp_path / movie), str(tmp_path / "out"))
    assert pyama(*words, "--write-config", "--config", "run.yaml").exit_code == 0
    written = yaml.safe_load((tmp_path / "run.yaml").read_text(encoding="utf-8"))
    assert (written["file"], written["output"]) == (str(movie), "out")
