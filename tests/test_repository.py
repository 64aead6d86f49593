"""The files about the project itself: workflows, changelog, citation, version."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from pyama_core.version import __version__

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("changes_main", ROOT / "changes" / "__main__.py")
assert spec is not None
changes = importlib.util.module_from_spec(spec)
assert spec.loader is not None
spec.loader.exec_module(changes)


def plain(path: str):
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_the_citation_tells_the_version():
    assert plain("CITATION.cff")["version"] == __version__


def test_news_are_named_so_that_a_release_takes_them():
    assert changes.strangers(ROOT / "changes") == []


def test_a_release_moves_news_into_the_changelog(tmp_path):
    folder = tmp_path / "changes"
    folder.mkdir()
    (folder / "b.fixed.md").write_text("Mended.\n", encoding="utf-8")
    (folder / "a.added.md").write_text("New.\n", encoding="utf-8")
    log = tmp_path / "CHANGELOG.md"
    log.write_text("# Changes\n\nWords.\n\n## 0.1.0\n\nOld.\n", encoding="utf-8")
    changes.release(folder, log, "0.2.0", "2026-12-01")
    text = log.read_text(encoding="utf-8")
    assert re.findall("^## (.*)$", text, re.MULTILINE) == ["0.2.0 (2026-12-01)", "0.1.0"]
    assert text.index("### Added\n\n- New.") < text.index("### Fixed\n\n- Mended.")
    assert list(folder.iterdir()) == []


def test_news_that_no_release_would_take_are_refused(tmp_path):
    (tmp_path / "a.news.md").write_text("?", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"a\.news\.md"):
        changes.release(tmp_path, tmp_path / "CHANGELOG.md", "1", "2")


def test_every_picture_of_the_documentation_is_shown_on_a_page():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    shown = "".join(page.read_text(encoding="utf-8") for page in pages)
    pictures = [*(ROOT / "docs").glob("*.png"), *(ROOT / "docs").glob("*.jpg")]
    assert pictures
    assert [each.name for each in pictures if f"{each.name})" not in shown] == []


@pytest.mark.parametrize("name", ["tests", "nightly"])
def test_every_step_of_a_workflow_does_something_and_ends(name):
    jobs = plain(f".github/workflows/{name}.yml")["jobs"]
    for job in jobs.values():
        assert job["timeout-minutes"] <= 240
        assert all(("run" in step) != ("uses" in step) for step in job["steps"])


def test_workflows_cover_the_systems_and_versions_that_are_promised():
    matrix = plain(".github/workflows/tests.yml")["jobs"]["tests"]["strategy"]["matrix"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = [
        line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line
    ]
    assert matrix["python"] == promised
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "windows", "macos"}


def test_the_recipe_asks_for_what_the_package_asks_for():
    recipe = plain("packaging/conda/recipe.yaml")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    other_names = {"opencv-python-headless": "py-opencv", "pylibczirw": "pylibczirw"}
    asked = {re.split("[<>=!]", line)[0].lower() for line in project["dependencies"]}
    run = {re.split("[ <>=!]", line)[0] for line in recipe["requirements"]["run"]} - {"python"}
    assert run == {other_names.get(name, name) for name in asked}
    assert recipe["context"]["version"] == __version__
