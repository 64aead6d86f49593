"""AnnData: what stands in the file, read without the program that wrote it."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

KINDS = {"array", "string-array", "categorical", "dataframe", "dict"}
KINDS |= {"nullable-integer", "nullable-boolean"}


def column_of(group: h5py.Group, name: str) -> list[object]:
    """Return a column as the format describes it; None where nothing is known."""
    part = group[name]
    kind = part.attrs["encoding-type"]
    if kind == "array":
        return part[:].tolist()
    if kind == "string-array":
        return part.asstr()[:].tolist()
    if kind == "categorical":
        categories = part["categories"].asstr()[:].tolist()
        return [None if code < 0 else categories[code] for code in part["codes"][:].tolist()]
    pairs = zip(part["values"][:].tolist(), part["mask"][:].tolist(), strict=True)
    return [None if unknown else value for value, unknown in pairs]


@pytest.fixture
def exported(sampled, tmp_path):
    with h5py.File(sampled.export("anndata", tmp_path / "out.h5ad")) as file:
        yield file


def test_a_row_is_a_cell_in_a_frame_and_a_column_a_measurement_with_its_unit(sampled, exported):
    traces = sampled.traces
    variables = exported["var"]
    names = column_of(variables, variables.attrs["_index"])
    np.testing.assert_array_equal(exported["X"][:], traces[names].to_numpy(float))
    units = dict(zip(names, column_of(variables, "unit"), strict=True))
    assert (units["area"], units["intensity_total_GFP"]) == ("px²", "grey values")
    np.testing.assert_array_equal(
        exported["obsm/spatial"][:], traces[["position_x", "position_y"]].to_numpy()
    )


def test_each_row_tells_its_cell_and_sample_and_what_became_of_the_cell(sampled, exported):
    traces = sampled.traces
    rows = exported["obs"]
    for name in ("fov", "cell", "frame", "good", "time_min"):
        assert column_of(rows, name) == traces[name].tolist()
    assert column_of(rows, "sample") == traces["sample"].tolist()
    assert column_of(rows, "dose") == [0 if fov == 0 else 5 for fov in traces["fov"]]
    fates = sampled.cells.set_index(["fov", "cell"])["fate"]
    each = [*zip(traces["fov"], traces["cell"], strict=True)]
    assert column_of(rows, "fate") == [fates[cell] for cell in each]
    assert set(column_of(rows, "parent")) == {None}
    index = column_of(rows, rows.attrs["_index"])
    assert index[0] == "fov_000_cell_{:04d}_t{:03d}".format(*traces.loc[0, ["cell", "frame"]])
    assert len({*index}) == len(traces)


def test_every_part_says_what_it_is(exported):
    kinds = {}
    exported.visititems(lambda name, part: kinds.update({name: part.attrs.get("encoding-type")}))
    within = ("codes", "categories", "values", "mask")
    assert {kind for name, kind in kinds.items() if name.split("/")[-1] not in within} <= KINDS
    for name in ("obs", "var"):
        columns = {*exported[name].attrs["column-order"]}
        assert columns | {exported[name].attrs["_index"]} == {*exported[name]}
    assert dict(exported.attrs) == {"encoding-type": "anndata", "encoding-version": "0.1.0"}


def test_columns_of_samples_with_the_names_of_others_or_of_groups_are_kept_apart(owned, tmp_path):
    known = {"a/b": 1, "_index": 2, "cell": 3, "a_b": 4, "µM": 0.5}
    owned.assign_samples({"all": {"fovs": "0-2", **known}})
    with h5py.File(owned.export("anndata", tmp_path / "out.h5ad")) as file:
        rows = file["obs"]
        found = {"a_b-2": 1, "index": 2, "cell-2": 3, "a_b": 4, "µM": 0.5}
        assert {name: column_of(rows, name)[0] for name in found} == found
        assert column_of(rows, "cell") == owned.traces["cell"].tolist()


def test_its_own_program_reads_it(sampled, tmp_path):
    anndata = pytest.importorskip("anndata")
    read = anndata.read_h5ad(sampled.export("anndata", tmp_path / "out.h5ad"))
    traces = sampled.traces
    assert read.obs["cell"].tolist() == traces["cell"].tolist()
    np.testing.assert_array_equal(read[:, "area"].X[:, 0], traces["area"])
