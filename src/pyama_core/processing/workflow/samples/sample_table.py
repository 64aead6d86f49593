"""The table of samples as a CSV file, as this package writes it and as people do.

A spreadsheet may put a mark before the first letter, semicolons or tabs between columns, commas
into numbers, and letters into the code page of its computer; rows may be empty, and a field of view
may stand in two of them. What can only be meant one way is read so, and the rest is refused with
its line.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyama_core.errors import InputError, reason_of
from pyama_core.io.regular_files import open_regular
from pyama_core.processing.workflow.samples.samples import (
    UNASSIGNED,
    Assignment,
    Samples,
    clean_text,
)
from pyama_core.processing.workflow.services.selection import find_fovs

POSITION_COLUMNS = ("fov", "fovs", "position", "positions", "well", "wells", "name", "names")
SAMPLE_COLUMNS = ("sample", "samples", "condition", "conditions")
_DELIMITERS = (";", "\t", ",")
_MAX_SIZE = 10 << 20
_WITH_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+(?:[eE][+-]?[0-9]+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+")
_WITH_POINT = re.compile(r"[+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE_WITH_POINT = re.compile(r"\s*([0-9]+)[.,]0+\s*")
_DATE = re.compile(r"[0-9]{1,2}[./-]? ?[^\W\d]{3,}\.?(?:[ -]?[0-9]{2,4})?|[^\W\d]{3,}[ -][0-9]{2}")


def read_sample_table(path: Path, names: Sequence[str]) -> list[Assignment]:
    """Read which fields of view belong to which sample.

    Parameters
    ----------
    path : Path
        A CSV file with a header: a column ``fov``, ``position``, ``well`` or ``name``, with words
        as `find_fovs` takes them, a column ``sample`` or ``condition``, and any others.
    names : sequence of str
        Names of all fields of view.

    Raises
    ------
    InputError
        It cannot be read or understood; the message names the line.
    """
    text = _decoded(path)
    try:
        lines = _Lines.parse(text)
        return [lines.assignment(row, names) for row in lines.rows]
    except (InputError, csv.Error) as error:
        raise InputError(f"{path}: {error}") from error


def write_sample_table(samples: Samples) -> str:
    """Return the text of the table of samples: a row per field of view, those of a sample together.

    Examples
    --------
    >>> samples = Samples.made_of(["A1", "A2"], [Assignment("control", (1,), "")], "a test")
    >>> print(write_sample_table(samples), end="")
    fov,name,sample
    1,A2,control
    0,A1,unassigned
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["fov", "name", "sample", *samples.further])
    for sample in samples.all():
        for fov in samples.fovs_of(sample):
            further = [values.get(fov, "") for values in samples.further.values()]
            writer.writerow([fov, _in_one_line(samples.names[fov]), sample, *further])
    return buffer.getvalue()


def _in_one_line(name: str) -> str:
    """Return a name of a field of view without what no cell of a table holds."""
    printable = "".join(letter if letter.isprintable() else " " for letter in name)
    return " ".join(unicodedata.normalize("NFC", printable).split())


def _decoded(path: Path) -> str:
    try:
        with open_regular(path) as file:
            content = file.read(_MAX_SIZE + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason_of(error, path)}") from error
    if len(content) > _MAX_SIZE:
        raise InputError(f"{path}: expected a table of samples, found more than 10 MB")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    else:
        # Spreadsheets on Windows save in the code page of most of Europe and America.
        encodings = ["utf-8-sig", "cp1252"]
    if not content.startswith(b"PK") and (b"\0" not in content or encodings == ["utf-16"]):
        for encoding in encodings:
            try:
                return content.decode(encoding)
            except UnicodeDecodeError:
                continue
    raise InputError(f"{path} is not text; save the table as CSV (UTF-8)")


@dataclass(frozen=True)
class _Row:
    """A row that is not empty, and the line that it ends on."""

    line: int
    fields: Mapping[str, str]


@dataclass(frozen=True)
class _Lines:
    """A table whose columns are known."""

    position: str
    sample: str
    is_ours: bool
    further: tuple[str, ...]
    rows: tuple[_Row, ...]

    @classmethod
    def parse(cls, text: str) -> _Lines:
        """Find delimiter and columns, and take the rows apart."""
        delimiter, skipped, header = _header(text)
        columns = {name.casefold(): name for name in header if name}
        position = _position_column(columns)
        sample = next(columns[name] for name in SAMPLE_COLUMNS if name in columns)
        is_ours = position.casefold() == "fov" and "name" in columns
        known = {position, sample} | ({columns["name"]} if is_ours else set())
        further = tuple(name for name in header if name and name not in known)
        for name in further:
            if name.casefold() in ("fov", "name", "sample"):
                raise InputError(f"the column {name!r} stands beside {position!r}; name it anew")
        rows = _rows(text, delimiter, skipped, header)
        lines = cls(position, sample, is_ours, further, tuple(rows))
        return lines._with_numbers(decimal_comma=delimiter != ",")

    def assignment(self, row: _Row, names: Sequence[str]) -> Assignment:
        """Return what a row says."""
        where = f"line {row.line}"
        words = row.fields[self.position]
        try:
            return Assignment(
                sample=clean_text(row.fields[self.sample], self.sample) or UNASSIGNED,
                fovs=tuple(self._fovs(row, words, names)),
                where=where,
                further={name: row.fields[name] for name in self.further},
            )
        except InputError as error:
            hint = ""
            if _DATE.fullmatch(words.strip()):
                hint = "; did a spreadsheet make a date of a range? Write it as index:1-3"
            raise InputError(f"{where}: {error}{hint}") from error

    def _fovs(self, row: _Row, words: str, names: Sequence[str]) -> list[int]:
        if not words.strip():
            raise InputError(f"expected a FOV in the column {self.position!r}, found none")
        if whole := _WHOLE_WITH_POINT.fullmatch(words):
            words = whole[1]  # numbers that went through a program that knows no others
        if not self.is_ours:
            return find_fovs(words, names)
        # Beside its name, a number is a number, whatever the names of others are.
        fovs = find_fovs(f"index:{words}" if words.strip().isdecimal() else words, names)
        found = row.fields["name"]
        known = ("", *map(_in_one_line, (names[fovs[0]], f"FOV {fovs[0]}")))
        if len(fovs) == 1 and _in_one_line(found) not in known:
            raise InputError(
                f"FOV {fovs[0]} is named {names[fovs[0]]!r}, not {found!r}; were the columns "
                "sorted one by one? Correct the number or the name"
            )
        return fovs

    def _with_numbers(self, *, decimal_comma: bool) -> _Lines:
        """Return the table with what is further known in one form: numbers have a point."""
        clean = {name: self._column(name, decimal_comma=decimal_comma) for name in self.further}
        rows = [
            _Row(row.line, {**row.fields, **{name: clean[name][i] for name in self.further}})
            for i, row in enumerate(self.rows)
        ]
        return _Lines(self.position, self.sample, self.is_ours, self.further, tuple(rows))

    def _column(self, name: str, *, decimal_comma: bool) -> list[str]:
        values = []
        for row in self.rows:
            try:
                values.append(clean_text(row.fields[name], name))
            except InputError as error:
                raise InputError(f"line {row.line}: {error}") from error
        commas = [i for i, value in enumerate(values) if _WITH_COMMA.fullmatch(value)]
        points = [i for i, value in enumerate(values) if _WITH_POINT.fullmatch(value)]
        if not commas:
            return values
        first = commas[0]
        if points:
            raise InputError(
                f"the column {name!r} has {values[first]!r} (line {self.rows[first].line}) and "
                f"{values[points[0]]!r} (line {self.rows[points[0]].line}); write all numbers "
                "with a point"
            )
        for i in commas:
            if not decimal_comma and _THOUSANDS.fullmatch(values[i]):
                raise InputError(
                    f"line {self.rows[i].line}: {values[i]!r} in the column {name!r} may be a "
                    f"thousand or a fraction; write {values[i].replace(',', '')} or "
                    f"{values[i].replace(',', '.', 1)}"
                )
        for i in commas:
            values[i] = values[i].replace(",", ".")
        return values


def _header(text: str) -> tuple[str, int, list[str]]:
    """Return what separates columns, the lines before the header, and the names in it."""
    first, _, rest = text.partition("\n")
    if first.strip().casefold().startswith("sep=") and len(first.strip()) == len("sep=;"):
        delimiter = first.strip()[-1]
        return delimiter, 1, _checked(_first_row(rest, delimiter))
    found = {delimiter: _first_row(text, delimiter) for delimiter in _DELIMITERS}
    for delimiter, header in found.items():
        if _is_header(header):
            return delimiter, 0, _checked(header)
    widest = max(found.values(), key=len)
    return _DELIMITERS[0], 0, _checked(widest)


def _first_row(text: str, delimiter: str) -> list[str]:
    row = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    return [clean_text(name, "header") for name in row]


def _is_header(row: Sequence[str]) -> bool:
    names = {name.casefold() for name in row}
    return not names.isdisjoint(POSITION_COLUMNS) and not names.isdisjoint(SAMPLE_COLUMNS)


def _checked(header: list[str]) -> list[str]:
    """Refuse a header that does not say what is what."""
    if not _is_header(header):
        raise InputError(
            "expected a header with a column fov (or position, well, name) and a column sample, "
            f"found {', '.join(header)[:200]!r}"
        )
    named = [name.casefold() for name in header if name]
    if twice := {name for name in named if named.count(name) > 1}:
        raise InputError(f"the column {min(twice)!r} stands twice in the header")
    return header


def _position_column(columns: Mapping[str, str]) -> str:
    """Return the column that says which field of view a row is of."""
    found = [columns[name] for name in POSITION_COLUMNS if name in columns]
    if len(found) > 1 and found[0].casefold() != "fov":
        raise InputError(
            f"each of the columns {' and '.join(found)} could say which FOV a row is of; "
            "name one of them fov, and the others otherwise"
        )
    return found[0]


def _rows(text: str, delimiter: str, skipped: int, header: Sequence[str]) -> list[_Row]:
    body = text.split("\n", skipped)[-1] if skipped else text
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True)
    next(reader)
    rows = []
    for fields in reader:
        line = reader.line_num + skipped
        if not any(field.strip() for field in fields):
            continue
        beyond = [field for name, field in zip(header, fields, strict=False) if not name]
        beyond += fields[len(header) :]
        if any(field.strip() for field in beyond):
            raise InputError(
                f"line {line}: expected {sum(map(bool, header))} columns, found {len(fields)}; a "
                'list with commas needs quotes: "0-3,7"'
            )
        padded = [*fields, *[""] * (len(header) - len(fields))]
        rows.append(_Row(line, {n: f for n, f in zip(header, padded, strict=False) if n}))
    return rows
