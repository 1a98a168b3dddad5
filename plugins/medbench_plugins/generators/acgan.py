"""AC-GAN: a generator of images of a class, taught by a discriminator that also names the class."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

import medbench

if TYPE_CHECKING:
    from medbench_plugins.gan_networks import GeneratorNetwork


@dataclass(frozen=True)
class ACGAN:
    """Auxiliary classifier GAN for images and volumes of any size (Odena, Olah, Shlens, ICML 2017, arXiv 1610.09585).

    Class-balanced batches, spectral norm in the discriminator, and the moving average of the generator's weights.

    Attributes:
        variant: "odena" has cross-entropy on the source and class loss on real and made images; "keras" class loss on
            real images only, as Keras' mnist_acgan; "modified" the same with a hinge loss and conditional batch
            normalisation in the generator, as StudioGAN's ACGAN-Mod.
        width: Maps at full size; 16, 32 and 64 are usual.
        latent: Length of the noise vector.
        steps: Steps of both networks; ``budget.generator_steps`` caps it.
        batch: Images a step.
        batch_3d: Volumes a step.
        lr_g: Adam's learning rate of the generator.
        lr_d: Adam's learning rate of the discriminator.
        beta1: Adam's decay of the mean.
        beta2: Adam's decay of the square.
        ema: Decay of the moving average.
        class_weight: Weight of the class loss in both networks.
        augment: Show the discriminator images of changed brightness, contrast and place, with a part cut out
            (DiffAugment): against learning a few images by heart, at the price of slower learning.
    """

    name: str = "acgan"
    variant: Literal["odena", "keras", "modified"] = "modified"
    width: int = 16
    latent: int = 64
    steps: int = 5000
    batch: int = 32
    batch_3d: int = 8
    lr_g: float = 2e-4
    lr_d: float = 4e-4  # twice the generator's, and no momentum: livelier samples than 2e-4, 2e-4, 0.5
    beta1: float = 0.0
    beta2: float = 0.999
    ema: float = 0.999
    class_weight: float = 1.0
    augment: bool = False

    stored: ClassVar[bool] = True
    summary: ClassVar[str] = "auxiliary classifier GAN for images and volumes"

    def fit(self, train: medbench.Samples, context: medbench.Context) -> MadeImages:
        """Train on the labelled rows of `train`; leave ``acgan-curves.csv`` and ``acgan-samples.png`` in the folder.

        Args:
            train: ``uint8 (n, channels, *spatial)`` with two or three spatial axes.
            context: Budget, device, seeds and folder.

        Raises:
            medbench.UsageError: If a field is out of its range.
            medbench.Skip: If the rows are no pixels, or a class has no row.
            medbench.Diverged: If a loss is not finite.
        """
        self._check(train)
        from medbench_plugins.contact_sheet import write_contact_sheet
        from medbench_plugins.gan_training import train_acgan, write_curves

        trained = train_acgan(self, train, context)
        sampler = MadeImages(trained.network, trained.diversity[-1][1])
        write_curves(context.folder / f"{self.name}-curves.csv", trained)
        write_contact_sheet(context.folder / f"{self.name}-samples.png", train, sampler, seed=context.seed("picture"))
        return sampler

    def restore(self, state: medbench.State, train: medbench.Samples) -> MadeImages:
        """Rebuild the sampler from its ``state()``.

        Raises:
            medbench.StoreError: If the state belongs to other images or another configuration.
        """
        import torch

        from medbench_plugins.gan_training import build_generator

        shape = train.x.shape[1:]
        with torch.random.fork_rng(devices=[]):  # its first weights are replaced: they must move no generator on
            network = build_generator(self, shape, len(train.classes)).eval().requires_grad_(False)
        own = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
        same = tuple(state.get("shape", ())) == shape and all(
            name in state and state[name].shape == tuple(value.shape) for name, value in own.items()
        )
        if not same:
            raise medbench.StoreError(
                f"{self.name}: the stored weights do not fit rows of {shape} in {len(train.classes)} classes "
                "under this configuration; fit the generator again."
            )
        for name, value in own.items():
            value.copy_(torch.from_numpy(np.array(state[name])))
        return MadeImages(network, np.array(state["diversity"]))

    def _check(self, train: medbench.Samples) -> None:
        if self.variant not in ("odena", "keras", "modified"):
            raise medbench.UsageError(f"acgan.variant: {self.variant!r} is unknown; use odena, keras or modified.")
        limits = {
            "width": (1, 512),
            "latent": (1, 4096),
            "steps": (1, 10_000_000),
            "batch": (2, 65_536),
            "batch_3d": (2, 65_536),
            "lr_g": (0, math.inf),
            "lr_d": (0, math.inf),
            "beta1": (0, 0.9999),
            "beta2": (0, 0.999999),
            "ema": (0, 1),
            "class_weight": (0, math.inf),
        }
        for field, (low, high) in limits.items():
            value = getattr(self, field)
            if not low <= value <= high:
                raise medbench.UsageError(f"acgan.{field}: got {value:g}; give a number from {low:g} to {high:g}.")
        if train.x.dtype != np.uint8 or train.x.ndim not in (4, 5):
            raise medbench.Skip(
                f"acgan draws images and volumes, not {train.x.dtype} rows with {train.x.ndim - 1} axes"
            )
        if min(train.x.shape[2:]) < 12:
            raise medbench.Skip(f"acgan needs 12 pixels along every axis, got {min(train.x.shape[2:])}")
        empty = [name for name, count in zip(train.classes, train.class_counts, strict=True) if not count]
        if empty:
            raise medbench.Skip(f"acgan cannot learn a class without training images: {', '.join(empty)}")


@dataclass(frozen=True, eq=False)
class MadeImages:
    """Draws from a fitted generator.

    Sampling happens on the CPU wherever the fit ran, so that a stored generator gives the same images everywhere.

    Attributes:
        network: The averaged generator, on the CPU, in evaluation mode.
        diversity: ``float64 (n_classes,)`` mean distance between two samples of a class over that between two of its
            real images; near 0 is a collapse, NaN a class with fewer than two real images.
    """

    network: GeneratorNetwork
    diversity: np.ndarray

    @property
    def facts(self) -> dict[str, float]:
        """Numbers worth logging: the diversity of the average class and of the worst."""
        known = self.diversity[np.isfinite(self.diversity)]
        return {"diversity": float(known.mean()), "diversity_lowest": float(known.min())} if len(known) else {}

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Draw one image a label.

        Args:
            labels: ``int64 (n,)``.
            seed: The same seed gives the same images.

        Returns:
            ``uint8 (n, channels, *spatial)``.
        """
        from medbench_plugins.gan_training import draw

        return draw(self.network, labels, seed)

    def state(self) -> medbench.State:
        """Return weights and buffers by name, the shape of a row, and the diversity."""
        weights = self.network.state_dict().items()
        arrays = {name: np.ascontiguousarray(value.numpy()) for name, value in weights if value.is_floating_point()}
        shape = np.array([self.network.channels, *self.network.spatial], dtype=np.int64)
        return {**arrays, "shape": shape, "diversity": self.diversity}
