"""Segmentation and tracking are chosen by name; labels go through the pipeline as masks do."""

from __future__ import annotations

import numpy as np
import pytest

from inline import run_inline
from pyama_core.io.errors import InputError
from pyama_core.io.stacks import StackReader
from pyama_core.processing.segmentation import segmenter
from pyama_core.processing.tracking import tracker
from pyama_core.processing.tracking.tracker import find_tracking
from pyama_core.processing.workflow.release import release_stacks
from pyama_core.processing.workflow.services.parameters import validate_params
from pyama_core.processing.workflow.services.types import Channels
from runs import describe, new_context

BETTER = {
    "segmentation": {"method": "instances", "cell_diameter": 45.0},
    "tracking": {"method": "lineage"},
}


def test_the_default_methods_are_the_better_ones():
    parameters = validate_params({})
    assert parameters.model_dump()["segmentation"]["method"] == "instances"
    assert parameters.model_dump()["tracking"]["method"] == "lineage"


def test_a_method_brings_its_own_parameters():
    parameters = validate_params(BETTER).model_dump()
    assert parameters["segmentation"]["cell_diameter"] == 45.0
    assert parameters["tracking"]["max_gap"] == 2
    with pytest.raises(InputError, match=r"segmentation\.n_sigma.*log-std has it"):
        validate_params({"segmentation": {"method": "instances", "n_sigma": 3.0}})
    with pytest.raises(InputError, match="method: log-std has it, set that too"):
        validate_params({"segmentation": {"n_sigma": 3.0}})
    with pytest.raises(InputError, match="method: lineage has it, set that too"):
        validate_params({"tracking": {"method": "iou", "max_gap": 3}})
    with pytest.raises(InputError, match="did you mean 'cell_diameter'"):
        validate_params({"segmentation": {"method": "instances", "cell_diametre": 3.0}})


@pytest.mark.parametrize("step", ["segmentation", "tracking"])
def test_an_unknown_method_names_the_known_ones(step):
    with pytest.raises(InputError, match=r"out of .*(log-std|lineage).*, found 'magic'"):
        validate_params({step: {"method": "magic"}})
    with pytest.raises(InputError):
        find_tracking("magic")


def test_built_in_methods_are_found_without_a_look_at_the_installed_packages(monkeypatch):
    def entry_points(group: str) -> None:  # takes milliseconds, and a run asks a hundred times
        raise AssertionError(f"looked for {group}")

    monkeypatch.setattr(segmenter, "entry_points", entry_points)
    monkeypatch.setattr(tracker, "entry_points", entry_points)
    validate_params({"segmentation": {"method": "log-std"}, "tracking": {"method": "iou"}})
    validate_params({})


@pytest.fixture(scope="module")
def better(demo, tmp_path_factory):
    out = tmp_path_factory.mktemp("better") / "out"
    assert run_inline(describe(demo), new_context(out, **BETTER), fovs=[0]).ok
    return out


def test_instances_are_stored_as_labels_and_tracked_as_cells(better):
    with (
        StackReader(better / "fov_000" / "demo_fov_000_seg_ch_0.npy") as instances,
        StackReader(better / "fov_000" / "demo_fov_000_seg_labeled_ch_0.npy") as cells,
    ):
        assert instances.dtype == np.uint16
        found, tracked = instances.read(0), cells.read(0)
    assert found.max() >= 2
    assert np.array_equal(found > 0, tracked > 0)
    for label in range(1, found.max() + 1):
        assert len(np.unique(tracked[found == label])) == 1


def test_changing_the_method_redoes_what_follows(demo, better):
    assert run_inline(describe(demo), new_context(better), fovs=[0]).ok
    with StackReader(better / "fov_000" / "demo_fov_000_seg_ch_0.npy") as masks:
        assert masks.dtype == np.bool_
    assert run_inline(describe(demo), new_context(better, **BETTER), fovs=[0]).ok


def test_nuclei_are_copied_used_and_not_measured(demo, tmp_path):
    out, context = tmp_path / "out", new_context(tmp_path / "out", **BETTER)
    context.channels = Channels(pc=0, fl=[1], nuclei=2)
    assert run_inline(describe(demo), context, fovs=[0]).ok
    names = {path.name[len("demo_fov_000_") :] for path in (out / "fov_000").iterdir()}
    assert "fl_ch_2.npy" in names
    assert "fl_corrected_ch_2.npy" not in names
    assert "traces_ch_2.csv" not in names
    release_stacks(out, ["fl"])
    context = new_context(out, **{**BETTER, "segmentation": {"method": "instances"}})
    context.channels = Channels(pc=0, fl=[1], nuclei=2)
    assert run_inline(describe(demo), context, fovs=[0]).ok
    assert (out / "fov_000" / "demo_fov_000_fl_ch_2.npy").exists()


def test_nuclei_that_the_method_would_not_use_are_refused(demo, tmp_path):
    context = new_context(tmp_path / "out")
    context.channels = Channels(pc=0, fl=[1], nuclei=2)
    outcome = run_inline(describe(demo), context)
    assert outcome.exit_code == 2
    assert "makes no use of nuclei" in (outcome.refusal or "")


def test_the_brightness_of_daughters_is_that_of_a_corrected_channel(demo, tmp_path):
    out = tmp_path / "out"

    def track(**tracking):
        context = new_context(out, tracking={"method": "lineage", "divisions": True, **tracking})
        return run_inline(describe(demo), context, fovs=[0])

    outcome = track(brightness_channel=0)
    assert (outcome.exit_code, out.exists()) == (2, False)
    assert "brightness_channel: expected one of the fluorescence" in (outcome.refusal or "")
    assert track(brightness_channel=2).ok
    release_stacks(out, ["fl_corrected", "fl", "pc"])
    corrected = out / "fov_000" / "demo_fov_000_fl_corrected_ch_2.npy"
    assert not corrected.exists()
    # Extraction reads both channels again, and tracking the one whose brightness it compares.
    assert track(brightness_channel=2, max_gap=0).ok
    assert corrected.exists()


def test_a_feature_that_cannot_be_imported_is_refused_before_anything_is_written(demo, tmp_path):
    context = new_context(tmp_path / "out", extraction={"features": ["no_such_module:f"]})
    outcome = run_inline(describe(demo), context)
    assert (outcome.exit_code, (tmp_path / "out").exists()) == (2, False)
    assert "'no_such_module:f' cannot be imported" in (outcome.refusal or "")
