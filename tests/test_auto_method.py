"""With --segment the segmentation is chosen by what the channel shows, and that is on record."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest
import yaml

from inline import run_inline
from movies import metadata_of, write_movie
from pyama_core.cli.run import Flags
from pyama_core.errors import InputError
from pyama_core.io.storage.naming import find_records
from pyama_core.io.storage.records import load_record
from pyama_core.processing.segmentation import segmenter
from pyama_core.processing.segmentation.auto import AutoParameters
from pyama_core.processing.segmentation.log_std.method import LogStdParameters
from pyama_core.processing.segmentation.picture.kind import METHODS, PictureKind
from pyama_core.processing.segmentation.segmenter import find_segmentation
from pyama_core.processing.workflow.configuration import load_config
from pyama_core.processing.workflow.outcome import FovStatus
from pyama_core.processing.workflow.services.analysis import parse_analysis, recorded_analysis
from pyama_core.processing.workflow.services.copying import CopyingService
from pyama_core.processing.workflow.services.pictures import settle_method
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from pyama_core.processing.workflow.status import describe_folder

SIZE = 128


def bright_squares(seed: int, height: float = 400.0) -> np.ndarray:
    """Return (T, 2, Y, X) of two channels, the first with bright squares over noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(1000, 5, (4, 2, SIZE, SIZE))
    for y, x in ((12, 20), (60, 70), (90, 18), (20, 90)):
        pixels[:, 0, y : y + 16, x : x + 16] += height
    return pixels.astype(np.uint16)


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two fields of view; the first channel shows bright squares, the second nothing."""
    positions = [bright_squares(0), bright_squares(1)]
    return write_movie(tmp_path_factory.mktemp("movie") / "m.ome.tif", positions, ["a", "b"], 2.0)


class Threshold(LogStdParameters):
    """Parameters of a stand-in for the segmentation of bright objects."""

    method: str = "bright"  # type: ignore[assignment]
    cell_diameter: float | str = "auto"


class ThresholdSegmenter:
    def segment(self, frame, nuclei=None, /):
        return frame > 1200


def stand_in() -> segmenter.SegmentationMethod:
    """Describe a segmentation that is a threshold."""
    return segmenter.SegmentationMethod(
        Threshold, "stand-in/1", lambda _parameters, _fov: ThresholdSegmenter(), labels=False
    )


@pytest.fixture(autouse=True)
def bright(monkeypatch):
    """Let a threshold stand in for the segmentation of bright objects."""
    monkeypatch.setitem(segmenter._BUILT_IN, "bright", f"{__name__}:stand_in")


def asked(out: Path | None = None, channel: int = 0, **segmentation) -> ProcessingContext:
    params = {"tracking": {"method": "iou"}}
    if segmentation:
        params["segmentation"] = segmentation
    return ProcessingContext(out, Channels(segment=channel, fl=[0]), params=params)


def test_the_method_that_suits_the_picture_does_the_work_and_is_on_record(movie, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        outcome = run_inline(metadata_of(movie), asked(tmp_path))
    assert outcome.ok
    assert "channel 0 (a) shows bright objects: " in caplog.text
    for path in find_records(tmp_path):
        record = load_record(path)
        assert record.settings.params["segmentation"]["method"] == "bright"
        assert record.picture.kind == "bright objects"
        assert record.picture.method == "bright"
        assert "% of the contrast" in record.picture.reason
        assert {e.provenance.algorithm for e in record.outputs.values() if e.kind == "seg"} == {
            "stand-in/1"
        }
    results = yaml.safe_load((tmp_path / "processing_results.yaml").read_text())
    assert results["picture"]["kind"] == "bright objects"
    found = describe_folder(tmp_path)["fovs"]["0"]
    assert (found["status"], found["picture"]["method"]) == ("done", "bright")


def test_the_same_run_again_has_nothing_to_do(movie, tmp_path):
    metadata = metadata_of(movie)
    assert run_inline(metadata, asked(tmp_path), fovs="0").ok
    outcome = run_inline(metadata, asked(tmp_path))
    assert [outcome.fovs[fov].status for fov in (0, 1)] == [FovStatus.SKIPPED, FovStatus.DONE]
    outcome = run_inline(metadata, asked(tmp_path, method="bright"))
    assert {each.status for each in outcome.fovs.values()} == {FovStatus.SKIPPED}


def test_what_is_unsure_is_said_before_the_work_begins(movie, tmp_path, caplog):
    run_inline(metadata_of(movie), asked(tmp_path, channel=1))
    told = [each.getMessage() for each in caplog.records if "is unsure" in each.getMessage()]
    assert len(told) == 1
    assert "what channel 1 (b) shows is unsure" in told[0]
    assert "--segmentation" in told[0]


def test_runs_of_phase_contrast_choose_nothing(movie, tmp_path):
    context = ProcessingContext(tmp_path, Channels(pc=0, fl=[0]))
    analysis = settle_method(metadata_of(movie), parse_analysis(context))
    assert analysis.parameters.segmentation.method == "instances"
    assert analysis.picture is analysis.picture_note() is None
    context.params = {"segmentation": {"method": "auto"}}
    analysis = settle_method(metadata_of(movie), parse_analysis(context))
    assert analysis.parameters.segmentation.method == "bright"


def test_what_was_chosen_is_read_back_from_the_record(movie):
    analysis = settle_method(metadata_of(movie), parse_analysis(asked(cell_diameter="30 px")))
    assert analysis.parameters.segmentation.cell_diameter == 30
    assert recorded_analysis(analysis.as_settings()) == analysis


def test_a_service_alone_chooses_the_same(movie, tmp_path):
    context = asked()
    CopyingService().process_all_fovs(metadata_of(movie), context, tmp_path)
    record = load_record(find_records(tmp_path)[0])
    assert record.settings.params["segmentation"]["method"] == "bright"
    assert record.picture.kind == "bright objects"


def test_the_choice_itself_segments_nothing():
    with pytest.raises(InputError, match="auto only chooses"):
        find_segmentation("auto").create(AutoParameters(), 0)


def test_each_kind_of_picture_has_a_method():
    assert METHODS.keys() == set(PictureKind) - {PictureKind.UNSURE}


@pytest.mark.parametrize(
    ("flags", "method"),
    [
        (Flags(segment="a"), "auto"),
        (Flags(segment="a", cell_diameter="30"), "auto"),
        (Flags(segment="a", segmentation="log-std"), "log-std"),
        (Flags(pc="a"), "instances"),
        (Flags(), "instances"),
        (Flags(pc="a", segmentation="auto"), "auto"),
    ],
)
def test_the_segmentation_is_chosen_by_look_unless_it_is_named(flags, method):
    assert load_config(None, flags.as_config()).segmentation.method == method


def test_a_picture_is_no_part_of_what_is_asked_for(movie):
    analysis = settle_method(metadata_of(movie), parse_analysis(asked()))
    assert analysis == dataclasses.replace(analysis, picture=None)
