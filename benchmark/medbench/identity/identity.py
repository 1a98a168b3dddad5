"""What a number was made by: recipes, the code they can reach, and library versions, as a SHA-256.

Paths, times and the order of options never count; nor do comments, docstrings, places and names of code, and code that
cannot be reached (:mod:`medbench.identity.code_reach`).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from medbench.identity.code_reach import place_of, reach
from medbench.interfaces import outside_identity
from medbench.registry.describe_recipe import describe, full_name, with_inner

SCHEME = 2
"""Version of the way identities are built, and part of every one; raise it when ids must change."""

CORE = (
    ("medbench.running.job", "do_task"),
    ("medbench.trial.run_one_trial", "run_trial"),
    ("medbench.trial.fit_one_stage", "fit_stage"),
)
"""Where the core's part of a result starts; what can be reached from here shapes it."""


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value in its canonical form, as hex digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def canonical(value: Any) -> str:
    """Return a JSON value as text, always the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def derive_seed(*parts: Any) -> int:
    """Return a seed in [0, 2**63) that depends on all parts and on nothing else."""
    return int(digest(["medbench/1", *parts])[:16], 16) >> 1


@functools.cache
def core_code() -> str:
    """Return the SHA-256 of the core's code that shapes a result.

    Versions of libraries that only the core names do not count: numbers come from recipes, which name theirs.
    """
    return digest([SCHEME, reach(*CORE).digest])


_known: ContextVar[dict[Any, dict[str, Any]] | None] = ContextVar("identities that are known", default=None)


@contextlib.contextmanager
def identities_once() -> Iterator[None]:
    """Work the identity of a recipe out once in this block, where code and libraries stay as they are."""
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


@outside_identity  # SCHEME stands for it
def identity(recipe: Any) -> dict[str, Any]:
    """Describe a recipe, the code it and the recipes in its fields can reach, and the libraries that code names.

    Returns:
        JSON value with ``scheme``, ``recipe``, ``code`` (kind and name of a recipe to SHA-256) and ``libraries``
        (library to version).
    """
    known = _known.get()
    if known is None:
        return _identity(recipe)
    try:
        name = (recipe, repr(recipe))  # 1 and 1.0 are equal and written differently
        if name not in known:
            known[name] = _identity(recipe)
        return known[name]
    except TypeError:  # it cannot be hashed
        return _identity(recipe)


@outside_identity
def _identity(recipe: Any) -> dict[str, Any]:
    reached = {full_name(part): reach(place_of(part)) for part in with_inner(recipe)}
    libraries = {name: version for one in reached.values() for name, version in one.libraries.items()}
    return {
        "scheme": SCHEME,
        "recipe": describe(recipe),
        "code": {name: one.digest for name, one in sorted(reached.items())},
        "libraries": dict(sorted(libraries.items())),
    }


def code_key(thing: Any) -> str:
    """Return the SHA-256 of the code that a function, or the class of an object, can reach, and of its libraries."""
    reached = reach(place_of(thing))
    return digest([SCHEME, reached.digest, reached.libraries])
