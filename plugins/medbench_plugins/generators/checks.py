"""What recipes of generators check: that fields are in their ranges, and that the samples can be learnt from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import medbench

# Every field a GAN's or the diffusion's recipe may have, with its range. NaN lies in none.
LIMITS: dict[str, tuple[float, float]] = {
    "width": (1, 512),
    "latent": (1, 4096),
    "steps": (1, 10_000_000),
    "batch": (2, 65_536),
    "batch_3d": (2, 65_536),
    "critic_steps": (1, 100),
    "lr_g": (0, math.inf),
    "lr_d": (0, math.inf),
    "beta1": (0, 0.9999),
    "beta2": (0, 0.999999),
    "ema": (0, 1),
    "class_weight": (0, math.inf),
    "embedding": (1, 65_536),
    "rank": (1, 65_536),
    "made_class_weight": (0, math.inf),
    "blur": (0, 100),
    "pull": (0, 100),
    "margin": (0, 1),
    "temperature": (0.01, 100),
    "clip": (1e-6, 100),
    "pool": (1, 200),
    "penalty": (1e-6, 1e6),
    "hidden": (1, 65_536),
    "levels": (0, 8),
    "lr": (0, math.inf),
    "timesteps": (2, 10_000),
    "sampling_steps": (1, 10_000),
    "guidance": (0, 100),
    "drop": (0, 0.99),
}


def check_fields(recipe: Any) -> None:
    """Raise :class:`medbench.UsageError` where a field of a GAN's recipe is out of its range."""
    for field, (low, high) in LIMITS.items():
        value = getattr(recipe, field, low)
        if value is not None and not low <= value <= high:
            raise medbench.UsageError(f"{recipe.name}.{field}: got {value:g}; give a number from {low:g} to {high:g}.")
    for field, known in (("checkpoint", ("last", "kid")), ("variant", ("odena", "keras", "modified"))):
        if (choice := getattr(recipe, field, known[0])) not in known:
            listed = " or ".join((", ".join(known[:-1]), known[-1]))
            raise medbench.UsageError(f"{recipe.name}.{field}: {choice!r} is unknown; use {listed}.")


def check_pixels(recipe: Any, train: medbench.Samples) -> None:
    """Raise :class:`medbench.Skip` where the samples are no images or volumes."""
    if train.x.dtype != np.uint8 or train.x.ndim not in (4, 5):
        raise medbench.Skip(
            f"{recipe.name} works on images and volumes, not {train.x.dtype} rows with {train.x.ndim - 1} axes"
        )


def check_classes(recipe: Any, train: medbench.Samples) -> None:
    """Raise :class:`medbench.Skip` where a class has no sample."""
    empty = [name for name, count in zip(train.classes, train.class_counts, strict=True) if not count]
    if empty:
        raise medbench.Skip(f"{recipe.name} cannot learn a class without training samples: {', '.join(empty)}")


def check_images(recipe: Any, train: medbench.Samples) -> None:
    """Raise :class:`medbench.Skip` where the samples are no images of 12 pixels and more, or a class has none."""
    check_pixels(recipe, train)
    if min(train.x.shape[2:]) < 12:
        raise medbench.Skip(f"{recipe.name} needs 12 pixels along every axis, got {min(train.x.shape[2:])}")
    check_classes(recipe, train)
