"""Selection of a generator's weights by real training images that it does not learn from. Needs torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

import medbench
from medbench_plugins.extractors.random_convolutions import RandomConvolutions
from medbench_plugins.generator_scores.kid import kernel_distance

SHARE = 0.1  # of the real rows of each class
LEAST = 20  # rows a class; with fewer, the distance is more noise than distance
MOST = 200  # rows a class that are compared; more would slow the fit and change little
EVALUATIONS = 10  # in a fit

Draw = Callable[[np.ndarray, int], np.ndarray]
"""``(labels int64 (n,), seed) -> uint8 (n, channels, *spatial)``."""


@dataclass(eq=False)
class Checkpoints:
    """Keeps the best of a network's weights, by the kernel distance of its samples to held-out real images.

    The distance is KID within each class on the features of ``random-convolutions``, then the mean over classes. All
    evaluations draw from the same noise, so they differ by the weights alone.

    Attributes:
        rest: What is left to learn from.
        real: ``float64 (m, d)`` features of the held-out images of each class.
        seed: Of the samples.
        distances: Steps done and distance of each evaluation.
        best: Steps done when the weights were kept; 0 before any evaluation.
    """

    rest: medbench.Samples
    real: list[np.ndarray]
    seed: int
    distances: list[tuple[int, float]] = field(default_factory=list)
    best: int = 0
    _kept: dict[str, torch.Tensor] = field(default_factory=dict)

    def evaluate(self, step: int, network: nn.Module, draw: Draw) -> None:
        """Measure the network after `step` steps and keep its weights if they are the best so far."""
        labels = np.repeat(np.arange(len(self.real)), [len(real) for real in self.real])
        synthetic = RandomConvolutions().features(draw(labels, self.seed))
        kid = float(np.mean([kernel_distance(real, synthetic[labels == k]) for k, real in enumerate(self.real)]))
        if not self.distances or kid < min(known for _, known in self.distances):
            self.best = step
            self._kept = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.distances.append((step, kid))

    def restore_best(self, network: nn.Module) -> None:
        """Give `network` the weights that were kept."""
        network.load_state_dict(self._kept)


def hold_out_images(train: medbench.Samples, seed: int) -> Checkpoints | None:
    """Take a tenth of the training patients out to judge by; None where a class would have fewer than ``LEAST`` rows.

    Args:
        train: ``uint8 (n, channels, *spatial)``.
        seed: Of the choice of patients, and of the samples that are judged.
    """
    held = draw_held_out_rows(train, seed)
    counts = np.bincount(train.labels[held], minlength=len(train.classes))
    if counts.min() < LEAST:
        return None
    of_class = [held[train.labels[held] == k][:MOST] for k in range(len(train.classes))]
    features = [RandomConvolutions().features(np.asarray(train.x[rows])) for rows in of_class]
    return Checkpoints(train.take(~np.isin(train.groups, train.groups[held])), features, seed)


def draw_held_out_rows(train: medbench.Samples, seed: int) -> np.ndarray:
    """Draw whole groups until a tenth of each class's real rows is held out.

    A group that would give a class more than that is passed over, so a class may end short where its groups are large.

    Returns:
        ``int64 (m,)`` row numbers of real, labelled rows, in random order.
    """
    rng = np.random.default_rng(seed)
    known = np.flatnonzero(train.is_real & (train.labels >= 0))
    names, group = np.unique(train.groups[known], return_inverse=True)
    counts = np.zeros((len(names), len(train.classes)), dtype=np.int64)
    np.add.at(counts, (group, train.labels[known]), 1)
    left = np.rint(SHARE * counts.sum(0)).astype(np.int64)
    chosen = np.zeros(len(names), dtype=bool)
    for one in rng.permutation(len(names)):
        if (counts[one] <= left).all():
            chosen[one] = True
            left -= counts[one]
    return rng.permutation(known[chosen[group]])


def evaluation_steps(steps: int) -> frozenset[int]:
    """Return after how many of `steps` steps to evaluate: each tenth of them, the last included."""
    return frozenset(-(-steps * k // EVALUATIONS) for k in range(1, EVALUATIONS + 1))
