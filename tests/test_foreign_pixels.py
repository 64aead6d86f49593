"""No pixel appears at another position, channel, frame or place than the one it is from.

Data sets of every format are made, thinned, cut off, renamed and mixed up at random. What is read
of them is right, or missing and named, or all of it is refused.
"""

from __future__ import annotations

import itertools
import logging
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from zarr.core.sync import cleanup_resources

from accidents import happen
from encoded_data_sets import (
    CHANNELS,
    WRITERS,
    Place,
    Plan,
    Written,
    decode,
    encode,
    write_data_set,
)
from pyama_core.errors import InputError, MissingFrameError, PyamaError
from pyama_core.io.microscopy import FrameSource, MicroscopyMetadata, load_microscopy_file
from pyama_core.io.storage.records import load_record
from pyama_core.processing.workflow.services.copying import CopyingService
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext

SEEDS = 60
MANY_SEEDS = 2000
WHITE = np.iinfo(np.uint16).max


@pytest.fixture(autouse=True)
def _zarr_ends_its_threads(nothing_is_left_behind: None) -> Iterator[None]:
    yield
    cleanup_resources()


@pytest.fixture(autouse=True)
def _readers_do_not_flood_the_log() -> Iterator[None]:
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


class Checker:
    """Compares what is read from a data set with what was written.

    Positions and channels are known by name or else by order. Where only the images that there are
    tell how they are numbered, as in a folder, frames may begin later and have a constant step.
    """

    def __init__(self, plan: Plan, about: MicroscopyMetadata, *, is_numbered: bool) -> None:
        self._plan = plan
        self._about = about
        self._is_numbered = is_numbered
        # Images of two folders in one, which is said and may be what was wanted.
        self.is_mixed = any("begin in different ways" in told for told in about.warnings)
        self._fovs: dict[int, int] = {}
        self._channels: dict[int, int] = {}
        self._times: dict[int, int] = {}
        self._planes: dict[int, int] = {}

    def check(self, fov: int, channel: int, t: int, z: int, frame: np.ndarray) -> Place:
        """Make sure that a frame belongs where it was read; return where it is from."""
        data_set, (p, true_t, c, true_z) = decode(frame)
        if self.is_mixed and data_set != self._plan.data_set:
            return p, true_t, c, true_z
        assert data_set == self._plan.data_set
        assert (p, true_t, c, true_z) in self._plan.taken
        assert self._fovs.setdefault(fov, p) == p
        assert self._channels.setdefault(channel, c) == c
        assert self._times.setdefault(t, true_t) == true_t
        assert self._planes.setdefault(z, true_z) == true_z
        return p, true_t, c, true_z

    def finish(self) -> None:
        """Make sure that positions and channels are under their names, else in order."""
        for found, names in (
            (self._fovs, self._about.fov_names),
            (self._channels, self._about.channel_names),
        ):
            stated = {index: number_in(names[index]) for index in found}
            assert all(stated[index] in (None, found[index]) for index in found)
            assert len(set(found.values())) == len(found)
            order = [found[index] for index in sorted(found) if stated[index] is None]
            assert order == sorted(order)
        for numbers in (self._times, self._planes):
            if not self._is_numbered:
                assert all(index == number for index, number in numbers.items())
            steps = {
                (numbers[after] - numbers[before]) / (after - before)
                for before, after in itertools.pairwise(sorted(numbers))
            }
            assert len(steps) < 2
            assert all(step > 0 for step in steps)


def number_in(name: str) -> int | None:
    """Return the number of a position or channel that its name states, None if it does not."""
    if name in CHANNELS:
        return CHANNELS.index(name)
    match = re.fullmatch(r"(?:P|Pos|xy|c)(\d)", name)
    return None if match is None else int(match[1])


def read_all(plan: Plan, written: Written) -> Counter[str]:
    """Read every plane of a data set, each of which has to be right or missing."""
    ends: Counter[str] = Counter()
    try:
        source, about = load_microscopy_file(written.path, z=0, **written.options)
    except InputError as error:
        _require_words(error)
        return Counter(refused=1)
    checker, seen = Checker(plan, about, is_numbered=written.is_numbered), set()
    with source:
        for fov, (n_frames, _, _) in enumerate(about.fov_shapes):
            for t, channel, z in np.ndindex(n_frames, about.n_channels, about.n_z):
                try:
                    frame = source.read_frame(fov, channel, t, z)
                except MissingFrameError as error:
                    _require_words(error, f"FOV {fov}, channel {channel}, frame {t}")
                    ends["missing"] += 1
                    continue
                seen.add(checker.check(fov, channel, t, z, frame))
                ends["right"] += 1
        checker.finish()
        assert len(seen) == ends["right"] or checker.is_mixed
        copy_first(source, about, checker, written.path.parent / "out")
    return ends


def _require_words(error: Exception, words: str = "") -> None:
    """Make sure that an error is a line or two, and names what it is about."""
    assert len(str(error).splitlines()) <= 2
    assert words in str(error)


def copy_first(source: FrameSource, about: MicroscopyMetadata, checker: Checker, out: Path) -> None:
    """Copy the first position, and compare the copies."""
    service = CopyingService()
    service.source = source
    channels = Channels(pc=0, fl=list(range(1, about.n_channels)))
    context = ProcessingContext(output_dir=out, channels=channels)
    fov = next(fov for fov, shape in enumerate(about.fov_shapes) if shape[0])
    try:
        service.process_fov(about, context, out, fov)
    except PyamaError:
        return
    record = load_record(next(out.rglob("*_record.json")))
    assert record is not None
    for name, entry in record.outputs.items():
        copy = np.load(next(out.rglob(name)))
        for t, frame in enumerate(copy):
            if t in entry.missing_frames():
                assert (frame == WHITE).all()
            else:
                checker.check(fov, entry.channel, t, 0, frame)


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("seed", range(4))
def test_what_was_taken_is_read_and_nothing_else(kind: str, seed: int, tmp_path: Path) -> None:
    for case in range(5):
        plan, written = write_data_set(kind, tmp_path / f"{case}", random.Random(f"{seed} {case}"))
        ends = read_all(plan, written)
        # Frames are left out at the end, where not all of their planes were taken.
        assert ends["right"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITERS)
def test_no_accident_brings_a_pixel_to_another_place(kind: str, tmp_path: Path) -> None:
    ends: Counter[str] = Counter()
    for seed in range(SEEDS):
        ends += read_after_accidents(kind, seed, tmp_path / f"{seed}")
    assert ends["right"] > 100
    assert ends["missing"] + ends["refused"] > 0


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("kind", WRITERS)
def test_none_of_thousands_of_accidents_brings_a_pixel_to_another_place(
    kind: str, tmp_path: Path
) -> None:
    for seed in range(SEEDS, MANY_SEEDS):
        read_after_accidents(kind, seed, tmp_path / f"{seed}")


def read_after_accidents(kind: str, seed: int, folder: Path) -> Counter[str]:
    chance = random.Random(seed)
    plan, written = write_data_set(kind, folder / "data", chance)
    _, stranger = write_data_set(kind, folder / "other", chance, data_set=1)
    written, told = happen(written, stranger, chance)
    try:
        return read_all(plan, written)
    except Exception as error:
        raise AssertionError(f"{kind}, seed {seed}, after {told}: {error!r}") from error


def test_the_code_of_a_pixel_tells_its_place() -> None:
    places = [(2, 7, 2, 1), (0, 0, 0, 0), (1, 3, 0, 1)]
    for data_set in range(2):
        for place in places:
            assert decode(encode(place, data_set)) == (data_set, place)
    mixed = encode(places[0])
    mixed[:10] = encode(places[1])[:10]
    for foreign in (mixed, np.zeros_like(mixed), np.roll(mixed, 1, axis=1), mixed[:, :-1]):
        with pytest.raises(ValueError, match=r"pixels of|a frame of"):
            decode(foreign)
