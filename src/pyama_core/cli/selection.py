"""Words for positions and channels, as people type them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pyama_core.io.errors import InputError

# No file has a billion positions, and int() refuses words of thousands of digits.
_ITEM = re.compile(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?")
_NUMBER = re.compile(r"\s*[0-9]{1,9}\s*")


def parse_fovs(text: str) -> list[int] | None:
    """Read a selection such as ``0-3,7``; None means all.

    Raises
    ------
    InputError
        It cannot be read.

    Examples
    --------
    >>> parse_fovs("0-3,7")
    [0, 1, 2, 3, 7]
    """
    if text.strip().lower() == "all":
        return None
    chosen: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise InputError(f"--fovs: expected numbers and ranges such as 0-3,7, found {text!r}")
        first = int(match[1])
        last = int(match[2] or first)
        if last < first:
            raise InputError(f"--fovs: the range {item.strip()!r} runs backwards")
        if last - first > 1_000_000:
            raise InputError(f"--fovs: the range {item.strip()!r} is too long")
        chosen.update(range(first, last + 1))
    return sorted(chosen)


def find_channel(word: str | int, names: Sequence[str]) -> int:
    """Find a channel by its exact name, otherwise by its number.

    Raises
    ------
    InputError
        There is no such channel, or two of that name.

    Examples
    --------
    >>> find_channel("GFP", ["phase", "GFP"]), find_channel("0", ["phase", "GFP"])
    (1, 0)
    """
    known = ", ".join(f"{index} ({name})" for index, name in enumerate(names))
    if isinstance(word, str):
        if names.count(word) == 1:
            return names.index(word)
        if word in names:
            raise InputError(f"several channels are named {word!r}; give a number: {known}")
        if not _NUMBER.fullmatch(word):
            raise InputError(f"there is no channel {word!r}; the file has {known}")
    index = int(word)
    if not 0 <= index < len(names):
        raise InputError(f"there is no channel {index}; the file has {known}")
    return index
