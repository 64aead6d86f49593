"""Every real file and one written file per format: what it holds, against a table and a library."""

from __future__ import annotations

import dataclasses
import functools
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import nd2
import numpy as np
import pytest
import tifffile
import zarr
from zarr.core.sync import cleanup_resources

from czi_library import czi_library
from encoded_data_sets import decode
from messy_data_sets import MESSY, MessyRow
from mm_stack_writer import write_mm_stack
from nd2_writer import position_loop, time_loop, write_nd2, z_loop
from ndtiff_writer import NdTiffWriter
from pyama_core.errors import InputError, MissingFrameError
from pyama_core.io.microscopy import load_microscopy_file, open_source

DATA = Path(__file__).parents[2] / "shared" / "data"

# Gives one plane for (fov, channel, time, z).
Planes = Callable[[int, int, int, int], Any]


@dataclass(frozen=True)
class Row:
    """A data set and what is expected of it; `times` are those of the first field of view."""

    path: str
    library: Callable[[Path], Planes]
    file_type: str
    shapes: tuple[tuple[int, int, int], ...]
    channels: tuple[str, ...]
    n_z: int = 1
    dtype: str = "uint16"
    fovs: tuple[str, ...] = ("FOV 0",)
    times: tuple[float, ...] | None = None
    source: str = "unknown"
    options: dict[str, Any] = field(default_factory=dict)


def with_nd2(path: Path) -> Planes:
    with nd2.ND2File(path) as file:
        pixels, axes = file.asarray(), "".join(file.sizes)
    for axis in "PCTZ":
        if axis not in axes:
            pixels, axes = pixels[None], axis + axes
    ordered = pixels.transpose([axes.index(axis) for axis in "PCTZYX"])
    return lambda *at: ordered[at]


def with_pylibczirw(path: Path) -> Planes:
    def plane(fov: int, c: int, t: int, z: int) -> Any:
        with czi_library().open_czi(str(path)) as czi:
            scenes = czi.scenes_bounding_rectangle
            at = {"C": c, "T": t, "Z": z}
            if not scenes:
                return czi.read(plane=at)[:, :, 0]
            return czi.read(plane=at, scene=fov, roi=scenes[fov])[:, :, 0]

    return plane


def with_tifffile(path: Path) -> Planes:
    """Read a stack whose only dimension beside Y and X is time."""
    stack = tifffile.imread(path)
    return lambda fov, c, t, z: stack[t]


def with_images(name: Callable[..., str]) -> Callable[[Path], Planes]:
    """Read single images, named by (fov, channel, time, z)."""

    def library(path: Path) -> Planes:
        def plane(fov: int, c: int, t: int, z: int) -> Any:
            file = path / name(fov, c, t, z)
            if file.suffix == ".png":
                return cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
            return tifffile.imread(file, key=0)

        return plane

    return library


def incucyte_name(fov: int, channel: int, t: int, z: int) -> str:
    return f"HC01501_{'GPR'[channel]}_B2_1_00d{t // 2:02}h{30 * (t % 2):02}m.tif"


def micro_manager_name(fov: int, channel: int, t: int, z: int) -> str:
    return f"testimages{fov + 1}/img_{t:09}_{('DAPI', 'TRITC', 'YFP')[channel]}_000.png"


def nis_name(fov: int, channel: int, t: int, z: int) -> str:
    return f"xy{fov}t{t}z{z}c{channel}.tif"


nd2_row = functools.partial(Row, library=with_nd2, file_type="nd2", source="measured")
czi_row = functools.partial(Row, library=with_pylibczirw, file_type="czi", source="measured")
folder_row = functools.partial(Row, file_type="image-folder")

REAL = [
    nd2_row("nd2/cluster.nd2", shapes=((3, 31, 38),), n_z=10,
            channels=("5-FAM/pH 9.0", "FM 4-64/2% CHAPS"), times=(0, 0.177352, 0.354918)),
    nd2_row("nd2/example-cerevisiae.nd2", shapes=((1, 256, 256),), channels=("DIC", "FITC BP"),
            times=(0,)),
    nd2_row("nd2/example-multichannel.nd2", shapes=((1, 256, 256),), times=(0,),
            channels=("Mono", "DAPI", "FITC BP", "TRITC BP")),
    nd2_row("nd2/example-pbmc.nd2", shapes=((1, 256, 256),), times=(0,),
            channels=("Mono", "DAPI", "FITC BP", "TRITC BP")),
    nd2_row("nd2/example-timelapse.nd2", shapes=((53, 64, 64),), channels=("GFP 488 nm",),
            times=tuple(0.008336 * t for t in range(53))),
    nd2_row("nd2/example-zstack.nd2", shapes=((1, 128, 128),), channels=("FITC BP",), n_z=11,
            times=(0,)),
    czi_row("czi/Airyscan.czi", shapes=((3, 480, 480),), channels=("ChA-T1", "ChA-T2"),
            times=(0, 0.008722, 0.017445)),
    czi_row("czi/CellDivision_T3_Z5_CH2_X240_Y170.czi", shapes=((3, 170, 240),), n_z=5,
            channels=("LED555", "LED470"), times=(0, 1.000424, 2.001515)),
    czi_row("czi/S3_1Pos_2Mosaic_T2_Z3_CH2_sm.czi", n_z=3, channels=("DAPI", "EGFP"),
            shapes=((2, 122, 295), (2, 64, 64), (2, 237, 352)), fovs=("TR1", "P1", "TR2"),
            times=(0, 0.556867)),
    czi_row("czi/WellD6-7_S2.czi", shapes=((1, 440, 544),) * 2, channels=("AF488",),
            fovs=("D6", "D7"), times=(0,)),
    folder_row("incucyte", with_images(incucyte_name),
               shapes=((11, 1040, 1408),), channels=("G", "P", "R"), fovs=("B2_1",),
               times=tuple(30 * t for t in range(11)), source="nominal"),
    folder_row("il1b", with_images(micro_manager_name),
               shapes=((4, 512, 512),) * 2, channels=("DAPI", "TRITC", "YFP"),
               fovs=("testimages1", "testimages2")),
    folder_row("nanog", with_images(lambda p, c, t, z: f"110930AF6_p0011_t{t + 1:05}_z001_w1.tif"),
               dtype="uint8", shapes=((8, 1040, 1388),), channels=("w1",), fovs=("p0011",)),
    folder_row("t98g/raw", with_images(lambda p, c, t, z: f"20180101ef002xy01t{t + 1:02}.tif"),
               shapes=((18, 1022, 1024),), channels=("Channel 0",), fovs=("xy01",)),
    Row("trpl/trpL_150310-11_img.tif", with_tifffile, "tiff", ((20, 727, 1026),),
        ("Channel 0",), options={"axes": "TYX"}),
]  # fmt: skip


def assert_as_in_table(row: Row, path: Path, *, whole: bool = True) -> None:
    source, about = load_microscopy_file(path, **{"z": 0, **row.options})
    with source:
        assert about.file_type == row.file_type
        assert about.fov_shapes == row.shapes
        assert about.channel_names == row.channels
        assert about.fov_names == row.fovs
        assert (about.n_z, about.dtype) == (row.n_z, row.dtype)
        assert about.timepoints_source == row.source
        expected = row.times or (None,) * row.shapes[0][0]
        assert about.timepoints[0] == pytest.approx(expected, abs=2e-6)
        planes = row.library(path)
        for at in places(row, whole=whole):
            fov, c, t, z = at
            frame = source.read_frame(fov, c, t, z)
            np.testing.assert_array_equal(frame, planes(fov, c, t, z))
            assert frame.shape == row.shapes[fov][1:]
            assert frame.dtype == row.dtype
            assert frame.flags.c_contiguous
    with open_source(about) as again:
        assert again.metadata == about


def places(row: Row, *, whole: bool) -> Iterator[tuple[int, int, int, int]]:
    for fov, (n_t, _, _) in enumerate(row.shapes):
        for c, t, z in np.ndindex(len(row.channels), n_t, row.n_z):
            if whole or t in (0, n_t - 1):
                yield fov, c, t, z


@pytest.mark.parametrize("row", REAL, ids=lambda row: row.path)
def test_a_real_data_set_is_what_the_table_and_its_library_say(row: Row, shared_data: Path) -> None:
    assert_as_in_table(row, shared_data / row.path, whole=row.path != "incucyte")


FRAMES = np.random.default_rng(5).integers(0, 60000, (2, 3, 2, 6, 8, 2), dtype=np.uint16)


def write_positions(path: Path) -> None:
    loops = [position_loop(["A1", "B2"]), time_loop(3, 60_000.0), z_loop(2)]
    times = (1000.0 * np.arange(12) ** 1.5).tolist()
    names = ["Phase", "GFP"]
    write_nd2(path, FRAMES.reshape(-1, 6, 8, 2), loops, times_ms=times, channel_names=names)


def write_ome_tiff(path: Path) -> None:
    with tifffile.TiffWriter(path) as tiff:
        for p in range(2):
            about = {
                "axes": "TZYXC"[:4],
                "Name": "AB"[p],
                "Plane": {"DeltaT": [60.0 * t for t in range(3)]},
                "Channel": {"Name": ["GFP"]},
            }
            tiff.write(FRAMES[p, :, :1, :, :, 0], metadata=about, photometric="minisblack")


def write_imagej(path: Path) -> None:
    about = {"axes": "TYX", "finterval": 90.0}
    tifffile.imwrite(path, FRAMES[0, :, 0, :, :, 0], imagej=True, metadata=about)


def write_czi(path: Path) -> None:
    with czi_library().create_czi(str(path)) as czi:
        for p, t, z, c in np.ndindex(2, 3, 2, 2):
            plane = np.ascontiguousarray(FRAMES[p, t, z, :, :, c])[..., None]
            at = {"T": t, "Z": z, "C": c}
            czi.write(plane, plane=at, scene=p, location=(100 * p, 0))
        czi.write_metadata()


def write_zarr(path: Path) -> None:
    for p in range(2):
        array = zarr.create_array(
            path / f"{p}.zarr/0", data=FRAMES[p].transpose(0, 4, 1, 2, 3), chunks=(1, 1, 1, 6, 8)
        )
        axes = [{"name": name} for name in "tczyx"]
        level = {"type": "scale", "scale": [1.0] * array.ndim}
        multiscale = {
            "axes": axes,
            "datasets": [{"path": "0", "coordinateTransformations": [level]}],
        }
        for axis, kind in zip(axes, ("time", "channel", *["space"] * 3), strict=True):
            axis["type"] = kind
        attributes = {"ome": {"version": "0.5", "multiscales": [multiscale]}}
        zarr.open_group(path / f"{p}.zarr", attributes=attributes, mode="a")


def write_folder(path: Path) -> None:
    path.mkdir()
    for p, t, z, c in np.ndindex(2, 3, 2, 2):
        tifffile.imwrite(path / f"xy{p}t{t}z{z}c{c}.tif", FRAMES[p, t, z, :, :, c])


def write_mm_stacks(path: Path) -> None:
    """Write one stack per position; the one of `path` is that of the first."""
    for p in range(2):
        places = {(p, t, c, z): FRAMES[p, t, z, :, :, c] for t, z, c in np.ndindex(3, 2, 2)}
        summary = {"ChNames": ["Phase", "GFP"], "Frames": 3, "Interval_ms": 60_000}
        elapsed = {place: 90_000.0 * place[1] + 1000 * p for place in places}
        about = {"PositionName": f"Pos{p}"}
        file = path.with_name(path.name.replace("Pos0", f"Pos{p}"))
        write_mm_stack(file, places, summary=summary, elapsed_ms=elapsed, planes_metadata=about)


def write_ndtiff(path: Path) -> None:
    writer = NdTiffWriter(path, images_per_file=5)
    for p, t, z, c in np.ndindex(2, 3, 2, 2):
        axes = {"position": "AB"[p], "time": t, "z": z, "channel": ("Phase", "GFP")[c]}
        elapsed = {"ElapsedTime-ms": 90_000.0 * t + 1000 * p}
        writer.put(axes, FRAMES[p, t, z, :, :, c], elapsed)
    writer.close()


def with_ndtiff_series(path: Path) -> Planes:
    """Read with the index that tifffile follows, in the order of acquisition."""
    with tifffile.TiffFile(min(path.glob("*.tif"))) as tiff:
        stack = tiff.series[0].asarray().reshape(2, 3, 2, 2, 6, 8)
    return lambda fov, c, t, z: stack[fov, t, z, c]


def as_written(path: Path) -> Planes:
    return lambda fov, c, t, z: FRAMES[fov, t, z, :, :, c]


def with_zarr(path: Path) -> Planes:
    arrays = [zarr.open_array(path / f"{p}.zarr/0", mode="r") for p in range(2)]
    return lambda fov, c, t, z: arrays[fov][t, c, z]


def with_mm_series(path: Path) -> Planes:
    """Read by the index of planes that tifffile makes of the stack of each position."""
    stacks = []
    for p in range(2):
        with tifffile.TiffFile(path.with_name(path.name.replace("Pos0", f"Pos{p}"))) as tiff:
            stacks.append([page.asarray() for page in tiff.pages])
    return lambda fov, c, t, z: stacks[fov][(t * 2 + z) * 2 + c]


WRITTEN = [
    (write_positions, nd2_row("a.nd2", shapes=((3, 6, 8),) * 2, channels=("Phase", "GFP"), n_z=2,
                              fovs=("A1", "B2"), times=(0, 0.047140, 0.133333))),
    (write_ome_tiff, Row("a.ome.tif", as_written, "ome-tiff", ((3, 6, 8),) * 2, ("GFP",),
                         fovs=("A", "B"), times=(0, 1, 2), source="measured")),
    (write_imagej, Row("a.tif", with_tifffile, "imagej-tiff", ((3, 6, 8),), ("Channel 0",),
                       times=(0, 1.5, 3), source="nominal")),
    (write_mm_stacks, Row("run_MMStack_Pos0.tif", with_mm_series, "micro-manager", ((3, 6, 8),) * 2,
                          ("Phase", "GFP"), n_z=2, fovs=("Pos0", "Pos1"), times=(0, 1.5, 3),
                          source="measured")),
    (write_ndtiff, Row("scan_1", with_ndtiff_series, "ndtiff", ((3, 6, 8),) * 2, ("Phase", "GFP"),
                       n_z=2, fovs=("A", "B"), times=(0, 1.5, 3), source="measured")),
    (write_czi, Row("a.czi", with_pylibczirw, "czi", ((3, 6, 8),) * 2, ("Channel 0", "Channel 1"),
                    n_z=2, fovs=("FOV 0", "FOV 1"))),
    (write_zarr, Row("a.ome-zarr", with_zarr, "ome-zarr", ((3, 6, 8),) * 2,
                     ("Channel 0", "Channel 1"), n_z=2, fovs=("0", "1"))),
    (write_folder, Row("images", with_images(nis_name), "image-folder", ((3, 6, 8),) * 2,
                       ("c0", "c1"), n_z=2, fovs=("xy0", "xy1"))),
]  # fmt: skip


@pytest.mark.parametrize(("write", "row"), WRITTEN, ids=lambda value: getattr(value, "path", ""))
def test_a_written_data_set_is_what_the_table_and_its_library_say(
    write: Callable[[Path], None], row: Row, tmp_path: Path
) -> None:
    write(tmp_path / row.path)
    assert_as_in_table(row, tmp_path / row.path)


@pytest.mark.parametrize("messy", MESSY, ids=lambda messy: messy.name)
def test_a_messy_data_set_gives_right_planes_and_names_those_that_are_missing(
    messy: MessyRow, tmp_path: Path
) -> None:
    written = messy.write(tmp_path)
    if messy.refused:
        with pytest.raises(InputError, match=messy.told) as refused:
            load_microscopy_file(written.path, z=0, **written.options)
        assert "\n" not in str(refused.value)
        return
    source, about = load_microscopy_file(written.path, z=0, **written.options)
    missing: dict[tuple[int, int, int], str] = {}
    with source:
        assert [shape[0] for shape in about.fov_shapes] == [messy.n_frames]
        for c, t, z in np.ndindex(about.n_channels, messy.n_frames, about.n_z):
            try:
                frame = source.read_frame(0, c, t, z)
            except MissingFrameError as error:
                missing[c, t, z] = str(error)
            else:
                assert decode(frame) == (0, (0, t, c, z))
    assert set(missing) == messy.missing
    for (c, t, _), told in missing.items():
        assert f"FOV 0, channel {c}, frame {t}" in told
    assert any(messy.told in told for told in ("", *about.warnings, *about.notes))


def test_positions_of_unequal_length_and_stage_coordinates_come_out_of_an_nd2(
    tmp_path: Path,
) -> None:
    loops = [time_loop(3, 60_000.0), position_loop(["A1", "B2"]), z_loop(2)]
    by_time = FRAMES.transpose(1, 0, 2, 3, 4, 5).reshape(-1, 6, 8, 2)
    write_nd2(tmp_path / "a.nd2", by_time, loops, written=range(10))
    source, about = load_microscopy_file(tmp_path / "a.nd2", z=0)
    with source:
        assert about.fov_shapes == ((3, 6, 8), (2, 6, 8))
        assert about.stage_positions_um == ((0.0, 0.0, 0.0), (10.0, 0.0, 0.0))
        assert about.z_step_um == 1.0
        for fov, t in ((0, 2), (1, 1)):
            np.testing.assert_array_equal(source.read_frame(fov, 1, t), FRAMES[fov, t, 0, :, :, 1])


WRITERS = {
    "czi": write_czi,
    "ndtiff": write_ndtiff,
    "ome-zarr": write_zarr,
    "image-folder": write_folder,
}


@pytest.fixture(params=WRITERS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    # Writing with zarr starts its event loop, of which there is one per process.
    path = tmp_path / f"a.{request.param}"
    WRITERS[request.param](path)
    return path


@pytest.fixture(autouse=True)
def _zarr_ends_its_threads(nothing_is_left_behind: None) -> Iterator[None]:
    yield
    cleanup_resources()


def test_several_threads_read_every_plane(written: Path) -> None:
    source, about = load_microscopy_file(written)
    assert about.file_type == written.suffix[1:]
    everything = list(np.ndindex(2, 3, 2, 2)) * 5

    def is_right(at: tuple[int, ...]) -> bool:
        p, t, z, c = at
        return np.array_equal(source.read_frame(p, c, t, z), FRAMES[p, t, z, :, :, c])

    with source, ThreadPoolExecutor(4) as pool:
        assert all(pool.map(is_right, everything))


def test_closing_closes_and_frames_outlive_it(written: Path) -> None:
    source, _ = load_microscopy_file(written)
    frame = source.read_frame(1, 1, 2, "max")
    source.close()
    source.close()
    np.testing.assert_array_equal(frame, FRAMES[1, 2, :, :, :, 1].max(axis=0))
    with pytest.raises(InputError, match="was closed"):
        source.read_frame(0, 0, 0)


def test_indices_outside_and_options_that_do_not_fit_are_refused(written: Path) -> None:
    with pytest.raises(InputError, match="states the order of its dimensions"):
        load_microscopy_file(written, axes="TCYX")
    with pytest.raises(InputError, match="no z plane 2; valid are 0 to 1"):
        load_microscopy_file(written, z=2)
    source, _ = load_microscopy_file(written)
    with source, pytest.raises(InputError, match="no channel 2; valid are 0 to 1"):
        source.read_frame(0, 2, 0)


def test_the_metadata_reopens_it_in_another_process(written: Path) -> None:
    source, about = load_microscopy_file(written, z=1)
    source.close()
    program = (
        "import pickle, sys\n"
        "from pyama_core.io.microscopy import open_source\n"
        "about = pickle.loads(sys.stdin.buffer.read())\n"
        "with open_source(about) as source:\n"
        "    assert source.metadata == about\n"
        "    sys.stdout.buffer.write(source.read_frame(1, 0, 2).tobytes())\n"
    )
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, input=pickle.dumps(about), capture_output=True)
    assert run.stdout == FRAMES[1, 2, 1, :, :, 0].tobytes(), run.stderr.decode()


def test_what_was_replaced_does_not_reopen(written: Path) -> None:
    source, about = load_microscopy_file(written)
    source.close()
    with pytest.raises(InputError, match="has changed since it was first opened"):
        open_source(dataclasses.replace(about, n_z=1))


def test_every_file_of_it_counts_for_its_identity(written: Path) -> None:
    source, about = load_microscopy_file(written)
    source.close()
    files = {written} if written.is_file() else {p for p in written.rglob("*") if p.is_file()}
    assert set(about.companions) == files
