"""`source.json`: what the microscope file says of itself, beside the results made of it.

Records know channels and fields of view by number, and the file may be far away when results are
read. So a run leaves their names, times and sizes here. It is a note, not a proof: what was made
from what stands in the records, and a folder without the note is as valid as one with it.
"""

from __future__ import annotations

import contextlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from pyama_core.errors import reason_of
from pyama_core.io.readers.frame_source import MicroscopyMetadata
from pyama_core.io.regular_files import read_regular
from pyama_core.io.storage.atomic import write_whole
from pyama_core.io.storage.naming import SOURCE_NAME, records_by_fov
from pyama_core.io.storage.records import load_record
from pyama_core.processing.workflow.shared_files import lock_shared_files

logger = logging.getLogger(__name__)


class SourceDescription(BaseModel):
    """Names, times and sizes, as `MicroscopyMetadata` has them."""

    model_config = ConfigDict(frozen=True)  # a later version may say more

    format: Literal["pyama-core source"] = "pyama-core source"
    version: Literal[1] = 1
    path: str
    """Where the file was when it was last read."""
    base_name: str
    file_type: str
    channel_names: tuple[str, ...]
    fov_names: tuple[str, ...]
    fov_shapes: tuple[tuple[int, int, int], ...]
    pixel_size_um: float | None
    timepoints: tuple[tuple[float | None, ...], ...]
    """Minutes since the first frame of the file, by field of view and frame."""
    timepoints_source: str
    stage_positions_um: tuple[tuple[float, float, float | None] | None, ...] = ()
    emission_nm: tuple[float | None, ...] = ()

    @classmethod
    def of(cls, metadata: MicroscopyMetadata) -> Self:
        """Describe a file; what is in its names and is no text is escaped."""
        described = {
            name: getattr(metadata, name) for name in cls.model_fields if hasattr(metadata, name)
        }
        described["path"] = _as_text(str(metadata.file_path))
        for names in ("channel_names", "fov_names"):
            described[names] = tuple(map(_as_text, described[names]))
        return cls(**described)


def _as_text(name: str) -> str:
    return name.encode(errors="backslashreplace").decode()


def save_description(output_dir: Path, metadata: MicroscopyMetadata) -> None:
    """Leave the note in an output folder, unless it is there already.

    Raises
    ------
    StorageError
        The folder cannot be written.
    FolderBusyError
        Another process has been writing what all fields of view share for ten seconds.
    """
    path = output_dir / SOURCE_NAME
    text = json.dumps(SourceDescription.of(metadata).model_dump(mode="json"), indent=None) + "\n"
    with contextlib.suppress(OSError):
        if read_regular(path) == text.encode():
            return
    with lock_shared_files(output_dir):
        write_whole(path, text)


@dataclass(frozen=True)
class SourceNames:
    """What the source calls its fields of view and channels, as far as anything here tells."""

    fovs: tuple[str, ...]
    channels: tuple[str, ...]


def load_names(output_dir: Path, description: SourceDescription | None) -> SourceNames:
    """Return names from the note, or else from the records, which know those of their own FOV."""
    records = records_by_fov(output_dir)
    n_fovs = max(records, default=-1) + 1
    if description is not None:
        further = (f"FOV {fov}" for fov in range(len(description.fov_names), n_fovs))
        return SourceNames((*description.fov_names, *further), description.channel_names)
    fovs = [f"FOV {fov}" for fov in range(n_fovs)]
    channels: tuple[str, ...] = ()
    for fov, path in records.items():
        if (record := load_record(path)) is not None:
            fovs[fov] = record.names.fov or fovs[fov]
            channels = channels or record.names.channels
    return SourceNames(tuple(fovs), channels)


def load_description(output_dir: Path) -> SourceDescription | None:
    """Read the note; None if there is none or it cannot be understood, which is logged."""
    path = output_dir / SOURCE_NAME
    try:
        return SourceDescription.model_validate_json(read_regular(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.warning("%s cannot be read (%s)", path, reason_of(error))
    except ValueError:
        logger.warning("%s is damaged: names of channels are unknown; run again to write it", path)
    return None
