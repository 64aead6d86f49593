r"""`edits.jsonl`: the log of corrections in an output folder, a line of JSON for each action.

Lines are only ever added. Who adds some holds the lock of the folder's shared files, and has made
up their mind about the log as it is: if another process added lines meanwhile, they decide anew.

A process can be killed, and a disk be full, at any byte. A line counts as soon as all of its JSON
is there, for no beginning of such a line is itself one. What is left of a line that is not whole
is ignored; whoever adds the next line first ends that one, with `TORN`, so that it stays apart and
is known for what it is. Any other line that cannot be understood is told of, and kept.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pyama_core.errors import FolderBusyError, InputError, StorageError
from pyama_core.io.regular_files import read_regular, require_regular
from pyama_core.io.storage.naming import EDITS_NAME
from pyama_core.processing.workflow.edits.actions import LOG_VERSION, Edit, first_problem
from pyama_core.processing.workflow.shared_files import lock_shared_files

logger = logging.getLogger(__name__)

TORN = b" <- incomplete, ignored"
"""How a line ends of which a process had written only a part."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some editors begin a file with it
_ATTEMPTS = 100


@dataclass(frozen=True)
class UnreadableLine:
    """A line that is neither an action nor the torn remains of one.

    Attributes
    ----------
    number : int
        From 1.
    reason : str
        What is wrong with it.
    """

    number: int
    reason: str


@dataclass(frozen=True)
class LogContent:
    """What a log says.

    Attributes
    ----------
    edits : tuple of Edit
        In their order; a line that repeats the name of one before is left out.
    unreadable : tuple of UnreadableLine
        Lines that were not understood.
    size : int
        Bytes of the file.
    """

    edits: tuple[Edit, ...] = ()
    unreadable: tuple[UnreadableLine, ...] = ()
    size: int = 0

    @property
    def fovs(self) -> frozenset[int]:
        """Fields of view that somebody corrected."""
        return frozenset(self._by_fov)

    def of_fov(self, fov: int) -> Sequence[Edit]:
        """Return the lines about a field of view, in order."""
        return self._by_fov.get(fov, ())

    @functools.cached_property
    def _by_fov(self) -> dict[int, list[Edit]]:
        found: dict[int, list[Edit]] = {}
        for edit in self.edits:
            found.setdefault(edit.fov, []).append(edit)
        return found


class EditLog:
    """The log of an output folder, whether there is a file yet or not.

    Parameters
    ----------
    folder : Path
        The output folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / EDITS_NAME
        self._parsed = _Parser(self.path)
        self._seen: tuple[int, ...] = ()
        self._content = LogContent()

    def read(self) -> LogContent:
        """Read what is there by now; what was read before is not parsed again.

        Raises
        ------
        StorageError
            The file cannot be read. Without it results would be shown as if nobody had
            corrected them.
        """
        seen: tuple[int, ...] = ()
        content: bytes | None = b""
        try:
            status = self.path.stat()
            seen = (status.st_size, status.st_mtime_ns, status.st_ino)
            content = read_regular(self.path) if seen != self._seen else None
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StorageError.about("read", self.path, error) from error
        if content is not None:
            if not self._parsed.goes_on_in(content):
                self._parsed = _Parser(self.path)
            self._seen, self._content = seen, self._parsed.read(content)
        return self._content

    def frozen(self) -> FrozenLog:
        """Return the log as it is now, whatever is added to it later; errors as `read`."""
        return FrozenLog(self.path.parent, self.read())

    def change(self, decide: Callable[[LogContent], Sequence[Edit]]) -> Sequence[Edit]:
        """Add the lines that somebody decides on, all of them or none.

        Parameters
        ----------
        decide : callable
            Gets what the log says and returns what to add; called again if the log grew since.

        Raises
        ------
        StorageError
            The folder cannot be written, or the disk is full.
        FolderBusyError
            Other processes keep the log in use.
        """
        for _ in range(_ATTEMPTS):
            content = self.read()
            edits = decide(content)
            if not edits:
                return edits
            with lock_shared_files(self.path.parent):
                if self._append("".join(edit.to_line() for edit in edits), content.size):
                    return edits
        raise FolderBusyError(f"{self.path} is being changed by others all the time; try again")

    def _append(self, lines: str, size: int) -> bool:
        """Add lines if the file still has a size; say whether it had."""
        try:
            with contextlib.suppress(FileNotFoundError):
                require_regular(self.path)
            with self.path.open("ab", buffering=0) as file:
                if os.fstat(file.fileno()).st_size != size:
                    return False
                try:
                    _write_all(file.fileno(), self._parsed.ending + lines.encode())
                    os.fsync(file.fileno())
                except OSError:
                    with contextlib.suppress(OSError):
                        file.truncate(size)
                    raise
        except OSError as error:
            raise StorageError.about("write", self.path, error) from error
        return True


class FrozenLog(EditLog):
    """A log as it was at one time, for what takes long and is to be of one piece.

    Parameters
    ----------
    folder : Path
        The output folder.
    content : LogContent
        What it said.
    """

    def __init__(self, folder: Path, content: LogContent) -> None:
        super().__init__(folder)
        self._content = content

    def read(self) -> LogContent:
        """Return what the log said."""
        return self._content

    def change(self, decide: Callable[[LogContent], Sequence[Edit]]) -> Sequence[Edit]:
        """Refuse: what is added would not show here."""
        raise InputError(f"{self.path} cannot be added to by way of a frozen copy; open it anew")


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


class _Parser:
    """Parses a file that grows, each whole line once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._whole = b""
        self._n_lines = 0
        self._edits: dict[str, Edit] = {}
        self._unreadable: list[UnreadableLine] = []
        self._told: bytes | None = None
        self.ending = b""
        """What must be written before a further line."""

    def goes_on_in(self, content: bytes) -> bool:
        """Whether all that was parsed stands at the beginning of a content."""
        return content.startswith(self._whole)

    def read(self, content: bytes) -> LogContent:
        """Parse what is new in a content."""
        end = content.rfind(b"\n") + 1
        for line in content[len(self._whole) : end].split(b"\n")[:-1]:
            self._n_lines += 1
            self._take(line)
        self._whole = content[:end]
        edits = dict(self._edits)
        self.ending = b""
        if last := content[end:]:
            found = _parse(last)
            self.ending = b"\n" if isinstance(found, Edit) else TORN + b"\n"
            if isinstance(found, Edit):
                edits.setdefault(found.id, found)
            elif last != self._told:
                self._told = last
                logger.warning(
                    "%s: the last line is incomplete (whoever wrote it was stopped) and is ignored",
                    self._path,
                )
        return LogContent(tuple(edits.values()), tuple(self._unreadable), len(content))

    def _take(self, line: bytes) -> None:
        if self._n_lines == 1:
            line = line.removeprefix(BYTE_ORDER_MARK)
        if not line.strip():
            return
        found = _parse(line)
        if isinstance(found, Edit):
            self._edits.setdefault(found.id, found)
        elif not line.rstrip().endswith(TORN):
            self._unreadable.append(UnreadableLine(self._n_lines, found))
            logger.warning(
                "%s, line %d is not understood and not applied: %s",
                self._path,
                self._n_lines,
                found,
            )


def _parse(line: bytes) -> Edit | str:
    """Return the action of a line, or what is wrong with it."""
    try:
        plain = json.loads(line)
        if not isinstance(plain, dict):
            return "expected an object in braces"
        version = plain.get("version")
        if isinstance(version, int) and version > LOG_VERSION:
            return f"a later pyama-core wrote it (version {version}); update this one"
        return Edit.from_plain(plain)
    except ValidationError as error:
        return first_problem(error)
    except (ValueError, RecursionError) as error:
        return f"no JSON ({error})"
