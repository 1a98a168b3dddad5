"""The diffusion generator: its formulas against closed forms, its contract, and that it learns."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler
from torch import nn

import medbench
from medbench.testing import SandboxContext, check_augmenter, toy_samples
from medbench_plugins.augmenters import register_augmenters
from medbench_plugins.augmenters.generative import Generative
from medbench_plugins.generators import register_generators
from medbench_plugins.generators.diffusion import Diffusion, DiffusionSampler
from medbench_plugins.generators.diffusion_loop import BLOCK_ROWS, SCHEDULE, Denoiser, choose_timesteps, draw, guide
from medbench_plugins.generators.image_gans.loop import as_pixels

QUICK = Diffusion(width=4, steps=3, batch=6, batch_3d=4, timesteps=20, sampling_steps=2, lr=0.01)


def kept(timesteps: int) -> np.ndarray:
    """The paper's alpha-bar of the cosine schedule, ``float64 (timesteps,)``, its betas capped at 0.999."""
    f = np.cos((np.arange(timesteps + 1) / timesteps + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.cumprod(1 - np.minimum(1 - f[1:] / f[:-1], 0.999))


@given(t=st.integers(0, 999), seed=st.integers(0, 99))
@example(t=0, seed=0)
@example(t=999, seed=0)
@settings(deadline=None, max_examples=30)
def test_noise_is_added_as_in_the_closed_form(t: int, seed: int) -> None:
    """q(x_t | x_0) of Ho et al. 2020, equation 4, and the velocity of Salimans and Ho 2022, in float64."""
    x, e = np.random.default_rng(seed).normal(size=(2, 3, 1, 4, 4))
    alpha, sigma = np.sqrt(kept(1000)[t]), np.sqrt(1 - kept(1000)[t])
    scheduler = DDPMScheduler(1000, **SCHEDULE)

    given = torch.from_numpy(x), torch.from_numpy(e), torch.full((3,), t)

    assert scheduler.add_noise(*given).numpy() == pytest.approx(alpha * x + sigma * e, abs=1e-4)
    assert scheduler.get_velocity(*given).numpy() == pytest.approx(alpha * e - sigma * x, abs=1e-4)


def test_noise_added_at_once_is_noise_added_step_by_step() -> None:
    """The mean and variance of x_t = sqrt(1 - beta_t) x_(t-1) + sqrt(beta_t) e, iterated in float64."""
    scheduler = DDPMScheduler(50, **SCHEDULE)
    mean, variance = 1.0, 0.0

    for t, beta in enumerate(scheduler.betas.double().tolist()):
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        one, none = torch.ones(1, 1, 1, 1).double(), torch.zeros(1, 1, 1, 1).double()
        assert scheduler.add_noise(one, none, torch.tensor([t])).item() == pytest.approx(mean, abs=1e-5)
        assert scheduler.add_noise(none, one, torch.tensor([t])).item() ** 2 == pytest.approx(variance, abs=1e-5)


class Asked:
    """A network that remembers what it was asked, and answers ten times the label plus the image."""

    def __init__(self) -> None:
        self.labels: list[list[int]] = []

    def __call__(self, x: torch.Tensor, t: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.labels.append(labels.tolist())
        return x + 10 * labels.view(-1, 1, 1, 1) + t.view(-1, 1, 1, 1)


def test_guidance_is_what_one_computes_by_hand() -> None:
    network, x = Asked(), torch.zeros(2, 1, 1, 1)
    given = (network, x, torch.tensor([5, 5]), torch.tensor([1, 0]))

    v = guide(*given, null=2, guidance=3.0)
    plain = guide(*given, null=2, guidance=0)

    assert v.flatten().tolist() == [4 * 15 - 3 * 25, 4 * 5 - 3 * 25]
    assert plain.flatten().tolist() == [15, 5]
    assert network.labels == [[1, 0, 2, 2], [1, 0]]  # without guidance nobody is asked about any image


def test_guided_velocities_are_guided_noises() -> None:
    """Ho and Salimans 2022, equation 6, speaks of the noise alpha v + sigma x."""
    rng = np.random.default_rng(0)
    x, of_class, of_any = (torch.from_numpy(rng.normal(size=(1, 1, 4, 4))) for _ in range(3))
    alpha, sigma, w = 0.6, 0.8, 1.7

    v = guide(lambda *_: torch.cat([of_class, of_any]), x, torch.tensor([0]), torch.tensor([0]), null=1, guidance=w)

    expected = (1 + w) * (alpha * of_class + sigma * x) - w * (alpha * of_any + sigma * x)
    assert torch.allclose(alpha * v + sigma * x, expected)


class Known(nn.Module):
    """The best denoiser there is for images whose pixels are normal, class k around ``means[k]``: a closed form.

    It remembers the times it was asked about.
    """

    def __init__(self, means: list[float], deviation: float, timesteps: int) -> None:
        super().__init__()
        self.channels, self.spatial, self.padded, self.n_classes = 1, [15, 14], [16, 16], len(means)
        self.means = nn.Parameter(torch.tensor([*means, float(np.mean(means))]), requires_grad=False)
        self.times: list[int] = []
        self.deviation, self.kept = deviation, torch.from_numpy(kept(timesteps)).float()

    def forward(self, x: torch.Tensor, t: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.times.append(int(t[0]))
        a, m = (values.view(-1, 1, 1, 1) for values in (self.kept[t], self.means[labels]))
        gain = a.sqrt() * self.deviation**2 / (a * self.deviation**2 + 1 - a)
        image = m + gain * (x - a.sqrt() * m)  # E[x_0 | x_t]
        return (a.sqrt() * x - image) / (1 - a).sqrt()


def test_the_sampler_draws_from_the_distribution_of_a_perfect_denoiser() -> None:
    network, labels = Known([-0.3, 0.2], 0.2, timesteps=200), np.repeat([0, 1], 40)

    x = draw(Diffusion(timesteps=200, sampling_steps=100, guidance=0), network, labels, 0)

    assert x.shape == (80, 1, 15, 14)
    values = x.astype(np.float64) / 127.5 - 1
    assert [values[labels == k].mean() for k in (0, 1)] == pytest.approx([-0.3, 0.2], abs=0.01)
    assert [values[labels == k].std() for k in (0, 1)] == pytest.approx([0.2, 0.2], abs=0.01)


@pytest.mark.parametrize("sampling_steps", [1, 2, 5, 10])
def test_one_known_image_is_drawn_exactly_in_any_number_of_strides(sampling_steps: int) -> None:
    """The first stride begins at pure noise, each ends where the next begins, and the last one without noise."""
    recipe = Diffusion(timesteps=10, sampling_steps=sampling_steps, guidance=0)
    network = Known([-1 + 40 / 127.5], 0.0, timesteps=10)

    x = draw(recipe, network, np.zeros(3, dtype=np.int64), 0)

    assert (x == 40).all()
    assert network.times == choose_timesteps(10, sampling_steps)
    assert network.times[0] == 9


@pytest.mark.parametrize(("timesteps", "sampling_steps"), [(1000, 25), (1000, 1), (10, 10), (12, 6), (1000, 500)])
def test_strides_go_from_pure_noise_down_and_grow_with_it(timesteps: int, sampling_steps: int) -> None:
    times = choose_timesteps(timesteps, sampling_steps)

    assert len(times) == sampling_steps
    assert times[0] == timesteps - 1
    gaps = -np.diff([*times, -1])
    assert (gaps > 0).all()
    assert (np.diff(gaps[:-1]) <= 1).all()  # rounding apart


def test_all_timesteps_are_drawn_as_monai_draws_them() -> None:
    """The reference is ``DDIMScheduler.step``."""
    network, labels = Known([-0.3, 0.2], 0.1, timesteps=20), np.zeros(8, dtype=np.int64)
    recipe = Diffusion(timesteps=20, sampling_steps=20, guidance=0)
    scheduler = DDIMScheduler(20, **SCHEDULE)
    scheduler.set_timesteps(20)
    x = torch.randn(8, 1, *network.padded, generator=torch.Generator().manual_seed(0))
    for t in range(19, -1, -1):
        x, _ = scheduler.step(network(x, torch.full((8,), t), torch.zeros(8, dtype=torch.int64)), t, x)

    drawn = draw(recipe, network, labels, 0)

    assert np.abs(drawn.astype(float) - as_pixels(x[:, :, :15, :14])).max() <= 1


def test_fine_detail_keeps_its_deviation_in_25_strides() -> None:
    """Images that are noise of .05 around grey, by an exact denoiser; equal strides kept half of it."""
    network = Known([0.0], 0.05, timesteps=1000)

    x = draw(Diffusion(guidance=0), network, np.zeros(32, dtype=np.int64), 0)

    assert 0.8 < (x / 127.5 - 1).std() / 0.05 < 1


def test_guidance_pushes_samples_away_from_the_average_image() -> None:
    network, labels = Known([-0.3, 0.2], 0.1, timesteps=20), np.zeros(16, dtype=np.int64)
    recipe = Diffusion(timesteps=20, sampling_steps=10)

    plain, pushed = (draw(replace(recipe, guidance=w), network, labels, 0).mean() for w in (0.0, 1.0))

    assert pushed < plain - 5


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("levels", [1, 3])
def test_the_network_is_monais_without_its_attention(d: int, levels: int) -> None:
    pytest.importorskip("einops", reason="MONAI's own network needs einops")
    from monai.networks.nets import DiffusionModelUNet

    torch.manual_seed(0)
    network = Denoiser((2, *[12] * d), 3, width=8, levels=levels).eval()
    maps = [8, *[16] * (levels - 1)]
    reference = DiffusionModelUNet(
        d, 2, 2, num_res_blocks=1, channels=maps, attention_levels=[False] * levels,
        norm_num_groups=8, num_head_channels=maps, num_class_embeds=4,
    ).eval()  # fmt: skip
    with torch.no_grad():
        for value in network.parameters():
            value.add_(torch.randn_like(value) * 0.1)  # the zeros it begins with would hide most of it
    own = {
        key.replace("middle.0", "middle_block.resnet_1").replace("middle.1", "middle_block.resnet_2"): value
        for key, value in network.state_dict().items()
    }
    missing, unexpected = reference.load_state_dict(own, strict=False)
    with torch.no_grad():
        for value in reference.middle_block.attention.attn.out_proj.parameters():
            value.zero_()
    x, t, labels = torch.randn(2, 2, *network.padded), torch.tensor([3, 700]), torch.tensor([0, 3])

    assert all(key.startswith("middle_block.attention") for key in missing)
    assert unexpected == []
    with torch.no_grad():
        assert torch.allclose(network(x, t, labels), reference(x, t, class_labels=labels), atol=1e-5)


@given(
    spatial=st.one_of(
        st.lists(st.integers(12, 70), min_size=2, max_size=2), st.lists(st.integers(12, 20), min_size=3, max_size=3)
    ),
    levels=st.integers(0, 4),
)
@settings(deadline=None, max_examples=10)
def test_the_network_works_on_a_size_a_little_larger(spatial: list[int], levels: int) -> None:
    network = Denoiser((1, *spatial), 2, width=4, levels=levels)

    v = network(torch.zeros(1, 1, *network.padded), torch.tensor([0]), torch.tensor([2]))

    assert v.shape == (1, 1, *network.padded)
    assert network.spatial == spatial
    assert all(
        0 <= more - side < 2 ** (len(network.down_blocks) - 1)
        for more, side in zip(network.padded, spatial, strict=True)
    )


def test_the_smallest_map_has_six_to_sixteen_positions() -> None:
    for side in (12, 13, 15, 16, 17, 31, 32, 33, 63, 64, 127, 128, 129):
        network = Denoiser((1, side, side), 2, width=4, levels=0)
        assert 6 <= network.padded[0] / 2 ** (len(network.down_blocks) - 1) <= 16


@pytest.mark.slow
def test_its_arm_passes_the_checks_that_authors_run(tmp_path: Path) -> None:
    check_augmenter(Generative("diffusion", generator=replace(QUICK, sampling_steps=1)), tmp_path)


def test_it_refuses_the_state_of_another(context: SandboxContext) -> None:
    train = toy_samples(12, size=12)
    state = QUICK.fit(train, context).state()

    for recipe, samples in (
        (QUICK, toy_samples(12, size=16)),
        (QUICK, toy_samples(12, size=12, classes=3)),
        (replace(QUICK, width=8), train),
        (replace(QUICK, levels=3), train),
    ):
        with pytest.raises(medbench.StoreError, match="fit the generator again"):
            recipe.restore(state, samples)


@pytest.fixture(scope="module")
def untrained() -> DiffusionSampler:
    """A denoiser whose weights are drawn, none of them 0."""
    torch.manual_seed(0)
    network = Denoiser((1, 12, 12), 2, width=4, levels=2).eval().requires_grad_(False)
    for value in network.parameters():
        value.add_(torch.randn_like(value) * 0.1)
    return DiffusionSampler(QUICK, network, np.ones(2))


@given(labels=st.lists(st.integers(0, 1), min_size=1, max_size=2 * BLOCK_ROWS + 3), data=st.data())
@settings(deadline=None, max_examples=15)
def test_labels_further_behind_change_no_row_before(untrained: DiffusionSampler, labels: list[int], data: Any) -> None:
    n = data.draw(st.integers(1, len(labels)))

    x = untrained.sample(np.array(labels), 0)

    assert np.array_equal(untrained.sample(np.array(labels[:n]), 0), x[:n])


def test_the_requested_class_decides_what_is_drawn(untrained: DiffusionSampler) -> None:
    first, second = (untrained.sample(np.full(4, k), 0) for k in (0, 1))

    assert not np.array_equal(first, second)


def test_the_null_class_is_learnt_from_the_dropped_rows_alone(context: SandboxContext) -> None:
    train = toy_samples(12, size=12)

    def moved(**fields: Any) -> np.ndarray:
        """How far each class's embedding lies from where it began, ``(3,)``."""
        name, recipe = "class_embedding.weight", replace(QUICK, guidance=0.0, **fields)
        end, start = (replace(recipe, steps=n).fit(train, context).state()[name] for n in (6, 1))
        return np.abs(end - start).max(1)

    kept, dropped = moved(drop=0.0), moved(drop=0.5)

    assert kept[2] < 1e-6 < 1e-3 < kept[:2].min()
    assert dropped.min() > 1e-3


def test_a_loss_that_is_not_finite_names_the_step(context: SandboxContext) -> None:
    with pytest.raises(medbench.Diverged, match=r"^diffusion: the loss is not finite at step [2-6] of 6; lower lr\.$"):
        replace(QUICK, steps=6, lr=1e38).fit(toy_samples(12, size=12), context)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"width": 2}, "width"),
        ({"width": 0}, "width"),
        ({"levels": -1}, "levels"),
        ({"levels": 5}, "levels: 5 halve 12 pixels"),
        ({"steps": 0}, "steps"),
        ({"batch": 1}, "batch"),
        ({"lr": math.nan}, "lr"),
        ({"ema": 1.5}, "ema"),
        ({"guidance": -1.0}, "guidance"),
        ({"drop": 1.0}, "drop"),
        ({"drop": 0.0, "guidance": 1.0}, "drop"),
        ({"timesteps": 20, "sampling_steps": 7}, "sampling_steps"),
        ({"timesteps": 20, "sampling_steps": 40}, "sampling_steps"),
    ],
)
def test_a_field_out_of_range_is_an_error(fields: dict[str, Any], named: str, context: SandboxContext) -> None:
    with pytest.raises(medbench.UsageError, match=rf"^diffusion\.{named}"):
        replace(QUICK, **fields).fit(toy_samples(12, size=12), context)


def test_its_arm_stands_on_it_and_on_the_control_of_every_generator() -> None:
    arms = {augmenter.name: augmenter for augmenter in register_augmenters()}

    assert [generator for generator in register_generators() if generator.name == "diffusion"] == [Diffusion()]
    assert arms["diffusion"].needs == (Diffusion(),)
    assert arms["diffusion"].control == arms["copies"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dimensions", "channels", "width", "steps", "times"), [(2, 1, 8, 200, 2), (2, 3, 16, 200, 2), (3, 1, 8, 60, 1)]
)
def test_samples_are_nearer_to_their_own_class_and_differ(
    dimensions: int, channels: int, width: int, steps: int, times: float, context: SandboxContext
) -> None:
    """Their mean image, by so many `times`; the noise that is left in a short fit adds to their diversity."""
    context.budget = medbench.Budget(generator_steps=steps)
    train = toy_samples(120, size=16, dimensions=dimensions, channels=channels)
    labels = np.repeat([0, 1], 32 if dimensions == 2 else 12)

    sampler = Diffusion(width=width, batch=16, sampling_steps=10).fit(train, context)
    x = sampler.sample(labels, 0)

    made = [x[labels == k].mean(0) for k in (0, 1)]
    real = [train.x[train.labels == k].mean(0) for k in (0, 1)]
    apart = np.array([[np.sqrt(((one - other) ** 2).mean()) for other in real] for one in made])
    assert times * apart[0, 0] < apart[0, 1]
    assert times * apart[1, 1] < apart[1, 0]
    assert 0.3 < sampler.facts["diversity_lowest"] <= sampler.facts["diversity"] < 2
