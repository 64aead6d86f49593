"""Stacks of a field of view as memory maps, as far as they are proven."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pyama_core.errors import DamagedFileError, InputError, reason_of
from pyama_core.io.mapping import open_array
from pyama_core.io.storage.artifacts import Appearance, checksum_of, look_at
from pyama_core.io.storage.as_written import is_as_written
from pyama_core.io.storage.records import OutputEntry
from pyama_core.results.proof import NotProvenError, released


class ProvenStacks:
    """Opens stacks of one folder, and remembers which were compared with their checksums.

    That is necessary where time and size do not prove a file, for instance because the folder was
    copied by a program that sets new times.
    """

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[Appearance, str]] = {}

    def open(self, path: Path, entry: OutputEntry) -> NDArray[Any]:
        """Map a (T, Y, X) stack into memory, read only.

        Raises
        ------
        NotProvenError
            It is gone, or not as it was written.
        """
        if entry.released:
            raise NotProvenError(released(entry.kind))
        if entry.not_made:
            raise NotProvenError(f"not made: {entry.not_made}")
        try:
            if not is_as_written(path, entry) and not self._is_intact(path, entry):
                raise NotProvenError("is not as it was written; run again to make it anew")
            stack = open_array(path)
        except FileNotFoundError as error:
            raise NotProvenError("the file is gone; run again to make it anew") from error
        except OSError as error:
            raise NotProvenError(f"cannot be read: {reason_of(error)}") from error
        except ValueError as error:
            raise DamagedFileError(f"{path} is no stack: {error}") from error
        return stack

    def _is_intact(self, path: Path, entry: OutputEntry) -> bool:
        seen = look_at(path)
        if seen.size != entry.size:
            return False
        known = self._seen.get(path)
        if known is None or known[0] != seen:
            known = self._seen[path] = (seen, checksum_of(path))
        return known[1] == entry.checksum


class StacksByChannel(Mapping[str, NDArray[Any]]):
    """Memory maps by the name of the channel (or its number), opened when they are asked for.

    Parameters
    ----------
    names : mapping of str to int
        Numbers of the channels by name.
    open_channel : callable
        Opens the stack of a number.
    """

    def __init__(
        self, names: Mapping[str, int], open_channel: Callable[[int], NDArray[Any]]
    ) -> None:
        self._names = names
        self._open = open_channel

    def __getitem__(self, name: str | int) -> NDArray[Any]:
        number = self._names.get(name, name) if isinstance(name, str) else name
        if number not in self._names.values():
            raise ChannelError(
                f"there is no such channel {name!r}; there are {', '.join(self._names) or 'none'}"
            )
        assert isinstance(number, int)
        return self._open(number)

    @property
    def numbers(self) -> Mapping[str, int]:
        """Numbers of the channels by name."""
        return self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<stacks of the channels {', '.join(self._names) or 'none'}>"


class ChannelError(InputError, KeyError):
    """There is no such channel."""

    def __str__(self) -> str:
        return str(self.args[0])
