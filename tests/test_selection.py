"""Words for channels and FOVs mean the same in the command, the configuration and Python."""

from __future__ import annotations

import itertools
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyama_core.errors import InputError
from pyama_core.processing.workflow.services.selection import find_channel, find_fovs

NUMBERED = ("1", "2", "3")
PADDED = ("00", "01", "02")
PLAIN = ("Phase", "GFP", "mCherry")
TWINS = ("GFP", "twin", "twin")
CASES = ("GFP", "gfp", "Phase")
UNICODE = ("Ö µ", "Caf\u00e9", "ﬁlter")
LOOKALIKE = ("é", "e\u0301", "GFP")
FORMS = ("index:2", "name:GFP", "GFP")

WORDS = [
    # names that are words
    (PLAIN, "GFP", 1),
    (PLAIN, "0", 0),
    (PLAIN, " 2 ", 2),
    (PLAIN, "002", 2),
    (PLAIN, "phase", 0),
    (PLAIN, "MCHERRY", 2),
    (PLAIN, "  gfp\t", 1),
    (PLAIN, "name:gfp", 1),
    (PLAIN, "index:1", 1),
    (PLAIN, "Index: 1", 1),
    (PLAIN, "NAME: GFP", 1),
    (PLAIN, "GPF", "there is no channel 'GPF'; did you mean 'GFP'? The file has 0 (Phase), 1 (GFP"),
    (PLAIN, "phse", "did you mean 'Phase'?"),
    (PLAIN, "name:phse", "did you mean 'Phase'?"),
    (PLAIN, "DAPI", "there is no channel 'DAPI'; the file has 0 (Phase), 1 (GFP), 2 (mCherry)"),
    (PLAIN, "3", "there is no channel 3; the file has"),
    (PLAIN, "index:3", "there is no channel 3; the file has"),
    (PLAIN, "name:1", "there is no channel '1'; the file has"),
    (PLAIN, "index:GFP", "there is no channel 'GFP'"),
    (PLAIN, "-1", "there is no channel '-1'"),
    (PLAIN, "0-1", "there is no channel '0-1'"),
    (PLAIN, "all", "there is no channel 'all'"),
    (PLAIN, "", "there is no channel ''"),
    (PLAIN, " ", "there is no channel ' '"),
    (PLAIN, "name:", "there is no channel ''"),
    (PLAIN, "²", "there is no channel '²'"),
    (PLAIN, "٢", "there is no channel '٢'"),
    (PLAIN, "1.0", "there is no channel '1.0'"),
    (PLAIN, "9" * 5000, "there is no channel '999"),
    # names that are numbers
    (NUMBERED, "0", 0),
    (NUMBERED, "3", 2),
    (NUMBERED, "1", "by name channel 0 (1), by number channel 1 (2); write name:1 or index:1"),
    (NUMBERED, "2", "by name channel 1 (2), by number channel 2 (3); write name:2 or index:2"),
    (NUMBERED, " 2 ", "write name:2 or index:2"),
    (NUMBERED, "02", "by name channel 1 (2), by number channel 2 (3)"),
    (NUMBERED, "name:2", 1),
    (NUMBERED, "index:2", 2),
    (NUMBERED, "index:0", 0),
    (NUMBERED, "index:3", "there is no channel 3;"),
    (NUMBERED, "name:0", "there is no channel '0'"),
    (NUMBERED, "4", "there is no channel 4; the file has 0 (1), 1 (2), 2 (3)"),
    (("7", "GFP"), "7", 0),
    (("0", "1", "2"), "1", 1),
    (("GFP", "0"), "0", "by name channel 1 (0), by number channel 0 (GFP)"),
    (PADDED, "0", 0),
    (PADDED, "1", 1),
    (("01", "02", "03"), "01", "by name channel 0 (01), by number channel 1 (02)"),
    (("01", "02", "03"), "1", "by name channel 0 (01), by number channel 1 (02)"),
    (("01", "02", "03"), "3", 2),
    (("w1", "w2"), "1", 1),
    (("1", "01", "GFP"), "1", "by name channel 0 (1), by number channel 1 (01)"),
    (("1", "01", "GFP"), "01", 1),
    (("1", "01", "GFP"), "name:01", 1),
    (("1", "01", "GFP"), "001", "several channels are named '001'; give a number: index:0 (1), "),
    # names that are not one channel's alone
    (TWINS, "twin", "several channels are named 'twin'; give a number: index:1 (twin), index:2"),
    (TWINS, "name:twin", "several channels are named 'twin'"),
    (TWINS, "index:2", 2),
    (TWINS, "2", 2),
    (("2", "2", "GFP"), "2", "index:0 (2), index:1 (2), index:2 (GFP)"),
    (("0", "0"), "0", "several channels are named '0'"),
    # the same name in other letters
    (CASES, "GFP", 0),
    (CASES, "gfp", 1),
    (CASES, "name:gfp", 1),
    (CASES, "Gfp", "several channels are named 'Gfp'; give a number: index:0 (GFP), index:1 (gfp)"),
    (CASES, "PHASE", 2),
    (("straße",), "STRASSE", 0),
    # the same letters in other code points
    (UNICODE, unicodedata.normalize("NFD", "Ö µ"), 0),
    (UNICODE, "ö μ", 0),
    (UNICODE, "Cafe\u0301", 1),
    (UNICODE, "CAFÉ", 1),
    (UNICODE, "filter", 2),
    (UNICODE, "name:cafe\u0301", 1),
    (UNICODE, "cafe", "did you mean 'Café'?"),
    (LOOKALIKE, "é", "several channels are named"),
    (LOOKALIKE, "e\u0301", "several channels are named"),
    # names that look like one of the forms
    (FORMS, "index:2", 2),
    (FORMS, "name:index:2", 0),
    (FORMS, "name:GFP", 2),
    (FORMS, "name:name:GFP", 1),
    (("Name: DAPI", "GFP"), "Name: DAPI", 0),
]


@pytest.mark.parametrize(("names", "word", "expected"), WORDS)
def test_a_word_means_one_channel_or_is_refused_with_what_it_could_mean(names, word, expected):
    if isinstance(expected, int):
        assert find_channel(word, names) == expected
        return
    with pytest.raises(InputError, match=re.escape(expected)) as caught:
        find_channel(word, names)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("names", [PLAIN, NUMBERED, TWINS, CASES, LOOKALIKE, FORMS, PADDED])
def test_every_channel_has_an_unambiguous_form(names):
    for index, name in enumerate(names):
        assert find_channel(f"index:{index}", names) == index
        alike = [other for other in names if unicodedata.normalize("NFC", other) == name]
        if len(alike) == 1:
            assert find_channel(f"name:{name}", names) == index


@pytest.mark.parametrize("names", [PLAIN, NUMBERED, TWINS])
def test_a_number_from_python_is_a_number_whatever_the_names_are(names):
    for index in (0, 1, 2, np.int64(2)):
        assert find_channel(index, names) == index
    for index in (-1, 3):
        with pytest.raises(InputError, match=f"there is no channel {index}; the file has 0 "):
            find_channel(index, names)
    for index in (True, 1.0, None, [1]):
        with pytest.raises(InputError, match="expected a channel by number or name, found"):
            find_channel(index, names)


ALPHABET = ["0", "1", "2", "3", "01", "a", "A", "é", "e\u0301", "É", "index:1", "name:1", ""]


def test_what_is_found_is_named_or_numbered_so_and_nothing_else_is():
    """All pairs of names, and all words, of a small alphabet against a plain second telling."""
    for names in itertools.product(ALPHABET, repeat=2):
        for word in (*ALPHABET, "name:a", "index:0", "name:name:1", "index:2"):
            told = readings(word, names)
            try:
                found = find_channel(word, names)
            except InputError:
                assert len(told) != 1, (names, word, told)
            else:
                assert told == {found}, (names, word, told)


def readings(word: str, names: tuple[str, ...]) -> set[int]:
    """Return all that a word could mean, told otherwise than the program does."""

    def same(a: str, b: str) -> bool:
        return unicodedata.normalize("NFC", a) == unicodedata.normalize("NFC", b)

    def near(text: str) -> str:
        text = unicodedata.normalize("NFC", text).lower()
        return text.lstrip("0") or "0" if text.isdigit() else text

    form, colon, rest = word.partition(":")
    form = form if colon and form in ("name", "index") else ""
    wanted = [rest, word] if form else [word]
    by_name: set[int] = set()
    if not (form == "index" and rest.isdigit()):
        for text in wanted:
            by_name = by_name or {i for i, name in enumerate(names) if same(name, text)}
            by_name = by_name or {
                i for i, name in enumerate(names) if text and near(name) == near(text)
            }
    number = rest if form else word
    by_place = (
        {int(number)} & set(range(len(names))) if form != "name" and number.isdigit() else set()
    )
    return by_name | by_place


@settings(max_examples=300, deadline=None)
@given(
    word=st.text(max_size=8) | st.text("0123 -,:naemidx", max_size=8) | st.integers(),
    names=st.lists(st.text(max_size=4) | st.sampled_from(ALPHABET), min_size=1, max_size=5),
)
def test_whatever_is_typed_gives_channels_and_fovs_of_the_file_or_an_input_error(word, names):
    for find in (find_channel, lambda word, names: find_fovs([word], names)):
        try:
            found = find(word, names)
        except InputError:
            continue
        found = [found] if isinstance(found, int) else found
        assert found == sorted(set(found)) != []
        assert set(found) <= set(range(len(names)))


# FOVs

WELLS = ("A1", "A2", "B1", "B2", "C1", "C2", "C3", "C4")
SITES = ("1", "2", "3", "4")
ODD = ("A,B", "0-1", "all", "C")

SELECTIONS = [
    (WELLS, "0-3,7", [0, 1, 2, 3, 7]),
    (WELLS, "7, 0 - 3", [0, 1, 2, 3, 7]),
    (WELLS, "5", [5]),
    (WELLS, "2-2", [2]),
    (WELLS, "3,1,3,2-4", [1, 2, 3, 4]),
    (WELLS, "007", [7]),
    (WELLS, "all", list(range(8))),
    (WELLS, " ALL ", list(range(8))),
    (WELLS, "A1", [0]),
    (WELLS, "b2, a1", [0, 3]),
    (WELLS, "B1,5-6", [2, 5, 6]),
    (WELLS, "index:1-2, name:C4", [1, 2, 7]),
    (WELLS, ["A1", "5-6", 7], [0, 5, 6, 7]),
    (WELLS, ["A1,A2", "B1"], [0, 1, 2]),
    (WELLS, "A9", "found 'A9': there is no FOV 'A9'; the file has 0 (A1), 1 (A2)"),
    (WELLS, "A1-B2", "expected names, numbers and ranges such as 0-3,7, found 'A1-B2'"),
    (WELLS, "8", "there is no FOV 8; the file has 0 (A1), 1 (A2)"),
    (WELLS, "0-8", "there is no FOV 8; the file has"),
    (WELLS, "0-999999999", "there is no FOV 999999999"),
    (WELLS, ["A1", 8], "there is no FOV 8"),
    (WELLS, ["A1", -1], "there is no FOV -1"),
    (WELLS, [True], "expected a FOV by number or name, found True"),
    (WELLS, "3-1", "the range '3-1' runs backwards"),
    (SITES, "0", [0]),
    (SITES, "4", [3]),
    (SITES, "0-3", [0, 1, 2, 3]),
    (SITES, "1", "by name FOV 0 (1), by number FOV 1 (2); write name:1 or index:1"),
    (SITES, "0,1", "write name:1 or index:1"),
    (SITES, "1-3", "by name FOVs 0-2, by number FOVs 1-3; write name:1-3 or index:1-3"),
    (SITES, "name:1-3", [0, 1, 2]),
    (SITES, "index:1-3", [1, 2, 3]),
    (SITES, "name:1,name:4", [0, 3]),
    (SITES, "name:1-9", "expected names"),
    (SITES, "all", [0, 1, 2, 3]),
    (SITES, [1, 2], [1, 2]),
    (SITES, ["1"], "write name:1 or index:1"),
    (("0", "1", "2"), "0-2", [0, 1, 2]),
    (("site", "site"), "site", "several FOVs are named 'site'; give a number: index:0 (site), "),
    (("site", "site"), "1", [1]),
    (ODD, "A,B", [0]),
    (ODD, "a,b", [0]),
    (ODD, "name:A,B", [0]),
    (ODD, "C,A,B", "found 'A'"),
    (ODD, ["C", "A,B"], [0, 3]),
    (ODD, "0-1", "by name FOV 1 (0-1), by number FOVs 0-1; write name:0-1 or index:0-1"),
    (ODD, "name:0-1", [1]),
    (ODD, "index:0-1", [0, 1]),
    (ODD, "all", "by name FOV 2 (all), by number FOVs 0-3; write name:all or index:all"),
    (ODD, "name:all", [2]),
    (ODD, "index:all", [0, 1, 2, 3]),
    (("A", "B", "A,B"), "A,B", "'A,B' is the name of FOV 2 (A,B), and also a list"),
    (("A", "B", "A,B"), "name:A,name:B", [0, 1]),
    (("A", "B", "A,B"), "name:A,B", [2]),
    (("A", "B", "A,B"), ["A", "B"], [0, 1]),
]


@pytest.mark.parametrize(("names", "words", "expected"), SELECTIONS)
def test_a_selection_means_fovs_or_is_refused_with_what_it_could_mean(names, words, expected):
    if isinstance(expected, list):
        assert find_fovs(words, names) == expected
        return
    with pytest.raises(InputError, match=re.escape(expected)) as caught:
        find_fovs(words, names)
    assert "\n" not in str(caught.value)


NONSENSE = ["", ",", "1,", "a", "-1", "1-", "-", "1-2-3", "1;2", "0..3", "1.5", "²", "٣", "1e3"]


@pytest.mark.parametrize("text", [*NONSENSE, "9" * 5000])
def test_nonsense_for_fovs_is_refused_with_what_was_expected(text):
    with pytest.raises(InputError, match=r"expected names, numbers and ranges such as 0-3,7"):
        find_fovs(text, WELLS)


@settings(max_examples=100, deadline=None)
@given(fovs=st.sets(st.integers(0, 500), min_size=1))
def test_fovs_written_one_by_one_read_back(fovs):
    names = [f"well {index}" for index in range(501)]
    assert find_fovs(",".join(map(str, fovs)), names) == sorted(fovs)
    assert find_fovs(",".join(f"well {fov}" for fov in fovs), names) == sorted(fovs)


def test_many_names_are_not_all_listed():
    with pytest.raises(InputError) as caught:
        find_fovs("x", [f"well {index}" for index in range(1000)])
    assert "and 988 more" in str(caught.value)
