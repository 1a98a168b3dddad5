"""DCGAN: the unconditional GAN of convolutions, one a class or one for all images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from medbench_plugins.generators.checks import check_fields
from medbench_plugins.generators.image_gans import recipe

if TYPE_CHECKING:
    from medbench_plugins.generators.image_gans.loop import Game


@dataclass(frozen=True)
class DCGAN:
    """Deep convolutional GAN for images and volumes (Radford, Metz, Chintala, ICLR 2016, arXiv 1511.06434).

    Batch norm in both networks, leaky ReLU in the discriminator, weights drawn from N(0, 0.02), Adam at 2e-4 with
    beta1 0.5, cross-entropy in its non-saturating form, the last weights.

    Deliberate differences: upsampling and a convolution instead of a transposed one of free weights, a body of 3 to 6
    convolutions after the size of the image, batches of 32 instead of 128.

    Attributes:
        per_class: One pair of networks a class, each getting an equal share of the steps; else one pair for all
            images, whose samples carry whatever label was requested: only the generator scores can use those.
        width: Maps at full size.
        latent: Length of the noise vector.
        steps: Steps of both networks, of all classes together; none: as many as
            ``budget.generator_steps`` says, which caps a number too.
        batch: Images a step.
        batch_3d: Volumes a step.
        lr_g: Adam's learning rate of the generator.
        lr_d: Adam's learning rate of the discriminator.
        beta1: Adam's decay of the mean.
        beta2: Adam's decay of the square.
        ema: Decay of the moving average; 0 keeps the last weights, as the paper does.
    """

    name: str = "dcgan"
    per_class: bool = True
    width: int = 16
    latent: int = 100
    steps: int | None = None
    batch: int = 32
    batch_3d: int = 8
    lr_g: float = 2e-4
    lr_d: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    ema: float = 0.0

    stored: ClassVar[bool] = True
    summary: ClassVar[str] = "deep convolutional GAN, one a class or one for all images"

    check = check_fields
    fit = recipe.fit_gan
    restore = recipe.restore_gan

    def game(self) -> Game:
        """Return the networks, losses and optimisers of this configuration."""
        from medbench_plugins.generators.adversarial import adam
        from medbench_plugins.generators.image_gans.loop import Game
        from medbench_plugins.generators.image_gans.losses import NonSaturating
        from medbench_plugins.generators.image_gans.networks import Critic, GeneratorNetwork, initialise_as_dcgan

        return Game(
            objective=NonSaturating(),
            generator=partial(GeneratorNetwork, width=self.width, latent=self.latent, conditional_norm=False),
            discriminator=partial(Critic, width=self.width, norm="batch"),
            optimiser=adam(self),
            split="class" if self.per_class else "none",
            initialise=initialise_as_dcgan,
        )
