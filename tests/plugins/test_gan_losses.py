"""What the GANs learn by, against formulas worked out in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from medbench_plugins.generators.image_gans.diff_augment import augment_differentiably
from medbench_plugins.generators.image_gans.losses import (
    DataToData,
    NonSaturating,
    Wasserstein,
    clip_weights,
    d2d_ce,
    gradient_penalty,
)
from medbench_plugins.generators.image_gans.networks import Critic, EmbeddingDiscriminator


def unit(rng: np.random.Generator, n: int, e: int) -> np.ndarray:
    x = rng.normal(size=(n, e))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def d2d_ce_by_hand(f: np.ndarray, v: np.ndarray, labels: np.ndarray, margin: float, temperature: float) -> float:
    losses = []
    for i, label in enumerate(labels):
        a = max(0.0, margin - float(f[i] @ v[label])) / temperature
        others = [max(0.0, float(f[i] @ f[j]) + margin - 1) / temperature for j in np.flatnonzero(labels != label)]
        losses.append(a + np.log(np.exp(-a) + sum(np.exp(other) for other in others)))
    return float(np.mean(losses))


@given(
    seed=st.integers(0, 999),
    B=st.integers(1, 9),
    n_classes=st.integers(1, 4),
    margin=st.floats(0.01, 1),
    temperature=st.floats(0.05, 2),
)
@settings(deadline=None, max_examples=50)
def test_d2d_ce_is_its_equation(seed: int, B: int, n_classes: int, margin: float, temperature: float) -> None:
    rng = np.random.default_rng(seed)
    f, v, labels = unit(rng, B, 5), unit(rng, n_classes, 5), rng.integers(0, n_classes, B)

    loss = d2d_ce(
        torch.from_numpy(f), torch.from_numpy(v), torch.from_numpy(labels), margin=margin, temperature=temperature
    )

    assert loss.item() == pytest.approx(d2d_ce_by_hand(f, v, labels, margin, temperature))


def test_d2d_ce_has_a_finite_gradient_at_a_cold_temperature_and_in_a_batch_of_one_class() -> None:
    rng = np.random.default_rng(0)
    proxies = torch.from_numpy(unit(rng, 2, 4)).float()
    for labels in (torch.zeros(3, dtype=torch.long), torch.tensor([0, 1, 0])):
        f = torch.from_numpy(unit(rng, 3, 4)).float().requires_grad_(True)

        d2d_ce(f, proxies, labels, margin=0.98, temperature=0.01).backward()

        assert f.grad is not None
        assert torch.isfinite(f.grad).all()


def test_d2d_ce_of_a_batch_of_one_class_is_nothing() -> None:
    f = torch.from_numpy(unit(np.random.default_rng(0), 4, 3))

    assert d2d_ce(f, f[:1], torch.zeros(4, dtype=torch.long), margin=0.98, temperature=0.5).item() == pytest.approx(0)


def test_an_embedding_and_its_proxies_have_length_one() -> None:
    network = EmbeddingDiscriminator((1, 12, 12), 3, width=2, embedding=7)

    source, embedded, proxies = network(torch.randn(5, 1, 12, 12))

    assert source.shape == (5,)
    assert torch.allclose(embedded.norm(dim=1), torch.ones(5))
    assert torch.allclose(proxies.norm(dim=1), torch.ones(3))


def scores(*values: list[float]) -> torch.Tensor:
    return torch.tensor([v for value in values for v in value], dtype=torch.float64)


REAL, FAKE, LABELS = [2.0, 0.5, -1.0], [-3.0, 0.25, 1.5], torch.tensor([0, 1, 0])


def judge_by_number(x: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
    return x  # the "images" of these tests are their own scores


def test_the_hinge_and_d2d_ce_are_added_with_their_weight() -> None:
    rng = np.random.default_rng(1)
    f, v = unit(rng, 6, 4), unit(rng, 2, 4)
    objective = DataToData(class_weight=0.3, margin=0.9, temperature=0.4)
    labels = LABELS.numpy()

    def judge(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return x, torch.from_numpy(f)[: len(x)], torch.from_numpy(v)

    d_loss, d_parts = objective.discriminator_loss(judge, scores(REAL), scores(FAKE), LABELS, torch.Generator())
    g_loss, g_parts = objective.generator_loss(judge, scores(FAKE), LABELS)

    hinge = np.mean([max(0, 1 - r) for r in REAL]) + np.mean([max(0, 1 + s) for s in FAKE])
    near = d2d_ce_by_hand(f[:3], v, labels, 0.9, 0.4)
    assert d_loss.item() == pytest.approx(hinge + 0.3 * near)
    assert g_loss.item() == pytest.approx(-np.mean(FAKE) + 0.3 * near)
    assert [part.item() for part in (*d_parts, *g_parts)] == pytest.approx([hinge, near, -np.mean(FAKE), near])
    assert len(objective.curves) == 4


def test_the_non_saturating_game_is_cross_entropy() -> None:
    d_loss, _ = NonSaturating().discriminator_loss(
        judge_by_number, scores(REAL), scores(FAKE), LABELS, torch.Generator()
    )
    g_loss, _ = NonSaturating().generator_loss(judge_by_number, scores(FAKE), LABELS)

    real, fake = (1 / (1 + np.exp(-np.array(values))) for values in (REAL, FAKE))
    assert d_loss.item() == pytest.approx(-np.log(real).mean() - np.log(1 - fake).mean())
    assert g_loss.item() == pytest.approx(-np.log(fake).mean())


def test_the_wasserstein_game_is_a_difference_of_means() -> None:
    d_loss, (distance, penalty) = Wasserstein().discriminator_loss(
        judge_by_number, scores(REAL), scores(FAKE), LABELS, torch.Generator()
    )
    g_loss, _ = Wasserstein().generator_loss(judge_by_number, scores(FAKE), LABELS)

    assert distance.item() == pytest.approx(np.mean(REAL) - np.mean(FAKE))
    assert d_loss.item() == -distance.item()
    assert penalty.item() == 0
    assert g_loss.item() == pytest.approx(-np.mean(FAKE))


def test_the_penalty_is_added_with_its_weight() -> None:
    x = torch.randn(4, 1, 3, 3, dtype=torch.float64)

    def judge(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return 5 * x.flatten(1)[:, 0]  # slope 5 everywhere

    loss, (distance, penalty) = Wasserstein(10).discriminator_loss(judge, x, x + 1, LABELS, torch.Generator())

    assert penalty.item() == pytest.approx(16)
    assert loss.item() == pytest.approx(160 - distance.item())


@pytest.mark.parametrize("shape", [(2, 2, 12, 13), (2, 1, 12, 12, 12)])
def test_the_gradient_penalty_is_that_of_finite_differences(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    critic = Critic(shape[1:], 2, width=2, norm="none").double()
    nn.init.normal_(critic.classes.weight)
    real, fake = torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    labels = torch.tensor([0, 1])

    penalty = gradient_penalty(lambda x: critic(x, labels), real, fake, torch.Generator().manual_seed(3))

    share = torch.rand(len(real), *[1] * (len(shape) - 1), generator=torch.Generator().manual_seed(3))
    between = share * real + (1 - share) * fake
    steps = 1e-6 * torch.eye(real[0].numel(), dtype=torch.float64).view(-1, *shape[1:])
    terms = []
    with torch.no_grad():
        for x, label in zip(between, labels, strict=True):
            both = [critic(x + sign * steps, label.expand(len(steps))) for sign in (1, -1)]
            slope = (both[0] - both[1]) / 2e-6
            terms.append((slope.norm() - 1) ** 2)
    assert penalty.item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-5)


def test_the_gradient_penalty_teaches_the_critic() -> None:
    """Its derivative by a weight is that of a finite difference of the penalty itself."""
    torch.manual_seed(0)
    critic = Critic((1, 12, 12), 1, width=2, norm="none").double()
    real, fake = torch.randn(2, 1, 12, 12, dtype=torch.float64), torch.randn(2, 1, 12, 12, dtype=torch.float64)
    weight = critic.body.convs[0].weight
    labels = torch.zeros(2, dtype=torch.long)

    def penalty() -> torch.Tensor:
        return gradient_penalty(lambda x: critic(x, labels), real, fake, torch.Generator().manual_seed(3))

    penalty().backward()
    assert weight.grad is not None
    step, moved = 1e-6, []
    for sign in (1, -1):
        with torch.no_grad():
            weight[0, 0, 1, 1] += sign * step
        moved.append(penalty().item())
        with torch.no_grad():
            weight[0, 0, 1, 1] -= sign * step

    assert weight.grad[0, 0, 1, 1].item() == pytest.approx((moved[0] - moved[1]) / (2 * step), rel=1e-4)


def test_clipping_clamps_every_weight_and_nothing_else() -> None:
    network = Critic((1, 12, 12), 1, width=2, norm="batch")
    before = {name: value.clone() for name, value in network.state_dict().items()}

    clip_weights(network, 0.01)

    weights = dict(network.named_parameters())
    assert all(torch.equal(value, before[name].clamp(-0.01, 0.01)) for name, value in weights.items())
    buffers = [name for name in before if name not in weights]
    assert buffers
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in buffers)


@pytest.mark.parametrize("shape", [(3, 2, 12, 12), (3, 1, 8, 9, 10)])
def test_what_is_shown_has_the_gradient_of_finite_differences(shape: tuple[int, ...]) -> None:
    x = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    weights = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    direction = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def value(x: torch.Tensor) -> torch.Tensor:
        return (augment_differentiably(x, torch.Generator().manual_seed(0)) * weights).sum()

    x.requires_grad_(True)
    value(x).backward()
    assert x.grad is not None
    with torch.no_grad():
        slope = (value(x + 1e-6 * direction) - value(x - 1e-6 * direction)) / 2e-6

    assert (x.grad * direction).sum().item() == pytest.approx(slope.item(), rel=1e-6)


def test_what_is_shown_of_an_image_depends_on_no_other_image() -> None:
    """So each row keeps its label, and a batch may mix real and synthetic."""
    x = torch.rand(4, 1, 12, 12)
    other = x.clone()
    other[1:] = -1

    first, second = (augment_differentiably(batch, torch.Generator().manual_seed(0)) for batch in (x, other))

    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])
