"""Simulated patients, and methods none of which is better than another: what ``simulated_null.py`` makes tables of.

Every method is a learner of equal skill on features of images: weighted least squares, or small networks of one hidden
layer that start from weights all methods of a training run share, as in the product.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medbench.statistics.patient_scores import Cell
from medbench.trial.trial import Predictions

FEATURES = 10
HIDDEN, STEPS = 8, 60
WATCHED = 10
"""One training patient in so many is only watched, where thresholds are learnt."""
NULLS = ("two", "same", "luck")

OfCells = dict[Cell, Predictions]


@dataclass(frozen=True, eq=False)
class Images:
    """Images of simulated patients.

    Attributes:
        owner: ``int64 (images,)``: patient of each.
        labels: ``int64 (images,)``, 0 or 1.
        elsewhere: ``bool (images,)``: from another hospital, where features are worth less.
    """

    owner: np.ndarray
    labels: np.ndarray
    elsewhere: np.ndarray

    def draw(self, rng: np.random.Generator, width: int, shift: float) -> np.ndarray:
        """Draw features, ``float64 (images, width)``: half of their variance is the patient's."""
        n = int(self.owner.max()) + 1
        of_images = rng.standard_normal((n, width))[self.owner] + rng.standard_normal((len(self.owner), width))
        spread, distance = np.where(self.elsewhere, 1.5, 1.0), np.where(self.elsewhere, 0.6, 1.0)
        moved = 0.5 * self.elsewhere  # all features are brighter there, which moves every decision
        return (
            of_images / 2**0.5 * spread[:, None]
            + (shift * distance * self.labels)[:, None]
            + moved[:, None]
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Simulated:
    """What every method predicts, the root first.

    Attributes:
        tested: By training run.
        watched: The same of the patients that were only watched; empty unless they are asked for.
        corrupted: By corruption, then by method.
    """

    tested: Sequence[OfCells]
    watched: Sequence[OfCells]
    corrupted: Sequence[Sequence[OfCells]]


@dataclass(frozen=True, eq=False)
class Parts:
    """Which images each training run learns from, watches and is tested on: ``bool (trainings, images)`` each."""

    cells: Sequence[Cell]
    learnt: np.ndarray
    watched: np.ndarray
    tested: np.ndarray


def simulate(rng: np.random.Generator, asked: argparse.Namespace, null: str, patients: int) -> Simulated:
    """Draw patients and let every method learn; the true gain of each is 0.

    An official cut trains each repeat on other `patients` of a pool `asked.pool` times as large, disjoint ones as long
    as there are some, and tests on `asked.test` further ones, with `asked.external` of another hospital.
    """
    pool = patients if asked.folds > 1 else round(asked.pool * patients)
    n = pool if asked.folds > 1 else pool + asked.test
    rare = np.zeros(n, dtype=np.int64)
    for start, stop in ((0, pool), (pool, n)):
        share = 0.4 if asked.external and start else asked.prevalence
        rare[start : start + round(share * (stop - start))] = 1
    owner = np.repeat(np.arange(n), rng.integers(1, asked.images + 1, n))
    labels = rare[owner]
    if asked.mixed:
        labels = np.where(rng.random(len(owner)) < 0.15, 1 - labels, labels)
    images = Images(owner, labels, (owner >= pool) & bool(asked.external))
    n_own = round(FEATURES * asked.own) if null == "two" else 0
    shared = images.draw(rng, FEATURES - n_own, asked.shift)
    parts = _parts(rng, rare, owner, pool, asked)
    common = rng.standard_normal(parts.learnt.shape)
    networks = asked.learner == "network"
    start = rng.standard_normal((len(parts.cells), FEATURES + 2, HIDDEN)) if networks else np.empty(0)
    clouds = [rng.standard_normal((len(owner), FEATURES - n_own)) for _ in range(asked.corruptions)]
    tell = {"tested": _Teller(images, parts.tested), "watched": _Teller(images, parts.watched)}
    tested, watched, corrupted = list[OfCells](), list[OfCells](), [list[OfCells]() for _ in clouds]
    ones = np.ones((len(owner), 1))
    for _ in range(asked.arms + 1):
        own = images.draw(rng, n_own, asked.shift)
        weights = _weights(rng, parts.learnt, labels, common, asked, null)
        x = np.concatenate([shared, own, ones], axis=1)
        predict = train_networks(x, labels, weights, start) if networks else fit(x, labels, weights)
        logits = predict(x)
        tested.append(tell["tested"].predictions(parts.cells, logits))
        if asked.fair:
            watched.append(tell["watched"].predictions(parts.cells, logits))
        for of_kind, cloud in zip(corrupted, clouds, strict=True):
            seen = [shared + cloud, own + rng.standard_normal(own.shape), ones]
            of_kind.append(tell["tested"].predictions(parts.cells, predict(np.concatenate(seen, axis=1))))
    return Simulated(tested, watched, corrupted)


class _Teller:
    """Predictions of parts of the images; parts of the same images share the arrays of names."""

    def __init__(self, images: Images, parts: np.ndarray) -> None:
        names = np.array([f"i{i:06d}" for i in range(len(images.owner))])
        persons = np.array([f"p{i:05d}" for i in range(int(images.owner.max()) + 1)])[images.owner]
        known: dict[bytes, tuple[np.ndarray, ...]] = {}
        self.of_parts = []
        for part in parts:
            rows = np.flatnonzero(part)
            made = known.setdefault(rows.tobytes(), (rows, names[rows], persons[rows], images.labels[rows]))
            self.of_parts.append(made)

    def predictions(self, cells: Sequence[Cell], logits: np.ndarray) -> OfCells:
        """Return what was predicted by each training run of ``float64 (trainings, images)`` logits."""
        return {
            cell: Predictions(names, persons, labels, _probabilities(of_cell[rows]))
            for cell, of_cell, (rows, names, persons, labels) in zip(cells, logits, self.of_parts, strict=True)
        }


def _parts(
    rng: np.random.Generator, rare: np.ndarray, owner: np.ndarray, pool: int, asked: argparse.Namespace
) -> Parts:
    cells = [(r, f, s) for r in range(asked.repeats) for f in range(asked.folds) for s in range(asked.seeds)]
    dealt = (_folds_of if asked.folds > 1 else _draws_of)(rng, rare, pool, asked)  # (repeats, patients)
    tested = np.stack([dealt[r] == f for r, f, _ in cells])
    learnt = np.stack([(dealt[r] != f) & (dealt[r] >= 0) for r, f, _ in cells])
    watched = np.zeros_like(learnt)
    for r in range(len(cells)) if asked.fair else ():
        for k in (0, 1):
            members = rng.permutation(np.flatnonzero(learnt[r] & (rare == k)))
            watched[r, members[: max(1, round(len(members) / WATCHED))]] = True
    return Parts(cells, (learnt & ~watched)[:, owner], watched[:, owner], tested[:, owner])


def _weights(
    rng: np.random.Generator, learnt: np.ndarray, labels: np.ndarray, common: np.ndarray, asked: argparse.Namespace,
    null: str,
) -> np.ndarray:  # fmt: skip
    """Return ``float64 (trainings, images)``: how much each image weighs, 1 for both classes together and each."""
    weights = learnt.astype(np.float64)
    if null != "two":
        own = rng.standard_normal(learnt.shape)
        bad = rng.random((len(learnt), 1)) < 0.25
        noise = asked.noise * (np.where(bad, 3.0, 0.5) if null == "luck" else 1.0)
        weights *= np.exp(noise * ((1 - asked.own) ** 0.5 * common + asked.own**0.5 * own))
    for k in (0, 1):  # both classes weigh alike
        weights[:, labels == k] /= weights[:, labels == k].sum(1, keepdims=True)
    return weights


def _folds_of(rng: np.random.Generator, rare: np.ndarray, pool: int, asked: argparse.Namespace) -> np.ndarray:
    """Deal patients into folds by class, anew each repeat; return ``int64 (repeats, patients)``."""
    fold = np.zeros((asked.repeats, len(rare)), dtype=np.int64)
    for of_repeat in fold:
        for k in (0, 1):
            members = rng.permutation(np.flatnonzero(rare[:pool] == k))
            of_repeat[members] = np.arange(len(members)) % asked.folds
    return fold


def _draws_of(rng: np.random.Generator, rare: np.ndarray, pool: int, asked: argparse.Namespace) -> np.ndarray:
    """Draw who is trained on by class as the product does: one queue after another, disjoint while it lasts.

    Returns:
        ``int64 (repeats, patients)``: 0 is tested, 1 trained on, -1 left out of this repeat.
    """
    fold = np.zeros((asked.repeats, len(rare)), dtype=np.int64)
    fold[:, :pool] = -1
    for k in (0, 1):
        members = np.flatnonzero(rare[:pool] == k)
        size, queue = round(len(members) / asked.pool), rng.permutation(members)
        for r, of_repeat in enumerate(fold):
            place = r % max(1, len(members) // size)
            if r and not place:
                queue = rng.permutation(members)
            of_repeat[queue[place * size : (place + 1) * size]] = 1
    return fold


def fit(x: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Fit weighted ridge regressions; return what gives ``(trainings, images)`` logits of features."""
    target = 2.0 * labels - 1
    p = x.shape[1]
    gram = (weights @ (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)).reshape(-1, p, p) + 0.01 * np.eye(p)
    w = np.linalg.solve(gram, (weights @ (x * target[:, None]))[:, :, None])[:, :, 0]
    return lambda seen: 4 * w @ seen.T


def train_networks(
    x: np.ndarray, labels: np.ndarray, weights: np.ndarray, start: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Train networks of HIDDEN units on weighted cross-entropy by Adam; return what gives logits of features.

    Args:
        x: ``float64 (images, FEATURES + 1)``, the last column 1.
        labels: ``int64 (images,)``, 0 or 1.
        weights: ``float64 (trainings, images)``; 0 leaves an image out.
        start: ``float64 (trainings, FEATURES + 2, HIDDEN)``: initial weights of both layers, standard normal.
    """
    x, weights = x.astype(np.float32), weights.astype(np.float32) / 2
    first, last = start[:, :-1].astype(np.float32) / x.shape[1] ** 0.5, start[:, -1].astype(np.float32) / HIDDEN**0.5
    moments = [(np.zeros_like(w), np.zeros_like(w)) for w in (first, last)]
    for step in range(1, STEPS + 1):
        hidden = np.tanh(x @ first)  # (trainings, images, HIDDEN)
        logits = np.einsum("tih,th->ti", hidden, last)
        wrong = weights * (1 / (1 + np.exp(-logits)) - labels)
        inner = wrong[:, :, None] * last[:, None] * (1 - hidden**2)
        gradients = x.T @ inner, np.einsum("ti,tih->th", wrong, hidden)
        for w, gradient, (mean, square) in zip((first, last), gradients, moments, strict=True):
            mean += 0.1 * (gradient - mean)
            square += 0.01 * (gradient**2 - square)
            w -= 0.05 * mean / (1 - 0.9**step) / ((square / (1 - 0.99**step)) ** 0.5 + 1e-8)
    return lambda seen: np.einsum("tih,th->ti", np.tanh(seen.astype(np.float32) @ first), last)


def _probabilities(logits: np.ndarray) -> np.ndarray:
    """Return ``(n, 2)`` probabilities of logits."""
    p = 1 / (1 + np.exp(-logits))
    return np.stack([1 - p, p], axis=1)
