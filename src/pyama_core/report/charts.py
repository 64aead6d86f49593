"""Small charts as SVG: they need no script, print, and follow light and dark.

Colours are classes of the style sheet: ``s0`` to ``s6`` for samples, ``ink`` for everything else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyama_core.report.markup import Markup, el

FloatArray = NDArray[np.float64]
N_COLOURS = 7
STROKES = ("", "dashed", "dotted", "dash-dot", "long-dashed", "long-dash-dot")
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 8, 30
_ASIDE = 16
"""Pixels between points of the same time."""


@dataclass(frozen=True)
class Line:
    """A line of a chart, perhaps with a band.

    Attributes
    ----------
    x, y : (N,) float array
        Its points; NaN interrupts it.
    low, high : (N,) float array, optional
        The band.
    colour : str
        A class of the style sheet.
    """

    x: FloatArray
    y: FloatArray
    low: FloatArray | None = None
    high: FloatArray | None = None
    colour: str = "ink"


def colour_of(number: int) -> str:
    """Return the class of the colour of a sample."""
    return f"s{number % N_COLOURS}"


def line_of(number: int) -> str:
    """Return the classes of the line of a sample: when colours are used up, of another stroke.

    Examples
    --------
    >>> line_of(2), line_of(9)
    ('s2', 's2 dashed')
    """
    return f"{colour_of(number)} {stroke_of(number // N_COLOURS)}".strip()


def stroke_of(number: int) -> str:
    """Return the class of a stroke."""
    return STROKES[number % len(STROKES)]


def drawn_stroke(classes: str) -> Markup:
    """Draw a piece of a line, for a legend."""
    path = el("path", d="M0 5H34", class_=f"line {classes}".strip())
    return el("svg", path, viewBox="0 0 34 10", width=34, height=10, class_="stroke")


def short(value: float) -> str:
    """Write a number with about three figures, thousands and more shortened.

    Examples
    --------
    >>> short(0.1234), short(1234), short(12345), short(2.5e6), short(float("nan"))
    ('0.123', '1234', '12.3k', '2.5M', '–')
    """
    if not math.isfinite(value):
        return "–"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def labels_of(values: Sequence[float]) -> list[str]:
    """Write numbers of an axis shortly, with as many figures as tell them apart.

    Examples
    --------
    >>> labels_of([32210, 32240]), labels_of([0, 0.5, 1])
    (['32210', '32240'], ['0', '0.5', '1'])
    """
    told = [short(value) for value in values]
    if len(set(told)) == len(told):
        return told
    return [f"{value:.12g}" for value in values]


def ticks(low: float, high: float, n: int = 4) -> list[float]:
    """Return round numbers between two others.

    Examples
    --------
    >>> ticks(0, 23), ticks(0.1, 0.42)
    ([0.0, 10.0, 20.0], [0.1, 0.2, 0.3, 0.4])
    """
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return []
    raw = span / n
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


class _Frame:
    """The axes of a chart, and where values lie in it."""

    def __init__(self, width: int, height: int, x: tuple[float, float], y: tuple[float, float]):
        self.width, self.height = width, height
        self._x, self._y = _wide(*x), _wide(*y)

    def at(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        across, up = self.width - _LEFT - _RIGHT, self.height - _TOP - _BOTTOM
        px = _LEFT + (x - self._x[0]) / (self._x[1] - self._x[0]) * across
        py = _TOP + up - (y - self._y[0]) / (self._y[1] - self._y[0]) * up
        return px, py

    def axes(
        self, x_label: str, y_label: str, x_ticks: Sequence[float] | None = None
    ) -> list[Markup]:
        made = []
        bottom = self.height - _BOTTOM
        y_ticks = ticks(*self._y, 3)
        for value, label in zip(y_ticks, labels_of(y_ticks), strict=True):
            _, py = self.at(np.zeros(1), np.array([value]))
            y = _number(py[0])
            made.append(el("path", d=f"M{_LEFT} {y}H{self.width - _RIGHT}", class_="grid"))
            made.append(el("text", label, x=_LEFT - 5, y=_number(py[0] + 3.5), class_="end"))
        across = ticks(*self._x) if x_ticks is None else x_ticks
        for value, label in zip(across, labels_of(across), strict=True):
            px, _ = self.at(np.array([value]), np.zeros(1))
            made.append(el("text", label, x=_number(px[0]), y=bottom + 13, class_="middle"))
        made.append(el("path", d=f"M{_LEFT} {bottom}H{self.width - _RIGHT}", class_="axis"))
        middle = (self.width + _LEFT - _RIGHT) / 2
        made.append(
            el("text", x_label, x=_number(middle), y=self.height - 4, class_="middle quiet")
        )
        made.append(el("title", f"{y_label} over {x_label}"))
        return made

    def svg(self, children: Sequence[Any], label: str) -> Markup:
        return el(
            "svg",
            children,
            viewBox=f"0 0 {self.width} {self.height}",
            width=self.width,
            height=self.height,
            class_="chart",
            role="img",
            aria_label=label,
        )


def _wide(low: float, high: float) -> tuple[float, float]:
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _extent(arrays: Sequence[FloatArray | None]) -> tuple[float, float]:
    known = [each[np.isfinite(each)] for each in arrays if each is not None]
    values = np.concatenate(known) if known else np.zeros(0)
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def path_of(x: FloatArray, y: FloatArray) -> str:
    """Return the path through points; those that are not finite interrupt it.

    Examples
    --------
    >>> path_of(np.array([0., 1, 2, 3]), np.array([5, 6, np.nan, 7.25]))
    'M0 5L1 6M3 7.2h0'
    """
    parts, n_in_line = [], 0
    for px, py in zip([*x.tolist(), math.nan], [*y.tolist(), math.nan], strict=True):
        if math.isfinite(px) and math.isfinite(py):
            parts.append(f"{'L' if n_in_line else 'M'}{_number(px)} {_number(py)}")
            n_in_line += 1
            continue
        if n_in_line == 1:
            parts.append("h0")  # a point alone, which its round ends show
        n_in_line = 0
    return "".join(parts)


def line_chart(
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    *,
    from_zero: bool = False,
    width: int = 420,
    height: int = 190,
    y: tuple[float, float] | None = None,
) -> Markup:
    """Draw lines with bands over a common axis.

    Parameters
    ----------
    lines : sequence of Line
        The lines.
    x_label, y_label : str
        What is drawn, with units.
    from_zero : bool
        Whether the axis begins at 0.
    width, height : int
        In pixels.
    y : tuple of float, optional
        Smallest and largest value, by default those of the lines and bands.
    """
    low, high = y or extent_of(lines)
    if from_zero:
        low, high = min(low, 0.0), high if high > 0 else 1.0
    margin = (high - low) * 0.04
    x = _extent([line.x for line in lines])
    frame = _Frame(width, height, x, (low if from_zero else low - margin, high + margin))
    if x[0] == x[1]:
        return _points(frame, lines, x[0], x_label, y_label)
    bands, strokes = [], []
    for line in lines:
        if line.low is not None and line.high is not None:
            known = np.isfinite(line.low) & np.isfinite(line.high)
            px, upper = frame.at(line.x[known], line.high[known])
            _, lower = frame.at(line.x[known], line.low[known])
            if px.size:
                around = path_of(np.r_[px, px[::-1]], np.r_[upper, lower[::-1]])
                bands.append(el("path", d=f"{around}Z", class_=f"band {line.colour}"))
        strokes.append(
            el("path", d=path_of(*frame.at(line.x, line.y)), class_=f"line {line.colour}")
        )
    drawn = [el("g", frame.axes(x_label, y_label)), bands, strokes]
    return frame.svg(drawn, f"{y_label} over {x_label}")


def _points(frame: _Frame, lines: Sequence[Line], x: float, x_label: str, y_label: str) -> Markup:
    """Draw what is known of one time alone: a point each, with its band, side by side."""
    drawn: list[Markup] = [el("g", frame.axes(x_label, y_label, [x]))]
    for i, line in enumerate(lines):
        aside = (i - (len(lines) - 1) / 2) * _ASIDE
        parts = [("point", line.y)]
        if line.low is not None and line.high is not None:
            parts.insert(0, ("span", np.r_[line.low, line.high]))
        for kind, values in parts:
            px, py = frame.at(np.full(values.size, x), values)
            drawn.append(el("path", d=path_of(px + aside, py), class_=f"line {kind} {line.colour}"))
    return frame.svg(drawn, f"{y_label} at {x_label} {short(x)}")


def histogram(
    edges: FloatArray,
    counts: FloatArray,
    x_label: str,
    y_label: str,
    *,
    width: int = 260,
    height: int = 130,
) -> Markup:
    """Draw how often values are within some limits.

    Parameters
    ----------
    edges : (N + 1,) array
        Limits of the bars.
    counts : (N,) array
        How high they are.
    x_label, y_label : str
        What is counted, with units.
    width, height : int
        In pixels.
    """
    top = float(counts.max()) if counts.size else 1.0
    ends = (float(edges[0]), float(edges[-1]))
    frame = _Frame(width, height, ends, (0, max(top, 1) * 1.05))
    parts = []
    left, _ = frame.at(edges[:-1], counts)
    right, py = frame.at(edges[1:], counts)
    bottom = height - _BOTTOM
    for x0, x1, y in zip(left.tolist(), right.tolist(), py.tolist(), strict=True):
        if y < bottom - 0.01:
            box = f"M{_number(x0 + 0.5)} {bottom}V{_number(y)}H{_number(x1 - 0.5)}V{bottom}Z"
            parts.append(el("path", d=box, class_="bar"))
    return frame.svg([el("g", frame.axes(x_label, y_label)), parts], f"{y_label} by {x_label}")


def sparkline(
    values: FloatArray, label: str, *, width: int = 108, height: int = 30, top: float | None = None
) -> Markup:
    """Draw a small line from zero, without axes; gaps stay gaps.

    Parameters
    ----------
    values : (N,) array
        What is drawn; NaN where there is nothing.
    label : str
        What it is, in words.
    width, height : int
        In pixels.
    top : float, optional
        Value at the upper edge, by default the largest.
    """
    _, high = _extent([values])
    high = max(high if top is None else top, 1e-12)
    x = np.linspace(1, width - 1, values.size) if values.size > 1 else np.full(values.size, 1.0)
    y = (height - 2) - values / high * (height - 5)
    # A point for every two pixels is all that can be seen.
    step = max(math.ceil(values.size / (width / 2)), 1)
    return el(
        "svg",
        el("path", d=f"M0 {height - 1.5}H{width}", class_="axis"),
        el("path", d=path_of(x[::step], y[::step]), class_="line ink"),
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
    )


def small_multiples(
    lines: Sequence[Line], names: Sequence[str], x_label: str, y_label: str
) -> Markup:
    """Draw each line in a small chart of its own, all with the same axes.

    Where there are more lines than colours, nobody tells them apart in one chart.

    Parameters
    ----------
    lines : sequence of Line
        The lines.
    names : sequence of str
        What each is called.
    x_label, y_label : str
        What is drawn, with units.
    """
    y = extent_of(lines)
    charts = [
        el(
            "figure",
            el("figcaption", name),
            line_chart([line], x_label, y_label, width=200, height=110, y=y),
        )
        for line, name in zip(lines, names, strict=True)
    ]
    return el("div", charts, class_="charts")


def extent_of(lines: Sequence[Line]) -> tuple[float, float]:
    """Return the smallest and the largest value of lines and bands."""
    return _extent([each for line in lines for each in (line.y, line.low, line.high)])


def legend(names: Sequence[str], numbers: Sequence[int]) -> Markup:
    """Name the colours of samples, and their strokes where colours do not suffice."""
    if max(numbers, default=0) < N_COLOURS:
        marks = [el("i", class_=f"mark {colour_of(number)}") for number in numbers]
    else:
        marks = [drawn_stroke(line_of(number)) for number in numbers]
    return el(
        "p",
        [el("span", mark, f" {name}") for mark, name in zip(marks, names, strict=True)],
        class_="legend",
    )
