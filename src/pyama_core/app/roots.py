"""The folders that the page may look into, and nothing outside of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyama_core.errors import InputError, reason_of
from pyama_core.io.paths import absolute_path


@dataclass(frozen=True)
class Roots:
    """Folders below which things may be opened.

    Attributes
    ----------
    folders : tuple of Path
        Absolute, without links.
    """

    folders: tuple[Path, ...]

    @classmethod
    def of(cls, folders: Sequence[Path]) -> Roots:
        """Return the roots that a user names.

        Raises
        ------
        InputError
            One of them is no folder.
        """
        found = []
        for folder in folders:
            real = Path(os.path.realpath(absolute_path(folder)))
            if not real.is_dir():
                raise InputError(f"there is no folder {folder}")
            found.append(real)
        return cls(tuple(dict.fromkeys(found)))

    def future(self, place: str | Path) -> Path:
        """Return the path of a folder below a root that may not exist yet; errors as `inside`."""
        text = os.fspath(place)
        if not text or "\0" in text or not os.path.isabs(text):  # noqa: PTH117  text is not yet a path
            raise InputError(f"expected a whole path, found {text!r}")
        real = Path(os.path.realpath(text))
        if not self._holds(real):
            raise InputError(
                f"{text} is not below {', '.join(map(str, self.folders))}; "
                "start pyama app with the folder that it is to be in"
            )
        return real

    def inside(self, place: str | Path) -> Path:
        """Return the path of a file or folder that exists below a root, without links.

        Raises
        ------
        InputError
            It does not exist, or leads out of the roots; the words are the same for both, so that
            they tell nothing of what lies outside.
        """
        text = os.fspath(place)
        if not text or "\0" in text or not os.path.isabs(text):  # noqa: PTH117  text is not yet a path
            raise InputError(f"expected a whole path, found {text!r}")
        real = Path(os.path.realpath(text))
        # os.path answers no, where pathlib raises, for names that are too long or may not be seen.
        if not self._holds(real) or not os.path.exists(real):  # noqa: PTH110
            raise InputError(
                f"there is no {text} below {', '.join(map(str, self.folders))}; "
                "start pyama app with the folder that holds it"
            )
        return real

    def require_links_inside(self, folder: Path) -> None:
        """Make sure that no entry of a folder, which is inside, is a link that leads out.

        Raises
        ------
        InputError
            One is.
        """
        try:
            with os.scandir(folder) as entries:
                links = [entry.path for entry in entries if _is_link(entry)]
        except OSError as error:
            raise InputError(f"{folder} cannot be read ({reason_of(error)})") from error
        for link in links:
            if not self._holds(Path(os.path.realpath(link))):
                raise InputError(
                    f"{link} is a link that leads out of {', '.join(map(str, self.folders))}; "
                    "start pyama app with the folder that it leads to as well"
                )

    def _holds(self, real: Path) -> bool:
        return any(real.is_relative_to(root) for root in self.folders)


def _is_link(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a link; junctions of Windows count as folders in Python 3.11."""
    return entry.is_symlink() or (os.name == "nt" and entry.is_dir(follow_symlinks=False))
