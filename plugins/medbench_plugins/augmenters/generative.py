"""Samples of a fitted generator beside the real images, under any augmenter of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np

import medbench
from medbench_plugins.generators.acgan import ACGAN
from medbench_plugins.generators.placebos import Resample
from medbench_plugins.generators.reacgan import ReACGAN
from medbench_plugins.plain_augmenters import Balanced

COPIES = "copies"
Fill = Literal["equal", "balance", "rare"]
Order = Literal["mixed", "pretrain"]
RATIOS: Mapping[str, tuple[float, ...]] = {"ratio": (0.25, 0.5, 1.0, 2.0)}
"""Ratios that tries may choose between."""


@dataclass(frozen=True)
class Generative:
    """Real images and a generator's samples, drawn and changed as `base` does it.

    It is compared with itself on copies of real images (generator `resample`), and that one with `base`: so the table
    tells what the samples add to the transforms, and what mere copies add.

    Attributes:
        name: What it is registered under.
        generator: Learns from the training images and makes the samples.
        base: The augmenter that is handed real and synthetic rows together.
        fill: "equal" makes the same share in every class; "balance" fills every class up to the largest one, and "rare"
            makes the same share in all classes but the largest, both of which let a synthetic image betray its class.
        ratio: Synthetic samples a real one (equal, rare), or the share of the gap that is filled (balance); above 0.
        order: "mixed" draws real and synthetic rows alike; "pretrain" trains on synthetic rows alone, every class
            equally often, and then on real rows alone, as `base` draws those.
        pretrain: Of "pretrain": the share of the steps before, between 0 and 1.
    """

    name: str = "acgan"
    generator: medbench.Generator = field(default_factory=ACGAN)
    base: medbench.Augmenter = field(default_factory=Balanced)
    fill: Fill = "equal"
    ratio: float = 1.0
    order: Order = "mixed"
    pretrain: float = 0.5

    space: ClassVar[Literal["pixels"]] = "pixels"
    tunable: ClassVar[Mapping[str, tuple[float, ...]]] = RATIOS

    @property
    def summary(self) -> str:
        """One line."""
        return f"real images and samples of {self.generator.name}, under {self.base.name}"

    @property
    def gives(self) -> frozenset[str]:
        """What `base` gives, and samples."""
        return self.base.gives | {"samples"} | ({"pretrain"} if self.order == "pretrain" else frozenset())

    @property
    def needs(self) -> tuple[medbench.Stage, ...]:
        """The generator, and what `base` asks for."""
        return (self.generator, *getattr(self.base, "needs", ()))

    @property
    def control(self) -> medbench.Augmenter:
        """The same on copies of real images; the control of that is `base`."""
        if isinstance(self.generator, Resample):
            return self.base
        # Every generator's arm without a transform has the same control: one name, so that it is run once.
        name = COPIES if self.base == Balanced() else self.name
        return replace(self, name=name, generator=Resample())

    @property
    def companions(self) -> tuple[medbench.Augmenter, ...]:
        """The same with ReACGAN where another GAN is asked for: the weak ones alone would say little of GANs."""
        inner = getattr(self.generator, "generator", self.generator)
        if not hasattr(inner, "game") or isinstance(inner, ReACGAN):
            return ()
        return (replace(self, name="reacgan" if self.base == Balanced() else self.name, generator=ReACGAN()),)

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        check_filling(self.name, fill=self.fill, ratio=self.ratio, generator=self.generator)
        if self.order not in ("mixed", "pretrain"):
            raise medbench.UsageError(f"{self.name}.order: {self.order!r} is unknown; use mixed or pretrain.")
        if not 0 < self.pretrain < 1:
            raise medbench.UsageError(f"{self.name}.pretrain: got {self.pretrain:g}; give a number between 0 and 1.")

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return real and synthetic rows as `base` presents them; raises as ``check`` does."""
        self.check()
        sampler = context.fit(self.generator, train)
        counts = synthetic_counts(train.class_counts, fill=self.fill, ratio=self.ratio)
        labels = np.repeat(np.arange(len(counts)), counts)
        if len(labels):
            seed = context.seed("sample")
            drawn_from = getattr(sampler, "sources", None)
            sources = drawn_from(labels, seed) if drawn_from is not None else None
            x = sampler.sample(labels, seed)
            if self.order == "pretrain":
                made = Made(x, labels, self.generator.name, sources)
                return pretrain_on(made, self.base.fit(train, context), self.pretrain)
            train = train.with_synthetic(x, labels, maker=self.generator.name, sources=sources)
        return self.base.fit(train, context)


@dataclass(frozen=True, eq=False)
class Made:
    """Synthetic rows ``x (m, channels, *spatial)``, labels ``int64 (m,)``, what made them, and of which rows."""

    x: np.ndarray
    labels: np.ndarray
    maker: str
    sources: Sequence[tuple[str, ...]] | None = None


def pretrain_on(made: Made, then: medbench.TrainingSet, share: float) -> medbench.TrainingSet:
    """Return a training set that sees synthetic rows for a share of the steps, and after them what `then` has.

    Changes of batches and the loss of `then` hold for both; a network of each of its bags sees all synthetic rows.
    """
    samples = then.samples.with_synthetic(made.x, made.labels, maker=made.maker, sources=made.sources)
    n, m = len(then.samples), len(made.labels)
    return replace(
        then,
        samples=samples,
        sampling=None if then.sampling is None else np.concatenate([then.sampling, np.zeros(m)]),
        bags=None if then.bags is None else tuple(np.concatenate([rows, np.arange(n, n + m)]) for rows in then.bags),
        pretrain=share,
    )


def synthetic_counts(counts: np.ndarray, *, fill: Fill, ratio: float) -> np.ndarray:
    """Return how many rows to make of each class.

    Args:
        counts: ``int64 (n_classes,)`` real rows of each class.
        fill: "equal" is `ratio` times the class's own count, "balance" `ratio` times what it lacks to the largest,
            "rare" the same as equal but nothing in the largest class, nor in one as large.
        ratio: See `fill`.

    Returns:
        ``int64 (n_classes,)``, rounded half up.
    """
    most = counts.max(initial=0)
    base = {"equal": counts, "balance": most - counts, "rare": np.where(counts < most, counts, 0)}[fill]
    return np.floor(ratio * base + 0.5).astype(np.int64)


def check_filling(name: str, *, fill: str, ratio: float, generator: medbench.Generator | None = None) -> None:
    """Raise :class:`medbench.UsageError` where the augmenter `name` cannot fill up classes as it was told to.

    That is where there is no such fill or ratio, or the generator makes rarer classes alone and all are to be filled.
    """
    if fill == "equal" and leaves_out_largest_class(generator):
        raise medbench.UsageError(
            f"{name}.generator: rare-only makes no images of the largest class; add fill=balance or fill=rare."
        )
    if fill not in ("equal", "balance", "rare"):
        raise medbench.UsageError(f"{name}.fill: {fill!r} is unknown; use equal, balance or rare.")
    if not 0 < ratio <= 100:
        raise medbench.UsageError(f"{name}.ratio: got {ratio:g}; give a number above 0, at most 100.")


def leaves_out_largest_class(generator: object) -> bool:
    """Say whether a generator, or one inside it, learns the rarer classes alone."""
    while generator is not None:
        if getattr(generator, "makes_rare_alone", False):
            return True
        generator = getattr(generator, "generator", None)
    return False
