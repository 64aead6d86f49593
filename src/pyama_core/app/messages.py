"""What travels between server and client: models in JSON, and arrays as they are in memory.

The client's types are generated from these classes (`pyama_core.app.client_types`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

_ALIGNED = 8
_LENGTH_BYTES = 4


class Message(BaseModel):
    """A JSON object that server and client agree on."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Done(Message):
    """What was asked for has happened."""


class Failure(Message):
    """Why something could not be answered."""

    error: str
    """What was expected, what was found, where, and what to do."""


@dataclass(frozen=True)
class Blob:
    """An answer in bytes.

    Attributes
    ----------
    content : bytes
        The body.
    headers : mapping of str to str
        What it is.
    """

    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Pixels(Blob):
    """An array, little-endian, C-contiguous; ``X-Shape`` and ``X-Dtype`` tell which."""

    @classmethod
    def of(cls, pixels: NDArray[Any]) -> Pixels:
        """Return an array as the client can take it over into a typed array."""
        plain = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
        shape = ",".join(map(str, plain.shape))
        return cls(plain.tobytes(), {"X-Shape": shape, "X-Dtype": plain.dtype.name})


class Column(Message):
    """A column of a table: its name, numpy name of its type, and length."""

    name: str
    dtype: str
    length: int


class TableHeader(Message):
    """What a table in bytes begins with."""

    columns: tuple[Column, ...]


class Table(Blob):
    """Columns of numbers.

    The length of a `TableHeader` in JSON (4 bytes, little-endian), the header, then the columns one
    after the other, little-endian, each beginning at a multiple of 8 bytes.
    """

    @classmethod
    def of(cls, columns: Mapping[str, NDArray[Any]]) -> Table:
        """Return columns as the client can look at them without copying."""
        plain = {
            name: np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
            for name, values in columns.items()
        }
        header = TableHeader(
            columns=tuple(
                Column(name=name, dtype=values.dtype.name, length=values.size)
                for name, values in plain.items()
            )
        )
        text = json.dumps(header.model_dump()).encode()
        text += b" " * (-(len(text) + _LENGTH_BYTES) % _ALIGNED)
        parts = [len(text).to_bytes(_LENGTH_BYTES, "little"), text]
        for values in plain.values():
            content = values.tobytes()
            parts += [content, bytes(-len(content) % _ALIGNED)]
        return cls(b"".join(parts))
