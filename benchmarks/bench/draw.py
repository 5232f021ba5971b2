"""The picture of the results: bars, drawn by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from bench.cold import PLACES
from bench.contenders import CONTENDERS
from bench.curve import SERIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

WIDTH = 760
NAMES = 300
"""Pixels that the names at the left take."""

BAR, GAP = 12, 5
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 14px }
  .small, .value { fill: #57606a; font-size: 11px }
  .ours { fill: #0969da } .peer { fill: #afb8c1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small, .value { fill: #9198a1 }
    .ours { fill: #4493f8 } .peer { fill: #656c76 }
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
    page.title("A live token in a fresh process, by processor time, Python's own start included")
    most = 1000 * max(cost["cpu"] for cost in costs.values())
    for place, where in PLACES.items():
        page.y += 14
        page.text(8, page.y, where, "small")
        page.y += 5
        rows = [
            (each.label, 1000 * costs[name]["cpu"], each.ours)
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


def _curve(page: Page, series: Mapping[str, Any]) -> None:
    page.title("A stampede: milliseconds from the first process served to the last")
    page.y += 6
    rows = [
        (f"{label}, {count} processes", 1000 * cost["spread"], program == "library")
        for name, (label, program, dead) in SERIES.items()
        if not dead
        for count, cost in series[name].items()
    ]
    page.bars(rows, max(row[1] for row in rows), "ms")
