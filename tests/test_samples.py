"""Which positions belong to which sample: words, tables of people, names that tell."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyama_core.errors import InputError
from pyama_core.processing.workflow.samples.sample_table import (
    read_sample_table,
    write_sample_table,
)
from pyama_core.processing.workflow.samples.samples import Assignment, Samples
from pyama_core.processing.workflow.samples.telling_names import samples_from_names
from pyama_core.processing.workflow.samples.words import (
    assignment_from_text,
    assignments_from_mapping,
)
from pyama_core.processing.workflow.services.selection import find_fovs

PLATE = ("A1_0", "A1_1", "A2_0", "A2_1", "B1_0", "B2_0")
PLAIN = ("ctrl", "Übung", "drug 1", "drug 2")


def read(tmp_path: Path, content: str | bytes, names: tuple[str, ...] = PLATE) -> Samples:
    path = tmp_path / "samples of people.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Samples.made_of(names, read_sample_table(path, names), "a test")


# Words


@pytest.mark.parametrize(
    ("word", "fovs"),
    [
        ("A1", [0, 1]),
        ("a01", [0, 1]),
        ("A1_1", [1]),
        ("A1,B2_0", [0, 1, 5]),
        ("A1-A2", [0, 1, 2, 3]),
        ("3", [3]),
        ("0-1,B1", [0, 1, 4]),
        ("index:2", [2]),
    ],
)
def test_a_well_stands_for_all_positions_in_it(word, fovs):
    assert find_fovs(word, PLATE) == fovs


@pytest.mark.parametrize(
    "word", ["C1", "A3", "A1-A9", "A1-B1", "A2-A1", "name:A1", "index:A1", "A0", "A25"]
)
def test_a_well_in_which_there_is_nothing_is_refused_with_what_there_is(word):
    with pytest.raises(InputError, match=re.escape("0 (A1_0), 1 (A1_1), 2 (A2_0)")):
        find_fovs(word, PLATE)


def test_a_name_that_looks_like_a_well_wins_over_the_well():
    assert find_fovs("A1", ["A1", "A1_1"]) == [0]


def test_a_channel_is_never_a_well():
    from pyama_core.processing.workflow.services.selection import find_channel

    with pytest.raises(InputError, match="there is no channel 'A1'"):
        find_channel("A1", ["A1_0", "GFP"])


def test_samples_are_typed_as_name_and_positions():
    found = assignment_from_text("5 = 3 µM=A1,4", PLATE, "--set")
    assert (found.sample, found.fovs) == ("5 = 3 µM", (0, 1, 4))


@pytest.mark.parametrize("text", ["control", "=0", "control=", "control= ", "", " =1"])
def test_what_is_no_name_and_positions_is_refused_with_an_example(text):
    with pytest.raises(InputError, match="--set: expected"):
        assignment_from_text(text, PLATE, "--set")


def test_a_position_in_two_samples_is_refused_with_both():
    both = {"control": "A1", "drug": "1-2"}
    with pytest.raises(
        InputError,
        match=re.escape(
            "FOV 1 (A1_1) is in 'control' (samples.control) and in 'drug' (samples.drug)"
        ),
    ):
        Samples.made_of(PLATE, assignments_from_mapping(both, PLATE, "samples"), "")


def test_a_later_change_wins_and_the_rest_stays():
    first = Samples.made_of(PLATE, [Assignment("a", (0, 1, 2), "", {"dose": "5"})], "")
    second = first.changed([Assignment("b", (2, 3), ""), Assignment("unassigned", (0,), "")])
    assert second.as_ranges() == {"a": "1", "b": "2-3", "unassigned": "0,4-5"}
    assert second.further == {"dose": {0: "5", 1: "5", 2: "5"}}


# Names that tell


@pytest.mark.parametrize(
    ("names", "samples"),
    [
        (("B2_1", "B2_2", "C2_1"), ["B2", "B2", "C2"]),
        (("D6", "D7"), ["D6", "D7"]),
        (("A01-Site_0", "A01-Site_1", "A02-Site_0"), ["A1", "A1", "A2"]),
        (("control_001", "control_002", "5 µM_001"), ["control", "control", "5 µM"]),
        (("control1", "control2", "drug1"), ["control", "control", "drug"]),
        (("siRNA1_1", "siRNA1_2", "siRNA2_1"), ["siRNA1", "siRNA1", "siRNA2"]),
        (("Pos1 ctrl", "Pos2 ctrl", "Pos3 drug"), ["ctrl", "ctrl", "drug"]),
        (("WT_s1", "WT_s2", "KO_s1"), ["WT", "WT", "KO"]),
        (("ctrl", "drug"), ["ctrl", "drug"]),
    ],
)
def test_wells_and_words_in_names_become_samples(names, samples):
    found = samples_from_names(names)
    assert found is not None
    assert found[0] == samples


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("A1",),
        ("FOV 0", "FOV 1"),
        ("position 1", "position 2"),
        ("P1", "P2"),
        ("TR1", "P1", "TR2"),
        ("1-Pos_000_000", "1-Pos_000_001"),
        ("Scene #1", "Scene #2"),
        ("XY01", "XY02"),
        ("siRNA1", "siRNA2"),
        ("", ""),
        ("0", "1"),
        ("point 1", "control 1", "control 2"),
        ("control 1", "control 2"),
    ],
)
def test_names_that_only_count_tell_nothing(names):
    assert samples_from_names(names) is None


# Tables of people


@pytest.mark.parametrize(
    "table",
    [
        "fov,sample\n0-1,control\n2,drug\n",
        "\ufefffov;sample\n0-1;control\n2;drug\n",
        "sep=;\nfov;sample\r\n0-1;control\r\n2;drug\r\n",
        "Position\tCondition\n0-1\tcontrol\n2\tdrug\n",
        'well,sample\nA1,control\n"A2_0",drug\n',
        '"Well";"Sample";;\n"A01";"control";;\n;;;\n\n"A2_0";" drug ";;\n',
        "name,sample\na1_0,control\nA1_1,control\nA2_0,drug\nA2_1,\nB1_0,unassigned\n",
        'positions,sample\n"0,1",control\n2.0,drug\n',
        "fov;sample\n0;control\n1;control\n1;control\n2;drug\n",
        "fov,sample\r0-1,control\r2,drug\r",
    ],
)
def test_a_table_is_understood_however_it_was_saved(tmp_path, table):
    assert read(tmp_path, table).sample_of == {0: "control", 1: "control", 2: "drug"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_umlauts_survive_the_encodings_of_spreadsheets(tmp_path, encoding):
    found = read(tmp_path, "name;sample\nÜbung;Größe µ\n".encode(encoding), PLAIN)
    assert found.sample_of == {1: "Größe µ"}


def test_letters_of_two_characters_are_those_of_one(tmp_path):
    found = read(tmp_path, "name,sample\nU\u0308bung,Gro\u0308\u00dfe\nctrl,Größe\n", PLAIN)
    assert found.order == ("Größe",)


def test_decimal_commas_become_points_where_columns_are_not_separated_by_them(tmp_path):
    found = read(tmp_path, "fov;sample;dose\n0;a;0,125\n1;a;5\n2;b;1,5e-3\n")
    assert found.further == {"dose": {0: "0.125", 1: "5", 2: "1.5e-3"}}


def test_a_comma_that_may_stand_for_thousands_is_refused_with_both_readings(tmp_path):
    with pytest.raises(InputError, match=r"line 2: '1,000' in the column 'dose' .*1000 or 1\.000"):
        read(tmp_path, 'fov,sample,dose\n0,a,"1,000"\n')
    assert read(tmp_path, 'fov,sample,dose\n0,a,"0,5"\n').further == {"dose": {0: "0.5"}}


def test_further_columns_are_kept_as_they_are(tmp_path):
    found = read(tmp_path, "fov,drug name,sample,replicate\n0-1,Dox (ng/ml),+Dox,1\n2,,-Dox,2\n")
    assert found.order == ("+Dox", "-Dox")
    assert found.further == {
        "drug name": {0: "Dox (ng/ml)", 1: "Dox (ng/ml)"},
        "replicate": {0: "1", 1: "1", 2: "2"},
    }


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("", "expected a header with a column fov"),
        ("0-9;control\n", "expected a header with a column fov"),
        ("fov,kind\n0,a\n", "found 'fov, kind'"),
        ("fov,sample\n9,a\n", r"line 2: there is no FOV 9; the file has 0 \(A1_0\), 1 \(A1_1\)"),
        ("fov,sample\n0,a\n\nC7,a\n", "line 4: .*there is no FOV 'C7'"),
        ("fov,sample\n0,a\n0-1,b\n", r"FOV 0 \(A1_0\) is in 'a' \(line 2\) and in 'b' \(line 3\)"),
        ("fov,sample,dose\n0,a,5\n0,a,6\n", "has the dose '5' .line 2. and '6' .line 3."),
        ("fov,sample\n0-3,7,control\n", "line 2: expected 2 columns, found 3; .*needs quotes"),
        ("fov,sample\n0,=A1&B1\n", "line 2: sample: .*'=A1&B1', a formula"),
        ("fov,sample\n0,@SUM(A1)\n", "line 2: sample: .*a formula"),
        ("fov,sample\n0,#NAME?\n", "line 2: sample: .*a formula"),
        ("fov,sample,dose\n0,a,#DIV/0!\n", "line 2: dose: .*a formula"),
        ("fov;sample\n03. Jan;a\n", "line 2: .*did a spreadsheet make a date of a range"),
        ("fov;sample\n1. Mrz;a\n", "line 2: .*did a spreadsheet make a date of a range"),
        ("fov,sample\n,a\n", "line 2: expected a FOV in the column 'fov'"),
        ("well,position,sample\nA1,0,a\n", "position and well could say which"),
        ("fov,sample,Sample\n0,a,b\n", "'sample' stands twice"),
        ("fov;sample;dose\n0;a;0,5\n1;a;0.5\n", r"'0,5' \(line 2\) and '0.5' \(line 3\)"),
        ('fov,sample\n0,"a\n', "unexpected end of data"),
        ("fov,sample\n0," + "a" * 300 + "\n", "at most 200 letters"),
        ("fov,sample\n0,a\x07b\n", "at most 200 letters in a line"),
        (b"PK\x03\x04 a workbook", "is not text; save the table as CSV"),
        (b"fov,sample\n0,\0\n", "is not text"),
        (b"fov,sample\n0,\x81\x8d\n", "is not text"),
        ("fov,name,sample\n0,A2_0,a\n", "FOV 0 is named 'A1_0', not 'A2_0'; were the columns"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_line(tmp_path, table, words):
    with pytest.raises(InputError, match=words) as raised:
        read(tmp_path, table)
    assert "samples of people.csv" in str(raised.value) or "line" in str(raised.value)
    assert len(str(raised.value)) < 700


def test_a_table_that_is_not_there_or_is_a_folder_is_told_so(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_sample_table(tmp_path / "none.csv", PLATE)
    with pytest.raises(InputError, match="not a regular file but a folder"):
        read_sample_table(tmp_path, PLATE)


# Texts that a cell of the table may hold: names of files and conditions, as awkward as they come.
_TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8).filter(
    lambda text: not text.startswith(("=", "@", "#")) and text.casefold() != "unassigned"
)


@given(
    names=st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=1, max_size=6),
    chosen=st.lists(st.tuples(_TEXTS, _TEXTS), min_size=1, max_size=6),
)
def test_what_is_written_reads_back_as_it_was(tmp_path_factory, names, chosen):
    import unicodedata

    clean = [tuple(unicodedata.normalize("NFC", text) for text in pair) for pair in chosen]
    each = [
        Assignment(sample, (fov,), "", {"dose": dose})
        for fov, (sample, dose) in enumerate(clean[: len(names)])
        if sample.isprintable() and dose.isprintable() and "," not in dose
    ]
    samples = Samples.made_of(names, each, "")
    path = tmp_path_factory.mktemp("samples") / "samples.csv"
    path.write_bytes(write_sample_table(samples).encode())
    again = Samples.made_of(names, read_sample_table(path, names), "")
    assert again.sample_of == samples.sample_of
    assert again.order == samples.order
    assert again.further == samples.further


def test_the_written_table_has_a_row_for_every_position_in_the_order_of_samples():
    samples = Samples.made_of(
        PLAIN, [Assignment("b", (2, 3), ""), Assignment("a", (0,), "", {"dose": "1"})], ""
    )
    rows = list(csv.reader(io.StringIO(write_sample_table(samples))))
    assert rows == [
        ["fov", "name", "sample", "dose"],
        ["2", "drug 1", "b", ""],
        ["3", "drug 2", "b", ""],
        ["0", "ctrl", "a", "1"],
        ["1", "Übung", "unassigned", ""],
    ]
