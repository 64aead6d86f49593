"""The documentation tells what the code does: generated pages, columns, links, blocks of code."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

import doc_blocks
from inline import run_inline
from movies import metadata_of
from nuclear_movies import write_nuclear_movie
from pyama_core import open_results

ROOT = doc_blocks.ROOT
DOCS = ROOT / "docs"
spec = importlib.util.spec_from_file_location("reference_pages", DOCS / "reference_pages.py")
assert spec is not None
reference = importlib.util.module_from_spec(spec)
assert spec.loader is not None
spec.loader.exec_module(reference)

EXTERNAL = {
    "https://github.com/bioio-devs/bioio",
    "https://github.com/markdane/CellTracking",
    "https://napari.org",
}
"""All links that lead elsewhere; whether they are still there is looked at by hand."""


@pytest.mark.parametrize("name", ["commands.md", "configuration.md", "files.md"])
def test_pages_of_the_reference_are_what_the_code_says(name: str):
    text = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert text == reference.pages()[name], "run python docs/reference_pages.py"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def columns_of(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def test_every_column_of_a_run_and_of_its_results_is_in_the_reference(results_of_demo: Path):
    known = {
        "traces": reference.trace_columns(),
        "tracks": reference.TRACKS,
        "shifts": reference.SHIFTS,
    }
    for kind, meanings in known.items():
        tables = list(results_of_demo.glob(f"fov_000/*_{kind}*.csv"))
        assert tables
        for path in tables:
            assert set(columns_of(path)) <= meanings.keys()
    results = open_results(results_of_demo)
    page = (DOCS / "reference" / "files.md").read_text(encoding="utf-8")
    for table in (results.traces, results.cells, results.samples):
        for column in table.columns:
            stem = re.sub("_(GFP|mCherry)$", "", str(column))
            assert f"`{stem}`" in page, column


def test_every_column_of_nuclei_and_compartments_is_in_the_reference(tmp_path: Path):
    movie = write_nuclear_movie(tmp_path)
    features = {"features": ["shape", "intensity", "background_local", "compartments"]}
    context = movie.context(tmp_path / "out", extraction=features)
    assert run_inline(metadata_of(movie.image), context).ok
    [nuclei] = (tmp_path / "out").glob("fov_000/*_nuclei.csv")
    [traces] = (tmp_path / "out").glob("fov_000/*_traces_*.csv")
    assert set(columns_of(nuclei)) == reference.NUCLEI.keys()
    assert "ratio_nucleus_ring" in columns_of(traces)
    assert set(columns_of(traces)) <= reference.trace_columns().keys()


def test_features_of_lineages_are_in_the_reference():
    from pyama_core.processing.tracking.tables import OF_LINEAGES, OF_LINKS, OF_READINGS

    assert {*OF_LINKS, *OF_LINEAGES, *OF_READINGS} <= reference.TRACKS.keys()


def links_in(path: Path) -> list[str]:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", text)


def anchors_in(path: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize(
    "page",
    [*doc_blocks.pages(), ROOT / "CONTRIBUTING.md", *sorted((ROOT / "examples").rglob("*.md"))],
    ids=name_of,
)
def test_links_lead_somewhere(page: Path):
    for link in links_in(page):
        if link.startswith("http"):
            assert link in EXTERNAL
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        # Those within docs are looked at by the build, which makes anchors of its own.
        if anchor and DOCS not in page.parents:
            assert anchor in anchors_in(target), link


def test_every_page_is_in_the_menu_of_the_site():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    in_menu = re.findall(r"^ +- (?:\w+: )?(\S+\.md)$", text, re.MULTILINE)
    assert sorted(in_menu) == sorted(
        path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")
    )
    assert yaml.safe_load(text)["strict"] is True


@pytest.mark.parametrize("page", doc_blocks.pages(), ids=name_of)
def test_every_block_says_what_it_is(page: Path):
    text = page.read_text(encoding="utf-8")
    blocks = doc_blocks.blocks_of(page)
    assert len(blocks) * 2 == len(re.findall("^```", text, re.MULTILINE))
    told = re.findall("^<!-- (?:not run|file): ", text, re.MULTILINE)
    assert len(told) == sum(1 for block in blocks if block.file or block.why_not)
    for block in blocks:
        assert block.language in (*doc_blocks.RUN, *doc_blocks.SHOWN), str(block)


TUTORIAL = DOCS / "tutorials" / "first_figure.md"
OTHERS = [
    page
    for page in doc_blocks.pages()
    if page != TUTORIAL and any(map(doc_blocks.does_something, doc_blocks.blocks_of(page)))
]
unix = pytest.mark.skipif(sys.platform == "win32", reason="blocks are of a Unix shell")


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Do what the first tutorial says; return where, and the number of blocks."""
    folder = tmp_path_factory.mktemp("tutorial")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MPLBACKEND", "agg")
        return folder, doc_blocks.run_page(TUTORIAL)


@unix
@pytest.mark.slow
def test_the_tutorial_leads_to_a_figure_and_tables(tutorial: tuple[Path, int]):
    folder, n_run = tutorial
    assert n_run >= 6
    assert (folder / "traces.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "demo/results/exports/csv/traces.csv").stat().st_size > 10_000
    assert (folder / "demo/results/report.html").is_file()


def copied(source: str, target: str) -> None:
    """Copy a file; the large ones, which are replaced and never written to, by another name."""
    (os.link if source.endswith((".npy", ".tif")) else shutil.copy2)(source, target)


@unix
@pytest.mark.slow
@pytest.mark.parametrize("page", OTHERS, ids=name_of)
def test_the_blocks_of_a_page_run(
    page: Path,
    tutorial: tuple[Path, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
):
    if page.name == "real_images.md":  # what it fetches
        images = request.getfixturevalue("shared_data") / "incucyte"
        shutil.copytree(images, tmp_path / "CellTracking" / "XX00001" / "B2" / "field_1")
    shutil.copytree(tutorial[0] / "demo", tmp_path / "demo", copy_function=copied)
    shutil.rmtree(tmp_path / "demo" / "results" / "exports")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    assert doc_blocks.run_page(page) > 0


@pytest.mark.slow
def test_the_notebook_leads_from_a_file_to_a_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    names = {"__name__": "__main__"}
    notebook = json.loads((DOCS / "tutorials" / "notebook.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    shown = [
        doc_blocks.run_python("".join(cell["source"]), f"cell {i}", names)
        for i, cell in enumerate(cells)
    ]
    assert len(shown[-1]) == 5
    assert (tmp_path / "notebook_figure.png").stat().st_size > 10_000
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells)


@pytest.mark.parametrize(
    ("code", "word"),
    [("```bash\nfalse\n```\n", "ends with 1"), ("```python\n1 / 0\n```\n", "zero")],
)
def test_a_block_that_fails_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code, word):
    if "bash" in code and sys.platform == "win32":
        pytest.skip("blocks are of a Unix shell")
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n{code}", encoding="utf-8")
    monkeypatch.setattr(doc_blocks, "ROOT", tmp_path)
    with pytest.raises((AssertionError, ZeroDivisionError), match=word):
        doc_blocks.run_page(page)
