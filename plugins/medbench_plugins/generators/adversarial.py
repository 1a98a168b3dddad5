"""What the training of any two networks against each other needs. Imported late, since it needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn


def adam(recipe: Any) -> partial[torch.optim.Adam]:
    """Return Adam with the decays `beta1` and `beta2` of a recipe, to build for ``(parameters, lr=...)``."""
    betas = float(recipe.beta1), float(recipe.beta2)  # it refuses integer 0
    return partial(torch.optim.Adam, betas=betas, fused=True)


@contextmanager
def frozen(discriminator: nn.Module) -> Iterator[None]:
    """Spare the discriminator's gradients, which a step of the generator throws away."""
    discriminator.requires_grad_(False)
    yield
    discriminator.requires_grad_(True)
