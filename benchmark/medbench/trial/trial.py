"""One trial: cut, prepare, audit, fit, predict. Every arm and every protocol goes through this one function."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from medbench.errors import ContractError, LeakError, Skip
from medbench.interfaces import (
    Augmenter,
    Budget,
    Classifier,
    Encoding,
    Extractor,
    Metric,
    Score,
    Stage,
    State,
    TrainingSet,
    cut_in_two,
    outside_identity,
)
from medbench.protocols.check_training_set import check_synthetic_rows, check_training_set
from medbench.protocols.folds import Cut
from medbench.protocols.leaks import LEAKS, find_leaks
from medbench.protocols.protocol import EvaluationProtocol, seeded_as
from medbench.samples import Samples
from medbench.trial.context import TrialContext, measured
from medbench.trial.generator_scores import Scored, score_made
from medbench.trial.metrics import measure, measure_key, metric_name
from medbench.trial.probabilities import check_probabilities, correct_prior
from medbench.trial.stages import features_made_of, save_state
from medbench.trial.tamper_check import Handed, unchanged

TRAIN, HELD_OUT, MADE = "training samples", "held-out samples", "training set"
VALIDATION, TEST = "validation samples", "test samples"


@dataclass(frozen=True)
class Trial:
    """What one trial is, as text and numbers.

    Attributes:
        dataset: Name and parameters of the data set; ``phantom:`` before it for a phantom.
        protocol: Name and parameters of the evaluation protocol.
        repeat: Which partition.
        fold: Which part of it is tested.
        folds: Number of parts.
        seed: Seed of the classifier.
        stage_seed: Seed of generators and other stages.
        augmenter: Name and parameters.
        classifier: Name and parameters.
        budget: What the fit may spend.
        data: Fingerprint of the decoded data set.
        arm: SHA-256 over the recipes, the code they reach, the core's and the libraries': rows of one arm on a
            leaderboard share it.
        id: SHA-256 over everything that can change the result.
        extractor: Text of what the made rows are scored with; empty for the first registered one, and in arms that
            make none. It is no part of `id`, since scores are computed again from stored generators; one that is
            trained counts through `arm`.
    """

    dataset: str
    protocol: str
    repeat: int
    fold: int
    folds: int
    seed: int
    stage_seed: int
    augmenter: str
    classifier: str
    budget: Budget
    data: str = ""
    arm: str = ""
    id: str = ""
    extractor: str = ""

    @property
    def cut(self) -> Cut:
        """Fold, folds and repeat together."""
        return Cut(self.fold, self.folds, self.repeat)

    @property
    def split(self) -> tuple[str | int, ...]:
        """What seeds are derived from: the cut and its data set, never the arm, nor which leaks are on."""
        return (self.dataset, seeded_as(self.protocol), self.repeat, self.fold, self.folds)

    def to_json(self) -> dict[str, Any]:
        """Return all fields as JSON values, the extractor where one is named."""
        fields = {**vars(self), "budget": dict(vars(self.budget))}
        return fields if self.extractor else {key: value for key, value in fields.items() if key != "extractor"}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Trial:
        """Rebuild a trial from ``to_json``."""
        return Trial(**{**value, "budget": Budget(**value["budget"])})


@dataclass(frozen=True, eq=False)
class Result:
    """The record of a finished trial.

    Attributes:
        trial: What was asked for.
        ids: ``str (n,)`` of the test samples.
        patients: ``str (n,)``.
        labels: ``int64 (n,)``.
        probabilities: ``float64 (n, n_classes)`` as predicted, before any correction.
        frequencies: ``float64 (n_classes,)`` class frequencies the classifier was trained on.
        classes: Names of the classes.
        metrics: Number by metric, from prior-corrected probabilities; None where a metric gave none.
        leaks: Leaks that were found, all of them declared by the protocol.
        cost: ``seconds`` (wall), ``peak_mb``, ``device`` of this trial alone, without its stages.
        stages: SHA-256 of each stage's arrays by stage key.
        facts: What the predictor says of its training.
        learning: Steps done, training and validation loss at each look at the training; empty where it told of none.
        counts: Rows in training (real, made), validation and test.
        scores: Number by score of the made rows and by ``NAME-floor``; empty where none were made of pixels.
        scored: How: extractor, its SHA-256, features and rows, as :class:`.Scored` has it.
        metric_keys: By metric, what it was computed with: :func:`medbench.trial.metrics.measure_key`.
        unmeasured: Why a number is missing, by ``metric NAME``, ``score NAME`` or ``extractor NAME``.
    """

    trial: Trial
    ids: np.ndarray
    patients: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    frequencies: np.ndarray
    classes: tuple[str, ...]
    metrics: Mapping[str, float | None]
    leaks: tuple[str, ...]
    cost: Mapping[str, float | str]
    stages: Mapping[str, str]
    facts: Mapping[str, float | str] = field(default_factory=dict)
    learning: Sequence[tuple[int, float, float]] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    scored: Mapping[str, str | int] = field(default_factory=dict)
    metric_keys: Mapping[str, str] = field(default_factory=dict)
    unmeasured: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of one trial, rows as in its test part.

    Attributes:
        ids: ``str (n,)``.
        patients: ``str (n,)``.
        labels: ``int64 (n,)``.
        probabilities: ``float64 (n, n_classes)``.
    """

    ids: np.ndarray
    patients: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray


class StagePlanned(Exception):  # noqa: N818  how a stage job stops once its samples are known
    """Carries the samples that the stage of a stage job is to be fitted on."""

    def __init__(self, train: Samples) -> None:
        self.train = train


def training_part(protocol: EvaluationProtocol, samples: Samples, cut: Cut) -> Samples:
    """Return the samples that a protocol hands to `prepare`, without preparing anything."""

    def stop(train: Samples, *held_out: Samples) -> tuple[TrainingSet, ...]:
        raise StagePlanned(train)

    try:
        protocol.arrange(samples, cut, stop)
    except StagePlanned as planned:
        return planned.train
    raise AssertionError("a protocol prepares exactly once")


def fit_stage(stage: Any, train: Samples, context: TrialContext, *, key: str, text: str) -> None:
    """Fit a stage and write it into the context's folder."""
    expected, inner = context.stage_context(stage, train)
    if expected != key:
        raise ContractError(f"stage {stage.name!r} is not what was planned: the code or the data changed meanwhile.")
    with measured(context.device) as cost, unchanged("training samples", train, f"stage {stage.name!r}"):
        fitted = stage.fit(train, inner)
        state = cast("State", fitted.state())
    record = {
        "key": key,
        "stage": text,
        "cost": cost,
        "fitted_on": len(train),
        "facts": dict(getattr(fitted, "facts", {})),
        "stages": context.stages,
    }
    save_state(context.folder, state, record)


def run_trial(
    trial: Trial,
    augmenter: Augmenter,
    classifier: Classifier,
    protocol: EvaluationProtocol,
    samples: Samples,
    context: TrialContext,
    metrics: Sequence[Metric] = (),
    scores: Sequence[Score] = (),
    extractor: Extractor | None = None,
    *,
    waived: frozenset[str] = frozenset(),
    keep: Callable[[Result], None] | None = None,
) -> Result:
    """Run one trial.

    Rows made of pixels are scored with `extractor`, after everything was fitted and predicted; that is no part of the
    trial's cost. Whatever a metric raises or returns, the trial has a result: that number is then missing, with a word
    why. `waived` names leaks that the study accepts besides those of the protocol. `keep` is handed the result before
    any metric or score is computed: what ends the process there, a crash in a library, costs no training.

    Raises:
        LeakError: If a leak is found that the protocol does not declare, or the augmenter used what it was not given.
        ContractError: If a plugin returned what its interface forbids.
        Skip: If a recipe says that the combination makes no sense.
    """

    encoder, head = parts(augmenter, classifier)
    handed: list[Samples] = []
    told = Handed()

    def prepare(train: Samples, *held_out: Samples) -> tuple[Any, ...]:
        handed.append(train)
        told.add(TRAIN, train)
        for part in held_out:
            told.add(HELD_OUT, part)
        if encoder is not None:
            train, *held_out = encoded(encoder, context, train, *held_out)  # type: ignore[assignment]
            told.check(f"the encoder of {trial.classifier!r}", TRAIN, HELD_OUT)
            told.add(TRAIN, train)
            for part in held_out:
                told.add(HELD_OUT, part)
        made = augmenter.fit(_read_only(train), context.of(augmenter))
        told.check(f"augmenter {trial.augmenter!r}", TRAIN)
        check_training_set(made, train, augmenter=trial.augmenter, gives=augmenter.gives)
        if "copy" not in protocol.leaks:
            check_synthetic_rows(made.samples, train, *held_out, augmenter=trial.augmenter)
        return made, *held_out

    with measured(context.device) as cost:
        training_set, validation, test = protocol.arrange(samples, trial.cut, prepare)
        told.add(MADE, training_set)
        told.add(VALIDATION, validation)
        told.add(TEST, test)
        found = find_leaks(training_set.samples, validation, test, context.fitted_on.values())
        steps = protocol.steps(context.budget.steps, training_set)
        if steps != context.budget.steps:
            found |= {"unequal-steps"}
        if unexpected := found - protocol.leaks - waived:
            reasons = "; ".join(LEAKS[leak] for leak in sorted(unexpected))
            raise LeakError(f"{trial.augmenter}/{trial.classifier} under {trial.protocol}: {reasons}.")
        predict = head.fit(training_set, validation, context.of(head).trained(steps, selects=protocol.selects))
        told.check(f"classifier {trial.classifier!r}", MADE, VALIDATION)
        predicted = check_probabilities(predict(test.x), test, classifier=trial.classifier)
        told.check(f"what classifier {trial.classifier!r} predicts with", TEST)
    frequencies = training_set.class_frequencies
    corrected = correct_prior(predicted, frequencies)
    is_scored = encoder is None and extractor is not None and not training_set.samples.is_real.all()
    result = Result(
        trial=trial,
        ids=test.ids,
        patients=test.patients,
        labels=test.labels,
        probabilities=predicted,
        frequencies=frequencies,
        classes=test.classes,
        metrics={},
        leaks=tuple(sorted(found)),
        cost=cost,
        stages=dict(context.stages),
        facts=dict(getattr(predict, "facts", {})),
        learning=tuple(getattr(predict, "learning", ())),
        counts={
            "real": int(training_set.samples.is_real.sum()),
            "made": int((~training_set.samples.is_real).sum()),
            "validation": len(validation),
            "test": len(test),
        },
        # Without a key, so that the scores count as missing and are computed by the next run.
        scored={"extractor": extractor.name, "sha256": ""} if is_scored and extractor is not None else {},
    )
    if keep is not None:
        keep(result)
    numbers = {metric_name(m): (measure(m, test.labels, corrected), measure_key(m)) for m in metrics}
    made = None
    if is_scored and extractor is not None:
        made = _scores(training_set.samples, test, handed[0], context, extractor, scores, folder=context.folder)
        told.check(f"extractor {extractor.name!r}, or a score,", MADE, TRAIN, TEST)
    return replace(
        result,
        metrics={name: number.value for name, (number, _) in numbers.items()},
        stages=dict(context.stages),
        scores=made.values if made else {},
        scored=made.how if made else {},
        metric_keys={name: key for name, (number, key) in numbers.items() if key and not number.passing},
        unmeasured={f"metric {name}": number.why for name, (number, _) in numbers.items() if number.why}
        | dict(made.why if made else {}),
    )


@outside_identity
def score_again(
    trial: Trial,
    augmenter: Augmenter,
    protocol: EvaluationProtocol,
    samples: Samples,
    context: TrialContext,
    scores: Sequence[Score],
    extractor: Extractor,
) -> Scored | None:
    """Score the made rows of a trial of pixels as :func:`run_trial` does, from the context's fitted stages.

    No classifier is trained. None where nothing can be scored.
    """
    handed: list[Samples] = []

    def prepare(train: Samples, *held_out: Samples) -> tuple[Any, ...]:
        handed.append(train)
        made = augmenter.fit(_read_only(train), context.of(augmenter))
        check_training_set(made, train, augmenter=trial.augmenter, gives=augmenter.gives)
        return made, *held_out

    training_set, _, test = protocol.arrange(samples, trial.cut, prepare)
    if training_set.samples.is_real.all():
        return None
    return _scores(training_set.samples, test, handed[0], context, extractor, scores)


@outside_identity
def _scores(
    training: Samples,
    test: Samples,
    train: Samples,
    context: TrialContext,
    extractor: Extractor,
    scores: Sequence[Score],
    *,
    folder: Path | None = None,
) -> Scored | None:
    fit = getattr(extractor, "fit", None)
    return score_made(
        training,
        test,
        extractor=extractor,
        scores=scores,
        seed=context.seed("scores"),
        real=train,
        fit=functools.partial(fit, train, context.of(extractor)) if fit is not None else None,
        folder=folder,
    )


def parts(augmenter: Augmenter, classifier: Classifier) -> tuple[Stage[Encoding] | None, Classifier]:
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


def encoded(encoder: Stage[Encoding], context: TrialContext, train: Samples, *held_out: Samples) -> list[Samples]:
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


def _read_only(samples: Samples) -> Samples:
    s = samples
    for column in (s.x, s.labels, s.ids, s.patients, s.groups, s.masks, s.parts):
        if column is not None:
            column.flags.writeable = False  # an augmenter that changes its input fails at the line that does it
    return samples
