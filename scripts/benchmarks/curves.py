"""Panels of curves as one SVG: numbers on a logarithmic scale to the right, figures upwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 340, 250  # of a panel, in pixels
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 34, 44
INK, PALE, COLOURS = "#333", "#ddd", ("#1f6fb2", "#c4541c", "#2f8f4e")
MOST_LINES = 6  # across a panel
DECADES = 2  # between the least and the most: from here on the scale is logarithmic

Point = tuple[float, float, float, float]
"""A number; the median of its figures, the least and the most."""


@dataclass(frozen=True)
class Panel:
    """One plot of a page.

    Attributes:
        title: What it shows.
        along: What the numbers are.
        curves: Points by the name of the curve.
        say: How a figure is written.
        number: How a number is written.
    """

    title: str
    along: str
    curves: Mapping[str, Sequence[Point]]
    say: Callable[[float], str]
    number: Callable[[float], str] = "{:g}".format

    @property
    def points(self) -> list[Point]:
        """Those of all curves."""
        return [point for curve in self.curves.values() for point in curve]


def sheet(panels: Sequence[Panel], columns: int = 2) -> str:
    """All panels, in rows of so many."""
    rows = math.ceil(len(panels) / columns)
    drawn = "".join(
        f'<g transform="translate({WIDTH * (place % columns)} {HEIGHT * (place // columns)})">\n'
        f"{_panel(panel)}\n</g>\n"
        for place, panel in enumerate(panels)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 0 {columns * WIDTH} {rows * HEIGHT}" '
        f'font-family="sans-serif" font-size="11" fill="{INK}">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n{drawn}</svg>\n'
    )


def _panel(panel: Panel) -> str:
    x = _along([number for number, *_ in panel.points])
    y, lines = _upwards([high for *_, high in panel.points], [p[2] for p in panel.points])
    bottom = HEIGHT - BOTTOM
    parts = [f'<text x="{LEFT}" y="18" font-size="13">{escape(panel.title)}</text>']
    parts += [
        f'<path d="M{LEFT} {y(at):.1f}H{WIDTH - RIGHT}" stroke="{PALE}"/>'
        f'<text x="{LEFT - 6}" y="{y(at) + 4:.1f}" text-anchor="end">{panel.say(at)}</text>'
        for at in lines
    ]
    for number in sorted({number for number, *_ in panel.points}):
        at = f'x="{x(number):.1f}" y="{bottom + 15}"'
        parts.append(f'<text {at} text-anchor="middle">{panel.number(number)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{bottom + 28}" text-anchor="middle">{escape(panel.along)}</text>'
    )
    for place, (name, points) in enumerate(panel.curves.items()):
        colour = COLOURS[place]
        path = "L".join(f"{x(n):.1f} {y(median):.1f}" for n, median, *_ in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<path d="M{x(n):.1f} {y(low):.1f}V{y(high):.1f}" stroke="{colour}"/>'
            f'<circle cx="{x(n):.1f}" cy="{y(median):.1f}" r="3" fill="{colour}"/>'
            for n, median, low, high in points
        ]
        if len(panel.curves) > 1:
            at = f'x="{20 + 105 * place}" y="{HEIGHT - 3}"'
            parts.append(f'<text {at} fill="{colour}">{escape(name)}</text>')
    return "\n".join(parts)


def _along(numbers: Sequence[float]) -> Callable[[float], float]:
    low, high = math.log(min(numbers)), math.log(max(numbers))
    room = WIDTH - LEFT - RIGHT - 20
    return lambda number: LEFT + 10 + (math.log(number) - low) / ((high - low) or 1.0) * room


def _upwards(
    highs: Sequence[float], lows: Sequence[float]
) -> tuple[Callable[[float], float], list[float]]:
    """The scale of figures, and where lines are drawn: from 0, or by powers of ten."""
    room, bottom = HEIGHT - TOP - BOTTOM, HEIGHT - BOTTOM
    low, high = math.log10(min(lows)), math.log10(max(highs))
    if high - low >= DECADES:
        first, last = math.floor(low), math.ceil(high)
        return (
            lambda value: bottom - (math.log10(value) - first) / (last - first) * room,
            [10.0**power for power in range(first, last + 1)],
        )
    most = max(highs) * 1.08
    step = 10.0 ** math.floor(math.log10(most))
    step = next(
        step * part for part in (0.1, 0.2, 0.25, 0.5, 1.0) if most / (step * part) <= MOST_LINES
    )
    lines = [step * count for count in range(int(most / step) + 1)]
    return (lambda value: bottom - value / most * room), lines
