"""AC-GANs of features: of vectors, of maps, from a Gaussian start, and the choice between these."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import medbench
from medbench_plugins.generators.checks import check_fields
from medbench_plugins.generators.feature_gans.recipe import (
    fit_gan_of_either,
    fit_gan_of_maps,
    fit_gan_of_vectors,
    restore_gan_of_rows,
)

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
        steps: Steps of both networks; none: as many as
            ``budget.generator_steps`` says, which caps a number too.
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
    steps: int | None = None
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
        from medbench_plugins.generators.feature_gans.dense_networks import DenseDiscriminator, DenseGenerator

        return _game(
            self,
            generator=partial(DenseGenerator, hidden=self.hidden, latent=self.latent),
            discriminator=lambda shape, n_classes: DenseDiscriminator(prod(shape), n_classes, hidden=self.hidden),
        )


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
        steps: Steps of both networks; none: as many as
            ``budget.generator_steps`` says, which caps a number too.
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
    steps: int | None = None
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
        from medbench_plugins.generators.feature_gans.map_networks import MapDiscriminator, MapGenerator

        return _game(
            self,
            generator=partial(MapGenerator, width=self.width, latent=self.latent),
            discriminator=partial(MapDiscriminator, width=self.width),
            by_channel=True,
        )


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
        steps: Steps of the generator; none: as many as
            ``budget.generator_steps`` says, which caps a number too.
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
        ``feature-gaussian``. Numbers were set on seeds from 100 on of two drawn sets.
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

        from medbench_plugins.generators.feature_gans.dense_networks import DenseDiscriminator
        from medbench_plugins.generators.feature_gans.gaussian_start import (
            DenseCorrection,
            MapCorrection,
            StartedGenerator,
        )
        from medbench_plugins.generators.feature_gans.map_networks import MapDiscriminator

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

        return _game(
            self,
            made_class_weight=self.made_class_weight,
            generator=generator,
            discriminator=discriminator,
            critic_steps=self.critic_steps,
            by_channel=True,
            blur=self.blur,
            pull=self.pull,
        )


@dataclass(frozen=True)
class FeatureACGAN:
    """One of three generators.

    Attributes:
        start: "gaussian" takes `refined`, whatever the rows; "noise" takes `dense` or `maps`, as Sahoo and Mehra's.
        refined: Starts as one Gaussian a class.
        dense: For rows that are vectors ``(n, d)``.
        maps: For maps ``(n, d, *spatial)`` of two or three axes.
    """

    name: str = "feature-acgan"
    start: Literal["gaussian", "noise"] = "gaussian"
    refined: medbench.Generator = field(default_factory=RefinedACGAN)
    dense: medbench.Generator = field(default_factory=DenseACGAN)
    maps: medbench.Generator = field(default_factory=MapACGAN)

    stored: ClassVar[bool] = True
    summary: ClassVar[str] = "auxiliary classifier GAN of features: refined-acgan, or from noise by start=noise"

    @property
    def steps(self) -> int | None:
        """Steps that the one in use names, if any."""
        return getattr(self.refined if self.start == "gaussian" else self.dense, "steps", None)

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field of any of them is out of its range."""
        if self.start not in ("gaussian", "noise"):
            raise medbench.UsageError(f"{self.name}.start: {self.start!r} is unknown; use gaussian or noise.")
        for generator in (self.refined, self.dense, self.maps):
            if check := getattr(generator, "check", None):
                check()

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.Sampler:
        """Fit the one that rows like these are for."""
        return self._for(train).fit(train, context)

    def restore(self, state: medbench.State, train: medbench.Samples) -> medbench.Sampler:
        """Rebuild the sampler from its ``state()``."""
        return self._for(train).restore(state, train)

    def _for(self, train: medbench.Samples) -> medbench.Generator:
        if self.start == "gaussian":
            return self.refined
        return self.maps if train.x.ndim in (4, 5) else self.dense


def _game(
    recipe: DenseACGAN | MapACGAN | RefinedACGAN, *, made_class_weight: float | None = None, **options: Any
) -> DenseGame:
    """Return the game of an auxiliary classifier GAN between the networks in `options`."""
    from medbench_plugins.generators.adversarial import adam
    from medbench_plugins.generators.feature_gans.loop import DenseGame
    from medbench_plugins.generators.image_gans.losses import AuxiliaryClassifier

    objective = AuxiliaryClassifier(recipe.variant, recipe.class_weight, made_class_weight)
    return DenseGame(objective=lambda x, labels: objective, optimiser=adam(recipe), **options)
