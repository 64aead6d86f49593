"""Which files the parameters of a method lead to.

A parameter of type `Path` names a file, or a folder with all that is below it. A parameter that is
text with fields in braces is marked as a `PathTemplate`, and its method tells the files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from pyama_core.errors import InputError
from pyama_core.io.paths import PathTemplate, absolute_path, absolute_template
from pyama_core.io.read_files import FilesOfParameters, files_below

ParametersT = TypeVar("ParametersT", bound=BaseModel)


def files_of_parameters(parameters: BaseModel, *_: object) -> FilesOfParameters:
    """Return the files that the parameters of type `Path` lead to.

    Raises
    ------
    InputError
        There is no such file or folder.
    """
    found = {}
    for name, value in parameters:
        if isinstance(value, Path):
            found[name] = files_below(value)
            if not found[name]:
                raise InputError(f"{name}: expected files in the folder {value}, found none")
    return found


def templates_of(parameters: BaseModel) -> list[str]:
    """Return the names of the parameters that are paths with fields in braces."""
    return [
        name
        for name, known in type(parameters).model_fields.items()
        if any(isinstance(mark, PathTemplate) for mark in known.metadata)
    ]


def with_absolute_paths(parameters: ParametersT, base: Path | None = None) -> ParametersT:
    """Return parameters whose paths mean the same from every folder.

    Parameters
    ----------
    parameters
        Of a method.
    base
        Folder that relative paths start from; by default the current one.
    """
    absolute: dict[str, Path | str] = {}
    templates = templates_of(parameters)
    for name, value in parameters:
        if isinstance(value, Path):
            absolute[name] = absolute_path(value, base)
        elif name in templates and isinstance(value, str):
            absolute[name] = absolute_template(value, base)
    return parameters.model_copy(update=absolute) if absolute else parameters
