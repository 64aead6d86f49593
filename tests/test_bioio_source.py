"""Other formats through BioIO, which is not installed by default."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest

from nd2_writer import position_loop, time_loop, write_nd2, z_loop
from pyama_core.errors import InputError
from pyama_core.io.microscopy import load_microscopy_file

# Importing a namespace package with many plug-ins warns of their business, not of ours.
with warnings.catch_warnings(action="ignore"):
    bioio = pytest.importorskip("bioio", reason="the extra pyama-core[bioio] is not installed")

needs_nd2_plugin = pytest.mark.skipif(
    importlib.util.find_spec("bioio_nd2") is None, reason="the plug-in bioio-nd2 is not installed"
)
ignores_plugins = pytest.mark.filterwarnings("ignore")

FRAMES = np.random.default_rng(2).integers(0, 60000, (2, 3, 2, 5, 7, 2), dtype=np.uint16)
LOOPS = [position_loop(["A1", "B2"]), time_loop(3, 60_000.0), z_loop(2)]


@pytest.fixture
def nd2_file(tmp_path: Path) -> Path:
    path = tmp_path / "positions.nd2"
    times = 1000.0 * np.arange(12)
    write_nd2(path, FRAMES.reshape(-1, 5, 7, 2), LOOPS, times_ms=times.tolist())
    return path


def test_a_file_of_no_known_format_says_which_package_to_install(tmp_path: Path) -> None:
    (tmp_path / "a.lif").write_bytes(b"what is this")
    with pytest.raises(InputError, match="install the plug-in for its format, such as bioio-lif"):
        load_microscopy_file(tmp_path / "a.lif")


@needs_nd2_plugin
@ignores_plugins
def test_bioio_opens_what_the_nd2_writer_of_the_tests_writes(nd2_file: Path) -> None:
    image = bioio.BioImage(nd2_file)
    assert len(image.scenes) == 2
    for p in range(2):
        image.set_scene(p)
        assert image.dims.order == "TCZYX"
        np.testing.assert_array_equal(image.data, FRAMES[p].transpose(0, 4, 1, 2, 3))


@needs_nd2_plugin
@ignores_plugins
def test_the_adapter_gives_every_plane_that_bioio_gives(nd2_file: Path) -> None:
    from pyama_core.io.readers.bioio_source import open_with_bioio

    with open_with_bioio(nd2_file, {"z": 0}) as source:
        about = source.metadata
        assert about.fov_shapes == ((3, 5, 7), (3, 5, 7))
        assert (about.n_channels, about.n_z, about.dtype) == (2, 2, "uint16")
        assert about.reader == "bioio"
        for p, t, z, c in np.ndindex(2, 3, 2, 2):
            frame = source.read_frame(p, c, t, z)
            np.testing.assert_array_equal(frame, FRAMES[p, t, z, :, :, c])
            assert frame.flags.c_contiguous
