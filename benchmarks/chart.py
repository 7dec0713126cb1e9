"""A bar chart as SVG: the median of each contestant, and how far its rounds lie apart.

The same figures give the same bytes, so that a page changes only where a measurement does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10
from statistics import median

WIDTH = 760
NAMES = 180
VALUES = 130
"""Room to the right of the longest bar."""
ROW = 30
BAR = 18
TOP = 40
FOOT = 14
STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.bar { fill: #8c959f } .first { fill: #0969da }
.spread { stroke: #1f2328; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .spread { stroke: #e6edf3 } .bar { fill: #6e7681 } .first { fill: #2f81f7 }
}"""


@dataclass(frozen=True)
class Bar:
    """What one contestant reached.

    Attributes:
        name: Whose it is.
        rounds: Its figure in each round; not empty.
    """

    name: str
    rounds: Sequence[float]


def bar_chart(title: str, unit: str, bars: Sequence[Bar]) -> str:
    """The chart; the first bar stands out.

    Args:
        title: What the figures are, and which way is better.
        unit: Of the figures.
        bars: From the top down.
    """
    longest = max(max(bar.rounds) for bar in bars) or 1.0
    scale = (WIDTH - NAMES - VALUES) / longest
    height = TOP + ROW * len(bars) + FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="0" y="18">{escape(title)}</text>',
    ]
    for number, bar in enumerate(bars):
        y = TOP + ROW * number
        middle = y + BAR / 2
        least, mid, most = min(bar.rounds), median(bar.rounds), max(bar.rounds)
        low, high = (NAMES + value * scale for value in (least, most))
        look = "first" if number == 0 else "bar"
        parts += [
            f'<text x="{NAMES - 10}" y="{middle + 5:g}" text-anchor="end">'
            f"{escape(bar.name)}</text>",
            f'<rect class="{look}" x="{NAMES}" y="{y}" width="{mid * scale:.1f}" height="{BAR}"/>',
            f'<path class="spread" d="M{low:.1f} {middle:g}H{high:.1f}'
            f'M{low:.1f} {middle - 4:g}v8M{high:.1f} {middle - 4:g}v8"/>',
            f'<text x="{high + 8:.1f}" y="{middle + 5:g}">{rounded(mid)} {unit}</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])


def rounded(value: float) -> str:
    """To two significant digits, or to a whole number where that is more, or all there is."""
    if value == int(value):
        return f"{value:.0f}"
    return f"{value:.{max(0, 1 - floor(log10(abs(value))))}f}"


def with_spread(rounds: Sequence[float]) -> str:
    """The median, and the least and the most of all rounds in brackets, where there are several."""
    if len(rounds) == 1:
        return rounded(rounds[0])
    return f"{rounded(median(rounds))} ({rounded(min(rounds))} to {rounded(max(rounds))})"
