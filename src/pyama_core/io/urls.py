"""Data sets that are not on a disk but behind a URL, such as an S3 bucket."""

from __future__ import annotations

import re
from pathlib import Path

# A path object makes one slash of two; a drive letter is one letter, a scheme has more.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,3}(.+)")


def is_url(path: str | Path) -> bool:
    """Tell whether a path is a URL, also after it became a path object.

    Examples
    --------
    >>> is_url("s3://bucket/plate.zarr"), is_url(Path("C:/plate.zarr"))
    (True, False)
    """
    return _URL.match(_text(path)) is not None


def url_of(path: str | Path) -> str:
    """Return the text of a URL that was made a path object.

    Examples
    --------
    >>> url_of(Path("s3://bucket/plate.zarr"))
    's3://bucket/plate.zarr'
    """
    match = _URL.match(_text(path))
    if match is None:
        raise ValueError(f"{path} is no URL")
    # A file has no host, whose place is between the second slash and the third.
    return f"{match[1]}:{'///' if match[1].lower() == 'file' else '//'}{match[2]}"


def text_of(path: Path) -> str:
    """Return a path as a person wrote it, which of a URL has both slashes."""
    return url_of(path) if is_url(path) else str(path)


def local_path(path: str | Path) -> Path:
    """Return the absolute path of a file, and a URL as it is."""
    return Path(path) if is_url(path) else Path(path).expanduser().absolute()


def _text(path: str | Path) -> str:
    return path if isinstance(path, str) else path.as_posix()
