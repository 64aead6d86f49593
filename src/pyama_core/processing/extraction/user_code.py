"""The code of a user's own function: the files it is in, as far as they can be known.

What a module imports from the user's own folders is part of it. Installed packages are known by
their version, and what the code reads while it runs cannot be known.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from pyama_core.io.checksums import file_checksum, value_checksum
from pyama_core.io.regular_files import read_regular

_OWN_PACKAGE = "pyama_core"
_MOST_FILES = 1000


@dataclass(frozen=True)
class UserCode:
    """Source files of a module and of what it imports that is not installed.

    Attributes
    ----------
    module : str
        Name of the module.
    checksums : tuple of (str, Path, str)
        Name, file and checksum of each module, itself first.
    """

    module: str
    checksums: tuple[tuple[str, Path, str], ...]

    @classmethod
    def of_module(cls, name: str) -> UserCode:
        """Find the files of an imported module; none for one without a file."""
        found: dict[str, Path] = {}
        queue = [name]
        while queue and len(found) < _MOST_FILES:
            module = queue.pop(0)
            path = _source_of(module)
            if module in found or path is None or (found and _is_installed(path)):
                continue
            found[module] = path
            if not _is_installed(path):
                queue += _imports(module, path)
        return cls(
            name, tuple((module, path, file_checksum(path)) for module, path in found.items())
        )

    def identity(self) -> str:
        """Return what changes when a file does: one checksum."""
        if len(self.checksums) == 1:
            return self.checksums[0][2]
        if not self.checksums:
            return f"Python {sys.version_info[:2]}"
        return value_checksum({module: checksum for module, _, checksum in self.checksums})

    def is_outdated(self) -> bool:
        """Whether a file is not as it was when it was read."""
        try:
            return any(file_checksum(path) != checksum for _, path, checksum in self.checksums)
        except OSError:
            return True

    def unload(self) -> None:
        """Let the modules of the user be imported anew when they are needed next."""
        for module, path, _ in self.checksums:
            if not _is_installed(path):
                sys.modules.pop(module, None)
        importlib.invalidate_caches()


def module_of(function: object) -> str:
    """Return the module that defines a function, be it wrapped or given arguments."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__module__", None) or type(function).__module__


def _source_of(module: str) -> Path | None:
    """Return the file of a module that is loaded, or that lies where the others do."""
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    if loaded is None and "." not in module:
        spec = PathFinder.find_spec(module)
        file = None if spec is None or not spec.has_location else spec.origin
    return None if file is None or module.partition(".")[0] == _OWN_PACKAGE else Path(file)


def _is_installed(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in _installation())


@functools.lru_cache(maxsize=1)
def _installation() -> tuple[Path, ...]:
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({Path(sysconfig.get_path(kind)) for kind in kinds})


def _imports(module: str, path: Path) -> Iterator[str]:
    """Name all modules that the source of one may import, and the packages they are in."""
    try:
        tree = ast.parse(read_regular(path))
    except (OSError, SyntaxError, ValueError):  # a compiled module
        return
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_packages(alias.name)
        elif isinstance(node, ast.ImportFrom):
            if node.level and not package:
                continue
            base = "." * node.level + (node.module or "")
            name = importlib.util.resolve_name(base, package) if node.level else base
            yield from _with_packages(name)
            for alias in node.names:
                yield f"{name}.{alias.name}"


def _with_packages(name: str) -> Iterator[str]:
    parts = name.split(".")
    for n in range(1, len(parts) + 1):
        yield ".".join(parts[:n])
