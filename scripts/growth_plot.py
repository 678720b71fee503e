"""The table and the plot of what `growth.py` has measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Figures = dict[str, Any]

BEGIN, END = "<!-- growth -->", "<!-- /growth -->"
WIDTH, HEIGHT = 330, 250  # of a panel, in pixels
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 34, 40
INK, PALE, COLOURS = "#333", "#ddd", ("#1f6fb2", "#c4541c", "#2f8f4e")

ROWS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("connections that a node has made", lambda f: f"{f['links']:.1f}"),
    ("messages that an idle node sends, in a second", lambda f: f"{f['messages']:.1f}"),
    ("their bytes", lambda f: f"{f['bytes']:.0f}"),
    ("steps of a new name to the last node", lambda f: f"{f['name_hops']}"),
    ("steps of a death to the last node", lambda f: f"{f['killed_hops']}"),
    ("a killed process is declared dead after", lambda f: f"{f['killed_seconds']:.2f} s"),
    ("a silent machine is declared dead after", lambda f: f"{f['silent_seconds']:.2f} s"),
    ("and all know it after", lambda f: f"{f['silent_all_seconds']:.2f} s"),
    ("a new node is known to all after", lambda f: f"{f['joined_seconds'] * 1000:.0f} ms"),
    ("bytes that each node sends for it", lambda f: f"{f['joined_bytes'] / f['nodes']:.0f}"),
)


def table(figures: Sequence[Figures], together: Figures) -> str:
    """The figures as a table of Markdown, and a sentence on nodes that start at once."""
    head = " | ".join(f"{f['nodes']:,} nodes".replace(",", " ") for f in figures)
    lines = [f"| | {head} |", "| --- |" + " ---: |" * len(figures)]
    lines += [f"| {what} | {' | '.join(map(say, figures))} |" for what, say in ROWS]
    count = together["nodes"]
    messages, kilobytes = together["messages"] / count, together["bytes"] / count / 1_000
    lines += [
        "",
        f"{count} nodes that start at once know each other after {together['seconds']:.2f} s.",
        f"Each sends {messages:.0f} messages and {kilobytes:.0f} kB for that.",
    ]
    return "\n".join(lines)


def with_table(page: str, new: str) -> str:
    """A page with another table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


def plot(figures: Sequence[Figures]) -> str:
    """Two panels of SVG: what a node sends, and how far news go."""
    cost = {
        "messages/s": [f["messages"] for f in figures],
        "100 bytes/s": [f["bytes"] / 100 for f in figures],
        "connections": [f["links"] for f in figures],
    }
    steps = {
        "a new name": [f["name_hops"] for f in figures],
        "a death": [f["killed_hops"] for f in figures],
        "log\u2082 of the nodes": [math.log2(f["nodes"]) for f in figures],
    }
    nodes = [f["nodes"] for f in figures]
    panels = _panel("What an idle node costs", nodes, cost, 0)
    panels += _panel("Steps of news to the last node", nodes, steps, WIDTH)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="11" fill="{INK}">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n{panels}</svg>\n'
    )


def _panel(title: str, nodes: Sequence[int], lines: dict[str, list[float]], left: int) -> str:
    """One panel: sizes on a logarithmic scale to the right, figures upwards from 0."""
    most = max(max(values) for values in lines.values()) * 1.1
    low, high = math.log(min(nodes)), math.log(max(nodes))

    def x(count: float) -> float:
        share = (math.log(count) - low) / ((high - low) or 1.0)
        return left + LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - value / most * (HEIGHT - TOP - BOTTOM)

    parts = [f'<text x="{left + LEFT}" y="18" font-size="13">{title}</text>']
    parts += [
        f'<path d="M{left + LEFT} {y(value):.1f}H{left + WIDTH - RIGHT}" stroke="{PALE}"/>'
        f'<text x="{left + LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value}</text>'
        for value in range(0, int(most) + 1, max(1, int(most) // 4))
    ]
    for count in nodes:
        at = f'x="{x(count):.1f}" y="{HEIGHT - BOTTOM + 16}"'
        parts.append(f'<text {at} text-anchor="middle">{count}</text>')
    for number, (name, values) in enumerate(lines.items()):
        points = [(x(count), y(value)) for count, value in zip(nodes, values, strict=True)]
        path = "L".join(f"{at:.1f} {up:.1f}" for at, up in points)
        colour, row = COLOURS[number], f'y="{HEIGHT - 6}"'
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{u:.1f}" r="3" fill="{colour}"/>' for a, u in points]
        parts.append(f'<text x="{left + 20 + 105 * number}" {row} fill="{colour}">{name}</text>')
    return "\n".join(parts) + "\n"
