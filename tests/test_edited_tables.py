"""Tables under corrections equal what a slow, obvious twin makes of each row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import runs
from pyama_core.demo import DemoFiles
from pyama_core.errors import InputError
from pyama_core.io.storage.naming import records_by_fov
from pyama_core.io.storage.records import load_record
from pyama_core.processing.extraction.quality import QualityParameters
from pyama_core.processing.workflow.edits.actions import Edit, Remove, Verdict
from pyama_core.processing.workflow.edits.edited_cells import EditedCells
from pyama_core.processing.workflow.edits.making import make_correction
from pyama_core.processing.workflow.edits.on_record import read_found
from pyama_core.processing.workflow.edits.resolve import resolve
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.results.basis import Basis, Criteria, basis_of
from pyama_core.results.channels import ChannelNames
from pyama_core.results.edited import apply_edits, found_cells
from pyama_core.results.relabelled import relabelled
from pyama_core.results.tables import FovTables, make_tables
from pyama_core.results.verdicts import Told, judge_as_the_run
from slow_edits import N_FRAMES, SlowCells, corrections, slow_cells

pytestmark = pytest.mark.usefixtures("workers_inline")

BASIS = Basis(
    "labels", (N_FRAMES, 60, 60), {1: "GFP", 2: "RFP"}, {"GFP": Criteria(), "RFP": Criteria()}
)


def tables_of(slow: SlowCells) -> FovTables:
    """Return tables in which every row has values of its own."""
    spots = sorted(spot for spots in slow.spots.values() for spot in spots)
    traces = {}
    for number, name in BASIS.channels.items():
        lines = ["fov,cell,frame,time,good,position_x,position_y,intensity_total,area,reason"]
        lines += [
            f"0,{cell},{frame},{5.0 * frame},True,{cell}.5,{frame}.5,{number}{cell}{frame}.25,30,"
            for cell, frame in spots
        ]
        traces[name] = "\n".join([*lines, ""]).encode()
    tracks = ["fov,cell,parent,first_frame,last_frame,fate,n_frames,n_merged"]
    for cell in sorted(slow.spots):
        frames = slow.frames(cell)
        tracks.append(
            f"0,{cell},{slow.parents.get(cell, '')},{frames[0]},{frames[-1]},{slow.fates[cell]},"
            f"{len(frames)},0"
        )
    return make_tables(0, traces, "\n".join([*tracks, ""]).encode())


@settings(max_examples=150, deadline=None)
@given(slow_cells(), st.data())
def test_rows_and_cells_are_those_of_the_twin_whatever_was_corrected(slow, data):
    tables = tables_of(slow)
    before = (tables.traces.copy(), tables.cells.copy())
    edits: list[Edit] = []
    edited = EditedCells(found_cells(tables, BASIS))
    for _ in range(data.draw(st.integers(0, 8))):
        numbers = [*slow.spots, 99]
        try:
            edit = make_correction(edited, 0, data.draw(corrections(numbers)), edits, "me")
        except InputError:
            continue
        slow = slow.after(edit.action)
        edits.append(edit)
    after = apply_edits(tables, resolve(found_cells(tables, BASIS), edits), BASIS)

    rows = before[0].assign(
        cell=[slow.number(*row) for row in zip(before[0]["cell"], before[0]["frame"], strict=True)]
    )
    rows = rows[rows["cell"] > 0].sort_values(["cell", "frame"], ignore_index=True)
    pd.testing.assert_frame_equal(after.traces, rows.astype({"cell": np.int32}))
    assert not after.traces.duplicated(["cell", "frame"]).any()
    cells = after.cells
    assert cells["cell"].tolist() == sorted(slow.spots)
    assert list(cells.columns) == list(before[1].columns)
    assert (cells.dtypes == before[1].dtypes).all()
    for row in cells.itertuples():
        frames = slow.frames(row.cell)
        assert (row.first_frame, row.last_frame) == (frames[0], frames[-1])
        assert row.n_frames == len(frames)
        assert (None if pd.isna(row.parent) else row.parent) == slow.parents.get(row.cell)
        children = [child for child, parent in slow.parents.items() if parent == row.cell]
        assert row.daughters == tuple(sorted(children))
        assert row.fate == slow.fates[row.cell]
        if said := slow.said.get(row.cell):
            _, last = said[-1]
            assert row.good == last.good
            assert row.reason_GFP == ("" if last.good else last.note or "marked bad")
    pd.testing.assert_frame_equal(tables.traces, before[0])
    pd.testing.assert_frame_equal(tables.cells, before[1])
    for frame in range(N_FRAMES):
        labels = np.array([[label for label in slow.labels if spots_in(before[0], label, frame)]])
        shown = relabelled(labels.astype(np.uint16), edited.numbers_in(frame))
        assert shown.tolist() == [[slow.number(label, frame) for label in labels[0].tolist()]]


def spots_in(traces: pd.DataFrame, label: int, frame: int) -> bool:
    return bool(((traces["cell"] == label) & (traces["frame"] == frame)).any())


def made(tables: FovTables, *actions) -> FovTables:
    edits: list[Edit] = []
    edited = EditedCells(found_cells(tables, BASIS))
    for action in actions:
        edits.append(make_correction(edited, 0, action, edits, "me"))
    return apply_edits(tables, resolve(found_cells(tables, BASIS), edits), BASIS)


WHOLE = {1: {(1, frame) for frame in range(N_FRAMES)}, 2: {(2, frame) for frame in range(N_FRAMES)}}


def two_cells() -> FovTables:
    return tables_of(SlowCells(dict(WHOLE), {}, {1: "lost", 2: "lost"}))


def verdict_on(tables: FovTables, cell: int) -> tuple[bool, str, str]:
    row = tables.cells.set_index("cell").loc[cell]
    return bool(row["good"]), row["reason_GFP"], row["reason_RFP"]


def test_a_verdict_is_of_all_channels_or_of_one_and_the_last_word_wins():
    tables = two_cells()
    bad = Verdict(cell=1, good=False, note="dead")
    assert verdict_on(made(tables, bad), 1) == (False, "dead", "dead")
    one = Verdict(cell=1, good=False, channel=2)
    assert verdict_on(made(tables, one), 1) == (False, "", "marked bad")
    good = Verdict(cell=1, good=True, channel=1)
    assert verdict_on(made(tables, bad, good), 1) == (False, "", "dead")
    assert verdict_on(made(tables, bad, Verdict(cell=1, good=True)), 1) == (True, "", "")
    assert verdict_on(made(tables, bad), 2) == verdict_on(tables, 2)


def test_what_was_corrected_stands_in_words_beside_each_cell():
    cells = made(two_cells(), Verdict(cell=1, good=False, note="dead"), Remove(cell=1, frames="0"))
    assert cells.cells["corrections"].tolist() == ["bad: dead; frames 0 removed", ""]


@pytest.fixture(scope="module")
def finished(demo: DemoFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output_dir = tmp_path_factory.mktemp("finished") / "out"
    assert runs.run(demo, output_dir).ok
    return output_dir


def tables_on_record(record_path: Path) -> tuple[FovTables, Basis, FovState]:
    record = load_record(record_path)
    assert record is not None
    state, names = FovState(record), ChannelNames(("Phase", "GFP", "mCherry"))
    folder = record_path.parent
    traces = {names.of(c): next(folder.glob(f"*_traces_ch_{c}.csv")).read_bytes() for c in (1, 2)}
    tracks = next(folder.glob("*_tracks.csv")).read_bytes()
    basis = basis_of(folder, state, names, [1, 2])
    assert basis is not None
    return make_tables(record.fov, traces, tracks), basis, state


def test_cells_that_are_judged_anew_as_they_are_get_the_verdicts_of_the_run(finished):
    n_bad = 0
    for path in records_by_fov(finished).values():
        tables, basis, _ = tables_on_record(path)
        the_same = tables.cells, tables.traces
        for channel in basis.channels.values():
            expected = dict(
                zip(tables.cells["cell"], tables.cells[f"reason_{channel}"], strict=True)
            )
            told = Told(tables.least_sure, tables.born & tables.divided)
            assert judge_as_the_run(*the_same, channel, basis, told) == expected
            n_bad += sum(map(bool, expected.values()))
    assert n_bad > 5


def test_limits_of_the_run_are_those_by_which_cells_are_judged_anew(demo, tmp_path):
    limits = {"min_frames": 9, "border": 3, "features": ("shape",)}
    assert runs.run(demo, tmp_path / "out", {"extraction": limits}, fovs=[0]).ok
    _, basis, _ = tables_on_record(records_by_fov(tmp_path / "out")[0])
    assert basis.criteria["GFP"].parameters == QualityParameters(min_frames=9, border=3)


def test_cells_are_the_same_read_as_tables_or_without(finished):
    for path in records_by_fov(finished).values():
        tables, basis, state = tables_on_record(path)
        read, of_tables = read_found(path.parent, state), found_cells(tables, basis)
        assert read is not None
        for name in ("cell", "frame", "x", "y", "area", "box"):
            np.testing.assert_allclose(getattr(read, name), getattr(of_tables, name), rtol=1e-12)
        for name in ("labels", "n_frames", "channels", "known", "parents", "fates"):
            assert getattr(read, name) == getattr(of_tables, name)
