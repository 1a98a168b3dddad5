"""Whether a recipe leaves itself, its input and the global random generators as they are."""

from __future__ import annotations

import importlib
import itertools
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import ContractError, Skip
from medbench.samples import Samples
from medbench.testing.sandbox import WHOLE, Extent, make_folder


def check_recipe_is_unchanged(recipe: Any, call: Callable[..., Any], extent: Extent = WHOLE) -> Any:
    """Run `call()`, and raise :class:`medbench.ContractError` if it changed `recipe` or a global random generator."""
    if extent.strict:
        _seed_from_the_system()  # else a fit that seeds what its caller had seeded alike would not be seen
    else:
        _seed_global_generators()
    before, drawn = _fields_and_objects(recipe), _global_generators() if extent.strict else {}
    result = call()
    if _fields_and_objects(recipe) != before:
        raise ContractError(f"{recipe.name}: fit changed the recipe; keep what is fitted in what fit returns.")
    after = _global_generators() if drawn else {}
    if touched := [library for library, state in drawn.items() if after[library] != state]:
        raise ContractError(
            f"{recipe.name}: fit used the global generator of {touched[0]}; make one of its own from context.seed()."
        )
    return result


def _fields_and_objects(recipe: Any) -> tuple[str, dict[str, int]]:
    return repr(recipe), {key: id(value) for key, value in getattr(recipe, "__dict__", {}).items()}


def _global_generators() -> dict[str, Any]:
    importlib.import_module("rich.style")  # it draws when it is imported, and scikit-learn and monai import it
    states: dict[str, Any] = {
        "random": random.getstate(),
        "numpy": str(np.random.get_state(legacy=False)["state"]),  # noqa: NPY002  looked at, not used
    }
    if torch := sys.modules.get("torch"):  # one that fit imports first is not compared
        states["torch"] = torch.random.get_rng_state().numpy().tobytes()
    return states


def _seed_from_the_system() -> None:
    random.seed()
    np.random.seed()  # noqa: NPY002  as above
    if torch := sys.modules.get("torch"):
        torch.seed()


def _seed_global_generators() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  as a job does before its trial
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


def copy_columns(samples: Samples) -> dict[str, np.ndarray]:
    """Copy the arrays of samples, for :func:`check_input_is_unchanged`."""
    return {column: getattr(samples, column).copy() for column in ("x", "labels", "ids", "patients", "groups")}


def fit_twice(recipe: Any, folder: Path, extent: Extent) -> Iterator[tuple[Samples, Any, Any]]:
    """Yield toy samples in 2-D, then in 3-D, each with what two fits of one seed gave; what is skipped is left out.

    The samples are compared with a copy after each fit, since what one changes the next may undo, and once more after
    the caller has worked with both. What is skipped is tried again with one row of the first class less, since a recipe
    may want a class that is rarer than others.

    Raises:
        ContractError: If the recipe changed itself or its input, or, in a strict check, skipped everything.
        Skip: If it skipped everything, in a check that is not strict.
    """
    done = set[int]()
    for dimensions, left_out in itertools.product(extent.dimensions, (0, 1)):
        if left_out and dimensions in done:
            continue
        train = extent.samples(dimensions)
        train = train.take(np.arange(left_out, len(train)))
        if getattr(recipe, "space", "pixels") == "features":  # one number a row of pixels, whatever the dimensions
            train = replace(train, x=train.x.reshape(len(train), 16, -1).mean(2).astype(np.float32))
        before, fits = copy_columns(train), []
        folders = [make_folder(folder, f"{dimensions}d-{n}{'-uneven' * left_out}") for n in ("one", "other")]
        try:
            for context in (extent.context(place, dimensions) for place in folders):
                fits.append(check_recipe_is_unchanged(recipe, lambda t=train, c=context: recipe.fit(t, c), extent))
                check_input_is_unchanged(recipe.name, train, before)
        except Skip:
            continue
        done.add(dimensions)
        yield train, *fits
        check_input_is_unchanged(recipe.name, train, before)
    if not done:
        raise extent.nothing_tried(recipe.name)


def check_input_is_unchanged(name: str, samples: Samples, before: dict[str, np.ndarray]) -> None:
    """Compare samples with the copy that was made of them before."""
    for column, was in before.items():
        if not np.array_equal(was, getattr(samples, column)):
            raise ContractError(f"{name}: it changed the {column} of the samples it was given; return new arrays.")
