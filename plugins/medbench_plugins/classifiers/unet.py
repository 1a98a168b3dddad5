"""Classification on the features of a U-Net that was trained to segment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

import medbench
from medbench_plugins.classifiers.blueprint import check_batch_of_one
from medbench_plugins.classifiers.heads import ConvHead, LinearHead
from medbench_plugins.classifiers.rates_to_try import rates_to_try
from medbench_plugins.classifiers.unet_encoder import UNetEncoder, UNetEncoding


@dataclass(frozen=True)
class UNetFeatures:
    """A head on the features of a U-Net that was trained on the masks of the training samples.

    The U-Net never sees a class, and is trained once a fold, for every method alike. So it takes no transform: its
    features are of the images as they are. Nor does it take synthetic images: they have no masks. Sampling, losses and
    bags concern the head.

    A row whose mask is empty counts as one without foreground; where annotations are missing instead, leave such rows
    out of the data set.

    Attributes:
        spatial: Features are the maps of the U-Net's bottom, ``(d, *spatial / 16)``; else their means ``(d,)``.
        head: "conv", two convolutions and two linear layers, for maps only; "linear" averages maps first; "auto" is
            "conv" for maps and "linear" for means.
        width: Channels of the U-Net's first level; the bottom has sixteen times as many. The study has 64.
        lr: Peak learning rate of the U-Net; the head has its own.
        augment: Show the U-Net flipped and turned images.
        pretrained: File of weights for the U-Net to begin from.
        source: Another data set with masks, on which the U-Net is trained first. Methods are compared on the network
            as it is: it is not compared with one without that data set, as `pretrained-on` is.

    Source:
        Sahoo and Mehra 2019, features of a U-Net for grading gliomas: pretrained on BraTS, then trained on the whole
        tumour of REMBRANDT, read at its bottom (15×15×1024). Deliberate differences: batch norms; Dice with
        cross-entropy; training rows only, where the study stops by its test slices; means of maps by default, since
        230,400 numbers of 90 patients are more than can be learnt from.
    """

    spatial: bool = False
    head: Literal["auto", "conv", "linear"] = "auto"
    width: int = 16
    lr: float = 1e-3
    augment: bool = True
    pretrained: Path | None = None
    source: medbench.Dataset | None = None
    name: ClassVar[str] = "unet-features"
    summary: ClassVar[str] = "a U-Net trained on the masks, and a head on its bottom, 2-D or 3-D"
    takes: ClassVar[frozenset[str]] = frozenset({"2d", "3d", "sampling", "loss", "bags"})
    tunable = property(rates_to_try)

    @property
    def needs(self) -> tuple[medbench.Stage, ...]:
        """The U-Net."""
        return (self._encoder(),)

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where fields are out of range or do not go together."""
        if self.head not in ("auto", "conv", "linear"):
            raise medbench.UsageError(f"{self.name}.head: {self.head!r} is unknown; use auto, conv or linear.")
        if self.head == "conv" and not self.spatial:
            raise medbench.UsageError(f"{self.name}.head: conv works on maps; write spatial=true, or leave it auto.")
        if not 1 <= self.width <= 512:
            raise medbench.UsageError(f"{self.name}.width: got {self.width}; give a number from 1 to 512.")
        if not 0 < self.lr < float("inf"):
            raise medbench.UsageError(f"{self.name}.lr: got {self.lr:g}; give a number above 0.")
        if self.pretrained is not None:
            from medbench_plugins.networks import weights

            weights.read(self.pretrained)

    def check_images(self, samples: medbench.Samples, budget: medbench.Budget) -> None:
        """Raise :class:`medbench.UsageError` where a batch leaves the U-Net's batch norms a single value a channel."""
        if budget.batch > 1:
            return
        from medbench_plugins.networks import unet

        shape = samples.x.shape[1:]
        least = 2**unet.HALVINGS  # smaller images are padded to that
        check_batch_of_one(
            lambda: unet.build_unet(shape[0], width=self.width, spatial_dims=len(shape) - 1),
            (shape[0], *[-(-side // least) * least for side in shape[1:]]),
            what=self.name,
        )

    def cut(self) -> tuple[UNetEncoder, LinearHead | ConvHead]:
        """Return what arms of features work between."""
        is_linear = self.head == "linear" or (self.head == "auto" and not self.spatial)
        return self._encoder(), LinearHead() if is_linear else ConvHead()

    def fit(
        self,
        training_set: medbench.TrainingSet,
        validation: medbench.Samples,
        context: medbench.Context,
        start: medbench.State | None = None,
    ) -> OnFeatures:
        """Train the U-Net, or take it from the store, and then the head on its features; `start` is the head's.

        Raises:
            medbench.UsageError: If a field is out of its range.
            medbench.Skip: If the training samples have no masks with foreground.
        """
        self.check()
        encoder, head = self.cut()
        encode = context.fit(encoder, training_set.samples)
        of_features = replace(training_set, samples=_encode_samples(training_set.samples, encode))
        predict = head.fit(of_features, _encode_samples(validation, encode), context, start)
        facts = {f"unet_{name}": value for name, value in encode.facts.items()}
        learning = getattr(predict, "learning", ())
        return OnFeatures(encode, predict, {**getattr(predict, "facts", {}), **facts}, learning)

    def _encoder(self) -> UNetEncoder:
        return UNetEncoder(self.spatial, self.width, self.lr, self.augment, self.pretrained, self.source)


@dataclass(frozen=True, eq=False)
class OnFeatures:
    """A head behind its encoder: call it on pixels.

    Attributes:
        encode: Pixels to features.
        predict: Features to probabilities.
        facts: The head's, and the U-Net's with "unet_" before them where it was fitted here.
        learning: The head's.
    """

    encode: UNetEncoding
    predict: medbench.Predictor
    facts: dict[str, Any] = field(default_factory=dict)
    learning: tuple[tuple[int, float, float], ...] = ()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return ``float64 (n, n_classes)`` of ``uint8 (n, channels, *spatial)``, rows summing to 1."""
        return self.predict(self.encode(x))


def _encode_samples(samples: medbench.Samples, encode: UNetEncoding) -> medbench.Samples:
    return replace(samples, x=encode(samples.x), masks=None)
