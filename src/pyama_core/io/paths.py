"""Paths as they are given to the command, a configuration or a function."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from pyama_core.io.errors import InputError

_EMPTY = "expected a path, found an empty text (a variable that is not set?); . is this folder"


def given_path(path: str | os.PathLike[str], what: str) -> Path:
    """Return a path, unless its text is empty, which Python takes for the current folder.

    Parameters
    ----------
    path : str or path
        What was given.
    what : str
        The flag, key or argument that it was given as.

    Raises
    ------
    InputError
        It is empty, as from a variable of the shell that is not set.

    Examples
    --------
    >>> given_path("out", "--output").name
    'out'
    """
    if not os.fspath(path).strip():
        raise InputError(f"{what}: {_EMPTY}")
    return Path(path)


def not_empty(path: object) -> Any:
    """Refuse an empty text in place of a path, as a validator of a pydantic model.

    Raises
    ------
    ValueError
        It is empty.
    """
    if isinstance(path, str) and not path.strip():
        raise ValueError(_EMPTY)
    return path


GivenPath = Annotated[Path, BeforeValidator(not_empty)]
"""A path among the parameters of a step."""
