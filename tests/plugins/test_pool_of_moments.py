"""Images drawn from several moments of a GAN's training, as the spine preprint pooled those of its last epochs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import medbench
from medbench.testing import SandboxContext, toy_samples
from medbench_plugins.generators.image_gans.networks import GeneratorNetwork, Pool
from medbench_plugins.generators.image_gans.pool import Moments, epochs_of_classes
from medbench_plugins.generators.wgan import ClippedWGAN


@pytest.mark.slow
def test_a_run_stores_a_pooled_generator_and_takes_it_from_the_store(tmp_path: Path) -> None:
    arm = "wgan[generator=rare-only[generator=wgan-clip[width=2,latent=4,pool=80]],fill=balance]"
    command = [sys.executable, "-m", "medbench", "run", "-d", "phantom:ddti:benign-malignant", "-a", arm, "-c",
               "small-cnn[width=4]", "--folds", "2", "--repeats", "1", "--no-controls", "--no-companions",
               "--no-yardsticks", "--budget", "steps=2,batch=4,size=16,generator_steps=6", "--results",
               str(tmp_path / "runs"), "-p", "no:medbench.scores", "-p", "no:medbench.extractors"]  # fmt: skip
    environment = {**os.environ, "MEDBENCH_CACHE": str(tmp_path / "cache")}

    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    again = subprocess.run(
        [*command, "-c", "small-cnn[width=2]"], capture_output=True, text=True, env=environment, timeout=300
    )
    refused = subprocess.run(
        [word.replace("pool=80", "pool=0") for word in command], capture_output=True, text=True, env=environment
    )

    assert ran.returncode == 0, ran.stderr
    assert "2 generators" in ran.stderr
    moments = [load_file(path)["moments"].tolist() for path in (tmp_path / "runs" / "stages").rglob("*.safetensors")]
    assert moments == [[3], [3]]  # after the fourth, fifth and sixth step
    assert again.returncode == 0, again.stderr
    assert len(list((tmp_path / "runs" / "stages").iterdir())) == 2  # the second network trains on the stored ones
    assert refused.returncode == 2
    assert "wgan-clip.pool: got 0" in refused.stderr


def test_the_studys_two_classes_pool_the_epochs_that_its_slides_name() -> None:
    assert epochs_of_classes(18, [140, 52]) == [6, 18]
    assert epochs_of_classes(18, [112, 42]) == [6, 18]  # four fifths of them
    assert epochs_of_classes(3, [1000, 10]) == [1, 3]


@pytest.mark.parametrize(
    ("epochs", "steps", "kept"),
    [(1, 200, {200}), (3, 200, {198, 199, 200}), (3, 400, {396, 398, 400}), (18, 10, {10}), (200, 7, set(range(1, 8)))],
)
def test_the_ends_of_the_last_epochs_are_kept(epochs: int, steps: int, kept: set[int]) -> None:
    assert Moments.of_last_epochs(epochs, steps).steps == kept


def constant(value: float) -> GeneratorNetwork:
    """Return a network whose every pixel is `value`."""
    network = GeneratorNetwork((1, 12, 12), 1, width=2, latent=3, conditional_norm=False).eval()

    def answer(_module: object, given: tuple[torch.Tensor, ...], _said: torch.Tensor) -> torch.Tensor:
        assert given[0].shape[1] == 3
        return torch.full((len(given[0]), 1, 12, 12), value)

    network.register_forward_hook(answer)
    return network


def test_every_moment_draws_as_often_and_an_image_depends_on_its_own_noise_alone() -> None:
    pool = Pool([constant(value) for value in (0.0, 0.25, 0.5, 0.75)])
    z = torch.randn(4000, pool.latent, generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(len(z), dtype=torch.int64)

    drawn = pool(z, labels)[:, 0, 0, 0]

    counts = torch.stack([(drawn == value).sum() for value in (0.0, 0.25, 0.5, 0.75)])
    assert counts.sum() == 4000
    assert (counts - 1000).abs().max() < 5 * (1000 * 0.75) ** 0.5  # five standard errors
    assert torch.equal(torch.cat([pool(part, labels[: len(part)])[:, 0, 0, 0] for part in z.split(7)]), drawn)


def test_a_pooled_fit_draws_from_earlier_weights_too_and_is_restored(tmp_path: Path) -> None:
    train, context = toy_samples(12, size=12), SandboxContext(tmp_path, budget=medbench.Budget(generator_steps=400))
    last = ClippedWGAN(width=2, latent=4, steps=400, critic_steps=1, batch=2)
    pooled = ClippedWGAN(width=2, latent=4, steps=400, critic_steps=1, batch=2, pool=40)

    alone, both = last.fit(train, context), pooled.fit(train, context)
    network = both.network.networks[0]

    assert len(network.networks) == 40  # of the 200 steps of each class
    own = alone.network.networks[0].state_dict()
    assert all(torch.equal(own[name], value) for name, value in network.networks[-1].state_dict().items())
    assert not all(torch.equal(own[name], value) for name, value in network.networks[0].state_dict().items())
    restored = pooled.restore({name: np.array(array) for name, array in both.state().items()}, train)
    assert np.array_equal(restored.sample(train.labels, 1), both.sample(train.labels, 1))
    assert restored.facts == both.facts
    with pytest.raises(medbench.StoreError, match="fit the generator again"):
        last.restore(both.state(), train)
    with pytest.raises(medbench.StoreError, match="fit the generator again"):
        pooled.restore(alone.state(), train)
