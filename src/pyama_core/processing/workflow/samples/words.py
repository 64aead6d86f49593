"""Samples as people type them: ``control=0-9,12``, or a section of the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, SupportsIndex

from pyama_core.errors import InputError
from pyama_core.processing.workflow.samples.samples import UNASSIGNED, Assignment, clean_text
from pyama_core.processing.workflow.services.selection import find_fovs

Words = str | SupportsIndex | Iterable[SupportsIndex | str]


def assignment_from_text(text: str, names: Sequence[str], where: str) -> Assignment:
    """Read ``SAMPLE=FOVS``.

    Raises
    ------
    InputError
        It is not of this form, or one of the fields of view does not exist.

    Examples
    --------
    >>> assignment_from_text("control=0,B1", ["A1", "A2", "B1"], "--set").fovs
    (0, 2)
    """
    sample, sign, words = text.rpartition("=")
    if not sign or not words.strip():
        raise InputError(f"{where}: expected SAMPLE=FOVS, such as control=0-9,12; found {text!r}")
    return assignment(sample, words, names, where)


def assignments_from_mapping(
    given: Mapping[str, Any], names: Sequence[str], where: str
) -> list[Assignment]:
    """Read samples by name: the words for their fields of view, or these and what else is known.

    Raises
    ------
    InputError
        One of the fields of view does not exist, or a value is of no use.

    Examples
    --------
    >>> given = {"control": "0-1", "drug": {"fovs": "2", "concentration": 5}}
    >>> control, drug = assignments_from_mapping(given, ["A1", "A2", "B1"], "samples")
    >>> drug.fovs, drug.further
    ((2,), {'concentration': '5'})
    """
    found = []
    for sample, value in given.items():
        place = f"{where}.{sample}"
        further = dict(value) if isinstance(value, Mapping) else {}
        words = further.pop("fovs", None) if isinstance(value, Mapping) else value
        if words is None:
            raise InputError(f"{place}: expected FOVs, such as 0-9,12; found none")
        found.append(assignment(str(sample), words, names, place, further))
    return found


def assignment(
    sample: str,
    words: Words,
    names: Sequence[str],
    where: str,
    further: Mapping[str, Any] | None = None,
) -> Assignment:
    """Return what is said of some fields of view; errors as `assignments_from_mapping`."""
    try:
        name = _name(sample)
        fovs = find_fovs([words] if isinstance(words, SupportsIndex) else words, names)
        columns = {
            clean_text(column, "column"): _as_value(value, column)
            for column, value in (further or {}).items()
        }
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return Assignment(name, tuple(fovs), where, columns)


def _name(sample: str) -> str:
    name = clean_text(sample, "sample")
    if not name:
        raise InputError(f"expected a sample ({UNASSIGNED} for none), found no name")
    return name


def _as_value(value: object, column: str) -> str:
    if not isinstance(value, (str, int, float)):
        raise InputError(f"{column}: expected a text or a number, found {value!r}")
    return clean_text(str(value), column)
