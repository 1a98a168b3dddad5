"""How large the networks of built-ins are, counted on networks that take no memory."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from medbench.testing import toy_samples

SIDE = {2: 64, 3: 32}
"""Pixels along every axis, by the number of axes."""


@functools.cache
def classifier_size(recipe: Any) -> str:
    """Say how many weights a classifier's network has, and what an image costs it; "" where it has no blueprint."""
    if not hasattr(recipe, "blueprint"):
        return ""
    axes = 2 if "2d" in recipe.takes else 3
    side = SIDE[axes]
    plan = recipe.blueprint(toy_samples(4, size=side, dimensions=axes))
    with torch.device("meta"):
        network = plan.build().eval()
        image = torch.empty(1, 1, *[max(side, plan.min_size)] * axes)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    weights = sum(p.numel() for p in network.parameters())
    what = f"an image of {side} pixels" if axes == 2 else f"a volume of {side} voxels a side"
    return f"{_short(weights)} weights; {_short(counter.get_total_flops() / 2)} multiplications for {what}."


@functools.cache
def generator_size(recipe: Any) -> str:
    """Say how many weights both networks of a GAN of images have; "" for other generators."""
    game = recipe.game() if hasattr(recipe, "game") else None
    if game is None or not hasattr(game, "objective") or not hasattr(game, "split"):
        return ""
    shape = (1, SIDE[2], SIDE[2])
    with torch.device("meta"):
        made = [build(shape, 2) for build in (game.generator, game.discriminator)]
    counts = [_short(sum(p.numel() for p in network.parameters())) for network in made]
    return f"{counts[0]} weights in the generator and {counts[1]} beside it, for images of {SIDE[2]} pixels."


def _short(number: float) -> str:
    for unit, name in ((1e9, "billion"), (1e6, "million")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number / 1e3:.3g} thousand"
