"""Memory of frames: used again when nobody holds a frame or a part of it, never before."""

from __future__ import annotations

import numpy as np

from pyama_core.io.readers.frame_memory import FrameMemory

SHAPE, DTYPE = (1024, 600), np.dtype(np.uint16)


def test_memory_is_used_again_once_the_frame_is_gone() -> None:
    memory = FrameMemory(SHAPE, DTYPE, keep=1)
    frame = memory.new_frame()
    where = frame.ctypes.data
    assert (frame.shape, frame.dtype, frame.flags.c_contiguous) == (SHAPE, DTYPE, True)
    del frame
    assert memory.new_frame().ctypes.data == where


def test_memory_is_not_used_again_while_anybody_holds_a_part_of_the_frame() -> None:
    memory = FrameMemory(SHAPE, DTYPE, keep=4)
    frame = memory.new_frame()
    frame[:] = 1
    corner, text = frame[:10, :10], memoryview(frame[5])
    del frame
    for _ in range(3):
        memory.new_frame()[:] = 2
    assert (corner == 1).all()
    assert set(text) == {1}


def test_a_frame_outlives_the_memory_that_made_it() -> None:
    frame = FrameMemory(SHAPE, DTYPE, keep=1).new_frame()
    frame[:] = 3
    assert (frame == 3).all()


def test_no_more_memory_is_kept_than_asked_for() -> None:
    memory = FrameMemory(SHAPE, DTYPE, keep=2)
    frames = [memory.new_frame() for _ in range(5)]
    del frames
    assert len(memory._unused) == 2
