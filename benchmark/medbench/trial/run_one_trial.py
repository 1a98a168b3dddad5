"""One trial of any arm under any protocol: cut, prepare, check for leaks, fit, predict, measure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import LeakError
from medbench.interfaces import (
    Augmenter,
    Classifier,
    Extractor,
    Metric,
    Predictor,
    Score,
    TrainingSet,
    outside_identity,
)
from medbench.protocols.check_training_set import check_synthetic_rows, check_training_set
from medbench.protocols.corruptions import SEVERITIES, corrupt, corruptions_of
from medbench.protocols.leaks import LEAKS, find_leaks
from medbench.protocols.protocol import EvaluationProtocol
from medbench.samples import Samples, joins_patients
from medbench.trial.context import TrialContext, measure_cost
from medbench.trial.encode import encoder_and_head, fit_encoding
from medbench.trial.generator_scores import Fold, GeneratorScores, score_synthetic
from medbench.trial.kept_features import kept_by
from medbench.trial.metrics import measure, measure_key, metric_name
from medbench.trial.prior_correction import check_probabilities, correct_prior
from medbench.trial.tamper_check import TamperCheck
from medbench.trial.trial import Predictions, Result, Trial
from medbench.trial.tries import Choice, Configuration, choose

TRAIN = "training samples"
HELD_OUT = "held-out samples"
TRAINING_SET = "training set"
VALIDATION = "validation samples"
TEST = "test samples"


@dataclass(frozen=True)
class Recipes:
    """The recipes of one trial."""

    augmenter: Augmenter
    classifier: Classifier
    protocol: EvaluationProtocol


@dataclass(frozen=True)
class Measures:
    """What is computed once a trial has predicted; none of it can change a prediction.

    Attributes:
        metrics: Of the predictions.
        scores: Of the synthetic samples, where they are pixels.
        extractor: What the synthetic samples are scored with; None scores nothing.
    """

    metrics: Sequence[Metric] = ()
    scores: Sequence[Score] = ()
    extractor: Extractor | None = None


@dataclass(frozen=True, eq=False)
class _Prediction:
    """A fitted classifier's predictions, and all that the rest of the trial needs of the fit."""

    train: Samples
    training_set: TrainingSet
    validation: Samples
    test: Samples
    predictor: Predictor
    probabilities: np.ndarray
    watched: np.ndarray | None
    leaks: frozenset[str]
    handed: TamperCheck
    plain_test: Samples
    encode: Callable[[Samples], Samples]
    tried: Mapping[str, float | str]


def run_trial(
    trial: Trial,
    recipes: Recipes,
    samples: Samples,
    context: TrialContext,
    measures: Measures = Measures(),
    *,
    waived: frozenset[str] = frozenset(),
    keep: Callable[[Result], None] | None = None,
) -> Result:
    """Run one trial: cut, prepare, check for leaks, fit, predict, measure.

    Synthetic pixels are scored after everything was fitted and predicted; that is no part of the trial's cost. Whatever
    a metric or score raises or returns, the trial has a result: that number is then missing, with the reason.

    Args:
        trial: What the trial is.
        recipes: What it runs.
        samples: The whole data set.
        context: Seeds, budget, device, folder and stored stages.
        measures: What is computed from the predictions and the synthetic samples.
        waived: Leaks that the study accepts besides those of the protocol.
        keep: Called with the result before any metric or score is computed, so that a library that ends the process
            there costs no training.

    Raises:
        LeakError: If a leak is found that the protocol does not declare, or a plugin used what it was not given.
        ContractError: If a plugin returned what its interface forbids.
        Skip: If a recipe says that the combination makes no sense.
    """
    with measure_cost(context.device) as cost:
        fitted = _fit_and_predict(trial, recipes, samples, context, waived)
    training, test = fitted.training_set.samples, fitted.test
    extractor = measures.extractor
    if recipes.augmenter.space == "features" or training.is_real.all():
        extractor = None
    result = Result(
        trial=trial,
        ids=test.ids,
        patients=test.patients,
        labels=test.labels,
        probabilities=fitted.probabilities,
        frequencies=fitted.training_set.class_frequencies,
        classes=test.classes,
        metrics={},
        leaks=tuple(sorted(fitted.leaks)),
        cost=cost,
        stages=dict(context.stages),
        facts={**fitted.tried, **getattr(fitted.predictor, "facts", {})},
        learning=tuple(getattr(fitted.predictor, "learning", ())),
        counts=_count_rows(fitted),
        # Without a key, so that the scores count as missing and are computed by the next run.
        scored={"extractor": extractor.name, "sha256": ""} if extractor is not None else {},
        groups=test.groups if joins_patients(samples) else None,
        watched=_watched(fitted, joined=joins_patients(samples)),
        corrupted=_predict_corrupted(trial, recipes, fitted),
    )
    if keep is not None:
        keep(result)
    return _measure(result, fitted, context, replace(measures, extractor=extractor))


def _watched(fitted: _Prediction, *, joined: bool) -> Predictions | None:
    """Return what was predicted for the validation part; None where it was not."""
    part = fitted.validation
    if fitted.watched is None:
        return None
    return Predictions(part.ids, part.patients, part.labels, fitted.watched, part.groups if joined else None)


def _count_rows(fitted: _Prediction) -> dict[str, int]:
    is_real = fitted.training_set.samples.is_real
    real, made = int(is_real.sum()), int((~is_real).sum())
    return {"real": real, "made": made, "validation": len(fitted.validation), "test": len(fitted.test)}


def _fit_and_predict(
    trial: Trial, recipes: Recipes, samples: Samples, context: TrialContext, waived: frozenset[str]
) -> _Prediction:
    protocol = recipes.protocol
    encoder, head = encoder_and_head(recipes.augmenter, recipes.classifier)
    trains: list[Samples] = []
    tests: list[Samples] = []
    encodings: list[Callable[[Samples], Samples]] = []
    handed = TamperCheck()
    best = Choice(Configuration(recipes.augmenter, head), {})

    def augment(augmenter: Augmenter, train: Samples, context: TrialContext) -> TrainingSet:
        return _augment(trial, augmenter, train, context, TamperCheck())

    def prepare(train: Samples, *held_out: Samples) -> tuple[Any, ...]:
        nonlocal best
        trains.append(train)
        tests.append(held_out[-1])
        handed.add(TRAIN, train)
        handed.add(HELD_OUT, *held_out)
        if trial.budget.tries > 1:
            best = choose(trial, best.configuration, encoder, train, held_out[0], context, augment)
            handed.check("a try", TRAIN, HELD_OUT)
        if encoder is not None:
            learnt_from = protocol.encoder_rows(samples, trial.cut, train)
            scaled_by = samples if "scaler-on-all" in protocol.switches else None
            encodings.append(fit_encoding(encoder, context, learnt_from, scaled_by))
            train, *held_out = map(encodings[0], (train, *held_out))  # type: ignore[assignment]
            handed.check(f"the encoder of {trial.classifier!r}", TRAIN, HELD_OUT)
            handed.add(TRAIN, train)
            handed.add(HELD_OUT, *held_out)
        made = _augment(trial, best.configuration.augmenter, train, context, handed)
        if "copy" not in protocol.leaks:
            check_synthetic_rows(made.samples, train, *held_out, augmenter=trial.augmenter)
        return made, *held_out

    training_set, validation, test = protocol.arrange(samples, trial.cut, prepare)
    handed.add(TRAINING_SET, training_set)
    handed.add(VALIDATION, validation)
    handed.add(TEST, test)
    leaks = find_leaks(training_set.samples, validation, test, context.fitted_on.values())
    steps = protocol.steps(context.budget.steps, training_set)
    if steps != context.budget.steps:
        leaks |= {"unequal-steps"}
    if unexpected := leaks - protocol.leaks - waived:
        reasons = "; ".join(LEAKS[leak] for leak in sorted(unexpected))
        raise LeakError(f"{trial.augmenter}/{trial.classifier} under {trial.protocol}: {reasons}.")
    head = best.configuration.classifier
    predict = head.fit(training_set, validation, context.of(head).with_steps(steps, selects=protocol.selects))
    handed.check(f"classifier {trial.classifier!r}", TRAINING_SET, VALIDATION)
    probabilities = check_probabilities(predict(test.x), test, classifier=trial.classifier)
    handed.check(f"what classifier {trial.classifier!r} predicts with", TEST)
    watched = None
    if not protocol.leaks and len(validation):  # after the test part, whose predictions it cannot change
        watched = check_probabilities(predict(validation.x), validation, classifier=trial.classifier)
        handed.check(f"what classifier {trial.classifier!r} predicts with", VALIDATION)
    found = probabilities, watched, frozenset(leaks)
    encode = encodings[0] if encodings else lambda samples: samples
    return _Prediction(trains[0], training_set, validation, test, predict, *found, handed, tests[0], encode, best.facts)


def _predict_corrupted(trial: Trial, recipes: Recipes, fitted: _Prediction) -> dict[tuple[str, int], np.ndarray]:
    """Return what the trained classifier predicts for the test images under every corruption and severity."""
    test, found = fitted.plain_test, dict[tuple[str, int], np.ndarray]()
    if not recipes.protocol.corrupted:
        return found
    for kind in corruptions_of(recipes.protocol.corrupted, test.x.ndim - 2):
        for severity in SEVERITIES:
            seen = fitted.encode(replace(test, x=corrupt(test.x, test.ids, kind, severity)))
            p = check_probabilities(fitted.predictor(seen.x), test, classifier=trial.classifier)
            found[kind, severity] = p
    return found


def _augment(
    trial: Trial, augmenter: Augmenter, train: Samples, context: TrialContext, handed: TamperCheck
) -> TrainingSet:
    for column in (train.x, train.labels, train.ids, train.patients, train.groups, train.masks, train.parts):
        if column is not None:
            column.flags.writeable = False  # an augmenter that changes its input fails at the line that does it
    training_set = augmenter.fit(train, context.of(augmenter))
    handed.check(f"augmenter {trial.augmenter!r}", TRAIN)
    check_training_set(training_set, train, augmenter=trial.augmenter, gives=augmenter.gives)
    return training_set


def _measure(result: Result, fitted: _Prediction, context: TrialContext, measures: Measures) -> Result:
    """Add metrics and scores to a result."""
    test, probabilities = fitted.test, correct_prior(result.probabilities, result.frequencies)
    numbers = {metric_name(m): (measure(m, test.labels, probabilities), measure_key(m)) for m in measures.metrics}
    scores = None
    if measures.extractor is not None:
        scores = _score(fitted.training_set.samples, test, fitted.train, context, measures, folder=context.folder)
        fitted.handed.check(f"extractor {measures.extractor.name!r}, or a score,", TRAINING_SET, TRAIN, TEST)
    return replace(
        result,
        metrics={name: number.value for name, (number, _) in numbers.items()},
        stages=dict(context.stages),
        scores=scores.values if scores else {},
        scored=scores.how if scores else {},
        metric_keys={name: key for name, (number, key) in numbers.items() if key and not number.passing},
        unmeasured={f"metric {name}": number.why for name, (number, _) in numbers.items() if number.why}
        | dict(scores.why if scores else {}),
    )


@outside_identity
def score_again(
    trial: Trial, recipes: Recipes, samples: Samples, context: TrialContext, measures: Measures
) -> GeneratorScores | None:
    """Score the synthetic pixels of a trial as :func:`run_trial` does, from the context's fitted stages.

    No classifier is trained. None where nothing can be scored, or where the method that was chosen by tries would have
    to be chosen again.
    """
    if trial.budget.tries > 1:
        return None
    trains: list[Samples] = []

    def prepare(train: Samples, *held_out: Samples) -> tuple[Any, ...]:
        trains.append(train)
        return _augment(trial, recipes.augmenter, train, context, TamperCheck()), *held_out

    training_set, _, test = recipes.protocol.arrange(samples, trial.cut, prepare)
    if training_set.samples.is_real.all() or measures.extractor is None:
        return None
    return _score(training_set.samples, test, trains[0], context, measures)


@outside_identity
def _score(
    training: Samples,
    test: Samples,
    train: Samples,
    context: TrialContext,
    measures: Measures,
    *,
    folder: Path | None = None,
) -> GeneratorScores | None:
    extractor = measures.extractor
    assert extractor is not None
    fit = getattr(extractor, "fit", None)
    fit_in_fold = functools.partial(fit, train, context.of(extractor)) if fit is not None else None
    kept = kept_by(extractor)
    features = context.fit_stage(kept, train) if kept is not None else None
    return score_synthetic(
        training,
        test,
        extractor=extractor,
        scores=measures.scores,
        seed=context.seed("scores"),
        fold=Fold(train, fit_in_fold, folder, features),
    )
