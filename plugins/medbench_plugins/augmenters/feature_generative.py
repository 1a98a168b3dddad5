"""Synthetic features of a fitted generator beside the real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import medbench
from medbench_plugins.augmenters.feature_none import FeatureNone
from medbench_plugins.augmenters.generative import RATIOS, Generative, Order
from medbench_plugins.generators.feature_acgans import FeatureACGAN
from medbench_plugins.generators.placebos import Resample

COPIES = "feature-copies"


@dataclass(frozen=True)
class FeatureGenerative:
    """Real features and a generator's, with balanced sampling.

    As in Sahoo and Mehra's study of brain tumours an AC-GAN draws the features: the maps at the bottom of a U-Net with
    ``unet-features[spatial=true]``, vectors with any other classifier. It is compared with itself on copies of real
    features (generator `resample`), and that one with ``feature-none``.

    Attributes:
        name: What it is registered under.
        generator: Learns from the training features and makes the rows.
        fill: As for ``acgan``: "equal" or "balance".
        ratio: As for ``acgan``, above 0.
        order: As for ``acgan``: "mixed" or "pretrain".
        pretrain: As for ``acgan``.
    """

    name: str = "feature-acgan"
    generator: medbench.Generator = field(default_factory=FeatureACGAN)
    fill: Literal["equal", "balance"] = "equal"
    ratio: float = 1.0
    order: Order = "mixed"
    pretrain: float = 0.5

    space: ClassVar[Literal["features"]] = "features"
    tunable: ClassVar[Mapping[str, tuple[float, ...]]] = RATIOS

    @property
    def summary(self) -> str:
        """One line."""
        return f"real features and those of {self.generator.name}"

    @property
    def gives(self) -> frozenset[str]:
        """Samples and their sampling."""
        return self._of_rows.gives

    @property
    def needs(self) -> tuple[medbench.Stage, ...]:
        """The generator."""
        return (self.generator,)

    @property
    def control(self) -> medbench.Augmenter:
        """The same on copies of real features; the control of that is ``feature-none``."""
        if isinstance(self.generator, Resample):
            return FeatureNone()
        return replace(self, name=COPIES, generator=Resample())

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        self._of_rows.check()

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return real and synthetic rows with balanced sampling; raises as ``check`` does."""
        return self._of_rows.fit(train, context)

    @property
    def _of_rows(self) -> Generative:
        """The same for rows of any kind."""
        return Generative(
            self.name, self.generator, FeatureNone(), self.fill, self.ratio, order=self.order, pretrain=self.pretrain
        )
