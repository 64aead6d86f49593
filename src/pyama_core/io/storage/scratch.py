"""A local disk for stacks that are not kept: of the fields of view in work, until all is done.

They have the same names there as they would have in the output folder, in a folder that belongs to
it. The lock of a field of view and its record stay in the output folder and speak for them, too: a
stack that is on record and not to be found, for the run goes on on another computer, is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from pyama_core.errors import StorageError
from pyama_core.io.storage.naming import fov_folder_name
from pyama_core.outputs import Output


@dataclass(frozen=True)
class Scratch:
    """Where stacks of some kinds are while a field of view is worked on.

    Attributes
    ----------
    root : str
        The folder, as it was named; variables such as ``$TMPDIR`` are those of the computer that
        works.
    output_dir : Path
        Folder of the run.
    kept : frozenset of str
        Kinds of stacks that do not go there.
    """

    root: str
    output_dir: Path
    kept: frozenset[str]

    def takes(self, output: Output) -> bool:
        """Whether an output goes there."""
        return output.kind.releasable and output.kind.name not in self.kept

    @property
    def place(self) -> Path:
        """The folder, on this computer."""
        return Path(os.path.expandvars(self.root)).expanduser().absolute()

    @property
    def folder(self) -> Path:
        """What is in it of the run."""
        whose = hashlib.sha256(os.fsencode(self.output_dir.absolute())).hexdigest()[:16]
        return self.place / f"pyama-{whose}"

    def of_fov(self, fov: int) -> Path:
        """Return the folder of a field of view, which may not exist."""
        return self.folder / fov_folder_name(fov)

    def require(self) -> None:
        """Make sure that it can be used on this computer.

        Raises
        ------
        StorageError
            It is no folder that can be written.
        """
        if not self.place.is_dir():
            raise StorageError(f"--scratch {self.root}: there is no folder {self.place} here")
        if not os.access(self.place, os.W_OK | os.X_OK):
            raise StorageError(f"--scratch {self.root}: {self.place} cannot be written")

    def make(self, folder: Path) -> None:
        """Make a folder in it, for nobody else to look into.

        Raises
        ------
        StorageError
            It cannot be made.
        """
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise StorageError.about("make the folder", folder, error) from error

    def leave(self, fov: int) -> None:
        """Remove the folders that are empty."""
        for folder in (self.of_fov(fov), self.folder):
            with contextlib.suppress(OSError):
                folder.rmdir()
