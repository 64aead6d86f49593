"""How much a run will write."""

from __future__ import annotations

import numpy as np

from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.naming import OutputKind
from pyama_core.io.stacks import stack_size
from pyama_core.processing.workflow.services.types import ChannelNumbers


def expected_outputs(
    metadata: MicroscopyMetadata, channels: ChannelNumbers, fov: int
) -> list[tuple[OutputKind, int, int]]:
    """Kind, channel and expected size in bytes of all stacks of a field of view."""
    shape = metadata.shape_of(fov)
    outputs: list[tuple[OutputKind, int, int]] = []
    if channels.pc is not None:
        outputs += [
            ("pc", channels.pc, stack_size(shape, metadata.dtype)),
            ("seg", channels.pc, stack_size(shape, np.bool_)),
            ("seg_labeled", channels.pc, stack_size(shape, np.uint16)),
        ]
    for channel in channels.copied():
        outputs.append(("fl", channel, stack_size(shape, metadata.dtype)))
    for channel in channels.fl:
        outputs.append(("fl_corrected", channel, stack_size(shape, np.float32)))
    return outputs
