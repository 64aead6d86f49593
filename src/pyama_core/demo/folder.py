"""The folder of a demo: which files it has, whose it is, and how files get their final names."""

from __future__ import annotations

import contextlib
import filecmp
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pyama_core.errors import InputError, StorageError
from pyama_core.io.regular_files import read_regular
from pyama_core.io.storage.atomic import is_temporary, move_into_place, temporary_path, write_whole

KIND = "pyama-core demo"

_TEMPORARIES = (".demo.", ".labels_fov_", ".tracks.", ".intensities.", ".README.")


@dataclass(frozen=True)
class DemoFiles:
    """Where the files of a demo are.

    Parameters
    ----------
    folder : Path
        The folder of the demo.
    image : Path
        The OME-TIFF, one series per field of view.
    labels : tuple of Path
        True label images, a (T, Y, X) uint16 stack per field of view.
    tracks : Path
        Table of the cells.
    intensities : Path
        Table of the true fluorescence per cell, frame and channel.
    description : Path
        Parameters and version as JSON; marks the folder as a demo.
    readme : Path
        What the files of the truth are.
    """

    folder: Path
    image: Path
    labels: tuple[Path, ...]
    tracks: Path
    intensities: Path
    description: Path
    readme: Path

    @classmethod
    def under(cls, folder: Path, fovs: int) -> Self:
        """Name the files of a demo with `fovs` fields of view."""
        truth = folder / "truth"
        return cls(
            folder=folder,
            image=folder / "demo.ome.tif",
            labels=tuple(truth / f"labels_fov_{fov:03d}.npy" for fov in range(fovs)),
            tracks=truth / "tracks.csv",
            intensities=truth / "intensities.csv",
            description=truth / "demo.json",
            readme=truth / "README.txt",
        )


class Staging:
    """Files that are written under temporary names and get their final names together."""

    def __init__(self) -> None:
        self._temporaries: dict[Path, Path] = {}

    def path(self, final: Path) -> Path:
        """Return the temporary name under which to write a file."""
        return self._temporaries.setdefault(final, temporary_path(final))

    def adopt(self, temporary: Path, final: Path) -> None:
        """Take over a whole file that already has a temporary name."""
        self._temporaries[final] = temporary

    def commit(self) -> None:
        """Give all files their final names; they must be whole and closed.

        A file that is there already with the same content stays as it is: results that were made
        from it know it by its time too, and stay valid.
        """
        for final, temporary in self._temporaries.items():
            if not (final.exists() and filecmp.cmp(temporary, final, shallow=False)):
                move_into_place(temporary, final)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for temporary in self._temporaries.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def claimed(files: DemoFiles, n_bytes: int) -> Iterator[None]:
    """Make a folder ready to be written to, and leave no trace in a new one if that fails.

    Parameters
    ----------
    files : DemoFiles
        What is to be written.
    n_bytes : int
        How much of it there will be.

    Raises
    ------
    InputError
        The folder is a file, holds something that is not a demo, or its disk is too full.
    StorageError
        The folder cannot be made.
    """
    folder, truth = files.folder, files.description.parent
    is_demo = _holds_demo(files)
    try:
        if not is_demo:
            _check_is_free(folder)
        made = [path for path in (truth, folder, *folder.parents) if not path.exists()]
        truth.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError.about("use the folder", folder, error) from error
    try:
        _check_space(folder, n_bytes)
        if is_demo:
            _sweep(files)
        else:
            mark(files, {}, complete=False)
        yield
    except BaseException:
        # The mark stays with what already has its final name, or the next call would refuse it.
        if not is_demo and set(folder.rglob("*")) <= {truth, files.description}:
            files.description.unlink(missing_ok=True)
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def mark(files: DemoFiles, about: Mapping[str, object], *, complete: bool) -> None:
    """Mark the folder as that of a demo, `about` which more is known."""
    described = {"kind": KIND, "complete": complete, **about}
    write_whole(files.description, json.dumps(described, indent=2) + "\n")


def remove_labels_beyond(files: DemoFiles) -> None:
    """Remove the label images of an earlier demo that had more fields of view."""
    for path in files.description.parent.glob("labels_fov_*.npy"):
        if path not in files.labels:
            path.unlink()


def _holds_demo(files: DemoFiles) -> bool:
    try:
        described = json.loads(read_regular(files.description))
    except (OSError, ValueError):
        return False
    return isinstance(described, dict) and described.get("kind") == KIND


def _check_is_free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"demo: expected a folder, but {folder} is a file; name another one")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(
            f"demo: {folder} is not empty and holds no demo that could be replaced; "
            "name a new or an empty folder"
        )


def _check_space(folder: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise InputError(
            f"demo: needs {n_bytes / 1e9:.1f} GB, but the disk of {folder} has only "
            f"{free / 1e9:.1f} GB free; ask for less or name a folder on another disk"
        )


def _sweep(files: DemoFiles) -> None:
    """Remove what an earlier call left when it was killed."""
    for folder in (files.folder, files.description.parent):
        for path in folder.iterdir():
            if is_temporary(path) and path.name.startswith(_TEMPORARIES):
                path.unlink()
