"""Movies saved by NumPy, as (T, Y, X) or, with several channels, as (T, C, Y, X)."""

import numpy as np

from pyama_core.errors import InputError
from pyama_core.io.readers.file_description import FoundInFile, make_metadata
from pyama_core.io.readers.frame_source import FrameSource, ReadOptions
from pyama_core.io.readers.registry import Reader


class NpyMovie(FrameSource):
    """One field of view."""

    def __init__(self, path, options):
        movie = np.load(path, mmap_mode="r", allow_pickle=False)
        if movie.ndim not in (3, 4):
            raise InputError(f"{path}: expected (T, Y, X) or (T, C, Y, X), found {movie.shape}.")
        self.movie = movie if movie.ndim == 4 else movie[:, np.newaxis]
        n_frames, n_channels, *frame_size = self.movie.shape
        content = FoundInFile(
            file_type="npy",
            reader="npy",
            dtype=movie.dtype,
            # For each field of view, which planes there are: (T, C, Z).
            present=(np.ones((n_frames, n_channels, 1), bool),),
            frame_sizes=(tuple(frame_size),),
        )
        super().__init__(make_metadata(path, options, content), ReadOptions.parse(options).z)

    def _read_plane(self, fov, channel, time, z):
        return np.array(self.movie[time, channel])

    def _release(self):
        del self.movie


reader = Reader(name="npy", signatures=(b"\x93NUMPY",), endings=(".npy",), open=NpyMovie)
