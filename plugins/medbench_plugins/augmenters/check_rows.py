"""What augmenters of pixels cannot change."""

from __future__ import annotations

import medbench


def check_pixels(name: str, train: medbench.Samples) -> None:
    """Refuse what is neither images nor volumes, such as features.

    Raises:
        medbench.UsageError: If rows of `train` have other than two or three spatial axes.
    """
    if train.x.ndim - 2 not in (2, 3):
        raise medbench.UsageError(f"{name}: works on images and volumes, got rows with {train.x.ndim - 2} axes.")
