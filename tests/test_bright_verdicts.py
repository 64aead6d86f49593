"""Most bright objects of real movies are good cells, and what is not is so for a reason to be seen.

Segmented, tracked, measured and judged with default parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from inline import run_inline
from movies import metadata_of, write_movie
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext


def verdicts_of(frames: list[np.ndarray], folder: Path) -> Mapping[str, int]:
    """Run a movie of bright objects; return how many cells there are for each reason."""
    image = write_movie(folder / "m.ome.tif", [np.stack(frames)[:, np.newaxis]], ["X"], 10.0)
    params = {"segmentation": {"method": "bright"}}
    context = ProcessingContext(folder / "out", Channels(segment=0, fl=[0]), params=params)
    assert run_inline(metadata_of(image), context).ok
    traces = pd.read_csv(folder / "out" / "fov_000" / "m_fov_000_traces_ch_0.csv")
    return dict(traces.drop_duplicates("cell")["reason"].fillna("").value_counts())


@pytest.mark.parametrize(
    ("channel", "least_good"),
    [("DAPI", 0.75), pytest.param("YFP", 0.65, marks=pytest.mark.slow)],
)
def test_most_objects_of_a_crowded_movie_are_good(
    channel: str, least_good: float, shared_data: Path, tmp_path: Path
) -> None:
    cv2 = pytest.importorskip("cv2")
    paths = sorted((shared_data / "il1b" / "testimages1").glob(f"*_{channel}_*.png"))
    found = verdicts_of([cv2.imread(str(path), -1) for path in paths], tmp_path)
    n_cells = sum(found.values())
    assert n_cells >= 120
    assert found.get("", 0) >= least_good * n_cells
    # What is not good is at the edge of the frame, as it is for about a sixth of any such frame.
    others = n_cells - found.get("", 0) - found.get("at the border", 0)
    assert others <= 0.17 * n_cells
    assert 0.1 <= found.get("at the border", 0) / n_cells <= 0.25


@pytest.mark.slow
def test_a_nucleus_that_condenses_keeps_its_light_and_does_not_jump(
    shared_data: Path, tmp_path: Path
) -> None:
    frames = list(tifffile.imread(shared_data / "hela" / "images.tif"))
    found = verdicts_of(frames, tmp_path)
    n_cells = sum(found.values())
    assert n_cells >= 220
    assert found.get("", 0) >= 0.38 * n_cells
    # Of the fifty that divide here, half condense first; the others are two in the next frame.
    assert found.get("area jump", 0) <= 0.13 * n_cells
    assert found.get("area jump", 0) + found.get("intensity jump", 0) >= 0.12 * n_cells
