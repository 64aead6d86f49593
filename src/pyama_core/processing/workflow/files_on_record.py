"""Whether the files beside the source that results were made of, as records name them, changed.

Records are believed in nothing: what they name is looked at and hashed if it is a regular file,
never loaded, and no package is imported because a record speaks of its method.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pyama_core.errors import InputError
from pyama_core.io.read_files import (
    FilesOfParameters,
    ReadFiles,
    files_below,
    parameter_of,
)
from pyama_core.io.storage.records import FovRecord, OutputEntry
from pyama_core.processing.segmentation.from_files.method import MaskFileParameters, mask_files


def changed_files(record: FovRecord, *, whole: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Compare files beside the source with what outputs were made of.

    Parameters
    ----------
    record : FovRecord
        Of a field of view.
    whole : bool
        Compare the whole content, even where size, times and sampled content are the same.

    Returns
    -------
    changed : dict of str to str
        By the name of an output that would turn out different now: what changed.
    unknown : dict of str to str
        By the name of an output: why that cannot be told.
    """
    changed, unknown = {}, {}
    for name, entry in record.outputs.items():
        for role in entry.provenance.inputs:
            if parameter_of(role) is None:
                continue
            try:
                files = ReadFiles.look_at(_files_of(record, entry, role))
                if not _is_as_read(entry, role, files, whole=whole):
                    changed[name] = f"{_named(files)} not what it was made of"
            except InputError as error:
                unknown[name] = str(error)
    return changed, unknown


def _named(files: ReadFiles) -> str:
    first, *others = files.files.values()
    return f"{first} and {len(others)} more files are" if others else f"{first} is"


def _is_as_read(entry: OutputEntry, role: str, files: ReadFiles, *, whole: bool) -> bool:
    known = entry.read.get(role)
    if not whole and known is not None and known.is_same(files.identity):
        return True
    return files.checksum() == entry.provenance.inputs[role]


def _files_of(record: FovRecord, entry: OutputEntry, role: str) -> dict[str, Path]:
    """Return the files that a run with the settings on record would read."""
    step, parameter = entry.provenance.step, str(parameter_of(role))
    asked = {} if record.settings is None else record.settings.params.get(step, {})
    parameters = asked if parameter in asked else entry.provenance.parameters
    value = parameters.get(parameter)
    if not isinstance(value, str):
        raise InputError(f"the record does not say where the files of {step}.{parameter} are")
    if (step, parameters.get("method")) == ("segmentation", "files"):
        return dict(_masks(parameters, record.fov, entry)[parameter])
    return files_below(Path(value))


def _masks(parameters: dict[str, Any], fov: int, entry: OutputEntry) -> FilesOfParameters:
    try:
        checked = MaskFileParameters.model_validate(parameters)
    except ValidationError as error:
        raise InputError(f"the record has parameters of another version: {error}") from error
    if not entry.shape:
        raise InputError("the record does not say how many frames there are")
    return mask_files(checked, fov, entry.shape[0])
