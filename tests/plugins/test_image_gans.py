"""What every trained generator of images keeps to, and that each GAN learns."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import medbench
from medbench.testing import SandboxContext, check_generator, check_recipe_is_unchanged, toy_samples
from medbench_plugins.augmenters import register_augmenters
from medbench_plugins.generators import register_generators
from medbench_plugins.generators.acgan import ACGAN
from medbench_plugins.generators.dcgan import DCGAN
from medbench_plugins.generators.diffusion import Diffusion
from medbench_plugins.generators.image_gans import loop
from medbench_plugins.generators.image_gans.networks import Critic, GeneratorNetwork, OneAClass, initialise_as_dcgan
from medbench_plugins.generators.reacgan import ReACGAN
from medbench_plugins.generators.settings import steps_to_take
from medbench_plugins.generators.wgan import ClippedWGAN, PenalisedWGAN

SMALL: dict[str, Any] = {"width": 4, "latent": 8, "batch": 8, "batch_3d": 4}
GANS: dict[str, Any] = {
    "acgan": ACGAN(**SMALL, steps=3),
    "acgan-odena": ACGAN(**SMALL, steps=3, variant="odena"),
    "acgan-keras": ACGAN(**SMALL, steps=3, variant="keras", augment=True),
    "reacgan": ReACGAN(**SMALL, steps=3, embedding=6),
    "reacgan-augmented": ReACGAN(**SMALL, steps=3, embedding=6, augment=True),
    "dcgan": DCGAN(**SMALL, steps=6, lr_g=0.02),
    "dcgan-one-for-all": DCGAN(**SMALL, steps=3, per_class=False, lr_g=0.02),
    "wgan-clip": ClippedWGAN(**SMALL, steps=6, critic_steps=2, lr_g=0.02),
    "wgan-pooled": ClippedWGAN(**SMALL, steps=6, critic_steps=2, lr_g=0.02, pool=70),
    "wgan-gp": PenalisedWGAN(**SMALL, steps=3, critic_steps=2),
}
QUICK = {
    **GANS,
    "diffusion": Diffusion(width=4, steps=3, batch=6, batch_3d=4, timesteps=20, sampling_steps=2, lr=0.01),
}
every_gan = pytest.mark.parametrize("gan", GANS.values(), ids=GANS)
every_generator = pytest.mark.parametrize("generator", QUICK.values(), ids=QUICK)
ONE_A_CLASS = pytest.mark.parametrize("gan", [QUICK["dcgan"], QUICK["wgan-clip"]], ids=["dcgan", "wgan-clip"])


@every_generator
@pytest.mark.parametrize(
    ("dimensions", "channels", "size"), [(2, 1, 16), (2, 3, 21), (2, 1, 128), (3, 1, 16), (3, 2, 13)]
)
def test_a_generator_draws_rows_like_those_it_was_fitted_on(
    generator: Any, dimensions: int, channels: int, size: int, context: SandboxContext
) -> None:
    train = toy_samples(12, classes=3, channels=channels, size=size, dimensions=dimensions)
    labels = np.array([2, 0, 0, 1, 2])

    sampler = check_recipe_is_unchanged(generator, lambda: generator.fit(train, context))
    x = sampler.sample(labels, 5)

    assert isinstance(generator, medbench.Generator)
    assert x.dtype == np.uint8
    assert x.shape == (5, *train.x.shape[1:])
    assert np.array_equal(x, sampler.sample(labels, 5))
    assert not np.array_equal(x, sampler.sample(labels, 6))


@every_generator
def test_a_generator_passes_the_checks_that_authors_run(generator: Any, tmp_path: Any) -> None:
    check_generator(generator, tmp_path)


@every_generator
@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_restored_generator_draws_the_same_rows(generator: Any, dimensions: int, context: SandboxContext) -> None:
    train = toy_samples(12, size=12, dimensions=dimensions)

    sampler = generator.fit(train, context)
    restored = generator.restore({name: np.array(array) for name, array in sampler.state().items()}, train)

    assert np.array_equal(restored.sample(train.labels, 1), sampler.sample(train.labels, 1))
    assert restored.facts == sampler.facts
    assert set(restored.facts) - {"augmented"} == {"diversity", "diversity_lowest", "collapsed"}


@every_generator
def test_a_generator_refuses_the_state_of_another(generator: Any, context: SandboxContext) -> None:
    train = toy_samples(12, size=12)
    state = generator.fit(train, context).state()

    with pytest.raises(medbench.StoreError, match="fit the generator again"):
        generator.restore(state, toy_samples(12, size=16))
    with pytest.raises(medbench.StoreError, match="fit the generator again"):
        replace(generator, width=8).restore(state, train)


def test_one_network_for_all_refuses_the_state_of_one_a_class(context: SandboxContext) -> None:
    train = toy_samples(12, size=12)
    state = QUICK["dcgan"].fit(train, context).state()

    with pytest.raises(medbench.StoreError, match="fit the generator again"):
        QUICK["dcgan-one-for-all"].restore(state, train)


@every_generator
def test_a_fit_repeats_bit_for_bit_and_keeps_the_global_random_state(generator: Any, context: SandboxContext) -> None:
    train = toy_samples(12, size=12)
    before = torch.random.get_rng_state()

    first, second = (generator.fit(train, context).state() for _ in range(2))
    other = generator.fit(train, replace(context, base=1)).state()

    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not all(np.array_equal(first[name], other[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), before)


@every_generator
@pytest.mark.parametrize("n", [1, 2])
def test_a_class_of_a_few_images_is_enough_for_every_generator(generator: Any, n: int, context: SandboxContext) -> None:
    train = toy_samples(20, size=12)
    train = train.take([*np.flatnonzero(train.labels == 0), *np.flatnonzero(train.labels == 1)[:n]])

    sampler = generator.fit(train, context)

    assert len(sampler.sample(np.ones(3, dtype=np.int64), 0)) == 3
    assert math.isfinite(sampler.facts["diversity"])


@every_generator
def test_unlabelled_rows_teach_no_generator(generator: Any, context: SandboxContext) -> None:
    train = toy_samples(20, size=12)
    few = replace(train, labels=np.where(np.arange(20) < 12, train.labels, -1))
    changed = few.x.copy()
    changed[12:] = 255

    first, second = (generator.fit(samples, context).state() for samples in (few, replace(few, x=changed)))

    assert all(np.array_equal(first[name], second[name]) for name in first)


@every_generator
def test_what_a_generator_cannot_learn_is_a_skip(generator: Any, context: SandboxContext) -> None:
    train = toy_samples(12, size=12)

    with pytest.raises(medbench.Skip, match=f"{generator.name} cannot learn .*rare"):
        generator.fit(replace(train, classes=("class 0", "class 1", "rare")), context)
    with pytest.raises(medbench.Skip, match="float32"):
        generator.fit(replace(train, x=np.zeros((12, 40), dtype=np.float32)), context)
    with pytest.raises(medbench.Skip, match="12 pixels"):
        generator.fit(toy_samples(12, size=8), context)


@every_gan
def test_a_gan_whose_loss_is_not_finite_names_the_step(gan: Any, context: SandboxContext) -> None:
    with pytest.raises(medbench.Diverged, match=rf"^{gan.name}( of [^:]+)?: .*(step \d+ of \d+|after \d+ steps)"):
        replace(gan, lr_g=1e38, lr_d=1e38).fit(toy_samples(12, size=12), context)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("reacgan", "margin", 1.5),
        ("reacgan", "temperature", 0.0),
        ("reacgan", "embedding", 0),
        ("dcgan", "ema", math.nan),
        ("wgan-clip", "clip", 0.0),
        ("wgan-clip", "critic_steps", 0),
        ("wgan-gp", "penalty", -1.0),
    ],
)
def test_a_gans_field_out_of_range_is_an_error(name: str, field: str, value: float, context: SandboxContext) -> None:
    with pytest.raises(medbench.UsageError, match=rf"{name}\.{field}"):
        replace(QUICK[name], **{field: value}).fit(toy_samples(12, size=12), context)


@every_generator
def test_the_budget_caps_the_steps_of_all_networks_together(generator: Any, context: SandboxContext) -> None:
    context.budget = medbench.Budget(generator_steps=4)
    train = toy_samples(12, size=12)

    replace(generator, steps=100).fit(train, context)

    assert [(step, total) for step, total, _ in context.reports] == [(step, 4) for step in (1, 2, 3, 4)]
    assert all(math.isfinite(value) for value in context.reports[-1][2].values())


@ONE_A_CLASS
def test_every_class_gets_a_step_however_small_the_budget(gan: Any, context: SandboxContext) -> None:
    context.budget = medbench.Budget(generator_steps=1)

    gan.fit(toy_samples(12, classes=3, size=12), context)

    assert [step for step, _, _ in context.reports] == [1, 2, 3]


@every_generator
@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_fit_leaves_curves_and_a_contact_sheet(generator: Any, dimensions: int, context: SandboxContext) -> None:
    generator.fit(toy_samples(12, size=12, dimensions=dimensions), context)

    with (context.folder / f"{generator.name}-curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, generator.steps + 1))
    losses = set(rows[0]) - {"step", "part", "diversity"}
    assert losses
    assert all(math.isfinite(float(row[name])) for row in rows for name in losses)
    assert float(rows[-1]["diversity"]) >= 0
    with Image.open(context.folder / f"{generator.name}-samples.png") as picture:
        assert picture.size[0] > 4 * 96


@ONE_A_CLASS
def test_curves_name_the_class_that_took_the_step(gan: Any, context: SandboxContext) -> None:
    gan.fit(toy_samples(12, size=12), context)

    with (context.folder / f"{gan.name}-curves.csv").open() as file:
        assert [row["part"] for row in csv.DictReader(file)] == ["class 0"] * 3 + ["class 1"] * 3


@ONE_A_CLASS
def test_a_classs_networks_never_see_another_class(gan: Any, context: SandboxContext) -> None:
    train = toy_samples(12, size=12)
    changed = train.x.copy()
    changed[train.labels == 1] = 255 - changed[train.labels == 1]

    first, second = (gan.fit(samples, context).state() for samples in (train, replace(train, x=changed)))

    same = {name: np.array_equal(first[name], second[name]) for name in first if name.startswith("networks.")}
    assert all(equal for name, equal in same.items() if name.startswith("networks.0."))
    assert not all(equal for name, equal in same.items() if name.startswith("networks.1."))


def test_one_network_for_all_ignores_the_labels(context: SandboxContext) -> None:
    train = toy_samples(12, size=12)
    gan = QUICK["dcgan-one-for-all"]

    sampler = gan.fit(train, context)
    swapped = gan.fit(replace(train, labels=1 - train.labels), context)

    assert np.array_equal(sampler.sample(np.zeros(4, dtype=np.int64), 0), sampler.sample(np.ones(4, dtype=np.int64), 0))
    first, second = sampler.state(), swapped.state()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_each_label_is_drawn_by_the_network_of_its_class() -> None:
    torch.manual_seed(0)
    networks = [GeneratorNetwork((1, 12, 12), 1, width=2, latent=3, conditional_norm=False).eval() for _ in range(3)]
    z, labels = torch.randn(6, 3), torch.tensor([2, 0, 1, 1, 0, 2])

    with torch.no_grad():
        x = OneAClass(networks).eval()(z, labels)
        expected = [networks[label](z[i : i + 1], torch.zeros(1, dtype=torch.long)) for i, label in enumerate(labels)]

    assert torch.allclose(x, torch.cat(expected), atol=1e-6)


def test_the_initialisation_is_that_of_dcgan() -> None:
    torch.manual_seed(0)
    network = Critic((1, 64, 64), 1, width=16, norm="batch")

    initialise_as_dcgan(network)

    weight, gain = network.body.convs[-1].weight, network.body.norms[-1].weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert gain.mean().item() == pytest.approx(1, abs=0.01)
    assert gain.std().item() == pytest.approx(0.02, rel=0.3)
    assert all(not module.bias.any() for module in network.modules() if getattr(module, "bias", None) is not None)


def test_a_critic_of_several_classes_depends_on_the_class() -> None:
    critic = Critic((1, 12, 12), 2, width=2, norm="none")
    x = torch.randn(1, 1, 12, 12)
    with torch.no_grad():
        critic.classes.weight.normal_()

    assert critic(x, torch.tensor([0])) != critic(x, torch.tensor([1]))
    assert Critic((1, 12, 12), 1, width=2, norm="none").classes is None


def test_every_gan_is_registered_with_robust_defaults() -> None:
    registered = {generator.name: generator for generator in register_generators()}

    assert {"acgan", "reacgan", "dcgan", "wgan-clip", "wgan-gp"} <= set(registered)
    assert all(registered[name].summary for name in registered)


@pytest.mark.parametrize(("arm", "generator"), [("reacgan", ReACGAN()), ("wgan", ClippedWGAN())])
def test_an_arm_stands_on_its_generator(arm: str, generator: medbench.Generator) -> None:
    augmenter = {augmenter.name: augmenter for augmenter in register_augmenters()}[arm]

    assert medbench.interfaces.needs(augmenter) == (generator,)


LEARNERS = {
    "reacgan": (ReACGAN(width=8, batch=16), 300),
    "reacgan-augmented": (ReACGAN(width=8, batch=16, augment=True), 300),
    "dcgan": (DCGAN(width=8, batch=16), 500),
    "wgan-clip": (ClippedWGAN(width=8, batch=16, lr_g=2e-4, lr_d=2e-4), 400),
    "wgan-gp": (PenalisedWGAN(width=8, batch=16), 250),
}


@pytest.mark.slow
@pytest.mark.parametrize(("gan", "steps"), LEARNERS.values(), ids=LEARNERS)
def test_samples_come_nearer_to_their_class_than_before_training(gan: Any, steps: int, context: SandboxContext) -> None:
    """The mean image of each class, and that samples of a class still differ."""
    train = toy_samples(200, size=16)
    labels = np.repeat([0, 1], 100)

    def distances(steps: int) -> tuple[np.ndarray, dict[str, float]]:
        """How far the mean sample of class i lies from the mean image of class j, ``(2, 2)``."""
        context.budget = medbench.Budget(generator_steps=steps)
        sampler = gan.fit(train, context)
        made = sampler.sample(labels, 0)
        means = [[rows[y == k].mean(0) for k in (0, 1)] for rows, y in ((made, labels), (train.x, train.labels))]
        apart = [[np.sqrt(((one - other) ** 2).mean()) for other in means[1]] for one in means[0]]
        return np.array(apart), sampler.facts

    before, _ = distances(2)
    after, facts = distances(steps)

    assert (np.diag(after) < 0.5 * np.diag(before)).all()
    assert after[0, 0] < after[0, 1]
    assert after[1, 1] < after[1, 0]
    assert facts["diversity_lowest"] > 0.3


def test_steps_are_those_of_the_budget_and_fewer_where_a_recipe_names_fewer() -> None:
    recipe = ACGAN(width=2, latent=2, batch=2)

    assert steps_to_take(recipe, medbench.Budget(generator_steps=8000)) == 8000
    assert steps_to_take(replace(recipe, steps=9), medbench.Budget(generator_steps=8000)) == 9
    assert steps_to_take(replace(recipe, steps=9000), medbench.Budget(generator_steps=8000)) == 8000


@pytest.mark.parametrize(("gan", "few"), [(ACGAN(), True), (ReACGAN(), True), (ACGAN(variant="odena"), False)])
def test_a_discriminator_of_few_images_is_shown_changed_ones(
    gan: Any, few: bool, context: SandboxContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    gan, train = replace(gan, **SMALL, steps=1), toy_samples(12, size=12)

    assert gan.fit(train, context).facts["augmented"] == 0  # too short to know few images by heart
    monkeypatch.setattr(loop, "LONG", 1)
    assert gan.fit(train, context).facts["augmented"] == few
    assert replace(gan, augment=False).fit(train, context).facts["augmented"] == 0
    monkeypatch.setattr(loop, "FEW_IMAGES", len(train))
    assert gan.fit(train, context).facts["augmented"] == 0
    assert replace(gan, augment=True).fit(train, context).facts["augmented"] == 1
