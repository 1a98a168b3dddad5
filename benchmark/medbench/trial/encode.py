"""Arms of features: a classifier cut into encoder and head, and pixels replaced by the features of the encoder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medbench.errors import Skip
from medbench.interfaces import Augmenter, Classifier, Encoding, Stage, cut_in_two
from medbench.samples import Samples
from medbench.trial.context import TrialContext
from medbench.trial.stages import features_made_of


def encoder_and_head(augmenter: Augmenter, classifier: Classifier) -> tuple[Stage[Encoding] | None, Classifier]:
    """Return the encoder that an arm of features needs and what classifies; no encoder for an arm of pixels.

    Raises:
        Skip: If the classifier cannot be cut.
    """
    if augmenter.space == "pixels":
        return None, classifier
    cut = cut_in_two(classifier)
    if cut is None:
        raise Skip(f"{classifier.name} cannot be cut into an encoder and a head")
    return cut


def encode_samples(
    encoder: Stage[Encoding], context: TrialContext, train: Samples, *held_out: Samples
) -> list[Samples]:
    """Fit an encoder on the training samples, or take it from the store, and replace pixels by features.

    Returns:
        Training samples and held-out samples with ``x`` as ``float32`` features and without masks.
    """
    encode = context.fit_stage(encoder, train)
    key, _ = context.stage_context(encoder, train)
    made_of = features_made_of(train.made_of, key)
    return [
        replace(s, x=np.asarray(encode(s.x), dtype=np.float32), masks=None, made_of=made_of) for s in (train, *held_out)
    ]
