"""The packages of `examples/`, installed and used; and the pages that explain them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

from pyama_core import open_results
from pyama_core.demo import DemoFiles
from pyama_core.version import __version__

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
KINDS = ("reader", "segmentation", "correction", "tracker", "feature")
STEPS = {"segmentation", "correction", "tracking", "extraction"}


def project_of(kind: str) -> dict:
    return tomllib.loads((EXAMPLES / kind / "pyproject.toml").read_text(encoding="utf-8"))


def settings_in(page: Path) -> dict:
    """Return the parts of a configuration that a page shows, which must be one."""
    blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == (0 if "reader" in page.stem + page.parent.name else 1)
    return yaml.safe_load(blocks[0]) if blocks else {}


def howto(kind: str) -> Path:
    return ROOT / "docs" / "howto" / f"own_{kind}.md"


def module_of(kind: str) -> Path:
    [module] = (EXAMPLES / kind).glob("*.py")
    return module


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Put all five where Python finds them, as an installer does."""
    site = tmp_path_factory.mktemp("installed")
    for kind in KINDS:
        project = project_of(kind)["project"]
        shutil.copy(module_of(kind), site)
        about = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        groups = [
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
            for group, points in project["entry-points"].items()
        ]
        (about / "entry_points.txt").write_text("\n".join(groups))
    return site


def call(words: Sequence[str | Path], site: Path | None, folder: Path) -> str:
    """Run Python with these words; return what it said, or fail with it."""
    paths = [str(ROOT / "src"), *([] if site is None else [str(site)])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tests_that_come_with_the_packages_pass(installed: Path, tmp_path: Path) -> None:
    told = call(
        ["-m", "pytest", EXAMPLES, "-c", os.devnull, "--rootdir", tmp_path, "-q",
         "-p", "no:cacheprovider", "-p", "no:napari", "-p", "no:npe2", "--import-mode=importlib"],
        installed,
        tmp_path,
    )  # fmt: skip
    assert int(re.search(r"(\d+) passed", told)[1]) >= 17


@pytest.fixture(scope="module")
def results_by_examples(
    demo: DemoFiles, installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Run the command on a movie of NumPy with every step by a package of `examples/`."""
    folder = tmp_path_factory.mktemp("run")
    with tifffile.TiffFile(demo.image) as file:
        movie = file.series[0].asarray()
    np.save(folder / "movie.npy", movie[4:])
    settings = [settings_in(howto(kind)) for kind in KINDS]
    config = {step: part for found in settings for step, part in found.items()}
    assert config.keys() == STEPS
    (folder / "run.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    words = "run movie.npy -o out --pc 1 --fl 1 --fl 2 --workers 1 --interval 5 --no-report"
    call(["-m", "pyama_core", *words.split(), "--config", "run.yaml"], installed, folder)
    return folder


def test_a_run_takes_every_step_from_another_package(results_by_examples: Path) -> None:
    out = results_by_examples / "out"
    fov = open_results(out).fov(0)
    traces = fov.traces
    assert traces["cell"].nunique() >= 5
    short = {f"{name}_Channel 1": name for name in ("intensity_total", "brightest_spot")}
    movie = np.load(results_by_examples / "movie.npy")
    masks = np.load(next(out.rglob("*_seg_ch_1.npy")))
    labels = np.load(next(out.rglob("*_seg_labeled_ch_1.npy")))
    for row in traces.rename(columns=short).sample(20, random_state=0).itertuples():
        mask = labels[row.frame] == row.cell
        frame = movie[row.frame, 1]
        background = np.median(frame[masks[row.frame] == 0])
        assert row.area == np.count_nonzero(mask)
        assert row.intensity_total == pytest.approx((frame[mask] - background).sum(), rel=1e-4)
        rows, columns = np.nonzero(mask)
        at = np.argmax(frame[mask])
        distance = np.hypot(rows[at] - rows.mean(), columns[at] - columns.mean())
        assert row.brightest_spot == pytest.approx(distance, abs=1e-4)
    assert traces["time_min"].unique().tolist() == [0, 5, 10, 15, 20, 25]


def test_the_record_says_which_package_made_what(results_by_examples: Path) -> None:
    record = next((results_by_examples / "out").rglob("*_record.json")).read_text(encoding="utf-8")
    for algorithm in ("otsu/1", "median/1", "nearest/1", "brightest-spot 1.0"):
        assert algorithm in record


def test_a_run_without_the_packages_says_what_is_missing(
    results_by_examples: Path, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=r"found 'otsu'[\s\S]*pyama_core\.segmenters"):
        call(
            ["-m", "pyama_core", "run", tmp_path / "a.tif", "-o", "out", "--pc", "0",
             "--config", results_by_examples / "run.yaml"],
            None,
            tmp_path,
        )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_asks_for_a_version_that_is_there(kind: str) -> None:
    project = project_of(kind)["project"]
    assert project["dependencies"] == [f"pyama-core>={'.'.join(__version__.split('.')[:2])}"]
    module = module_of(kind)
    assert project_of(kind)["tool"]["hatch"]["build"]["targets"]["wheel"] == {
        "only-include": [module.name]
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_of_a_kind_shows_the_code_of_its_example(kind: str) -> None:
    page = howto(kind).read_text(encoding="utf-8")
    module = module_of(kind)
    assert f"```python\n{module.read_text(encoding='utf-8')}```" in page
    [(group, points)] = project_of(kind)["project"]["entry-points"].items()
    [(name, value)] = points.items()
    assert f'```toml\n[project.entry-points."{group}"]\n{name} = "{value}"\n```' in page
    assert settings_in(module.parent / "README.md") == settings_in(howto(kind))


@pytest.mark.slow
@pytest.mark.nightly
def test_the_packages_can_be_built_and_installed(tmp_path: Path) -> None:
    pytest.importorskip("pip")
    site = tmp_path / "site"
    folders = [shutil.copytree(EXAMPLES / kind, tmp_path / kind) for kind in KINDS]
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", site, *folders]
    call(words, None, tmp_path)
    assert {path.name for path in site.glob("*.py")} >= {module_of(kind).name for kind in KINDS}
    code = "from pyama_core.processing.workflow.services.parameters import validate_params as check"
    settings = {step: part for kind in KINDS for step, part in settings_in(howto(kind)).items()}
    call(["-c", f"{code}; check({settings!r})"], site, tmp_path)
