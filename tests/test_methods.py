"""Segmentation and tracking are chosen by name; labels go through the pipeline as masks do."""

from __future__ import annotations

import dataclasses
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from typer.testing import CliRunner

from inline import run_inline
from pyama_core.cli.app import app
from pyama_core.demo.movie import Movie
from pyama_core.demo.parameters import DemoParameters
from pyama_core.errors import InputError
from pyama_core.io.microscopy import MicroscopyMetadata, load_microscopy_file
from pyama_core.io.storage.records import OutputEntry, load_record
from pyama_core.io.storage.stacks import StackReader
from pyama_core.processing.workflow.release import release_stacks
from pyama_core.processing.workflow.services.parameters import validate_params
from pyama_core.processing.workflow.services.types import Channels
from pyama_core.processing.workflow.status import describe_folder
from runs import describe, new_context

pytestmark = pytest.mark.usefixtures("workers_inline")

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


@pytest.mark.parametrize("step", ["segmentation", "correction", "tracking"])
def test_an_unknown_method_names_the_known_ones(step):
    with pytest.raises(InputError, match=r"out of .*(log-std|tiled|lineage).*, found 'magic'"):
        validate_params({step: {"method": "magic"}})


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


def _outputs_of(out: Path, fov: int = 0) -> dict[str, OutputEntry]:
    record = load_record(out / f"fov_{fov:03d}" / f"demo_fov_{fov:03d}_record.json")
    assert record is not None
    return record.outputs


def _with_diameter(diameter: float | str) -> dict[str, dict[str, float | str]]:
    return {"segmentation": {"method": "instances", "cell_diameter": diameter}}


def test_a_diameter_in_micrometres_is_one_in_pixels_of_the_file(demo, tmp_path):
    metadata = describe(demo)
    assert metadata.pixel_size_um is not None
    out, name = tmp_path / "length", "demo_fov_000_seg_ch_0.npy"
    length = _with_diameter(f"{40 * metadata.pixel_size_um} um")
    assert run_inline(metadata, new_context(out, **length), fovs=[0]).ok
    pixels = tmp_path / "pixels"
    assert run_inline(metadata, new_context(pixels, **_with_diameter(40)), fovs=[0]).ok
    made, expected = _outputs_of(out)[name], _outputs_of(pixels)[name]
    assert made.checksum == expected.checksum
    assert made.summary == expected.summary
    assert made.summary["cell_diameter"] == 40
    # The same length is another number of pixels once the file tells another pixel size.
    coarser = dataclasses.replace(metadata, pixel_size_um=2 * metadata.pixel_size_um)
    assert run_inline(coarser, new_context(out, **length), fovs=[0]).ok
    assert _outputs_of(out)[name].summary["cell_diameter"] == 20


def test_a_diameter_in_micrometres_needs_a_pixel_size(demo, tmp_path):
    unknown = dataclasses.replace(describe(demo), pixel_size_um=None)
    outcome = run_inline(unknown, new_context(tmp_path / "out", **_with_diameter("25 um")))
    assert outcome.exit_code == 2
    assert "does not tell its pixel size" in (outcome.refusal or "")
    assert not (tmp_path / "out").exists()


def test_the_estimated_diameter_is_recorded_and_repeats_the_run(demo, tmp_path):
    name = "demo_fov_000_seg_ch_0.npy"
    assert run_inline(
        describe(demo), new_context(tmp_path / "auto", **_with_diameter("auto")), fovs=[0]
    ).ok
    estimated = _outputs_of(tmp_path / "auto")[name]
    given = _with_diameter(estimated.summary["cell_diameter"])
    assert run_inline(describe(demo), new_context(tmp_path / "given", **given), fovs=[0]).ok
    assert _outputs_of(tmp_path / "given")[name].checksum == estimated.checksum


def test_a_position_without_cells_gives_an_empty_table_and_a_warning(tmp_path, caplog):
    path = tmp_path / "demo.tif"
    frames = np.full((4, 1, 96, 96), 500, np.uint16)
    tifffile.imwrite(path, frames, imagej=True, metadata={"axes": "TCYX"})
    source, metadata = load_microscopy_file(path)
    source.close()
    context = new_context(tmp_path / "out", **_with_diameter("auto"))
    context.channels = Channels(pc=0, fl=[])
    assert run_inline(metadata, context).ok
    assert "FOV 0: no cells in the first, middle and last frame" in caplog.text
    assert not np.load(tmp_path / "out" / "fov_000" / "demo_fov_000_seg_ch_0.npy").any()


@pytest.mark.parametrize(
    ("segmentation", "tracking", "advice"),
    [
        ("instances", "lineage", "cell_diameter (--cell-diameter) and the other parameters"),
        ("log-std", "iou", "and the parameters of segmentation"),
        ("files", "lineage", "and the parameters of segmentation"),
    ],
)
def test_a_position_without_cells_is_named_once_and_kept_in_mind(
    tmp_path, caplog, segmentation, tracking, advice
):
    masks, out = tmp_path / "masks", tmp_path / "out"
    masks.mkdir()
    empty = write_blank(tmp_path / "blank.tif", n_fovs=2)
    for fov in range(2):
        np.save(masks / f"{fov}.npy", np.zeros(empty.shape_of(fov), np.uint16))
    more = {"path": str(masks / "{fov}.npy")} if segmentation == "files" else {}
    params = {
        "segmentation": {"method": segmentation, **more},
        "tracking": {"method": tracking},
    }
    for _ in range(2):  # the second run finds everything done
        context = new_context(out, **params)
        context.channels = Channels(pc=0, fl=[1])
        assert run_inline(empty, context).ok
    told = [r for r in caplog.records if "in any of its" in r.getMessage()]
    assert [record.getMessage()[:6] for record in told] == ["FOV 0:", "FOV 1:"]
    assert {record.levelname for record in told} == {"WARNING"}
    assert all(advice in record.getMessage() for record in told)
    assert "channel 0 is phase contrast" in told[0].getMessage()
    assert (out / "pyama.log").read_text().count("in any of its") == 2
    assert yaml.safe_load((out / "processing_results.yaml").read_text())["no_cells"] == [0, 1]
    shown = CliRunner().invoke(app, ["status", str(out)]).output
    assert re.search(r"FOV 1( \(.*\))?: no cells in any frame", shown)


def test_a_position_with_cells_is_not_said_to_have_none(demo, tmp_path, caplog):
    out = tmp_path / "out"
    assert run_inline(describe(demo), new_context(out), fovs=[0]).ok
    assert "no cells" not in caplog.text
    assert yaml.safe_load((out / "processing_results.yaml").read_text())["no_cells"] == []
    assert describe_folder(out)["fovs"]["0"]["no_cells"] is False


def test_a_position_whose_cells_are_taken_for_another_size_is_named(tmp_path, caplog):
    movie = Movie(DemoParameters(fovs=1, frames=2, size=512, seed=0), 0)
    usual = np.stack([frame.planes[:2] for frame in movie.frames()])
    doubled = usual[:, :, :256, :256].repeat(2, 2).repeat(2, 3)
    with tifffile.TiffWriter(tmp_path / "movie.tif", ome=True) as writer:
        for position in (usual, doubled, usual[:, :, ::-1], usual[:, :, :, ::-1]):
            writer.write(position, metadata={"axes": "TCYX"})
    source, movie = load_microscopy_file(tmp_path / "movie.tif")
    source.close()
    context = new_context(tmp_path / "out", segmentation={"method": "instances"})
    context.channels = Channels(pc=0, fl=[1])
    assert run_inline(movie, context).ok
    told = [r.getMessage() for r in caplog.records if "another size" in r.getMessage()]
    assert len(told) == 1
    assert re.search(r"than the \d+ px of most others in FOVs 1 \(\d+ px\); look", told[0])
    results = yaml.safe_load((tmp_path / "out" / "processing_results.yaml").read_text())
    assert list(results["unlike_diameters"]) == [1]
    shown = CliRunner().invoke(app, ["status", str(tmp_path / "out")]).output
    assert re.search(r"FOV 1( \(.*\))?: cells taken for \d+ px, in most for \d+ px", shown)


def write_blank(path: Path, n_fovs: int) -> MicroscopyMetadata:
    """Write a movie of two channels in which there is nothing to see."""
    with tifffile.TiffWriter(path, ome=True) as writer:
        for _ in range(n_fovs):
            writer.write(np.full((4, 2, 96, 96), 500, np.uint16), metadata={"axes": "TCYX"})
    source, metadata = load_microscopy_file(path)
    source.close()
    return metadata


def test_masks_of_another_program_with_large_labels_become_cells(demo, tmp_path):
    metadata = describe(demo)
    frames, height, width = metadata.shape_of(0)
    masks = np.zeros((frames, height, width), np.uint32)
    masks[:, 20:40, 20:40], masks[:, 20:40, 40:60] = 70_000, 4_000_000_000
    np.save(tmp_path / "masks_0.npy", masks)
    files = {"method": "files", "path": str(tmp_path / "masks_{fov}.npy")}
    out = tmp_path / "out"
    assert run_inline(metadata, new_context(out, segmentation=files), fovs=[0]).ok
    made = np.load(out / "fov_000" / "demo_fov_000_seg_ch_0.npy")
    assert made.dtype == np.uint16
    assert np.array_equal(made, masks // 65_536 // 60_000 + (masks > 0))
    tracked = np.load(out / "fov_000" / "demo_fov_000_seg_labeled_ch_0.npy")
    assert tracked.max() == 2
    assert np.array_equal(tracked > 0, masks > 0)


def test_a_cellpose_model_segments_through_the_pipeline(demo, tmp_path, monkeypatch):
    class Model:
        """Stands in for a model: bright pixels are one cell."""

        def __init__(self, gpu: bool, pretrained_model: str) -> None:
            assert pretrained_model == str(tmp_path / "weights")

        def eval(self, x, /, **options):
            assert options["diameter"] == 30
            return (x > np.median(x)).astype(np.uint8), [], []

    (tmp_path / "weights").touch()
    stand_in = types.SimpleNamespace(CellposeModel=Model)
    monkeypatch.setitem(sys.modules, "cellpose", types.ModuleType("cellpose"))
    monkeypatch.setitem(sys.modules, "cellpose.models", stand_in)
    parameters = {"method": "cellpose", "weights": str(tmp_path / "weights"), "cell_diameter": 30}
    out = tmp_path / "out"
    assert run_inline(describe(demo), new_context(out, segmentation=parameters), fovs=[0]).ok
    assert np.load(out / "fov_000" / "demo_fov_000_seg_ch_0.npy").max() == 1
