"""Equal tuning: configurations of a method are tried on a part of its training part, and the best is trained on all.

What a recipe lets be tuned it says itself: ``tunable``, an attribute or property with values by field. The space of a
method is that of its augmenter, of the augmenters in its fields and of its classifier together. Every method has
the same number of tries on the same inner cut; the first is always the method as it was asked for.
"""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import Diverged, Skip, UsageError
from medbench.identity.identity import derive_seed
from medbench.interfaces import Augmenter, Classifier, Encoding, Stage, TrainingSet, needs
from medbench.protocols.folds import assign_folds
from medbench.samples import Samples
from medbench.trial.context import TrialContext
from medbench.trial.encode import encode_samples
from medbench.trial.prior_correction import check_probabilities, correct_prior
from medbench.trial.trial import Trial

INNER_FOLDS = 4
"""The last of so many parts of the training part is held out to choose by: a quarter."""

Augment = Callable[[Augmenter, Samples, TrialContext], TrainingSet]


@dataclass(frozen=True)
class Configuration:
    """An augmenter and a classifier with chosen values of their tunable fields.

    Attributes:
        augmenter: Configured.
        classifier: Configured; of a method of features its head.
        changed: What differs from the recipes as they were asked for: ``ratio=0.5``, ``base.probability=0.45``,
            ``classifier.lr=0.003``.
    """

    augmenter: Augmenter
    classifier: Classifier
    changed: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What people read of it."""
        return ", ".join(self.changed) or "as asked for"


@dataclass(frozen=True)
class Choice:
    """What the tries gave.

    Attributes:
        configuration: The best.
        facts: Numbers and texts for the record: ``tries``, ``chosen``, ``inner_scores``, ``inner_score`` of the chosen
            configuration and ``inner_score_default`` of the one that was asked for.
    """

    configuration: Configuration
    facts: Mapping[str, float | str]


def space_of(augmenter: Augmenter, classifier: Classifier) -> list[Configuration]:
    """Return all configurations of a method, the one that was asked for first.

    Raises:
        UsageError: If a recipe calls a field tunable that it does not have.
    """
    first = Configuration(augmenter, classifier)
    axes = [*_axes(augmenter, "augmenter", ""), *_axes(classifier, "classifier", "classifier.")]
    found = {first.changed: first}
    for values in itertools.product(*(axis.values for axis in axes)):
        both: dict[str, Any] = {"augmenter": augmenter, "classifier": classifier}
        changed = []
        for axis, value in zip(axes, values, strict=True):
            if value != axis.default:
                both[axis.role] = _with(both[axis.role], axis.path, value)
                changed.append(f"{axis.name}={value:.4g}" if isinstance(value, float) else f"{axis.name}={value}")
        if _is_valid(both["augmenter"], augmenter) and _is_valid(both["classifier"], classifier):
            found.setdefault(tuple(changed), Configuration(**both, changed=tuple(changed)))
    return list(found.values())


def draw_tries(space: Sequence[Configuration], n: int, seed: int) -> list[tuple[int, int]]:
    """Draw `n` tries: configurations without repeats, the first always among them; then further seeds of these.

    Args:
        space: All configurations.
        n: Tries.
        seed: Of the order of all but the first.

    Returns:
        Number of the configuration, and of its seed, of each try.
    """
    others = 1 + np.random.default_rng(seed).permutation(len(space) - 1)
    order = [0, *others.tolist()][:n]
    return [(order[k % len(order)], k // len(order)) for k in range(n)]


def choose(
    trial: Trial, asked: Configuration, encoder: Stage[Encoding] | None, train: Samples, validation: Samples,
    context: TrialContext, augment: Augment,
) -> Choice:  # fmt: skip
    """Try configurations on an inner cut of the training part by group, and return the best.

    Each is trained with all steps on three quarters and scored on the last by balanced accuracy; of several seeds of a
    configuration the mean counts. Ties: the larger AUROC, then the earlier.

    Args:
        trial: Says the number of tries.
        asked: The method as it was asked for.
        encoder: Of a method of features; fitted on the inner training part.
        train: The training part.
        validation: Handed to the classifier, which it informs.
        context: Of the trial; nothing of the tries stays in it.
        augment: Calls an augmenter and checks what it returns.

    Raises:
        Skip: If no configuration can be trained, with the reason of the first.
        Diverged: Likewise.
    """
    n, space = trial.budget.tries, space_of(asked.augmenter, asked.classifier)
    tries = draw_tries(space, n, derive_seed(list(trial.split), "tries"))
    inner, held_out = inner_cut(train, trial)
    scores: dict[int, list[tuple[float, float]]] = {}
    errors: list[Exception] = []
    with tempfile.TemporaryDirectory() as place:
        memory: dict[str, Any] = {}
        parts = [inner, validation, held_out]
        within = context.within(Path(place), memory, of=n)
        if encoder is not None:
            parts = encode_samples(encoder, within, *parts)
        for k, (number, seed) in enumerate(tries):
            scope = context.within(Path(place), memory, of=n, done=k, seed=seed)
            try:
                score = _score(trial, space[number], parts, scope, augment)
            except (Skip, Diverged) as error:
                errors.append(error)
                score = (-1.0, -1.0)
            scores.setdefault(number, []).append(score)
    means = {number: tuple(np.mean(of, axis=0).tolist()) for number, of in scores.items()}
    if len(errors) == n:
        raise errors[0]
    best = max(means, key=lambda number: means[number])  # of equals the earlier
    told = "; ".join(f"{space[number].text}: {100 * mean[0]:.1f}" for number, mean in means.items())
    facts = {
        "tries": n, "chosen": space[best].text, "inner_scores": told, "inner_score": means[best][0],
        "inner_score_default": means[0][0],
    }  # fmt: skip
    return Choice(space[best], facts)


def inner_cut(train: Samples, trial: Trial) -> tuple[Samples, Samples]:
    """Cut a training part by group into three quarters and one: the same for all methods of a cut."""
    parts = assign_folds(train.groups, train.labels, INNER_FOLDS, salt="|".join(map(str, (*trial.split, "tries"))))
    # Groups are dealt from the first part on, so the last is where a class of few groups is missing: never in training.
    return train.take(parts != INNER_FOLDS - 1), train.take(parts == INNER_FOLDS - 1)


def _score(
    trial: Trial, configuration: Configuration, parts: Sequence[Samples], context: TrialContext, augment: Augment
) -> tuple[float, float]:
    """Train a configuration and return balanced accuracy and AUROC on the inner held-out part."""
    inner, validation, held_out = parts
    classifier = configuration.classifier
    training_set = augment(configuration.augmenter, inner, context)
    predict = classifier.fit(training_set, validation, context.of(classifier))
    told = check_probabilities(predict(held_out.x), held_out, classifier=trial.classifier)
    known = held_out.labels >= 0
    probabilities = correct_prior(told, training_set.class_frequencies)
    return _balanced_accuracy_and_auroc(held_out.labels[known], probabilities[known])


def _balanced_accuracy_and_auroc(labels: np.ndarray, probabilities: np.ndarray) -> tuple[float, float]:
    """Return the mean recall of the classes that are there, and the mean of their AUROCs against the rest."""
    there = np.unique(labels)
    recalls = [float((probabilities[labels == k].argmax(1) == k).mean()) for k in there]
    areas = []
    for k in there if len(there) > 1 else ():
        own, others = probabilities[labels == k, k][:, None], probabilities[labels != k, k][None, :]
        areas.append(float((own > others).mean() + (own == others).mean() / 2))
    return float(np.mean(recalls)) if recalls else 0.0, float(np.mean(areas)) if areas else 0.5


@dataclass(frozen=True)
class _Axis:
    """One tunable field: which recipe it is of, the fields that lead to it, its value there and those to try."""

    role: str
    path: tuple[str, ...]
    name: str
    default: Any
    values: tuple[Any, ...]


def _axes(recipe: Any, role: str, prefix: str, path: tuple[str, ...] = ()) -> Iterator[_Axis]:
    fields = {f.name for f in dataclasses.fields(recipe) if f.init}
    for field, values in getattr(recipe, "tunable", {}).items():
        if field not in fields:
            raise UsageError(f"{recipe.name}.tunable names {field!r}, which is none of its fields.")
        default = getattr(recipe, field)
        others = tuple(value for value in values if value != default)
        yield _Axis(role, (*path, field), f"{prefix}{field}", default, (default, *others))
    for field in sorted(fields):
        value = getattr(recipe, field)
        if isinstance(value, Augmenter if role == "augmenter" else Classifier):
            yield from _axes(value, role, f"{prefix}{field}.", (*path, field))


def _with(recipe: Any, path: tuple[str, ...], value: Any) -> Any:
    first, *rest = path
    inner = _with(getattr(recipe, first), tuple(rest), value) if rest else value
    return dataclasses.replace(recipe, **{first: inner})


def _is_valid(recipe: Any, asked: Any) -> bool:
    """Say whether a configuration is in its ranges and learns from the same stages, which are planned and shared."""
    if needs(recipe) != needs(asked):
        return False
    try:
        getattr(recipe, "check", lambda: None)()
    except UsageError:
        return False
    return True
