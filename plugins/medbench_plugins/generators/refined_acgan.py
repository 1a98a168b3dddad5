"""AC-GAN of features that starts as one Gaussian a class: for classes of which there are a dozen rows."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar, Literal

from medbench_plugins.generators.checks import check_fields
from medbench_plugins.generators.feature_gans.recipe import fit_gan_of_either, restore_gan_of_rows

if TYPE_CHECKING:
    from medbench_plugins.generators.feature_gans.loop import DenseGame


@dataclass(frozen=True)
class RefinedACGAN:
    """Auxiliary classifier GAN (Odena, Olah, Shlens, ICML 2017, arXiv 1610.09585) whose game corrects Gaussian draws.

    Before the first step it draws from the Gaussians of ``feature-gaussian``, behind a ReLU where no training number is
    below 0. The game then adds a correction to each draw: by a dense layer for vectors, by convolutions for maps. Four
    things keep a discriminator that has memorised a few rows from spoiling the start: it sees real and synthetic rows
    under noise, a correction is pulled back to nothing, it is three steps ahead of each step of the generator, and the
    class loss, which rewards rows far on a class's own side, counts little in the generator.

    Attributes:
        variant: As for ``dense-acgan``.
        hidden: Units of the hidden layer of correction and discriminator, for vectors.
        width: Maps of a hidden layer of both, for maps.
        rank: Directions of a class's covariance; the rest of its variance is kept feature by feature.
        steps: Steps of the generator; ``budget.generator_steps`` caps it.
        critic_steps: Steps of the discriminator for each of the generator.
        batch: Rows a step.
        lr_g: Adam's learning rate of the generator.
        lr_d: Adam's learning rate of the discriminator.
        beta1: Adam's decay of the mean.
        beta2: Adam's decay of the square.
        class_weight: Weight of the class loss in the discriminator.
        made_class_weight: The same in the generator.
        blur: Deviation of the noise on what the discriminator sees, in units of a feature's own deviation.
        pull: Weight of the squared length of a correction; none gets much longer than ``1 / (2 pull)`` units.

    Source:
        Instance noise: Sonderby et al., ICLR 2017, arXiv 1610.04490. The start: Ledoit and Wolf 2004, see
        ``feature-gaussian``. Numbers were set on seeds from 100 on of two drawn sets, see docs/performance.md.
    """

    name: str = "refined-acgan"
    variant: Literal["odena", "keras", "modified"] = "modified"
    hidden: int = 512
    width: int = 64
    rank: int = 64
    steps: int = 200
    critic_steps: int = 3
    batch: int = 64
    lr_g: float = 2e-4
    lr_d: float = 2e-3
    beta1: float = 0.0
    beta2: float = 0.999
    class_weight: float = 1.0
    made_class_weight: float = 0.1
    blur: float = 0.5
    pull: float = 0.1

    stored: ClassVar[bool] = True
    summary: ClassVar[str] = "auxiliary classifier GAN of features that starts as one Gaussian a class"

    check = check_fields
    fit = fit_gan_of_either
    restore = restore_gan_of_rows

    def game(self) -> DenseGame:
        """Return the networks, losses and optimisers of this configuration."""
        from torch import nn

        from medbench_plugins.generators.adversarial import adam
        from medbench_plugins.generators.feature_gans.dense_networks import DenseDiscriminator
        from medbench_plugins.generators.feature_gans.gaussian_start import (
            DenseCorrection,
            MapCorrection,
            StartedGenerator,
        )
        from medbench_plugins.generators.feature_gans.loop import DenseGame
        from medbench_plugins.generators.feature_gans.map_networks import MapDiscriminator
        from medbench_plugins.generators.image_gans.losses import AuxiliaryClassifier

        objective = AuxiliaryClassifier(self.variant, self.class_weight, self.made_class_weight)

        def generator(shape: tuple[int, ...], n_classes: int, *, positive: bool) -> StartedGenerator:
            correction = (
                MapCorrection(shape, n_classes, width=self.width)
                if len(shape) > 2
                else DenseCorrection(shape, n_classes, hidden=self.hidden)
            )
            return StartedGenerator(shape, n_classes, correction=correction, rank=self.rank, positive=positive)

        def discriminator(shape: tuple[int, ...], n_classes: int) -> nn.Module:
            if len(shape) > 2:
                return MapDiscriminator(shape, n_classes, width=self.width)
            return DenseDiscriminator(prod(shape), n_classes, hidden=self.hidden)

        return DenseGame(
            objective=lambda x, labels: objective,
            generator=generator,
            discriminator=discriminator,
            optimiser=adam(self),
            critic_steps=self.critic_steps,
            by_channel=True,
            blur=self.blur,
            pull=self.pull,
        )
