"""Results as tables of other programs, each read by a library that did not write it."""

from __future__ import annotations

import csv
import io
import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pyama_core import open_results
from pyama_core.errors import InputError
from pyama_core.exports import wide_tables, xlsx_tables
from pyama_core.exports.columns import meaning_of
from pyama_core.processing.extraction.feature_names import BUILT_IN
from pyama_core.results.tables import SHARED
from runs import files_in

FEATURE = "intensity_total_GFP"


def as_pivot(traces: pd.DataFrame, feature: str) -> pd.DataFrame:
    """Return the wide table that traces of a sample make, by the names of cells."""
    names = [
        f"fov_{fov:03d}_cell_{cell:04d}" for fov, cell in zip(traces.fov, traces.cell, strict=True)
    ]
    pivot = traces.assign(name=names).pivot_table(index="frame", columns="name", values=feature)
    return pivot.reindex(range(pivot.index.max() + 1))


def rows_of(path: Path, delimiter: str = ",") -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


# CSV


def test_the_long_table_has_every_number_of_the_results(sampled, tmp_path):
    folder = sampled.export("csv", tmp_path / "out")
    rows = csv.DictReader(io.StringIO((folder / "traces.csv").read_text("utf-8")))
    traces = sampled.traces
    exact = {name: [] for name in traces.columns}
    for row in rows:
        for name, text in row.items():
            exact[name].append(text)
    assert len(exact["cell"]) == len(traces) > 50
    for name in traces.columns:
        if name == "sample":
            assert exact[name] == [text.replace("+dox", "'+dox") for text in traces[name]]
        elif name == "good":
            assert exact[name] == [str(value) for value in traces[name]]
        else:
            numbers = [float(text) if text else np.nan for text in exact[name]]
            np.testing.assert_array_equal(numbers, traces[name].to_numpy(float))


def test_a_wide_table_has_a_column_per_cell_and_the_time_of_each_frame_in_hours(sampled, tmp_path):
    folder = sampled.export("csv", tmp_path / "out", layout="wide")
    assert not (folder / "traces.csv").exists()
    header, *rows = rows_of(folder / "wide" / "+dox 5 µM" / f"{FEATURE}.csv")
    traces = sampled.read_traces(samples="+dox 5 µM")
    expected = as_pivot(traces, FEATURE)
    assert header == ["time_h", *sorted(expected.columns)]
    assert header[1].startswith("fov_001_cell_")
    assert header[-1].startswith("fov_002_cell_")
    numbers = np.array([[float(text) if text else np.nan for text in row] for row in rows])
    np.testing.assert_array_equal(numbers[:, 1:], expected[header[1:]].to_numpy())
    of_fovs = traces.groupby(["fov", "frame"])["time_h"].first()
    times = of_fovs.groupby("frame").mean()
    np.testing.assert_allclose(numbers[:, 0], times, rtol=1e-12)


def test_there_is_a_wide_table_for_each_sample_and_feature(sampled, tmp_path):
    folder = sampled.export("csv", tmp_path / "out", features=["area", "intensity_total"])
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("wide/*/*")} == {
        f"wide/{sample}/{feature}.csv"
        for sample in ("control", "+dox 5 µM")
        for feature in ("area", "intensity_total_GFP", "intensity_total_mCherry")
    }
    header = rows_of(folder / "traces.csv")[0]
    assert header[-3:] == ["area", "intensity_total_GFP", "intensity_total_mCherry"]


def test_wide_tables_are_the_same_however_many_rows_are_gathered_at_a_time(
    sampled, tmp_path, monkeypatch
):
    whole = files_in(sampled.export("csv", tmp_path / "whole", layout="wide"))
    monkeypatch.setattr(wide_tables, "_NUMBERS_AT_A_TIME", 200)
    assert files_in(sampled.export("csv", tmp_path / "parts", layout="wide")) == whole


def test_a_wide_table_of_minutes_or_frames_is_written_on_request(sampled, tmp_path):
    for time, last in (("min", 45.0), ("frame", 9.0)):
        options = {"layout": "wide", "features": ["area"], "time": time}
        folder = sampled.export("csv", tmp_path / time, fovs=[0], **options)
        header, *rows = rows_of(folder / "wide" / "control" / "area.csv")
        assert header[0] == ("frame" if time == "frame" else "time_min")
        assert float(rows[-1][0]) == pytest.approx(last, abs=0.5)


def test_decimal_commas_come_with_semicolons_and_a_mark_of_utf_8(sampled, tmp_path):
    options = {"features": ["area", "intensity_total"]}
    point = sampled.export("csv", tmp_path / "point", **options)
    comma = sampled.export("csv", tmp_path / "comma", decimal="comma", **options)
    for name, content in files_in(point).items():
        if name == "export.json":
            continue
        other = (comma / name).read_bytes()
        assert other.startswith(b"\xef\xbb\xbf")
        assert not content.startswith(b"\xef\xbb\xbf")
        rows = list(csv.reader(io.StringIO(content.decode())))
        others = list(csv.reader(io.StringIO(other.decode("utf-8-sig")), delimiter=";"))
        assert others == [
            [re.sub(r"^(-?\d+)\.(\d+(e.*)?)$", r"\1,\2", text) for text in row] for row in rows
        ]


def test_text_that_a_spreadsheet_takes_for_a_formula_is_made_harmless(owned, tmp_path):
    table = owned.folder / "samples.csv"
    rows = ["fov,sample,+cmd|x", "0,\"-1+cmd|' /C calc'!A0\",-SUM(1)", "1,+dox,-5", "2,-5,＝x"]
    table.write_text("\n".join(rows), encoding="utf-8")
    folder = open_results(owned.folder).export("csv", tmp_path / "out")
    fields = [
        field
        for path in sorted(folder.rglob("*.csv"))
        for row in rows_of(path)
        for field in row
        if field[:1] in "=+-@"
    ]
    for field in fields:
        if field:
            float(field)
    header, first, second, third = rows_of(folder / "samples.csv")
    assert header == ["fov", "name", "sample", "'+cmd|x"]
    assert first[2:] == ["'-1+cmd|' /C calc'!A0", "'-SUM(1)"]
    assert (second[2], third[2], third[3]) == ("'+dox", "-5", "'＝x")


def test_only_the_fovs_samples_and_good_cells_that_are_asked_for_are_exported(sampled, tmp_path):
    folder = sampled.export("csv", tmp_path / "out", fovs="0-1", samples="+DOX 5 µM")
    assert {row[1] for row in rows_of(folder / "traces.csv")[1:]} == {"1"}
    assert [row[0] for row in rows_of(folder / "samples.csv")[1:]] == ["1"]
    folder = sampled.export("csv", tmp_path / "good", good_only=True)
    good = sampled.cells[sampled.cells["good"]]
    cells = rows_of(folder / "cells.csv")[1:]
    assert [(int(row[1]), int(row[2])) for row in cells] == [*zip(good.fov, good.cell, strict=True)]
    assert {row[4] for row in rows_of(folder / "traces.csv")[1:]} == {"True"}


def test_every_column_has_a_meaning_and_every_measurement_a_unit(sampled, tmp_path):
    folder = sampled.export("csv", tmp_path / "out")
    told = {row[0]: row[1:] for row in rows_of(folder / "columns.csv")[1:]}
    for table in ("traces", "cells"):
        for name in rows_of(folder / f"{table}.csv")[0]:
            assert told[name][1]
    assert all(told[feature][0] for feature in sampled.select().features)
    assert told["intensity_total_GFP"][0] == "grey values"
    assert told["time_h"][0] == "h"


def test_cells_of_exports_have_all_columns_of_the_cells_of_results(sampled):
    assert {*sampled.select().cell_columns} == {*sampled.cells}


def test_fovs_of_other_lengths_and_times_are_put_below_each_other(sampled, tmp_path, caplog):
    selection = sampled.select()
    tables = [selection.read(fov) for fov in selection.fovs[:2]]
    short = tables[1].traces[tables[1].traces["frame"] < 6].copy()
    short["time_min"] += 30
    collected = wide_tables.WideTables(tmp_path, ("area",), "min")
    collected.add("all", 0, tables[0])
    collected.add("all", 1, type(tables[1])(short, tables[1].cells))
    (table,) = collected.tables()
    rows = np.array([*table.rows()])
    n_first = tables[0].traces["cell"].nunique()
    assert rows.shape == (10, n_first + short["cell"].nunique())
    assert np.isnan(rows[6:, n_first:]).all()
    assert not np.isnan(rows[:6, n_first:]).all(axis=1).any()
    first = tables[0].traces.groupby("frame")["time_min"].first()
    second = short.groupby("frame")["time_min"].first()
    np.testing.assert_allclose(table.first[:6], (first[:6] + second) / 2)
    np.testing.assert_array_equal(table.first[6:], first[6:])
    assert "up to 6.0 intervals apart" in caplog.text


@pytest.mark.slow
@pytest.mark.nightly
def test_a_spreadsheet_with_decimal_commas_reads_every_number(sampled, tmp_path):
    office = pytest.importorskip("shutil").which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not installed")
    openpyxl = pytest.importorskip("openpyxl")
    options = {"layout": "wide", "decimal": "comma", "features": [FEATURE]}
    folder = sampled.export("csv", tmp_path / "out", **options)
    path = folder / "wide" / "control" / f"{FEATURE}.csv"
    german = "CSV:59,34,UTF8,1,,1031"  # semicolons, quotes, as in Germany
    subprocess.run(
        [
            *(office, "--headless", f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"),
            *("--convert-to", "xlsx", f"--infilter={german}", "--outdir", str(tmp_path), str(path)),
        ],
        check=True,
        timeout=240,
        capture_output=True,
    )
    book = openpyxl.load_workbook(tmp_path / f"{FEATURE}.xlsx", read_only=True)
    header, *rows = book.worksheets[0].iter_rows(values_only=True)
    book.close()
    expected = as_pivot(sampled.read_traces(samples="control"), FEATURE)[[*header[1:]]].to_numpy()
    numbers = np.array([[np.nan if x is None else x for x in row[1:]] for row in rows], float)
    np.testing.assert_allclose(numbers, expected, rtol=1e-14)


# Parquet


def test_parquet_has_what_the_results_have(sampled, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    folder = sampled.export("parquet", tmp_path / "out")
    for name, expected in (("traces", sampled.traces), ("cells", sampled.cells)):
        with duckdb.connect() as database:
            found = database.sql(f"SELECT * FROM '{folder / name}.parquet'").fetchall()
        rows = [tuple(row) for row in expected.itertuples(index=False)]
        assert len(found) == len(rows)
        for row, other in zip(found, rows, strict=True):
            for value, wanted in zip(row, other, strict=True):
                if isinstance(wanted, tuple):
                    assert value == list(wanted)
                elif pd.isna(wanted):
                    assert value is None or value != value
                else:
                    assert value == wanted


def test_parquet_is_written_in_few_groups_of_rows_with_units(sampled, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    folder = sampled.export("parquet", tmp_path / "out")
    with pq.ParquetFile(folder / "traces.parquet") as file:
        assert file.num_row_groups == 1
        assert file.schema_arrow.field("area").metadata[b"unit"].decode() == "px²"
    with pq.ParquetFile(folder / "wide" / "control" / "area.parquet") as file:
        assert file.schema_arrow.names[0] == "time_h"
        assert file.schema_arrow.field(1).metadata[b"unit"].decode() == "px²"


def test_a_wide_parquet_table_is_the_wide_csv_table(sampled, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    folder = sampled.export("parquet", tmp_path / "out", layout="wide")
    with duckdb.connect() as database:
        path = folder / "wide" / "control" / "area.parquet"
        found = database.sql(f"SELECT * FROM '{path}'").df()
    expected = as_pivot(sampled.read_traces(samples="control"), "area")
    np.testing.assert_array_equal(found[expected.columns].to_numpy(float), expected.to_numpy())


# Workbooks


def test_a_workbook_has_a_sheet_per_sample_with_every_number(sampled, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(sampled.export("xlsx", tmp_path / "out.xlsx"), read_only=True)
    assert book.sheetnames == ["control", "+dox 5 µM", "cells", "samples", "columns"]
    for sample in ("control", "+dox 5 µM"):
        header, *rows = book[sample].iter_rows(values_only=True)
        traces = sampled.read_traces(samples=sample)
        assert [*header] == [*traces]
        found = pd.DataFrame(rows, columns=header)
        for name in traces:
            if name == "sample":
                assert set(found[name]) == {sample}
            else:
                np.testing.assert_allclose(
                    found[name].astype(float), traces[name].astype(float), rtol=1e-15
                )
    header, *rows = book["cells"].iter_rows(values_only=True)
    assert len(rows) == len(sampled.cells)
    units = {row[0]: row[1] for row in book["columns"].iter_rows(values_only=True)}
    book.close()
    assert units["area"] == "px²"


def test_a_wide_workbook_has_a_sheet_per_sample_and_feature(sampled, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    options = {"layout": "wide", "features": ["area", FEATURE]}
    path = sampled.export("xlsx", tmp_path / "out.xlsx", **options)
    book = openpyxl.load_workbook(path, read_only=True)
    assert book.sheetnames[3:] == [] or set(book.sheetnames) == {
        *("cells", "samples", "columns", "control area", f"control {FEATURE}"),
        *("+dox 5 µM area", f"+dox 5 µM {FEATURE}"),
    }
    header, *rows = book["control area"].iter_rows(values_only=True)
    book.close()
    expected = as_pivot(sampled.read_traces(samples="control"), "area")
    np.testing.assert_array_equal(
        pd.DataFrame(rows, columns=header)[expected.columns].to_numpy(float), expected.to_numpy()
    )


def test_text_in_a_workbook_never_is_a_formula(owned, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    table = owned.folder / "samples.csv"
    table.write_text("fov,sample,note\n0,-1+A1,+SUM(1)\n", encoding="utf-8")
    path = open_results(owned.folder).export("xlsx", tmp_path / "out.xlsx")
    book = openpyxl.load_workbook(path)
    cells = [cell for sheet in book for row in sheet for cell in row]
    book.close()
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert "-1+A1" in {cell.value for cell in cells}


def test_what_does_not_fit_into_a_sheet_is_refused(sampled, tmp_path, monkeypatch):
    monkeypatch.setattr(xlsx_tables, "_MOST_ROWS", 20)
    with pytest.raises(InputError, match=r"sample control does not fit .* 20 rows; export csv"):
        sampled.export("xlsx", tmp_path / "out.xlsx")
    monkeypatch.setattr(xlsx_tables, "_MOST_COLUMNS", 5)
    with pytest.raises(InputError, match=r"holds 5 columns"):
        sampled.export("xlsx", tmp_path / "out.xlsx", layout="wide")
    assert list(tmp_path.iterdir()) == []


def test_a_column_of_a_channel_that_is_part_of_another_name_keeps_its_unit():
    assert meaning_of("intensity_mean_total", ["total"]).unit == "grey values"
    assert meaning_of("intensity_total_FP", ["GFP", "FP"]).words.endswith("channel FP")


def test_every_feature_that_can_be_measured_has_a_meaning_and_its_unit():
    for feature in BUILT_IN:
        name = feature if feature in SHARED else f"{feature}_GFP"
        found = meaning_of(name, ["GFP"])
        assert found.words, name
        assert found.unit or feature == "n_nuclei", name
