"""The kinds of output there are: one row for each, and nothing about them anywhere else.

Naming, planning, status, sizes, release, verification and the results file derive from this
table, and from what each step declares for a request: its outputs, and the inputs of each
(`pyama_core.processing.workflow.graph`). A new output is a row here and a step that declares it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Form(StrEnum):
    """What an output is on disk."""

    STACK = "stack"
    """A `.npy` file of (T, Y, X)."""
    TABLE = "table"
    """A small text file, never released: it is what all else is for."""
    FOLDER = "folder"
    """A folder of files, such as a Zarr store, that counts as one output."""


class Missing(StrEnum):
    """What the pixels of a frame are that the source does not have."""

    NO_IMAGE = "no image"
    """No number, or the largest where every value is a number: a white frame is not mistaken for
    one that was taken in the dark."""
    NO_OBJECT = "no object"
    """0: masks and label images have no cell there."""


@dataclass(frozen=True)
class OutputKind:
    """A kind of output.

    Attributes
    ----------
    name : str
        As in records, the results file and `ResultsPathsPerFOV`.
    step : str
        The step that makes it.
    form : Form
        What it is on disk.
    stem : str
        What its files are called after the field of view.
    suffix : str
        How their names end.
    per_channel : bool
        Whether there is one for each of several channels; otherwise there is one for the field of
        view, of the channel in which cells are found, or nuclei.
    names_channel : bool
        Whether the name tells the channel.
    dtype : str or None
        Of a stack, where it is the same for every request; None is the type of the source, or
        what the step declares.
    missing : Missing
        Of a stack: what stands in for a frame that does not exist.
    releasable : bool
        Whether it may be deleted to save space; the step that made it brings it back.
    """

    name: str
    step: str
    form: Form
    stem: str
    suffix: str
    per_channel: bool = False
    names_channel: bool = True
    dtype: str | None = None
    missing: Missing = Missing.NO_IMAGE
    releasable: bool = False


def _stack(
    name: str,
    step: str,
    *,
    per_channel: bool = False,
    dtype: str | None = None,
    missing: Missing = Missing.NO_IMAGE,
) -> OutputKind:
    return OutputKind(
        name,
        step,
        Form.STACK,
        stem=name,
        suffix=".npy",
        per_channel=per_channel,
        dtype=dtype,
        missing=missing,
        releasable=True,
    )


def _table(
    name: str, step: str, *, per_channel: bool = False, names_channel: bool = True
) -> OutputKind:
    return OutputKind(
        name,
        step,
        Form.TABLE,
        stem=name.removesuffix("_csv"),
        suffix=".csv",
        per_channel=per_channel,
        names_channel=names_channel,
    )


PC = _stack("pc", "copying")
FL = _stack("fl", "copying", per_channel=True)
SEG = _stack("seg", "segmentation", missing=Missing.NO_OBJECT)
FL_CORRECTED = _stack("fl_corrected", "correction", per_channel=True, dtype="float32")
SEG_LABELED = _stack("seg_labeled", "tracking", dtype="uint16", missing=Missing.NO_OBJECT)
TRACKS_CSV = _table("tracks_csv", "tracking", names_channel=False)
SHIFTS_CSV = _table("shifts_csv", "tracking", names_channel=False)
NUCLEI = _stack("nuclei", "nuclei", dtype="uint16", missing=Missing.NO_OBJECT)
NUCLEI_CSV = _table("nuclei_csv", "nuclei", names_channel=False)
TRACES_CSV = _table("traces_csv", "extraction", per_channel=True)

KINDS: tuple[OutputKind, ...] = (
    PC,
    FL,
    SEG,
    FL_CORRECTED,
    SEG_LABELED,
    TRACKS_CSV,
    SHIFTS_CSV,
    NUCLEI,
    NUCLEI_CSV,
    TRACES_CSV,
)
"""All kinds, in the order of the steps that make them."""


def all_kinds() -> tuple[OutputKind, ...]:
    """Return all kinds, in the order of the steps that make them."""
    return KINDS


def step_names() -> list[str]:
    """Return the steps, in order.

    Examples
    --------
    >>> step_names()
    ['copying', 'segmentation', 'correction', 'tracking', 'nuclei', 'extraction']
    """
    return list(dict.fromkeys(kind.step for kind in KINDS))


def kind_named(name: str) -> OutputKind | None:
    """Return the kind of a name, such as one that a record has; None if there is none.

    Examples
    --------
    >>> kind_named("seg").step
    'segmentation'
    """
    return next((kind for kind in KINDS if kind.name == name), None)


@dataclass(frozen=True)
class Output:
    """One output of a field of view: its kind, and the channel that it belongs to."""

    kind: OutputKind
    channel: int


@dataclass(frozen=True)
class Declaration:
    """What a step says, for a request, of an output that it will make.

    Attributes
    ----------
    output : Output
        The output.
    inputs : mapping of str to Output
        What it is made from, by the role that the input has for the step. Roles are names in
        provenance, so they stay as they are.
    dtype : str or None
        Of a stack: its type as far as the request tells; None is that of the source.
    """

    output: Output
    inputs: Mapping[str, Output]
    dtype: str | None = None
