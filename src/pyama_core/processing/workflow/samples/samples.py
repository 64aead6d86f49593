"""Samples: conditions of an experiment, and the fields of view that belong to each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from pyama_core.errors import InputError
from pyama_core.io.frame_ranges import format_ranges

UNASSIGNED = "unassigned"
"""The sample of fields of view that were given none."""

_LONGEST = 200
_OF_A_SPREADSHEET = re.compile(r"#(?:[A-Z]+[!?]|N/A|NV|DIV/0!)")
_FORMULA = ("=", "@")


@dataclass(frozen=True)
class Assignment:
    """Fields of view that are given a sample at once.

    Attributes
    ----------
    sample : str
        The sample, as `clean_text` returns it; `UNASSIGNED` takes them out of theirs.
    fovs : tuple of int
        The fields of view.
    where : str
        Who says so, for messages: a line of a table, a flag, a key.
    further : mapping of str to str
        What else is known of them, such as a concentration, by column.
    """

    sample: str
    fovs: tuple[int, ...]
    where: str
    further: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Samples:
    """The sample of each field of view.

    Attributes
    ----------
    names : tuple of str
        Names of all fields of view.
    sample_of : mapping of int to str
        By field of view; those that are not in it are unassigned.
    order : tuple of str
        The samples, in the order in which a person gave them.
    further : mapping of str to mapping of int to str
        What else is known: by column, then by field of view.
    origin : str
        Where it was taken from, for people.
    """

    names: tuple[str, ...]
    sample_of: Mapping[int, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    further: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    origin: str = "nothing: none were given, and the names of FOVs tell none"

    @classmethod
    def made_of(cls, names: Sequence[str], assignments: Iterable[Assignment], origin: str) -> Self:
        """Return the samples that assignments make; errors as `changed`."""
        return cls(names=tuple(names), origin=origin).changed(assignments)

    def changed(self, assignments: Iterable[Assignment]) -> Self:
        """Return samples after assignments, which win over what is there.

        Raises
        ------
        InputError
            Two of them give the same field of view different samples, or say different things
            of it.
        """
        sample_of = dict(self.sample_of)
        order = dict.fromkeys(self.order)
        further = {column: dict(values) for column, values in self.further.items()}
        given: dict[int, Assignment] = {}
        for assignment in assignments:
            for fov in assignment.fovs:
                self._refuse_contradiction(fov, given.setdefault(fov, assignment), assignment)
                sample_of[fov] = assignment.sample
                for column, value in assignment.further.items():
                    further.setdefault(column, {})[fov] = value
            order[assignment.sample] = None
        assigned = {fov: name for fov, name in sorted(sample_of.items()) if name != UNASSIGNED}
        used = set(assigned.values())
        return replace(
            self,
            sample_of=assigned,
            order=tuple(name for name in order if name in used),
            further={
                column: kept
                for column, values in further.items()
                if (kept := {fov: value for fov, value in sorted(values.items()) if value})
            },
        )

    def _refuse_contradiction(self, fov: int, first: Assignment, second: Assignment) -> None:
        name = f"FOV {fov} ({self.names[fov]})"
        if first.sample != second.sample:
            raise InputError(
                f"{name} is in {first.sample!r} ({first.where}) and in {second.sample!r} "
                f"({second.where}); give it one sample"
            )
        for column, value in second.further.items():
            other = first.further.get(column, value)
            if other != value:
                raise InputError(
                    f"{name} has the {column} {other!r} ({first.where}) and {value!r} "
                    f"({second.where}); give it one"
                )

    def of(self, fov: int) -> str:
        """Return the sample of a field of view."""
        return self.sample_of.get(fov, UNASSIGNED)

    def fovs_of(self, sample: str) -> list[int]:
        """Return the fields of view of a sample, in order."""
        return [fov for fov in range(len(self.names)) if self.of(fov) == sample]

    def all(self) -> list[str]:
        """Return all samples in order; `UNASSIGNED` last, if anything is."""
        rest = len(self.sample_of) < len(self.names)
        return [*self.order, *([UNASSIGNED] if rest else [])]

    def assignments(self, fovs: Iterable[int]) -> list[Assignment]:
        """Return what is said of some fields of view."""
        return [
            Assignment(
                self.of(fov),
                (fov,),
                self.origin,
                {name: values[fov] for name, values in self.further.items() if fov in values},
            )
            for fov in fovs
        ]

    def as_ranges(self) -> dict[str, str]:
        """Return the fields of view of each sample, as ``0-3,7``."""
        return {sample: format_ranges(self.fovs_of(sample)) for sample in self.all()}

    def meant_by(self, sample: str) -> str:
        """Return the sample that a word means, which may differ from it in capital letters.

        Raises
        ------
        InputError
            There is none, or several.
        """
        known, word = self.all(), clean_text(sample, "sample")
        if word in known:
            return word
        alike = [name for name in known if name.casefold() == word.casefold()]
        if len(alike) != 1:
            raise InputError(f"there is no sample {word!r}; there are {', '.join(known)}")
        return alike[0]


def clean_text(text: str, what: str) -> str:
    """Return a name or value as samples have it: one form of what looks the same.

    Raises
    ------
    InputError
        It can only be a mistake: what a spreadsheet left of a formula, or a whole paragraph.

    Examples
    --------
    >>> clean_text("  5  µM ", "sample")
    '5 µM'
    """
    cleaned = " ".join(unicodedata.normalize("NFC", text).split())
    if cleaned.startswith(_FORMULA) or _OF_A_SPREADSHEET.fullmatch(cleaned):
        raise InputError(
            f"{what}: expected a name or a number, found {cleaned[:60]!r}, a formula of a "
            "spreadsheet; save its value"
        )
    if len(cleaned) > _LONGEST or not cleaned.isprintable():
        raise InputError(
            f"{what}: expected at most {_LONGEST} letters in a line, found {cleaned[:60]!r}…"
        )
    return cleaned
