"""OME-Zarr whose metadata cannot be true, and what is no file under the name of a chunk."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zarr.core.sync import cleanup_resources

from ome_zarr_writer import LAYOUTS, chunk_file, random_pixels, write_image
from pyama_core.errors import InputError, MissingFrameError, ShortageError
from pyama_core.io.checksums import identify_source
from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.io.retrying import system_failure

pytestmark = pytest.mark.timeout(60)
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices of POSIX")

PIXELS = random_pixels(2, 2, 1, 20, 20)
V3, V2, SHARDED = LAYOUTS[0], LAYOUTS[4], LAYOUTS[3]


@pytest.fixture(autouse=True)
def _zarr_ends_its_threads(nothing_is_left_behind: None) -> Iterator[None]:
    yield
    cleanup_resources()


def edit(path: Path, **changes: Any) -> None:
    """Change what the metadata of an array says."""
    document = next(p for p in (path / "0/zarr.json", path / "0/.zarray") if p.exists())
    document.write_text(json.dumps(json.loads(document.read_text()) | changes))


def refusal_of(path: Path) -> str:
    with pytest.raises(InputError) as refused:
        load_microscopy_file(path)
    text = str(refused.value)
    assert "\n" not in text
    assert len(text) < 500
    assert path.name in text
    return text


def grid(*sizes: Any) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": list(sizes)}}


IMPOSSIBLE_SIZES: list[tuple[Any, Any, str]] = [
    ([-1, 2, 1, 20, 20], [1, 1, 1, 16, 16], "shape"),
    ([2, 2, 1, -20, 20], [1, 1, 1, 16, 16], "shape"),
    ([2, 2, 1, 0, 20], [1, 1, 1, 16, 16], "frames of 20 × 0 pixels"),
    ([2, 0, 1, 20, 20], [1, 1, 1, 16, 16], "shape"),
    ([0, 2, 1, 20, 20], [1, 1, 1, 16, 16], "no complete frame"),
    ([2, 2, 1, 20, 20], [1, 1, 1, 0, 16], "chunks of"),
    ([2, 2, 1, 20, 20], [1, 1, 1, 16, -16], "chunks of"),
    ([2, 2, 1, 20, 20], [0, 1, 1, 16, 16], "chunks of"),
    ([2, 2, 1, 20, 20], [1, 1, 16, 16], "chunks of"),
    ([2, 2, 1, 20, 20], [], "chunks of"),
    ([20, 20], [16, 16], "axes"),
    ([2, 2, 1, 10**7, 10**7], [1, 1, 1, 64, 64], "too many to read"),
    ([2, 2, 1, 10**7, 10**7], [1, 1, 1, 10**5, 10**5], "bytes each"),
    ([2, 2, 1, 10**7, 100], [1, 1, 1, 10**5, 100], "frames of 100 × 10000000 pixels"),
    ([2, 2, 1, 99_999, 99_999], [1, 1, 1, 9_999, 9_999], "frames of 99999 × 99999 pixels"),
    ([2, 2, 1, 1000, 1000], [1, 1, 1, 1, 1], "too many to read"),
    ([10**14, 2, 1, 20, 20], [1, 1, 1, 16, 16], "planes"),
    ([10**40, 2, 1, 20, 20], [1, 1, 1, 16, 16], "planes"),
    ([2, 2, 1, 20, 20], [10**40, 1, 1, 16, 16], "bytes each"),
    ([4_900_000, 2, 1, 20, 20], [1, 1, 1, 20, 20], "no complete frame"),
    (["2", 2, 1, 20, 20], [1, 1, 1, 16, 16], "damaged"),
    ([2.5, 2, 1, 20, 20], [1, 1, 1, 16, 16], "damaged"),
    ([True, 2, 1, 20, 20], [1, 1, 1, 16, 16], "damaged"),
    (None, [1, 1, 1, 16, 16], "damaged"),
    ([2, 2, 1, 20, 20], None, "damaged"),
    ([2, 2, 1, 20, 20], {"a": 1}, "damaged"),
]


@pytest.mark.parametrize("version", [3, 2])
@pytest.mark.parametrize(("shape", "chunks", "told"), IMPOSSIBLE_SIZES, ids=str)
def test_sizes_that_cannot_be_are_refused_in_a_line(
    tmp_path: Path, shape: Any, chunks: Any, told: str, version: int
) -> None:
    path = write_image(tmp_path / "a.zarr", PIXELS, V3 if version == 3 else V2)
    if told == "no complete frame":
        for chunk in [p for p in (path / "0").rglob("*") if p.is_file() and p.suffix != ".json"]:
            if not chunk.name.startswith(".z"):
                chunk.unlink()
    sizes = chunks if version == 2 else grid(*chunks) if isinstance(chunks, list) else chunks
    edit(path, shape=shape, **{"chunks" if version == 2 else "chunk_grid": sizes})
    assert told in refusal_of(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"data_type": "object"},
        {"data_type": "complex64"},
        {"data_type": "r16"},
        {"data_type": {"name": "x"}},
        {"data_type": None},
        {"chunk_grid": {"name": "rectilinear", "configuration": {"chunk_shape": [1] * 5}}},
        {"chunk_grid": [1, 2]},
        {"chunk_key_encoding": []},
        {"chunk_key_encoding": {"name": "else"}},
        {"chunk_key_encoding": {"name": "default", "configuration": {"separator": 7}}},
        {"chunk_key_encoding": {"name": "default", "configuration": {"separator": "../"}}},
        {"codecs": 3},
        {"codecs": [{"name": "sharding_indexed"}]},
        {"codecs": [{"name": "sharding_indexed", "configuration": {"chunk_shape": [1, 1, 1, 0]}}]},
        {
            "codecs": [
                {"name": "sharding_indexed", "configuration": {"chunk_shape": [1, 1, 1, 7, 7]}}
            ]
        },
        {"fill_value": "0xgg", "data_type": "float32"},
        {"fill_value": "0x" + "f" * 40, "data_type": "float32"},
        {"node_type": "group", "shape": None},
    ],
    ids=str,
)
def test_descriptions_of_arrays_that_make_no_sense_are_refused_in_a_line(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = write_image(tmp_path / "a.zarr", PIXELS, V3)
    edit(path, **changes)
    refusal_of(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "|O"},
        {"dtype": [["a", "<u2"]]},
        {"dtype": "<M8[ns]"},
        {"dtype": None},
        {"dimension_separator": ""},
        {"dimension_separator": None},
        {"dimension_separator": ["/"]},
    ],
    ids=str,
)
def test_older_descriptions_that_make_no_sense_are_refused_in_a_line(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = write_image(tmp_path / "a.zarr", PIXELS, V2)
    edit(path, **changes)
    refusal_of(path)


@pytest.mark.parametrize("name", ["../b.zarr/0", "/etc", "0/../../b", "C:/x", "a/../../.."])
def test_paths_that_lead_out_of_the_store_are_not_followed(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / "b.zarr", PIXELS)
    path = write_image(tmp_path / "a.zarr", PIXELS)
    about = json.loads((path / "zarr.json").read_text())
    about["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = name
    (path / "zarr.json").write_text(json.dumps(about))
    refusal_of(path)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_socket(path: Path) -> None:
    # The name of a socket may have 108 bytes and no more.
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(path.parent)
        try:
            server.bind(path.name)
        finally:
            os.chdir(here)


IRREGULAR = [make_pipe, make_endless, make_socket]


@needs_posix
@pytest.mark.parametrize("make", IRREGULAR)
@pytest.mark.parametrize("layout", [V3, V2, SHARDED], ids=lambda layout: layout.name)
def test_what_is_no_file_is_no_chunk(tmp_path: Path, make: Any, layout: Any) -> None:
    path = write_image(tmp_path / "a.zarr", PIXELS, layout)
    chunk = chunk_file(path, layout, 1, 1, 0, 0, 0)
    chunk.unlink()
    make(chunk)
    for where in (path, path.as_uri()):
        source, about = load_microscopy_file(where)
        with source:
            np.testing.assert_array_equal(source.read_frame(0, 0, 1), PIXELS[1, 0, 0])
            with pytest.raises(MissingFrameError, match="frame 1: not a regular file") as missing:
                source.read_frame(0, 1, 1)
            # A frame that is missing, and no drive that fails.
            assert system_failure(missing.value) is None
        assert chunk not in about.companions
        if about.companions:
            identify_source(about.companions)


@needs_posix
@pytest.mark.parametrize("make", IRREGULAR)
@pytest.mark.parametrize("name", ["zarr.json", "0/zarr.json"])
def test_metadata_that_is_no_file_is_refused(tmp_path: Path, make: Any, name: str) -> None:
    path = write_image(tmp_path / "a.zarr", PIXELS)
    (path / name).unlink()
    make(path / name)
    with pytest.raises(InputError):
        load_microscopy_file(path)


@needs_posix
@pytest.mark.parametrize("name", ["0/.zattrs", "0/.zarray"])
def test_documents_that_only_zarr_asks_for_are_not_waited_for(tmp_path: Path, name: str) -> None:
    path = write_image(tmp_path / "a.zarr", PIXELS)
    os.mkfifo(path / name)
    source, _ = load_microscopy_file(path)
    with source, pytest.raises(MissingFrameError, match="not a regular file"):
        source.read_frame(0, 0, 0)


def test_a_folder_under_the_name_of_a_chunk_is_none(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.zarr", PIXELS)
    chunk = chunk_file(path, V3, 1, 1, 0, 0, 0)
    chunk.unlink()
    chunk.mkdir()
    source, _ = load_microscopy_file(path)
    with source, pytest.raises(MissingFrameError, match="chunks is lost"):
        source.read_frame(0, 1, 1)


@needs_posix
def test_links_to_files_are_files(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.zarr", PIXELS)
    chunk = chunk_file(path, V3, 1, 1, 0, 0, 0)
    chunk.rename(tmp_path / "elsewhere")
    chunk.symlink_to(tmp_path / "elsewhere")
    source, about = load_microscopy_file(path)
    with source:
        np.testing.assert_array_equal(source.read_frame(0, 1, 1), PIXELS[1, 1, 0])
    assert chunk in about.companions


def test_a_frame_that_memory_is_too_small_for_is_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = load_microscopy_file(write_image(tmp_path / "a.zarr", PIXELS))

    def fail(fov: int) -> Any:
        raise MemoryError("Unable to allocate 8 MiB")

    monkeypatch.setattr(source, "_array", fail)
    with source, pytest.raises(ShortageError, match="Unable to allocate"):
        source.read_frame(0, 0, 0)
