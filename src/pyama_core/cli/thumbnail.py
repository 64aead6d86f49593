"""A contact sheet: first, middle and last frame of each channel in one small picture."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyama_core.errors import InputError, StorageError
from pyama_core.io.readers.frame_source import Frame, MicroscopyMetadata
from pyama_core.io.readers.survey import Survey, first_middle_last
from pyama_core.io.storage.atomic import move_into_place, temporary_path

_LARGEST = 320
_MARGIN = 8
_TITLE = 22
_FONT_SCALE = 0.45

Picture = npt.NDArray[np.uint8]


def write_contact_sheet(path: Path, survey: Survey, metadata: MicroscopyMetadata) -> None:
    """Write a PNG with one row per channel; grey values of a row share one scale.

    Raises
    ------
    InputError
        The name does not end in ``.png``.
    StorageError
        The file cannot be written.
    """
    import cv2

    if path.suffix.lower() != ".png":
        raise InputError(f"--thumbnail: expected a file name that ends in .png, found {path.name}")
    n_frames, height, width = next(shape for shape in metadata.fov_shapes if shape[0])
    times, size = first_middle_last(n_frames), _fitting(height, width)
    rows = []
    for channel, name in enumerate(metadata.channel_names):
        frames = [survey.samples.get((channel, t)) for t in times]
        scale = _scale(frames)
        cells = [
            _cell(frame, f"{channel} {name}, frame {t}", scale, size)
            for frame, t in zip(frames, times, strict=True)
        ]
        rows.append(np.hstack(cells))
    _, png = cv2.imencode(".png", np.vstack(rows))
    _write(path, png.tobytes())


def _write(path: Path, content: bytes) -> None:
    temporary = temporary_path(path)
    try:
        temporary.write_bytes(content)
        move_into_place(temporary, path)
    except OSError as error:
        raise StorageError.about("write", path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _scale(frames: list[Frame | None]) -> tuple[float, float]:
    """Return the grey values shown black and white: all but the darkest and brightest 0.2 %."""
    known = [frame[::4, ::4].ravel() for frame in frames if frame is not None]
    if not known:
        return 0.0, 1.0
    low, high = np.nanpercentile(np.concatenate(known).astype(np.float64), (0.2, 99.8))
    return float(low), float(high) if high > low else float(low) + 1


def _fitting(height: int, width: int) -> tuple[int, int]:
    """Return the height and width that a frame is shown in."""
    factor = _LARGEST / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def _cell(
    frame: Frame | None, title: str, scale: tuple[float, float], size: tuple[int, int]
) -> Picture:
    """Draw one frame with its title; a frame that could not be read is crossed out."""
    import cv2

    height, width = size
    cell = np.full((height + _TITLE + _MARGIN, max(width, _LARGEST) + _MARGIN), 32, np.uint8)
    # OpenCV's fonts have ASCII only.
    plain = title.encode("ascii", "replace").decode()
    font, where = cv2.FONT_HERSHEY_SIMPLEX, (2, _TITLE - 7)
    cv2.putText(cell, plain, where, font, _FONT_SCALE, 230, 1, cv2.LINE_AA)
    inside = cell[_TITLE : _TITLE + height, :width]
    if frame is None:
        cv2.line(inside, (0, 0), (width - 1, height - 1), 230)
        cv2.line(inside, (0, height - 1), (width - 1, 0), 230)
        return cell
    low, high = scale
    shown = np.nan_to_num((frame.astype(np.float32) - low) / (high - low)).clip(0, 1) * 255
    how = cv2.INTER_AREA if width < frame.shape[1] else cv2.INTER_NEAREST
    inside[:] = cv2.resize(shown, (width, height), interpolation=how).astype(np.uint8)
    return cell
