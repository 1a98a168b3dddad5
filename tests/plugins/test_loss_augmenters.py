"""Class weights and focal loss against scikit-learn, torch and formulas in float64."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

import medbench
from medbench.testing import SandboxContext, check_augmenter, toy_samples
from medbench_plugins.augmenters.losses import ClassWeight, Focal, FocalLoss, class_weights
from medbench_plugins.classifiers.heads import LinearHead
from medbench_plugins.plain_augmenters import Unchanged
from medbench_plugins.training.bagging import fit_network


def uneven(counts: tuple[int, ...], unlabelled: int = 0) -> medbench.Samples:
    n = sum(counts) + unlabelled
    labels = np.concatenate([np.repeat(np.arange(len(counts)), counts), np.full(unlabelled, -1)]).astype(np.int64)
    return replace(toy_samples(n, classes=len(counts), size=8), labels=labels)


def by_hand(logits: torch.Tensor, y: torch.Tensor, gamma: float) -> float:
    """-sum of y (1 - p)^gamma log p over the classes, mean over the rows; Lin et al. 2017, equation 4."""
    z = logits.double().numpy()
    e = np.exp(z - z.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    return float(-(y.double().numpy() * (1 - p) ** gamma * np.log(p)).sum(1).mean())


@given(counts=st.lists(st.integers(1, 40), min_size=2, max_size=5))
@settings(deadline=None, max_examples=30)
def test_class_weights_are_those_of_scikit_learn(counts: list[int]) -> None:
    samples = uneven(tuple(counts), unlabelled=3)
    known = samples.labels[samples.labels >= 0]

    weights = class_weights(samples)

    assert np.allclose(weights, compute_class_weight("balanced", classes=np.arange(len(counts)), y=known))


def test_a_class_without_rows_has_no_weight_and_is_never_drawn(context: SandboxContext) -> None:
    fitted = ClassWeight().fit(uneven((9, 0, 3)), context)

    assert class_weights(fitted.samples).tolist() == [12 / 18, 0, 2]
    assert fitted.class_frequencies.tolist() == [0.5, 0, 0.5]


def test_the_weighted_loss_is_torchs_and_the_formula(context: SandboxContext) -> None:
    samples = uneven((9, 2, 4))
    fitted = ClassWeight().fit(samples, context)
    assert fitted.loss is not None
    logits = torch.randn(15, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.from_numpy(samples.labels)
    weight = torch.from_numpy(class_weights(samples)).float()

    loss = fitted.loss(logits, F.one_hot(labels, 3).float()).item()

    assert loss == pytest.approx(F.cross_entropy(logits, labels, weight=weight, reduction="sum").item() / 15, rel=1e-5)
    log_p = logits.double().log_softmax(1).numpy()
    hand = -np.mean([class_weights(samples)[k] * log_p[row, k] for row, k in enumerate(samples.labels)])
    assert loss == pytest.approx(hand, rel=1e-5)


def test_over_all_rows_the_weighted_loss_is_that_of_balanced_sampling(context: SandboxContext) -> None:
    samples = uneven((20, 5, 2))
    loss = ClassWeight().fit(samples, context).loss
    assert loss is not None
    logits = torch.randn(27, 3, generator=torch.Generator().manual_seed(1))
    labels = torch.from_numpy(samples.labels)

    each = F.cross_entropy(logits, labels, reduction="none")
    balanced = torch.stack([each[labels == k].mean() for k in range(3)]).mean()

    assert loss(logits, F.one_hot(labels, 3).float()).item() == pytest.approx(balanced.item(), rel=1e-5)


def test_class_weights_amount_to_equal_frequencies_and_focal_loss_does_not(context: SandboxContext) -> None:
    samples = uneven((30, 6))

    assert ClassWeight().fit(samples, context).class_frequencies.tolist() == [0.5, 0.5]
    assert Focal().fit(samples, context).class_frequencies.tolist() == pytest.approx([30 / 36, 6 / 36])


@given(
    gamma=st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0]), seed=st.integers(0, 99), scale=st.sampled_from([0.1, 1.0, 8.0])
)
@settings(deadline=None, max_examples=40)
def test_focal_loss_is_the_formula_for_hard_and_soft_labels(gamma: float, seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(16, 4, generator=generator) * scale
    hard = torch.eye(4)[torch.randint(0, 4, (16,), generator=generator)]
    soft = torch.rand(16, 4, generator=generator)
    soft = soft / soft.sum(1, keepdim=True)

    for y in (hard, soft):
        assert FocalLoss(gamma)(logits, y).item() == pytest.approx(by_hand(logits, y, gamma), rel=1e-4, abs=1e-7)


def test_focal_loss_of_gamma_zero_is_cross_entropy() -> None:
    logits = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    y = torch.randn(16, 4, generator=torch.Generator().manual_seed(1)).softmax(1)

    assert torch.allclose(FocalLoss(0)(logits, y), F.cross_entropy(logits, y))


def test_the_gradient_of_focal_loss_is_that_of_finite_differences() -> None:
    logits = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    y = torch.eye(4, dtype=torch.float64)[:3]

    assert torch.autograd.gradcheck(lambda z: FocalLoss(2.0)(z, y), (logits,))


def optimum(posterior: list[float], gamma: float) -> np.ndarray:
    """Minimise the expected loss over logits by scipy, from the formula; return the logits."""

    def expected(z: np.ndarray) -> float:
        log_v = log_softmax(z)
        return float(-(np.array(posterior) * (1 - np.exp(log_v)) ** gamma * log_v).sum())

    return np.asarray(minimize(expected, np.zeros(len(posterior)), method="BFGS", options={"gtol": 1e-10}).x)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize(
    "posterior", [[0.9, 0.1], [0.997, 0.003], [0.5, 0.5], [0.6, 0.3, 0.1], [0.02, 0.9, 0.05, 0.03]]
)
def test_the_inverse_link_of_focal_loss_gives_the_posterior_at_the_optimum(
    posterior: list[float], gamma: float
) -> None:
    logits = torch.from_numpy(optimum(posterior, gamma))[None]

    assert FocalLoss(gamma).inverse_link(logits)[0].numpy() == pytest.approx(posterior, abs=2e-4)


def test_the_inverse_link_of_gamma_zero_is_softmax_and_sure_rows_stay_apart() -> None:
    logits = torch.randn(16, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 5
    sure = torch.tensor([[gap, 0.0] for gap in (20, 40, 60, 200, 900)], dtype=torch.float64)

    assert torch.allclose(FocalLoss(0).inverse_link(logits), logits.softmax(1), atol=1e-12)
    missed = FocalLoss(2).inverse_link(sure)[:, 1]
    assert (missed.diff() <= 0).all()
    assert missed[0] == pytest.approx(math.exp(-60) / 3, rel=1e-3)  # v e^-20, (1 - v)^2 and 1 + gamma


def test_a_tenth_of_rare_rows_is_decided_at_a_tenth(context: SandboxContext) -> None:
    """Learnt on rows whose posterior is known: the softmax would decide for the rare class from .0026 on."""
    context.budget = medbench.Budget(steps=150, batch=512)
    rng = np.random.default_rng(0)
    posterior = np.repeat([0.02, 0.08, 0.13, 0.3], 2000)
    labels = (rng.random(8000) < posterior).astype(np.int64)
    x = np.eye(4, dtype=np.float32)[np.repeat(np.arange(4), 2000)]
    samples = replace(toy_samples(8000, size=4), x=x, labels=labels)
    training_set = Focal().fit(samples, context)

    predict = LinearHead(lr=0.3).fit(training_set, samples.take([]), context)

    found = predict(np.eye(4, dtype=np.float32))
    assert found[:, 1] == pytest.approx([labels[x[:, k] == 1].mean() for k in range(4)], abs=0.03)
    decided = (found / training_set.class_frequencies).argmax(1)
    assert decided.tolist() == [0, 0, 1, 1]


def test_bags_average_what_the_inverse_link_gives(context: SandboxContext) -> None:
    context.budget = medbench.Budget(steps=8, batch=8)
    samples = replace(toy_samples(24), x=toy_samples(24).x.reshape(24, -1).astype(np.float32))
    bags = (np.arange(12), np.arange(12, 24))
    training_set = medbench.TrainingSet(samples, loss=FocalLoss(2), bags=bags)

    together = fit_network(lambda: torch.nn.Linear(256, 2), training_set, samples.take([]), context)

    networks: Any = together.network
    with torch.no_grad():
        each = [FocalLoss(2).inverse_link(of(torch.from_numpy(samples.x)).double()) for of in networks.networks]
    assert together(samples.x) == pytest.approx(torch.stack(each).mean(0).numpy(), abs=1e-4)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_a_sure_network_has_a_finite_gradient(gamma: float) -> None:
    logits = torch.tensor([[500.0, 0.0], [0.0, 500.0], [0.0, 0.0]], requires_grad=True)
    y = torch.eye(2)[[0, 0, 1]]

    loss = FocalLoss(gamma)(logits, y)
    (gradient,) = torch.autograd.grad(loss, logits)

    assert loss.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("augmenter", [ClassWeight(), Focal()], ids=lambda augmenter: augmenter.name)
def test_a_loss_keeps_the_contract_and_stands_on_training_as_it_is(
    augmenter: medbench.Augmenter, tmp_path: Path
) -> None:
    check_augmenter(augmenter, tmp_path)

    assert augmenter.control == Unchanged()
    assert augmenter.gives == {"loss"}


def test_class_weights_need_a_label(context: SandboxContext) -> None:
    samples = replace(toy_samples(4), labels=np.full(4, -1))

    with pytest.raises(medbench.DataError, match="none of the 4 training rows has one"):
        ClassWeight().fit(samples, context)


@pytest.mark.parametrize("gamma", [-1, 21, float("nan")])
def test_a_gamma_out_of_range_is_an_error(gamma: float, context: SandboxContext) -> None:
    with pytest.raises(medbench.UsageError, match=rf"focal\.gamma: got {gamma:g}"):
        Focal(gamma=gamma).fit(toy_samples(8), context)
