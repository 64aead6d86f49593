"""What is wanted of an output: what it would be made by and from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyama_core.io.checksums import SourceIdentity
from pyama_core.io.read_files import ReadFiles
from pyama_core.io.storage.records import OutputEntry, Provenance
from pyama_core.outputs import Output


@dataclass(frozen=True)
class PlannedOutput:
    """An output that is wanted, and what it would be made by and from.

    Attributes
    ----------
    output : Output
        Which it is.
    provenance : Provenance
        What it would be made by and from; of the parameters, those that differ from the defaults.
    inputs : mapping of str to Output
        The inputs that are outputs of earlier steps, by their role in the provenance.
    defaults : mapping
        Defaults of the parameters, which older records have in full.
    shape : tuple of int or None
        Of a stack, for a source may be understood otherwise than when it was copied.
    read : mapping of str to ReadFiles
        Files beside the source that it would be made from, by their role in the provenance.
    """

    output: Output
    provenance: Provenance
    inputs: Mapping[str, Output] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] | None = None
    read: Mapping[str, ReadFiles] = field(default_factory=dict)

    def is_as_recorded(self, entry: OutputEntry) -> bool:
        """Whether it would be made as an entry says that it was made."""
        made = entry.provenance.without(self.defaults).without_places()
        return made == self.provenance.without_places()

    def identities(self) -> dict[str, SourceIdentity]:
        """Return how the files beside the source are, by their role."""
        return {role: files.identity for role, files in self.read.items()}
