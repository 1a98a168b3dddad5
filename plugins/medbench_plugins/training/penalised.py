"""A linear layer fitted to the minimum of its penalised loss over all rows at once: no steps, no rate. Needs torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

import medbench
from medbench_plugins.networks.small import StandardisedLinear
from medbench_plugins.row_vectors import feature_units, position_means, rows_to_scale_by
from medbench_plugins.training.bagging import MeanOfNetworks
from medbench_plugins.training.batches import draw_rows
from medbench_plugins.training.predictor import NetworkPredictor, cross_entropy, get_inverse_link, softmax

ITERATIONS = 500  # of L-BFGS at most; some tens are enough
PASSES = 8  # over the rows at most, where batches are drawn


def fit_penalised(
    training_set: medbench.TrainingSet,
    validation: medbench.Samples,
    context: medbench.Context,
    *,
    penalty: float,
) -> NetworkPredictor:
    """Return the softmax regression at which ``mean loss + penalty / (2 n) * sum(weights ** 2)`` is least.

    Features are standardised by the real rows and divided by the root of their number, so a row has length 1 on
    average; biases are free. n is the number of real labelled rows of the whole training set, so that neither rows that
    are added nor bags change the penalty: it is one number for all methods.

    Rows are weighed by `sampling`, which equals drawing them without end. Only a transform, which is one of batches,
    and a loss beside uneven sampling want batches to be drawn: as many as the budget has steps, at most PASSES times
    the rows, and all of them are one sum. Bags have a layer each, whose probabilities are averaged.

    Args:
        training_set: Of features ``float32 (n, d)`` or ``(n, d, *spatial)``, maps averaged over their positions; rows
            labelled -1 are left out.
        validation: For the fact "validation_loss" only.
        context: Gives threads, device, batch, and the seeds "batch" and "transform".
        penalty: 0 or more.

    Raises:
        medbench.DataError: If no row has a label and a chance to be drawn.
        medbench.Diverged: If a weight is not finite.
    """
    torch.set_num_threads(context.budget.threads)
    device, samples = torch.device(context.device), training_set.samples
    real = samples.is_real if samples.is_real.any() else np.full(len(samples), True)
    mean, deviation = feature_units(position_means(rows_to_scale_by(samples)))
    strength = penalty / max(1, int((samples.labels[real] >= 0).sum()))
    bags = training_set.bags or (np.arange(len(samples)),)
    minima = []
    for k, rows in enumerate(bags):
        terms = _draw(_bag(training_set, rows), context, k)
        minima.append(_descend(terms, len(samples.classes), mean, deviation, strength))
        context.progress((k + 1) * context.budget.steps // len(bags), context.budget.steps)
    layers: list[torch.nn.Module] = [minimum.network for minimum in minima]
    link = get_inverse_link(training_set.loss)
    one, link = (layers[0], link) if len(layers) == 1 else (MeanOfNetworks(layers, link), softmax)
    predictor = NetworkPredictor(one.eval().to(device), device, link)
    labelled = validation.take(validation.labels >= 0)
    predictor.facts = {
        "iterations": max(minimum.iterations for minimum in minima),
        "parameters": sum(p.numel() for p in one.parameters()),
        "train_loss": float(np.mean([minimum.loss for minimum in minima])),
    }
    if len(labelled):
        predictor.facts["validation_loss"] = cross_entropy(predictor(labelled.x), labelled.labels)
    return predictor


@dataclass(frozen=True, eq=False)
class _Terms:
    """What the loss is a mean of: ``x (m, d)``, class probabilities ``y (m, K)``, weights ``(m,)`` that sum to 1."""

    x: torch.Tensor
    y: torch.Tensor
    weights: torch.Tensor
    loss: medbench.Loss | None

    def mean_loss(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of ``float64 (m, K)``; a loss of a method's own sees float32, as in every training."""
        if self.loss is not None:
            return self.loss(logits.float(), self.y.float()).double()
        return -(self.weights[:, None] * self.y * logits.log_softmax(1)).sum()


@dataclass(frozen=True, eq=False)
class _Minimum:
    network: StandardisedLinear
    loss: float
    iterations: int


def _bag(training_set: medbench.TrainingSet, rows: np.ndarray) -> medbench.TrainingSet:
    """Return the training set of labelled `rows` alone, with a chance for each that sums to 1."""
    weights = np.ones(len(rows)) if training_set.sampling is None else training_set.sampling[rows].astype(np.float64)
    weights = weights * (training_set.samples.labels[rows] >= 0)
    if not weights.sum() > 0:
        raise medbench.DataError("no labelled row can be drawn; give training images with labels.")
    kept = weights > 0
    return replace(
        training_set,
        samples=training_set.samples.take(rows[kept]),
        sampling=weights[kept] / weights.sum(),
        bags=None,
    )


def _draw(training_set: medbench.TrainingSet, context: medbench.Context, bag: int) -> _Terms:
    """Return the rows themselves, or batches of them where a transform or a loss wants these."""
    samples, sampling, budget = training_set.samples, training_set.sampling, context.budget
    device, transform, loss = torch.device(context.device), training_set.transform, training_set.loss
    classes, equal = torch.eye(len(samples.classes), device=device), sampling is None or np.ptp(sampling) == 0
    if transform is None and (loss is None or equal):
        weights = np.full(len(samples), 1 / len(samples)) if sampling is None else sampling
        x, y = torch.from_numpy(samples.x).to(device), classes[torch.from_numpy(samples.labels).to(device)]
        return _Terms(_vectors_of(x), y.double(), torch.from_numpy(weights).to(device), loss)
    steps, purpose = min(budget.steps, max(1, PASSES * len(samples) // budget.batch)), (bag,) if bag else ()
    seed, uneven = context.seed("batch", *purpose), None if equal else sampling
    drawn = draw_rows(samples.labels, uneven, steps=steps, batch=budget.batch, seed=seed)
    draws = torch.Generator(device).manual_seed(context.seed("transform", *purpose))
    batches = []
    with torch.no_grad():
        for rows in drawn:
            x = torch.from_numpy(samples.x[rows]).to(device)
            y = classes[torch.from_numpy(samples.labels[rows]).to(device)]
            batches.append((x, y) if transform is None else transform(x, y, draws))
    x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return _Terms(_vectors_of(x), y.double(), torch.full((len(x),), 1 / len(x), device=device).double(), loss)


def _descend(terms: _Terms, n_classes: int, mean: np.ndarray, deviation: np.ndarray, strength: float) -> _Minimum:
    """Find the minimum by L-BFGS in float64, from weights of 0, and put it into a layer on standardised features."""
    device, root = terms.x.device, math.sqrt(len(mean))
    rows = (terms.x.double() - torch.from_numpy(mean).to(device)) / torch.from_numpy(deviation * root).to(device)
    weights = torch.zeros(n_classes, len(mean), dtype=torch.float64, device=device, requires_grad=True)
    biases = torch.zeros(n_classes, dtype=torch.float64, device=device, requires_grad=True)
    solver = torch.optim.LBFGS(
        [weights, biases], max_iter=ITERATIONS, history_size=20, tolerance_grad=1e-7, tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> torch.Tensor:
        solver.zero_grad()
        value = terms.mean_loss(rows @ weights.T + biases) + strength / 2 * weights.square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        solver.step(closure)
    with torch.no_grad():
        loss = float(terms.mean_loss(rows @ weights.T + biases))
        if not (math.isfinite(loss) and bool(weights.isfinite().all()) and bool(biases.isfinite().all())):
            raise medbench.Diverged("the linear layer has no finite minimum; check the transform and the loss")
        with torch.random.fork_rng(devices=[]):  # the first weights are replaced
            network = StandardisedLinear(mean, deviation, n_classes).requires_grad_(False)
        network.head.weight.copy_(weights / root)
        network.head.bias.copy_(biases)
    return _Minimum(network, loss, int(solver.state[weights]["n_iter"]))


def _vectors_of(x: torch.Tensor) -> torch.Tensor:
    return x.reshape(*x.shape[:2], -1).mean(2)
