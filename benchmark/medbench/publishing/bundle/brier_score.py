"""The Brier score in bundles has the sign that tables print: above 0, and lower is better.

Every metric inside medbench is higher for better, so the metric ``brier`` is minus the score. Older bundles hold it
under that name, newer ones hold ``brier-score``; both are verified.
"""

from __future__ import annotations

from collections.abc import Mapping

METRIC = "brier"
SCORE = "brier-score"


def with_positive_brier(metrics: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return the metrics of a training run, each higher for better, as a bundle holds them."""
    return _negate(metrics, METRIC, SCORE)


def with_negative_brier(metrics: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return the metrics that a bundle of any version holds, each higher for better as they are computed."""
    return _negate(metrics, SCORE, METRIC)


def _negate(metrics: Mapping[str, float | None], old: str, new: str) -> dict[str, float | None]:
    """Rename and negate one metric; where both names occur, a plugin has a metric of that name, and all stay."""
    if old not in metrics or new in metrics:
        return dict(metrics)
    value = metrics[old]
    return {**{name: number for name, number in metrics.items() if name != old}, new: None if value is None else -value}
