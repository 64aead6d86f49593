"""What napari itself makes of the results of a run: layers read back from a viewer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from pyama_core import open_results
from pyama_core.processing.workflow.release import release_stacks
from pyama_core.viewing.napari_window import fill_viewer, layers_side_by_side

pytestmark = [
    pytest.mark.skipif(find_spec("napari") is None, reason="napari is not installed"),
    # Of napari and what it brings, which are not tested here.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def curated(sampled, tmp_path_factory):
    """Results of which a cell was cut in two, mother and daughter."""
    results = open_results(shutil.copytree(sampled.folder, tmp_path_factory.mktemp("napari") / "r"))
    fov = results.fov(0)
    cells = fov.cells
    parent = int(cells[cells["n_frames"] == 10]["cell"].iloc[0])
    fov.set_parent(new := fov.cut(parent, 5), parent)
    return results, parent, new


@pytest.fixture
def model():
    """Return a viewer without a window, that knows the reader as one that was installed."""
    from napari.components import ViewerModel
    from npe2 import PluginManager

    PluginManager.instance().discover()
    model = ViewerModel()
    yield model
    model.layers.selection.active = None
    model.layers.clear()


def by_name(layers):
    return {layer.name: layer for layer in layers}


def test_a_folder_that_is_dropped_becomes_layers(model, curated):
    results, parent, new = curated
    layers = by_name(model.open(results.folder, plugin="pyama-core"))
    fov = results.fov(0)
    assert list(layers) == [
        *("FOV 0: phase contrast", "FOV 0: GFP as taken", "FOV 0: mCherry as taken"),
        *("FOV 0: GFP", "FOV 0: mCherry", "FOV 0: segmentation", "FOV 0: cells", "FOV 0: tracks"),
    ]
    gfp = layers["FOV 0: GFP"]
    assert gfp.colormap.name == "green"
    assert isinstance(gfp.data, np.memmap)
    np.testing.assert_array_equal(gfp.data[7], fov.corrected["GFP"][7])
    for layer in layers.values():
        assert layer.scale == pytest.approx((5, 0.65, 0.65), abs=0.01)
        assert [f"{unit:~}" for unit in layer.units] == ["min", "µm", "µm"]
        assert layer.axis_labels == ("t", "y", "x")
    tracks = layers["FOV 0: tracks"]
    traces = fov.traces
    assert len(tracks.data) == len(traces)
    assert tracks.graph == {new: [parent]}
    np.testing.assert_array_equal(
        np.sort(tracks.features["area"]), np.sort(traces["area"].to_numpy())
    )


def test_the_results_file_is_opened_without_a_question_and_a_folder_after_one(model, sampled):
    from napari.errors import MultipleReaderError

    layers = model.open(sampled.folder / "processing_results.yaml", plugin=None)
    assert layers[-1].name == "FOV 0: tracks"
    with pytest.raises(MultipleReaderError) as asked:
        model.open(sampled.folder, plugin=None)
    assert sorted(asked.value.available_plugins) == ["napari", "pyama-core"]


def test_labels_are_those_of_the_tables_in_every_frame_that_is_looked_at(model, curated):
    results, parent, new = curated
    labels = by_name(model.open(results.folder, plugin="pyama-core"))["FOV 0: cells"]
    fov = results.fov(0)
    for t in (0, 4, 5, 9):
        model.dims.set_current_step(0, t)
        assert model.dims.point[0] == pytest.approx(labels.scale[0] * t)
        np.testing.assert_array_equal(labels._slice.image.raw, fov.label_image(t))
    y, x = np.argwhere(fov.label_image(9) == new)[0]
    place = (9 * labels.scale[0], y * labels.scale[1], x * labels.scale[2])
    assert labels.get_value(place, world=True) == new
    told = labels.get_status(place, world=True)["coordinates"]
    assert f"parent: {parent}" in told


def test_a_file_of_a_fov_folder_is_no_business_of_this_reader(sampled):
    from npe2 import PluginManager

    PluginManager.instance().discover()
    stack = next(sampled.folder.glob("fov_000/*.npy"))
    readers = PluginManager.instance().iter_compatible_readers([str(stack)])
    assert "pyama-core" not in [reader.plugin_name for reader in readers]


def test_what_was_released_is_told_and_the_rest_shown(model, copied_results):
    release_stacks(copied_results, ["pc", "fl", "seg", "fl_corrected"])
    with pytest.warns(UserWarning, match="--restore pc,fl,seg,fl_corrected makes them again"):
        layers = by_name(model.open(copied_results / "fov_002", plugin="pyama-core"))
    assert list(layers) == ["FOV 2: cells", "FOV 2: tracks"]


# The window


def test_fovs_are_shown_side_by_side_as_outlines_that_are_not_painted_on(model, curated):
    results, *_ = curated
    fill_viewer(model, layers_side_by_side(results, "0,2"))
    assert len(model.layers) == 16
    layers = by_name(model.layers)
    first, second = (layers[f"FOV {fov}: GFP"].extent.world for fov in (0, 2))
    assert second[0][2] > first[1][2]
    assert second[0][1] == first[0][1]
    assert model.layers.selection.active is layers["FOV 2: cells"]
    assert layers["FOV 0: cells"].contour == 2
    assert not any(layer.editable for layer in model.layers)
    assert model.dims.current_step[0] == 0
    assert model.dims.axis_labels == ("t", "y", "x")
    assert model.canvas.overlays.scale_bar.visible


def test_by_itself_the_first_fov_is_shown(model, curated):
    results, *_ = curated
    fill_viewer(model, layers_side_by_side(results))
    assert {layer.metadata["fov"] for layer in model.layers} == {0}


_WINDOW = """
import sys
from pyama_core import open_results
from pyama_core.viewing.napari_window import open_window

viewer = open_window(open_results(sys.argv[1]), "0")
viewer.dims.set_current_step(0, 3)
picture = viewer.screenshot(canvas_only=True)
print(viewer.title, len(viewer.layers), len({*map(tuple, picture.reshape(-1, 4))}) > 1000, sep="|")
viewer.close()
"""


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="no screen: xvfb is not installed")
def test_the_window_opens_and_shows_something(curated):
    results, *_ = curated
    done = subprocess.run(
        ["xvfb-run", "-a", sys.executable, "-c", _WINDOW, str(results.folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "LIBGL_ALWAYS_SOFTWARE": "1"},
        check=False,
        timeout=200,
    )
    assert (done.returncode, done.stdout) == (0, "r: FOV 0|8|True\n"), done.stderr
