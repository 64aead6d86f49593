"""Names of folders and files in an output folder, in one place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pyama_core.io.base_names import APPLE_DOUBLE
from pyama_core.outputs import Output

RESULTS_NAME = "processing_results.yaml"
LOG_NAME = "pyama.log"
SOURCE_NAME = "source.json"
SAMPLES_NAME = "samples.csv"
ASKED_NAME = "asked.json"
REPORT_NAME = "report.html"
STOP_NAME = "stop"
"""An empty file of this name asks the runs that go on in the folder to stop."""
RUNS_NAME = "runs.jsonl"
"""Grows line by line, under the lock of the folder."""
SHARED_NAMES = (RESULTS_NAME, SOURCE_NAME, SAMPLES_NAME, ASKED_NAME, REPORT_NAME)
"""Files of an output folder that are written as a whole, under its lock."""
EDITS_NAME = "edits.jsonl"
"""Grows line by line, under the same lock."""
_RECORD_SUFFIX = "_record.json"
_OF_FOV = re.compile(r".+_(fov_[0-9]+)", re.DOTALL)


def fov_folder_name(fov: int) -> str:
    """Name of the folder of a field of view, `fov_000`."""
    return f"fov_{fov:03d}"


def output_name(base_name: str, fov: int, output: Output) -> str:
    """Name of an output file or folder.

    Examples
    --------
    >>> from pyama_core.outputs import SEG
    >>> output_name("experiment", 7, Output(SEG, 0))
    'experiment_fov_007_seg_ch_0.npy'
    """
    kind = output.kind
    which = f"_ch_{output.channel}" if kind.names_channel else ""
    return f"{base_name}_{fov_folder_name(fov)}_{kind.stem}{which}{kind.suffix}"


def path_of(output_dir: Path, base_name: str, fov: int, output: Output) -> Path:
    """Path of an output in the folder of a run, whether it exists or not."""
    return output_dir / fov_folder_name(fov) / output_name(base_name, fov, output)


def record_name(base_name: str, fov: int) -> str:
    """Name of the record of a field of view."""
    return f"{base_name}_{fov_folder_name(fov)}{_RECORD_SUFFIX}"


def find_records(output_dir: Path) -> list[Path]:
    """All record files of an output folder, in order of FOV; those in their own folders only."""
    return [path for path in _all_records(output_dir) if _is_in_its_folder(path)]


def holds_records(folder: Path) -> bool:
    """Whether a folder is one of outputs; without listing all of it."""
    return next(_records_below(folder), None) is not None


def find_misplaced_records(output_dir: Path) -> list[Path]:
    """Record files in folders of other FOVs, as where folders were renamed or copied by hand."""
    return [
        path
        for path in _all_records(output_dir)
        if fov_of_record(path.name) not in (None, _fov_of(path))
    ]


def _all_records(output_dir: Path) -> list[Path]:
    return sorted(
        _records_below(output_dir),
        key=lambda path: (len(path.parent.name), path.parent.name, path.name),
    )


def fov_folders(output_dir: Path) -> Iterator[tuple[int, Path]]:
    """Folders of fields of view with their numbers, in no order; one may go away meanwhile."""
    for folder in _listed(output_dir):
        number = _number_in(folder.name)
        if number is not None:
            yield number, folder


def _records_below(output_dir: Path) -> Iterator[Path]:
    for folder in _listed(output_dir):
        if folder.name.startswith("fov_"):
            for path in _listed(folder):
                is_record = path.name.endswith(_RECORD_SUFFIX)
                if is_record and not path.name.startswith(APPLE_DOUBLE):
                    yield path


def _listed(folder: Path) -> Iterator[Path]:
    """List a folder; nothing where it is none, is not to be read, or just went away."""
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        yield from folder.iterdir()


def fov_of_record(name: str) -> int | None:
    """Field of view that the name of a record tells; None if it is not the name of one.

    Examples
    --------
    >>> fov_of_record("experiment_fov_007_record.json")
    7
    """
    found = _OF_FOV.fullmatch(name.removesuffix(_RECORD_SUFFIX))
    return None if found is None else _number_in(found[1])


def _is_in_its_folder(record: Path) -> bool:
    fov = _fov_of(record)
    return fov is not None and fov == fov_of_record(record.name)


def _fov_of(record: Path) -> int | None:
    return _number_in(record.parent.name)


def _number_in(folder: str) -> int | None:
    """Field of view that the name of a folder tells, if it is exactly what it would be called."""
    number = folder.removeprefix("fov_")
    exact = number.isdecimal() and fov_folder_name(int(number)) == folder
    return int(number) if exact else None


def records_by_fov(output_dir: Path) -> dict[int, Path]:
    """Record files by the number of their FOV, in order."""
    found: dict[int, Path] = {}
    for path in find_records(output_dir):
        number = _fov_of(path)
        if number is not None:
            found.setdefault(number, path)
    return found
