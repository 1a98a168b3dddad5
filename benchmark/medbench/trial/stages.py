"""Fitted stages on disk: arrays in safetensors beside their SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medbench import sealed_records
from medbench.errors import ContractError
from medbench.identity.identity import canonical, digest, identity
from medbench.interfaces import Budget, Generator, needs
from medbench.registry.describe_recipe import describe
from medbench.samples import Samples

ENCODER = "encoder"
"""How a plan names the stage that is a classifier's own encoder; it has no name in the catalogue."""
EVERYTHING = "everything"
"""What kept features are computed of: all rows of the data set, from which nothing is learnt."""


def recipe_digest(stage: Any) -> str:
    """Return the SHA-256 of a stage's recipe, by which a job finds it: many a stage has no name in the catalogue."""
    return digest(describe(stage))


def find_announced_stage(recipe: str, *users: Any) -> Any:
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
        if recipe_digest(stage) == recipe:
            return stage
        waiting += needs(stage)
    raise ContractError("a stage was planned that no recipe announces any more: the code changed meanwhile.")


def stage_key(stage: Any, *, made_of: str, ids: list[str], stage_seed: int, budget: Budget) -> str:
    """Return what a fitted stage is stored under, known before anything is fitted; arguments as :func:`stage_keys`."""
    return stage_keys(stage, made_of=made_of, ids=ids, budget=budget)(stage_seed)


def stage_keys(stage: Any, *, made_of: str, ids: list[str], budget: Budget) -> Callable[[int], str]:
    """Return a function from the seed of a study's stages to what the fitted stage is stored under.

    A plan asks it for thousands of seeds; all but the seed is put into the digest once.

    Args:
        stage: The recipe.
        made_of: Fingerprint of the data set.
        ids: Ids of the rows it is fitted on.
        budget: Only what a stage can see of it counts: its steps, threads and numerics.
    """
    seen: list[int | str] = [budget.generator_steps, budget.threads]
    if not _are_generators(stage):  # an encoder trains as its classifier does
        seen += [budget.steps, budget.batch]
    if budget.numerics != "exact":
        seen.append(budget.numerics)
    # The digest of the list [identity, made_of, ids, seed, seen].
    begin = hashlib.sha256(f"{canonical([identity(stage), made_of, sorted(ids)])[:-1]},".encode())
    end = f",{canonical(seen)}]"

    def of_seed(stage_seed: int) -> str:
        whole = begin.copy()
        whole.update(f"{canonical(stage_seed)}{end}".encode())
        return whole.hexdigest()

    return of_seed


def _are_generators(stage: Any) -> bool:
    """Say whether a stage and all it needs are generators, which follow their own recipes."""
    return isinstance(stage, Generator) and all(_are_generators(inner) for inner in needs(stage))


def save_state(folder: Path, state: Mapping[str, np.ndarray], record: dict[str, Any]) -> str:
    """Write a stage's arrays and its record with the sums of all files; return the SHA-256 of the arrays' file."""
    from safetensors.numpy import save

    content = save({name: np.ascontiguousarray(array) for name, array in state.items()})
    (folder / "state.safetensors").write_bytes(content)
    sums = sealed_records.sums_of_job(folder)
    sha = sums["state.safetensors"]
    (folder / "stage.json").write_text(sealed_records.seal({**record, "sha256": sha}, sums))
    return sha


def load_state(folder: Path, key: str = "") -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read a stage's arrays and record.

    Args:
        folder: Where it lies.
        key: What it must be stored under; "" for any.

    Raises:
        StoreError: If the bytes are not those that were stored.
    """
    from safetensors.numpy import load

    record = read_stage(folder)
    if key and record.get("key", key) != key:
        raise sealed_records.damage_error(folder, "it holds another stage")
    try:
        content = (folder / "state.safetensors").read_bytes()
    except OSError as error:
        raise sealed_records.damage_error(folder, f"state.safetensors cannot be read ({error.strerror})") from None
    if hashlib.sha256(content).hexdigest() != record.get("sha256"):
        raise sealed_records.damage_error(folder, "the bytes of state.safetensors changed since it was stored")
    return load(content), record


def read_stage(folder: Path) -> dict[str, Any]:
    """Read a stage's record alone.

    Raises:
        StoreError: If it is damaged.
    """
    try:
        return sealed_records.read(folder / "stage.json")[0]
    except sealed_records.Damaged as error:
        raise sealed_records.damage_error(folder, str(error)) from None
    except OSError as error:
        raise sealed_records.damage_error(folder, f"stage.json cannot be read ({error.strerror})") from None


def check_stage(folder: Path, *names: str) -> None:
    """Compare files of a stage with what was stored, all of them by default.

    Raises:
        StoreError: If one is missing or changed.
    """
    try:
        record, sums = sealed_records.read(folder / "stage.json")
        if not names:
            sealed_records.check(folder, {"state.safetensors": record.get("sha256", "")})
        sealed_records.check(folder, sums, *names)
    except sealed_records.Damaged as error:
        raise sealed_records.damage_error(folder, str(error)) from None
    except OSError as error:
        raise sealed_records.damage_error(folder, f"it cannot be read ({error.strerror})") from None


def features_made_of(made_of: str, encoder_key: str) -> str:
    """Return what features are made of, known before they are computed: the data set and the encoder."""
    return digest([made_of, encoder_key])


def ids_of(samples: Samples) -> list[str]:
    """Return the ids a stage is fitted on, as text."""
    return [str(i) for i in samples.ids]
