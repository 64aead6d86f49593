"""How much a run will write."""

from __future__ import annotations

from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.storage.stacks import stack_size
from pyama_core.outputs import Form, Output
from pyama_core.processing.workflow.graph import declarations
from pyama_core.processing.workflow.services.analysis import Analysis


def expected_outputs(
    metadata: MicroscopyMetadata, analysis: Analysis, fov: int
) -> dict[Output, int]:
    """Return the size in bytes of all stacks of a field of view; tables are small beside them."""
    shape = metadata.shape_of(fov)
    return {
        declared.output: stack_size(
            shape, declared.dtype or declared.output.kind.dtype or metadata.dtype
        )
        for declared in declarations(analysis)
        if declared.output.kind.form is Form.STACK
    }
