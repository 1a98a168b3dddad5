"""Scores of a trial's synthetic samples, before any classifier has seen them, each beside its floor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import Skip
from medbench.interfaces import Extractor, Score
from medbench.redact import sentence
from medbench.samples import Samples
from medbench.trial.metrics import isolate_plugin, measurement_of_error
from medbench.trial.score_keys import KEY_OF, ORIGIN_LABEL, extractor_key, score_keys
from medbench.trial.score_pool import BrokenContract, Pool, Rows

MOST = 500
"""Rows of a kind and class that are scored: scores shall cost less than what they are about."""
CHUNK = 50
"""Rows taken out of a memory map at a time."""


@dataclass(frozen=True)
class GeneratorScores:
    """Scores of the synthetic samples of one training set.

    Attributes:
        values: Number by score, by ``NAME:CLASS`` where a score has one a class, and behind either ``-floor`` where
            real rows stood in for the synthetic ones; ``NAME-spread`` is what real rows reach by chance.
        how: ``extractor`` (its name), ``sha256`` (of its recipe, code, libraries and weights), ``scope`` ("fold" where
            it was trained within the fold), ``d`` (features), and the rows that were scored: ``train``,
            ``held_out``, ``made`` (also those of the floor) and ``classes``; ``key of NAME``, what a score was computed
            with. Instead of the numbers ``skipped``, where the extractor does not take such images, or ``failed``.
        why: Why a number is missing, by ``score NAME`` or ``extractor NAME``; a score that is only not defined on these
            rows has none.
    """

    values: Mapping[str, float]
    how: Mapping[str, str | int]
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fold:
    """What a trial adds to the rows that are scored.

    Attributes:
        train: The real training rows, used where the training set holds none, as in an arm of synthetic rows alone.
        fit: Trains the extractor within the fold and returns it; None where it is fixed.
        folder: Where scores may leave pictures; None leaves none.
        features: Gives the extractor's features where those of real images are kept; None asks the extractor itself.
    """

    train: Samples | None = None
    fit: Callable[[], Any] | None = None
    folder: Path | None = None
    features: Callable[[np.ndarray], np.ndarray] | None = None


@dataclass(frozen=True)
class _Rows:
    """Row numbers by class, of the classes that have rows of all three kinds.

    Attributes:
        train: Real training rows.
        held_out: Real held-out rows.
        made: Synthetic rows, no more of a class than real ones can stand in for.
        mixed: How many held-out rows of each class give the mix of classes of the synthetic ones.
        patients: Of the training rows, then of the held-out rows.
    """

    train: Rows
    held_out: Rows
    made: Rows
    mixed: dict[int, int]
    patients: dict[int, np.ndarray]

    def counts(self) -> dict[str, int]:
        """Return the number of classes and of the rows of each kind."""
        train, made = (sum(map(len, rows.values())) for rows in (self.train, self.made))
        return {"classes": len(self.made), "train": train, "held_out": sum(self.mixed.values()), "made": made}


def score_synthetic(
    training: Samples,
    held_out: Samples,
    *,
    extractor: Extractor,
    scores: Sequence[Score],
    seed: int,
    fold: Fold = Fold(),
) -> GeneratorScores | None:
    """Score the synthetic rows of a training set against real rows its generator never saw.

    At most MOST rows of each kind and class are drawn. Of each class as many synthetic rows are taken as real ones
    stand in for them in the floor, and scores over all classes at once see held-out rows in the same mix of classes.

    Args:
        training: Pixels, real and synthetic rows. Rows without a label are left out here and below.
        held_out: Pixels; its synthetic rows, which only a leaky protocol has, are left out.
        extractor: What turns pixels into features.
        scores: What to compute.
        seed: Of the draw.
        fold: Real rows, training of the extractor and folder of the trial.

    Returns:
        None where no class has rows of all three kinds. A score or extractor that raises, or returns what its
        interface forbids, costs its own numbers and nothing else.
    """
    rng = np.random.default_rng(seed)
    real = training if fold.train is None or training.is_real.any() else fold.train
    rows = _draw_rows(rng, training, real, held_out)
    if rows is None:
        return None
    how: dict[str, str | int] = {"extractor": extractor.name, "sha256": extractor_key(extractor)}
    how |= {"scope": "fold"} if fold.fit is not None else {}
    parts = ((real.x, rows.train), (held_out.x, rows.held_out), (training.x, rows.made))
    try:
        with isolate_plugin(quiet=False):
            fitted = extractor if fold.fit is None else fold.fit()
            described = _describe_rows(fitted, scores, parts, fold.features or fitted.features, extractor.name)
    except Skip as skip:
        return GeneratorScores({}, how | {"skipped": sentence(str(skip))})
    except Exception as error:  # noqa: BLE001  a plugin's call, after everything was trained
        return _failed_extraction(error, extractor.name, how)
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    keys = score_keys(scores)
    for score in scores:
        key = keys[score.name]
        if _rows_of(score) in described:
            train, held, made = described[_rows_of(score)]
            pool = Pool(train, held, made, rows.mixed, training.classes, rows.patients, rng)
            computed = _compute_score(score, pool, fold.folder)
            values |= computed.values
            reasons |= computed.why
            key = "" if computed.passing else key
        if key:
            how[f"{KEY_OF}{score.name}"] = key
    values |= _score_origin_label(training)
    how[f"{KEY_OF}{ORIGIN_LABEL}"] = keys[ORIGIN_LABEL]
    how |= {"d": next(iter(described["features"][0].values())).shape[1], **rows.counts()}
    return GeneratorScores(values, how, reasons)


def _failed_extraction(error: Exception, extractor: str, how: Mapping[str, str | int]) -> GeneratorScores:
    failure = measurement_of_error(error)
    why = _reason(error, failure.why)
    try_again = {"sha256": ""} if failure.passing else {}  # what the machine did is no fault of this code
    return GeneratorScores({}, {**how, **try_again, "failed": why}, {f"extractor {extractor}": why})


def _draw_rows(rng: np.random.Generator, training: Samples, real: Samples, held_out: Samples) -> _Rows | None:
    n_classes = len(training.classes)
    made = _draw(rng, training, ~training.is_real, n_classes)
    train, known = (_draw(rng, samples, samples.is_real, n_classes) for samples in (real, held_out))
    classes = [k for k in range(n_classes) if len(made[k]) and len(train[k]) and len(known[k])]
    if not classes:
        return None
    counts = {k: min(len(made[k]), len(train[k])) for k in classes}
    share = min(len(known[k]) / counts[k] for k in classes)
    return _Rows(
        {k: train[k] for k in classes},
        {k: known[k] for k in classes},
        {k: made[k][:n] for k, n in counts.items()},
        {k: max(1, round(share * counts[k])) for k in classes},
        {k: np.concatenate([real.patients[train[k]], held_out.patients[known[k]]]) for k in classes},
    )


@dataclass(frozen=True)
class _Computed:
    """Numbers of one score, why some are missing, and whether the machine was at fault for that."""

    values: dict[str, float]
    why: dict[str, str]
    passing: bool


def _compute_score(score: Score, pool: Pool, folder: Path | None) -> _Computed:
    """Compute a score, its spread and its picture, one after the other; each may fail by itself."""
    steps: dict[str, Callable[[], dict[str, float]]] = {score.name: lambda: pool.values(score)}
    if getattr(score, "spread", False):
        steps[f"{score.name}-spread"] = lambda: pool.spread(score)
    if folder is not None and hasattr(score, "show"):
        steps[f"{score.name} picture"] = lambda: pool.show(score, folder)
    values: dict[str, float] = {}
    why: dict[str, str] = {}
    passing = False
    for step, compute in steps.items():
        try:
            with isolate_plugin(quiet=False):
                values |= compute()
        except Exception as error:  # noqa: BLE001  likewise
            failure = measurement_of_error(error)
            passing |= failure.passing
            why[f"score {step}"] = _reason(error, failure.why)
            values |= {} if step.endswith(" picture") else {step: float("nan")}
    return _Computed(values, why, passing)


def _score_origin_label(training: Samples) -> dict[str, float]:
    """Return the best balanced accuracy of telling a row's class from whether it was made, and chance as its floor.

    A rule answers one class for real and one for made rows, so the best has the mean over classes of the largest
    share of a class that is real, plus the largest that is made.
    """
    known = training.labels >= 0
    counts = np.array([
        np.bincount(training.labels[known & origin], minlength=len(training.classes))
        for origin in (training.is_real, ~training.is_real)
    ])  # fmt: skip
    counts = counts[:, counts.sum(0) > 0]
    best = float((counts / counts.sum(0)).max(1).sum() / counts.shape[1])
    return {ORIGIN_LABEL: best, f"{ORIGIN_LABEL}-floor": 1 / counts.shape[1]}


def _describe_rows(
    extractor: Any,
    scores: Sequence[Score],
    parts: Sequence[tuple[np.ndarray, Rows]],
    features: Callable[[np.ndarray], np.ndarray],
    name: str,
) -> dict[str, list[Rows]]:
    """Return what scores are of, by kind of row and class: features, and probabilities and pixels where asked for."""

    def by_kind(extract: Callable[[np.ndarray], np.ndarray]) -> list[Rows]:
        return [{k: _extract_features(extract, x, rows, name) for k, rows in of_kind.items()} for x, of_kind in parts]

    described = {"features": by_kind(features)}
    kinds = {_rows_of(score) for score in scores}
    if hasattr(extractor, "probabilities") and "probabilities" in kinds:
        described["probabilities"] = by_kind(extractor.probabilities)
    if "pixels" in kinds:
        described["pixels"] = [{k: np.asarray(x[np.sort(rows)]) for k, rows in of_kind.items()} for x, of_kind in parts]
    return described


def _draw(rng: np.random.Generator, samples: Samples, eligible: np.ndarray, n_classes: int) -> Rows:
    """Return up to MOST of the eligible rows of each class, in random order."""
    of_class = [np.flatnonzero(eligible & (samples.labels == k)) for k in range(n_classes)]
    return {k: rng.permutation(rows)[:MOST] for k, rows in enumerate(of_class)}


def _rows_of(score: Score) -> str:
    """Return what a score is computed from: features, probabilities or pixels."""
    return str(getattr(score, "of", "features"))


def _extract_features(
    extract: Callable[[np.ndarray], np.ndarray], x: np.ndarray, rows: np.ndarray, name: str
) -> np.ndarray:
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    return np.concatenate([_check_features(extract(x[chunk]), len(chunk), name) for chunk in chunks])


def _reason(error: Exception, kind: str) -> str:
    return str(error) if isinstance(error, BrokenContract) else kind


def _check_features(rows: Any, n: int, name: str) -> np.ndarray:
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or len(rows) != n or not np.isfinite(rows).all():
        given = f"{rows.dtype} {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
        raise BrokenContract(f"gave {given} for {n} images, not finite float64 (n, d)")
    return rows.astype(np.float64, copy=False)
