"""The training loop: equal steps, last averaged weights, the same bits twice."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import medbench
from medbench import TrainingSet
from medbench.interfaces import Budget
from medbench.samples import Samples
from medbench.testing import SandboxContext, toy_samples
from medbench_plugins.networks.small import Resized, SmallCNN
from medbench_plugins.training import batch_norms
from medbench_plugins.training.bagging import fit_network
from medbench_plugins.training.batches import draw_rows
from medbench_plugins.training.moving_average import MovingAverage
from medbench_plugins.training.numeric_precision import schedule
from medbench_plugins.training.predictor import NetworkPredictor

NOTHING = toy_samples(4).take([])


def fit(
    context: SandboxContext, training_set: TrainingSet, validation: Samples = NOTHING, **options: Any
) -> NetworkPredictor:
    samples = training_set.samples
    return fit_network(
        lambda: SmallCNN(samples.x.shape[1], len(samples.classes), width=8, spatial_dims=samples.x.ndim - 2),
        training_set,
        validation,
        context,
        lr=options.pop("lr", 3e-3),
        **options,
    )


def same_bits(a: NetworkPredictor, b: NetworkPredictor) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a.state().values(), b.state().values(), strict=True))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_it_learns_in_two_and_three_dimensions(context: SandboxContext, dimensions: int) -> None:
    context.budget = Budget(steps=60, batch=16)
    samples = toy_samples(60, classes=3, dimensions=dimensions)
    unseen = toy_samples(30, classes=3, dimensions=dimensions, seed=1)

    probabilities = fit(context, TrainingSet(samples))(unseen.x)

    assert probabilities.dtype == np.float64
    assert probabilities.shape == (30, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-12)
    assert (probabilities.argmax(1) == unseen.labels).mean() > 0.9


def test_two_fits_give_the_same_bits(context: SandboxContext) -> None:
    def noise(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        return x + 0.1 * torch.randn(x.shape, generator=generator), y

    training_set = TrainingSet(toy_samples(), transform=noise)
    first = fit(context, training_set)
    torch.rand(7)  # whatever happens to the global generator in between

    assert same_bits(first, fit(context, training_set))


def test_another_seed_gives_other_weights(context: SandboxContext) -> None:
    training_set = TrainingSet(toy_samples())

    assert not same_bits(fit(context, training_set), fit(replace(context, base=1), training_set))


def test_a_transform_that_does_nothing_changes_nothing(context: SandboxContext) -> None:
    samples = toy_samples()
    plain = fit(context, TrainingSet(samples))

    assert same_bits(plain, fit(context, TrainingSet(samples, transform=lambda x, y, _: (x, y))))


def test_arms_share_their_initial_weights(context: SandboxContext) -> None:
    initial = []

    def build() -> nn.Module:
        network = SmallCNN(1, 2, width=8)
        initial.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return network

    samples = toy_samples()
    context.budget = Budget(steps=1, batch=4)
    for training_set in (TrainingSet(samples), TrainingSet(samples.take(range(10)), sampling=np.full(10, 0.1))):
        fit_network(build, training_set, NOTHING, context)

    assert all(torch.equal(initial[0][name], initial[1][name]) for name in initial[0])


def test_the_global_random_state_is_put_back(context: SandboxContext) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(context, TrainingSet(toy_samples()))

    assert torch.equal(expected, torch.rand(3))


def test_dropout_is_seeded(context: SandboxContext) -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(256, 16), nn.Dropout(0.5), nn.Linear(16, 2))

    training_set = TrainingSet(toy_samples())

    assert same_bits(*(fit_network(build, training_set, NOTHING, context) for _ in range(2)))


def test_every_arm_takes_all_steps_of_the_budget(context: SandboxContext) -> None:
    samples = toy_samples()
    arms = [
        TrainingSet(samples),
        TrainingSet(samples.take(range(5))),
        TrainingSet(samples, sampling=np.full(60, 1 / 60)),
        TrainingSet(samples, transform=lambda x, y, _: (x.flip(-1), y)),
    ]
    for arm in arms:
        context.reports.clear()
        predictor = fit(context, arm, validation=samples)
        assert predictor.facts["steps"] == 40
        assert [step for step, _, _ in context.reports] == list(range(1, 41))
        assert sum("validation_loss" in values for _, _, values in context.reports) == 10


def test_validation_selects_nothing(context: SandboxContext) -> None:
    training_set = TrainingSet(toy_samples())

    assert same_bits(fit(context, training_set), fit(context, training_set, validation=toy_samples(seed=3)))


def test_facts_hold_the_validation_losses(context: SandboxContext) -> None:
    samples = toy_samples()
    validation = toy_samples(20, seed=3)
    predictor = fit(context, TrainingSet(samples), validation=validation)
    curve = [values["validation_loss"] for _, _, values in context.reports if "validation_loss" in values]

    likelihood = predictor(validation.x)[np.arange(20), validation.labels]
    assert predictor.facts["validation_loss"] == pytest.approx(-np.log(likelihood).mean())
    assert predictor.facts["still_improving"] == float(min(curve) == curve[-1])
    assert "validation_loss" not in fit(context, TrainingSet(samples)).facts


def test_ten_evaluations_make_the_learning_curve(context: SandboxContext) -> None:
    samples = toy_samples()
    predictor = fit(context, TrainingSet(samples), validation=toy_samples(20, seed=3))
    watched = [values["validation_loss"] for _, _, values in context.reports if "validation_loss" in values]

    steps, trained, validated = zip(*predictor.learning, strict=True)
    assert steps == tuple(range(4, 41, 4))
    assert list(validated) == watched
    assert trained[-1] == pytest.approx(predictor.facts["train_loss"])
    assert trained[0] > trained[-1]
    assert all(math.isnan(loss) for _, _, loss in fit(context, TrainingSet(samples)).learning)


def test_a_short_fit_predicts_no_more_images_than_it_trains_on_but_for_two_evaluations(context: SandboxContext) -> None:
    watched = toy_samples(20, seed=3)
    counts = {}
    for steps in (1, 4, 10, 30):
        context.budget = Budget(steps=steps, batch=8)
        done = [step for step, _, _ in fit(context, TrainingSet(toy_samples()), validation=watched).learning]
        assert done[-1] == steps
        counts[steps] = len(done)

    assert counts == {1: 1, 4: 2, 10: 4, 30: 10}


def test_what_is_predicted_does_not_hang_on_how_many_rows_are_predicted_at_once(
    context: SandboxContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, images = fit(context, TrainingSet(toy_samples())), toy_samples(70, seed=3).x
    together = predictor(images)
    monkeypatch.setattr("medbench_plugins.training.predictor.PIXELS", 3 * images[0, 0].size)

    assert predictor(images) == pytest.approx(together, abs=1e-6)


@pytest.mark.parametrize(("enlarged", "most"), [(0, 48), (448, 16)])
def test_small_images_that_a_network_enlarges_count_at_that_size(enlarged: int, most: int) -> None:
    sizes: list[int] = []

    class Counts(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sizes.append(len(x))
            return x.mean((1, 2, 3))[:, None].repeat(1, 2)

    network = Resized(Counts(), enlarged) if enlarged else Counts()
    NetworkPredictor(network, torch.device("cpu"))(np.zeros((48, 1, 8, 8), np.uint8))

    assert max(sizes) == most


def test_the_average_is_the_closed_form_and_leaves_buffers_out() -> None:
    """After n updates towards w_i the average is d^n w_0 + (1 - d) sum_i d^(n-i) w_i."""
    steps = 25
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    values = np.random.default_rng(0).normal(size=steps + 1)
    network[0].weight.data.fill_(values[0])
    average = MovingAverage.of_last_tenth(network, steps)
    for value in values[1:]:
        network[0].weight.data.fill_(value)
        network[1].running_mean.fill_(value)
        average.update()

    d = 1 - 10 / steps
    expected = d**steps * values[0] + (1 - d) * sum(d ** (steps - i) * values[i] for i in range(1, steps + 1))
    assert average.network[0].weight.item() == pytest.approx(expected, abs=1e-6)
    assert average.network[1].running_mean.item() == 0


@pytest.mark.parametrize("dimensions", [2, 3])
def test_norms_are_measured_as_torch_measures_them_for_averaged_weights(dimensions: int) -> None:
    """The reference is ``torch.optim.swa_utils.update_bn`` (Izmailov et al. 2018, section 3)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SmallCNN(1, 2, width=4, spatial_dims=dimensions).eval()
        batches = [torch.randn(6, 1, *[16] * dimensions) * (k + 1) for k in range(5)]
        before, reference = torch.random.get_rng_state(), copy.deepcopy(network)
        batch_norms.recompute(network, [(batch,) for batch in batches], seed=1)
        assert torch.equal(before, torch.random.get_rng_state())
        torch.optim.swa_utils.update_bn(batches, reference)

    assert not any(module.training for module in network.modules())
    assert {m.momentum for m in network.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d)} == {0.1}
    for name, value in network.state_dict().items():
        assert torch.equal(value, reference.state_dict()[name]), name


def test_a_fit_keeps_statistics_that_its_weights_have_on_the_training_images(context: SandboxContext) -> None:
    """A linear map in front of a batch norm: mean and variance are those of what the kept weights give."""
    context.budget = Budget(steps=60, batch=16)
    samples = toy_samples(40)

    def shifted(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        return x + 0.5, y

    def build() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))

    predictor = fit_network(build, TrainingSet(samples, transform=shifted), samples, context, lr=1e-2)

    x = torch.from_numpy(samples.x).float() / 127.5 - 1 + 0.5
    seen = predictor.network[1](x.flatten(1))
    norm = predictor.network[2]
    deviation = seen.std(0)
    assert ((norm.running_mean - seen.mean(0)).abs() / deviation).max() < 0.1
    assert (norm.running_var.sqrt() / deviation - 1).abs().max() < 0.1


def test_a_network_without_batch_norms_is_called_no_more_than_it_was(context: SandboxContext) -> None:
    calls = []

    def count(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append(len(x))
        return x, y

    training_set = TrainingSet(toy_samples(), transform=count)
    fit_network(lambda: nn.Sequential(nn.Flatten(), nn.Linear(256, 2)), training_set, NOTHING, context)

    assert len(calls) == context.budget.steps


def test_evaluations_on_the_validation_set_leave_dropout_as_it_was(context: SandboxContext) -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))

    training_set = TrainingSet(toy_samples())
    fits = [fit_network(build, training_set, validation, context) for validation in (NOTHING, toy_samples(seed=3))]

    assert same_bits(*fits)


def test_a_batch_norm_that_sees_one_value_names_the_batch(context: SandboxContext) -> None:
    context.budget = Budget(steps=3, batch=1)

    with pytest.raises(medbench.UsageError, match=r"budget\.batch: got 1; in a batch norm of SmallCNN .* batch=2"):
        fit(context, TrainingSet(toy_samples(8, size=8)))


def test_the_predictor_has_the_average_of_the_weights_after_every_step(context: SandboxContext) -> None:
    """A loss whose gradient is 1 for the bias of class 0: Adam without decay then moves it by the learning rate."""
    context.budget = Budget(steps=30, batch=2)

    def build() -> nn.Module:
        network = nn.Sequential(nn.Flatten(), nn.Linear(256, 2))
        nn.init.zeros_(network[1].weight)
        nn.init.zeros_(network[1].bias)
        return network

    training_set = TrainingSet(toy_samples(), loss=lambda logits, y: logits[:, 0].mean())
    predictor = fit_network(build, training_set, NOTHING, context, lr=0.1)

    path = -0.1 * np.cumsum([schedule(step, 30) for step in range(30)])
    d, average = 1 - 10 / 30, 0.0
    for value in path:
        average = d * average + (1 - d) * value
    assert predictor.state()["1.bias"][0] == pytest.approx(average, rel=1e-4)


def test_unlabelled_rows_are_never_drawn(context: SandboxContext) -> None:
    samples = toy_samples()
    labels = samples.labels.copy()
    labels[::2] = -1
    x = samples.x.copy()
    x[::2] = 255
    seen = []

    def look(x: torch.Tensor, y: torch.Tensor, _: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(bool((x == 1).flatten(1).all(1).any()))
        return x, y

    fit(context, TrainingSet(replace(samples, x=x, labels=labels), transform=look))

    assert not any(seen)
    with pytest.raises(medbench.DataError, match="none of the 60 training samples"):
        fit(context, TrainingSet(replace(samples, labels=np.full(60, -1))))


@given(
    labels=st.lists(st.integers(-1, 2), min_size=1, max_size=30).filter(lambda labels: max(labels) >= 0),
    steps=st.integers(1, 20),
    batch=st.integers(1, 9),
    seed=st.integers(0, 2**63 - 1),
)
@settings(max_examples=50, deadline=None)
def test_shuffled_epochs_show_every_labelled_row_equally_often(
    labels: list[int], steps: int, batch: int, seed: int
) -> None:
    rows = draw_rows(np.array(labels), None, steps=steps, batch=batch, seed=seed)

    counts = np.bincount(rows.ravel(), minlength=len(labels))
    known = np.array(labels) >= 0
    assert rows.shape == (steps, batch)
    assert counts[~known].sum() == 0
    assert counts[known].max() - counts[known].min() <= 1


def test_sampling_draws_in_proportion() -> None:
    labels = np.array([0, 0, 1, -1])
    rows = draw_rows(labels, np.array([0.1, 0.2, 0.3, 0.4]), steps=200, batch=100, seed=1)

    shares = np.bincount(rows.ravel(), minlength=4) / rows.size
    np.testing.assert_allclose(shares, [1 / 6, 2 / 6, 3 / 6, 0], atol=0.015)


@given(steps=st.integers(1, 500))
@settings(max_examples=50, deadline=None)
def test_the_schedule_rises_to_its_peak_and_falls_towards_zero(steps: int) -> None:
    shares = np.array([schedule(step, steps) for step in range(steps)])

    assert shares.max() <= 1
    assert shares.min() > 0
    peak = int(shares.argmax())
    assert (np.diff(shares[: peak + 1]) > 0).all()
    assert (np.diff(shares[peak:]) < 0).all()
    assert shares[peak] == 1


def test_the_transform_sees_pixels_between_minus_one_and_one_and_class_probabilities(context: SandboxContext) -> None:
    samples = toy_samples(8, classes=3)
    samples.x[:, 0, 0, 0], samples.x[:, 0, 0, 1] = 0, 255
    context.budget = Budget(steps=1, batch=8)

    def look(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        assert (x.dtype, x.shape, y.dtype, y.shape) == (torch.float32, (8, 1, 16, 16), torch.float32, (8, 3))
        assert (x[:, 0, 0, 0] == -1).all()
        assert (x[:, 0, 0, 1] == 1).all()
        assert (y.sum(1) == 1).all()
        assert generator.device.type == "cpu"
        return x, y

    fit(context, TrainingSet(samples, transform=look))


def test_the_default_loss_is_cross_entropy_with_soft_labels(context: SandboxContext) -> None:
    """The loss of the first step against the formula in float64."""
    context.budget = Budget(steps=1, batch=6)
    samples = toy_samples(6, classes=3)

    def soften(x: torch.Tensor, y: torch.Tensor, _: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        return x, 0.8 * y + 0.1

    def build() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(256, 3))

    predictor = fit_network(build, TrainingSet(samples, transform=soften), NOTHING, context)

    with torch.random.fork_rng():
        torch.manual_seed(context.seed("init"))
        linear = build()[1]
    rows = draw_rows(samples.labels, None, steps=1, batch=6, seed=context.seed("batch"))[0]
    x = samples.x[rows].reshape(6, -1).astype(np.float64) / 127.5 - 1
    logits = x @ linear.weight.detach().double().numpy().T + linear.bias.detach().double().numpy()
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    y = 0.8 * np.eye(3)[samples.labels[rows]] + 0.1
    assert predictor.facts["train_loss"] == pytest.approx(-(y * log_p).sum(1).mean(), rel=1e-5)


def test_a_loss_of_the_training_set_replaces_cross_entropy(context: SandboxContext) -> None:
    context.budget = Budget(steps=3, batch=4)
    predictor = fit(context, TrainingSet(toy_samples(), loss=lambda logits, y: F.mse_loss(logits, y) * 0 + 7))

    assert predictor.facts["train_loss"] == pytest.approx(7)


def test_a_loss_that_is_not_finite_ends_the_fit_and_names_the_step(context: SandboxContext) -> None:
    seen = []

    def loss(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        seen.append(1)
        return F.cross_entropy(logits, y) * (math.nan if len(seen) == 9 else 1)

    with pytest.raises(medbench.Diverged, match="not finite at step 9 of 40; lower"):
        fit(context, TrainingSet(toy_samples(), loss=loss))


def test_weights_that_are_not_finite_end_the_fit(context: SandboxContext) -> None:
    with pytest.raises(medbench.Diverged):
        fit(context, TrainingSet(toy_samples()), lr=math.inf)


def test_small_images_are_resized_to_the_least_size(context: SandboxContext) -> None:
    context.budget = Budget(steps=2, batch=4)
    samples, sizes = toy_samples(8), set()

    class Watching(SmallCNN):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sizes.add(tuple(x.shape[2:]))
            return super().forward(x)

    predictor = fit_network(lambda: Watching(1, 2, width=8), TrainingSet(samples), NOTHING, context, min_size=24)
    predictor(samples.x)

    assert sizes == {(24, 24)}
    assert not any(name.startswith("network.") for name in predictor.state())


def test_features_are_trained_on_as_they_are(context: SandboxContext) -> None:
    samples = toy_samples()
    features = replace(samples, x=samples.x.reshape(60, -1).astype(np.float32) / 255 - 0.4)
    predictor = fit_network(lambda: nn.Linear(256, 2), TrainingSet(features), NOTHING, context, lr=1e-2)

    assert (predictor(features.x).argmax(1) == features.labels).mean() > 0.9


def test_read_only_memory_maps_are_fine(context: SandboxContext) -> None:
    samples = toy_samples()
    np.save(context.folder / "x.npy", samples.x)
    mapped = replace(samples, x=np.load(context.folder / "x.npy", mmap_mode="r"))

    assert same_bits(fit(context, TrainingSet(mapped)), fit(context, TrainingSet(samples)))


def test_no_rows_give_no_probabilities(context: SandboxContext) -> None:
    context.budget = Budget(steps=1, batch=4)

    assert fit(context, TrainingSet(toy_samples()))(NOTHING.x).shape == (0, 2)
