"""The table and the plot of what `growth.py` has measured."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent / "benchmarks"))

from curves import Panel, sheet

Figures = dict[str, Any]

BEGIN, END = "<!-- growth -->", "<!-- /growth -->"
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
    titles = {"What an idle node costs": cost, "Steps of news to the last node": steps}
    return sheet([_panel(title, nodes, lines) for title, lines in titles.items()])


def _panel(title: str, nodes: Sequence[int], lines: dict[str, list[float]]) -> Panel:
    """One panel; each figure was measured once, so it has no range."""
    curves = {
        name: [(count, value, value, value) for count, value in zip(nodes, values, strict=True)]
        for name, values in lines.items()
    }
    return Panel(title, "nodes", curves, "{:g}".format)
