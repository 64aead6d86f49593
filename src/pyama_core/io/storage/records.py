"""The record beside the outputs of a field of view: what is there, and what it was made from.

A record is one JSON file per FOV. It is the only thing that a later run believes: an output
whose record does not say exactly what would be made now does not count, whatever its name.
Records are read from disks that rot and folders that people edit, so everything in them is
validated; what does not parse is as good as absent.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from pyama_core.errors import InputError, reason_of
from pyama_core.io.checksums import SourceIdentity
from pyama_core.io.frame_ranges import parse_ranges
from pyama_core.io.read_files import parameter_of
from pyama_core.io.regular_files import read_regular
from pyama_core.io.storage.atomic import write_whole
from pyama_core.outputs import Output

logger = logging.getLogger(__name__)

RECORD_VERSION: Literal[1] = 1
_Value = TypeVar("_Value")
"""Goes up when what a record proves comes to mean something else, so that nobody who knows the
old meaning believes it. What only describes can be added without: `FovRecord` and `Names` keep
fields that they do not know, and have a default for those that older records lack."""


def _plain_name(name: str) -> str:
    """Refuse names that could lead out of the folder of the FOV."""
    if not name or name in {".", ".."} or any(character in name for character in "/\\:\0"):
        raise ValueError(f"{name!r} is not a plain file name")
    return name


FileName = Annotated[str, AfterValidator(_plain_name)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Provenance(_Frozen):
    """What an output is made by and from; equal provenance means equal bytes."""

    step: str
    algorithm: str
    """Name and version of the algorithm."""
    parameters: dict[str, JsonValue]
    """Those that differ from the defaults, for which the version of the algorithm stands, and the
    method. Records of version 0.1.0 have them all."""
    inputs: dict[str, str]
    """Role of each input and its checksum (for a copy: the identity of the source)."""

    def without(self, defaults: Mapping[str, Any]) -> Provenance:
        """Return this provenance without the parameters that have their defaults."""
        return self.model_copy(update={"parameters": not_default(self.parameters, defaults)})

    def without_places(self) -> Provenance:
        """Return this provenance without the parameters that lead to files.

        The content of the files is among the inputs; where they are does not matter.
        """
        return self.model_copy(update={"parameters": self.not_places(self.parameters)})

    def not_places(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return parameters but for those that lead to files which are inputs here."""
        places = {parameter_of(role) for role in self.inputs}
        return {name: value for name, value in parameters.items() if name not in places}


def not_default(parameters: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that differ from their defaults, and the method.

    So a parameter that is added with a neutral default leaves what was made before valid.

    Examples
    --------
    >>> not_default({"method": "iou", "min_iou": 0.1, "gap": 2}, {"min_iou": 0.1, "gap": 0})
    {'method': 'iou', 'gap': 2}
    """
    return {
        name: value
        for name, value in parameters.items()
        if name == "method" or name not in defaults or defaults[name] != value
    }


class OutputEntry(_Frozen):
    """One output file, as it was when it was renamed to its final name."""

    kind: str
    """Name of one of `pyama_core.outputs.KINDS`."""
    channel: int
    provenance: Provenance
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    size: int
    mtime_ns: int
    checksum: str
    host: str
    boot: str
    durable: bool = False
    """Flushed to disk after it was written: a loss of power does not touch it."""
    missing: str = ""
    """Frames that the source lacks, such as ``3,7-9``; here they hold no image."""
    released: bool = False
    """Deleted on request to save space; what was made from it stays valid."""
    summary: dict[str, int] = {}
    """Counts worth telling, such as cells, and how many of them are good."""
    read: dict[str, SourceIdentity] = {}
    """How the files beside the source were that the step read, by the role of each as an input."""
    not_made: str = ""
    """Why there is no file, where the data cannot give one; what is made from it does without."""

    @model_validator(mode="after")
    def _files_read_are_inputs(self) -> Self:
        if not set(self.read) <= set(self.provenance.inputs):
            raise ValueError("files that were read are not among the inputs")
        return self

    @model_validator(mode="after")
    def _missing_frames_are_within_the_stack(self) -> Self:
        self.missing_frames()
        return self

    def missing_frames(self) -> frozenset[int]:
        """Return the numbers of the frames that hold no image."""
        return parse_ranges(self.missing, self.shape[0] if self.shape else 0)


class Failure(_Frozen):
    """Why the last attempt at a field of view did not finish."""

    step: str
    error: str

    def reason(self, fov: int) -> str:
        """Return the error without the field of view and the step, for where both stand beside it.

        Examples
        --------
        >>> Failure(step="copying", error="FOV 3, copying: it is damaged").reason(3)
        'it is damaged'
        """
        return self.error.removeprefix(f"FOV {fov}, {self.step}: ")


class Settings(_Frozen):
    """What the run that last worked on a field of view was asked for."""

    channels: dict[str, JsonValue]
    params: dict[str, dict[str, JsonValue]]
    time_units: str
    version: str
    """Version of this package."""


class _Describing(_Frozen):
    """Keeps what a later version notes beside the rest; nothing that is proven depends on it."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Names(_Describing):
    """What the source calls a field of view and all of its channels, for people to read."""

    fov: str = ""
    channels: tuple[str, ...] = ()


class PictureNote(_Describing):
    """What the channel in which cells are found was taken to show, and why."""

    kind: str
    likely: str
    reason: str
    method: str
    """The segmentation that was chosen."""


class OwnFilesNote(_Describing):
    """What identifies the files of one field of view, where it has files apart from others."""

    identity: SourceIdentity
    within: str
    """The whole source of which they were a part, as an input of the copies."""


class FovRecord(_Describing):
    """All that is known of the outputs of one field of view."""

    format: Literal["pyama-core record"] = "pyama-core record"
    version: Literal[1] = RECORD_VERSION
    fov: int = Field(ge=0)
    base_name: FileName
    source: SourceIdentity
    seen_source: SourceIdentity | None = None
    """The source with other times, whose pixels were found to be those that were copied."""
    own: OwnFilesNote | None = None
    """Its files among those of the source: while they are the same, others may change."""
    names: Names = Names()
    settings: Settings | None = None
    picture: PictureNote | None = None
    """Where the segmentation was left to be chosen."""
    outputs: dict[FileName, OutputEntry] = {}
    replaceable: dict[FileName, tuple[str, ...]] = {}
    """Checksums of files that a run made, or is about to rename, and that no entry speaks of."""
    failure: Failure | None = None

    def knows_source(self, source: SourceIdentity) -> bool:
        """Whether a source is known to be the one that was copied, or nothing was copied yet."""
        known = [self.source] if self.seen_source is None else [self.source, self.seen_source]
        return not self.outputs or any(source.is_same(identity) for identity in known)

    def may_be_of(self, source: SourceIdentity) -> bool:
        """Whether a source is the one that was copied, or a look at its pixels must decide."""
        return self.knows_source(source) or self.source.may_be(source)

    @property
    def own_files(self) -> SourceIdentity | None:
        """What identifies the files of this field of view, as they were copied, if that is known.

        What versions that know nothing of it copied anew is another part of another source.
        """
        is_current = self.own is not None and self.own.within == self.source.as_text()
        return self.own.identity if self.own is not None and is_current else None

    def with_output(self, name: str, entry: OutputEntry) -> FovRecord:
        """Return a record in which `name` is described by `entry`."""
        outputs = {**self.outputs, name: entry}
        return self.model_copy(
            update={"outputs": outputs, "replaceable": _without(self.replaceable, name)}
        )

    def without_output(self, name: str, coming: str = "") -> FovRecord:
        """Return a record without an entry for `name`.

        It remembers the checksum of the file that it spoke of, and that of the one to come, for
        neither is anybody's work but a run's.
        """
        known = (*self.own_checksums(name), coming)
        replaceable = {**self.replaceable, name: tuple(dict.fromkeys(filter(None, known)))}
        return self.model_copy(
            update={"outputs": _without(self.outputs, name), "replaceable": replaceable}
        )

    def own_checksums(self, name: str) -> tuple[str, ...]:
        """Return the checksums of the files that runs made under a name, as far as is known."""
        entry = self.outputs.get(name)
        return (*self.replaceable.get(name, ()), *([] if entry is None else [entry.checksum]))

    def find(self, output: Output) -> tuple[str, OutputEntry] | None:
        """Name and entry of an output."""
        for name, entry in self.outputs.items():
            if entry.kind == output.kind.name and entry.channel == output.channel:
                return name, entry
        return None

    def to_json(self) -> str:
        """Return the text of the record file."""
        return json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, content: bytes | str) -> Self:
        """Read the text of a record file.

        Raises
        ------
        ValueError
            It is not one (a `pydantic.ValidationError` where it is at least JSON).
        """
        try:
            # Python's own parser keeps what is in file names and is no text; pydantic's does not.
            plain = json.loads(content)
        except RecursionError as error:
            raise ValueError("too many brackets within each other") from error
        return cls.model_validate(plain)


def _without(values: Mapping[str, _Value], name: str) -> dict[str, _Value]:
    return {key: value for key, value in values.items() if key != name}


def save_record(path: Path, record: FovRecord) -> None:
    """Replace the record file in one step.

    Raises
    ------
    StorageError
        The folder cannot be written.
    """
    write_whole(path, record.to_json())


def load_record(path: Path) -> FovRecord | None:
    """Read a record; None if there is none or it cannot be believed, which is logged."""
    try:
        content = read_regular(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.warning(
            "%s cannot be read (%s): its outputs will be made again", path, reason_of(error)
        )
        return None
    try:
        return FovRecord.from_json(content)
    except ValueError as error:
        logger.warning(
            "%s is damaged or of another version (%s): its outputs will be made again",
            path,
            _first_problem(error),
        )
        return None


def require_readable(record: FovRecord) -> None:
    """Make sure, before the first of it is written, that a record can be read back.

    Raises
    ------
    InputError
        It has something in it that no text can hold.
    """
    try:
        read = FovRecord.from_json(record.to_json())
    except ValueError as error:
        raise InputError(f"the record would be unreadable: {_first_problem(error)}") from error
    if read != record:
        raise InputError("the record would be read as another than it is written")


def _first_problem(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    problem: Mapping[str, Any] = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg']}" if place else str(problem["msg"])
