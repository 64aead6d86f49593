"""Every number of a report, computed once more with pandas from what `open_results` gives."""

from __future__ import annotations

import html.parser
import re
import shutil

import numpy as np
import pytest

from pyama_core.report.charts import short
from pyama_core.report.write import write_report
from pyama_core.results.results import open_results

FEATURE = "intensity_total_"


class Tables(html.parser.HTMLParser):
    """Reads the tables of a page, and the headings that they stand under."""

    def __init__(self, text):
        super().__init__()
        self.found, self.heads = [], []
        self._into, self._cell, self._head = "", None, ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.found.append([])
            self.heads.append(self._head)
        elif tag == "tr":
            self.found[-1].append([])
        elif tag in ("td", "th"):
            self._cell = ""
        elif tag in ("h2", "h3"):
            self._into, self._head = tag, ""

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.found[-1][-1].append(" ".join(self._cell.split()))
            self._cell = None
        elif tag == self._into:
            self._into = ""

    def handle_data(self, text):
        if self._cell is not None:
            self._cell += text
        if self._into:
            self._head += text

    def under(self, word):
        """Return the rows of the tables below a heading that holds a word, by its columns."""
        made = []
        for rows, head in zip(self.found, self.heads, strict=True):
            if word in head:
                made.append([dict(zip(rows[0], row, strict=True)) for row in rows[1:]])
        return made


@pytest.fixture(scope="module")
def corrected(sampled, tmp_path_factory):
    """Results of the demo with corrections of all sorts."""
    folder = tmp_path_factory.mktemp("numbers") / "own"
    results = open_results(shutil.copytree(sampled.folder, folder))
    cells = results.cells[results.cells["good"]]
    results.fov(0).mark_bad(int(cells[cells["fov"] == 0]["cell"].iloc[0]), "dead")
    results.fov(1).remove(int(cells[cells["fov"] == 1]["cell"].iloc[0]))
    long = cells[(cells["fov"] == 2) & (cells["n_frames"] > 6)]["cell"].iloc[0]
    results.fov(2).cut(int(long), 3)
    return open_results(folder)


@pytest.fixture(scope="module")
def text(corrected):
    return write_report(corrected.folder)[0].read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tables(text):
    return Tables(text)


def test_the_first_lines_count_cells_and_corrections(corrected, text):
    cells = corrected.cells
    n, n_good = len(cells), int(cells["good"].sum())
    assert f"{n} cells, {n_good} of them good ({100 * n_good / n:.0f} %)" in text
    assert "3 corrections by people are applied" in text


def test_samples_and_their_medians_are_those_of_the_tables(corrected, tables):
    rows = {row["sample"]: row for row in tables.under("Samples")[0]}
    cells, traces = corrected.cells, corrected.read_traces(good_only=True)
    assert set(rows) == set(cells["sample"]) == {"control", "+dox 5 µM"}
    n_frames = int(corrected.read_traces()["frame"].max()) + 1
    minutes = corrected.read_traces().groupby("frame")["time_min"].median()
    assert 30 <= minutes.max() < 120  # which are told as whole minutes
    for name, own in cells.groupby("sample"):
        row, n_good = rows[name], int(own["good"].sum())
        assert int(row["positions"]) == own["fov"].nunique()
        assert (int(row["cells"]), int(row["good"])) == (len(own), n_good)
        assert row["share"] == f"{100 * n_good / len(own):.0f} %"
        mine = traces[traces["sample"] == name].groupby("frame")
        for channel in corrected.channels:
            medians = mine[FEATURE + channel].median().reindex(range(n_frames))
            for frame in (0, n_frames // 2, n_frames - 1):
                told = row[f"{channel} at {minutes[frame]:.0f} min"]
                # Kept in single precision, which may turn the last figure.
                near = {short(medians[frame] * factor) for factor in (1, 1 - 1e-6, 1 + 1e-6)}
                assert told in near


def test_bands_of_the_curves_are_quartiles_of_the_good_cells(corrected):
    from pyama_core.report.gather import gather

    traces = corrected.read_traces(good_only=True)
    for row in gather(corrected).samples:
        own = traces[traces["sample"] == row.name].groupby("frame")
        for column, course in row.courses.items():
            for part, curve in ((0.25, course.low), (0.5, course.median), (0.75, course.high)):
                expected = own[column].quantile(part)
                np.testing.assert_allclose(curve[expected.index], expected, rtol=1e-5)


def test_the_table_of_positions_is_that_of_cells_and_tracks(corrected, tables):
    rows = tables.under("All positions")[0]
    assert len(rows) == 3
    for row in rows:
        number = int(row["position"].split()[0])
        fov = corrected.fov(number)
        cells, traces = fov.read_tables().cells, fov.read_tables().traces
        n_frames, height, width = corrected.source.fov_shapes[number]
        of_frame = traces.groupby("frame").size().reindex(range(n_frames), fill_value=0)
        assert int(row["cells"]) == len(cells)
        assert int(row["good"]) == cells["good"].sum()
        assert row["in a frame"] == short(of_frame.median())
        assert row["diameter (px)"] == short(2 * (traces["area"].median() / np.pi) ** 0.5)
        assert int(row["lost"]) == (cells["fate"] == "lost").sum()
        first = traces.sort_values("frame").groupby("cell").first()
        orphans = cells.loc[cells["parent"].isna(), "cell"]
        born = first[first.index.isin(orphans) & (first["frame"] > 0)]
        edge = np.minimum.reduce(
            [
                born["position_x"],
                born["position_y"],
                width - 1 - born["position_x"],
                height - 1 - born["position_y"],
            ]
        )
        reach = (born["area"] / np.pi) ** 0.5 + 10
        assert int(row["from nowhere"]) == (edge > reach).sum()
        assert row["missing frames"] == "–"


def test_verdicts_of_a_position_are_counted_as_in_the_table_of_cells(corrected, tables):
    seen = 0
    for head, rows in zip(tables.heads, tables.found, strict=True):
        if (told := re.search(r"FOV (\d+)", head)) is None:
            continue
        seen += 1
        cells = corrected.fov(int(told[1])).read_tables().cells
        names = [f"reason_{channel}" for channel in corrected.channels]
        reasons = cells[names].replace("", np.nan).bfill(axis=1).iloc[:, 0]
        expected = {"good": int(cells["good"].sum()), **reasons.value_counts()}
        expected = {word: n for word, n in expected.items() if n}
        assert {word: int(n) for word, n, _ in rows[1:]} == expected
        shares = {word: f"{100 * n / len(cells):.0f} %" for word, n in expected.items()}
        assert {word: share for word, _, share in rows[1:]} == shares
    assert seen == 3
