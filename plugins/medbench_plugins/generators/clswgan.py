"""f-CLSWGAN: a Wasserstein GAN of features whose generator must also please a classifier of real ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, ClassVar

from medbench_plugins.generators.checks import check_fields
from medbench_plugins.generators.feature_gans.recipe import fit_gan_of_vectors, restore_gan_of_rows

if TYPE_CHECKING:
    import torch

    from medbench_plugins.generators.feature_gans.classified_wasserstein import ClassifiedWasserstein
    from medbench_plugins.generators.feature_gans.loop import DenseGame


@dataclass(frozen=True)
class ClsWGAN:
    """Feature generating networks with a classification loss (Xian et al., CVPR 2018, arXiv 1712.00981).

    WGAN-GP on features, conditional on the class in both networks, and a linear softmax, fitted to the real training
    features and frozen, that judges the synthetic ones. Penalty 10, beta 0.01, five critic steps, Adam with (0.5,
    0.999), as in the paper and its code. Deliberate differences: the class is one-hot where the paper has attributes,
    since here every class has images; balanced batches; averaged weights; fewer hidden units than 4096, for fewer
    features; scaled by deviation, not to [0, 1]; the softmax weighs all classes alike.

    Attributes:
        hidden: Units of the hidden layer of both networks.
        latent: Length of the noise vector.
        steps: Steps of the generator; none: as many as
            ``budget.generator_steps`` says, which caps a number too.
        critic_steps: Steps of the critic for each of the generator.
        batch: Rows a step.
        lr_g: Adam's learning rate of the generator.
        lr_d: Adam's learning rate of the critic.
        beta1: Adam's decay of the mean.
        beta2: Adam's decay of the square.
        penalty: Weight of the gradient penalty, the paper's lambda.
        class_weight: Weight of the classification loss, the paper's beta.
    """

    name: str = "clswgan"
    hidden: int = 512
    latent: int = 64
    steps: int | None = None
    critic_steps: int = 5
    batch: int = 64
    lr_g: float = 1e-4
    lr_d: float = 1e-4
    beta1: float = 0.5
    beta2: float = 0.999
    penalty: float = 10.0
    class_weight: float = 0.01

    stored: ClassVar[bool] = True
    summary: ClassVar[str] = "Wasserstein GAN of features with a classification loss (f-CLSWGAN)"

    check = check_fields
    fit = fit_gan_of_vectors
    restore = restore_gan_of_rows

    def game(self) -> DenseGame:
        """Return the networks, losses and optimisers of this configuration."""
        from medbench_plugins.generators.adversarial import adam
        from medbench_plugins.generators.feature_gans.dense_networks import DenseCritic, DenseGenerator
        from medbench_plugins.generators.feature_gans.loop import DenseGame

        return DenseGame(
            objective=self._objective,
            generator=partial(DenseGenerator, hidden=self.hidden, latent=self.latent),
            discriminator=lambda shape, n_classes: DenseCritic(prod(shape), n_classes, hidden=self.hidden),
            optimiser=adam(self),
            critic_steps=self.critic_steps,
        )

    def _objective(self, x: torch.Tensor, labels: torch.Tensor) -> ClassifiedWasserstein:
        from medbench_plugins.generators.feature_gans.classified_wasserstein import (
            ClassifiedWasserstein,
            linear_softmax,
        )
        from medbench_plugins.generators.image_gans.losses import Wasserstein

        judge = linear_softmax(x, labels, int(labels.max()) + 1)
        return ClassifiedWasserstein(Wasserstein(self.penalty), judge, self.class_weight)
