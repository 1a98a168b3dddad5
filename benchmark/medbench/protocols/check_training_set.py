"""Checks of what an augmenter returns: shapes and labels, origin of every row, sampling probabilities, bags."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from medbench.errors import ContractError, LeakError
from medbench.interfaces import TrainingSet
from medbench.samples import Samples
from medbench.text import counted


def check_training_set(
    training_set: TrainingSet, train: Samples, *, augmenter: str, gives: frozenset[str] | None = None
) -> None:
    """Check that an augmenter kept to its contract.

    Args:
        training_set: What the augmenter returned.
        train: The training part it was given.
        augmenter: What errors call it.
        gives: What it says it uses of a training set; None leaves that unchecked.

    Raises:
        LeakError: If a row is neither a training row, unchanged, nor made from training rows only.
        ContractError: If shapes, dtypes, labels or probabilities are not what the interface says.
    """
    if not isinstance(training_set, TrainingSet):
        raise ContractError(f"augmenter {augmenter!r} returned a {type(training_set).__name__}; return a TrainingSet.")
    _check_rows(training_set.samples, train, augmenter)
    if gives is not None and (undeclared := ingredients(training_set, train) - gives):
        raise ContractError(
            f"augmenter {augmenter!r} returned {sorted(undeclared)[0]}, which its gives does not name; add it there."
        )
    _check_sampling(training_set, augmenter)
    _check_bags(training_set, augmenter)
    _check_pretraining(training_set, augmenter)
    _check_origin(training_set.samples, train, augmenter)


def _check_rows(samples: Samples, train: Samples, augmenter: str) -> None:
    if len(samples) == 0:
        raise ContractError(f"augmenter {augmenter!r} returned no training samples.")
    if samples.x.shape[1:] != train.x.shape[1:] or samples.x.dtype != train.x.dtype:
        raise ContractError(
            f"augmenter {augmenter!r} returned {samples.x.dtype} {samples.x.shape[1:]}; "
            f"the training samples are {train.x.dtype} {train.x.shape[1:]}."
        )
    if samples.x.dtype.kind == "f" and not np.isfinite(samples.x).all():
        raise ContractError(f"augmenter {augmenter!r} returned values that are not finite.")
    if samples.classes != train.classes:
        raise ContractError(f"augmenter {augmenter!r} changed the classes.")
    if samples.labels.min() < -1 or samples.labels.max() >= len(train.classes):
        raise ContractError(
            f"augmenter {augmenter!r} returned labels {samples.labels.min()}..{samples.labels.max()}; "
            f"they lie in -1..{len(train.classes) - 1}."
        )
    if len(set(samples.ids.tolist())) != len(samples):
        raise ContractError(f"augmenter {augmenter!r} returned the same id twice; give every made row its own.")
    if (samples.labels[~samples.is_real] < 0).any():
        raise ContractError(
            f"augmenter {augmenter!r} made rows without a label, which no classifier learns from; give each its class."
        )


def _check_origin(samples: Samples, train: Samples, augmenter: str) -> None:
    """Check that real rows are training rows, unchanged, and that synthetic ones are made from training rows."""
    row_of = {name: row for row, name in enumerate(train.ids.tolist())}
    real_ids = [(row, str(samples.ids[row])) for row in np.flatnonzero(samples.is_real)]
    strangers = [name for _, name in real_ids if name not in row_of]
    if strangers:
        raise LeakError(
            f"augmenter {augmenter!r} returned {len(strangers)} rows that are not of its training part; "
            "a made row must name its sources."
        )
    for row, name in real_ids:
        original = row_of[name]
        if not np.array_equal(samples.x[row], train.x[original]) or samples.labels[row] != train.labels[original]:
            raise LeakError(
                f"augmenter {augmenter!r} changed a real row and still calls it real; a made row must name its sources."
            )
    allowed = set(row_of)
    for sources in {id(sources): sources for sources in samples.sources if sources}.values():  # often one shared tuple
        if not allowed.issuperset(sources):
            raise LeakError(f"augmenter {augmenter!r} returned rows made from images outside its training part.")


def ingredients(made: TrainingSet, train: Samples) -> set[str]:
    """Return which of samples, transform, sampling, loss and bags a training set uses."""
    has = {key for key in ("transform", "sampling", "loss", "bags") if getattr(made, key) is not None}
    has |= {"pretrain"} if made.pretrain else set()
    return has if np.array_equal(made.samples.ids, train.ids) else has | {"samples"}


def check_synthetic_rows(training: Samples, train: Samples, *held_out: Samples, augmenter: str) -> None:
    """Raise an error if a synthetic row is, value for value, a held-out row: no augmenter can know one.

    Exempt are rows that equal a training row, or one mirrored or rotated by quarter turns: such duplicates are in the
    data set itself, and ``medbench audit`` reports them. So are rows of a single value, which identify nobody.

    Args:
        training: What an augmenter returned.
        train: The training part it was given.
        held_out: Validation and test rows; synthetic ones, which only a leaky protocol has, are passed over.
        augmenter: What the error calls it.

    Raises:
        LeakError: If there is such a row.
    """
    made = np.flatnonzero(~training.is_real)
    if not len(made):
        return
    known = {key for part in held_out for key in _row_keys(part.x, np.flatnonzero(part.is_real))}
    hits = [row for row, key in zip(made, _row_keys(training.x, made), strict=True) if key in known]
    hits = [row for row in hits if (values := training.x[row]).min() != values.max()]
    if not hits:
        return
    own = set(_row_keys(train.x, np.flatnonzero(train.is_real)))
    if copied := sum(own.isdisjoint(map(_row_key, _orientations(training.x[row]))) for row in hits):
        raise LeakError(
            f"augmenter {augmenter!r} returned {counted(copied, 'row')} that equal images of validation or test, value "
            "for value, and none of its training part; it may learn from what it is handed and keeps nothing for "
            "another fold."
        )


def _row_keys(x: np.ndarray, rows: np.ndarray) -> Iterator[int]:
    return (_row_key(x[row]) for row in rows)


def _row_key(values: np.ndarray) -> int:
    return hash(values.tobytes())  # 64 bits with a key of this process: 1.5 GB/s, and nobody can aim at a collision


def _orientations(values: np.ndarray) -> Iterator[np.ndarray]:
    """Yield ``(channels, *spatial)`` in every mirroring and quarter turn; a vector as it is."""
    axes = range(1, values.ndim)
    for order in itertools.permutations(axes) if len(set(values.shape[1:])) == 1 else [tuple(axes)]:
        turned = values.transpose(0, *order)
        for mirrored in itertools.product((False, True), repeat=len(order)):
            yield np.flip(turned, tuple(axis for axis, flip in zip(axes, mirrored, strict=True) if flip))


def _check_sampling(training_set: TrainingSet, augmenter: str) -> None:
    sampling = training_set.sampling
    if sampling is None:
        return
    sampling = np.asarray(sampling)
    if sampling.shape != (len(training_set.samples),):
        raise ContractError(
            f"augmenter {augmenter!r} returned {sampling.shape} sampling probabilities for "
            f"{len(training_set.samples)} rows."
        )
    if not np.isfinite(sampling).all() or (sampling < 0).any() or not np.isclose(sampling.sum(), 1, atol=1e-6):
        raise ContractError(f"augmenter {augmenter!r} returned sampling probabilities that do not sum to 1.")


def _check_pretraining(training_set: TrainingSet, augmenter: str) -> None:
    share, labels, is_real = training_set.pretrain, training_set.samples.labels, training_set.samples.is_real
    if not 0 <= share < 1:
        raise ContractError(f"augmenter {augmenter!r} returned pretrain={share:g}; it is a share of the steps below 1.")
    if not share:
        return
    weights = np.ones(len(labels)) if training_set.sampling is None else np.asarray(training_set.sampling)
    for rows in training_set.bags or (np.arange(len(labels)),):
        if not ((labels[rows] >= 0) & ~is_real[rows]).any():
            raise ContractError(f"augmenter {augmenter!r} returned pretrain={share:g} without synthetic rows.")
        if not weights[rows][(labels[rows] >= 0) & is_real[rows]].sum() > 0:
            raise ContractError(f"augmenter {augmenter!r} returned pretrain={share:g} and no real row to draw then.")


def _check_bags(training_set: TrainingSet, augmenter: str) -> None:
    bags, labels = training_set.bags, training_set.samples.labels
    if bags is None:
        return
    if not isinstance(bags, tuple) or not bags:
        raise ContractError(f"augmenter {augmenter!r} returned no tuple of bags; give one array of row numbers a bag.")
    present = set(labels[labels >= 0].tolist())
    for number, rows in enumerate(bags):
        if not isinstance(rows, np.ndarray) or rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise ContractError(f"augmenter {augmenter!r}: bag {number} is no array of row numbers, int64 (m,).")
        if len(rows) and (rows.min() < 0 or rows.max() >= len(labels)):
            raise ContractError(
                f"augmenter {augmenter!r}: bag {number} holds rows {rows.min()}..{rows.max()}; "
                f"they lie in 0..{len(labels) - 1}."
            )
        drawn = rows if training_set.sampling is None else rows[np.asarray(training_set.sampling)[rows] > 0]
        if missing := present - set(labels[drawn].tolist()):
            name = training_set.samples.classes[min(missing)]
            raise ContractError(
                f"augmenter {augmenter!r}: bag {number} has no row of class {name!r} to draw; give it one."
            )
