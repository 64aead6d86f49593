"""Any channel is the one in which cells are found, also one that is measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from inline import run_inline
from movies import metadata_of, rough_squares, write_movie
from pyama_core import open_results
from pyama_core.cli.app import app
from pyama_core.cli.run import Flags
from pyama_core.io.storage.naming import find_records
from pyama_core.io.storage.records import load_record
from pyama_core.processing.workflow.configuration import commented_yaml, load_config
from pyama_core.processing.workflow.outcome import FovStatus
from pyama_core.processing.workflow.pipeline import run_workflow
from pyama_core.processing.workflow.results_file import write_results
from pyama_core.processing.workflow.services.analysis import parse_analysis, recorded_analysis
from pyama_core.processing.workflow.services.types import Channels, ProcessingContext
from pyama_core.processing.workflow.status import describe_folder
from runs import exact

pytestmark = pytest.mark.usefixtures("workers_inline")

NAMES = ["H2B", "GFP", "mCherry"]


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write five frames of three channels, the first of which shows rough squares."""
    pixels = rough_squares(5, 96, [(8, 8), (50, 50)])
    pixels = np.concatenate([pixels, pixels[:, 1:] + 20], axis=1)
    return write_movie(tmp_path_factory.mktemp("movie") / "m.ome.tif", [pixels], NAMES, 2.0)


def asked(out: Path, **channels) -> ProcessingContext:
    return ProcessingContext(out, Channels(**channels), params=exact())


def made(out: Path) -> dict[str, bytes]:
    """Content of all outputs by what their names say after that of the field of view."""
    files = out.glob("fov_000/*.[cn][sp][vy]")
    return {path.name.removeprefix("m_fov_000_"): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def by_phase(movie, tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("phase")
    assert run_inline(metadata_of(movie), asked(out, pc=0, fl=[1])).ok
    return made(out)


def test_a_channel_that_is_segmented_and_measured_is_copied_once(movie, tmp_path, by_phase):
    assert run_inline(metadata_of(movie), asked(tmp_path, segment="H2B", fl=["GFP", "H2B"])).ok
    files = made(tmp_path)
    assert sorted(files) == [
        "fl_ch_0.npy",
        "fl_ch_1.npy",
        "fl_corrected_ch_0.npy",
        "fl_corrected_ch_1.npy",
        "seg_ch_0.npy",
        "seg_labeled_ch_0.npy",
        "shifts.csv",
        "traces_ch_0.csv",
        "traces_ch_1.csv",
        "tracks.csv",
    ]
    same = ("fl_ch_1.npy", "seg_ch_0.npy", "seg_labeled_ch_0.npy", "traces_ch_1.csv", "tracks.csv")
    assert all(files[name] == by_phase[name] for name in same)
    assert files["fl_ch_0.npy"] == by_phase["pc_ch_0.npy"]


def test_a_channel_that_is_segmented_alone_is_copied_all_the_same(movie, tmp_path, by_phase):
    assert run_inline(metadata_of(movie), asked(tmp_path, segment=0, fl=[1])).ok
    files = made(tmp_path)
    assert files["fl_ch_0.npy"] == by_phase["pc_ch_0.npy"]
    assert "fl_corrected_ch_0.npy" not in files
    # Measured as well, later, it is neither copied nor segmented again.
    before = {name: path.stat() for path in tmp_path.glob("fov_000/*.npy") for name in [path.name]}
    assert run_inline(metadata_of(movie), asked(tmp_path, segment=0, fl=[0, 1])).ok
    after = {path.name: path.stat() for path in tmp_path.glob("fov_000/*.npy")}
    assert after.keys() - before.keys() == {"m_fov_000_fl_corrected_ch_0.npy"}
    assert all(after[name].st_mtime_ns == stat.st_mtime_ns for name, stat in before.items())


def test_a_run_of_any_channel_is_done_for_status_results_and_a_second_run(movie, tmp_path):
    context = asked(tmp_path, segment=0, fl=[0])
    assert run_inline(metadata_of(movie), context).ok
    assert context.results_paths[0].pc is None
    assert [channel for channel, _ in context.results_paths[0].fl] == [0]
    again = run_inline(metadata_of(movie), asked(tmp_path, segment=0, fl=[0]))
    assert again.fovs[0].status is FovStatus.SKIPPED
    found = describe_folder(tmp_path)["fovs"]["0"]
    assert found["status"] == "done"
    assert found["channels"] == {"pc": None, "fl": [0], "nuclei": None, "segment": 0}
    written = yaml.safe_load((tmp_path / "processing_results.yaml").read_text())
    assert written["channels"] == found["channels"]
    assert written["outdated"] == {}
    fov = open_results(tmp_path).fov(0)
    assert fov.segmented == "H2B"
    assert fov.missing == []


def test_what_runs_of_phase_contrast_leave_on_record_is_what_it_was(movie, tmp_path):
    assert run_inline(metadata_of(movie), asked(tmp_path, pc=0, fl=[1])).ok
    record = load_record(find_records(tmp_path)[0])
    assert record.settings.channels == {"pc": 0, "fl": [1], "nuclei": None}
    entries = {entry.kind: entry.provenance for entry in record.outputs.values()}
    assert set(entries["seg"].inputs) == {"pc"}
    assert set(entries["seg_labeled"].inputs) == {"seg"}


@pytest.mark.parametrize("channels", [{"segment": 2, "fl": (0,)}, {"pc": 1, "fl": (0,)}])
def test_the_channel_that_is_segmented_is_read_from_the_record_as_it_was_asked(channels):
    words = Channels(**{**channels, "fl": list(channels["fl"])})
    analysis = parse_analysis(ProcessingContext(channels=words))
    assert recorded_analysis(analysis.as_settings()) == analysis
    assert analysis.channels.cells == channels.get("segment", channels.get("pc"))


def test_two_channels_to_segment_are_one_too_many(movie, tmp_path):
    context = asked(tmp_path / "out", pc=0, segment=1, fl=[1])
    outcome = run_workflow(metadata_of(movie), context)
    assert "cells are found in one channel" in outcome.refusal
    assert not (tmp_path / "out").exists()


# Several channels in turn, in one folder


def test_results_speak_of_the_channel_that_was_asked_for_last(movie, tmp_path):
    """Masks of a channel that was tried before lie beside them."""
    metadata = metadata_of(movie)
    assert run_inline(metadata, asked(tmp_path, segment=2, fl=[1])).ok
    assert run_inline(metadata, asked(tmp_path, pc=0, fl=[1])).ok
    assert run_inline(metadata, asked(tmp_path, segment=0, fl=[1])).ok
    assert run_inline(metadata, asked(tmp_path, segment=1, fl=[1])).ok
    fov = open_results(tmp_path).fov(0)
    assert fov.segmented == "GFP"
    labels = np.load(tmp_path / "fov_000" / "m_fov_000_seg_labeled_ch_1.npy")
    np.testing.assert_array_equal(fov.labels, labels)
    write_results(tmp_path)
    paths = yaml.safe_load((tmp_path / "processing_results.yaml").read_text())["results_paths"][0]
    for kind in ("seg", "seg_labeled", "tracks_csv"):
        assert paths[kind][0] == 1, kind


def test_a_channel_that_is_not_measured_any_more_stays_what_it_was(movie, tmp_path):
    metadata = metadata_of(movie)
    assert run_inline(metadata, asked(tmp_path, segment=0, fl=[0, 1])).ok
    assert run_inline(metadata, asked(tmp_path, segment=0, fl=[1])).ok
    assert yaml.safe_load((tmp_path / "processing_results.yaml").read_text())["outdated"] == {}


# Images


def test_results_give_the_image_in_which_cells_were_found(movie, tmp_path):
    assert run_inline(metadata_of(movie), asked(tmp_path, segment=0, fl=[1])).ok
    fov = open_results(tmp_path).fov(0)
    np.testing.assert_array_equal(
        fov.image(fov.segmented), np.load(tmp_path / "fov_000" / "m_fov_000_fl_ch_0.npy")
    )
    with pytest.raises(ValueError, match="GFP, H2B"):
        fov.image("mCherry")
    pytest.importorskip("matplotlib")
    assert "H2B" in fov.show(t=1).axes[0].get_title(loc="left")


# Words


def pyama(*words) -> object:
    return CliRunner().invoke(app, [*map(str, words)])


def test_the_command_takes_any_channel(movie, tmp_path):
    methods = ["--segmentation", "log-std", "--tracking", "iou", "--workers", "1"]
    out = tmp_path / "out"
    result = pyama("run", movie, "-o", out, "--segment", "H2B", "--fl", "H2B", *methods)
    assert result.exit_code == 0, result.output
    shown = json.loads(pyama("status", out, "--json").stdout)
    assert shown["fovs"]["0"]["channels"]["segment"] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--fl", "GFP"], "--segment and --fl"),
        (["--segment", "GFP"], "--segment and --fl"),
        (["--segment", "YFP", "--fl", "GFP"], "--segment: "),
        (["--pc", "H2B", "--segment", "GFP", "--fl", "GFP"], "found both"),
    ],
)
def test_words_that_do_not_say_which_channel_is_segmented_are_refused(movie, tmp_path, words, told):
    result = pyama("run", movie, "-o", tmp_path / "out", *words)
    assert result.exit_code == 2
    assert told in result.output
    assert not (tmp_path / "out").exists()


def test_a_channel_that_is_typed_takes_the_place_of_either_in_the_configuration(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("channels: {pc: phase, fl: [GFP]}\n")
    chosen = load_config(path, Flags(segment="H2B").as_config()).channels
    assert (chosen.pc, chosen.segment, chosen.fl) == (None, "H2B", ["GFP"])
    path.write_text("channels: {segment: H2B, fl: [GFP]}\n")
    chosen = load_config(path, Flags(pc="phase").as_config()).channels
    assert (chosen.pc, chosen.segment) == ("phase", None)
    chosen = load_config(path, Flags(fl=["YFP"]).as_config()).channels
    assert (chosen.pc, chosen.segment) == (None, "H2B")


def test_the_written_configuration_says_which_channel_is_segmented(tmp_path):
    text = commented_yaml(load_config(None, Flags(segment="H2B", fl=["H2B"]).as_config()))
    path = tmp_path / "run.yaml"
    path.write_text(text)
    assert load_config(path, {}).channels.segment == "H2B"
