"""Write small ND2 files, of which no public multi-position ones exist.

Only what a reader needs: the chunk map, attributes, picture metadata, the loops of the
acquisition, the time of each frame, and the frames, each with its channels interleaved.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Loop = dict[str, Any]

_MAGIC = 0x0ABECEDA
_PAGE = 4096
_BOOL, _UINT32, _DOUBLE, _STRING, _BYTES, _LEVEL = 1, 3, 6, 8, 9, 11


def time_loop(n: int, period_ms: float = 0.0, measured_period_ms: float = 0.0) -> Loop:
    return {"eType": 1, "uLoopPars": _period(n, period_ms, measured_period_ms)}


def phased_time_loop(phases: Sequence[tuple[int, float]]) -> Loop:
    periods = [_period(n, period_ms, 0.0) for n, period_ms in phases]
    return {
        "eType": 8,
        "uLoopPars": {"pPeriod": periods, "pPeriodValid": bytes([1] * len(phases))},
    }


def _period(n: int, period_ms: float, measured_period_ms: float) -> dict[str, Any]:
    return {
        "uiCount": n,
        "dStart": 0.0,
        "dPeriod": float(period_ms),
        "dDuration": 0.0,
        "dAvgPeriodDiff": float(measured_period_ms),
    }


def position_loop(names: Sequence[str], valid: Sequence[bool] | None = None) -> Loop:
    points = [
        {"dPosX": 10.0 * i, "dPosY": 0.0, "dPosZ": 0.0, "dPosName": name}
        for i, name in enumerate(names)
    ]
    used = [True] * len(names) if valid is None else valid
    return {
        "eType": 2,
        "uLoopPars": {"uiCount": len(names), "bUseZ": False, "Points": points},
        "pItemValid": bytes(map(int, used)),
    }


def z_loop(n: int) -> Loop:
    return {
        "eType": 4,
        "uLoopPars": {"uiCount": n, "dZLow": 0.0, "dZHigh": float(n), "dZStep": 1.0, "iType": 0},
    }


def custom_loop(n: int) -> Loop:
    return {"eType": 7, "uLoopPars": {"uiCount": n}}


def write_nd2(
    path: Path,
    frames: npt.NDArray[Any],
    loops: Sequence[Loop],
    *,
    times_ms: Sequence[float] | None = None,
    stamps_ms: Sequence[float] | None = None,
    channel_names: Sequence[str] | None = None,
    samples_per_channel: int = 1,
    pixel_size_um: float | None = 0.5,
    written: Iterable[int] | None = None,
    compression: str | None = None,
    row_padding: int = 0,
) -> None:
    """Write frames (N, Y, X, C), in the order of the loops with the last one fastest.

    `written` names the frames that are really there; all of them if not given. `times_ms` are the
    list of all times, `stamps_ms` the times beside the pixels.
    """
    n, height, width, n_components = frames.shape
    n_channels = n_components // samples_per_channel
    names = channel_names or [f"c{i}" for i in range(n_channels)]
    row_bytes = width * n_components * frames.itemsize + row_padding
    attributes = {
        "uiWidth": width,
        "uiWidthBytes": row_bytes,
        "uiHeight": height,
        "uiComp": n_components,
        "uiBpcInMemory": 8 * frames.itemsize,
        "uiBpcSignificant": 8 * frames.itemsize,
        "uiSequenceCount": n,
        "eCompression": {"lossless": 0, "lossy": 1, None: 2}[compression],
    }
    chunks = {b"ImageAttributesLV!": _level("SLxImageAttributes", attributes)}
    chunks[b"ImageMetadataSeqLV|0!"] = _level(
        "SLxPictureMetadata", _picture(names, samples_per_channel, pixel_size_um)
    )
    if loops:
        chunks[b"ImageMetadataLV!"] = _level("SLxExperiment", _nested(loops))
    if times_ms is not None:
        chunks[b"CustomData|AcqTimesCache!"] = np.asarray(times_ms, "<f8").tobytes()
    for index in range(n) if written is None else written:
        rows = frames[index].astype(frames.dtype.newbyteorder("<")).reshape(height, -1)
        padded = np.zeros((height, row_bytes), np.uint8)
        padded[:, : row_bytes - row_padding] = rows.view(np.uint8)
        pixels = padded.tobytes()
        if compression == "lossless":
            pixels = zlib.compress(pixels)
        stamp = 0.0 if stamps_ms is None else stamps_ms[index]
        chunks[b"ImageDataSeq|%d!" % index] = struct.pack("<d", stamp) + pixels
    _write_chunks(path, chunks)


def _picture(
    names: Sequence[str], samples_per_channel: int, pixel_size_um: float | None
) -> dict[str, Any]:
    planes = {
        f"a{i}": {
            "sDescription": name,
            "uiCompCount": samples_per_channel,
            "pFluorescentProbe": {"m_sName": "none"},
        }
        for i, name in enumerate(names)
    }
    return {
        "bCalibrated": pixel_size_um is not None,
        "dCalibration": pixel_size_um or 1.0,
        "sPicturePlanes": {"uiCount": len(names), "sPlaneNew": planes},
    }


def _nested(loops: Sequence[Loop]) -> dict[str, Any]:
    inner = {"ppNextLevelEx": [_nested(loops[1:])]} if len(loops) > 1 else {}
    return {**loops[0], **inner}


def _write_chunks(path: Path, chunks: Mapping[bytes, bytes]) -> None:
    signature, version = b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0"
    with path.open("wb") as file:
        file.write(struct.pack("<IIQ", _MAGIC, 32, 64) + signature + version.ljust(64, b"\0"))
        entries = []
        for name, data in chunks.items():
            if len(data) >= _PAGE:
                # Chunks of real files begin at whole pages, without which reading takes twice as
                # long; small ones do not here, to keep files of many frames small.
                file.seek(-file.tell() % _PAGE, 1)
            entries.append(name + struct.pack("<QQ", file.tell(), len(data)))
            # The pixels of a frame begin one page behind its chunk, 8 bytes of time included.
            padded = name.ljust(4072, b"\0")
            file.write(struct.pack("<IIQ", _MAGIC, len(padded), len(data)) + padded + data)
        start = file.tell()
        entries.append(b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", start))
        table = b"".join(entries)
        title = b"ND2 FILEMAP SIGNATURE NAME 0001!"
        file.write(struct.pack("<IIQ", _MAGIC, len(title), len(table)) + title + table)


def _level(name: str, items: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """Encode a branch of the metadata tree ("CLX lite variant"); lists have nameless items."""
    pairs = items.items() if isinstance(items, Mapping) else [("", item) for item in items]
    head = _name(_LEVEL, name)
    body = b"".join(_value(key, value) for key, value in pairs)
    size = len(head) + 12 + len(body)
    return head + struct.pack("<IQ", len(items), size) + body + bytes(8 * len(items))


def _value(name: str, value: Any) -> bytes:
    if isinstance(value, (Mapping, list)):
        return _level(name, value)
    if isinstance(value, bool):
        return _name(_BOOL, name) + struct.pack("<B", value)
    if isinstance(value, int):
        return _name(_UINT32, name) + struct.pack("<I", value)
    if isinstance(value, float):
        return _name(_DOUBLE, name) + struct.pack("<d", value)
    if isinstance(value, bytes):
        return _name(_BYTES, name) + struct.pack("<Q", len(value)) + value
    return _name(_STRING, name) + (value + "\0").encode("utf-16-le")


def _name(kind: int, name: str) -> bytes:
    return struct.pack("<BB", kind, len(name) + 1) + (name + "\0").encode("utf-16-le")
