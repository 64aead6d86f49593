"""What the planes of a TIFF are: frames appended one by one, sizes that nothing tells, samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

from pyama_core.cli.app import app
from pyama_core.errors import InputError
from pyama_core.io.microscopy import load_microscopy_file, open_source
from pyama_core.io.readers.tiff.stack_axes import ToldDimensions, lay_out
from tiff_flavours import write_lsm, write_stk

pytestmark = pytest.mark.usefixtures("workers_inline")


def noise(*shape: int, dtype: str = "uint16") -> NDArray[Any]:
    """Return pixels none of which are alike in two planes."""
    return np.random.default_rng(math.prod(shape)).integers(0, 200, shape).astype(dtype)


def read_all(path: Path, **options: Any) -> NDArray[Any]:
    """Return all planes as (P, T, C, Z, Y, X)."""
    source, about = load_microscopy_file(path, **{"z": 0, **options})
    with source:
        places = about.n_fovs, about.n_frames, about.n_channels, about.n_z
        planes = [source.read_frame(p, c, t, z) for p, t, c, z in np.ndindex(places)]
    with open_source(about) as again:
        assert again.metadata == about
    assert hash(about) is not None
    return np.array(planes).reshape(*places, about.height, about.width)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_microscopy_file(path, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(str(path), path.name)


# Appended pages


def append_by_function(path: Path, movie: NDArray[Any], **how: Any) -> None:
    for frame in movie:
        tifffile.imwrite(path, frame, append=True, photometric="minisblack", **how)


def append_by_writer(path: Path, movie: NDArray[Any], **how: Any) -> None:
    with tifffile.TiffWriter(path, bigtiff=how.pop("bigtiff", False)) as tiff:
        for frame in movie:
            tiff.write(frame, photometric="minisblack", **how)


WAYS: dict[str, tuple[Callable[..., None], dict[str, Any]]] = {
    "imwrite": (append_by_function, {}),
    "writer": (append_by_writer, {}),
    "writer of BigTIFF": (append_by_writer, {"bigtiff": True}),
    "without a description": (append_by_writer, {"metadata": None}),
    "axes of each": (append_by_function, {"metadata": {"axes": "YX"}}),
    "compressed": (append_by_function, {"compression": "zlib"}),
    "tiled": (append_by_writer, {"tile": (16, 16)}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "bool"])
def test_pages_written_one_by_one_are_a_stack_once_the_user_says_so(
    way: str, dtype: str, tmp_path: Path
) -> None:
    write, how = WAYS[way]
    movie = noise(6, 20, 36, dtype=dtype)
    write(tmp_path / "movie.tif", movie, **how)
    np.testing.assert_array_equal(read_all(tmp_path / "movie.tif", axes="TYX")[0, :, 0, 0], movie)
    by_sizes = read_all(tmp_path / "movie.tif", axes="TCYX", sizes=(3, 2))
    np.testing.assert_array_equal(by_sizes[0, :, :, 0], movie.reshape(3, 2, 20, 36))
    told = refusal(tmp_path / "movie.tif")
    assert "--axes TYX" in told
    assert "--axes TCYX --sizes 3,2" in told


def test_what_is_said_of_pages_written_one_by_one_is_how_to_read_them(tmp_path: Path) -> None:
    append_by_function(tmp_path / "movie.tif", noise(6, 20, 36))
    assert refusal(tmp_path / "movie.tif") == (
        "movie.tif holds 6 images of 20 × 36 of 16 bit that were written one by one, without "
        "saying what they are; if they are frames of one movie, say so: "
        'axes="TYX" (command line: --axes TYX, or --axes TCYX --sizes 3,2).'
    )


def test_stacks_appended_to_each_other_are_one_row_of_planes(tmp_path: Path) -> None:
    movie = noise(4, 2, 20, 36)
    for channels in movie:
        tifffile.imwrite(tmp_path / "a.tif", channels, append=True, photometric="minisblack")
    planes = read_all(tmp_path / "a.tif", axes="TCYX", sizes="4,2")
    np.testing.assert_array_equal(planes[0, :, :, 0], movie)


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (noise(30, 36), "page 2 is 30 × 36 of 16 bit"),
        (noise(20, 30), "page 2 is 20 × 30 of 16 bit"),
        (noise(20, 36, dtype="uint8"), "page 2 is 20 × 36 of 8 bit"),
        (noise(20, 36, dtype="float32"), "page 2 is 20 × 36 of 32 bit float"),
        (noise(20, 36, dtype="int16"), "page 2 is 20 × 36 of 16 bit signed"),
        (noise(20, 36, 3), "page 2 is 20 × 36 of 16 bit, 3 samples"),
    ],
    ids=["height", "width", "bits", "float", "signed", "colour"],
)
@pytest.mark.parametrize("options", [{}, {"axes": "TYX"}, {"axes": "TYX", "sizes": 4}])
def test_pages_that_are_not_alike_are_refused_in_words(
    odd: NDArray[Any], words: str, options: dict[str, Any], tmp_path: Path
) -> None:
    for frame in (*noise(2, 20, 36), odd, noise(20, 36)):
        colour: Any = {"photometric": "rgb"} if frame.ndim == 3 else {"photometric": "minisblack"}
        tifffile.imwrite(tmp_path / "a.tif", frame, append=True, **colour)
    told = refusal(tmp_path / "a.tif", **options)
    assert "page 0 is 20 × 36 of 16 bit, " + words in told


@pytest.mark.parametrize("kind", [None, {}])
def test_a_thumbnail_among_appended_pages_is_no_frame(
    kind: dict[str, Any] | None, tmp_path: Path
) -> None:
    movie = noise(5, 20, 36)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for index, frame in enumerate(movie):
            tiff.write(frame, photometric="minisblack", metadata=kind)
            if index == 0:
                small = np.ascontiguousarray(frame[::4, ::4])
                tiff.write(small, photometric="minisblack", metadata=kind, subfiletype=1)
    np.testing.assert_array_equal(read_all(tmp_path / "a.tif", axes="TYX")[0, :, 0, 0], movie)


def test_a_hundred_thousand_pages_are_looked_at_without_making_objects_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_by_writer(tmp_path / "a.tif", noise(300, 4, 4))
    made = 0
    real = tifffile.TiffPage.__init__

    def counted(*arguments: Any, **named: Any) -> None:
        nonlocal made
        made += 1
        real(*arguments, **named)

    monkeypatch.setattr(tifffile.TiffPage, "__init__", counted)
    source, about = load_microscopy_file(tmp_path / "a.tif", axes="TYX")
    source.close()
    assert about.n_frames == 300
    assert made < 10


# Sizes


@pytest.mark.parametrize(
    "sizes", [(10, 3), [10, 3], "10,3", " 10 , 3", (10, 3, 20, 36), np.array([10, 3]).tolist()]
)
def test_sizes_say_what_a_flat_row_of_planes_is(sizes: Any, tmp_path: Path) -> None:
    movie = noise(10, 3, 20, 36)
    tifffile.imwrite(tmp_path / "a.tif", movie.reshape(30, 20, 36), photometric="minisblack")
    planes = read_all(tmp_path / "a.tif", axes="TCYX", sizes=sizes)
    np.testing.assert_array_equal(planes[0, :, :, 0], movie)


def test_sizes_given_in_different_ways_are_the_same_options(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(6, 20, 36), photometric="minisblack")
    found = set()
    for sizes in ((3, 2), "3,2", [3, 2]):
        source, about = load_microscopy_file(tmp_path / "a.tif", axes="TCYX", sizes=sizes)
        source.close()
        found.add(about)
    assert [about.options for about in found] == [(("axes", "TCYX"), ("sizes", (3, 2)))]


def test_all_orders_of_all_axes_can_be_said(tmp_path: Path) -> None:
    movie = noise(2, 3, 4, 5, 8, 9)
    tifffile.imwrite(tmp_path / "a.tif", movie.reshape(-1, 8, 9), photometric="minisblack")
    for axes in ("PTCZYX", "CZTPYX", "ZPTCYX"):
        planes = read_all(tmp_path / "a.tif", axes=axes, sizes=(2, 3, 4, 5))
        np.testing.assert_array_equal(planes, movie.transpose([axes.index(a) for a in "PTCZYX"]))


@pytest.mark.parametrize("how", [{"imagej": True}, {}], ids=["imagej", "shaped"])
def test_axes_and_sizes_win_over_what_the_file_says_wrong(
    how: dict[str, Any], tmp_path: Path
) -> None:
    movie = noise(6, 2, 20, 36)
    about = {"axes": "ZCYX"} if how else {"axes": "CZYX"}
    stored = movie if how else movie.reshape(2, 6, 20, 36)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", metadata=about, **how)
    by_sizes = read_all(tmp_path / "a.tif", axes="TCYX", sizes="6,2")
    np.testing.assert_array_equal(by_sizes[0, :, :, 0], movie)
    flat = read_all(tmp_path / "a.tif", axes="TYX", sizes="12")
    np.testing.assert_array_equal(flat[0, :, 0, 0], movie.reshape(12, 20, 36))


FLAT = ToldDimensions("Q", (24,), (20, 36))


@pytest.mark.parametrize(
    ("told", "asked", "sizes", "words"),
    [
        (FLAT, "TCYX", (10, 3), "T × C = 10 × 3 = 30 planes, but it has 24; T×C could be 8,3."),
        (FLAT, "TCYX", (8, 2), "= 16 planes, but it has 24; T×C could be 12,2 or 8,3."),
        (FLAT, "TCYX", (7, 5), "= 35 planes, but it has 24; T×C could be 12,2 or 8,3 or 6,4."),
        (FLAT, "TYX", (23,), "T = 23 = 23 planes, but it has 24; T could be 24."),
        (ToldDimensions("Q", (23,), (20, 36)), "TCYX", (8, 3), "no 2 sizes above 1 multiply to 23"),
        (FLAT, "TCYX", (24,), "expected 2, for T and C of frames of 20 × 36 pixels, found 1"),
        (FLAT, "TYX", (2, 12), "expected 1, for T of frames of 20 × 36 pixels, found 2"),
        (FLAT, "TCYX", (8, 3, 36, 20), "expected 2, for T and C of frames of 20 × 36 pixels"),
        (FLAT, "TCYX", None, "say the sizes too, which multiply to its 24 planes, such as --axes"),
        (FLAT, "TXY", None, "expected one letter of PTCZYX for each dimension, ending in YX"),
        (FLAT, "TQYX", (8, 3), "expected one letter of PTCZYX for each dimension, ending in YX"),
        (FLAT, "TTYX", (8, 3), "expected one letter of PTCZYX for each dimension, ending in YX"),
        (FLAT, "YX", None, "expected one letter of PTCZYX for each dimension, such as TYX"),
        (FLAT, None, None, "--axes TYX, or --axes TCYX --sizes 12,2)"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_with_the_arithmetic(
    told: ToldDimensions, asked: str | None, sizes: tuple[int, ...] | None, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        lay_out(Path("a.tif"), told, asked, sizes)
    assert words in str(caught.value)


@pytest.mark.parametrize("sizes", ["10;3", "", "a", "0,3", "-1,3", "1.5", (0,), (True,), (), 2.5])
def test_sizes_that_are_no_numbers_are_refused(sizes: Any, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(6, 20, 36), photometric="minisblack")
    assert "sizes takes numbers above 0" in refusal(tmp_path / "a.tif", axes="TCYX", sizes=sizes)


def test_sizes_without_axes_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(6, 20, 36), photometric="minisblack")
    assert "give both" in refusal(tmp_path / "a.tif", sizes=(3, 2))


@pytest.mark.slow
def test_the_command_and_the_configuration_take_sizes(tmp_path: Path) -> None:
    path, out = tmp_path / "a.tif", tmp_path / "out"
    movie = noise(3, 2, 64, 64)
    tifffile.imwrite(path, movie.reshape(6, 64, 64), photometric="minisblack")
    options = ["--axes", "TCYX", "--sizes", "3,2"]
    told = CliRunner().invoke(app, ["inspect", str(path), "--json", *options])
    assert told.exit_code == 0, told.output
    assert '"n_frames": 3' in told.output
    assert '"n_channels": 2' in told.output
    for text in ("3,2", "[3, 2]"):
        config = tmp_path / "run.yaml"
        config.write_text(
            f"file: {path}\noutput: {out}\naxes: TCYX\nsizes: {text}\n"
            "channels: {pc: 0, fl: [1]}\nworkers: 1\nsegmentation: {method: log-std}\n"
            "tracking: {method: iou}\n"
        )
        told = CliRunner().invoke(app, ["run", "--config", str(config)])
        assert told.exit_code == 0, told.output
        assert ("skipped" in told.output) == (text != "3,2")
    np.testing.assert_array_equal(np.load(next(out.rglob("*_fl_ch_1.npy"))), movie[:, 1])
    told = CliRunner().invoke(app, ["run", "--config", str(config), "--sizes", "6,2"])
    assert told.exit_code == 2
    assert "T × C = 6 × 2 = 12 planes, but it has 6; T×C could be 3,2" in told.output


# Samples

GUESSED: dict[str, Any] = {"photometric": "rgb", "planarconfig": "separate"}
"""What tifffile takes three or four frames for, if nobody says what they are."""


def as_samples(movie: NDArray[Any], *, last: bool) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return (T, C, Y, X) and how it is written with its channels as samples of one page each."""
    if last:
        return np.ascontiguousarray(np.moveaxis(movie, 1, -1)), {"planarconfig": "contig"}
    return movie, {"planarconfig": "separate"}


@pytest.mark.parametrize("n_samples", [3, 4])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("axis", ["T", "C", "Z", "P"])
def test_frames_that_were_saved_as_colours_are_what_the_file_says(
    n_samples: int, compression: str | None, axis: str, tmp_path: Path
) -> None:
    movie = noise(n_samples, 20, 36)
    about: Any = {"metadata": {"axes": f"{axis}YX"}, "compression": compression}
    tifffile.imwrite(tmp_path / "a.tif", movie, **GUESSED, **about)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert len(tiff.pages) == 1
    found = read_all(tmp_path / "a.tif")
    assert found.shape["PTCZ".index(axis)] == n_samples
    np.testing.assert_array_equal(found.reshape(movie.shape), movie)


def test_channels_that_were_saved_as_colours_are_what_the_file_says(tmp_path: Path) -> None:
    movie = noise(5, 4, 20, 36)
    tifffile.imwrite(tmp_path / "a.tif", movie, metadata={"axes": "TCYX"}, **GUESSED)
    np.testing.assert_array_equal(read_all(tmp_path / "a.tif")[0, :, :, 0], movie)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
@pytest.mark.parametrize("how", [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"rows": 7}])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_samples_are_frames_or_channels_where_the_user_says_so(
    last: bool, photometric: str, how: dict[str, Any], order: str, dtype: str, tmp_path: Path
) -> None:
    movie = noise(5, 3, 20, 36, dtype=dtype)
    pixels, planar = as_samples(movie, last=last)
    how = {"rowsperstrip" if key == "rows" else key: value for key, value in how.items()}
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, photometric=photometric, byteorder=order, **planar, **how)
    axes = ["TYXC", "TCYX"] if last else ["TCYX"]
    for asked in axes:
        np.testing.assert_array_equal(read_all(path, axes=asked)[0, :, :, 0], movie)
    flat = read_all(path, axes="TYX", sizes=15)
    np.testing.assert_array_equal(flat[0, :, 0, 0], movie.reshape(15, 20, 36))
    told = refusal(path)
    assert ("colour (RGB)" in told) == (photometric == "rgb")
    assert ("--axes TYXC" if last else "--axes TCYX") in told


def test_colour_images_are_refused_with_the_choice_there_is(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(20, 36, 3, dtype="uint8"), photometric="rgb")
    assert refusal(tmp_path / "a.tif") == (
        "a.tif is a colour (RGB) image, of shape 20 × 36 × 3; expected one value per pixel and "
        "channel. Export the channels separately, or, if its 3 samples are frames, channels or z "
        "planes, say so: --axes YXT or --axes YXC or --axes YXZ."
    )
    tifffile.imwrite(tmp_path / "b.tif", noise(4, 20, 36, 3, dtype="uint8"), imagej=True)
    assert "b.tif is a colour (RGB) image, of shape 4 × 20 × 36 × 3" in refusal(tmp_path / "b.tif")
    planes = read_all(tmp_path / "b.tif", axes="TYXC")
    np.testing.assert_array_equal(
        planes[0, :, :, 0], np.moveaxis(noise(4, 20, 36, 3, dtype="uint8"), -1, 1)
    )


def test_an_imagej_hyperstack_whose_channels_are_samples_is_read(tmp_path: Path) -> None:
    movie = noise(5, 2, 20, 36)
    text = "ImageJ=1.53t\nimages=10\nchannels=2\nframes=5\nhyperstack=true\n"
    tifffile.imwrite(
        tmp_path / "a.tif",
        movie,
        photometric="minisblack",
        planarconfig="separate",
        description=text,
        metadata=None,
    )
    np.testing.assert_array_equal(read_all(tmp_path / "a.tif")[0, :, :, 0], movie)


def test_many_samples_are_decoded_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    movie = noise(9, 20, 36)
    tifffile.imwrite(
        tmp_path / "a.tif",
        movie,
        photometric="minisblack",
        planarconfig="separate",
        compression="zlib",
    )
    monkeypatch.setattr(tifffile.TiffPage, "asarray", None)
    np.testing.assert_array_equal(read_all(tmp_path / "a.tif", axes="TYX")[0, :, 0, 0], movie)


# OME-TIFF


def write_ome(path: Path, *movies: NDArray[Any], axes: str, **how: Any) -> None:
    about = {"axes": axes, "PhysicalSizeX": 0.65, "Channel": {"Name": ["a", "b"]}}
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for movie in movies:
            tiff.write(movie, **{"photometric": "minisblack", **how}, metadata=about)


@pytest.mark.parametrize(
    ("said", "axes", "sizes"),
    [
        ("ZCYX", "TCYX", None),
        ("TCYX", "CTYX", (6, 2)),
        ("CTYX", "TCYX", "6,2"),
        ("TCYX", "TYX", 12),
    ],
)
def test_axes_and_sizes_win_over_ome_xml(said: str, axes: str, sizes: Any, tmp_path: Path) -> None:
    movie = noise(12, 20, 36)
    stored = movie.reshape(2, 6, 20, 36) if said[0] == "C" else movie.reshape(6, 2, 20, 36)
    write_ome(tmp_path / "a.ome.tif", stored, axes=said)
    source, about = load_microscopy_file(tmp_path / "a.ome.tif", axes=axes, sizes=sizes)
    with source:
        assert about.pixel_size_um == 0.65
        assert about.file_type == "ome-tiff"
        assert any("axes are those asked for" in warning for warning in about.warnings)
        if about.n_channels == 2:
            assert about.channel_names == ("a", "b")
    found = read_all(tmp_path / "a.ome.tif", axes=axes, sizes=sizes)
    order = [axes[:-2].index(axis) if axis in axes else None for axis in "TC"]
    lengths = tuple(found.shape[1 + "TC".index(axis)] for axis in axes[:-2])
    expected = movie.reshape(*lengths, 20, 36)
    expected = expected.transpose([*(i for i in order if i is not None), -2, -1])
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)


def test_an_ome_tiff_written_frame_by_frame_is_one_movie_once_the_user_says_so(
    tmp_path: Path,
) -> None:
    movie = noise(6, 20, 36)
    write_ome(tmp_path / "a.ome.tif", *movie, axes="YX")
    assert read_all(tmp_path / "a.ome.tif").shape[0] == 6
    np.testing.assert_array_equal(read_all(tmp_path / "a.ome.tif", axes="TYX")[0, :, 0, 0], movie)
    planes = read_all(tmp_path / "a.ome.tif", axes="TCYX", sizes=(3, 2))
    np.testing.assert_array_equal(planes[0, :, :, 0].reshape(movie.shape), movie)


@pytest.mark.parametrize("last", [False, True])
def test_samples_in_an_ome_tiff_are_channels_where_the_user_says_so(
    last: bool, tmp_path: Path
) -> None:
    movie = noise(5, 3, 20, 36)
    pixels, planar = as_samples(movie, last=last)
    path = tmp_path / "a.ome.tif"
    write_ome(path, pixels, axes="TYXS" if last else "TSYX", photometric="rgb", **planar)
    told = refusal(path)
    assert "colour (RGB)" in told
    assert "if its 3 samples are frames or channels, say so, such as --axes TCYX" in told
    for axes in ("TCYX", "TYXC")[: 1 + last]:
        np.testing.assert_array_equal(read_all(path, axes=axes)[0, :, :, 0], movie)


def test_axes_for_an_ome_tiff_of_several_files_are_refused(tmp_path: Path) -> None:
    write_ome(tmp_path / "a.ome.tif", noise(6, 20, 36), axes="TYX")
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tiff:
        text = tiff.ome_metadata or ""
    uuid = '<TiffData IFD="0" PlaneCount="3"><UUID FileName="b.ome.tif">urn:uuid:x</UUID>'
    text = text.replace('<TiffData IFD="0" PlaneCount="6"/>', "").replace(
        "</Pixels>",
        f'{uuid}</TiffData><TiffData FirstT="3" IFD="0" PlaneCount="3"/></Pixels>',
    )
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        noise(3, 20, 36),
        photometric="minisblack",
        description=text.encode(),
        metadata=None,
    )
    assert "leave axes out" in refusal(tmp_path / "a.ome.tif", axes="TYX")


# Other forms


@pytest.mark.parametrize("n_channels", [1, 3])
def test_an_lsm_gives_its_channels_and_no_thumbnails(n_channels: int, tmp_path: Path) -> None:
    movie = noise(5, n_channels, 32, 48)
    write_lsm(tmp_path / "a.lsm", movie)
    np.testing.assert_array_equal(read_all(tmp_path / "a.lsm")[0, :, :, 0], movie)


def test_a_metamorph_stack_gives_all_planes_behind_its_page(tmp_path: Path) -> None:
    movie = noise(5, 32, 48)
    write_stk(tmp_path / "a.stk", movie, [1000 * t for t in range(5)])
    np.testing.assert_array_equal(read_all(tmp_path / "a.stk")[0, :, 0, 0], movie)


def test_lower_levels_of_a_pyramid_are_no_frames(tmp_path: Path) -> None:
    movie = noise(5, 64, 64)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(movie, photometric="minisblack", subifds=2, metadata={"axes": "TYX"})
        for step in (2, 4):
            lower = np.ascontiguousarray(movie[:, ::step, ::step])
            tiff.write(lower, photometric="minisblack", subfiletype=1)
    np.testing.assert_array_equal(read_all(tmp_path / "a.tif")[0, :, 0, 0], movie)
    with tifffile.TiffWriter(tmp_path / "b.tif") as tiff:
        for frame in movie:
            tiff.write(frame, photometric="minisblack", subifds=1, metadata=None)
            lower = np.ascontiguousarray(frame[::2, ::2])
            tiff.write(lower, photometric="minisblack", subfiletype=1, metadata=None)
    np.testing.assert_array_equal(read_all(tmp_path / "b.tif", axes="TYX")[0, :, 0, 0], movie)


@pytest.mark.parametrize("samples", [(), (2,)])
def test_planes_in_a_row_behind_one_page_are_read(samples: tuple[int, ...], tmp_path: Path) -> None:
    movie = noise(6, *samples, 20, 36)
    planar: Any = {"planarconfig": "separate"} if samples else {}
    tifffile.imwrite(
        tmp_path / "a.tif",
        movie,
        photometric="minisblack",
        truncate=True,
        metadata={"axes": "TCYX" if samples else "TYX"},
        **planar,
    )
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert len(tiff.pages) == 1
    found = read_all(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.reshape(movie.shape), movie)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_last_page_whose_pixels_are_cut_off_is_no_frame(
    compression: str | None, tmp_path: Path
) -> None:
    movie = noise(6, 20, 36)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        for frame in movie:
            tiff.write(frame, photometric="minisblack", metadata=None, compression=compression)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[-1]
        assert page.dataoffsets[0] > page.offset, "the pixels stand behind the tags"
        end = page.dataoffsets[-1] + page.databytecounts[-1]
    path.write_bytes(path.read_bytes()[: end - 10])
    source, about = load_microscopy_file(path, axes="TYX")
    with source:
        assert about.fov_shapes == ((5, 20, 36),)
        assert any("FOV 0 has 5 of 6" in warning for warning in about.warnings)
        for t in range(5):
            np.testing.assert_array_equal(source.read_frame(0, 0, t), movie[t])


def test_a_palette_and_inverted_values_are_told_of(tmp_path: Path) -> None:
    movie = noise(3, 20, 36, dtype="uint8")
    colours = np.random.default_rng(0).integers(0, 65535, (3, 256)).astype(np.uint16)
    about: Any = {"metadata": {"axes": "TYX"}}
    tifffile.imwrite(tmp_path / "a.tif", movie, photometric="palette", colormap=colours, **about)
    tifffile.imwrite(tmp_path / "b.tif", movie, photometric="miniswhite", **about)
    tifffile.imwrite(tmp_path / "c.tif", movie, imagej=True, colormap=colours, **about)
    green = np.zeros((3, 256), np.uint16)
    green[1] = np.arange(256) * 256
    tifffile.imwrite(tmp_path / "d.tif", movie, photometric="palette", colormap=green, **about)
    expected = {"a": "colours in a palette", "b": "that 0 is white", "c": "", "d": ""}
    for name, words in expected.items():
        source, found = load_microscopy_file(tmp_path / f"{name}.tif")
        source.close()
        told = [w for w in found.warnings if "palette" in w or "white" in w]
        assert len(told) == bool(words)
        assert all(words in warning for warning in told)
        np.testing.assert_array_equal(read_all(tmp_path / f"{name}.tif")[0, :, 0, 0], movie)


LENGTHS = st.integers(1, 4)


@settings(max_examples=60, deadline=None)
@given(
    order=st.permutations("PTCZ"),
    sizes=st.tuples(LENGTHS, LENGTHS, LENGTHS, LENGTHS),
    form=st.sampled_from(["told", "flat", "separate", "contig"]),
    how=st.sampled_from([{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"rowsperstrip": 3}]),
    bytes_=st.sampled_from("<>"),
)
def test_every_plane_is_where_the_axes_put_it(
    tmp_path_factory: pytest.TempPathFactory,
    order: Sequence[str],
    sizes: tuple[int, ...],
    form: str,
    how: dict[str, Any],
    bytes_: str,
) -> None:
    path, letters = tmp_path_factory.mktemp("movies") / "a.tif", "".join(order) + "YX"
    numbers = np.arange(math.prod(sizes), dtype=np.uint16)
    planes = numbers[:, None, None] + np.zeros((8, 9), np.uint16)
    movie, options = planes.reshape(*sizes, 8, 9), {"axes": letters, "sizes": sizes}
    pixels, about = planes, dict[str, Any]()
    if form == "told":
        pixels, about, options = movie, {"metadata": {"axes": letters}}, {}
    elif form in ("separate", "contig") and sizes[-1] > 1:
        pixels = movie.reshape(-1, sizes[-1], 8, 9)
        pixels = np.ascontiguousarray(np.moveaxis(pixels, 1, -1)) if form == "contig" else pixels
        about = {"planarconfig": form}
    tifffile.imwrite(path, pixels, photometric="minisblack", byteorder=bytes_, **about, **how)
    expected = movie.transpose([letters.index(axis) for axis in "PTCZYX"])
    np.testing.assert_array_equal(read_all(path, **options), expected)
