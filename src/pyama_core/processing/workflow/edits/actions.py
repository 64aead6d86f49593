"""What a person can correct: a frozen model per action, and the line of the log that holds it."""

from __future__ import annotations

import getpass
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from pyama_core.io.frame_ranges import parse_ranges

LOG_VERSION: Literal[1] = 1
"""Goes up when a line comes to mean something else, so that nobody who knows the old meaning
applies it."""

_LARGEST = 2**31 - 1  # what the columns of tables hold
_MOST_FRAMES = 10**6

CellNumber = Annotated[int, Field(ge=1, le=_LARGEST)]
FovNumber = Annotated[int, Field(ge=0, le=_LARGEST)]
FrameNumber = Annotated[int, Field(ge=0, lt=_MOST_FRAMES)]
Identifier = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]


def _one_line(text: str) -> str:
    """Return a text that fits in a field of a table: without line breaks."""
    return " ".join(text.split())


def _frame_ranges(text: str) -> str:
    if not parse_ranges(text, _MOST_FRAMES):
        raise ValueError("no frame")
    return text


Line = Annotated[str, Field(max_length=1000), AfterValidator(_one_line)]
FrameRanges = Annotated[str, AfterValidator(_frame_ranges)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Verdict(_Frozen):
    """A cell can be trusted, or cannot."""

    action: Literal["verdict"] = "verdict"
    cell: CellNumber
    good: bool
    note: Line = ""
    channel: int | None = Field(None, ge=0)
    """Number of the channel that it is about; None for all."""

    @property
    def cells(self) -> tuple[int, ...]:
        """Cells that the action speaks of."""
        return (self.cell,)

    def __str__(self) -> str:
        where = "" if self.channel is None else f" in channel {self.channel}"
        note = f": {self.note}" if self.note else ""
        return f"{self.cell} is {'good' if self.good else 'bad'}{where}{note}"


class Join(_Frozen):
    """Two tracks are of one cell, which keeps the number of the one that begins first."""

    action: Literal["join"] = "join"
    cell: CellNumber
    other: CellNumber

    @model_validator(mode="after")
    def _are_two(self) -> Self:
        if self.cell == self.other:
            raise ValueError(f"expected two cells to join, found {self.cell} twice")
        return self

    @property
    def cells(self) -> tuple[int, ...]:
        """Cells that the action speaks of."""
        return (self.cell, self.other)

    def __str__(self) -> str:
        return f"{self.cell} and {self.other} are one cell"


class Cut(_Frozen):
    """From a frame on, a track is of another cell, which has a number of its own."""

    action: Literal["cut"] = "cut"
    cell: CellNumber
    frame: Annotated[int, Field(ge=1, lt=_MOST_FRAMES)]
    """The first that belongs to the new cell."""
    new_cell: CellNumber | None = None
    """Its number; every line of a log has it."""

    @property
    def cells(self) -> tuple[int, ...]:
        """Cells that the action speaks of."""
        return (self.cell,)

    def __str__(self) -> str:
        new = "another cell" if self.new_cell is None else str(self.new_cell)
        return f"{self.cell} is {new} from frame {self.frame} on"


class Remove(_Frozen):
    """A cell, or what was taken for it in some frames, is none."""

    action: Literal["remove"] = "remove"
    cell: CellNumber
    frames: FrameRanges | None = None
    """Such as ``3-5,9``; None for all."""

    @property
    def cells(self) -> tuple[int, ...]:
        """Cells that the action speaks of."""
        return (self.cell,)

    def __str__(self) -> str:
        frames = "" if self.frames is None else f" in frames {self.frames}"
        return f"{self.cell} is removed{frames}"


class SetParent(_Frozen):
    """A cell came from the division of another, or of none."""

    action: Literal["parent"] = "parent"
    cell: CellNumber
    parent: CellNumber | None

    @model_validator(mode="after")
    def _is_another(self) -> Self:
        if self.cell == self.parent:
            raise ValueError(f"cell {self.cell} cannot be its own parent")
        return self

    @property
    def cells(self) -> tuple[int, ...]:
        """Cells that the action speaks of."""
        return (self.cell,) if self.parent is None else (self.cell, self.parent)

    def __str__(self) -> str:
        return f"{self.cell} has {'no parent' if self.parent is None else f'parent {self.parent}'}"


class Undo(_Frozen):
    """Another action counts no longer."""

    action: Literal["undo"] = "undo"
    of: Identifier

    @property
    def cells(self) -> tuple[int, ...]:
        """Cells that the action speaks of."""
        return ()

    def __str__(self) -> str:
        return f"undo {self.of}"


class Redo(_Frozen):
    """Another action, which was undone, counts again."""

    action: Literal["redo"] = "redo"
    of: Identifier

    @property
    def cells(self) -> tuple[int, ...]:
        """Cells that the action speaks of."""
        return ()

    def __str__(self) -> str:
        return f"redo {self.of}"


Correction = Verdict | Join | Cut | Remove | SetParent
Action = Correction | Undo | Redo
_ACTIONS: TypeAdapter[Action] = TypeAdapter(Annotated[Action, Field(discriminator="action")])


class Sighting(_Frozen):
    """A cell in one frame, in pixels."""

    frame: FrameNumber
    x: FiniteFloat
    y: FiniteFloat
    area: Annotated[FiniteFloat, Field(gt=0)]
    box: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat] | None = None
    """First row, first column, last row + 1, last column + 1."""


class Anchor(_Frozen):
    """What a cell was like when an action spoke of it, by which it is found again."""

    cell: CellNumber
    labels: str
    """Checksum of the label image in which it had this number."""
    n_frames: Annotated[int, Field(ge=0, le=_MOST_FRAMES)]
    """Frames of that label image."""
    frames: str
    """Those in which the cell was seen, such as ``0-3,7``."""
    seen: tuple[Sighting, ...] = ()
    """The cell in some of them."""

    @model_validator(mode="after")
    def _frames_are_within_the_movie(self) -> Self:
        parse_ranges(self.frames, self.n_frames)
        return self


class Edit(_Frozen):
    """One line of the log: an action, who did it and when, and the cells it speaks of."""

    version: Literal[1] = LOG_VERSION
    id: Identifier
    at: AwareDatetime
    by: Line
    fov: FovNumber
    action: Action
    anchors: tuple[Anchor, ...] = ()
    """Of the cells of the action, in their order."""
    batch: Identifier | None = None
    """Name that actions share which were asked for at once, and are undone at once."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if isinstance(self.action, Cut) and self.action.new_cell is None:
            raise ValueError("a cut without the number of the new cell")
        return self

    @classmethod
    def now(cls, fov: int, action: Action, anchors: tuple[Anchor, ...], by: str) -> Self:
        """Return the line of an action of this moment."""
        at = datetime.now(UTC).replace(microsecond=0)
        return cls(id=new_id(), at=at, by=by, fov=fov, action=action, anchors=anchors)

    def to_line(self) -> str:
        r"""Return the line, which ends in ``\n``; of ASCII, so that a part of it is still text."""
        plain = self.model_dump(mode="json", exclude={"action", "anchors", "batch"})
        plain |= self.action.model_dump(mode="json")
        if self.batch is not None:
            plain["batch"] = self.batch
        plain["anchors"] = [anchor.model_dump(mode="json") for anchor in self.anchors]
        return json.dumps(plain, separators=(",", ":")) + "\n"

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read a line, after it was read as JSON.

        Raises
        ------
        ValidationError
            It is no line of a log, or of one that a later version wrote.
        """
        return cls.model_validate({**plain, "action": parse_action(plain)})


def as_batch(edits: Sequence[Edit]) -> list[Edit]:
    """Return lines that are made at once, of which all know that they belong together."""
    if len(edits) < 2:
        return list(edits)
    return [edit.model_copy(update={"batch": edits[0].id}) for edit in edits]


def parse_action(plain: Mapping[str, Any]) -> Action:
    """Read an action from the fields of a line.

    Raises
    ------
    ValidationError
        There is no such action, or a field of it is missing or out of bounds.

    Examples
    --------
    >>> str(parse_action({"action": "cut", "cell": 17, "frame": 42}))
    '17 is another cell from frame 42 on'
    """
    return _ACTIONS.validate_python(dict(plain))


def new_id() -> str:
    """Return a name for an action that no other has."""
    return secrets.token_hex(6)


def who() -> str:
    """Return the name of the user, as far as the system knows it."""
    try:
        return as_text(getpass.getuser())
    except (OSError, KeyError, ImportError):  # of which it depends on the system
        return "unknown"


def as_text(words: str) -> str:
    """Return words in which what is no text is escaped."""
    return words.encode(errors="backslashreplace").decode()


def first_problem(error: ValidationError) -> str:
    """Say in a few words what is wrong with a line."""
    problem: Mapping[str, Any] = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
