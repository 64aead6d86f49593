"""Which file and which folder of outputs are meant, whichever of the two is named."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pyama_core.app.drafts import config_path, source_named
from pyama_core.app.roots import Roots
from pyama_core.app.sources import Reading
from pyama_core.errors import InputError
from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.storage.naming import holds_records
from pyama_core.processing.workflow.source_description import load_description

_SUFFIX = "_results"
_INSIDE = "results"


@dataclass(frozen=True)
class SourcePlace:
    """A microscope file, and the folder of its outputs.

    Attributes
    ----------
    file : Path
        Below the roots.
    out : Path or None
        None if nobody said which.
    reading : Reading or None
        How the file is read, as far as something on disk tells.
    """

    file: Path
    out: Path | None
    reading: Reading | None = None

    def out_for(self, roots: Roots, about: MicroscopyMetadata) -> Path:
        """Return the folder of outputs; one that suits the file if nobody said which."""
        return self.out or _usual_out(roots, self.file, about.base_name)


def source_place(roots: Roots, at: str, out: str = "") -> SourcePlace:
    """Find the file that is meant by itself, or by a folder of outputs.

    Raises
    ------
    InputError
        It is not below the roots, or a folder of outputs does not tell its file.
    """
    path = roots.inside(at)
    if not is_of_outputs(path):
        return SourcePlace(path, roots.future(out) if out else None)
    found = source_named(path)
    reading = None
    if found is None:
        described = load_description(path)
        if described is None:
            raise InputError(f"{path} does not tell of which file it is; open that file instead")
        file = Path(described.path)
    else:
        file, reading = found
    return SourcePlace(roots.inside(file), path, reading)


def is_of_outputs(path: Path) -> bool:
    """Whether a path is a folder of outputs, or of what is to become that."""
    return path.is_dir() and (config_path(path).exists() or holds_records(path))


def _usual_out(roots: Roots, file: Path, base_name: str) -> Path:
    for folder in (file.parent, *roots.folders):
        if any(folder.is_relative_to(root) for root in roots.folders) and os.access(
            folder, os.W_OK
        ):
            inside = folder == file  # a folder of images that is itself a root
            return folder / (_INSIDE if inside else f"{base_name}{_SUFFIX}")
    return file.parent / f"{base_name}{_SUFFIX}"
