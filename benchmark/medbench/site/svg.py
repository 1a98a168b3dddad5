"""Ranges and badges as SVG: whole numbers and fixed words only, no text of others."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from medbench.site.history import History
from medbench.statistics.verdicts import WORDS, Word

WIDTH, MARGIN = 160, 4
"""Of a drawn range, in pixels."""

Span = tuple[float, float, float]
"""Low end, gain and high end in points."""


@dataclass(frozen=True)
class PlacedRange:
    """A range in pixels from the left edge of a drawing of WIDTH.

    Attributes:
        low: Where it starts.
        at: Where the gain stands.
        high: Where it ends.
        zero: Where no gain stands.
        cut: Whether an end lies outside and the drawing stops at the edge.
    """

    low: float
    at: float
    high: float
    zero: float
    cut: bool


def axis_reach(spans: Iterable[Span | None]) -> float:
    """Return how many points a table's drawings reach to either side: all but the widest tenth of its ranges fit."""
    ends = sorted(max(abs(span[0]), abs(span[2])) for span in spans if span is not None)
    if not ends:
        return 5.0
    return max(5.0, 5.0 * math.ceil(ends[math.ceil(0.9 * len(ends)) - 1] / 5.0))


def place_range(span: Span | None, points: float) -> PlacedRange | None:
    """Place a range on an axis from minus to plus `points`; None without one."""
    if span is None:
        return None
    half = WIDTH / 2 - MARGIN

    def place(value: float) -> float:
        return round(WIDTH / 2 + half * min(1.0, max(-1.0, value / points)), 1)

    low, at, high = map(place, span)
    return PlacedRange(low, at, high, WIDTH / 2, max(abs(span[0]), abs(span[2])) > points)


_COLOURS = {"claimed": "#5c6370", "recomputed": "#1f6f50", "reproduced": "#0b5cad", "withdrawn": "#a02c2c"}


def badge(history: History) -> str:
    """Draw an entry's badge: the tier in force, with the day where it was reproduced."""
    tier = history.tier
    signed = [row.date for row in history.rows if row.event == "reproduced"]  # what follows may be anybody's
    return _badge("medbench", f"{tier} {signed[-1]}" if tier == "reproduced" else tier, _COLOURS[tier])


def badge_text(tier: str, word: Word, numbers: tuple[str, str, str, str]) -> str:
    """Say what the badge of a result says: ``medbench recomputed: +3.1 points (+0.4 to +5.8), better``.

    Args:
        tier: Of the table: claimed where it was not recomputed.
        word: Verdict as stored; "" without one.
        numbers: Of the method that stands for the table, as :class:`.order_entries.Line` has them.
    """
    gain = f"{numbers[2]} points ({numbers[3]}), " if numbers[2] and numbers[3] else ""
    return f"medbench {tier}: {gain}{WORDS[word].text if word else 'no verdict'}"


def badge_of_result(said: str, tier: str) -> str:
    """Draw the badge of a result from what :func:`badge_text` says."""
    left, _, right = said.partition(": ")
    return _badge(left, right, _COLOURS[tier])


def _badge(before: str, said: str, colour: str) -> str:
    left, right = int(6.4 * len(before)) + 14, int(6.6 * len(said)) + 14
    whole = left + right
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" '
        f'aria-label="{before}: {said}"><title>{before}: {said}</title>'
        f'<rect width="{whole}" height="20" rx="3" fill="#2b2f36"/>'
        f'<path d="M{left} 0h{right - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3H{left}z" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2:g}" y="14" textLength="{left - 14}">{before}</text>'
        f'<text x="{left + right / 2:g}" y="14" textLength="{right - 14}">{said}</text></g></svg>\n'
    )
