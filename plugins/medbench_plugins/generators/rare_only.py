"""Any generator fitted on the rarer classes alone: no step goes to a class that nobody draws."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

import medbench
from medbench_plugins.generators.wgan import ClippedWGAN


@dataclass(frozen=True)
class RareOnly:
    """A generator of every class but the largest, which needs no filling up.

    Attributes:
        generator: What learns; the spine preprint's clipped WGAN, one a class, at 8,000 steps; images of
            the rarest class come from its last 18 of 200 epochs.

    Source:
        Sivakumar and Anand, medRxiv 10.64898/2026.04.15.26350121: a WGAN for each of the two abnormal classes.
    """

    name: str = "rare-only"
    generator: medbench.Generator = field(default_factory=partial(ClippedWGAN, steps=8000, pool=18))

    stored: ClassVar[bool] = True
    makes_rare_alone: ClassVar[bool] = True
    """For augmenters: the largest class cannot be asked for."""

    @property
    def summary(self) -> str:
        """One line."""
        return f"{self.generator.name} of all classes but the largest"

    @property
    def steps(self) -> int | None:
        """Steps that the generator names, if any."""
        return getattr(self.generator, "steps", None)

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where the generator is out of its range, or fits others of its own."""
        if getattr(self.generator, "needs", ()):
            raise medbench.UsageError(
                f"{self.name}.generator: {self.generator.name} stands on others; give one that learns from images."
            )
        getattr(self.generator, "check", lambda: None)()

    def fit(self, train: medbench.Samples, context: medbench.Context) -> RareSampler:
        """Fit the generator on the rows of all classes with fewer rows than the largest.

        Raises:
            medbench.UsageError: As ``check``.
            medbench.Skip: If no class is rarer than another, or as the generator says.
        """
        self.check()
        rare = rare_classes(train)
        return RareSampler(self.generator.fit(only_classes(train, rare), context), rare, train.classes)

    def restore(self, state: medbench.State, train: medbench.Samples) -> RareSampler:
        """Rebuild the sampler from its ``state()``; raises as the generator does."""
        rare = rare_classes(train)
        return RareSampler(self.generator.restore(state, only_classes(train, rare)), rare, train.classes)


@dataclass(frozen=True, eq=False)
class RareSampler:
    """Draws rows of the rarer classes.

    Attributes:
        sampler: Fitted on these classes alone, which it numbers from 0.
        rare: ``int64 (k,)`` their numbers among all classes.
        classes: Names of all classes.
    """

    sampler: medbench.Sampler
    rare: np.ndarray
    classes: tuple[str, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """Facts of the fit, where the generator has some."""
        return dict(getattr(self.sampler, "facts", {}))

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Return one row a label, in dtype and shape of the training samples.

        Raises:
            medbench.Skip: If a row of the largest class is asked for.
        """
        labels = np.asarray(labels)
        if len(left := np.setdiff1d(labels, self.rare)):
            raise medbench.Skip(
                f"rare-only learned nothing of {self.classes[left[0]]!r}, the largest class; use fill=balance"
            )
        return self.sampler.sample(np.searchsorted(self.rare, labels), seed)

    def state(self) -> medbench.State:
        """Return the state of the generator."""
        return self.sampler.state()


def rare_classes(train: medbench.Samples) -> np.ndarray:
    """Return the numbers ``int64 (k,)`` of the classes that have rows, and fewer than the largest.

    Raises:
        medbench.Skip: If there is none.
    """
    counts = train.class_counts
    rare = np.flatnonzero((counts > 0) & (counts < counts.max(initial=0)))
    if not len(rare):
        raise medbench.Skip("rare-only: all classes have as many images; use the generator itself")
    return rare


def only_classes(train: medbench.Samples, kept: np.ndarray) -> medbench.Samples:
    """Return the rows of some classes, numbered from 0 in the order of `kept`, which is sorted."""
    rows = train.take(np.flatnonzero(np.isin(train.labels, kept)))
    return replace(
        rows, labels=np.searchsorted(kept, rows.labels), classes=tuple(train.classes[k] for k in kept.tolist())
    )
