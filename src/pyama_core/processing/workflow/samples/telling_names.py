"""Samples that names of FOVs tell by themselves: wells of a plate, or words with a counter."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from pyama_core.processing.workflow.services.wells import well_of

_GENERIC = (
    "channel|field|fov|frame|image|img|movie|point|pos|position|roi|scene|serie|series|site|"
    "stage|tile|view|well|xy|[a-z]"
)
_SEPARATED = r"[\s_\-.,:/#()\[\]]"
_COUNTED = rf"(?:{_GENERIC}){_SEPARATED}*"
_AT_END = re.compile(rf"(?:^|{_SEPARATED}+)(?:{_COUNTED})?\d+{_SEPARATED}*$", re.IGNORECASE)
# At the start a number alone may be a dose: 5 µM.
_AT_START = re.compile(rf"^{_SEPARATED}*{_COUNTED}\d+(?:{_SEPARATED}+|$)", re.IGNORECASE)
_EDGES = re.compile(rf"^{_SEPARATED}+|{_SEPARATED}+$")
_NOTHING_TOLD = re.compile(rf"(?:{_GENERIC}|tr|p|)\d*", re.IGNORECASE)


def samples_from_names(names: Sequence[str]) -> tuple[list[str], str] | None:
    """Return the sample of each FOV and what it was taken from; None if names do not tell.

    They tell if all of them do, and not all the same.

    Examples
    --------
    >>> samples_from_names(["B2_1", "B2_2", "B3_1"])
    (['B2', 'B2', 'B3'], 'the wells in the names of FOVs')
    >>> samples_from_names(["control_001", "control_002", "5 µM_001"])
    (['control', 'control', '5 µM'], 'the names of FOVs, without their numbers')
    >>> samples_from_names(["position 1", "position 2"])
    """
    wells = [well_of(name) for name in names]
    if all(wells) and len(set(wells)) > 1 and not all(str(well)[0] == "P" for well in wells):
        return [str(well) for well in wells], "the wells in the names of FOVs"
    if not any(any(character.isdigit() for character in name) for name in names):
        return _if_telling(list(names), "the names of FOVs", several=False)
    for without in (_without_counters, _without_digits):
        words = [without(name) for name in names]
        if found := _if_telling(words, "the names of FOVs, without their numbers"):
            return found
    return None


def _if_telling(
    words: list[str], taken_from: str, *, several: bool = True
) -> tuple[list[str], str] | None:
    """Return words if they say something, and at least one of them stands for several FOVs."""
    counts = Counter(words)
    if len(counts) < 2 or (several and max(counts.values()) < 2):
        return None
    if any(_NOTHING_TOLD.fullmatch(word) for word in words):
        return None
    return words, taken_from


def _without_counters(name: str) -> str:
    """Return a name without numbers that stand alone at its ends, and the words that go with them.

    Examples
    --------
    >>> [_without_counters(name) for name in ("Pos3 ctrl", "siRNA1_02", "drug (s2)", "5 µM.1")]
    ['ctrl', 'siRNA1', 'drug', '5 µM']
    """
    return _repeatedly(lambda text: _AT_START.sub("", _AT_END.sub("", text)), name)


def _without_digits(name: str) -> str:
    """Return a name without any number at its end.

    Examples
    --------
    >>> _without_digits("control12")
    'control'
    """
    return _repeatedly(lambda text: text.rstrip("0123456789"), _without_counters(name))


def _repeatedly(strip: Callable[[str], str], text: str) -> str:
    while (stripped := _EDGES.sub("", strip(text))) != text:
        text = stripped
    return text
