"""Thousands of fields of view: nothing in the main process grows with them."""

from __future__ import annotations

import logging
import time

import numpy as np
import psutil
import pytest
import tifffile
import yaml

from pyama_core.io.microscopy import load_microscopy_file
from pyama_core.processing.workflow.pipeline import run_workflow
from pyama_core.processing.workflow.results_file import write_results
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext

N_FOVS = 2000
MB = 1 << 20


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_memory_handles_and_results_do_not_suffer_from_two_thousand_fovs(tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    image = tmp_path / "many.tif"
    frames = np.random.default_rng(0).integers(90, 110, (N_FOVS, 2, 2, 64, 64), np.uint16)
    tifffile.imwrite(image, frames, photometric="minisblack")
    source, metadata = load_microscopy_file(image, axes="PTCYX")
    source.close()
    process, samples = psutil.Process(), {}

    def sample(event):
        if event["step"] == "extraction":
            samples[event["fov"]] = (process.memory_info().rss, len(process.open_files()))

    context = ProcessingContext(tmp_path / "out", Channels(pc=0, fl=[1]))
    outcome = run_workflow(metadata, context, on_progress=sample, batch_size=8, n_workers=2)
    assert outcome.ok
    early = max(rss for fov, (rss, _) in samples.items() if 100 <= fov < 300)
    late = max(rss for fov, (rss, _) in samples.items() if fov >= N_FOVS - 200)
    assert late - early < 60 * MB
    assert max(files for _, files in samples.values()) <= 12
    started = time.monotonic()
    write_results(tmp_path / "out")
    assert time.monotonic() - started < 30
    results = yaml.safe_load((tmp_path / "out" / "processing_results.yaml").read_text())
    assert len(results["results_paths"]) == N_FOVS
    assert results["failed"] == {}
