"""Recipes as JSON values, from which identities and seeds are derived."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from medbench.errors import DataError
from medbench.interfaces import Generator, Score, Stage
from medbench.registry.recipes import kind_of, parameters_of
from medbench.registry.seed_names import FIRST, FORMER, PLACES


def with_inner(recipe: Any) -> Iterator[Any]:
    """Yield a recipe and every recipe in its fields, at any depth."""
    yield recipe
    for value in parameters_of(recipe).values():
        if hasattr(value, "name") and dataclasses.is_dataclass(value):
            yield from with_inner(value)


def full_name(recipe: Any) -> str:
    """Return what a recipe is called wherever its class lies: ``augmenter:hybrid``, ``stage:trained-encoder``."""
    return f"{_role_of(recipe)}:{recipe.name}"


def _role_of(recipe: Any) -> str:
    try:
        return kind_of(recipe)
    except TypeError:
        return "stage" if isinstance(recipe, Stage) else "score" if isinstance(recipe, Score) else "recipe"


def describe(recipe: Any) -> dict[str, Any]:
    """Write a recipe for identities: its kind and name, and the fields that differ from their defaults.

    A file counts by its SHA-256, not its path. A new field that stays at its default changes nothing.

    Raises:
        DataError: If a file that a field names cannot be read.
    """
    values = parameters_of(recipe)
    changed = [f.name for f in dataclasses.fields(recipe) if f.name in values and _differs(values[f.name], f)]
    told = {key: _describe(values[key], f"{recipe.name}.{key}", describe) for key in changed}
    return {"recipe": full_name(recipe), **told}


def _differs(value: Any, field: dataclasses.Field[Any]) -> bool:
    if field.default is not dataclasses.MISSING:
        default = field.default
    elif field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    else:
        return True
    return type(value) is not type(default) or bool(value != default)  # 1 and True and 1.0 are equal


def describe_for_seeds(recipe: Any) -> dict[str, Any]:
    """Write a recipe the way seeds have always been derived from it, wherever its class lies now.

    Source:
        :mod:`medbench.registry.seed_names`.
    """
    place = PLACES.get(full_name(recipe))
    if place is None:
        return describe(recipe)
    values = parameters_of(recipe)
    if isinstance(recipe, Generator):
        values |= {key: was for key, (now, was) in FORMER.items() if key in values and values[key] == now}
    fields = {f.name: f for f in dataclasses.fields(recipe)}
    first = FIRST[place][1]
    told = [key for key in values if key in first or _differs(values[key], fields[key])]
    described = {key: _describe(values[key], f"{recipe.name}.{key}", describe_for_seeds) for key in told}
    return {"recipe": place, "name": recipe.name, **described}


def _describe(value: Any, field: str, of_recipe: Callable[[Any], Any]) -> Any:
    if isinstance(value, Path):
        return {"sha256": sha256_of_file(value, field)}
    if dataclasses.is_dataclass(value) and hasattr(value, "name"):
        return of_recipe(value)
    if isinstance(value, tuple | list):
        return [_describe(v, field, of_recipe) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _describe(v, field, of_recipe) for k, v in sorted(value.items())}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{field} holds a {type(value).__name__}; fields of a recipe are plain values or recipes")


def sha256_of_file(path: Path, field: str = "file") -> str:
    """Return the SHA-256 of a file as hex digits."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{field}: cannot read {path} ({error.strerror}); give an existing file.") from None
