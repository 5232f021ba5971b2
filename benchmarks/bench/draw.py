"""The picture of the results, for the README: bars and a curve, drawn by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from xml.sax.saxutils import escape

from bench.cold import PLACES
from bench.contenders import CONTENDERS
from bench.curve import COUNTS, MOST_SECONDS, SERIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WIDTH = 760
NAMES = 300
"""Pixels that the names at the left take."""

BAR, GAP = 12, 5
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 14px }
  .small, .value { fill: #57606a; font-size: 11px }
  .ours { fill: #0969da } .peer { fill: #afb8c1 }
  .line { fill: none; stroke: #0969da; stroke-width: 2 }
  .second { stroke: #bc4c00 } .third { stroke: #8c959f }
  .limit { fill: none; stroke: #8c959f; stroke-dasharray: 4 3 } .axis { stroke: #d0d7de }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small, .value { fill: #9198a1 }
    .ours { fill: #4493f8 } .peer { fill: #656c76 }
    .line { stroke: #4493f8 } .second { stroke: #db6d28 } .third { stroke: #9198a1 }
    .limit { stroke: #9198a1 } .axis { stroke: #3d444d }
  }
"""


class Page:
    """A page that grows downwards."""

    def __init__(self) -> None:
        """Begin empty."""
        self.y = 0
        self._parts: list[str] = []

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> None:
        """Write."""
        mark = f' class="{kind}"' if kind else ""
        place = f'x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"'
        self._parts.append(f"<text {place}{mark}>{escape(words)}</text>")

    def draw(self, shape: str) -> None:
        """Add a shape."""
        self._parts.append(shape)

    def title(self, words: str) -> None:
        """Begin a part."""
        self.y += 28
        self.text(8, self.y, words, "title")
        self.y += 8

    def bars(self, rows: Iterable[tuple[str, float, bool]], most: float, unit: str) -> None:
        """Draw a bar for each name and amount; ours stand out."""
        for name, amount, ours in rows:
            length = max((WIDTH - NAMES - 70) * amount / most, 1)
            base = self.y + BAR - 2
            self.text(NAMES - 6, base, name, "", "end")
            kind = "ours" if ours else "peer"
            place = f'x="{NAMES}" y="{self.y}" width="{length:.1f}" height="{BAR}"'
            self.draw(f'<rect {place} rx="2" class="{kind}"/>')
            self.text(NAMES + length + 5, base, f"{amount:,.0f} {unit}", "value")
            self.y += BAR + GAP

    def done(self) -> str:
        """Return the picture."""
        size = f'width="{WIDTH}" height="{self.y + 12}" viewBox="0 0 {WIDTH} {self.y + 12}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
        title = "<title>What a live token costs with betfair_session and beside it</title>"
        return "\n".join([head, title, f"<style>{STYLE}</style>", *self._parts, "</svg>", ""])


def picture(figures: Mapping[str, Any]) -> str:
    """Draw what was measured.

    Args:
        figures: of the parts "cold", "hot" and "curve", as far as they are there.

    Returns:
        The SVG's text.
    """
    page = Page()
    if "cold" in figures:
        _cold(page, figures["cold"]["costs"])
    if "hot" in figures:
        _hot(page, figures["hot"]["ns"])
    if "curve" in figures:
        _curve(page, figures["curve"]["series"])
    return page.done()


def _cold(page: Page, costs: Mapping[str, Any]) -> None:
    page.title("A live token in a fresh process, Python's own start included")
    most = 1000 * max(cost["seconds"] for cost in costs.values())
    for place, where in PLACES.items():
        page.y += 14
        page.text(8, page.y, where, "small")
        page.y += 5
        rows = [
            (each.label, 1000 * costs[name]["seconds"], each.ours)
            for name, each in CONTENDERS.items()
            if each.place == place
        ]
        page.bars(rows, most, "ms")


def _hot(page: Page, ns: Mapping[str, float]) -> None:
    page.title("A call while the token is trusted")
    page.y += 6
    names = {
        "token": "session.token()",
        "get_session": "manager.get_session(store, key)",
        "token by hand": "dictionary and clock",
        "dogpile get": "dogpile.cache, get",
        "dogpile get_or_create": "dogpile.cache, get_or_create",
    }
    rows = [(name, ns[key], "(" in name) for key, name in names.items()]
    page.bars(rows, max(ns.values()), "ns")


@dataclass(frozen=True)
class Plot:
    """Where a crowd's size and seconds lie on the page.

    Attributes:
        top: of the plot, pixels.
        most: the seconds at its upper end.
    """

    top: float
    most: float
    left: ClassVar[int] = 60
    right: ClassVar[int] = WIDTH - 270
    height: ClassVar[int] = 150

    def across(self, number: int) -> float:
        """Return the place of the crowd that is the n-th in size."""
        return self.left + (self.right - self.left) * number / (len(COUNTS) - 1)

    def up(self, seconds: float) -> float:
        """Return the place of an amount of time."""
        return self.top + self.height * (1 - seconds / self.most)

    def axes(self, page: Page) -> None:
        """Draw what the curves are read by."""
        for second in range(int(self.most) + 1):
            y = self.up(second)
            _line(page, [(self.left, y), (self.right, y)], "axis")
            page.text(self.left - 8, y + 4, f"{second} s", "small", "end")
        for number, count in enumerate(COUNTS):
            words = f"{count} processes"
            page.text(self.across(number), self.up(0) + 16, words, "small", "middle")


def _curve(page: Page, series: Mapping[str, Any]) -> None:
    page.title("A stampede: seconds from the first process served to the last")
    spreads = {
        name: [series[name][str(count)]["spread"] for count in COUNTS]
        for name in ("local", "s3", "dogpile")
    }
    plot = Plot(page.y + 12, 1.1 * max(MOST_SECONDS["s3"], *map(max, spreads.values())))
    plot.axes(page)
    lines = [
        (
            SERIES[name][0],
            kind,
            [(plot.across(n), plot.up(spread)) for n, spread in enumerate(each)],
        )
        for (name, each), kind in zip(
            spreads.items(), ("line", "line second", "line third"), strict=True
        )
    ]
    limit = plot.up(MOST_SECONDS["s3"])
    lines.append(("one login and a pause", "limit", [(plot.left, limit), (plot.right, limit)]))
    for number, (name, kind, points) in enumerate(lines):
        y = plot.top + 20 + 20 * number
        _line(page, points, kind)
        _line(page, [(plot.right + 16, y - 4), (plot.right + 40, y - 4)], kind)
        page.text(plot.right + 46, y, name, "small")
    page.y = round(plot.up(0)) + 22


def _line(page: Page, points: Sequence[tuple[float, float]], kind: str) -> None:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    page.draw(f'<polyline points="{path}" class="{kind}"/>')
