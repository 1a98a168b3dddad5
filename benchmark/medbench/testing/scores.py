"""The contracts of metrics, of scores of generative models and of their extractors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import ContractError, Skip, UsageError
from medbench.testing.sandbox import SandboxContext
from medbench.testing.toys import toy_samples
from medbench.testing.unchanged import check_recipe_is_unchanged


def check_metric(metric: Any, folder: Path) -> None:
    """Check that a metric gives a finite number, the larger the better, for two classes and for three.

    Raises:
        ContractError: With one sentence on what is wrong.
    """
    name = metric.__name__
    for classes in (2, 3):
        labels = np.arange(30) % classes
        right = np.full((30, classes), 0.1 / (classes - 1))
        right[np.arange(30), labels] = 0.9
        wrong = np.roll(right, 1, axis=1)
        before = labels.copy(), right.copy()
        values = [metric(labels, p) for p in (right, right, wrong)]
        if not all(isinstance(value, float) and np.isfinite(value) for value in values):
            raise ContractError(f"{name}: it gave {values[0]!r} for {classes} classes, expected a finite float.")
        if not np.array_equal(before[0], labels) or not np.array_equal(before[1], right):
            raise ContractError(f"{name}: it changed the labels or probabilities it was given.")
        if values[0] != values[1]:
            raise ContractError(f"{name}: it gave {values[0]} and {values[1]} for the same predictions.")
        if values[0] <= values[2]:
            raise ContractError(
                f"{name}: {values[0]:.3g} where all is right and {values[2]:.3g} where all is wrong; higher is better."
            )


def check_score(score: Any, folder: Path) -> None:
    """Check that a score gives a finite number for plenty of rows, the same twice, and some number for a single row.

    Raises:
        ContractError: With one sentence on what is wrong.
    """
    name, rng = score.name, np.random.default_rng(0)
    if (of := getattr(score, "of", "features")) not in ("features", "probabilities", "pixels"):
        raise ContractError(f"{name}: it is of {of!r}; a score is of features, of probabilities or of pixels.")
    train, held_out, made = (rng.dirichlet(np.ones(6), 40) for _ in range(3))
    if of == "pixels":
        train, held_out, made = (toy_samples(40, seed=seed).x for seed in range(3))
    before = [rows.copy() for rows in (train, held_out, made)]
    labels, with_labels = tuple(np.arange(40) % 2 for _ in range(3)), getattr(score, "with_labels", None)

    def value_of() -> Any:
        if with_labels is not None:
            return with_labels(train, held_out, made, labels, 2)[0]
        return score.score(train, held_out, made)

    values = [check_recipe_is_unchanged(score, value_of) for _ in range(2)]
    if not all(isinstance(value, float) and np.isfinite(value) for value in values):
        raise ContractError(f"{name}: it gave {values[0]!r} for 40 rows of each kind, expected a finite float.")
    if values[0] != values[1]:
        raise ContractError(f"{name}: it gave {values[0]} and {values[1]} for the same rows.")
    if not all(np.array_equal(was, now) for was, now in zip(before, (train, held_out, made), strict=True)):
        raise ContractError(f"{name}: it changed the rows it was given.")
    if not isinstance(alone := score.score(train[:1], held_out[:1], made[:1]), float):
        raise ContractError(
            f"{name}: it gave {alone!r} for one row of each kind, expected a float, nan where undefined."
        )


def check_extractor(extractor: Any, folder: Path) -> None:
    """Check that an extractor gives finite features, an image's own whatever others are there, and the same twice.

    Raises:
        ContractError: With one sentence on what is wrong.
        Skip: If it needs a file that its defaults do not name.
    """
    name, tried = extractor.name, 0
    try:
        getattr(extractor, "check", lambda: None)()
    except UsageError as error:
        raise Skip(str(error)) from None
    for dimensions in (2, 3):
        samples = toy_samples(24, dimensions=dimensions)
        x, before = samples.x, samples.x.copy()
        fit = getattr(extractor, "fit", None)
        fitted = extractor if fit is None else fit(samples, SandboxContext(folder))
        for method in (fitted.features, getattr(fitted, "probabilities", None)):
            if method is None:
                continue
            try:
                rows = check_recipe_is_unchanged(extractor, lambda f=method, x=x: f(x))
            except Skip:
                continue
            tried += 1
            if rows.dtype != np.float64 or rows.ndim != 2 or len(rows) != len(x) or not np.isfinite(rows).all():
                raise ContractError(
                    f"{name}: it gave {rows.dtype} {rows.shape} for {len(x)} images, expected finite float64 (n, d)."
                )
            if method != fitted.features and not np.allclose(rows.sum(1), 1, atol=1e-6):
                raise ContractError(f"{name}: its probabilities do not sum to 1.")
            if not np.array_equal(rows, method(x)):
                raise ContractError(f"{name}: it gave different features for the same images.")
            if not np.allclose(rows[3:8], method(x[3:8]), rtol=1e-4, atol=1e-6):
                raise ContractError(f"{name}: the features of an image depend on the other images of the call.")
        if not np.array_equal(before, x):
            raise ContractError(f"{name}: it changed the images it was given.")
    if not tried:
        raise ContractError(f"{name}: skipped both 2-D and 3-D toy samples, so nothing could be checked.")
