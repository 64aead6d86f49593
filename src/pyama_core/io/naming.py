"""Names of folders and files in an output folder, in one place."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pyama_core.io.checksums import new_hasher
from pyama_core.io.errors import InputError
from pyama_core.outputs import Output

RESULTS_NAME = "processing_results.yaml"
LOG_NAME = "pyama.log"
SOURCE_NAME = "source.json"
SAMPLES_NAME = "samples.csv"
SHARED_NAMES = (RESULTS_NAME, SOURCE_NAME, SAMPLES_NAME)
"""Files of an output folder that are written as a whole, under its lock."""
_RECORD_SUFFIX = "_record.json"
_APPLE_DOUBLE = "._"
"""What macOS puts before the names of files of its own on drives of others."""

_NO_TEXT = re.compile("[\ud800-\udfff\0/\\\\:]")
_LONGEST_BASE = 211
"""With what follows, and a temporary name around it, no file system's 255 bytes are exceeded."""
_KEPT_OF_LONG = 190


def portable_base_name(name: str) -> str:
    """Return a base name of outputs that can be written as text, and by which they can be found.

    Bytes of a name that are no UTF-8, and characters that separate names on some system, become
    ``%`` and two digits, as in URLs; of a name too long to be lengthened, the rest becomes a
    checksum. Any other name stays as it is.

    Examples
    --------
    >>> portable_base_name("Übung 1 (100%)"), portable_base_name("12:30")
    ('Übung 1 (100%)', '12%3A30')
    >>> portable_base_name("movie " * 50)[-16:]
    'ie movi~b3ef37e8'
    """
    text = _NO_TEXT.sub(lambda match: _escaped(match[0]), name) or "unnamed"
    text = re.sub(r"^\._|^\.{1,2}$", lambda match: match[0].replace(".", "%2E"), text)
    content = text.encode()
    if len(content) <= _LONGEST_BASE:
        return text
    hasher = new_hasher()
    hasher.update(content)
    return f"{content[:_KEPT_OF_LONG].decode(errors='ignore')}~{hasher.hexdigest()[:8]}"


def _escaped(character: str) -> str:
    """Write a character as its bytes in a file name: those that it had, if it stands for one."""
    try:
        content = os.fsencode(character)
    except UnicodeEncodeError:
        content = character.encode("utf-8", "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in content)


def require_portable(base_name: str) -> None:
    """Make sure that outputs can be named after a base name.

    Raises
    ------
    InputError
        They cannot; readers of this package never give such a name.
    """
    portable = portable_base_name(base_name)
    if portable != base_name or base_name.startswith(_APPLE_DOUBLE):
        raise InputError(
            f"outputs cannot be named after base_name {base_name!r}; choose another, such as "
            f"{portable.lstrip('.')!r}"
        )


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
    """All record files of an output folder, in order of FOV."""
    records = output_dir.glob(f"fov_*/*{_RECORD_SUFFIX}")
    return sorted(
        (path for path in records if not path.name.startswith(_APPLE_DOUBLE)),
        key=lambda path: (len(path.parent.name), path.parent.name, path.name),
    )
