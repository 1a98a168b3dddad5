"""AC-GAN: a generator of images of a class, taught by a discriminator that also names the class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from medbench_plugins.generators.checks import check_fields
from medbench_plugins.generators.image_gans import recipe

if TYPE_CHECKING:
    from medbench_plugins.generators.image_gans.loop import Game


@dataclass(frozen=True)
class ACGAN:
    """Auxiliary classifier GAN for images and volumes of any size (Odena, Olah, Shlens, ICML 2017, arXiv 1610.09585).

    Class-balanced batches, spectral norm in the discriminator, and the moving average of the generator's weights.

    Attributes:
        variant: "odena" has cross-entropy on the source and class loss on real and synthetic images; "keras" class loss
            on real images only, as Keras' mnist_acgan; "modified" the same with a hinge loss and conditional batch
            normalisation in the generator, as StudioGAN's ACGAN-Mod.
        width: Maps at full size; 16, 32 and 64 are usual.
        latent: Length of the noise vector.
        steps: Steps of both networks; none: as many as
            ``budget.generator_steps`` says, which caps a number too.
        batch: Images a step.
        batch_3d: Volumes a step.
        lr_g: Adam's learning rate of the generator.
        lr_d: Adam's learning rate of the discriminator.
        beta1: Adam's decay of the mean.
        beta2: Adam's decay of the square.
        ema: Decay of the moving average.
        class_weight: Weight of the class loss in both networks.
        augment: Show the discriminator images of changed brightness, contrast and place, with a part cut out
            (DiffAugment): against memorising a few images, at the price of slower learning. "auto" does so where
            fewer than 2,000 real images are learnt from for 2,000 steps or more, and not in the two variants that
            published work used.
    """

    name: str = "acgan"
    variant: Literal["odena", "keras", "modified"] = "modified"
    width: int = 16
    latent: int = 64
    steps: int | None = None
    batch: int = 32
    batch_3d: int = 8
    lr_g: float = 2e-4
    lr_d: float = 4e-4  # twice the generator's, and no momentum: livelier samples than 2e-4, 2e-4, 0.5
    beta1: float = 0.0
    beta2: float = 0.999
    ema: float = 0.999
    class_weight: float = 1.0
    augment: bool | Literal["auto"] = "auto"

    stored: ClassVar[bool] = True
    summary: ClassVar[str] = "auxiliary classifier GAN for images and volumes"

    check = check_fields
    fit = recipe.fit_gan
    restore = recipe.restore_gan

    def game(self) -> Game:
        """Return the networks, losses and optimisers of this configuration."""
        from medbench_plugins.generators.adversarial import adam
        from medbench_plugins.generators.image_gans.loop import Game
        from medbench_plugins.generators.image_gans.losses import AuxiliaryClassifier
        from medbench_plugins.generators.image_gans.networks import DiscriminatorNetwork, GeneratorNetwork

        return Game(
            objective=AuxiliaryClassifier(self.variant, self.class_weight),
            generator=partial(
                GeneratorNetwork,
                width=self.width,
                latent=self.latent,
                conditional_norm=self.variant == "modified",
            ),
            discriminator=partial(DiscriminatorNetwork, width=self.width),
            optimiser=adam(self),
            augment=self.augment if self.augment != "auto" or self.variant == "modified" else False,
        )
