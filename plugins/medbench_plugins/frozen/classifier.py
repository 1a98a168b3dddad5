"""A classifier on the features of a fixed encoder, which are computed once a data set and shared by everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np

import medbench
from medbench_plugins.classifiers.heads import MLPHead
from medbench_plugins.extractors.timm_features import TimmFeatures
from medbench_plugins.frozen.nearest import NearestHead
from medbench_plugins.frozen.penalised_linear import PenalisedLinear


@dataclass(frozen=True)
class Frozen:
    """A head on the features of an encoder that is not trained here.

    The features of all images of a data set are computed once, before the first training run, and shared by all
    methods, folds and repeats; those of synthetic images are computed where they are made. Methods that change each
    batch of pixels anew, such as `geometric`, do not work on it: every changed image would have to go through the
    encoder again. Methods on features do.

    Attributes:
        encoder: Turns images into features: any fixed extractor, such as ``timm-features`` or
            ``slices[extractor=timm-features]`` for volumes.
        head: "linear" is a penalised softmax regression, "mlp" has one hidden layer, "knn" is a vote of the nearest.
        penalty: Of the linear head, 0 or more, see :class:`.PenalisedLinear`; the others have none.

    Source:
        Linear and nearest-neighbour evaluation of fixed features: Kornblith et al., CVPR 2019, arXiv 1805.08974; Caron
        et al., ICCV 2021, arXiv 2104.14294.
    """

    encoder: medbench.Extractor = field(default_factory=TimmFeatures)
    head: Literal["linear", "mlp", "knn"] = "linear"
    penalty: float = 1.0
    name: ClassVar[str] = "frozen"
    summary: ClassVar[str] = "a linear layer, MLP or k-NN on the features of a pretrained encoder: frozen[encoder=...]"

    @property
    def tunable(self) -> Mapping[str, tuple[float, ...]]:
        """The penalty, where the head has one."""
        return PenalisedLinear(self.penalty).tunable if self.head == "linear" else {}

    @property
    def layer(self) -> FrozenHead:
        """What is fitted on the features."""
        heads: dict[str, medbench.Classifier] = {
            "linear": PenalisedLinear(self.penalty),
            "mlp": MLPHead(),
            "knn": NearestHead(),
        }
        return FrozenHead(heads[self.head], self.encoder)

    @property
    def takes(self) -> frozenset[str]:
        """Images that the encoder takes, and what the head takes, but for transforms: those are of pixels."""
        images = getattr(self.encoder, "takes", frozenset({"2d", "3d"}))
        return frozenset(images) | (self.layer.takes - {"features", "transform"})

    @property
    def needs(self) -> tuple[medbench.KeptFeatures, ...]:
        """The features of the data set."""
        return (medbench.KeptFeatures(self.encoder),)

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` for an encoder that is trained within a fold, or a penalty of no use."""
        if hasattr(self.encoder, "fit"):
            raise medbench.UsageError(
                f"frozen.encoder: {self.encoder.name} is trained within a fold; give a fixed one, such as "
                "timm-features or random-convolutions."
            )
        if self.head == "linear":
            PenalisedLinear(self.penalty).check()
        elif self.penalty != Frozen.penalty:
            raise medbench.UsageError(f"frozen.penalty: head={self.head} has none; leave it out, or take head=linear.")

    def fit(
        self,
        training_set: medbench.TrainingSet,
        validation: medbench.Samples,
        context: medbench.Context,
        start: medbench.State | None = None,
    ) -> FrozenPredictor:
        """Fit the head on the features of the training set."""
        encode = FrozenEncoder(self.encoder).encode(context, training_set.samples, self.needs[0])
        train = replace(training_set, samples=_features(training_set.samples, encode))
        predict: Any = self.layer.fit(train, _features(validation, encode), context)
        return FrozenPredictor(encode, predict, predict.facts, tuple(getattr(predict, "learning", ())))

    def cut(self) -> tuple[FrozenEncoder, FrozenHead]:
        """Return what methods on features work between."""
        return FrozenEncoder(self.encoder), self.layer


@dataclass(frozen=True)
class FrozenHead:
    """What is fitted on features, also between an encoder and methods on features; its results name the weights.

    Attributes:
        layer: Learns from features.
        encoder: Whose features; its facts are added to those of a fit.
    """

    layer: medbench.Classifier
    encoder: medbench.Extractor
    name: ClassVar[str] = "frozen-head"

    @property
    def takes(self) -> frozenset[str]:
        """What the layer takes."""
        return self.layer.takes

    def fit(
        self,
        training_set: medbench.TrainingSet,
        validation: medbench.Samples,
        context: medbench.Context,
        start: medbench.State | None = None,
    ) -> medbench.Predictor:
        """Fit the layer."""
        predict: Any = self.layer.fit(training_set, validation, context)
        predict.facts.update(getattr(self.encoder, "facts", {}))
        return predict


@dataclass(frozen=True)
class FrozenEncoder:
    """An encoder that has nothing to learn: it looks features up.

    Attributes:
        extractor: Whose features.
        stored: False: the features are kept for themselves.
    """

    extractor: medbench.Extractor
    name: ClassVar[str] = "frozen-encoder"
    stored: ClassVar[bool] = False

    @property
    def needs(self) -> tuple[medbench.KeptFeatures, ...]:
        """The features of the data set."""
        return (medbench.KeptFeatures(self.extractor),)

    def fit(self, train: medbench.Samples, context: medbench.Context) -> FrozenEncoding:
        """Return the look-up."""
        return self.encode(context, train, self.needs[0])

    def restore(self, state: medbench.State, train: medbench.Samples) -> FrozenEncoding:
        """Return an encoding that computes every row anew."""
        return FrozenEncoding(self.extractor.features)

    def encode(self, context: medbench.Context, train: medbench.Samples, kept: medbench.KeptFeatures) -> FrozenEncoding:
        """Return the look-up for whoever announced `kept`."""
        return FrozenEncoding(context.fit(kept, train))


@dataclass(frozen=True, eq=False)
class FrozenEncoding:
    """Features of images, looked up or computed.

    Attributes:
        features: Pixels ``uint8 (n, channels, *spatial)`` to ``float64 (n, d)``.
    """

    features: Any

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Turn pixels into features ``float32 (n, d)``."""
        return np.asarray(self.features(x), dtype=np.float32)

    def state(self) -> medbench.State:
        """Return nothing: there is nothing to restore."""
        return {}


@dataclass(frozen=True, eq=False)
class FrozenPredictor:
    """A fitted head behind the encoder: call it on pixels for ``float64 (n, n_classes)`` probabilities."""

    encode: FrozenEncoding
    predict: medbench.Predictor
    facts: dict[str, float | str]
    learning: tuple[tuple[int, float, float], ...]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return ``float64 (n, n_classes)``, rows summing to 1."""
        return self.predict(self.encode(x))


def _features(samples: medbench.Samples, encode: FrozenEncoding) -> medbench.Samples:
    return replace(samples, x=encode(samples.x), masks=None)
