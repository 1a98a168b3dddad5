"""How good made rows are before any classifier has seen them: scores of their features, each beside its floor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medbench.errors import ContractError, Skip
from medbench.identity import digest, identity
from medbench.interfaces import Extractor, Score
from medbench.samples import Samples

MOST = 500
"""Rows of a kind and class that are looked at: scores shall cost less than what they are about."""
CHUNK = 50
"""Rows taken out of a memory map at a time."""


@dataclass(frozen=True)
class Scored:
    """Scores of the made rows of one training set.

    Attributes:
        values: Number by score, and by ``NAME-floor`` where real training rows stood in for the made ones.
        how: ``extractor`` (its name), ``sha256`` (of its recipe, code, libraries and weights), ``d`` (features), and
            the rows that were looked at: ``train``, ``held_out``, ``made`` (also those of the floor) and ``classes``;
            ``skipped`` instead of the numbers, where the extractor does not take such images.
    """

    values: Mapping[str, float]
    how: Mapping[str, str | int]


Drawn = dict[int, np.ndarray]
"""Row numbers by class, in random order."""


def score_made(
    training: Samples, held_out: Samples, *, extractor: Extractor, scores: Sequence[Score], seed: int
) -> Scored | None:
    """Score the made rows of a training set against real rows its generator never saw.

    At most MOST rows of each kind and class are drawn. Of each class as many made rows are taken as real ones stand
    in for them in the floor, and scores over all classes at once see held-out rows in the same mix of classes.

    Args:
        training: Pixels, real and made rows. Rows without a label are left out here and below.
        held_out: Pixels; its made rows, which only a leaky protocol has, are left out.
        extractor: What turns pixels into features.
        scores: What to compute.
        seed: Of the draw.

    Returns:
        None where no class has rows of all three kinds.

    Raises:
        ContractError: If the extractor or a score returned what its interface forbids.
    """
    rng = np.random.default_rng(seed)
    real = training.is_real
    n_classes = len(training.classes)
    made, train = _draw(rng, training, ~real, n_classes), _draw(rng, training, real, n_classes)
    known = _draw(rng, held_out, held_out.is_real, n_classes)
    classes = [k for k in range(n_classes) if len(made[k]) and len(train[k]) and len(known[k])]
    if not classes:
        return None
    counts = {k: min(len(made[k]), len(train[k])) for k in classes}
    taken = {k: made[k][:n] for k, n in counts.items()}
    share = min(len(known[k]) / counts[k] for k in classes)
    mixed = {k: max(1, round(share * counts[k])) for k in classes}
    how: dict[str, str | int] = {"extractor": extractor.name, "sha256": digest(identity(extractor))}

    def by_kind(extract: Callable[[np.ndarray], np.ndarray]) -> list[dict[int, np.ndarray]]:
        return [
            {k: _extracted(extract, samples.x, rows[k], extractor) for k in classes}
            for samples, rows in ((training, train), (held_out, known), (training, taken))
        ]

    values: dict[str, float] = {}
    try:
        described: dict[str, list[dict[int, np.ndarray]]] = {"features": by_kind(extractor.features)}
        probabilities = getattr(extractor, "probabilities", None)
        if probabilities is not None and any(_of(score) == "probabilities" for score in scores):
            described["probabilities"] = by_kind(probabilities)
    except Skip as skip:
        return Scored({}, how | {"skipped": str(skip)})
    for score in (score for score in scores if _of(score) in described):
        real_rows, held_rows, made_rows = described[_of(score)]
        stand_in = {k: real_rows[k][:n] for k, n in counts.items()}
        for name, rows in ((score.name, made_rows), (f"{score.name}-floor", stand_in)):
            if name == score.name or getattr(score, "floor", True):
                values[name] = _value(score, real_rows, held_rows, rows, mixed)
    features = described["features"]
    how |= {"d": next(iter(features[0].values())).shape[1], "classes": len(classes)}
    how |= {"train": sum(len(train[k]) for k in classes), "held_out": sum(mixed.values()), "made": sum(counts.values())}
    return Scored(values, how)


def _draw(rng: np.random.Generator, samples: Samples, wanted: np.ndarray, n_classes: int) -> Drawn:
    """Return up to MOST of the wanted rows of each class."""
    of_class = [np.flatnonzero(wanted & (samples.labels == k)) for k in range(n_classes)]
    return {k: rng.permutation(rows)[:MOST] for k, rows in enumerate(of_class)}


def _value(
    score: Score, train: dict[int, np.ndarray], held: dict[int, np.ndarray], made: dict[int, np.ndarray],
    mixed: Mapping[int, int],
) -> float:  # fmt: skip
    if getattr(score, "each_class", False):
        each = [score.score(train[k], held[k], made[k]) for k in made]
        defined = [value for value in each if np.isfinite(value)]
        return float(np.mean(defined)) if defined else float("nan")
    parts = [[train[k] for k in made], [held[k][: mixed[k]] for k in made], [made[k] for k in made]]
    return float(score.score(*(np.concatenate(part) for part in parts)))


def _of(score: Score) -> str:
    return str(getattr(score, "of", "features"))


def _extracted(
    extract: Callable[[np.ndarray], np.ndarray], x: np.ndarray, rows: np.ndarray, extractor: Extractor
) -> np.ndarray:
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    return np.concatenate([_checked(extract(x[chunk]), len(chunk), extractor) for chunk in chunks])


def _checked(rows: Any, n: int, extractor: Extractor) -> np.ndarray:
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or len(rows) != n or not np.isfinite(rows).all():
        given = f"{rows.dtype} {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
        raise ContractError(
            f"extractor {extractor.name!r} gave {given} for {n} images; it returns finite float64 (n, d)."
        )
    return rows.astype(np.float64, copy=False)
