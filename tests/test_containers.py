"""The recipes of the images: they name files that exist, pin all versions, and agree."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONTAINERS = ROOT / "containers"


def test_all_versions_are_pinned_and_all_dependencies_are_among_them() -> None:
    lines = (CONTAINERS / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    known = {name.lower().replace("_", "-") for name in pins}
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = declared.split("dependencies = [")[1].split("]")[0]
    needed = {name.lower().replace("_", "-") for name in re.findall(r'"([A-Za-z0-9_-]+)', section)}
    assert needed
    assert needed - known == set()
    assert {"distributed", "starlette", "uvicorn"} <= known


def test_both_recipes_set_the_same_and_copy_what_exists() -> None:
    docker = (CONTAINERS / "Dockerfile").read_text(encoding="utf-8")
    apptainer = (CONTAINERS / "pyama.def").read_text(encoding="utf-8")
    for pattern in (r"python:[\w.-]+", r"NUMBA_CPU_NAME=\S+", r"CPU_FEATURES=\S+", r"\"\.\[.*\]\""):
        assert len(set(re.findall(pattern, docker + apptainer))) == 1, pattern
    copied = re.findall(r"^COPY (.+) \S+$", docker, re.MULTILINE)
    assert copied
    for name in " ".join(copied).split():
        assert (ROOT / name).exists()
        assert f"{name} /opt/pyama/source/{name}" in apptainer
    assert "pyama warm-up" in docker
    assert "pyama warm-up" in apptainer
