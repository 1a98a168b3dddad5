"""AC-GAN of features: the game of ``acgan`` between dense networks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, ClassVar, Literal

from medbench_plugins.generators.checks import check_fields
from medbench_plugins.generators.feature_gans.recipe import fit_gan_of_vectors, restore_gan_of_rows

if TYPE_CHECKING:
    from medbench_plugins.generators.feature_gans.loop import DenseGame


@dataclass(frozen=True)
class DenseACGAN:
    """Auxiliary classifier GAN for rows of features (Odena, Olah, Shlens, ICML 2017, arXiv 1610.09585).

    After Sahoo and Mehra's brain-features, whose released networks are dense as well. Deliberate differences: class
    losses on logits (theirs on probabilities), the class beside the noise instead of over its first numbers, spectral
    norm in the discriminator, balanced batches, averaged weights, and no filter by the discriminator's own opinion.

    Attributes:
        variant: "odena" has cross-entropy on the source and class loss on real and synthetic rows; "keras" class loss
            on real rows only; "modified" the same with a hinge loss. As for ``acgan``, without the conditional norm.
        hidden: Units of the hidden layer of both networks.
        latent: Length of the noise vector.
        steps: Steps of both networks; ``budget.generator_steps`` caps it.
        batch: Rows a step.
        lr_g: Adam's learning rate of the generator.
        lr_d: Adam's learning rate of the discriminator.
        beta1: Adam's decay of the mean.
        beta2: Adam's decay of the square.
        class_weight: Weight of the class loss in both networks.
    """

    name: str = "dense-acgan"
    variant: Literal["odena", "keras", "modified"] = "modified"
    hidden: int = 512
    latent: int = 64
    steps: int = 5000
    batch: int = 64
    lr_g: float = 2e-4
    lr_d: float = 4e-4
    beta1: float = 0.0
    beta2: float = 0.999
    class_weight: float = 1.0

    stored: ClassVar[bool] = True
    summary: ClassVar[str] = "auxiliary classifier GAN of features, dense networks"

    check = check_fields
    fit = fit_gan_of_vectors
    restore = restore_gan_of_rows

    def game(self) -> DenseGame:
        """Return the networks, losses and optimisers of this configuration."""
        from medbench_plugins.generators.adversarial import adam
        from medbench_plugins.generators.feature_gans.dense_networks import DenseDiscriminator, DenseGenerator
        from medbench_plugins.generators.feature_gans.loop import DenseGame
        from medbench_plugins.generators.image_gans.losses import AuxiliaryClassifier

        objective = AuxiliaryClassifier(self.variant, self.class_weight)
        return DenseGame(
            objective=lambda x, labels: objective,
            generator=partial(DenseGenerator, hidden=self.hidden, latent=self.latent),
            discriminator=lambda shape, n_classes: DenseDiscriminator(prod(shape), n_classes, hidden=self.hidden),
            optimiser=adam(self),
        )
