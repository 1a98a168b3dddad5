"""Diffusion: images of a class, denoised step by step out of noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

import medbench
from medbench_plugins.generators.checks import check_fields, check_images
from medbench_plugins.generators.diversity import diversity_facts
from medbench_plugins.generators.image_gans.recipe import fill_tensors

if TYPE_CHECKING:
    from medbench_plugins.generators.diffusion_loop import Denoiser


@dataclass(frozen=True)
class Diffusion:
    """Denoising diffusion of pixels with classifier-free guidance, for images and volumes.

    Trained as Ho, Jain and Abbeel (NeurIPS 2020, arXiv 2006.11239), guided as Ho and Salimans (2022, arXiv 2207.12598),
    drawn in few strides as Song, Meng and Ermon (ICLR 2021, arXiv 2010.02502, eta = 0), on MONAI's blocks and
    schedulers. Class-balanced batches, the last averaged weights.

    The network predicts the velocity, alpha * noise - sigma * image (Salimans and Ho, ICLR 2022, arXiv 2202.00512), and
    not the noise: at the first strides, where there is hardly an image left, an error in the noise is divided by
    alpha, near 0, and shifts the brightness of the whole image, which may be what tells the classes apart.

    Diffusion memorises small sets. Latent diffusion models repeated 37.2 % of the patients they were trained on,
    and 68.7 % of their samples were copies (Dar et al. 2024, arXiv 2402.01054); diffusion does so more than StyleGAN,
    most on small sets and slices of volumes (Akbar et al. 2023, arXiv 2305.07644). So a gain over `copies` is what to
    look for, and samples are to be handled like patients' images.

    Deliberate differences: no attention (see ``diffusion_loop.Denoiser``), the cosine schedule of Nichol and
    Dhariwal (2021, arXiv 2102.09672), and no dropout.

    Samples are drawn on the CPU, each in `sampling_steps` passes through the network, twice as many under guidance:
    much dearer than a GAN's. On one thread of a server's CPU a step takes about 0.2 s at 32 pixels and 0.9 s at 64, and
    drawing takes 0.14 s and 0.5 s an image, 0.7 s a volume of 16 pixels and 6 s one of 32.

    Attributes:
        width: Maps at full size, twice as many below; a multiple of 8 divides them into 8 groups to normalise.
        levels: Sizes of the network, each half of the one above; 0 is as many as leave 6 to 16 positions an axis.
        steps: Steps of the network; none: as many as
            ``budget.generator_steps`` says, which caps a number too.
        batch: Images a step.
        batch_3d: Volumes a step.
        lr: Adam's learning rate.
        ema: Decay of the moving average.
        timesteps: Grades of noise in training; a multiple of `sampling_steps`.
        sampling_steps: Strides from noise to image.
        guidance: The paper's w: 0 draws the class as it was learnt; above, typical images at the price of diversity.
        drop: Share of the rows that are shown without their class, from which guidance is learnt.
    """

    name: str = "diffusion"
    width: int = 16
    levels: int = 0
    steps: int | None = None
    batch: int = 32
    batch_3d: int = 4
    lr: float = 1e-3
    ema: float = 0.999
    timesteps: int = 1000
    sampling_steps: int = 25
    guidance: float = 0.5
    drop: float = 0.1

    stored: ClassVar[bool] = True
    summary: ClassVar[str] = "class-conditional denoising diffusion for images and volumes; slow to draw"

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range, or two do not go together."""
        check_fields(self)
        if self.width < 4:
            raise medbench.UsageError(f"{self.name}.width: got {self.width}; give a number from 4 to 512.")
        if self.timesteps % self.sampling_steps:
            raise medbench.UsageError(
                f"{self.name}.sampling_steps: {self.sampling_steps} does not divide timesteps ({self.timesteps}); "
                "give a number that does."
            )
        if self.guidance and not self.drop:
            raise medbench.UsageError(
                f"{self.name}.drop: got 0, so that guidance ({self.guidance:g}) would be learnt from no row; "
                "give drop=0.1 or guidance=0."
            )

    def fit(self, train: medbench.Samples, context: medbench.Context) -> DiffusionSampler:
        """Train on the labelled rows of `train`; leave ``NAME-curves.csv`` and ``NAME-samples.png`` in the folder.

        Args:
            train: ``uint8 (n, channels, *spatial)`` with two or three spatial axes, of 12 pixels at least.
            context: Budget, device, seeds and folder.

        Raises:
            medbench.UsageError: If a field is out of its range, or `levels` too many for the size.
            medbench.Skip: If the rows are no pixels, or a class has no row.
            medbench.Diverged: If a loss or a weight is not finite.
        """
        self.check()
        check_images(self, train)
        shortest = min(train.x.shape[2:])
        if 2 ** max(0, self.levels - 1) > shortest:
            raise medbench.UsageError(
                f"{self.name}.levels: {self.levels} halve {shortest} pixels to nothing; give fewer, or 0."
            )
        from medbench_plugins.contact_sheet import write_contact_sheet
        from medbench_plugins.generators.diffusion_loop import train_diffusion
        from medbench_plugins.generators.image_gans.write_curves import write_curves

        fitted = train_diffusion(self, train, context)
        sampler = DiffusionSampler(self, fitted.network, fitted.diversity[-1][1])
        write_curves(context.folder / f"{self.name}-curves.csv", [fitted])
        write_contact_sheet(
            context.folder / f"{self.name}-samples.png",
            train,
            sampler,
            seed=context.seed("picture"),
            columns=10 if train.x.ndim == 4 else 4,  # a volume takes long to draw
        )
        return sampler

    def restore(self, state: medbench.State, train: medbench.Samples) -> DiffusionSampler:
        """Rebuild the sampler from its ``state()``.

        Raises:
            medbench.StoreError: If the state belongs to other images or another configuration.
        """
        import torch

        from medbench_plugins.generators.diffusion_loop import Denoiser

        shape, n_classes = train.x.shape[1:], len(train.classes)
        with torch.random.fork_rng(devices=[]):  # the first weights are replaced; drawing them moves no generator on
            network = Denoiser(shape, n_classes, width=self.width, levels=self.levels).eval().requires_grad_(False)
        fill_tensors(network.state_dict(), state, self.name, train)
        return DiffusionSampler(self, network, np.array(state["diversity"]))


@dataclass(frozen=True, eq=False)
class DiffusionSampler:
    """Draws from a fitted denoiser, on the CPU wherever the fit ran.

    Attributes:
        recipe: What was fitted.
        network: The averaged denoiser, on the CPU, in evaluation mode.
        diversity: ``float64 (n_classes,)``, see :func:`.measure_diversity`.
    """

    recipe: Diffusion
    network: Denoiser
    diversity: np.ndarray

    @property
    def facts(self) -> dict[str, float]:
        """Numbers to log: the diversity of the average class and of the worst."""
        return diversity_facts(self.diversity)

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Draw one image a label.

        Args:
            labels: ``int64 (n,)``.
            seed: The same seed gives the same images; more labels behind change none of those before.

        Returns:
            ``uint8 (n, channels, *spatial)``.
        """
        from medbench_plugins.generators.diffusion_loop import draw

        return draw(self.recipe, self.network, labels, seed)

    def state(self) -> medbench.State:
        """Return weights by name, the shape of a row, and the diversity."""
        weights = {name: np.ascontiguousarray(value.numpy()) for name, value in self.network.state_dict().items()}
        shape = np.array([self.network.channels, *self.network.spatial], dtype=np.int64)
        return {**weights, "shape": shape, "diversity": self.diversity}
