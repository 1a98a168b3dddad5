"""AC-GAN of maps of features: the game of ``acgan`` between small convolutional networks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from medbench_plugins.generators.checks import check_fields
from medbench_plugins.generators.feature_gans.recipe import fit_gan_of_maps, restore_gan_of_rows

if TYPE_CHECKING:
    from medbench_plugins.generators.feature_gans.loop import DenseGame


@dataclass(frozen=True)
class MapACGAN:
    """Auxiliary classifier GAN for maps of features (Odena, Olah, Shlens, ICML 2017, arXiv 1610.09585).

    After Sahoo and Mehra 2019: a convolutional discriminator and a deconvolutional generator of three hidden layers
    each, leaky, on the maps at a U-Net's bottom; their kernels and strides were not released. Deliberate differences:
    class losses on logits (theirs on probabilities), the class beside the noise, spectral norm in the discriminator,
    balanced batches of 64 instead of 16, a tenth of their learning rate, averaged weights, and no filter by the
    discriminator's own opinion. Maps are scaled by the deviation of their channel, and a ReLU ends the generator where
    no training number is below 0.

    Attributes:
        variant: As for ``dense-acgan``.
        width: Maps of the first layer of the discriminator, and of the last hidden one of the generator.
        latent: Length of the noise vector.
        steps: Steps of both networks; ``budget.generator_steps`` caps it.
        batch: Rows a step.
        lr_g: Adam's learning rate of the generator.
        lr_d: Adam's learning rate of the discriminator.
        beta1: Adam's decay of the mean.
        beta2: Adam's decay of the square.
        class_weight: Weight of the class loss in both networks.
    """

    name: str = "map-acgan"
    variant: Literal["odena", "keras", "modified"] = "modified"
    width: int = 64
    latent: int = 64
    steps: int = 5000
    batch: int = 64
    lr_g: float = 2e-4
    lr_d: float = 4e-4
    beta1: float = 0.0
    beta2: float = 0.999
    class_weight: float = 1.0

    stored: ClassVar[bool] = True
    summary: ClassVar[str] = "auxiliary classifier GAN of maps of features, convolutional networks"

    check = check_fields
    fit = fit_gan_of_maps
    restore = restore_gan_of_rows

    def game(self) -> DenseGame:
        """Return the networks, losses and optimisers of this configuration."""
        from medbench_plugins.generators.adversarial import adam
        from medbench_plugins.generators.feature_gans.loop import DenseGame
        from medbench_plugins.generators.feature_gans.map_networks import MapDiscriminator, MapGenerator
        from medbench_plugins.generators.image_gans.losses import AuxiliaryClassifier

        objective = AuxiliaryClassifier(self.variant, self.class_weight)
        return DenseGame(
            objective=lambda x, labels: objective,
            generator=partial(MapGenerator, width=self.width, latent=self.latent),
            discriminator=partial(MapDiscriminator, width=self.width),
            optimiser=adam(self),
            by_channel=True,
        )
