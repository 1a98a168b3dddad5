"""Samples of a generator instead of the real images: train on synthetic, test on real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np

import medbench
from medbench_plugins.augmenters.generative import RATIOS, leaves_out_largest_class, synthetic_counts
from medbench_plugins.generators.acgan import ACGAN
from medbench_plugins.generators.placebos import Resample
from medbench_plugins.plain_augmenters import Balanced


@dataclass(frozen=True)
class SyntheticOnly:
    """A generator's samples and no real image, drawn and changed as `base` does it.

    It answers what the samples carry of the classes, not whether they help; it is expected to lose. With generator
    `resample` and a ratio of 1 it is `base` itself, in another order of rows.

    Attributes:
        generator: Learns from the training images and makes the samples.
        base: The augmenter that is handed the synthetic rows.
        ratio: Synthetic samples for each real one in every class; above 0.

    Source:
        Classification accuracy score, Ravuri and Vinyals, NeurIPS 2019, arXiv 1905.10887. Deliberate difference: as
        many steps as every other method.
    """

    name: str = "synthetic-only"
    generator: medbench.Generator = field(default_factory=ACGAN)
    base: medbench.Augmenter = field(default_factory=Balanced)
    ratio: float = 1.0

    space: ClassVar[Literal["pixels"]] = "pixels"
    tunable: ClassVar[Mapping[str, tuple[float, ...]]] = RATIOS

    @property
    def summary(self) -> str:
        """One line."""
        return f"samples of {self.generator.name} instead of real images, under {self.base.name}"

    @property
    def gives(self) -> frozenset[str]:
        """What `base` gives, and samples."""
        return self.base.gives | {"samples"}

    @property
    def needs(self) -> tuple[medbench.Stage, ...]:
        """The generator, and what `base` asks for."""
        return (self.generator, *getattr(self.base, "needs", ()))

    @property
    def control(self) -> medbench.Augmenter:
        """The same on copies of real images; the control of that is `base`."""
        return self.base if isinstance(self.generator, Resample) else replace(self, generator=Resample())

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range, or no generator of all classes."""
        if leaves_out_largest_class(self.generator):
            raise medbench.UsageError(
                f"{self.name}.generator: rare-only makes no images of the largest class; give one of all classes."
            )
        if not 0 < self.ratio <= 100:
            raise medbench.UsageError(f"{self.name}.ratio: got {self.ratio:g}; give a number above 0, at most 100.")

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return synthetic rows alone, as `base` presents them.

        Raises:
            medbench.UsageError: If `ratio` is out of its range or leaves nothing to make.
        """
        self.check()
        counts = synthetic_counts(train.class_counts, fill="equal", ratio=self.ratio)
        if not counts.any():
            raise medbench.UsageError(
                f"{self.name}.ratio: {self.ratio:g} of {train.class_counts.tolist()} images makes none; give more."
            )
        labels = np.repeat(np.arange(len(counts)), counts)
        x = context.fit(self.generator, train).sample(labels, context.seed("sample"))
        both = train.with_synthetic(x, labels, maker=self.generator.name)
        return self.base.fit(both.take(np.arange(len(train), len(both))), context)
