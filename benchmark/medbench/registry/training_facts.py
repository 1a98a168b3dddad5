"""How the built-in networks are trained, for methods sections: their one loop, and the learning rate of each recipe.

The numbers are those of ``medbench_plugins.training``, which a test compares; of a plugin's own loop nothing is said.
"""

from __future__ import annotations

from typing import Any

WEIGHT_DECAY, WARM_UP = 0.05, 0.05
ONE_LOOP = frozenset(
    ["small-cnn", "vgg16", "inception-v3", "timm", "densenet121-3d", "resnet10-3d", "resnet18-3d", "monai",
     "pretrained-on"]
)  # fmt: skip
"""Classifiers that ``medbench_plugins.training.classifier_loop`` trains."""


def training_text(recipe: Any) -> str:
    """Say how a classifier is trained, in half a sentence: ``AdamW, peak learning rate 0.003, ...``.

    Args:
        recipe: The classifier; its ``lr`` is the peak learning rate, its ``trunk`` the part of it below the head.

    Returns:
        "" where nothing is known.
    """
    rate = getattr(recipe, "lr", None)
    said = [f"peak learning rate {rate:g}"] if isinstance(rate, int | float) else []
    if said and isinstance(trunk := getattr(recipe, "trunk", None), int | float):
        said.append(f"{trunk:g} times that below the head")
    if getattr(recipe, "name", "") in ONE_LOOP:
        said = [
            f"AdamW with a weight decay of {WEIGHT_DECAY:g}",
            *said,
            f"rising linearly over the first {100 * WARM_UP:g} % of the steps and then falling to 0 as half a cosine",
            "an exponential moving average of the weights at the end of training tested",
        ]
    return ", ".join(said)
