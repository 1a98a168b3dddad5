"""Wasserstein GANs: the slope of the critic is bounded by clipping its weights, or by a penalty."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from medbench_plugins.generators.checks import check_fields
from medbench_plugins.generators.image_gans import recipe

if TYPE_CHECKING:
    from medbench_plugins.generators.image_gans.loop import Game


@dataclass(frozen=True)
class ClippedWGAN:
    """Wasserstein GAN, one a class (Arjovsky, Chintala, Bottou 2017, arXiv 1701.07875, algorithm 1).

    RMSprop at 5e-5, five critic steps for each of the generator, every weight of the critic clipped to 0.01, networks
    and initialisation as in DCGAN, the last weights. Known to be the weakest of its family: it is here since
    published results rest on it.

    Deliberate differences: batches of 32 instead of 64, and the generator learns from the images the critic has just
    seen instead of drawing new ones.

    Attributes:
        width: Maps at full size.
        latent: Length of the noise vector.
        steps: Steps of the generator, of all classes together; none: as many as
            ``budget.generator_steps`` says, which caps a number too.
        critic_steps: Steps of the critic for each of the generator; with 5 such a step costs two to three times
            one of AC-GAN.
        batch: Images a step.
        batch_3d: Volumes a step.
        lr_g: RMSprop's learning rate of the generator.
        lr_d: RMSprop's learning rate of the critic.
        clip: The critic's weights stay within this of 0.
        ema: Decay of the moving average; 0 keeps the last weights, as the paper does.
        pool: Of how many of the last of 200 equal parts of the fit the weights are kept; images are drawn from all of
            them. Counts for the rarest class, for commoner ones fewer in proportion; 1: from the last weights alone.
    """

    name: str = "wgan-clip"
    width: int = 16
    latent: int = 100
    steps: int | None = None
    critic_steps: int = 5
    batch: int = 32
    batch_3d: int = 8
    lr_g: float = 5e-5
    lr_d: float = 5e-5
    clip: float = 0.01
    ema: float = 0.0
    pool: int = 1

    stored: ClassVar[bool] = True
    summary: ClassVar[str] = "Wasserstein GAN with weight clipping, one a class"

    check = check_fields
    fit = recipe.fit_gan
    restore = recipe.restore_gan

    def game(self) -> Game:
        """Return the networks, losses and optimisers of this configuration."""
        from torch.optim import RMSprop

        from medbench_plugins.generators.image_gans.loop import Game
        from medbench_plugins.generators.image_gans.losses import Wasserstein
        from medbench_plugins.generators.image_gans.networks import Critic, GeneratorNetwork, initialise_as_dcgan

        return Game(
            objective=Wasserstein(),
            generator=partial(GeneratorNetwork, width=self.width, latent=self.latent, conditional_norm=False),
            discriminator=partial(Critic, width=self.width, norm="batch"),
            optimiser=RMSprop,
            split="class",
            critic_steps=self.critic_steps,
            clip=self.clip,
            pool=self.pool,
            initialise=initialise_as_dcgan,
        )


@dataclass(frozen=True)
class PenalisedWGAN:
    """Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, arXiv 1704.00028, algorithm 1).

    Penalty 10, Adam at 1e-4 with (0, 0.9), five critic steps for each of the generator, no norm in the critic.

    One conditional pair for all classes rather than one a class, since small classes gain most from shared weights:
    the class enters the generator by conditional batch norm and the critic as a projection (Miyato and Koyama 2018).
    Further deliberate differences: convolutional networks of this package instead of ResNets, the averaged weights,
    batches of 32 instead of 64, and the generator learns from the images the critic has just seen.

    Attributes:
        width: Maps at full size.
        latent: Length of the noise vector.
        steps: Steps of the generator; none: as many as
            ``budget.generator_steps`` says, which caps a number too.
        critic_steps: Steps of the critic for each of the generator; with 5 such a step costs about five times
            one of AC-GAN.
        batch: Images a step.
        batch_3d: Volumes a step.
        lr_g: Adam's learning rate of the generator.
        lr_d: Adam's learning rate of the critic.
        beta1: Adam's decay of the mean.
        beta2: Adam's decay of the square.
        penalty: Weight of the gradient penalty, the paper's lambda.
        ema: Decay of the moving average.
    """

    name: str = "wgan-gp"
    width: int = 16
    latent: int = 64
    steps: int | None = None
    critic_steps: int = 5
    batch: int = 32
    batch_3d: int = 8
    lr_g: float = 1e-4
    lr_d: float = 1e-4
    beta1: float = 0.0
    beta2: float = 0.9
    penalty: float = 10.0
    ema: float = 0.999

    stored: ClassVar[bool] = True
    summary: ClassVar[str] = "Wasserstein GAN with gradient penalty, conditional on the class"

    check = check_fields
    fit = recipe.fit_gan
    restore = recipe.restore_gan

    def game(self) -> Game:
        """Return the networks, losses and optimisers of this configuration."""
        from medbench_plugins.generators.adversarial import adam
        from medbench_plugins.generators.image_gans.loop import Game
        from medbench_plugins.generators.image_gans.losses import Wasserstein
        from medbench_plugins.generators.image_gans.networks import Critic, GeneratorNetwork

        return Game(
            objective=Wasserstein(self.penalty),
            generator=partial(GeneratorNetwork, width=self.width, latent=self.latent, conditional_norm=True),
            discriminator=partial(Critic, width=self.width, norm="none"),
            optimiser=adam(self),
            critic_steps=self.critic_steps,
        )
