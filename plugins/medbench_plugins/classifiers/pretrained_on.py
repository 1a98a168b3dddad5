"""Transfer: a classifier that learns another data set first, with an augmenter of its own there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

import medbench
from medbench_plugins.classifiers.blueprint import Blueprint
from medbench_plugins.classifiers.encoder import TrainedEncoder
from medbench_plugins.classifiers.heads import LinearHead
from medbench_plugins.classifiers.small import SmallCNN
from medbench_plugins.plain_augmenters import Balanced

if TYPE_CHECKING:
    from medbench_plugins.classifiers.fit_and_cut import OfImages


@dataclass(frozen=True)
class PretrainedOn:
    """A classifier pretrained on `source` with `augmenter`, then fine-tuned on the target: all layers but the last.

    It is compared with the same on the methods above `augmenter`, down to real images alone, then the classifier
    without pretraining. So ``pretrained-on[source=S,augmenter=acgan-selected]`` is compared with pretraining on real
    images and their copies: what the extra steps of pretraining bring is not credited to the synthetic images.
    Fine-tuning has one learning rate for all layers: what was pretrained here is not slowed down as weights of a file
    are by the classifier's `trunk`.

    Attributes:
        classifier: Its network is trained on both data sets, with the study's steps on each.
        source: The data set that is learnt first. Rows that share a group or pixels with the target are left out; the
            rest serves every fold, so one pretraining is shared by all.
        augmenter: What the network is pretrained with: any augmenter of pixels.

    Source:
        Lin and Chung, "GAN-based augmentation for transfer learning of limb and pelvic radiographs", TAAI 2019: AC-GAN
        samples of limb radiographs, chosen by a VGG-16, pretrain the VGG-16 that then learns hip fractures. Its full
        text was not at hand: steps, sizes and thresholds are our own.
    """

    classifier: medbench.Classifier = field(default_factory=SmallCNN)
    source: medbench.Dataset | None = None
    augmenter: medbench.Augmenter = field(default_factory=Balanced)
    name: ClassVar[str] = "pretrained-on"
    summary: ClassVar[str] = "a classifier pretrained on another data set: pretrained-on[source=NAME]"

    @property
    def takes(self) -> frozenset[str]:
        """What the inner classifier takes."""
        return self.classifier.takes

    @property
    def needs(self) -> tuple[medbench.Stage, ...]:
        """The pretraining, and what the inner classifier needs."""
        inner = tuple(getattr(self.classifier, "needs", ()))
        return inner if self.source is None else (Pretraining(self.classifier, self.source, self.augmenter), *inner)

    @property
    def control(self) -> medbench.Classifier:
        """The same on the augmenter's control; without pretraining where that has none."""
        control = self.augmenter.control
        control = medbench.recipe("augmenter", control) if isinstance(control, str) else control
        return self.classifier if control is None else replace(self, augmenter=control)

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where there is no source, or an augmenter of features."""
        if self.source is None:
            raise medbench.UsageError("pretrained-on.source: which data set is learnt first? write source=NAME.")
        if not hasattr(self.classifier, "blueprint"):
            raise medbench.UsageError(
                f"pretrained-on.classifier: {self.classifier.name} has no network of its own to hand on; "
                "give small-cnn, vgg16, timm or one of MONAI's."
            )
        if self.augmenter.space != "pixels":
            raise medbench.UsageError(
                f"pretrained-on.augmenter: {self.augmenter.name} works on features; give one of pixels."
            )
        if missing := self.augmenter.gives - self.classifier.takes:
            raise medbench.UsageError(
                f"pretrained-on.augmenter: {self.classifier.name} does not take the {sorted(missing)[0]} that "
                f"{self.augmenter.name} gives; give another."
            )

    @property
    def lr(self) -> float:
        """Peak learning rate of both trainings."""
        return cast("OfImages", self.classifier).lr

    @property
    def pretrained(self) -> Any:
        """The inner classifier's file of weights, from which the pretraining begins."""
        return cast("OfImages", self.classifier).pretrained

    def blueprint(self, samples: medbench.Samples) -> Blueprint:
        """Return how to build the inner network."""
        return cast("OfImages", self.classifier).blueprint(samples)

    def fit(
        self,
        training_set: medbench.TrainingSet,
        validation: medbench.Samples,
        context: medbench.Context,
        start: medbench.State | None = None,
    ) -> medbench.Predictor:
        """Fine-tune what was pretrained.

        Raises:
            medbench.UsageError: If there is no source.
        """
        self.check()
        pretraining = self.needs[0]
        state = context.fit(pretraining, training_set.samples).state() if start is None else start
        predictor = self.classifier.fit(training_set, validation, context, start=state)
        facts = getattr(predictor, "facts", None)
        if isinstance(facts, dict) and start is None:
            facts["pretrained_on"] = self.source.name if self.source is not None else ""
        return predictor

    def cut(self) -> tuple[TrainedEncoder, LinearHead]:
        """Return what arms of features work between: an encoder that was pretrained."""
        return TrainedEncoder(self), LinearHead()


@dataclass(frozen=True)
class Pretraining:
    """A classifier's network trained on another data set, all its rows, without its last layer.

    Attributes:
        classifier: Whose network.
        source: The core fits this stage on it, see :mod:`medbench.interfaces`.
        augmenter: What the training set is made with.
    """

    classifier: medbench.Classifier
    source: medbench.Dataset
    augmenter: medbench.Augmenter
    name: ClassVar[str] = "pretraining"

    @property
    def needs(self) -> tuple[medbench.Stage, ...]:
        """What augmenter and classifier need, fitted on the source too."""
        return (*getattr(self.augmenter, "needs", ()), *getattr(self.classifier, "needs", ()))

    def fit(self, train: medbench.Samples, context: medbench.Context) -> Weights:
        """Train all steps on `train`, the source, and keep the last averaged weights."""
        made = self.augmenter.fit(train, context)
        predictor: Any = self.classifier.fit(made, train.take([]), context)
        head = cast("OfImages", self.classifier).blueprint(train).head
        return Weights(_drop_head(predictor.network, predictor.state(), head), dict(predictor.facts))

    def restore(self, state: medbench.State, train: medbench.Samples) -> Weights:
        """Return the weights as they were stored."""
        return Weights(dict(state), {})


@dataclass(frozen=True, eq=False)
class Weights:
    """Tensors by name, to begin another training from."""

    arrays: Mapping[str, np.ndarray]
    facts: dict[str, float | str]

    def state(self) -> medbench.State:
        """Return them."""
        return self.arrays


def _drop_head(network: Any, state: medbench.State, head: tuple[str, ...]) -> medbench.State:
    """Leave out the layers that name the source's classes, and counters that no training reads."""
    head = head or (next(reversed(dict(network.named_parameters()))).rpartition(".")[0] + ".",)
    return {
        name: a
        for name, a in state.items()
        if a.dtype.kind == "f" and not name.removeprefix("network.").startswith(head)
    }
