import numpy as np
import pytest

from pyama_core import load_microscopy_file
from pyama_core.errors import InputError

PLANES = np.random.default_rng(0).integers(0, 60_000, (4, 2, 32, 30), dtype=np.uint16)


def test_every_plane_is_read(tmp_path):
    np.save(tmp_path / "movie.npy", PLANES)
    source, metadata = load_microscopy_file(tmp_path / "movie.npy")
    with source:
        assert (metadata.n_fovs, metadata.n_frames, metadata.n_channels) == (1, 4, 2)
        for t, c in np.ndindex(4, 2):
            np.testing.assert_array_equal(source.read_frame(0, c, t), PLANES[t, c])


def test_a_movie_of_one_channel_needs_no_axis_for_it(tmp_path):
    np.save(tmp_path / "movie.npy", PLANES[:, 0])
    source, metadata = load_microscopy_file(tmp_path / "movie.npy")
    with source:
        assert metadata.n_channels == 1
        np.testing.assert_array_equal(source.read_frame(0, 0, 3), PLANES[3, 0])


def test_another_number_of_dimensions_is_refused(tmp_path):
    np.save(tmp_path / "image.npy", PLANES[0, 0])
    with pytest.raises(InputError, match=r"expected \(T, Y, X\) or .* found \(32, 30\)"):
        load_microscopy_file(tmp_path / "image.npy")
