"""How much a run will write, how much of it at a time, and how much stays.

The main process copies one batch while the workers are on the one before, so that at most two
batches are copied and not done, and at most as many fields of view as there are workers have
anything else of what will not be kept.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from pyama_core.io.microscopy import MicroscopyMetadata
from pyama_core.io.storage.naming import path_of
from pyama_core.io.storage.stacks import stack_size
from pyama_core.outputs import Form, Output
from pyama_core.processing.workflow.glimpses.keeping import expected_size
from pyama_core.processing.workflow.graph import declarations
from pyama_core.processing.workflow.keeping import Keep
from pyama_core.processing.workflow.services.analysis import Analysis

_PIXELS_PER_CELL = 10_000
"""Cells of 50 to 200 pixels and more, from sparse to dense, have that many or more around them."""
_BYTES_PER_ROW = 220
_BYTES_BESIDE = 30_000
"""The record, and what else there is of each field of view in files that all share."""
_BATCHES_AT_WORK = 2


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


def expected_tables(metadata: MicroscopyMetadata, analysis: Analysis, fov: int) -> int:
    """Return roughly the bytes of all tables of a field of view, its record and small pictures."""
    shape, channels = metadata.shape_of(fov), analysis.channels
    rows = math.prod(shape) / _PIXELS_PER_CELL
    n_copied = len(channels.copied) + (channels.pc is not None)
    pictures = expected_size(shape, n_copied, metadata.n_fovs)
    return _BYTES_BESIDE + pictures + round(_BYTES_PER_ROW * rows * len(analysis.channels.fl))


@dataclass(frozen=True)
class FovSize:
    """What a field of view takes on disk beyond what is there already, in bytes.

    Attributes
    ----------
    kept : int
        What stays.
    copied : int
        What is copied, and released when all is done.
    made : int
        What later steps make of the copies, and is released with them.
    replaced : int
        The largest stack that is there and may be made anew, for a moment beside the old one.
    given_back : int
        What is released when the run begins, for all is done.
    """

    kept: int = 0
    copied: int = 0
    made: int = 0
    replaced: int = 0
    given_back: int = 0


def size_of_fov(
    metadata: MicroscopyMetadata,
    analysis: Analysis,
    fov: int,
    keep: Keep,
    output_dir: Path | None = None,
    *,
    made: Collection[Output] | None = None,
) -> FovSize:
    """Return what a field of view will take on disk; what is there already counts as written.

    Parameters
    ----------
    metadata, analysis, fov, keep
        What is asked for.
    output_dir : Path or None
        Folder of all outputs, where there may be some already.
    made : collection of Output or None
        What has to be made, where that is known and not all that is missing.
    """
    expected = expected_outputs(metadata, analysis, fov)
    there = {} if output_dir is None else _sizes_there(output_dir, metadata, fov, expected)
    if made is not None and not made:
        given_back = (size for output, size in there.items() if not keep.has(output.kind))
        return FovSize(given_back=sum(given_back))
    if made is not None:
        expected = {output: size for output, size in expected.items() if output in made}
    new = {output: max(0, size - there.get(output, 0)) for output, size in expected.items()}
    passing = {output: size for output, size in new.items() if not keep.has(output.kind)}
    copied = sum(size for output, size in passing.items() if output.kind.step == "copying")
    tables = expected_tables(metadata, analysis, fov)
    return FovSize(
        kept=sum(new.values()) - sum(passing.values()) + tables,
        copied=copied,
        made=sum(passing.values()) - copied,
        replaced=max((expected[output] for output in expected.keys() & there), default=0),
    )


def most_at_once(sizes: Iterable[FovSize], batch_size: int, n_workers: int) -> int:
    """Return how much a run will take on disk when it takes the most, at the end or before.

    Parameters
    ----------
    sizes : iterable of FovSize
        Of all fields of view.
    batch_size, n_workers : int
        How many are copied at a time, and how many are worked on.
    """
    each = list(sizes)
    lasting = sum(size.kept - size.given_back for size in each)
    copied = heapq.nlargest(_BATCHES_AT_WORK * batch_size, (size.copied for size in each))
    made = heapq.nlargest(n_workers, (size.made for size in each))
    replaced = max((size.replaced for size in each), default=0)
    return lasting + sum(copied) + sum(made) + replaced * n_workers


def _sizes_there(
    output_dir: Path, metadata: MicroscopyMetadata, fov: int, outputs: Iterable[Output]
) -> dict[Output, int]:
    paths = {output: path_of(output_dir, metadata.base_name, fov, output) for output in outputs}
    return {output: path.stat().st_size for output, path in paths.items() if path.exists()}
