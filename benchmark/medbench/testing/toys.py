"""Toy samples: noise images with a bright block, which every classifier learns in a few steps."""

from __future__ import annotations

import hashlib

import numpy as np

from medbench.samples import Samples


def toy_samples(
    n: int = 60,
    *,
    classes: int = 2,
    channels: int = 1,
    size: int = 16,
    dimensions: int = 2,
    seed: int = 0,
    images_per_patient: int = 2,
) -> Samples:
    """Draw noise images in which class k has a bright block at a place of its own: learnable in a few steps.

    Returns:
        ``uint8 (n, channels, *[size] * dimensions)``; classes take turns from patient to patient.
    """
    rng = np.random.default_rng(seed)
    patients = np.arange(n) // images_per_patient
    labels = (patients % classes).astype(np.int64)
    x = rng.normal(90, 25, (n, channels, *[size] * dimensions))
    width = max(2, size // 4)
    for row, label in enumerate(labels):
        start = (label * width) % (size - width + 1)
        block = tuple([slice(start, start + width)] * dimensions)
        x[row, :][(slice(None), *block)] += 90
    names = np.array([f"p{p}" for p in patients], dtype=np.str_)
    return Samples(
        x=x.clip(0, 255).astype(np.uint8),
        labels=labels,
        ids=np.array([f"toy/{i}" for i in range(n)], dtype=np.str_),
        patients=names,
        groups=names,
        sources=((),) * n,
        classes=tuple(f"class {k}" for k in range(classes)),
        made_of=hashlib.sha256(x.tobytes()).hexdigest(),
    )
