"""Which frame a time in a name stands for: gaps, numberings, times, words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyama_core.errors import InputError
from pyama_core.io.readers.frame_source import Numbering
from pyama_core.io.readers.image_folder.frame_numbers import (
    FrameAxis,
    arrange_frames,
    minutes_in_name,
)

FOLDER = Path("folder")


def arrange(texts: list[str], numbering: Numbering = "auto", unit: str | None = None) -> FrameAxis:
    return arrange_frames(FOLDER, texts, numbering, unit)


def numbers(*parts: range) -> list[str]:
    return [f"{number:03d}" for part in parts for number in part]


@pytest.mark.parametrize(
    ("times", "frames"),
    [
        # All of them there, wherever they start.
        (numbers(range(10)), range(10)),
        (numbers(range(1, 11)), range(10)),
        (numbers(range(17, 21)), range(4)),
        # Most of a movie lost: the frames after the gap keep their place.
        (numbers(range(1, 31), range(91, 101)), [*range(30), *range(90, 100)]),
        (["1", "2", "900"], [0, 1, 899]),
        # A constant step is a numbering, with holes too.
        (numbers(range(0, 60, 5)), range(12)),
        (["t000", "t005", "t015", "t020"], [0, 1, 3, 4]),
        (["10", "30", "60"], [0, 2, 5]),
        # Lost images beside such a step are no numbering.
        (["0", "10", "20", "21"], [0, 10, 20, 21]),
        # By value, not by text.
        (["9", "10", "011"], range(3)),
        (["T08", "t10"], range(2)),
        (["7"], [0]),
        ([""], [0]),
    ],
)
def test_a_frame_is_where_its_number_says(times: list[str], frames: range | list[int]) -> None:
    axis = arrange(times)
    assert [axis.frame_of[time] for time in times] == list(frames)
    assert len(axis.names) == frames[-1] + 1
    assert axis.minutes is None


@given(st.sets(st.integers(0, 300), min_size=2, max_size=40), st.sampled_from(["", "t", "Frame"]))
def test_distances_of_frames_are_those_of_their_numbers(found: set[int], letters: str) -> None:
    axis = arrange([f"{letters}{number:04d}" for number in found])
    first, second, *_ = sorted(found)
    places = {n: axis.frame_of[f"{letters}{n:04d}"] for n in found}
    assert places[first] == 0
    step = (second - first) / places[second]
    assert all(place * step == number - first for number, place in places.items())
    assert sorted(places.values())[-1] == len(axis.names) - 1


def test_absent_frames_are_named_as_frames_and_as_in_the_names() -> None:
    axis = arrange([*numbers(range(1, 31), range(91, 101))])
    (warning,) = axis.warnings
    assert "60 of 100 frames have no image" in warning
    assert "frame 30-89, in names 031 to 090" in warning
    assert "--numbering order" in warning
    assert axis.names[30] == "031"


def test_a_constant_step_is_told_in_one_line_with_what_decides_otherwise() -> None:
    axis = arrange(["t000", "t005", "t010"])
    assert axis.warnings == ()
    (note,) = axis.notes
    assert "in steps of 5 (t000, t005, t010)" in note
    assert "--numbering 1" in note


def test_a_single_step_is_told_as_a_warning_because_it_may_be_a_gap() -> None:
    axis = arrange(["001", "100"])
    assert len(axis.names) == 2
    assert "in steps of 99 (001, 100)" in axis.warnings[0]
    assert len(arrange(["001", "100"], 1).names) == 100


def test_the_user_decides_what_numbers_mean() -> None:
    times = ["000", "005", "010", "020"]
    assert list(arrange(times, "order").frame_of.values()) == [0, 1, 2, 3]
    assert list(arrange(times, 5).frame_of.values()) == [0, 1, 2, 4]
    one_by_one = arrange(times, 1)
    assert list(one_by_one.frame_of.values()) == [0, 5, 10, 20]
    assert "17 of 21 frames" in one_by_one.warnings[0]
    with pytest.raises(InputError, match=r"005 does not follow 000 in steps of 3"):
        arrange(times, 3)


@pytest.mark.parametrize(
    "times",
    [
        ["1713790000123", "1713790300130", "1713790600119"],
        ["1", "2", "1001"],
        ["000000001", "000000002", "999999999"],
    ],
)
def test_numbers_that_can_hardly_be_frames_are_refused_with_all_that_they_may_be(
    times: list[str],
) -> None:
    with pytest.raises(InputError) as error:
        arrange_frames(FOLDER, times, pattern="{fov}_t{time}.tif")
    for word in (
        "--numbering order",
        "--numbering 1 ",
        "_t{time:ms}.tif",
        f"{times[0]} to {times[-1]}",
    ):
        assert word in str(error.value)
    assert list(arrange(times, "order").frame_of.values()) == [0, 1, 2]


def test_no_number_makes_a_table_that_fills_the_memory() -> None:
    with pytest.raises(InputError, match=r"are 10000000000000 frames, more than any movie"):
        arrange(["0", "9999999999999"], 1)


@pytest.mark.parametrize(
    ("unit", "times", "minutes"),
    [
        ("ms", ["1713790000000", "1713790300000"], [0, 5]),
        ("s", ["0", "90"], [0, 1.5]),
        ("min", ["5", "10.5"], [0, 5.5]),
        ("h", ["0", "2"], [0, 120]),
    ],
)
def test_a_pattern_may_say_that_numbers_are_times(
    unit: str, times: list[str], minutes: list[float]
) -> None:
    axis = arrange(times, unit=unit)
    assert axis.minutes is not None
    assert [minute - axis.minutes[0] for minute in axis.minutes] == pytest.approx(minutes)
    with pytest.raises(InputError, match=f"'x' in a name is no number of {unit}"):
        arrange([*times, "x"], unit=unit)


def elapsed(*minutes: int) -> list[str]:
    return [f"{m // 1440:02d}d{m // 60 % 24:02d}h{m % 60:02d}m" for m in minutes]


def test_a_gap_between_even_times_keeps_its_frames() -> None:
    times = elapsed(*range(0, 300, 30), *range(600, 900, 30))
    axis = arrange(times)
    assert [axis.frame_of[time] for time in times] == [*range(10), *range(20, 30)]
    assert axis.minutes == tuple(range(0, 900, 30))
    assert "10 of 30 frames have no image" in axis.warnings[0]
    assert list(arrange(times, "order").frame_of.values()) == list(range(20))


@pytest.mark.parametrize(
    "minutes",
    [
        # Planned so: every half hour, then every two hours.
        [*range(0, 180, 30), *range(180, 1000, 120)],
        # Measured, with jitter.
        [0, 31, 60, 89, 121, 150],
        [0, 31, 60, 89, 121, 150, 300, 331],
    ],
)
def test_times_that_are_not_even_follow_each_other_each_with_its_time(minutes: list[int]) -> None:
    axis = arrange(elapsed(*minutes))
    assert axis.minutes == tuple(minutes)
    jumps = max(minutes[i + 1] - minutes[i] for i in range(len(minutes) - 1)) > 45
    assert bool(axis.warnings) == jumps
    assert "not evenly spaced" in "".join(axis.warnings) or not jumps


def test_the_user_decides_how_far_times_are_apart() -> None:
    minutes = [0, 30, 90, 210]
    axis = arrange(elapsed(*minutes), 30)
    assert [axis.frame_of[time] for time in elapsed(*minutes)] == [0, 1, 3, 7]
    with pytest.raises(InputError, match="in steps of 20 minutes"):
        arrange(elapsed(*minutes), 20)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("00d00h30m", 30),
        ("02d03h", 2 * 1440 + 180),
        ("01d02h03m30s", 1440 + 123.5),
        ("90min", 90),
        ("t30m", 30),
        ("2h", 120),
        ("15s", 0.25),
        ("0007", None),
        ("t07", None),
        ("d", None),
        ("2021y13m01d_00h00m", None),
        ("20241301", None),
        # A date and a counter.
        ("20240422_000012", None),
        ("20240422_0012", None),
    ],
)
def test_a_time_in_a_name_counts_only_with_its_unit(text: str, minutes: float | None) -> None:
    assert minutes_in_name(text) == minutes


@pytest.mark.parametrize(
    ("before", "after", "minutes"),
    [
        ("2024y02m28d_23h59m", "2024y03m01d_23h59m", 2 * 1440),
        ("20240430", "20240501", 1440),
        ("2024-04-30", "2024-05-01", 1440),
        ("20240430_235930", "20240501_000030", None),
        ("20240430_235930", "20240501_010000", 60.5),
        ("20240430235930", "20240501000000", None),
        ("2024-04-30_23-59-30", "2024-05-01_00-00-00", 0.5),
        ("2024-04-30T23:59", "2024-05-01T00:04", 5),
        ("2024.04.30 23.59.30", "2024.04.30 23.59.45", 0.25),
    ],
)
def test_dates_in_names_differ_by_real_time(before: str, after: str, minutes: float | None) -> None:
    first, second = minutes_in_name(before), minutes_in_name(after)
    if minutes is None:  # an undelimited 0000xx may be a counter
        assert second is None
    else:
        assert first is not None
        assert second is not None
        assert second - first == pytest.approx(minutes)


def test_dates_are_no_numbers_of_frames() -> None:
    axis = arrange(["20240429", "20240430", "20240501"])
    assert axis.minutes is not None
    assert [minute - axis.minutes[0] for minute in axis.minutes] == [0, 1440, 2880]


@pytest.mark.parametrize(
    "times",
    [
        ["1", "2", "max"],
        ["1", "2", ""],
        ["000", "001", "001 (1)"],
        ["t1", "t2", "s3"],
        ["00d00h30m", "00d01h00m", "last"],
    ],
)
def test_a_mixture_of_times_and_words_is_refused_unless_the_user_takes_their_order(
    times: list[str],
) -> None:
    with pytest.raises(InputError, match=r"--pattern .* or --numbering order"):
        arrange(times)
    assert sorted(arrange(times, "order").frame_of.values()) == [0, 1, 2]


def test_words_for_times_are_in_natural_order_with_a_warning() -> None:
    axis = arrange(["10-1", "9-2", "9-1"])
    assert axis.names == ("9-1", "9-2", "10-1")
    assert "in the order of these words" in axis.warnings[0]
    assert arrange(["9-2", "10-1"], "order").warnings == ()
    with pytest.raises(InputError, match="are no numbers; --numbering 2 does not fit"):
        arrange(["9-2", "10-1"], 2)


def test_the_same_number_written_in_two_ways_is_one_frame() -> None:
    axis = arrange(["1", "001", "2"])
    assert axis.frame_of == {"1": 0, "001": 0, "2": 1}
