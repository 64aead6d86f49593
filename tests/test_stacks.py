from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pyama_core.errors import DamagedFileError, InputError, StorageError
from pyama_core.io.checksums import file_checksum
from pyama_core.io.storage.stacks import StackReader, StackWriter, stack_size

STACKS = hnp.arrays(
    st.sampled_from([np.bool_, np.uint8, np.uint16, np.uint32, np.float32]),
    hnp.array_shapes(min_dims=3, max_dims=3, max_side=6),
)


def write(path: Path, stack: np.ndarray) -> Path:
    writer = StackWriter(path, stack.shape, stack.dtype)
    for frame in stack:
        writer.append(frame)
    return writer.finish().temporary.rename(path)


@settings(max_examples=50, deadline=None)
@given(stack=STACKS)
def test_a_written_stack_is_what_numpy_reads(stack, tmp_path_factory):
    path = write(tmp_path_factory.mktemp("stack") / "stack.npy", stack)
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), stack)
    mapped = np.lib.format.open_memmap(path, mode="r")
    assert mapped.dtype == stack.dtype
    del mapped
    with StackReader(path) as reader:
        assert (reader.shape, reader.dtype) == (stack.shape, stack.dtype)
        for t in reversed(range(len(stack))):
            np.testing.assert_array_equal(reader.read(t), stack[t])


def test_the_checksum_and_size_are_those_of_the_file(tmp_path):
    stack = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
    writer = StackWriter(tmp_path / "stack.npy", stack.shape, stack.dtype)
    for frame in stack:
        writer.append(frame)
    written = writer.finish()
    assert written.checksum == file_checksum(written.temporary)
    assert written.size == written.temporary.stat().st_size == stack_size(stack.shape, stack.dtype)
    writer.discard()


def test_a_non_contiguous_frame_is_written_as_it_looks(tmp_path):
    frame = np.arange(20, dtype=np.uint16).reshape(4, 5).T
    path = write(tmp_path / "stack.npy", frame[np.newaxis])
    np.testing.assert_array_equal(np.load(path)[0], frame)


def test_no_final_name_exists_before_the_rename_and_discarding_leaves_nothing(tmp_path):
    writer = StackWriter(tmp_path / "stack.npy", (2, 4, 4), np.uint8)
    writer.append(np.zeros((4, 4), np.uint8))
    assert not (tmp_path / "stack.npy").exists()
    writer.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (np.zeros((4, 5), np.uint8), "shape"),
        (np.zeros((4, 4), np.uint16), "uint16"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused(tmp_path, frame, words):
    writer = StackWriter(tmp_path / "stack.npy", (2, 4, 4), np.uint8)
    with pytest.raises(ValueError, match=words):
        writer.append(frame)
    writer.discard()


def test_a_stack_with_frames_missing_cannot_be_finished(tmp_path):
    writer = StackWriter(tmp_path / "stack.npy", (2, 4, 4), np.uint8)
    writer.append(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="expected 2 frames, only 1"):
        writer.finish()
    writer.append(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="one more"):
        writer.append(np.zeros((4, 4), np.uint8))
    writer.discard()


def test_every_truncation_is_noticed_when_the_stack_is_opened(tmp_path):
    whole = write(tmp_path / "whole.npy", np.ones((3, 4, 5), np.uint16)).read_bytes()
    path = tmp_path / "cut.npy"
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(DamagedFileError):
            StackReader(path)


def test_a_file_that_is_no_stack_is_refused(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros(5))
    with pytest.raises(DamagedFileError, match="expected a"):
        StackReader(tmp_path / "flat.npy")
    np.save(tmp_path / "objects.npy", np.array([[[None]]]), allow_pickle=True)
    with pytest.raises(DamagedFileError):
        StackReader(tmp_path / "objects.npy")
    with pytest.raises(InputError, match="cannot read"):
        StackReader(tmp_path / "absent.npy")


def test_a_stack_in_a_folder_that_is_not_there_names_the_file(tmp_path):
    with pytest.raises(StorageError, match=r"stack\.npy"):
        StackWriter(tmp_path / "absent" / "stack.npy", (1, 1, 1), np.uint8)


def test_a_frame_outside_the_stack_is_refused(tmp_path):
    path = write(tmp_path / "stack.npy", np.ones((3, 4, 5), np.uint16))
    with StackReader(path) as reader:
        for index in (-1, 3):
            with pytest.raises(InputError, match="frames 0 to 2"):
                reader.read(index)
