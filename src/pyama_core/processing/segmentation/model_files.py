"""What segmentations by trained models share: files of weights, and packages that may be absent."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.errors import InputError
from pyama_core.io.regular_files import found_instead, require_regular
from pyama_core.processing.frame import as_labels


def require_model(path: Path, what: str, how: str) -> None:
    """Make sure that the file of a model is there: nothing is downloaded.

    Parameters
    ----------
    path
        The file.
    what
        What it holds.
    how
        How to get it.

    Raises
    ------
    InputError
        It is not.
    """
    try:
        require_regular(path)
    except OSError as error:
        raise InputError(
            f"Expected {what} in {path}, found {found_instead(error)}; {how}"
        ) from error


def import_package(module: str, package: str, method: str) -> Any:
    """Import what a method needs.

    Raises
    ------
    InputError
        It is not installed here, or cannot be imported.
    """
    try:
        return import_module(module)
    except (ImportError, RuntimeError, OSError) as error:
        # Not only if it is absent: packages below that do not go together fail in their own ways.
        why = "" if isinstance(error, ModuleNotFoundError) else f" ({first_line(error)})"
        raise InputError(
            f"Expected the package {package} for segmentation.method {method}, found that it "
            f"cannot be imported{why}; install it with: pip install pyama-core[{method}]"
        ) from error


def first_line(error: BaseException) -> str:
    r"""Return the first line of what an error of another package says.

    Examples
    --------
    >>> first_line(RuntimeError("not a ZIP archive\nat ...")), first_line(ValueError())
    ('not a ZIP archive', 'ValueError')
    """
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def checked_labels(found: Any, shape: tuple[int, ...], model: str) -> NDArray[np.int32]:
    """Return what a model found as labels of a frame.

    Raises
    ------
    InputError
        It is something else, or of another shape.
    """
    labels = np.asarray(found)
    if labels.dtype.kind == "f" and np.array_equal(labels, np.rint(labels)):
        labels = labels.astype(np.int64)  # some models count in floats
    labels = as_labels(labels, f"label image from {model}").astype(np.int32)
    if labels.shape != shape:
        raise InputError(
            f"Expected a label image of shape {shape} from {model}, found {labels.shape}; use a "
            "model for two-dimensional images."
        )
    return labels
