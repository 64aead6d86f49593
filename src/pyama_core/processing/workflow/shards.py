"""Parts of a run that a batch scheduler starts on as many computers, into one folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pyama_core.errors import InputError

_WORDS = re.compile(r"\s*([0-9]+)\s*/\s*([0-9]+)\s*")


@dataclass(frozen=True)
class Shard:
    """The part `number` (from 1) of `count` even parts of the fields of view of a run.

    Parts are dealt out like cards: neighbouring fields of view, which are often of one well and
    take alike long, come into different parts.

    Examples
    --------
    >>> Shard.parse("2/3").of(range(8))
    [1, 4, 7]
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise InputError(
                f"shard: expected i/n with i from 1 to n, found {self.number}/{self.count}"
            )

    @classmethod
    def parse(cls, words: str) -> Self:
        """Read ``i/n``.

        Raises
        ------
        InputError
            The words are something else.
        """
        match = _WORDS.fullmatch(words)
        if match is None:
            raise InputError(f"shard: expected i/n, such as 3/10, found {words!r}")
        return cls(int(match[1]), int(match[2]))

    def of(self, fovs: Sequence[int]) -> list[int]:
        """Return its fields of view; none, if there are fewer of them than parts."""
        return list(fovs[self.number - 1 :: self.count])

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"
