"""Who may import whom, as docs/ARCHITECTURE.md says, and that nobody imports in circles."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import pyama_core

ROOT = Path(pyama_core.__file__).parent

# From the roof to the ground: a room may import what stands below it. Rooms of one line may not
# import each other.
FLOORS: list[tuple[str, ...]] = [
    ("__main__",),
    ("cli",),
    ("app", "report", "viewing"),
    ("exports", "cluster", "executors"),
    ("results",),
    ("processing.workflow", "demo"),
    ("processing.workflow.services",),
    ("processing.extraction",),
    ("processing.segmentation", "processing.background", "processing.tracking"),
    ("processing.runs",),
    ("processing.bit_masks", "processing.frame", "processing.method_files"),
    ("processing.plugins", "processing.parameters", "processing.compiling", "processing.lengths"),
    ("io.storage", "io.microscopy"),
    ("io.readers",),
    ("io",),
    ("outputs", "errors", "version"),
]


@cache
def modules() -> dict[str, Path]:
    names = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names[".".join(part for part in parts if part != "__init__")] = path
    # Faces of packages, which hold nothing, or hand names on when they are asked for.
    for face in ("", "processing", "processing.workflow"):
        del names[face]
    return names


@cache
def imports_of(module: str) -> frozenset[str]:
    """Modules of this package that one imports, anywhere in it."""
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pyama_core"):
            home = (node.module or "").removeprefix("pyama_core").removeprefix(".")
            names = {f"{home}.{alias.name}".strip(".") for alias in node.names}
            inner = names & modules().keys()
            found |= inner
            if home in modules() and inner != names:
                found.add(home)
        elif isinstance(node, ast.Import):
            whole = {alias.name.removeprefix("pyama_core.") for alias in node.names}
            found |= whole & modules().keys()
    return frozenset(found - {module})


def room_of(module: str) -> str:
    """Return the smallest room that a module stands in."""
    rooms = {room for floor in FLOORS for room in floor}
    parts = module.split(".")
    for size in range(len(parts), 0, -1):
        if (room := ".".join(parts[:size])) in rooms:
            return room
    raise AssertionError(f"{module} stands in no room of FLOORS; give it one")


def test_every_module_stands_in_a_room():
    assert all(room_of(module) for module in modules())


def test_no_module_imports_itself_by_a_detour():
    sorter = graphlib.TopologicalSorter({module: imports_of(module) for module in modules()})
    sorter.prepare()  # names the circle


def test_arrows_of_import_point_down():
    floor_of = {room: i for i, floor in enumerate(FLOORS) for room in floor}
    wrong = {
        f"{module} imports {other}"
        for module in modules()
        for other in imports_of(module)
        if (room := room_of(module)) != (below := room_of(other))
        and floor_of[below] <= floor_of[room]
    }
    assert wrong == set()


def test_the_shared_ground_of_io_knows_nothing_of_its_rooms():
    ground = [module for module in modules() if room_of(module) == "io"]
    assert ground
    assert not [
        (module, other)
        for module in ground
        for other in imports_of(module)
        if room_of(other) in ("io.storage", "io.readers", "io.microscopy")
    ]


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("pyama_core", ["numpy", "pydantic"]),
        ("pyama_core.cli.app", ["numpy", "pydantic", "yaml", "rich.progress"]),
        ("pyama_core.processing.workflow.services.parameters", ["numba", "cv2", "scipy"]),
        ("pyama_core.io.microscopy", ["tifffile", "nd2", "zarr", "pylibCZIrw", "numba", "cv2"]),
    ],
)
def test_what_is_imported_early_is_light(module, heavy):
    code = f"import sys, {module}; print(*[name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
