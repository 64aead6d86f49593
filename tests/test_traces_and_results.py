from __future__ import annotations

import csv
import io
import math
import threading

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pyama_core.errors import FolderBusyError
from pyama_core.io.checksums import SourceIdentity
from pyama_core.io.storage.locks import FolderLock
from pyama_core.io.storage.naming import find_records, fov_folder_name, output_name, record_name
from pyama_core.io.storage.records import (
    Failure,
    FovRecord,
    OutputEntry,
    Provenance,
    Settings,
    load_record,
    save_record,
)
from pyama_core.io.storage.tables import trace_blocks
from pyama_core.io.yaml_files import dump_yaml
from pyama_core.outputs import Output, kind_named
from pyama_core.processing.workflow import shared_files
from pyama_core.processing.workflow.results_file import write_results

SOURCE = SourceIdentity(size=1, mtime_ns=2, sample="xxh3-128:00")
TEXT = st.text(st.characters(codec="utf-8", exclude_characters=":/\\\0"), min_size=1).filter(
    lambda text: text not in {".", ".."}
)


# Traces


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.floats(),
            st.booleans(),
            st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
        )
    )
)
def test_traces_read_back_exactly(values):
    cells, numbers, flags, times = zip(*values, strict=True) if values else ((), (), (), ())
    columns = {
        "cell": np.array(cells, np.int64),
        "number": np.array(numbers, np.float64),
        "flag": np.array(flags, np.bool_),
        "time": list(times),
    }
    text = "".join(trace_blocks(3, columns))
    header, *rows = csv.reader(io.StringIO(text))
    assert header == ["fov", "cell", "number", "flag", "time"]
    assert len(rows) == len(values)
    for row, (cell, number, flag, time) in zip(rows, values, strict=True):
        assert row[0] == "3"
        assert int(row[1]) == cell
        assert (row[2] == "") if math.isnan(number) else (float(row[2]) == number)
        assert row[3] == str(flag)
        assert (row[4] == "") if time is None else (float(row[4]) == time)


def test_traces_end_lines_with_a_line_feed_only():
    text = "".join(trace_blocks(0, {"cell": np.array([1, 2])}))
    assert text == "fov,cell\n0,1\n0,2\n"


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        list(trace_blocks(0, {"cell": np.array([1, 2]), "time": [0.0]}))


# Names


def test_fovs_beyond_999_keep_their_order(tmp_path):
    for fov in (1000, 0, 999, 10_000, 12):
        folder = tmp_path / fov_folder_name(fov)
        folder.mkdir()
        save_record(
            folder / record_name("a", fov), FovRecord(fov=fov, base_name="a", source=SOURCE)
        )
    records = [load_record(path) for path in find_records(tmp_path)]
    assert [record.fov for record in records if record] == [0, 12, 999, 1000, 10_000]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("pc", "a b_fov_001_pc_ch_2.npy"),
        ("fl_corrected", "a b_fov_001_fl_corrected_ch_2.npy"),
        ("traces_csv", "a b_fov_001_traces_ch_2.csv"),
        ("tracks_csv", "a b_fov_001_tracks.csv"),
        ("shifts_csv", "a b_fov_001_shifts.csv"),
    ],
)
def test_outputs_have_the_names_of_the_contract(kind, name):
    assert output_name("a b", 1, Output(kind_named(kind), 2)) == name


# Records


def entry(kind: str, channel: int, **changes) -> OutputEntry:
    provenance = Provenance(step="copying", algorithm="copy/1", parameters={}, inputs={})
    known = {
        "kind": kind,
        "channel": channel,
        "provenance": provenance,
        "size": 1,
        "mtime_ns": 1,
        "checksum": "x",
        "host": "h",
        "boot": "b",
    }
    return OutputEntry(**{**known, **changes})


def settings_with(**params) -> Settings:
    return Settings(
        channels={"pc": 0, "fl": [1]}, params={"tracking": params}, time_units="min", version="1"
    )


@settings(max_examples=50, deadline=None)
@given(name=TEXT, base_name=TEXT, summary=st.dictionaries(TEXT, st.integers(0, 2**53)))
def test_a_record_reads_back_as_it_was_saved(tmp_path_factory, name, base_name, summary):
    path = tmp_path_factory.mktemp("record") / "a_record.json"
    record = FovRecord(fov=0, base_name=base_name, source=SOURCE, settings=settings_with(a=1.5))
    record = record.with_output(name, entry("pc", 0, summary=summary))
    save_record(path, record)
    assert load_record(path) == record


@pytest.mark.parametrize("name", ["../x.npy", "a/b.npy", "a\\b.npy", "C:x.npy", "..", ""])
def test_a_record_that_points_out_of_its_folder_is_not_believed(tmp_path, name, caplog):
    path = tmp_path / "a_record.json"
    record = FovRecord(fov=0, base_name="a", source=SOURCE).with_output("good", entry("pc", 0))
    path.write_text(record.to_json().replace('"good"', yaml.dump(name, default_style='"').strip()))
    assert load_record(path) is None
    assert "damaged" in caplog.text


def test_every_truncation_of_a_record_is_noticed(tmp_path):
    path = tmp_path / "a_record.json"
    save_record(path, FovRecord(fov=0, base_name="a", source=SOURCE))
    whole = path.read_bytes()
    for size in range(len(whole) - 1):
        path.write_bytes(whole[:size])
        assert load_record(path) is None


# The results file


def recorded(output_dir, fov: int, **changes) -> None:
    folder = output_dir / fov_folder_name(fov)
    folder.mkdir(parents=True)
    record = FovRecord(fov=fov, base_name="a", source=SOURCE, settings=settings_with())
    save_record(folder / record_name("a", fov), record.model_copy(update=changes))


def read_results(output_dir):
    return yaml.safe_load((output_dir / "processing_results.yaml").read_text(encoding="utf-8"))


def test_results_have_the_fields_of_the_context_with_relative_paths(tmp_path):
    outputs = {
        "l2": entry("fl", 2),
        "p": entry("pc", 0),
        "l1": entry("fl", 1),
        "gone": entry("seg", 0, released=True),
        "t": entry("traces_csv", 1),
    }
    recorded(tmp_path, 3, outputs=outputs)
    write_results(tmp_path)
    assert read_results(tmp_path)["results_paths"] == {
        3: {
            "pc": [0, "fov_003/p"],
            "seg": None,
            "seg_labeled": None,
            "tracks_csv": None,
            "shifts_csv": None,
            "nuclei": None,
            "nuclei_csv": None,
            "fl": [[1, "fov_003/l1"], [2, "fov_003/l2"]],
            "fl_corrected": [],
            "traces_csv": [[1, "fov_003/t"]],
        }
    }


def test_results_name_failures_and_fovs_with_other_settings(tmp_path):
    recorded(tmp_path, 0)
    recorded(tmp_path, 1, failure=Failure(step="tracking", error="FOV 1, tracking: ä"))
    recorded(tmp_path, 2, settings=settings_with(min_iou=0.5))
    write_results(tmp_path)
    found = read_results(tmp_path)
    assert found["failed"] == {1: {"step": "tracking", "error": "FOV 1, tracking: ä"}}
    assert found["params"] == {"tracking": {}}
    assert list(found["other_settings"]) == [2]
    assert found["other_settings"][2]["params"] == {"tracking": {"min_iou": 0.5}}


def test_a_damaged_record_does_not_keep_the_others_out_of_the_results(tmp_path):
    recorded(tmp_path, 0)
    recorded(tmp_path, 1)
    (tmp_path / "fov_000" / "a_fov_000_record.json").write_text("{")
    write_results(tmp_path)
    assert list(read_results(tmp_path)["results_paths"]) == [1]


def test_results_wait_for_another_writer_and_give_up_with_its_name(tmp_path, monkeypatch):
    recorded(tmp_path, 0)
    lock = FolderLock.acquire(tmp_path)
    monkeypatch.setattr(shared_files, "_PATIENCE_S", 0.1)
    with pytest.raises(FolderBusyError, match="in use by process"):
        write_results(tmp_path)
    monkeypatch.setattr(shared_files, "_PATIENCE_S", 10.0)
    timer = threading.Timer(0.2, lock.release)
    timer.start()
    write_results(tmp_path)
    timer.join()
    assert list(read_results(tmp_path)["results_paths"]) == [0]
    assert not list(tmp_path.glob(".*"))


PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(value=PLAIN)
def test_what_is_written_as_yaml_reads_back(value):
    assert yaml.safe_load(dump_yaml(value)) == value
