"""Gains with their intervals as small bars inside a page: numbers in fixed places, no text of others."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

Span = tuple[float, float, float]
"""Low end, gain and high end in points."""
WIDTH, HEIGHT = 120, 16
LEAST = 5.0
"""Points that a scale reaches at least, to either side."""


def reach(spans: Iterable[Span | None]) -> float:
    """Return how many points a scale needs to either side of 0."""
    ends = [abs(end) for span in spans if span is not None for end in span if isfinite(end)]
    return max([LEAST, *ends])


def bar(span: Span, points: float, band: float) -> str:
    """Draw an interval as an SVG element on a scale from minus to plus `points`.

    Args:
        span: What is drawn; an end that is not finite lies on the edge.
        points: As :func:`reach` gives it.
        band: Points on both sides of 0 that are not relevant.
    """
    low, gain, high = (_place(end, points) for end in span)
    start, end = _place(-band, points), _place(band, points)
    middle = HEIGHT // 2
    return (
        f'<svg class="bar" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" aria-hidden="true" '
        f'focusable="false"><path class="band" d="M{start:g} 0H{end:g}V{HEIGHT}H{start:g}z"></path>'
        f'<path class="zero" d="M{WIDTH / 2:g} 0v{HEIGHT}"></path>'
        f'<path class="span" d="M{low:g} {middle}H{high:g}"></path>'
        f'<circle cx="{gain:g}" cy="{middle}" r="3.5"></circle></svg>'
    )


def _place(value: float, points: float) -> float:
    half = WIDTH / 2 - 4
    return round(WIDTH / 2 + half * min(1.0, max(-1.0, value / points)), 1)
