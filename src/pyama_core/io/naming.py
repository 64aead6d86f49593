"""Names of folders and files in an output folder, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

OutputKind = Literal[
    "pc", "fl", "seg", "fl_corrected", "seg_labeled", "tracks_csv", "shifts_csv", "traces_csv"
]

KINDS_OF_STEP: Mapping[str, tuple[OutputKind, ...]] = {
    "copying": ("pc", "fl"),
    "segmentation": ("seg",),
    "correction": ("fl_corrected",),
    "tracking": ("seg_labeled", "tracks_csv", "shifts_csv"),
    "extraction": ("traces_csv",),
}
"""Steps in order, and what each makes."""

PHASE_KINDS: tuple[OutputKind, ...] = (
    "pc",
    "seg",
    "seg_labeled",
    "tracks_csv",
    "shifts_csv",
)
"""Outputs there is one of, for the phase-contrast channel; of the others, one per fluorescence."""

TABLE_KINDS: tuple[OutputKind, ...] = ("tracks_csv", "shifts_csv", "traces_csv")
"""Outputs that are small tables; the others are stacks."""

_ONE_PER_FOV: tuple[OutputKind, ...] = ("tracks_csv", "shifts_csv")
"""Outputs that are no images, for the names of which the channel does not matter."""

RESULTS_NAME = "processing_results.yaml"
LOG_NAME = "pyama.log"
_RECORD_SUFFIX = "_record.json"


def fov_folder_name(fov: int) -> str:
    """Name of the folder of a field of view, `fov_000`."""
    return f"fov_{fov:03d}"


def output_name(base_name: str, fov: int, kind: OutputKind, channel: int) -> str:
    """Name of an output file.

    Examples
    --------
    >>> output_name("experiment", 7, "seg", 0)
    'experiment_fov_007_seg_ch_0.npy'
    """
    suffix = "csv" if kind in TABLE_KINDS else "npy"
    stem = kind.removesuffix("_csv")
    which = "" if kind in _ONE_PER_FOV else f"_ch_{channel}"
    return f"{base_name}_{fov_folder_name(fov)}_{stem}{which}.{suffix}"


def record_name(base_name: str, fov: int) -> str:
    """Name of the record of a field of view."""
    return f"{base_name}_{fov_folder_name(fov)}{_RECORD_SUFFIX}"


def find_records(output_dir: Path) -> list[Path]:
    """All record files of an output folder, in order of FOV."""
    records = output_dir.glob(f"fov_*/*{_RECORD_SUFFIX}")
    return sorted(
        (path for path in records if not path.name.startswith(".")),
        key=lambda path: (len(path.parent.name), path.parent.name, path.name),
    )
