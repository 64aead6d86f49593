"""Paths as they are given to the command, a configuration or a function."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from pyama_core.errors import InputError

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


class PathTemplate:
    """Marks a parameter that is text, for it has fields in braces, but leads to files."""


def without_tilde(path: Path) -> Path:
    """Return a path in which the home folder stands for ``~``.

    Raises
    ------
    InputError
        It is not known.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise InputError(f"{path}: the home folder is not known; give the whole path") from error


def absolute_path(path: Path, base: Path | None = None) -> Path:
    """Return a path that means the same from every folder.

    Parameters
    ----------
    path : Path
        What was given; ``~`` is the home folder.
    base : Path, optional
        Folder that a relative path starts from; by default the current one.
    """
    path = without_tilde(path)
    if path.is_absolute():
        return path
    # Once more: on Windows D:movies begins in the current folder of drive D.
    return ((base or Path()).absolute() / path).absolute()


def absolute_template(text: str, base: Path | None = None) -> str:
    """Return a path with fields in braces that means the same from every folder.

    Examples
    --------
    >>> absolute_template("mask_{frame}.tif", Path("/a{b}")).endswith("/a{{b}}/mask_{frame}.tif")
    True
    """
    path = without_tilde(Path(text))
    if path.is_absolute():
        return str(path)
    folder = str((base or Path()).absolute())
    return str(Path(folder.replace("{", "{{").replace("}", "}}"), path))


GivenPath = Annotated[Path, BeforeValidator(not_empty)]
"""A path among the parameters of a step."""
