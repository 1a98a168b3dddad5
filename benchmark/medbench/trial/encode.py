"""Arms of features: a classifier cut into encoder and head, and pixels replaced by the features of the encoder."""

from __future__ import annotations

from collections.abc import Callable
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
    encoder: Stage[Encoding],
    context: TrialContext,
    learnt_from: Samples,
    *parts: Samples,
    scaled_by: Samples | None = None,
) -> list[Samples]:
    """Fit an encoder, or take it from the store, and replace pixels by features.

    Args:
        encoder: The encoder.
        context: Of the trial.
        learnt_from: What the encoder is fitted on.
        parts: Training samples and held-out samples.
        scaled_by: By which samples a classifier standardises; None is by those it is trained on.

    Returns:
        Each of `parts` with ``x`` as ``float32`` features and without masks.
    """
    encode = fit_encoding(encoder, context, learnt_from, scaled_by)
    return [encode(part) for part in parts]


def fit_encoding(
    encoder: Stage[Encoding], context: TrialContext, learnt_from: Samples, scaled_by: Samples | None = None
) -> Callable[[Samples], Samples]:
    """Fit an encoder, or take it from the store, and return what encodes samples, as :func:`encode_samples` does."""
    encode = context.fit_stage(encoder, learnt_from)
    key, _ = context.stage_context(encoder, learnt_from)
    made_of = features_made_of(learnt_from.made_of, key)
    scale = None
    if scaled_by is not None:
        context.fitted_on["scaler"] = frozenset(scaled_by.ids.tolist())
        scale = np.asarray(encode(scaled_by.x), dtype=np.float32)
    return lambda s: replace(
        s, x=np.asarray(encode(s.x), dtype=np.float32), masks=None, made_of=made_of, scaled_by=scale
    )
