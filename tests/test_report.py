"""The report: what it says, that nothing in it is taken for markup, and that no run fails by it."""

from __future__ import annotations

import base64
import html.parser
import json
import logging
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from pyama_core.app.overview import overview_of
from pyama_core.cli.app import app
from pyama_core.errors import InputError, StorageError
from pyama_core.io.storage.naming import REPORT_NAME, SOURCE_NAME
from pyama_core.report import details
from pyama_core.report import write as writing
from pyama_core.report.charts import Line, colour_of, line_chart
from pyama_core.report.compare import write_comparison
from pyama_core.report.first import _ends, samples_section, verdict
from pyama_core.report.gather import gather
from pyama_core.report.markup import Markup, data, el, escaped, table
from pyama_core.report.methods import methods_of, methods_text
from pyama_core.report.ran import changed_parameters, settings_of
from pyama_core.report.reservoir import Reservoir, as_matrices
from pyama_core.report.shown_cells import thinned
from pyama_core.report.traces import payload, traces_section
from pyama_core.report.write import write_report, write_report_of_run
from pyama_core.results.results import open_results
from runs import doubt_diameters

HOSTILE = "<script>alert(1)</script>\"'&\u202e\x00{x}"


class Reader(html.parser.HTMLParser):
    """Reads a page: its elements, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.inside = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if not self.inside or self.inside[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(self.texts)

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def report(sampled, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    written, _ = write_report(sampled.folder, path)
    return written.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def found(sampled):
    return gather(sampled)


def data_of(text):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    return json.loads(found[1])


# Markup


def test_texts_are_escaped_and_characters_that_do_not_show_are_written_out():
    assert el("p", HOSTILE, title=HOSTILE) == (
        '<p title="&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;\\u202e\\u0000{x}">'
        "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;\\u202e\\u0000{x}</p>"
    )
    assert el("p", Markup("<b>"), [1, None, "<"]) == "<p><b>1&lt;</p>"
    assert escaped("\udcff") == "\\udcff"
    assert "<td>&lt;b&gt;</td>" in table(["a"], [["<b>"]])


def test_nothing_within_a_block_of_data_ends_it():
    text = data("x", {"</script>": "<!--&\u2028"})
    assert text.count("<") == 2
    assert json.loads(text[text.index(">") + 1 : -9]) == {"</script>": "<!--&\u2028"}


# Curves


def test_medians_are_those_of_all_cells_as_long_as_these_are_not_many():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(40, 1, 7)).astype(np.float32)
    reservoir = Reservoir(1, 7)
    for fov in range(4):
        reservoir.add(fov, range(1, 11), values[10 * fov : 10 * fov + 10])
    course = reservoir.course(0)
    np.testing.assert_allclose(course.median, np.median(values[:, 0], axis=0), rtol=1e-6)
    np.testing.assert_allclose(course.low, np.quantile(values[:, 0], 0.25, axis=0), rtol=1e-5)
    assert (course.n_cells, course.n_used) == (40, 40)


def test_of_many_cells_some_are_kept_whatever_the_order_of_positions():
    rng = np.random.default_rng(2)
    values = [rng.normal(fov, 1, size=(50, 1, 3)).astype(np.float32) for fov in range(20)]
    courses = []
    for order in (range(20), reversed(range(20))):
        reservoir = Reservoir(1, 3, n_most=300)
        for fov in order:
            reservoir.add(fov, range(1, 51), values[fov])
        assert reservoir._values.shape[0] == 300
        courses.append(reservoir.course(0))
    np.testing.assert_array_equal(courses[0].median, courses[1].median)
    assert courses[0].n_cells == 1000
    exact = np.median(np.concatenate(values)[:, 0], axis=0)
    np.testing.assert_allclose(courses[0].median, exact, atol=1.5)


def test_frames_in_which_no_cell_was_seen_have_no_median():
    cells, values = as_matrices(np.array([1, 1]), np.array([0, 2]), [np.array([5.0, 6.0])], 3)
    reservoir = Reservoir(1, 3)
    reservoir.add(0, cells, values)
    np.testing.assert_equal(reservoir.course(0).median, [5, np.nan, 6])


def test_curves_are_those_of_the_good_cells_of_a_sample(found, sampled):
    traces = sampled.read_traces(good_only=True)
    for row in found.samples:
        own = traces[traces["sample"] == row.name]
        for column in found.courses_of:
            expected = own.groupby("frame")[column].median()
            median = row.courses[column].median
            np.testing.assert_allclose(median[expected.index], expected, rtol=1e-5)
            others = np.setdiff1d(np.arange(median.size), expected.index)
            assert np.isnan(median[others]).all()


# What it says


def test_what_is_known_of_one_time_alone_is_drawn_as_points_beside_each_other():
    lines = [
        Line(np.zeros(1), np.array([y]), np.array([y - 1]), np.array([y + 1]), colour_of(i))
        for i, y in enumerate((5.0, 7.0))
    ]
    drawn = line_chart(lines, "time (h)", "light")
    points = re.findall(r'd="M([\d.]+) ([\d.]+)h0" class="line point s(\d)"', drawn)
    spans = re.findall(r'd="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)" class="line span s(\d)"', drawn)
    assert [number for *_, number in points] == [number for *_, number in spans] == ["0", "1"]
    assert float(points[1][0]) - float(points[0][0]) > 10
    for (x, y, _), (x_low, y_low, x_high, y_high, _) in zip(points, spans, strict=True):
        assert x == x_low == x_high
        assert float(y_high) < float(y) < float(y_low)
    assert re.findall(r'class="middle">([^<]+)<', drawn) == ["0"]


def test_times_of_a_short_movie_are_minutes_and_of_a_longer_one_hours(found):
    short_one = replace(found, minutes=np.array([0.0, 5, 10]))
    assert short_one.shown_x[1] == "time (min)"
    assert short_one.shown_x[0].tolist() == [0, 5, 10]
    long_one = replace(found, minutes=np.array([0.0, 60, 120]))
    assert (long_one.shown_x[1], long_one.shown_x[0].tolist()) == ("time (h)", [0, 1, 2])
    unknown = replace(found, minutes=np.array([np.nan, np.nan]))
    assert unknown.shown_x[1] == "frame"


def test_the_first_line_says_how_many_positions_are_fine(found, report):
    reader = Reader(report)
    assert verdict(found) in reader.text
    n_look = sum(each.trouble.needs_look for each in found.positions)
    assert verdict(found).startswith(f"{3 - n_look} of 3" if n_look else "All 3 positions are fine")


def test_numbers_are_in_tables_that_need_no_script(found, sampled, report):
    text = Reader(report).text
    for row in found.samples:
        assert row.name in text
    cells = re.findall(r'<td class="n">([^<]*)</td>', report)
    assert str(len(sampled.cells)) in Reader(report).text
    assert {str(fov.read_tables(()).cells.shape[0]) for fov in sampled.chosen()} <= set(cells)


def test_it_says_what_ran(found, sampled, report):
    text = Reader(report).text
    state = settings_of(sampled)
    assert "log-std" in text  # the method, though it is no default
    assert changed_parameters(state)["segmentation"]["method"] == "log-std"
    assert state.record.source.content in text
    for entry in state.record.outputs.values():
        if entry.kind == "traces_csv":
            assert entry.checksum in text
    told, references = methods_text(found, state, methods_of(sampled))
    assert "logarithm of the local deviation" in told
    assert told in text
    assert any("Jonker" in reference for reference in references)


def test_pictures_have_outlines_as_a_layer_of_their_own(report):
    reader = Reader(report)
    images = reader.named("img")
    assert len(images) == 3 * 5  # first, middle and last frame, and each channel once
    assert all(image["src"].startswith("data:image/webp;base64,UklGR") for image in images)
    layers = [each for each in reader.named("svg") if each.get("class") == "outlines"]
    assert len(layers) == len(images)
    assert [each for each in reader.named("input") if each.get("id") == "outlines"]
    assert "cell-good" in report


def test_pictures_and_their_outlines_together_have_a_largest_size(found, monkeypatch):

    def drawn() -> list[str]:
        text = details.details_section(found, found.positions, {})
        return re.findall(r'<figure><div class="picture">.*?</figure>', text, re.DOTALL)

    everything = drawn()
    # Room for the pictures, but not for what is drawn over them.
    room = sum(len(re.search(r"base64,([^\"]*)", each)[1]) for each in everything)
    monkeypatch.setattr(details, "_PICTURES", room)
    assert 0 < sum(map(len, drawn())) <= room < sum(map(len, everything))


def test_traces_that_are_drawn_are_those_of_the_tables(found, sampled, report):
    told = data_of(report)
    assert told["samples"] == ["control", "+dox 5 µM"]
    tables = sampled.read_traces()
    shown = {(cell["fov"], cell["cell"]) for cell in told["cells"]}
    assert shown == {(fov, cell) for fov, cell in zip(tables["fov"], tables["cell"], strict=True)}
    raw = payload(found)
    column = raw["columns"][0]
    assert column["name"] == "intensity total GFP"
    values = np.frombuffer(base64.b64decode(column["values"]), "<u2") / 65534
    values = column["low"] + values * (column["high"] - column["low"])
    expected = tables.sort_values(["fov", "cell", "frame"])["intensity_total_GFP"].to_numpy()
    span = column["high"] - column["low"]
    np.testing.assert_allclose(values, expected, atol=span / 65534)
    assert all(cell["strip"]["frames"] for cell in told["cells"])
    assert all(any(cell["strip"]["outlines"]) for cell in told["cells"])


def test_of_many_cells_each_sample_has_its_share(found):
    cells = list(found.cells)
    few = [cell for cell in cells if cell.sample == "control"]
    kept = thinned(cells, 6)
    assert len(kept) == 6
    assert sum(cell.sample == "control" for cell in kept) == min(len(few), 3)


def test_a_channel_that_is_called_as_a_script_is_text(results_of_demo, tmp_path):
    folder = shutil.copytree(results_of_demo, tmp_path / "<img src=x onerror=alert(1)>")
    source = json.loads((folder / SOURCE_NAME).read_text(encoding="utf-8"))
    source["channel_names"] = ["<svg/onload=alert(1)>", HOSTILE, "</style></script>"]
    source["fov_names"] = [HOSTILE, "<!--", "\"><img src='//example.org/x'>"]
    source["path"] = f"/{HOSTILE}.tif"
    (folder / SOURCE_NAME).write_text(json.dumps(source), encoding="utf-8")
    open_results(folder).assign_samples({"<b>one</b>": [0, 1]})
    path, _ = write_report(folder)
    text = path.read_text(encoding="utf-8")
    reader = Reader(text)
    names = {tag for tag, _ in reader.elements}
    assert "b" in names  # of the report's own
    assert len(reader.named("script")) == 2  # its own, and its data
    assert all(each["src"].startswith("data:") for each in reader.named("img"))
    assert not [
        each for _, attributes in reader.elements for each in attributes if each[:2] == "on"
    ]
    assert "<svg/onload" not in text
    assert "<script>alert" in reader.text
    assert "\u202e" not in text


def test_the_policy_allows_the_script_and_styles_of_the_page_and_no_network(report):
    policy = next(
        each["content"]
        for each in Reader(report).named("meta")
        if each.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", rules["script-src"])
    assert not re.search(r"\sstyle=", report.partition("<body>")[2].partition("<script>")[0])


# Fresh, whole or not at all


def test_corrections_and_samples_are_those_of_now(owned, tmp_path):
    fov = owned.fov(0)
    cell = int(fov.cells["cell"].iloc[0])
    before = Reader(write_report(owned.folder)[0].read_text(encoding="utf-8")).text
    assert "correction" not in before.partition("Samples")[0]
    fov.remove(cell)
    owned.assign_samples({"renamed & new": [0]})
    after = write_report(owned.folder)[0].read_text(encoding="utf-8")
    assert "1 correction by people is applied" in Reader(after).text
    assert "renamed & new" in Reader(after).text
    assert (0, cell) not in {(each["fov"], each["cell"]) for each in data_of(after)["cells"]}


def test_a_marked_cell_can_be_imported_and_imported_twice(owned, tmp_path):
    found = payload(gather(owned))
    cell = next(each for each in found["cells"] if each["good"])
    line = {
        "version": 1,
        "id": "0123456789abcdef",
        "at": "2026-01-02T03:04:05.678Z",
        "fov": cell["fov"],
        "action": "verdict",
        "cell": cell["cell"],
        "good": False,
        "anchors": [cell["anchor"]],
    }
    file = tmp_path / "corrections.jsonl"
    file.write_text(json.dumps(line) + "\n", encoding="utf-8")
    for told in ("1 imported", "0 imported, 1 were known"):
        done = CliRunner().invoke(app, ["curate", str(owned.folder), "--import", str(file)])
        assert done.exit_code == 0, done.output
        assert told in done.output
    cells = open_results(owned.folder).cells.set_index(["fov", "cell"])
    assert not cells.loc[(cell["fov"], cell["cell"]), "good"]


def test_a_report_that_cannot_be_written_fails_no_run(owned, monkeypatch, caplog):
    told = []
    monkeypatch.setattr(writing, "report_of", lambda *_: "")
    for error in (StorageError("the disk is full"), RuntimeError("a fault"), MemoryError()):
        monkeypatch.setattr(writing, "put_report", lambda *_, error=error: raise_(error))
        with caplog.at_level(logging.WARNING):
            write_report_of_run(owned.folder, told.append)
        assert f"{error or 'MemoryError'}; pyama report" in caplog.text
    assert told == []
    assert not (owned.folder / REPORT_NAME).exists()
    assert not list(owned.folder.glob(".report*"))


def raise_(error):
    raise error


def test_of_a_failed_or_damaged_position_it_tells_what_is_known(owned):
    record = next((owned.folder / "fov_001").glob("*_record.json"))
    record.write_text("no record", encoding="utf-8")
    text = Reader(write_report(owned.folder)[0].read_text(encoding="utf-8")).text
    # Its name is said once.
    assert re.search(r"FOV\s+1 \(position 2\)\s+\(\+dox 5 µM\): (?!FOV).* is damaged", text)
    assert next(each.fov for each in gather(owned).by_trouble) == 1


def test_a_table_that_was_changed_is_the_worst_though_its_size_is_the_same(owned):
    path = next((owned.folder / "fov_001").glob("*_traces_ch_1.csv"))
    path.write_bytes(bytes(reversed(path.read_bytes())))
    found = gather(open_results(owned.folder))
    worst = found.by_trouble[0]
    assert worst.fov == 1
    assert worst.trouble.needs_look
    assert f"{path.name} cannot be read" in worst.trouble.words
    assert f"; {len([p for p in found.positions if p.trouble.needs_look])} need" in verdict(found)


def test_positions_that_are_not_finished_are_no_trouble_but_named(owned):
    """As while a run goes on, or after it was stopped."""
    next((owned.folder / "fov_001").glob("*_traces_ch_1.csv")).unlink()
    found = gather(open_results(owned.folder))
    n_look = sum(position.needs_look for position in found.positions)
    assert not found.positions[1].needs_look
    told = [f"{2 - n_look} of 3 positions", "1 is not finished"]
    assert [each in verdict(found) for each in told] == [True, True]
    text = Reader(write_report(owned.folder)[0].read_text(encoding="utf-8")).text
    assert "Not finished, run again to go on: FOVs 1" in text


def test_of_many_channels_medians_stand_below_one_another_and_features_once(owned):
    found = gather(owned)
    column = found.courses_of[0]
    names = [f"intensity_total_{name}" for name in "ABCDEF"]
    rows = tuple(
        replace(row, courses=dict.fromkeys(names, row.courses[column])) for row in found.samples
    )
    text = samples_section(replace(found, samples=rows, courses_of=tuple(names)))
    head = [f"median at {when}" for _, when in _ends(found)]
    assert re.findall(r"<th[^>]*>([^<]*)</th>", text)[5:] == ["sample", "channel", *head]
    assert re.findall(r"<td>([A-F])</td>", text) == list("ABCDEF") * len(rows)
    ran = Reader(write_report(owned.folder)[0].read_text(encoding="utf-8")).text
    assert "in each of GFP, mCherry: intensity total" in re.sub(r"\s+", " ", ran)


def test_more_samples_than_colours_have_a_chart_each_with_the_same_axes(owned):
    found = gather(owned)
    few = samples_section(found)
    assert few.count("<svg") == len(found.courses_of)
    many = replace(
        found, samples=tuple(replace(found.samples[i % 2], name=f"s{i}") for i in range(9))
    )
    text = samples_section(many)
    assert re.findall(r"<figcaption>(s\d)</figcaption>", text) == [
        f"s{i}" for _ in found.courses_of for i in range(9)
    ]
    for of_channel in text.split("<figcaption>intensity")[1:]:
        axes = [re.findall(r'class="end">([^<]*)<', svg) for svg in of_channel.split("<svg")[1:10]]
        assert axes[0]
        assert axes == [axes[0]] * 9


def test_a_sample_has_the_colour_of_the_page_while_others_have_no_results_yet(owned):
    owned.assign_samples({"control": {"fovs": "0"}, "drug": {"fovs": "1"}, "more": {"fovs": "2"}})
    shutil.rmtree(owned.fov(0).folder)
    results = open_results(owned.folder)
    found = gather(results)
    rows = overview_of(results, list(results.chosen())).samples
    of_page = {row.sample: row.place for row in rows}
    assert {row.name: row.place for row in found.samples} == of_page == {"drug": 1, "more": 2}
    assert payload(found)["places"] == [1, 2]
    section = str(samples_section(found))
    assert 'class="mark s1"' in section
    assert 'class="mark s2"' in section
    assert re.search(r"\bs0\b", section) is None


def test_an_interval_that_was_given_is_told_and_not_what_the_file_says(owned):
    for path in owned.folder.glob("fov_*/*_record.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        record["settings"]["params"].setdefault("extraction", {})["interval_minutes"] = 7.5
        path.write_text(json.dumps(record), encoding="utf-8")
    text = Reader(write_report(owned.folder)[0].read_text(encoding="utf-8")).text
    assert "times: every 7.5 min, as was given" in text


def test_without_any_cell_it_says_so_and_blames_no_stacks(owned):
    found = replace(gather(owned), cells=(), samples=())
    told = traces_section(found)
    assert "There are no cells." in told
    assert "restore" not in told


def test_positions_of_the_file_that_are_not_in_the_results_are_named(owned):
    shutil.rmtree(owned.folder / "fov_001")
    text = Reader(write_report(owned.folder)[0].read_text(encoding="utf-8")).text
    assert "Of the file, 1 position is not among these results: FOVs 1" in text


def test_what_contradicts_the_assumptions_of_the_run_stands_first(owned):
    """An assumed diameter that the objects do not have: told first, once for all positions."""
    doubt_diameters(owned.folder, {0: 20, 1: 20})
    results = open_results(owned.folder)
    found = gather(results)
    assert all(found.positions[fov].trouble.needs_look for fov in (0, 1))
    text = write_report(owned.folder)[0].read_text(encoding="utf-8")
    head, _, rest = text.partition('id="assumed"')
    told = "a diameter of 20 px in the middle, 60 px were assumed"
    assert told not in head
    assert rest.partition("</div>")[0].count(told) == 1
    assert "2 positions (FOVs 0-1), such as 0 (position 1)" in rest.partition("</div>")[0]


def test_without_stacks_and_pictures_it_says_so(owned):
    for path in owned.folder.glob("fov_*/*"):
        if path.name.endswith(("glimpse.npz", ".npy")):
            path.unlink()
    text = Reader(write_report(owned.folder)[0].read_text(encoding="utf-8")).text
    assert "There are no pictures of FOVs" in text
    assert "--restore" in text


# Several runs


def test_samples_of_several_runs_stand_side_by_side(owned, sampled, tmp_path):
    owned.assign_samples({"control": [0, 1], "<i>new</i>": [2]})
    path, first_line = write_comparison([sampled.folder, owned.folder], tmp_path / "compare.html")
    text = path.read_text(encoding="utf-8")
    assert first_line.startswith("2 runs: ")
    told = Reader(text).text
    assert told.count("control") >= 3  # a row of each run, and the legend
    assert "<i>new</i>" in told
    assert "<i>new" not in text
    assert "same parameters" in told
    assert "line s0 dashed" in text


def test_where_the_folder_cannot_be_written_it_is_said_that_another_place_can(owned, monkeypatch):
    def refuses(*_):
        raise StorageError("cannot write .pyama.lock: Read-only file system")

    monkeypatch.setattr(writing, "lock_shared_files", refuses)
    told = CliRunner().invoke(app, ["report", str(owned.folder)])
    assert told.exit_code == 2
    assert "Read-only file system; -o FILE writes the report elsewhere" in told.output
    elsewhere = owned.folder.parent / "elsewhere.html"
    told = CliRunner().invoke(app, ["report", str(owned.folder), "-o", str(elsewhere)])
    assert (told.exit_code, elsewhere.is_file()) == (0, True)


def test_what_a_person_put_there_is_not_overwritten_but_an_earlier_report_is(
    owned, sampled, tmp_path, caplog
):
    place, report = owned.folder / "report.html", tmp_path / "ours.html"
    place.write_text("<p>my own words", encoding="utf-8")
    with pytest.raises(InputError, match="is no report"):
        write_report(owned.folder)
    with pytest.raises(InputError, match="is no report"):
        write_comparison([owned.folder, sampled.folder], place)
    write_report_of_run(owned.folder, pytest.fail)
    assert "the report was not written" in caplog.text
    assert place.read_text(encoding="utf-8") == "<p>my own words"
    for _ in range(2):
        assert write_report(owned.folder, report)[0] == report
    assert report.stat().st_size > 10_000


def test_what_a_process_that_died_left_of_a_report_is_swept(owned):
    rest = owned.folder / f".{REPORT_NAME}.0123abcd.tmp"
    rest.write_text("half a rep", encoding="utf-8")
    write_report(owned.folder)
    assert not rest.exists()
    assert (owned.folder / REPORT_NAME).stat().st_size > 10_000


def test_one_folder_is_nothing_to_compare(sampled, tmp_path):
    with pytest.raises(InputError, match="2 to 20"):
        write_comparison([sampled.folder], tmp_path / "a.html")
    with pytest.raises(InputError, match="twice"):
        write_comparison([sampled.folder, sampled.folder], tmp_path / "a.html")


# The command


def test_the_command_writes_it_and_says_where(owned, tmp_path):
    done = CliRunner().invoke(app, ["report", str(owned.folder)])
    assert done.exit_code == 0, done.output
    assert "positions" in done.output
    assert str(owned.folder / REPORT_NAME) in done.output
    assert (owned.folder / REPORT_NAME).read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{0}", "{0}"], "say where, with -o"),
        (["{0}/nothing"], "no folder"),
        (["{1}"], "holds no results"),
        (["{0}", "-o", "{1}"], "is a folder"),
    ],
)
def test_what_cannot_be_meant_is_refused(sampled, tmp_path, words, told):
    asked = [word.format(sampled.folder, tmp_path) for word in words]
    done = CliRunner().invoke(app, ["report", *asked])
    assert done.exit_code == 2
    assert told in done.output
