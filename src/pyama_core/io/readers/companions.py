"""Where files may lie that a microscopy file names.

A file that came from elsewhere may name any path of this machine. Only what lies beside the opened
file or below that folder is followed; links that somebody made there are, too. A name that leads
elsewhere, as many programs write the full path of the machine they ran on, is looked for beside
the opened file by its last part. What is further away needs the word of the user.
"""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from pyama_core.io.regular_files import what_else

_NO_NAME = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EACCES, errno.ELOOP})


@dataclass(frozen=True)
class Surroundings:
    """The folder of the opened file, and whether files outside of it may be read.

    Attributes
    ----------
    folder : Path
        Where names start from.
    outside : bool
        Whether a name may lead elsewhere.
    """

    folder: Path
    outside: bool = False

    def find(self, name: str, base: str = "") -> Path | None:
        """Return the file of a name, None if there is none where it may lie.

        Parameters
        ----------
        name : str
            As it stands in a file, of any operating system.
        base : str
            Folder of the file that it stands in, relative to `folder`.
        """
        return next((path for path in self._places(name, base) if _is_file(path)), None)

    def _places(self, name: str, base: str) -> Iterator[Path]:
        """Yield where the file of a name may lie: there, or beside the opened file."""
        plain = name.replace("\\", "/")
        if self.outside or not leads_outside(plain, base):
            yield self.folder / posixpath.normpath(posixpath.join(base, plain))
        if last := PurePosixPath(plain).name:
            yield self.folder / last

    def why_absent(self, name: str, base: str = "") -> str:
        """Say why a file was not found, after its name."""
        for path in self._places(name, base):
            if (words := what_else(path)) is not None:
                return f"is {words}"
        if self.outside or not leads_outside(name, base):
            return "is not there"
        return (
            f"leads out of the folder {str(self.folder)!r} and is not followed (copy it there, or "
            "allow it with outside=True, command line: --outside)"
        )


def leads_outside(name: str, base: str = "") -> bool:
    """Tell whether a path leads out of the folder that it starts from.

    Examples
    --------
    >>> leads_outside("a/../b.tif"), leads_outside("../b.tif"), leads_outside("C:/b.tif")
    (False, True, True)
    """
    name = name.replace("\\", "/")
    if name.startswith("/") or PureWindowsPath(name).drive:
        return True
    return posixpath.normpath(posixpath.join(base, name)).split("/")[0] in ("..", "")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        if error.errno in _NO_NAME:
            return False
        raise
