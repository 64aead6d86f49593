"""Results that lie in the folder of another FOV, since folders were renamed or copied by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyama_core.io.storage.naming import (
    find_misplaced_records,
    find_records,
    fov_folder_name,
    fov_of_record,
)


@dataclass(frozen=True)
class Misplaced:
    """The results of a FOV in a folder that is not its own, where nothing reads them.

    Attributes
    ----------
    place : str
        Their record, relative to the output folder.
    folder : str
        The folder that they belong into.
    is_needed : bool
        Whether the FOV has no results in its own folder.
    """

    place: str
    folder: str
    is_needed: bool

    def __str__(self) -> str:
        """Say what is wrong, and what to do."""
        if self.is_needed:
            return (
                f"these results belong into {self.folder}; was a folder renamed by hand? rename "
                "it back, or pyama run makes them anew"
            )
        return (
            f"results of {self.folder}, which has its own; nothing reads these, delete them if you "
            "do not need them"
        )


def find_misplaced(output_dir: Path) -> list[Misplaced]:
    """Return what lies in the folders of other FOVs."""
    in_place = {fov_of_record(path.name) for path in find_records(output_dir)}
    found = []
    for path in find_misplaced_records(output_dir):
        fov = fov_of_record(path.name)
        if fov is not None:
            place = f"{path.parent.name}/{path.name}"
            found.append(Misplaced(place, fov_folder_name(fov), fov not in in_place))
    return found
