"""Samples that a filter kept, compared with all samples of the same generator: does choosing help?"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import medbench
from medbench_plugins.augmenters.generative import Fill, Generative, check_filling
from medbench_plugins.generators.selected import Selected
from medbench_plugins.plain_augmenters import Balanced


@dataclass(frozen=True)
class Chosen:
    """Real images and those samples of a generator that a filter kept.

    What ``acgan-selected`` trains on; it is compared with all samples of the generator, and that one with copies, where
    ``acgan-selected`` is compared with copies: so the table tells what choosing adds.

    Attributes:
        generator: The filter, with the generator inside.
        base: As of ``acgan``.
        fill: As of ``acgan``.
        ratio: As of ``acgan``.
    """

    name: str = "acgan-chosen"
    generator: medbench.Generator = field(default_factory=Selected)
    base: medbench.Augmenter = field(default_factory=Balanced)
    fill: Fill = "equal"
    ratio: float = 1.0

    space: ClassVar[Literal["pixels"]] = "pixels"

    @property
    def summary(self) -> str:
        """One line."""
        return f"real images and samples of {self.generator.name}, compared with all samples"

    @property
    def gives(self) -> frozenset[str]:
        """What `base` gives, and samples."""
        return self._inner().gives

    @property
    def needs(self) -> tuple[medbench.Stage, ...]:
        """The filter, and what `base` asks for."""
        return self._inner().needs

    @property
    def control(self) -> medbench.Augmenter:
        """The same on all samples; its own control is copies."""
        every: Any = getattr(self.generator, "generator", None)
        return self._inner().control if every is None else replace(self._inner(), name="acgan", generator=every)

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range, or `generator` filters nothing."""
        check_filling(self.name, fill=self.fill, ratio=self.ratio, generator=self.generator)
        if not hasattr(self.generator, "generator"):
            raise medbench.UsageError(
                f"{self.name}.generator: {self.generator.name} filters no other generator; give selected[...]."
            )

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return real and kept rows as `base` presents them; raises as ``check`` does."""
        self.check()
        return self._inner().fit(train, context)

    def _inner(self) -> Generative:
        return Generative("acgan-selected", self.generator, self.base, self.fill, self.ratio)
