"""Selection of synthetic rows by a judge's class probabilities: rules, and drawing more rows until enough pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

import medbench
from medbench_plugins.selection.judges import Judge

RuleName = Literal["threshold", "top", "quantile"]


@dataclass(frozen=True)
class Rule:
    """Which rows pass, and how many are drawn at most to find enough.

    Attributes:
        rule: "threshold" passes a probability of the requested class of at least `threshold`; "top" the best `keep` of
            all rows; "quantile" the best `keep` of each class.
        threshold: 0 to 1.
        keep: Above 0, at most 1.
        pool: Rows drawn for each requested row, at most.
    """

    rule: RuleName
    threshold: float
    keep: float
    pool: int

    def passes(self, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return which rows pass.

        Args:
            scores: ``float64 (m,)`` probability of the class that each row was drawn for.
            labels: ``int64 (m,)`` that class.

        Returns:
            ``bool (m,)``. Of equal scores the row drawn first is the better one.
        """
        if self.rule == "threshold":
            return scores >= self.threshold
        groups = np.zeros_like(labels) if self.rule == "top" else labels
        passed = np.zeros(len(scores), dtype=bool)
        for group in np.unique(groups):
            rows = np.flatnonzero(groups == group)
            n = int(self.keep * len(rows) + 1e-9)  # 0.07 of 100 is 7, whatever binary fractions say
            passed[rows[np.argsort(-scores[rows], kind="stable")[:n]]] = True
        return passed


@dataclass(frozen=True, eq=False)
class Selection:
    """Selected rows, and how many were drawn for them.

    Attributes:
        x: ``(n, ...)`` one row a requested label, in the dtype and shape of the sampler's.
        candidates: ``int64 (n_classes,)`` rows drawn.
        passed: ``int64 (n_classes,)`` of these, the ones that passed.
        fallback: ``int64 (n_classes,)`` rows of `x` that did not pass, since too few did.
    """

    x: np.ndarray
    candidates: np.ndarray
    passed: np.ndarray
    fallback: np.ndarray


def draw_selected(
    sampler: medbench.Sampler,
    judge: Judge,
    rule: Rule,
    labels: np.ndarray,
    seed: int,
    *,
    n_classes: int,
    report: Callable[[], None] = lambda: None,
) -> Selection:
    """Draw rows, judge them, and draw again for every class that has too few, `rule.pool` rounds at most.

    A round draws as many rows of a class as are requested of it. The first round is the sampler's own draw: where every
    row passes, the result is that draw, bit for bit.

    Args:
        sampler: Draws the rows.
        judge: Gives each its probability of the class it was drawn for.
        rule: What passes.
        labels: ``int64 (n,)`` requested classes.
        seed: The same seed gives the same rows.
        n_classes: Length of the counts.
        report: Called after each round.

    Returns:
        Of each class the rows that passed, in the order drawn; where too few did, then the best of the others.
    """
    labels = np.asarray(labels, dtype=np.int64)
    requested = np.bincount(labels, minlength=n_classes)
    x, drawn, scores = sampler.sample(labels, seed), labels, np.empty(0)
    passed = np.zeros(0, dtype=bool)
    for turn in range(rule.pool):
        if turn:
            lacking = np.bincount(drawn[passed], minlength=n_classes) < requested
            if not lacking.any():
                break
            again = labels[lacking[labels]]
            x = np.concatenate([x, sampler.sample(again, _derive_seed(seed, turn))])
            drawn = np.concatenate([drawn, again])
        fresh = slice(len(scores), None)
        probabilities = judge.class_probabilities(x[fresh])
        scores = np.concatenate([scores, probabilities[np.arange(len(probabilities)), drawn[fresh]]])
        passed = rule.passes(scores, drawn)
        report()
    rows = np.empty(len(labels), dtype=np.int64)
    for label in range(n_classes):
        rows[labels == label] = choose_rows(scores, passed, np.flatnonzero(drawn == label), int(requested[label]))
    n_passed = np.bincount(drawn[passed], minlength=n_classes)
    candidates = np.bincount(drawn, minlength=n_classes)
    return Selection(x[rows], candidates, n_passed, np.maximum(requested - n_passed, 0))


def choose_rows(scores: np.ndarray, passed: np.ndarray, rows: np.ndarray, requested: int) -> np.ndarray:
    """Choose `requested` of the candidates `rows`: those that passed, as they come; then the best of the others.

    As they come, not best first: the best of those that pass would be nearer to a prototype than the rule asks for.

    Args:
        scores: ``float64 (m,)`` of all candidates.
        passed: ``bool (m,)`` of all candidates.
        rows: ``int64 (k,)`` the candidates to choose from, k >= requested, in the order drawn.
        requested: How many.

    Returns:
        ``int64 (requested,)`` in the order drawn.
    """
    good, others = rows[passed[rows]], rows[~passed[rows]]
    best = others[np.argsort(-scores[others], kind="stable")]
    return np.sort(np.concatenate([good, best])[:requested])


def _derive_seed(seed: int, turn: int) -> int:
    return int(np.random.SeedSequence([seed, turn]).generate_state(1, np.uint64)[0]) >> 1
