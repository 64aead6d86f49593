from __future__ import annotations

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import ndimage
from scipy.spatial import ConvexHull

from frames import blobs, label_image, seeds
from pyama_core.errors import InputError
from pyama_core.processing.extraction import intensities, shapes
from pyama_core.processing.extraction.cells import FrameCells
from pyama_core.processing.extraction.crops import measure_custom
from pyama_core.processing.extraction.custom import CustomFeature, load_feature
from pyama_core.processing.extraction.feature_names import INTENSITY_FEATURES, SHAPE_FEATURES
from pyama_core.processing.extraction.kernels.percentiles import percentiles, select
from pyama_core.processing.extraction.measure import measure_cells
from pyama_core.processing.extraction.parameters import ExtractionParameters
from pyama_core.processing.extraction.selection import select_features

SHAPES = st.sampled_from([(1, 1), (1, 12), (9, 1), (17, 23), (40, 31)])


def measure_shapes(labels):
    return shapes.measure_shapes(FrameCells.of(labels))


def measure_intensities(labels, image, ring=10):
    return intensities.measure_intensities(FrameCells.of(labels), image, ring=ring)


def cells_of(shape, seed, n):
    """Labels of rectangles and round cells, with holes and in several parts, some touching."""
    labels = label_image(shape, seed, n).astype(np.int64) * 3
    labels[blobs(shape, seed, 2)] = 100
    labels[np.random.default_rng(seed).random(shape) < 0.05] = 0
    return labels


def perimeter_plain(mask):
    """Length of the outline by the patterns of its pixels (Benkrid and Crookes)."""
    cross = ndimage.generate_binary_structure(2, 1)
    outline = mask & ~ndimage.binary_erosion(mask, cross)
    lengths = {5: 1, 7: 1, 15: 1, 17: 1, 25: 1, 27: 1, 21: 2**0.5, 33: 2**0.5}
    lengths |= {13: (1 + 2**0.5) / 2, 23: (1 + 2**0.5) / 2}
    total = 0.0
    padded = np.pad(outline, 1)
    for y, x in np.argwhere(outline):
        around = padded[y : y + 3, x : x + 3]
        direct = around[0, 1] + 0 + around[1, 0] + around[1, 2] + around[2, 1]
        diagonal = int(around[::2, ::2].sum())
        total += lengths.get(1 + 2 * int(direct) + 10 * diagonal, 0)
    return total


def hull_area_plain(mask):
    """Number of pixels whose centres no face of the hull of the pixels' edge centres leaves out."""
    y, x = np.nonzero(mask)
    corners = np.concatenate(
        [np.stack([y + dy, x + dx], 1) for dy, dx in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))]
    )
    faces = ConvexHull(corners).equations
    inside = [
        (faces[:, :2] @ (row, column) + faces[:, 2] < 1e-9).all()
        for row, column in np.ndindex(mask.shape)
    ]
    return sum(inside)


def shapes_plain(mask):
    """Features of one full mask."""
    y, x = np.nonzero(mask)
    spread = np.cov(np.stack([y, x]), bias=True)
    short, long = np.sort(np.linalg.eigvalsh(spread))
    angle = -math.pi / 4 if spread[0, 1] <= 0 else math.pi / 4
    if spread[0, 0] != spread[1, 1]:
        angle = 0.5 * math.atan2(2 * spread[0, 1], spread[0, 0] - spread[1, 1])
    return {
        "area": y.size,
        "perimeter": perimeter_plain(mask),
        "position_x": x.mean(),
        "position_y": y.mean(),
        "box_top": y.min(),
        "box_left": x.min(),
        "box_bottom": y.max() + 1,
        "box_right": x.max() + 1,
        "eccentricity": math.sqrt(max(0.0, 1 - short / long)) if long > 1e-12 else 0.0,
        "solidity": y.size / hull_area_plain(mask),
        "orientation": angle,
    }


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, seed=seeds, n=st.integers(0, 6))
def test_shapes_are_those_of_one_mask_per_cell(shape, seed, n):
    labels = cells_of(shape, seed, n)
    found = measure_shapes(labels)
    cells = np.unique(labels[labels > 0])
    np.testing.assert_array_equal(found["cell"], cells)
    assert set(found) == {"cell", "area", "position_x", "position_y", *SHAPE_FEATURES}
    for i, cell in enumerate(cells):
        expected = shapes_plain(labels == cell)
        # Round cells have no orientation, and the roots of tiny numbers are not exact.
        if abs(expected["eccentricity"]) < 1e-3:
            expected.pop("orientation")
        angle = expected.pop("orientation", None)
        if angle is not None:
            difference = (found["orientation"][i] - angle) % math.pi
            assert min(difference, math.pi - difference) == pytest.approx(0, abs=1e-6)
        for name, value in expected.items():
            assert found[name][i] == pytest.approx(value, abs=1e-6), name


@settings(max_examples=60, deadline=None)
@given(
    shape=SHAPES,
    seed=seeds,
    n=st.integers(0, 6),
    ring=st.integers(0, 4),
    dtype=st.sampled_from([np.uint16, np.float32, np.float64]),
)
def test_intensities_are_those_of_one_mask_per_cell(shape, seed, n, ring, dtype):
    labels = cells_of(shape, seed, n)
    image = np.random.default_rng(seed).gamma(2, 300, shape).astype(dtype)
    found = measure_intensities(labels, image, ring)
    assert set(found) == {"cell", "intensity_total", *INTENSITY_FEATURES}
    square = np.ones((2 * ring + 1, 2 * ring + 1))
    for i, cell in enumerate(np.unique(labels[labels > 0])):
        mask = labels == cell
        pixels = image[mask].astype(np.float64)
        around = image[ndimage.binary_dilation(mask, square) & (labels == 0)].astype(np.float64)
        expected = {
            "cell": cell,
            "intensity_total": pixels.sum(),
            "intensity_mean": pixels.mean(),
            "intensity_median": np.median(pixels),
            "intensity_std": pixels.std(),
            "intensity_min": pixels.min(),
            "intensity_max": pixels.max(),
            "intensity_p5": np.percentile(pixels, 5),
            "intensity_p95": np.percentile(pixels, 95),
            "background_local": np.median(around) if around.size else math.nan,
        }
        for name, value in expected.items():
            assert found[name][i] == pytest.approx(value, rel=1e-6, nan_ok=True), name


def test_features_of_a_frame_without_cells_are_empty_columns():
    labels = np.zeros((5, 6), np.uint16)
    for found in (measure_shapes(labels), measure_intensities(labels, np.zeros((5, 6)))):
        assert all(column.shape == (0,) for column in found.values())


def test_scikit_image_measures_the_same():
    measure = pytest.importorskip("skimage.measure")
    labels = cells_of((60, 70), 11, 6)
    image = np.random.default_rng(1).normal(100, 10, labels.shape)
    found = measure_shapes(labels) | measure_intensities(labels, image)
    for i, region in enumerate(measure.regionprops(labels, image)):
        for name in ("area", "perimeter", "eccentricity", "solidity", "orientation"):
            assert found[name][i] == pytest.approx(getattr(region, name), abs=1e-6), name
        for name in ("intensity_mean", "intensity_std", "intensity_min", "intensity_max"):
            assert found[name][i] == pytest.approx(getattr(region, name)), name


def test_frames_that_cannot_be_measured_are_refused():
    with pytest.raises(InputError, match="dtype bool or integer"):
        measure_shapes(np.zeros((3, 3)))
    with pytest.raises(InputError, match=r"same shape, found \(3, 3\) and \(3, 4\)"):
        measure_intensities(np.zeros((3, 3), int), np.zeros((3, 4)))


@settings(max_examples=150, deadline=None)
@given(
    seed=seeds,
    n=st.integers(1, 400),
    kind=st.sampled_from(["normal", "skewed", "few", "equal", "tiny", "sorted"]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_percentiles_are_those_of_the_sorted_values(seed, n, kind, dtype):
    rng = np.random.default_rng(seed)
    values = {
        "normal": lambda: rng.normal(100, 10, n),
        "skewed": lambda: np.exp(rng.normal(0, 8, n)),
        "few": lambda: rng.integers(0, 3, n) * 1.0,
        "equal": lambda: np.full(n, -7.5),
        "tiny": lambda: rng.integers(0, 2, n) * 1e-300,
        "sorted": lambda: np.sort(rng.normal(0, 1, n)),
    }[kind]().astype(dtype)
    parts = np.array([0.0, 0.05, 0.5, 0.95, 1.0])
    found = np.empty(5)
    percentiles(
        values.copy(),
        values.min(),
        values.max(),
        parts,
        np.empty(258, np.int64),
        np.empty_like(values),
        found,
    )
    np.testing.assert_allclose(found, np.percentile(values.astype(np.float64), 100 * parts))


@settings(max_examples=60, deadline=None)
@given(seed=seeds, n=st.integers(1, 60), largest=st.integers(0, 60))
def test_selection_puts_the_value_of_a_rank_into_its_place(seed, n, largest):
    values = np.random.default_rng(seed).integers(0, largest + 1, n).astype(np.float32)
    for k in range(n):
        chosen = values.copy()
        select(chosen, 0, n, k)
        assert chosen[k] == np.sort(values)[k]
        assert (chosen[:k] <= chosen[k]).all()
        assert (chosen[k:] >= chosen[k]).all()


def custom(**functions):
    return [CustomFeature(name, function, "") for name, function in functions.items()]


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, seed=seeds, n=st.integers(0, 6))
def test_a_feature_of_a_user_sees_the_crop_of_each_cell(shape, seed, n):
    labels = cells_of(shape, seed, n)
    image = np.arange(labels.size, dtype=np.float64).reshape(shape)
    features = custom(
        total=lambda crop, mask: crop[mask].sum(), corner=lambda crop, mask: crop[0, 0]
    )
    found = measure_custom(FrameCells.of(labels), image, features)
    for i, cell in enumerate(np.unique(labels[labels > 0])):
        y, x = np.nonzero(labels == cell)
        assert found["cell"][i] == cell
        assert found["total"][i] == image[y, x].sum()
        assert found["corner"][i] == image[y.min(), x.min()]


def test_a_feature_of_a_user_must_return_a_number_and_leave_the_image_alone():
    cells, image = FrameCells.of(np.full((2, 2), 3)), np.ones((2, 2))
    with pytest.raises(InputError, match=r"'shape' to return a number, found \(2, 2\) for cell 3"):
        measure_custom(cells, image, custom(shape=lambda crop, mask: crop.shape))
    with pytest.raises(InputError, match="'name' to return a number, found 'x'"):
        measure_custom(cells, image, custom(name=lambda crop, mask: "x"))

    def vandal(crop, mask):
        crop[:] = 0
        return 0.0

    with pytest.raises(InputError, match=r"'vandal' failed for cell 3: ValueError: .*read-only"):
        measure_custom(cells, image, custom(vandal=vandal))
    assert np.isnan(measure_custom(cells, image, custom(n=lambda c, m: math.inf))["n"][0])
    with pytest.raises(InputError, match=r"same shape, found \(2, 2\) and \(3, 4\)"):
        measure_custom(cells, np.zeros((3, 4)), [])


def test_features_are_found_by_module_and_function_or_by_their_registered_name(monkeypatch):
    found = load_feature("math:hypot")
    assert (found.column, found.function(3, 4)) == ("hypot", 5)
    package = SimpleNamespace(name="package", version="1.2")
    monkeypatch.setattr(
        "pyama_core.processing.extraction.custom.entry_points",
        lambda group: [SimpleNamespace(name="mine", load=lambda: math.hypot, dist=package)],
    )
    found = load_feature("mine")
    assert (found.column, found.function) == ("mine", math.hypot)
    assert "package 1.2" in found.identity


def test_a_feature_in_the_working_directory_is_known_by_its_content(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two files of the same size and second
    identities = []
    for factor in (2, 3):
        source = f"def scaled(image, mask):\n    return {factor}\n"
        (tmp_path / "my_cells.py").write_text(source, encoding="utf-8")
        feature = load_feature("my_cells:scaled")
        del sys.modules["my_cells"]
        assert feature.function(None, None) == factor
        identities.append(feature.identity)
    assert identities[0] != identities[1]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", r"registered feature \(here: none\) or module:function, found 'nothing'"),
        ("no_such_module:f", "cannot be imported: No module named 'no_such_module'"),
        ("math:no_such_function", "cannot be imported: module 'math' has no attribute"),
        (":f", "cannot be imported"),
        ("math:pi", "to be a function, found float"),
    ],
)
def test_features_that_do_not_exist_are_refused(name, words):
    with pytest.raises(InputError, match=words):
        load_feature(name)


def test_features_are_chosen_by_groups_and_names_in_the_order_of_the_table(tmp_path, monkeypatch):
    assert select_features(()).columns == ()
    assert select_features(("background_local", "solidity", "perimeter")).columns == (
        "perimeter",
        "solidity",
        "background_local",
    )
    default = select_features(ExtractionParameters().features).columns
    assert set(default) == {*SHAPE_FEATURES, *INTENSITY_FEATURES} - {"background_local"}
    assert select_features(("math:hypot", "shape")).columns[-1] == "hypot"
    (tmp_path / "cell_features.py").write_text("def area(image, mask): return 1.0\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="several of the name 'area'"):
        select_features(("cell_features:area",))
    with pytest.raises(ValidationError, match="'roundness' is not a feature; expected shape, int"):
        ExtractionParameters(features=("roundness",))


def test_what_is_not_chosen_is_not_measured_and_what_is_does_not_depend_on_the_rest():
    labels = cells_of((40, 31), 5, 6)
    image = np.random.default_rng(1).normal(100, 10, labels.shape).astype(np.float32)
    every = select_features(("shape", "intensity", "background_local"))
    all_shapes, [all_light] = measure_cells(labels, [image], every)
    basic = {"cell", "area", "position_x", "position_y"}
    basic |= {"box_top", "box_left", "box_bottom", "box_right"}
    for name in [None, *every.columns]:
        chosen = select_features(() if name is None else (name,))
        shapes_found, [light_found] = measure_cells(labels, [image], chosen)
        assert set(shapes_found) | set(light_found) == basic | {"intensity_total", *chosen.columns}
        for column, values in (shapes_found | light_found).items():
            np.testing.assert_array_equal(values, (all_shapes | all_light)[column])
