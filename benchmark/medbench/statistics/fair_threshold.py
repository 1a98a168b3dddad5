"""A decision threshold that is learnt alike for every method, from patients that were only watched.

Dividing probabilities by the training frequencies is Bayes' rule for the true posterior. A network that knows the few
images of a rare class by heart is surer of the common class for new ones than it should be, so that a method which
makes it less so moves the threshold, and balanced accuracy with it, without telling patients apart any better. Here one
bias a class and one slope are learnt by logistic regression in which all classes weigh the same::

    l_i     log(p_i / frequencies), of a watched patient
    loss    mean over classes of the mean of -log softmax(s * l_i + b)[label_i] over its patients
            + PENALTY / n * ((s - 1)^2 + |b|^2), n: watched patients of the rarest class

and decisions are those of softmax(s * l + b). A validation part is small, so those of all training runs of a method are
put together, but for every patient, and whoever shares a picture with one, that is tested in the run whose threshold is
learnt: no tested patient's label reaches its own threshold. Other runs that learnt from the patient predict some of the
watched; the sign of the slope could hold a trace of that, so the slope is never below :data:`LEAST_SLOPE`: a threshold
moves decisions and never turns them round. ``docs/benchmarks/fair_threshold.py --noise`` measures what is left of it.

Source:
    Platt, "Probabilistic outputs for support vector machines", Advances in Large Margin Classifiers (1999); one slope
    and a bias a class: Guo et al., "On calibration of modern neural networks", ICML 2017, arXiv 1706.04599.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from medbench.statistics.patient_scores import Cell
from medbench.statistics.pool_images_by_patient import Units

PENALTY = 0.03
"""Chosen among five by simulation: ``docs/benchmarks/fair_threshold.py``."""
SMALLEST = 1e-12
STEPS = 100
LEAST_SLOPE = 0.1
"""A few watched patients may mislead. With so small a slope the threshold is about midway between the classes' mean log
probabilities; with none at all nobody would be told apart, which no longer is a question of the threshold."""


@dataclass(frozen=True, eq=False)
class Threshold:
    """What log probabilities are multiplied by and what is added to each class's.

    Attributes:
        slope: :data:`LEAST_SLOPE` or more.
        bias: ``float64 (n_classes,)``, of sum 0.
    """

    slope: float
    bias: np.ndarray

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Return ``float64 (n, n_classes)``: probabilities by which a threshold of one half is fair."""
        return _softmax(self.slope * _logs(probabilities) + self.bias)


def learn_threshold(
    probabilities: np.ndarray, labels: np.ndarray, patients: np.ndarray, penalty: float = PENALTY
) -> Threshold | None:
    """Fit slope and biases; None where a class is missing.

    Args:
        probabilities: ``float64 (n, n_classes)``, divided by the training frequencies.
        labels: ``int64 (n,)``.
        patients: ``str (n,)``: one may have several rows, of several training runs.
        penalty: Draws the slope towards 1 and the biases towards 0.
    """
    n_classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=n_classes)
    if not counts.all():
        return None
    rarest = min(len(np.unique(patients[labels == k])) for k in range(n_classes))
    logs = _logs(probabilities)
    weights = 1.0 / (n_classes * counts[labels])
    truth = np.eye(n_classes)[labels]
    start, ridge = np.concatenate([[1.0], np.zeros(n_classes)]), 2 * max(penalty, 1e-9) / rarest

    def loss(at: np.ndarray) -> float:
        own = np.take_along_axis(_log_softmax(at[0] * logs + at[1:]), labels[:, None], 1)[:, 0]
        return float(-(weights * own).sum() + ridge / 2 * ((at - start) ** 2).sum())

    def descend(now: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Return the least over the free parameters: Newton's method with halved steps on a strictly convex loss."""
        for _ in range(STEPS):
            p = _softmax(now[0] * logs + now[1:])
            pull = weights[:, None] * (p - truth)
            gradient = (np.concatenate([[(pull * logs).sum()], pull.sum(0)]) + ridge * (now - start))[free]
            curved = (_curvature(p, logs, weights) + ridge * np.eye(n_classes + 1))[np.ix_(free, free)]
            step, before = np.zeros(n_classes + 1), loss(now)
            step[free] = np.linalg.solve(curved, gradient)
            size = 1.0
            while size > 1e-6 and loss(now - size * step) > before - 1e-4 * size * float(gradient @ step[free]):
                size /= 2
            now = now - size * step
            if np.abs(size * step).max() < 1e-9:
                break
        return now

    # Parameters: the slope, then the biases. Only differences of biases count; the penalty makes their sum 0.
    now = descend(start, np.arange(n_classes + 1))
    if now[0] < LEAST_SLOPE:  # the loss is convex, so the least with a larger slope has this one
        now = descend(np.concatenate([[LEAST_SLOPE], now[1:]]), np.arange(1, n_classes + 1))
    return Threshold(float(now[0]), now[1:] - now[1:].mean())


def at_fair_thresholds(
    tested: Mapping[Cell, Units], watched: Mapping[Cell, Units], penalty: float = PENALTY
) -> dict[Cell, Units]:
    """Return the units of every training run with probabilities whose likeliest class is a fair decision.

    Args:
        tested: Units of the test part by training run.
        watched: Units of the validation part of the same training runs.
        penalty: As for :func:`learn_threshold`.

    Returns:
        Units; empty where one threshold cannot be learnt, since a class is missing among those watched.
    """
    if not watched:
        return {}
    every = [watched[cell] for cell in sorted(watched)]
    probabilities = np.concatenate([u.probabilities for u in every])
    labels, patients = (np.concatenate([getattr(u, name) for u in every]) for name in ("labels", "clusters"))
    frequencies = [u.frequencies for u in tested.values() if u.frequencies is not None]
    mean = np.mean(frequencies, axis=0) if frequencies else None
    known: dict[bytes, Threshold | None] = {}  # training runs that were tested on the same patients
    found = {}
    for cell, units in tested.items():
        left_out = np.unique(units.clusters)
        key = left_out.tobytes()
        if key not in known:
            kept = ~np.isin(patients, left_out)
            known[key] = learn_threshold(probabilities[kept], labels[kept], patients[kept], penalty)
        threshold = known[key]
        if threshold is None:
            return {}
        found[cell] = _decided_by(threshold, units, mean)
    return found


def _decided_by(threshold: Threshold, units: Units, mean: np.ndarray | None) -> Units:
    """Return units with fair probabilities; their frequencies are relative to the mean ones, as slopes differ."""
    p = threshold.apply(units.probabilities)
    if len(p) and np.ptp(units.probabilities, axis=0).max() < SMALLEST:  # the same for everybody
        p = np.full_like(p, 1 / p.shape[1])
    frequencies = None
    if units.frequencies is not None and mean is not None:
        relative = np.divide(units.frequencies, mean, out=np.ones_like(mean), where=mean > 0)
        frequencies = relative**threshold.slope
    return replace(units, probabilities=p, frequencies=frequencies)


def _curvature(p: np.ndarray, logs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the second derivative of the loss without its penalty: ``float64 (1 + n_classes, 1 + n_classes)``."""
    weighted = weights[:, None] * p
    mean = (p * logs).sum(1)
    of_slope = (weighted * logs**2).sum() - (weights * mean**2).sum()
    of_both = (weighted * (logs - mean[:, None])).sum(0)
    of_bias = np.diag(weighted.sum(0)) - weighted.T @ p
    return np.block([[np.array([[of_slope]]), of_both[None]], [of_both[:, None], of_bias]])


def _logs(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(np.maximum(probabilities, SMALLEST)))


def _log_softmax(values: np.ndarray) -> np.ndarray:
    shifted = values - values.max(1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))


def _softmax(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(_log_softmax(values)))
