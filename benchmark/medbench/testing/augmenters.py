"""The contract of augmenters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import ContractError
from medbench.interfaces import DrawnAhead, TrainingSet, Transform
from medbench.protocols.check_training_set import check_training_set
from medbench.registry.check_registration import INGREDIENTS
from medbench.samples import Samples
from medbench.testing.sandbox import WHOLE, Extent
from medbench.testing.unchanged import fit_twice

FAR = 10.0
"""Pixels are in [-1, 1]; a transform that standardises them stays below this, one that mistakes their unit does not."""


def check_augmenter(augmenter: Any, folder: Path, extent: Extent = WHOLE) -> None:
    """Check that an augmenter keeps its contract on toy samples, in 2-D and 3-D as it can.

    It leaves its input as it is, returns what its interface and its ``gives`` say, makes rows from training rows only,
    and gives the same under the same seed; its transform keeps shape and dtype.

    Raises:
        ContractError: With one sentence on what is wrong.
        LeakError: If it returns rows it cannot have made from its training samples.
    """
    name = augmenter.name
    if unknown := set(augmenter.gives) - INGREDIENTS:
        raise ContractError(f"{name}: gives names {sorted(unknown)[0]!r}; it is a subset of {sorted(INGREDIENTS)}.")
    for train, made, again in fit_twice(augmenter, folder, extent):
        check_training_set(made, train, augmenter=name, gives=frozenset(augmenter.gives))
        if not all(map(np.array_equal, _arrays_of(made), _arrays_of(again))):
            raise ContractError(f"{name}: two fits of one seed differ; draw only from context.seed().")
        if train.x.dtype.kind == "f" and np.abs(made.samples.x).max() > 100 * np.abs(train.x).max():
            raise ContractError(f"{name}: it generated features a hundred times as large as those it was given.")
        if made.transform is not None:
            _check_transform(name, made.transform, train)


def _arrays_of(training_set: TrainingSet) -> list[Any]:
    samples, bags = training_set.samples, training_set.bags
    joined_bags = None if bags is None else np.concatenate([np.r_[len(rows), rows] for rows in bags])
    return [samples.x, samples.labels, training_set.sampling, joined_bags]


def _check_transform(name: str, transform: Transform, train: Samples) -> None:
    import torch

    x = torch.from_numpy(train.x[:6]).float()
    x = x / 127.5 - 1 if train.x.dtype == np.uint8 else x
    y = torch.nn.functional.one_hot(torch.from_numpy(train.labels[:6]), len(train.classes)).float()
    outcomes = [transform(x.clone(), y.clone(), torch.Generator().manual_seed(3)) for _ in range(2)]
    new_x, new_y = outcomes[0]
    if new_x.shape != x.shape or new_x.dtype != x.dtype or new_y.shape != y.shape or new_y.dtype != y.dtype:
        raise ContractError(
            f"{name}: its transform gave x {new_x.dtype} {tuple(new_x.shape)} and y {new_y.dtype} "
            f"{tuple(new_y.shape)}, expected {x.dtype} {tuple(x.shape)} and {y.dtype} {tuple(y.shape)}."
        )
    if not new_x.isfinite().all() or not torch.allclose(new_y.sum(1), torch.ones(len(y)), atol=1e-4):
        raise ContractError(f"{name}: its transform gave values that are not finite, or classes that do not sum to 1.")
    if not all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True)):
        raise ContractError(f"{name}: two transforms with one generator differ; draw only from the one it is given.")
    if train.x.dtype == np.uint8 and float(new_x.abs().max()) > FAR:
        raise ContractError(
            f"{name}: its transform gave pixels up to {float(new_x.abs().max()):.3g}; what it is given lies in -1..1."
        )
    if isinstance(transform, DrawnAhead):
        _check_draws(name, transform, tuple(x.shape[2:]))


def _check_draws(name: str, transform: DrawnAhead, spatial: tuple[int, ...]) -> None:
    """Draw for twelve rows, and for six twice: a loop may draw for all of its steps at once."""
    import torch

    one, many = torch.Generator().manual_seed(4), torch.Generator().manual_seed(4)
    few, whole = [transform.draw(6, spatial, one) for _ in range(2)], transform.draw(12, spatial, many)
    if any(tensor.shape[:1] != (12,) for tensor in whole):
        raise ContractError(f"{name}: its transform's draw gave tensors whose first axis is not the rows asked for.")
    if not all(torch.equal(torch.cat(parts), tensor) for *parts, tensor in zip(*few, whole, strict=True)):
        raise ContractError(
            f"{name}: its transform draws other numbers for twelve rows than for six and six again; draw what is used "
            "for a row together, row by row."
        )
