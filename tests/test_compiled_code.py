"""Compiled code is kept where that is possible, and its loss is no reason not to run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pyama_core

KERNEL = """
from pyama_core.processing.compiling import compiled

@compiled()
def double(value):
    return 2 * value
"""
CALL = """
import logging, {module}
from pyama_core.processing.compiling import is_kept
logging.basicConfig(format="%(message)s")
print({module}.double(21), is_kept(), sum({module}.double.stats.cache_hits.values()))
"""
HOMELESS = """
import pwd
def refuse(_):
    raise KeyError("no such user")
pwd.getpwuid = refuse
"""


@pytest.fixture
def place(tmp_path):
    """A folder with a kernel, and the working folder of who calls it."""
    (tmp_path / "code").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "code" / "kernel_of_mine.py").write_text(KERNEL)
    return tmp_path


def call(place, **env) -> subprocess.CompletedProcess[str]:
    """Call the kernel in a process of its own."""
    known = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    known["PYTHONPATH"] = os.pathsep.join(
        [str(place / "code"), str(Path(pyama_core.__file__).parents[1])]
    )
    known["PYTHONDONTWRITEBYTECODE"] = "1"
    known |= env
    if "HOME" not in env:
        known["HOME"] = str(place / "home")
    if env.get("HOME") == "":
        del known["HOME"]
    return subprocess.run(
        [sys.executable, "-c", CALL.format(module="kernel_of_mine")],
        cwd=place / "here",
        env=known,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def without_a_place_beside_the_code(place) -> None:
    (place / "code" / "__pycache__").touch()


@pytest.mark.slow
def test_compiled_code_is_kept_beside_the_package_and_used_again(place):
    assert call(place).stdout == "42 True 0\n"
    assert list((place / "code" / "__pycache__").glob("*.nbi"))
    assert call(place).stdout == "42 True 1\n"


@pytest.mark.slow
def test_else_it_is_kept_in_the_home_folder(place):
    without_a_place_beside_the_code(place)
    (place / "home").mkdir()
    assert call(place).stdout == "42 True 0\n"
    assert call(place).stdout == "42 True 1\n"
    assert list((place / "home").rglob("*.nbi")) or sys.platform != "linux"


def test_without_any_place_it_is_compiled_each_time(place):
    without_a_place_beside_the_code(place)
    found = call(place, HOME=os.devnull, LOCALAPPDATA=os.devnull)
    assert (found.stdout, found.stderr) == ("42 False 0\n", "")


@pytest.mark.skipif(os.name == "nt", reason="users of POSIX")
@pytest.mark.parametrize("beside", [True, False], ids=["beside the package", "nowhere"])
def test_without_a_home_no_folder_is_made_of_its_sign(place, beside):
    (place / "code" / "sitecustomize.py").write_text(HOMELESS)
    if not beside:
        without_a_place_beside_the_code(place)
    found = call(place, HOME="")
    assert (found.stdout, found.stderr) == (f"42 {beside} 0\n", "")
    assert list((place / "here").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", [b"", b"no compiled code"])
def test_damaged_code_is_compiled_anew_and_kept(place, ending, damage):
    call(place)
    (path,) = (place / "code" / "__pycache__").glob(f"*.{ending}")
    path.write_bytes(damage)
    found = call(place)
    assert (found.stdout, found.stderr) == ("42 True 0\n", "")
    assert call(place).stdout == "42 True 1\n"


def test_a_place_that_is_full_is_said_once_and_is_no_failure(place):
    # A folder in the place of the index refuses as a full disk does, for whoever is asking.
    call(place)
    (index,) = (place / "code" / "__pycache__").glob("*.nbi")
    index.unlink()
    index.mkdir()
    found = call(place)
    assert found.stdout == "42 True 0\n"
    assert found.stderr.startswith("compiled code cannot be kept in ")
    assert found.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_run_without_a_place_says_once_why_it_takes_so_long(demo, tmp_path):
    package = tmp_path / "package"
    source = Path(pyama_core.__file__).parent
    shutil.copytree(source, package / "pyama_core", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in [each for each in package.rglob("*") if each.is_dir()]:
        (folder / "__pycache__").touch()
    env = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    env |= {"HOME": os.devnull, "LOCALAPPDATA": os.devnull, "PYTHONPATH": str(package)}
    words = ["run", str(demo.image), "-o", str(tmp_path / "out"), "--pc", "0", "--fl", "1"]
    words += ["--fovs", "0", "--workers", "2", "--segmentation", "log-std", "--tracking", "iou"]
    done = subprocess.run(
        [sys.executable, "-m", "pyama_core", *words],
        env=env,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("set NUMBA_CACHE_DIR to a folder that can be") == 1
    assert "Traceback" not in done.stderr
