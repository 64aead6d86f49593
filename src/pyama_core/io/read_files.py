"""Files beside the source that a step reads, such as masks or the weights of a model.

Their content decides whether a result is still what would be made now. Reading it whole each time
would take as long as the step itself, so size, time and sampled content stand for it as long as
they are what they were when the result was made; if they differ, the whole content is compared.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pyama_core.errors import InputError
from pyama_core.io.checksums import (
    SourceIdentity,
    file_checksum,
    identify_source,
    value_checksum,
)
from pyama_core.io.regular_files import found_instead, require_regular
from pyama_core.io.retrying import patiently

T = TypeVar("T")

_PREFIX = "files "
_KEPT = 256
_MOST_FILES = 10_000


def role_of(parameter: str) -> str:
    """Return the role that files play for a step which a parameter leads to.

    Examples
    --------
    >>> role_of("weights")
    'files weights'
    """
    return _PREFIX + parameter


def parameter_of(role: str) -> str | None:
    """Return the parameter that leads to files of a role; None for a role of another kind."""
    return role.removeprefix(_PREFIX) if role.startswith(_PREFIX) else None


FilesOfParameters = Mapping[str, Mapping[str, Path]]
"""By the name of a parameter: what each file that it leads to is to the step, and its place."""


@dataclass(frozen=True)
class ReadFiles:
    """Files that one parameter of a step leads to, as they were when they were looked at.

    Attributes
    ----------
    files : mapping of str to Path
        What each file is to the step, such as the number of a frame, and where it is.
    identity : SourceIdentity
        Their sizes, times and sampled content.
    """

    files: Mapping[str, Path]
    identity: SourceIdentity

    @classmethod
    def look_at(cls, files: Mapping[str, Path]) -> ReadFiles:
        """Look at files.

        Raises
        ------
        InputError
            One is not there, is no regular file or cannot be read.
        """
        with_state = _states(files)
        identity = _identities.get(with_state)
        if identity is None:
            identity = _explained(lambda: identify_source(list(files.values())))
            _identities.keep(with_state, identity)
        return cls(files, identity)

    def checksum(self, cancelled: Callable[[], bool] = lambda: False) -> str:
        """Checksum of the whole content of all files; `cancelled` is asked now and then.

        Raises
        ------
        InputError
            One cannot be read.
        CancelledError
            The caller asked to stop.
        """
        with_state = _states(self.files)
        known = _checksums.get(with_state)
        if known is None:
            known = _explained(
                lambda: value_checksum(
                    {what: file_checksum(path, cancelled) for what, path in self.files.items()}
                )
            )
            _checksums.keep(with_state, known)
        return known

    def require_unchanged(self) -> None:
        """Make sure that the files are as they were when they were looked at.

        Raises
        ------
        InputError
            They are not.
        """
        now = ReadFiles.look_at(self.files)
        if not now.identity.is_same(self.identity):
            first = next(iter(self.files.values()))
            more = f" and {len(self.files) - 1} more files" if len(self.files) > 1 else ""
            raise InputError(
                f"{first}{more}: changed while they were read. What was read is not used; wait "
                "until they are complete, then run again"
            )


def look_at_all(files: FilesOfParameters) -> dict[str, ReadFiles]:
    """Look at the files that parameters lead to; return them by their role as inputs.

    Raises
    ------
    InputError
        One is not there, is no regular file or cannot be read.
    """
    return {role_of(name): ReadFiles.look_at(found) for name, found in files.items()}


class _Memory(Generic[T]):
    """What was found out about the last files, as long as their sizes and times are the same."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str) -> T | None:
        return self._known.get(key)

    def keep(self, key: str, value: T) -> None:
        self._known[key] = value
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)

    def clear(self) -> None:
        self._known.clear()


_identities: _Memory[SourceIdentity] = _Memory()
_checksums: _Memory[str] = _Memory()


def doubt_everything() -> None:
    """Forget what was found out about files whose size and time may lie."""
    _identities.clear()
    _checksums.clear()


def _states(files: Mapping[str, Path]) -> str:
    """Return one word for where files are, and their sizes and times."""

    def states() -> list[tuple[str, str, int, int]]:
        found = []
        for what, path in files.items():
            status = path.stat()
            found.append((what, str(path), status.st_size, status.st_mtime_ns))
        return found

    return value_checksum(_explained(states))


def _explained(action: Callable[[], T]) -> T:
    try:
        return patiently(action)
    except OSError as error:
        raise InputError(f"cannot read {error.filename}: {found_instead(error)}") from error


def files_below(path: Path) -> dict[str, Path]:
    """Return a file, or all files below a folder by their place in it; hidden ones left out.

    Raises
    ------
    InputError
        There is nothing, or nothing regular, at that path, or far too much.
    """
    if not path.is_dir():
        _explained(lambda: require_regular(path))
        return {"": path}
    found = {}
    for folder, below, names in os.walk(path):
        below[:] = [name for name in below if not name.startswith(".")]
        for name in names:
            file = Path(folder, name)
            if not name.startswith(".") and file.is_file():
                found[file.relative_to(path).as_posix()] = file
        if len(found) > _MOST_FILES:
            raise InputError(f"{path}: expected up to {_MOST_FILES} files there, found more")
    return dict(sorted(found.items()))
