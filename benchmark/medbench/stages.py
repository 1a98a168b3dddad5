"""Fitted stages on disk: arrays in safetensors beside their SHA-256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import ContractError, StoreError
from medbench.identity import digest, identity
from medbench.interfaces import Budget, Generator, needs
from medbench.recipes import describe
from medbench.samples import Samples

ENCODER = "encoder"
"""How a plan names the stage that is a classifier's own encoder; it has no name in the catalogue."""


def recipe_of(stage: Any) -> str:
    """Return the SHA-256 of a stage's recipe, by which a job finds it: many a stage has no name in the catalogue."""
    return digest(describe(stage))


def announced(recipe: str, *users: Any) -> Any:
    """Find a stage among those that recipes announce in their ``needs``, at any depth.

    Args:
        recipe: As :func:`recipe_of` gives it.
        users: Recipes; None is passed over.

    Raises:
        ContractError: If none of them announces it.
    """
    waiting = [stage for user in users if user is not None for stage in needs(user)]
    while waiting:
        stage = waiting.pop()
        if recipe_of(stage) == recipe:
            return stage
        waiting += needs(stage)
    raise ContractError("a stage was planned that no recipe announces any more: the code changed meanwhile.")


def stage_key(stage: Any, *, made_of: str, ids: list[str], stage_seed: int, budget: Budget) -> str:
    """Return what a fitted stage is stored under, known before anything is fitted.

    Args:
        stage: The recipe.
        made_of: Fingerprint of the data set.
        ids: Ids of the rows it is fitted on.
        stage_seed: Seed of the study's stages.
        budget: Only what a stage can see of it counts: its steps and threads.
    """
    seen = [budget.generator_steps, budget.threads]
    if not _are_generators(stage):  # an encoder trains as its classifier does
        seen += [budget.steps, budget.batch]
    return digest([identity(stage), made_of, sorted(ids), stage_seed, seen])


def _are_generators(stage: Any) -> bool:
    """Say whether a stage and all it needs are generators, which follow their own recipes."""
    return isinstance(stage, Generator) and all(_are_generators(inner) for inner in needs(stage))


def save_state(folder: Path, state: Mapping[str, np.ndarray], record: dict[str, Any]) -> str:
    """Write a stage's arrays and record; return the SHA-256 of the arrays' file."""
    from safetensors.numpy import save

    content = save({name: np.ascontiguousarray(array) for name, array in state.items()})
    sha = hashlib.sha256(content).hexdigest()
    (folder / "state.safetensors").write_bytes(content)
    (folder / "stage.json").write_text(json.dumps({**record, "sha256": sha}, indent=1, sort_keys=True))
    return sha


def load_state(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read a stage's arrays and record.

    Raises:
        StoreError: If the bytes are not those that were stored.
    """
    from safetensors.numpy import load

    try:
        record = json.loads((folder / "stage.json").read_text())
        content = (folder / "state.safetensors").read_bytes()
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{folder}: a fitted stage cannot be read ({type(error).__name__}); delete the folder."
        ) from None
    if hashlib.sha256(content).hexdigest() != record.get("sha256"):
        raise StoreError(f"{folder / 'state.safetensors'}: its bytes changed since it was stored; delete the folder.")
    return load(content), record


def features_made_of(made_of: str, encoder_key: str) -> str:
    """Return what features are made of, known before they are computed: the data set and the encoder."""
    return digest([made_of, encoder_key])


def ids_of(samples: Samples) -> list[str]:
    """Return the ids a stage is fitted on, as text."""
    return [str(i) for i in samples.ids]
