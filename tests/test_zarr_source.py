"""OME-Zarr written by ngff-zarr, which shares no code with what reads it here."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import fsspec
import fsspec.asyn
import ngff_zarr
import numpy as np
import pytest
import zarr
from zarr.core.sync import cleanup_resources

from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file, open_source
from pyama_core.io.readers.zarr.documents import ZarrStore
from pyama_core.io.retrying import system_failure

# Frames, channels, z planes.
STACK = np.random.default_rng(4).integers(1, 60000, (3, 2, 4, 21, 35), dtype=np.uint16)
STEPS = {"t": 5.0, "c": 1.0, "z": 2.0, "y": 0.5, "x": 0.5}
UNITS = {"t": "minute", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
VERSIONS = ("0.4", "0.5")


@pytest.fixture(autouse=True, scope="module")
def _libraries_are_warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the writing library and fsspec open what they keep open for good."""
    with dask.config.set(scheduler="synchronous"):
        write(tmp_path_factory.mktemp("warm") / "a.zarr", "0.5", scale_factors=(2,))
        fsspec.asyn.get_loop()
        yield


@pytest.fixture(autouse=True)
def _zarr_ends_its_threads(nothing_is_left_behind: None) -> Iterator[None]:
    """End the event loop of zarr, which is one for the whole process and outlives its arrays."""
    yield
    cleanup_resources()


def multiscales(
    pixels: np.ndarray[Any, Any],
    dims: str = "tczyx",
    steps: dict[str, float] = STEPS,
    units: dict[str, str] = UNITS,
    scale_factors: tuple[int, ...] = (),
) -> ngff_zarr.NgffMultiscales:
    image = ngff_zarr.to_ngff_image(
        pixels,
        dims=list(dims),
        scale={axis: steps[axis] for axis in dims},
        axes_units={axis: unit for axis, unit in units.items() if axis in dims},
        name="image",
    )
    chunks = {axis: 1 if axis in "tcz" else 16 for axis in dims}
    pyramid = ngff_zarr.to_multiscales(image, scale_factors=list(scale_factors), chunks=chunks)
    pyramid.metadata.omero = ngff_zarr.Omero(
        channels=[
            ngff_zarr.OmeroChannel(color="FFFFFF", label=label, window=window())
            for label in ("Phase", "GFP")
        ]
    )
    return pyramid


def window() -> ngff_zarr.OmeroWindow:
    return ngff_zarr.OmeroWindow(min=0, max=65535, start=0, end=65535)


def write(
    path: Path,
    version: str,
    pixels: np.ndarray[Any, Any] = STACK,
    scale_factors: tuple[int, ...] = (),
    **options: Any,
) -> Path:
    pyramid = multiscales(pixels, scale_factors=scale_factors)
    ngff_zarr.to_ngff_zarr(str(path), pyramid, version=version, **options)
    return path


@pytest.mark.parametrize(("version", "sharded"), [("0.4", False), ("0.5", False), ("0.5", True)])
def test_every_plane_of_an_image_is_the_one_that_was_written(
    tmp_path: Path, version: str, sharded: bool
) -> None:
    options = {"chunks_per_shard": 2} if sharded else {}
    path = write(tmp_path / "a.ome.zarr", version, scale_factors=(2,), **options)
    source, metadata = load_microscopy_file(path, z=0)
    with source:
        assert metadata.fov_shapes == ((3, 21, 35),)
        assert (metadata.n_channels, metadata.n_z, metadata.dtype) == (2, 4, "uint16")
        assert (metadata.file_type, metadata.base_name) == ("ome-zarr", "a")
        assert metadata.channel_names == ("Phase", "GFP")
        assert metadata.pixel_size_um == 0.5
        assert metadata.z_step_um == 2.0
        assert metadata.timepoints == ((0.0, 5.0, 10.0),)
        assert metadata.timepoints_source == "nominal"
        for t, c, z in np.ndindex(3, 2, 4):
            frame = source.read_frame(0, c, t, z)
            np.testing.assert_array_equal(frame, STACK[t, c, z])
            assert frame.flags.c_contiguous
    with open_source(metadata) as again:
        np.testing.assert_array_equal(again.read_frame(0, 1, 2, "max"), STACK[2, 1].max(axis=0))
    assert {p for p in path.rglob("*") if p.is_file()} == set(metadata.companions)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("dims", ["yx", "tyx", "cyx", "zyx", "tcyx"])
def test_dimensions_that_an_image_lacks_have_size_one(
    tmp_path: Path, version: str, dims: str
) -> None:
    index = tuple(slice(None) if axis in dims else 0 for axis in "tczyx")
    pixels = STACK[index]
    ngff_zarr.to_ngff_zarr(
        str(tmp_path / "a.zarr"), multiscales(pixels, dims=dims), version=version
    )
    source, metadata = load_microscopy_file(tmp_path / "a.zarr", z=0)
    with source:
        counts = tuple(n if axis in dims else 1 for n, axis in zip((3, 2, 4), "tcz", strict=True))
        assert (metadata.n_frames, metadata.n_channels, metadata.n_z) == counts
        for t, c, z in np.ndindex(counts):
            np.testing.assert_array_equal(source.read_frame(0, c, t, z), STACK[t, c, z])


@pytest.mark.parametrize("version", VERSIONS)
def test_wells_and_fields_of_a_plate_are_fields_of_view(tmp_path: Path, version: str) -> None:
    plate = ngff_zarr.Plate(
        columns=[ngff_zarr.PlateColumn("2"), ngff_zarr.PlateColumn("10")],
        rows=[ngff_zarr.PlateRow("B")],
        wells=[ngff_zarr.PlateWell("B/2", 0, 0), ngff_zarr.PlateWell("B/10", 0, 1)],
        version=version,
        field_count=2,
    )
    writer = ngff_zarr.HCSPlateWriter(str(tmp_path / "p.zarr"), plate, version=version)
    stacks = []
    with writer as opened:
        for column, field in ((2, 0), (2, 1), (10, 0), (10, 1)):
            stacks.append(STACK + 10 * column + field)
            opened.write_well_image(multiscales(stacks[-1]), "B", str(column), field_index=field)
    source, metadata = load_microscopy_file(tmp_path / "p.zarr", z=1)
    with source:
        assert metadata.fov_names == ("B2/0", "B2/1", "B10/0", "B10/1")
        for fov, stack in enumerate(stacks):
            np.testing.assert_array_equal(source.read_frame(fov, 1, 2), stack[2, 1, 1])


def test_a_folder_of_images_is_one_field_of_view_each(tmp_path: Path) -> None:
    write(tmp_path / "set/pos10.ome.zarr", "0.5", STACK + 10)
    write(tmp_path / "set/pos9.ome.zarr", "0.4", STACK[:2] + 9)
    source, metadata = load_microscopy_file(tmp_path / "set", z=0)
    with source:
        assert metadata.fov_names == ("pos9", "pos10")
        assert metadata.fov_shapes == ((2, 21, 35), (3, 21, 35))
        np.testing.assert_array_equal(source.read_frame(0, 0, 1), STACK[1, 0, 0] + 9)
        np.testing.assert_array_equal(source.read_frame(1, 1, 2), STACK[2, 1, 0] + 10)


def write_converted_series(root: Path) -> Path:
    """Write what bioformats2raw makes of a file with two series and times per plane."""
    images = ""
    for p in range(2):
        write(root / str(p), "0.4", STACK + p)
        planes = "".join(
            f'<Plane TheT="{t}" TheC="{c}" TheZ="{z}" DeltaT="{60 * (7 * t + p) + c}" '
            f'PositionX="{100 * p}" PositionXUnit="µm" PositionY="3" PositionYUnit="µm"/>'
            for t, c, z in np.ndindex(3, 2, 4)
        )
        images += (
            f'<Image ID="Image:{p}" Name="well {p}"><Pixels DimensionOrder="XYZCT" Type="uint16" '
            f'SizeT="3" SizeC="2" SizeZ="4" SizeY="21" SizeX="35"><Channel Name="PC"/>'
            f'<Channel Name="YFP" EmissionWavelength="527"/>{planes}</Pixels></Image>'
        )
    (root / ".zgroup").write_text('{"zarr_format": 2}')
    (root / ".zattrs").write_text('{"bioformats2raw.layout": 3}')
    (root / "OME").mkdir()
    (root / "OME/.zattrs").write_text('{"series": ["0", "1"]}')
    (root / "OME/METADATA.ome.xml").write_text(f"<OME>{images}</OME>", encoding="utf-8")
    return root


def test_a_converted_series_has_the_times_and_names_of_its_ome_xml(tmp_path: Path) -> None:
    source, metadata = load_microscopy_file(write_converted_series(tmp_path / "a.zarr"), z=0)
    with source:
        np.testing.assert_array_equal(source.read_frame(1, 1, 2), STACK[2, 1, 0] + 1)
    assert metadata.timepoints == ((0, 7, 14), (1, 8, 15))
    assert metadata.timepoints_source == "measured"
    assert metadata.fov_names == ("well 0", "well 1")
    assert metadata.channel_names == ("PC", "YFP")
    assert metadata.emission_nm == (None, 527)
    assert metadata.stage_positions_um == ((0, 3, None), (100, 3, None))


def test_an_interval_without_a_unit_is_not_guessed(tmp_path: Path) -> None:
    units = {axis: unit for axis, unit in UNITS.items() if axis != "t"}
    pyramid = multiscales(STACK, units=units)
    ngff_zarr.to_ngff_zarr(str(tmp_path / "a.zarr"), pyramid, version="0.5")
    source, metadata = load_microscopy_file(tmp_path / "a.zarr")
    source.close()
    assert metadata.timepoints_source == "unknown"


def chunks_of(path: Path, *plane: int) -> list[Path]:
    """Files of one plane at full resolution."""
    array = next(p for p in sorted(path.rglob("zarr.json")) if "chunk_grid" in p.read_text()).parent
    return sorted(array.joinpath("c", *map(str, plane)).rglob("*"))[::-1]


def remove(path: Path, *plane: int) -> None:
    shutil.rmtree(chunks_of(path, *plane)[0].parents[1])


def test_a_plane_without_any_chunk_is_missing_and_not_zeros(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", "0.5")
    remove(path, 1, 0, 0)
    source, _ = load_microscopy_file(path)
    with source:
        with pytest.raises(MissingFrameError, match="channel 0, frame 1, z plane 0: none of its"):
            source.read_frame(0, 0, 1)
        np.testing.assert_array_equal(source.read_frame(0, 0, 2), STACK[2, 0, 0])


def test_an_image_that_really_is_zero_is_read(tmp_path: Path) -> None:
    pixels = STACK.copy()
    pixels[1, 0, 0, :16] = 0
    path = write(tmp_path / "a.zarr", "0.5", pixels)
    level = chunks_of(path, 1, 0, 0)[0].parents[5]
    with zarr.config.set({"array.write_empty_chunks": True}):
        zarr.open_array(level, mode="r+")[1, 0, 0] = pixels[1, 0, 0]
    source, _ = load_microscopy_file(path)
    with source:
        np.testing.assert_array_equal(source.read_frame(0, 0, 1), pixels[1, 0, 0])


def test_a_stopped_acquisition_has_the_frames_that_are_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", "0.5")
    for c, z in ((0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)):
        remove(path, 2, c, z)
    source, metadata = load_microscopy_file(path)
    source.close()
    assert metadata.fov_shapes == ((2, 21, 35),)
    assert any("missing at the end, FOV 0 has 2 of 3" in w for w in metadata.warnings)


def test_a_damaged_chunk_is_a_missing_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", "0.5")
    chunk = chunks_of(path, 1, 0, 0)[0]
    chunk.write_bytes(chunk.read_bytes()[:5])
    source, _ = load_microscopy_file(path)
    with source, pytest.raises(MissingFrameError, match="channel 0, frame 1"):
        source.read_frame(0, 0, 1)


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[str]:
    """Put an image behind a URL."""
    path = write(tmp_path / "a.ome.zarr", "0.5")
    files = fsspec.filesystem("memory")
    files.put(str(path), "/pyama/a.ome.zarr", recursive=True)
    yield "memory://pyama/a.ome.zarr"
    files.rm("/pyama", recursive=True)


def test_an_image_behind_a_url_is_read(in_memory: str) -> None:
    source, metadata = load_microscopy_file(in_memory, z=3)
    with source:
        for t, c in np.ndindex(3, 2):
            np.testing.assert_array_equal(source.read_frame(0, c, t), STACK[t, c, 3])
    assert metadata.base_name == "a"
    assert metadata.companions == ()
    assert metadata.content_checksum.startswith("xxh3-128:")
    with open_source(metadata) as again:
        np.testing.assert_array_equal(again.read_frame(0, 0, 0), STACK[0, 0, 3])


@pytest.mark.parametrize(("failures", "works"), [(2, True), (99, False)])
def test_a_server_that_fails_is_asked_again_and_never_taken_for_a_gap(
    in_memory: str, monkeypatch: pytest.MonkeyPatch, failures: int, works: bool
) -> None:
    monkeypatch.setattr("pyama_core.io.retrying.PAUSES_S", (0.0, 0.0, 0.0))
    source, _ = load_microscopy_file(in_memory, z=3)
    files, left = type(fsspec.filesystem("memory")), [failures]
    real = files.cat_file

    def cat_file(self: Any, path: str, *arguments: Any, **options: Any) -> bytes:
        if "/c/" in path and left[0]:
            left[0] -= 1
            raise RuntimeError("503 Service Unavailable")
        return real(self, path, *arguments, **options)

    monkeypatch.setattr(files, "cat_file", cat_file)
    with source:
        if works:
            np.testing.assert_array_equal(source.read_frame(0, 1, 2), STACK[2, 1, 3])
        else:
            with pytest.raises(MissingFrameError, match="503") as raised:
                source.read_frame(0, 1, 2)
            assert system_failure(raised.value) is not None


def test_a_store_that_is_gone_is_not_taken_for_a_gap(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ome.zarr", "0.5")
    source, _ = load_microscopy_file(path, z=3)
    path.rename(tmp_path / "elsewhere")
    with source, pytest.raises(MissingFrameError) as raised:
        source.read_frame(0, 1, 2)
    assert system_failure(raised.value) is not None


def test_a_url_of_a_file_is_read_in_another_process(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ome.zarr", "0.5")
    source, metadata = load_microscopy_file(path.as_uri(), z=1)
    source.close()
    program = (
        "import pickle, sys\n"
        "from pyama_core.io.microscopy import open_source\n"
        "with open_source(pickle.loads(sys.stdin.buffer.read())) as source:\n"
        "    sys.stdout.buffer.write(source.read_frame(0, 1, 2).tobytes())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(metadata), capture_output=True
    )
    assert run.stdout == STACK[2, 1, 1].tobytes(), run.stderr.decode()


@pytest.mark.parametrize("url", ["memory://nowhere/a.zarr", "gopher://host/a.zarr"])
def test_a_url_that_leads_nowhere_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(InputError, match=r"does not exist|cannot be read as OME-Zarr"):
        load_microscopy_file(url)


def test_another_image_behind_the_url_has_another_checksum(in_memory: str) -> None:
    source, metadata = load_microscopy_file(in_memory)
    source.close()
    name = "/pyama/a.ome.zarr/zarr.json"
    files = fsspec.filesystem("memory")
    files.pipe(name, files.cat_file(name).replace(b"GFP", b"RFP"))
    source, changed = load_microscopy_file(in_memory)
    source.close()
    assert changed.content_checksum != metadata.content_checksum


def break_json(root: Path) -> None:
    (root / "zarr.json").write_text("{")


def break_axes(root: Path) -> None:
    edit(root, lambda image: image["axes"].__setitem__(0, {"name": "q", "type": "other"}))


def break_levels(root: Path) -> None:
    edit(root, lambda image: image.__setitem__("datasets", []))


def break_array(root: Path) -> None:
    for path in root.rglob("zarr.json"):
        path.write_text(path.read_text().replace('"chunk_grid"', '"grid"'))


def lose_array(root: Path) -> None:
    for path in [p for p in root.iterdir() if p.is_dir()]:
        shutil.rmtree(path)


def edit(root: Path, change: Any) -> None:
    content = json.loads((root / "zarr.json").read_text())
    change(content["attributes"]["ome"]["multiscales"][0])
    (root / "zarr.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (break_json, "not JSON"),
        (break_axes, "axes"),
        (break_levels, "OME metadata of its root is wrong"),
        (break_array, "description of the array"),
        (lose_array, "is not there"),
    ],
)
def test_metadata_that_makes_no_sense_is_refused_with_a_sentence(
    tmp_path: Path, damage: Any, told: str
) -> None:
    path = write(tmp_path / "a.zarr", "0.5")
    damage(path)
    with pytest.raises(InputError, match=told) as error:
        load_microscopy_file(path)
    assert "\n" not in str(error.value)


def test_a_zarr_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr/zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    with pytest.raises(InputError, match="no OME-Zarr image in it"):
        load_microscopy_file(tmp_path / "a.zarr")


def test_images_that_differ_in_channels_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "set/a.zarr", "0.5")
    write(tmp_path / "set/b.zarr", "0.5", STACK[:, :1])
    with pytest.raises(InputError, match=r"1 channels.*2 channels"):
        load_microscopy_file(tmp_path / "set")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_names_of_chunks_are_those_of_the_files(tmp_path: Path, version: str) -> None:
    path = write(tmp_path / "a.zarr", version)
    source, metadata = load_microscopy_file(path)
    source.close()
    store = ZarrStore(path)
    root = store.attributes("")
    level = (root.get("ome") or root)["multiscales"][0]["datasets"][0]["path"]
    array = store.array(level)
    files = {str(p.relative_to(path)).replace("\\", "/") for p in metadata.companions}
    for at in np.ndindex(3, 2, 4):
        names = list(array.chunk_names(at))
        assert len(names) == 2 * 3
        assert set(names) <= files


def test_importing_the_reader_loads_no_zarr_library_before_it_is_needed() -> None:
    program = (
        "import sys, pyama_core.io.readers.registry\n"
        "print(sorted({'zarr', 'yaozarrs', 'fsspec', 'pylibCZIrw', 'bioio'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr
