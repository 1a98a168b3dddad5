"""How good made rows are before any classifier has seen them: scores of their features, each beside its floor."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import ContractError, Skip
from medbench.identity.identity import digest, identity
from medbench.interfaces import Extractor, Score
from medbench.redact import sentence
from medbench.samples import Samples
from medbench.trial.metrics import contained, core_key, failed, measure_key, plain_number

MOST = 500
"""Rows of a kind and class that are looked at: scores shall cost less than what they are about."""
CHUNK = 50
"""Rows taken out of a memory map at a time."""
SPLITS = 20
"""Cuts of the real rows in two that a score's spread is read off: its 95th percentile is about the largest."""
ORIGIN_LABEL = "origin-label"
KEY_OF = "key of "
"""What stands in :attr:`Scored.how` before the name of a score whose key it is."""

Rows = dict[int, np.ndarray]
"""By class: row numbers in random order, or what was extracted of those rows."""


@dataclass(frozen=True)
class Scored:
    """Scores of the made rows of one training set.

    Attributes:
        values: Number by score, by ``NAME:CLASS`` where a score has one a class, and behind either ``-floor`` where
            real rows stood in for the made ones; ``NAME-spread`` is what real rows reach by chance.
        how: ``extractor`` (its name), ``sha256`` (of its recipe, code, libraries and weights), ``scope`` ("fold" where
            it was trained within the fold), ``d`` (features), and the rows that were looked at: ``train``,
            ``held_out``, ``made`` (also those of the floor) and ``classes``; ``key of NAME``, what a score was computed
            with. Instead of the numbers ``skipped``, where the extractor does not take such images, or ``failed``.
        why: Why a number is missing, by ``score NAME`` or ``extractor NAME``; what is only not defined has no word.
    """

    values: Mapping[str, float]
    how: Mapping[str, str | int]
    why: Mapping[str, str] = field(default_factory=dict)


def score_made(
    training: Samples,
    held_out: Samples,
    *,
    extractor: Extractor,
    scores: Sequence[Score],
    seed: int,
    real: Samples | None = None,
    fit: Callable[[], Any] | None = None,
    folder: Path | None = None,
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
        real: The real training rows where `training` holds none, as for an arm of made rows alone.
        fit: Gives what `extractor` becomes within the fold, where it is one that is trained.
        folder: Where scores may leave pictures; None leaves none.

    Returns:
        None where no class has rows of all three kinds. A score or extractor that raises, or returns what its
        interface forbids, costs its own numbers and nothing else.
    """
    rng = np.random.default_rng(seed)
    learnt = training if real is None or training.is_real.any() else real
    n_classes = len(training.classes)
    made = _draw(rng, training, ~training.is_real, n_classes)
    train, known = (_draw(rng, samples, samples.is_real, n_classes) for samples in (learnt, held_out))
    classes = [k for k in range(n_classes) if len(made[k]) and len(train[k]) and len(known[k])]
    if not classes:
        return None
    counts = {k: min(len(made[k]), len(train[k])) for k in classes}
    share = min(len(known[k]) / counts[k] for k in classes)
    mixed = {k: max(1, round(share * counts[k])) for k in classes}
    parts = (
        (learnt.x, {k: train[k] for k in classes}),
        (held_out.x, {k: known[k] for k in classes}),
        (training.x, {k: made[k][:n] for k, n in counts.items()}),
    )
    how: dict[str, str | int] = {"extractor": extractor.name, "sha256": extractor_key(extractor)}
    if fit is not None:
        how["scope"] = "fold"
    try:
        with contained(quiet=False):
            by_kind = _described(extractor if fit is None else fit(), scores, parts, extractor.name)
    except Skip as skip:
        return Scored({}, how | {"skipped": sentence(str(skip))})
    except Exception as error:  # noqa: BLE001  a plugin's call, after everything was trained
        told = failed(error)
        kept = {"sha256": ""} if told.passing else {}  # what the machine did is no fault of this code: tried again
        word = _word(error, told.why)
        return Scored({}, how | kept | {"failed": word}, {f"extractor {extractor.name}": word})
    patients = {k: np.concatenate([learnt.patients[train[k]], held_out.patients[known[k]]]) for k in classes}
    values: dict[str, float] = {}
    why: dict[str, str] = {}
    keys = score_keys(scores)
    for score in scores:
        name, passing = score.name, False
        if _of(score) in by_kind:
            of_train, of_held, of_made = by_kind[_of(score)]
            pool = _Pool(of_train, of_held, of_made, mixed, n_classes)
            steps: dict[str, Callable[[], dict[str, float]]] = {
                name: functools.partial(pool.values, score, training.classes)
            }
            if getattr(score, "spread", False):
                steps[f"{name}-spread"] = functools.partial(pool.spread, score, patients, rng)
            if folder is not None and hasattr(score, "show"):
                steps[f"{name} picture"] = functools.partial(pool.show, score, folder)
            for step, compute in steps.items():
                try:
                    with contained(quiet=False):
                        values |= compute()
                except Exception as error:  # noqa: BLE001  likewise
                    told = failed(error)
                    passing |= told.passing
                    why[f"score {step}"] = _word(error, told.why)
                    values |= {} if step.endswith(" picture") else {step: float("nan")}
        if keys[name] and not passing:
            how[f"{KEY_OF}{name}"] = keys[name]
    values |= _origin_label(training)
    how[f"{KEY_OF}{ORIGIN_LABEL}"] = keys[ORIGIN_LABEL]
    how |= {"d": next(iter(by_kind["features"][0].values())).shape[1], "classes": len(classes)}
    how |= {"train": sum(len(train[k]) for k in classes), "held_out": sum(mixed.values()), "made": sum(counts.values())}
    return Scored(values, how, why)


def score_keys(scores: Sequence[Score]) -> dict[str, str]:
    """Return what each score is computed with, and the core's own one: names to 16 hex digits, "" where unknown."""
    found = {score.name: measure_key(score, "scoring")[:16] for score in scores}
    return found | {ORIGIN_LABEL: core_key("scoring")[:16]}


def is_stale(how: Mapping[str, Any], *, extractor: str, scores: Mapping[str, str]) -> bool:
    """Say whether stored scores are of other code than that at hand, or lack some of it.

    Args:
        how: As :attr:`Scored.how` was stored; older results name no key of a score.
        extractor: :func:`extractor_key` of the extractor at hand.
        scores: :func:`score_keys` of the scores at hand.
    """
    if extractor and how.get("sha256") != extractor:
        return True
    if "skipped" in how or "failed" in how:  # the same extractor would do the same again
        return False
    return any(key and how.get(f"{KEY_OF}{name}") != key for name, key in scores.items())


def score_of(name: str, how: Mapping[str, Any]) -> str:
    """Return the score that a stored number belongs to: ``kid`` of ``kid-floor``; "" where its key is not stored."""
    known = [key.removeprefix(KEY_OF) for key in how if key.startswith(KEY_OF)]
    mine = [k for k in known if name in (k, f"{k}-floor", f"{k}-spread") or name.startswith(f"{k}:")]
    return max(mine, key=len, default="")


def extractor_key(extractor: Extractor) -> str:
    """Return the SHA-256 of an extractor's recipe, code, libraries and weights; empty where it cannot be said."""
    try:
        return digest(identity(extractor))
    except Exception:  # noqa: BLE001  it reads what a plugin is made of, and costs no trial
        return ""


@dataclass(frozen=True)
class _Pool:
    """What scores are computed from, by class: real training rows, held-out rows, made rows."""

    train: Rows
    held: Rows
    made: Rows
    mixed: Mapping[int, int]
    n_classes: int

    def values(self, score: Score, names: Sequence[str]) -> dict[str, float]:
        """Return the score and its floor, and one of each a class where the score gives them."""
        floor = getattr(score, "floor", True)
        found = self._named(score, score.name, "", names, self.made)
        if floor == "held-out":
            found |= self._named(
                score, score.name, "-floor", names, {k: self.held[k][: self.mixed[k]] for k in self.made}
            )
        elif floor:
            found |= self._named(
                score, score.name, "-floor", names, {k: self.train[k][: len(x)] for k, x in self.made.items()}
            )
        return found

    def _named(self, score: Score, name: str, end: str, names: Sequence[str], made: Rows) -> dict[str, float]:
        with_labels = getattr(score, "with_labels", None)
        if with_labels is None:
            within = getattr(score, "each_class", False)
            each = self._each(score, self.held, made) if within or getattr(score, "by_class", False) else {}
            value = _mean(each) if within else _number(score.score(*self.at_once(made)))
            return {f"{name}{end}": value} | {f"{name}:{names[k]}{end}": of_class for k, of_class in each.items()}
        parts = self.at_once(made)
        kinds = (self.train, {k: self.held[k][: self.mixed[k]] for k in made}, made)
        labels = tuple(np.repeat(list(made), [len(kind[k]) for k in made]) for kind in kinds)
        value, recalls = with_labels(*parts, labels, self.n_classes)
        own = {f"{name}:{names[k]}{end}": _number(recalls[k]) for k in made} if len(recalls) else {}
        return {f"{name}{end}": _number(value), **own}

    def _each(self, score: Score, held: Rows, made: Rows) -> dict[int, float]:
        # Copies: what one score does to its rows is nothing that the next one sees.
        return {k: _number(score.score(self.train[k].copy(), held[k].copy(), made[k].copy())) for k in made}

    def at_once(self, made: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the rows of all classes together, held-out ones in the mix of the made ones."""
        held = [self.held[k][: self.mixed[k]] for k in made]
        return np.concatenate([self.train[k] for k in made]), np.concatenate(held), np.concatenate([*made.values()])

    def show(self, score: Any, folder: Path) -> dict[str, float]:
        """Let a score leave a picture; there is no number in it."""
        score.show(folder, *self.at_once(self.made))
        return {}

    def spread(self, score: Score, patients: Mapping[int, np.ndarray], rng: np.random.Generator) -> dict[str, float]:
        """Return the 95th percentile of the score of real rows against other patients' real rows, at these numbers."""
        drawn = []
        for _ in range(SPLITS):
            here, there = {}, {}
            for k, of_row in patients.items():
                rows = np.concatenate([self.train[k], self.held[k]])
                who, inverse = np.unique(of_row, return_inverse=True)
                order = np.argsort(rng.permutation(len(who))[inverse], kind="stable")
                first = order[: len(self.made[k])]
                others = order[~np.isin(of_row[order], of_row[first])]
                here[k], there[k] = rows[first], rows[others[: len(self.held[k])]]
            value = _mean(self._each(score, there, here))
            drawn += [value] if np.isfinite(value) else []
        reached = float(np.percentile(drawn, 95, method="weibull")) if drawn else float("nan")
        return {f"{score.name}-spread": reached}


def _mean(of_classes: Mapping[int, float]) -> float:
    defined = [value for value in of_classes.values() if np.isfinite(value)]
    return float(np.mean(defined)) if defined else float("nan")


def _origin_label(training: Samples) -> dict[str, float]:
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


def _described(
    eyes: Any, scores: Sequence[Score], parts: Sequence[tuple[np.ndarray, Rows]], name: str
) -> dict[str, list[Rows]]:
    """Return what scores are of, by kind of row and class: features, and probabilities and pixels where asked for."""

    def by_kind(extract: Callable[[np.ndarray], np.ndarray]) -> list[Rows]:
        return [{k: _extracted(extract, x, rows, name) for k, rows in of_kind.items()} for x, of_kind in parts]

    described = {"features": by_kind(eyes.features)}
    wanted = {_of(score) for score in scores}
    if hasattr(eyes, "probabilities") and "probabilities" in wanted:
        described["probabilities"] = by_kind(eyes.probabilities)
    if "pixels" in wanted:
        described["pixels"] = [{k: np.asarray(x[np.sort(rows)]) for k, rows in of_kind.items()} for x, of_kind in parts]
    return described


def _draw(rng: np.random.Generator, samples: Samples, wanted: np.ndarray, n_classes: int) -> Rows:
    """Return up to MOST of the wanted rows of each class."""
    of_class = [np.flatnonzero(wanted & (samples.labels == k)) for k in range(n_classes)]
    return {k: rng.permutation(rows)[:MOST] for k, rows in enumerate(of_class)}


def _of(score: Score) -> str:
    return str(getattr(score, "of", "features"))


def _extracted(extract: Callable[[np.ndarray], np.ndarray], x: np.ndarray, rows: np.ndarray, name: str) -> np.ndarray:
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    return np.concatenate([_checked(extract(x[chunk]), len(chunk), name) for chunk in chunks])


class _Broken(ContractError):  # noqa: N818  as its kin
    """A promise that was not kept, in words of ours, which hold nothing of anybody's data."""


def _word(error: Exception, kind: str) -> str:
    return str(error) if isinstance(error, _Broken) else kind


def _number(given: Any) -> float:
    value = plain_number(given)
    if value is None:
        raise _Broken(f"gave {type(given).__name__}, not a number")
    return value


def _checked(rows: Any, n: int, name: str) -> np.ndarray:
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or len(rows) != n or not np.isfinite(rows).all():
        given = f"{rows.dtype} {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
        raise _Broken(f"gave {given} for {n} images, not finite float64 (n, d)")
    return rows.astype(np.float64, copy=False)
