"""Chains of random changes and their mixtures, each row by chains of its own. Needs torch."""

from __future__ import annotations

from collections.abc import Callable

import torch

from medbench_plugins.transforms import intensity
from medbench_plugins.transforms.operations import apply_operation
from medbench_plugins.transforms.ranges import OperationRanges

DEEPEST = 3  # a chain has 1 to 3 changes
CHANGES = ("autocontrast", "equalize", "posterize", "rotate", "solarize", "shear", "shear", "translate", "translate")
"""Of AugMix: without brightness, contrast, colour and sharpness, which its tests of corruption have."""
_RANGES = OperationRanges(
    rotate=30, shear=0.3, translate=1 / 3, enhance=0, gamma=1, bits=0, solarize=1, noise=0
)  # at level 10

Change = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""Changes each row of ``float32 (B, C, *spatial)`` in [-1, 1]; draws from the generator."""


def run_by_choice(
    x: torch.Tensor, choice: torch.Tensor, changes: tuple[Callable[[torch.Tensor, torch.Tensor], torch.Tensor], ...]
) -> torch.Tensor:
    """Put each row through the change of its number; a change is handed its rows and their places in the batch.

    Args:
        x: ``float32 (B, C, *spatial)``.
        choice: ``int64 (B,)``, positions in `changes`.
        changes: One for each number.
    """
    changed = x.clone()
    order = choice.argsort(stable=True)
    counts = torch.bincount(choice, minlength=len(changes)).tolist()
    for change, rows in zip(changes, order.split(counts), strict=True):
        if len(rows):
            changed[rows] = change(x[rows], rows)
    return changed


def augmix_change(x: torch.Tensor, generator: torch.Generator, *, severity: float) -> torch.Tensor:
    """Put each row through one of ``CHANGES``, each equally likely, of a level between 0.1 and `severity`."""
    drawn = torch.rand(len(x), 4, generator=generator, device=x.device)
    strength = (0.1 + (severity - 0.1) * drawn[:, 3]) / 10
    sign = torch.where(drawn[:, 1] < 0.5, -1.0, 1.0)

    def change(operation: str) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        def apply(own: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            if operation == "posterize":  # to 4 bits, and to fewer from level 2.5 on
                return intensity.posterize(own, 4 - (4 * strength[rows]).floor())
            whole = operation in ("autocontrast", "equalize")
            amount = torch.ones_like(strength[rows]) if whole else strength[rows]
            return apply_operation(
                operation, own, amount, sign=sign[rows], place=drawn[rows, 2], generator=generator, ranges=_RANGES
            )

        return apply

    choice = (drawn[:, 0] * len(CHANGES)).long().clamp(max=len(CHANGES) - 1)
    return run_by_choice(x, choice, tuple(change(name) for name in CHANGES))


def chain(x: torch.Tensor, depth: torch.Tensor, generator: torch.Generator, change: Change) -> torch.Tensor:
    """Put each row through `change` again and again, ``depth int64 (B,)`` times, 1 to 3."""
    x = x.clone()
    for step in range(DEEPEST):
        rows = (depth > step).nonzero()[:, 0]
        if len(rows):
            x[rows] = change(x[rows], generator)
    return x


def draw_depth(uniform: torch.Tensor) -> torch.Tensor:
    """Turn ``float32`` uniform numbers in [0, 1) into depths 1 to 3, each equally likely, ``int64``."""
    return 1 + (uniform * DEEPEST).long().clamp(max=DEEPEST - 1)


def draw_weights(uniform: torch.Tensor) -> torch.Tensor:
    """Turn ``float32 (B, w)`` uniform numbers in [0, 1) into weights of Dirichlet(1, ..., 1), each row summing to 1."""
    waits = -torch.log1p(-uniform.double())  # independent, exponential: their shares are Dirichlet
    return (waits / waits.sum(1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)).to(uniform.dtype)


def mix_chains(x: torch.Tensor, generator: torch.Generator, change: Change, *, width: int) -> torch.Tensor:
    """Mix each row with `width` chains of its own.

    Args:
        x: ``float32 (B, C, *spatial)`` in [-1, 1].
        generator: On the device of `x`.
        change: One link of a chain.
        width: How many chains.

    Returns:
        ``(1 - m) x + m * sum of w_k chain_k(x)`` with m uniform and w of Dirichlet(1, ..., 1), drawn a row.

    Source:
        Hendrycks et al., ICLR 2020, arXiv 1912.02781, algorithm 1 with alpha 1.
    """
    drawn = torch.rand(len(x), 2 * width + 1, generator=generator, device=x.device)
    weights, depths = draw_weights(drawn[:, :width]), draw_depth(drawn[:, width:-1])
    mixed = torch.zeros_like(x)
    for k in range(width):
        mixed += _over_pixels(weights[:, k], x) * chain(x, depths[:, k], generator, change)
    return torch.lerp(x, mixed, _over_pixels(drawn[:, -1], x)).clamp(-1, 1)


def _over_pixels(rows: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return rows.view(-1, *[1] * (x.ndim - 1))
