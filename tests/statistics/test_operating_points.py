"""Sensitivity at a fixed specificity, against scikit-learn's ROC curve and what is true of binormal scores."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_curve

from medbench.statistics.operating_points import operating_points
from medbench.statistics.patient_scores import Cell
from medbench.statistics.pool_images_by_patient import Units


def cells_of(rng: np.random.Generator, n: int, ill: int, repeats: int = 1, shift: float = 1.5) -> dict[Cell, Units]:
    labels = (np.arange(n) < ill).astype(np.int64)
    names = np.array([f"p{i:05}" for i in range(n)])
    common, found = rng.standard_normal(n), {}
    for repeat in range(repeats):
        p = stats.norm.cdf(np.sqrt(0.8) * common + np.sqrt(0.2) * rng.standard_normal(n) + shift * labels - 0.7)
        both = np.stack([1 - p, p], axis=1)
        found[repeat, 0, 0] = Units(names, names, labels, both, both)
    return found


def test_it_is_that_of_the_roc_curve() -> None:
    cells = cells_of(np.random.default_rng(0), 300, 90)
    (units,) = cells.values()
    false, true, _ = roc_curve(units.labels, units.probabilities[:, 1], drop_intermediate=False)

    for point in operating_points(cells, 1):
        assert point.sensitivity == pytest.approx(true[false <= 1 - point.specificity + 1e-12].max())
        assert point.low < point.sensitivity < point.high
    turned = operating_points({c: Units(u.names, u.clusters, 1 - u.labels, u.probabilities[:, ::-1], u.raw)
                               for c, u in cells.items()}, 0)  # fmt: skip
    assert [p.sensitivity for p in turned] == [p.sensitivity for p in operating_points(cells, 1)]


@pytest.mark.parametrize("repeats", [1, 3])
def test_intervals_cover_what_is_true(repeats: int) -> None:
    """By 60 tables here; 1,000 of each gave what docs/explanation/for-statisticians.md says."""
    rng, hits = np.random.default_rng(repeats), []
    truth = [stats.norm.sf(stats.norm.ppf(wanted) - 1.5) for wanted in (0.90, 0.95)]
    for _ in range(60):
        points = operating_points(cells_of(rng, 400, 100, repeats), 1)
        hits.append([p.low <= true <= p.high for p, true in zip(points, truth, strict=True)])

    assert (np.mean(hits, axis=0) >= 0.88).all()


def test_all_found_is_not_certain_and_one_class_is_unknown() -> None:
    for point in operating_points(cells_of(np.random.default_rng(1), 60, 20, shift=20), 1):
        assert (point.sensitivity, point.high) == (1, 1)
        assert 0.85 < point.low < 1
    alone = cells_of(np.random.default_rng(1), 20, 20)
    assert all(np.isnan(point.sensitivity) for point in operating_points(alone, 1))
