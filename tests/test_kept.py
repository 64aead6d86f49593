"""What is kept by weight makes room for what is newer, and is closed when it goes."""

from __future__ import annotations

from pyama_core.app.kept import Kept


def test_what_was_not_asked_for_longest_goes_first_and_is_closed() -> None:
    closed: list[str] = []
    kept: Kept[str] = Kept(5, len, closed.append)
    assert [kept.get(word, lambda word=word: word) for word in ("aa", "bb")] == ["aa", "bb"]
    assert kept.get("aa", lambda: "made anew") == "aa"
    assert kept.get("cc", lambda: "cc") == "cc"
    assert closed == ["bb"]
    assert ("aa" in kept, "bb" in kept) == (True, False)


def test_what_is_larger_than_all_is_kept_alone() -> None:
    closed: list[str] = []
    kept: Kept[str] = Kept(5, len, closed.append)
    kept.get("a", lambda: "a")
    assert kept.get("long", lambda: "seven..") == "seven.."
    assert (closed, "long" in kept) == (["a"], True)


def test_of_what_two_made_at_once_one_is_kept_and_the_other_closed() -> None:
    closed: list[str] = []
    kept: Kept[str] = Kept(5, len, closed.append)

    def make_late() -> str:
        kept.get("a", lambda: "first")
        return "late"

    assert kept.get("a", make_late) == "first"
    assert closed == ["late"]
