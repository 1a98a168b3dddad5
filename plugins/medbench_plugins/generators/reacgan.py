"""ReACGAN: images of a class, pulled to a point on a sphere instead of sorted by a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from medbench_plugins.generators.checks import check_fields
from medbench_plugins.generators.image_gans import recipe

if TYPE_CHECKING:
    from medbench_plugins.generators.image_gans.loop import Game


@dataclass(frozen=True)
class ReACGAN:
    """Rebooted auxiliary classifier GAN for images and volumes (Kang et al., NeurIPS 2021, arXiv 2111.01118).

    A hinge on real or synthetic, and the data-to-data cross-entropy on embeddings of length 1, which neither explodes
    with the norm of the features nor keeps sharpening what is already told apart. Spectral norm in the discriminator,
    conditional batch norm in the generator, class-balanced batches, averaged weights.

    Deliberate differences: the small convolutional networks of this package instead of ResNets with attention, no
    spectral norm in the generator, one discriminator step instead of two to five, and an exact D2D-CE (see
    ``losses.d2d_ce``).

    Attributes:
        width: Maps at full size; 16, 32 and 64 are usual.
        latent: Length of the noise vector.
        embedding: Dimensions of the sphere.
        steps: Steps of both networks; none: as many as
            ``budget.generator_steps`` says, which caps a number too.
        batch: Images a step.
        batch_3d: Volumes a step.
        lr_g: Adam's learning rate of the generator.
        lr_d: Adam's learning rate of the discriminator.
        beta1: Adam's decay of the mean.
        beta2: Adam's decay of the square.
        ema: Decay of the moving average.
        class_weight: Weight of D2D-CE in both networks, the paper's lambda.
        margin: The paper's m_p: how near an image must be to the point of its class to be left alone.
        temperature: The paper's tau.
        augment: DiffAugment without saturation (Zhao et al. 2020, arXiv 2006.10738). "auto" does so where fewer than
            2,000 real images are learnt from for 2,000 steps or more.
        checkpoint: "last" keeps the last averaged weights. "kid" keeps a tenth of the training patients back, measures
            the kernel distance of samples to them ten times a fit, and keeps the averaged weights of the least one;
            with fewer than 20 such images of a class it learns from all and keeps the last, and its facts say so.
    """

    name: str = "reacgan"
    width: int = 16
    latent: int = 64
    embedding: int = 128
    steps: int | None = None
    batch: int = 32
    batch_3d: int = 8
    lr_g: float = 2e-4
    lr_d: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    ema: float = 0.999
    class_weight: float = 0.5
    margin: float = 0.98
    temperature: float = 0.5
    augment: bool | Literal["auto"] = "auto"
    checkpoint: Literal["last", "kid"] = "last"

    stored: ClassVar[bool] = True
    summary: ClassVar[str] = "ReACGAN for images and volumes: the strong default"

    check = check_fields
    fit = recipe.fit_gan
    restore = recipe.restore_gan

    def game(self) -> Game:
        """Return the networks, losses and optimisers of this configuration."""
        from medbench_plugins.generators.adversarial import adam
        from medbench_plugins.generators.image_gans.loop import Game
        from medbench_plugins.generators.image_gans.losses import DataToData
        from medbench_plugins.generators.image_gans.networks import EmbeddingDiscriminator, GeneratorNetwork

        return Game(
            objective=DataToData(self.class_weight, self.margin, self.temperature),
            generator=partial(GeneratorNetwork, width=self.width, latent=self.latent, conditional_norm=True),
            discriminator=partial(EmbeddingDiscriminator, width=self.width, embedding=self.embedding),
            optimiser=adam(self),
            augment=self.augment,
            checkpoint=self.checkpoint,
        )
