"""The plot of `docs/benchmarks/results.svg`: how much of each goal was reached."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from goals import Work
from pages import goal_text, share_text
from ratios import Verdict

WIDTH, ROW = 760, 18  # pixels
LEFT, RIGHT, TOP, BOTTOM = 300, 60, 40, 30
INK, PALE, MET, SHORT = "#333", "#ddd", "#2f8f4e", "#c4541c"


def plot(found: Sequence[tuple[Work, Verdict]]) -> str:
    """A row for each goal: its share on a logarithmic scale, with the range over the rounds."""
    height = TOP + ROW * len(found) + BOTTOM
    spans = [_span(verdict) for _, verdict in found]
    low = min([0.1, *(span[0] for span in spans)])
    high = max([10.0, *(span[2] for span in spans)])

    def x(share: float) -> float:
        place = (math.log(share) - math.log(low)) / (math.log(high) - math.log(low))
        return LEFT + place * (WIDTH - LEFT - RIGHT)

    parts = [f'<text x="{LEFT}" y="16" font-size="13">Share of each goal, and its range</text>']
    bottom = height - BOTTOM
    for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1):
        at, colour = x(10**power), INK if power == 0 else PALE
        parts.append(f'<path d="M{at:.1f} {TOP - 8}V{bottom}" stroke="{colour}"/>')
        text = "met" if power == 0 else f"{10.0**power:g}"
        parts.append(f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{text}</text>')
    for number, ((work, verdict), span) in enumerate(zip(found, spans, strict=True)):
        parts.append(_row(work, verdict, TOP + ROW * number + 6, [x(share) for share in span]))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="11" fill="{INK}">\n'
        '<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _span(verdict: Verdict) -> tuple[float, float, float]:
    """The least, the median and the most of a share."""
    ends = sorted(map(verdict.goal.share, (verdict.ratio.low, verdict.ratio.high)))
    return ends[0], verdict.share, ends[1]


def _row(work: Work, verdict: Verdict, y: float, at: Sequence[float]) -> str:
    colour = MET if verdict.share >= 1 else SHORT
    name = f"{work.name} {goal_text(verdict)} {verdict.against}".rstrip()
    return (
        f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
        f'<path d="M{at[0]:.1f} {y}H{at[2]:.1f}" stroke="{colour}" stroke-width="2"/>'
        f'<circle cx="{at[1]:.1f}" cy="{y}" r="4" fill="{colour}"/>'
        f'<text x="{WIDTH - 10}" y="{y + 4}" text-anchor="end" fill="{colour}">'
        f"{share_text(verdict.share)}</text>"
    )
