"""Figures of results: what they show, read back from what was drawn."""

from __future__ import annotations

import io
import sys

import numpy as np
import pandas as pd
import pytest

import runs
from pyama_core import open_results
from pyama_core.errors import InputError
from pyama_core.processing.workflow.release import release_stacks
from pyama_core.results.matplotlib_figures import new_figure
from pyama_core.results.trace_figure import label_time
from pyama_core.results.trace_statistics import CourseBuilder

pytestmark = pytest.mark.usefixtures("workers_inline")


@pytest.fixture(scope="module", autouse=True)
def open_fonts() -> None:
    """Let matplotlib open its fonts, which it never closes."""
    figure = new_figure(1, 1)
    figure.suptitle("$10^5$ µ")
    figure.savefig(io.BytesIO())


@pytest.fixture
def results(copied_results):
    found = open_results(copied_results)
    found.assign_samples({"_drug $5": "0,2", "control": "1"})
    return found


def panels(figure):
    return [axes for axes in figure.axes if axes.get_xlabel()]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_panel_per_channel_shows_the_median_of_each_sample(results):
    figure = results.plot(good_only=False, n_lines=0)
    assert [axes.get_title("left") for axes in panels(figure)] == ["GFP", "mCherry"]
    assert [text.split("\n")[0] for text in legend(figure)] == [r"_drug \$5", "control"]
    traces = results.read_traces(samples="control")
    expected = traces.groupby("frame")["intensity_total_mCherry"].median()
    medians = [line for line in panels(figure)[1].lines if line.get_zorder() == 4]
    np.testing.assert_allclose(medians[1].get_ydata(), expected, rtol=1e-6)
    times = traces.groupby("frame")["time_min"].first()
    np.testing.assert_allclose(medians[1].get_xdata(), times)
    assert panels(figure)[0].get_xlabel() == "time (min)"
    assert panels(figure)[0].get_ylabel() == "intensity total (counts)"


def test_the_legend_counts_the_cells_that_are_drawn(results):
    cells = results.read_cells(samples="_drug $5")
    n_good = int(cells["good"].sum())
    assert legend(results.plot())[0] == f"_drug \\$5\n{n_good} cells in 2 FOVs"
    assert f"{len(cells)} cells in 2 FOVs" in legend(results.plot(good_only=False))[0]


def test_a_choice_of_channels_positions_and_samples_is_drawn_alone(results):
    figure = results.plot(channels="GFP", fovs="1-2", samples="control", time="frame")
    (panel,) = panels(figure)
    assert (panel.get_title("left"), panel.get_xlabel()) == ("GFP", "frame")
    assert len(legend(figure)) == 1
    assert len(panels(results.plot("area"))) == 1
    assert panels(results.plot("intensity_total_GFP"))[0].get_ylabel() == "intensity total GFP"


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (
            {"feature": "intensity"},
            "there is no feature 'intensity'; there are position_x, .*_total",
        ),
        ({"channels": ["RFP"]}, "there is no measured channel 'RFP'; there are GFP, mCherry"),
        ({"band": (0.9, 0.1)}, "band: expected two quantiles"),
        ({"n_lines": -1}, "n_lines: expected 0 or more"),
        ({"time": "s"}, "time: expected 'h', 'min' or 'frame', found 's'"),
        ({"samples": "nobody"}, "there is no sample 'nobody'; there are _drug"),
        ({"fovs": "9"}, "there is no FOV 9"),
    ],
)
def test_what_cannot_be_drawn_is_told(results, wish, words):
    with pytest.raises(InputError, match=words):
        results.plot(**wish)


def test_where_no_cell_is_good_a_figure_says_how_to_see_the_others(demo, tmp_path):
    assert runs.run(demo, tmp_path / "out", {"extraction": {"min_frames": 99}}, fovs="0").ok
    results = open_results(tmp_path / "out")
    with pytest.raises(InputError, match=r"no good cell has a trace .* good_only=False draws"):
        results.plot()
    assert legend(results.plot(good_only=False))


def test_a_film_strip_shows_a_cell_through_its_life_with_its_outline(results):
    fov = results.fov(1)
    cell = int(fov.cells.sort_values("n_frames")["cell"].iloc[-1])
    figure = fov.show(cell=cell, n_frames=4)
    images = [axes for axes in figure.axes if axes.images]
    assert len(images) == 3 * 4
    assert [axes.get_title() for axes in images[:4]] == ["frame 0", "frame 3", "frame 6", "frame 9"]
    drawn = images[4].lines[0].get_xydata()[:-1]
    np.testing.assert_array_equal(drawn, fov.outlines(0, [cell])[cell][0])
    shown = np.asarray(images[4].images[0].get_array())
    np.testing.assert_array_equal(shown, fov.crop("GFP", cell, 0, margin=12))
    assert figure.get_suptitle().startswith(f"FOV 1 (position 2), cell {cell}; end of movie")
    (traces,) = panels(figure)
    assert [line.get_label() for line in traces.lines[:2]] == ["GFP", "mCherry"]


def test_a_film_strip_shows_what_was_not_released_and_says_what_it_needs(results):
    release_stacks(results.folder, ["fl_corrected"])
    figure = results.fov(0).show(cell=1, n_frames=2)
    assert len([axes for axes in figure.axes if axes.images]) == 2
    with pytest.raises(InputError, match="--restore fl_corrected makes it again"):
        results.fov(0).show(cell=1, channels=["GFP"])
    release_stacks(results.folder, ["pc"])
    with pytest.raises(InputError, match="--restore pc makes it again"):
        results.fov(0).show(cell=1)


def test_a_frame_shows_the_outlines_and_numbers_of_all_cells(results):
    fov = results.fov(0)
    (axes,) = fov.show(t=2).axes
    assert sorted(int(text.get_text()) for text in axes.texts) == list(fov.outlines(2))
    assert axes.get_title("left") == "FOV 0 (position 1), phase, frame 2"


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"cell": 999}, r"FOV 0 \(position 1\): there is no trace of a cell 999; they are 1 to"),
        ({"t": 99}, "has frames 0 to 9, not 99"),
        ({"cell": 1, "n_frames": 0}, "n_frames: expected 1 or more"),
        ({"cell": 1, "channels": "RFP"}, "has no channel 'RFP'"),
    ],
)
def test_what_cannot_be_shown_is_told(results, wish, words):
    with pytest.raises(InputError, match=words):
        results.fov(0).show(**wish)


def test_a_figure_shows_itself_in_notebooks_and_pyplot_knows_nothing_of_it(results):
    figure = results.plot()
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_without_matplotlib_a_figure_is_one_line_that_says_what_to_install(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for draw in (results.plot, results.fov(0).plot, results.fov(0).show):
        with pytest.raises(InputError, match=r'not installed: pip install "pyama-core\[plot\]"'):
            draw()


def test_quantiles_are_those_of_all_cells_of_a_frame():
    rng = np.random.default_rng(0)
    builder = CourseBuilder("time_min", "value", n_lines=5)
    tables = []
    for _ in range(4):
        table = pd.DataFrame(
            {
                "cell": np.repeat(np.arange(1, 8), 6),
                "frame": np.tile(np.arange(6), 7),
                "time_min": np.tile(np.arange(6) * 2.0, 7),
                "value": rng.normal(size=42).astype(np.float32),
            }
        ).sample(frac=0.8, random_state=1)
        table = table.sort_values(["cell", "frame"])
        table.loc[table.index[3], "value"] = np.nan
        builder.add(table)
        tables.append(table)
    course = builder.build((0.1, 0.8))
    by_frame = pd.concat(tables).groupby("frame")["value"]
    np.testing.assert_allclose(course.median, by_frame.median(), rtol=1e-6)
    np.testing.assert_allclose(course.low, by_frame.quantile(0.1), rtol=1e-6)
    np.testing.assert_allclose(course.high, by_frame.quantile(0.8), rtol=1e-6)
    np.testing.assert_allclose(course.x, np.arange(6) * 2.0)
    assert len(course.lines) == 5
    assert (course.n_cells, course.n_fovs) == (28, 4)


@pytest.mark.parametrize("n_lines", [0, 1, 7, 200])
def test_lines_are_taken_of_all_fovs_in_turn_and_no_more_are_kept_than_could_be_shown(n_lines):
    rng = np.random.default_rng(1)
    builder, lines = CourseBuilder("frame", "value", n_lines), []
    for n_cells in (2, 30, 1, 12, 0, 5, 9, 30, 4, 17):
        cells, values = np.arange(1, n_cells + 1), rng.normal(size=3 * n_cells)
        frames = np.tile(np.arange(3), n_cells)
        table = {"cell": np.repeat(cells, 3), "frame": frames, "value": values}
        builder.add(pd.DataFrame(table))
        places = np.linspace(0, n_cells - 1, min(n_cells, n_lines)).round().astype(int)
        lines.append(values.reshape(-1, 3)[places])
        assert sum(map(len, builder._lines)) <= 2 * n_lines + len(builder._lines)
    in_turn = [fov[i] for i in range(30) for fov in lines if i < len(fov)]
    drawn = builder.build((0.25, 0.75)).lines
    assert len(drawn) == min(n_lines, len(in_turn))
    for (x, y), expected in zip(drawn, in_turn, strict=False):
        assert x.tolist() == [0, 1, 2]
        assert y.tolist() == expected.tolist()


def test_frames_are_marked_at_whole_numbers():
    axes = new_figure(4, 3).subplots()
    axes.plot([1, 2, 3], [0, 0, 0])
    label_time(axes, "frame")
    assert all(tick == int(tick) for tick in axes.get_xticks())
    label_time(axes, "time_h")
    assert axes.get_xlabel() == "time (h)"
