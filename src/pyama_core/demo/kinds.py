"""The kinds of synthetic experiments: what is in their channels, and what their cells are like."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DemoKind(StrEnum):
    """What a synthetic experiment shows."""

    ADHERENT = "adherent"
    NUCLEI = "nuclei"
    CELLS = "cells"
    BACTERIA = "bacteria"


@dataclass(frozen=True)
class Habit:
    """What the cells of a kind look like and how they live.

    Parameters
    ----------
    radius : tuple of float
        Half of the width of a cell, from and to, in pixels.
    length : tuple of float
        Half of the length of its straight part, from and to, in widths.
    modes : float
        Spread of the waves of its outline, as a part of the radius.
    taper : float
        How much narrower its straight part is at its ends.
    crowd : float
        Part of the frame that cells cover at the start, about.
    margin : float
        Part of the frame at its edges where no cell starts; clumps keep as far again.
    speed : float
        Typical step, in pixels per frame.
    gap : float
        Least gap between two cells, in pixels.
    growth : float or None
        Frames in which a cell grows to twice its length, and then divides; None where cells keep
        their size and some divide once.
    brightness : tuple of float
        Counts of a pixel of the marker, from dim to bright.
    reporter : float
        How bright the reporter is, beside that of adherent cells.
    background : float
        Counts of the light between the cells.
    slope : float
        How much brighter the brightest edge is than the middle, as a part.
    flatness : float
        Part of the marker's light that is as high everywhere in a cell; the rest is a dome.
    """

    radius: tuple[float, float]
    length: tuple[float, float]
    modes: float
    taper: float
    crowd: float
    margin: float
    speed: float
    gap: float
    growth: float | None
    brightness: tuple[float, float]
    reporter: float
    background: float
    slope: float
    flatness: float


@dataclass(frozen=True)
class KindOfDemo:
    """What there is to know of a kind.

    Parameters
    ----------
    channels : tuple of str
        Names of the channels; the cells are found in the first.
    pixel_size_um : float
        Size of a pixel.
    measured : tuple of int
        The channels that are fluorescence.
    about : str
        What is in them, in words.
    """

    channels: tuple[str, ...]
    pixel_size_um: float
    measured: tuple[int, ...]
    about: str


KINDS = {
    DemoKind.ADHERENT: KindOfDemo(
        ("phase contrast", "GFP", "mCherry"),
        0.65,
        (1, 2),
        "adherent cells in phase contrast, and two reporters",
    ),
    DemoKind.NUCLEI: KindOfDemo(
        ("H2B-mCherry", "GFP"), 0.5, (0, 1), "crowded nuclei, and a reporter in them"
    ),
    DemoKind.CELLS: KindOfDemo(
        ("CellTracker", "GFP"), 0.8, (0, 1), "spread cells by a dye, and a reporter"
    ),
    DemoKind.BACTERIA: KindOfDemo(
        ("phase contrast", "GFP"), 0.1, (1,), "growing rods in phase contrast, and a reporter"
    ),
}

HABITS = {
    DemoKind.NUCLEI: Habit(
        radius=(10.0, 13.5),
        length=(0.15, 0.75),
        modes=0.035,
        taper=0.0,
        crowd=0.15,
        margin=0.0,
        speed=0.9,
        gap=1.5,
        growth=None,
        brightness=(250.0, 2200.0),
        reporter=1.5,
        background=220.0,
        slope=0.25,
        flatness=0.85,
    ),
    DemoKind.CELLS: Habit(
        radius=(13.0, 18.0),
        length=(0.2, 1.3),
        modes=0.07,
        taper=0.45,
        crowd=0.2,
        margin=0.0,
        speed=1.2,
        gap=4.0,
        growth=None,
        brightness=(220.0, 1800.0),
        reporter=4.0,
        background=260.0,
        slope=0.25,
        flatness=0.45,
    ),
    DemoKind.BACTERIA: Habit(
        radius=(9.5, 10.2),
        length=(1.3, 2.6),
        modes=0.0,
        taper=0.0,
        crowd=0.05,
        margin=0.2,
        speed=0.25,
        gap=2.5,
        growth=40.0,
        brightness=(1.0, 1.0),
        reporter=1.5,
        background=0.0,
        slope=0.04,
        flatness=1.0,
    ),
}
