"""Recipes as text: ``hybrid[generator=acgan[steps=500],fill=balance]`` and back."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from medbench.errors import UsageError
from medbench.interfaces import Augmenter, Classifier, Dataset, Extractor, Generator, Stage

NAME = re.compile(r"[A-Za-z0-9*?][A-Za-z0-9_.:*?/-]*")
KINDS: dict[Any, str] = {
    Augmenter: "augmenter",
    Classifier: "classifier",
    Dataset: "dataset",
    Extractor: "extractor",
    Generator: "generator",
    Stage: "generator",
}

Lookup = Callable[[str, str], Any]
"""``(kind, spec) -> recipe``: how a field that is itself a recipe is resolved."""


@dataclasses.dataclass(frozen=True)
class Spec:
    """A name and the parameters written behind it, still text."""

    name: str
    parameters: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        if not self.parameters:
            return self.name
        return f"{self.name}[{','.join(f'{key}={value}' for key, value in self.parameters)}]"


def parse(text: str) -> Spec:
    """Read ``name`` or ``name[key=value,...]``; values may hold brackets of their own.

    Raises:
        UsageError: Where the text has another form.
    """
    name, bracket, rest = text.strip().partition("[")
    if not NAME.fullmatch(name):
        raise UsageError(f"{text!r} is not a name; write name or name[parameter=value,...].")
    if not bracket:
        return Spec(name)
    if not rest.endswith("]"):
        raise UsageError(f"{text!r} has no closing bracket; write name[parameter=value,...].")
    parameters: dict[str, str] = {}
    for part in filter(None, _split(rest[:-1], text)):
        key, equals, value = part.partition("=")
        key = key.strip()
        if not equals or not key.isidentifier():
            raise UsageError(f"{part!r} in {text!r} is not parameter=value.")
        if key in parameters:
            raise UsageError(f"{text!r} gives {key!r} twice; leave one out.")
        parameters[key] = value.strip()
    return Spec(name, tuple(parameters.items()))


def split_list(text: str) -> list[str]:
    """Split ``a,b[c=1,d=2]`` at the commas outside brackets."""
    return [part.strip() for part in _split(text, text) if part.strip()]


def _split(text: str, whole: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if depth < 0:
            break
        if character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    if depth:
        raise UsageError(f"the brackets of {whole!r} do not match.")
    return [*parts, text[start:]]


def parameters_of(recipe: Any) -> dict[str, Any]:
    """Return the fields of a recipe that configure it: all but ``name``."""
    return {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe) if f.name != "name" and f.init}


def configure(recipe: Any, parameters: Iterable[tuple[str, str]], lookup: Lookup) -> Any:
    """Return `recipe` with the given parameters, converted to the types of its fields.

    Raises:
        UsageError: For a parameter the recipe does not have, or a value of another type.
    """
    known = parameters_of(recipe)
    hints = typing.get_type_hints(type(recipe))
    values = {}
    for key, text in parameters:
        if key not in known:
            has = ", ".join(sorted(known)) or "none"
            raise UsageError(f"{recipe.name} has no parameter {key!r}{did_you_mean(key, known)}; it has: {has}.")
        try:
            values[key] = _convert(text, hints[key], lookup)
        except ValueError as error:
            raise UsageError(
                f"{recipe.name}[{key}={text}]: {error}; the default is {write_value(known[key])}."
            ) from None
    try:
        return dataclasses.replace(recipe, **values)
    except ValueError as error:
        raise UsageError(f"{recipe.name}: {error}.") from None


def _convert(text: str, hint: Any, lookup: Lookup) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in KINDS:
        return lookup(KINDS[hint], text)
    if origin in (typing.Union, types.UnionType):
        if type(None) in arguments and text.lower() in ("", "none"):
            return None
        for choice in (a for a in arguments if a is not type(None)):
            try:
                return _convert(text, choice, lookup)
            except ValueError as error:
                problem = error
        raise problem
    if origin is Literal:
        for choice in arguments:
            if text == str(choice):
                return choice
        raise ValueError(f"expected one of {', '.join(map(str, arguments))}{did_you_mean(text, map(str, arguments))}")
    if origin is tuple:
        return tuple(_convert(part, arguments[0], lookup) for part in text.split("+") if part)
    if hint is bool:
        if text.lower() not in ("true", "false", "yes", "no", "on", "off"):
            raise ValueError("expected true or false")
        return text.lower() in ("true", "yes", "on")
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            raise ValueError(f"expected {'a whole number' if hint is int else 'a number'}") from None
    if hint is Path:
        return Path(text).expanduser()
    if hint is str:
        return text
    raise ValueError(f"a {hint} cannot be given as text")


def write_value(value: Any) -> str:
    """Write a field's value the way it is written on the command line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "+".join(map(write_value, value))
    if isinstance(value, Path):
        return str(value)
    return str(getattr(value, "name", value))


def spec_of(recipe: Any, registered: Lookup) -> str:
    """Write a recipe as the shortest text that means it: parameters that differ from the registered one.

    Args:
        recipe: A dataclass with a name.
        registered: ``(kind, name) -> recipe`` under which the name is registered.
    """
    default = parameters_of(registered(kind_of(recipe), recipe.name))
    parts = []
    for key, value in parameters_of(recipe).items():
        if value != default[key]:
            nested = dataclasses.is_dataclass(value) and hasattr(value, "name")
            parts.append((key, spec_of(value, registered) if nested else write_value(value)))
    return str(Spec(recipe.name, tuple(parts)))


def kind_of(recipe: Any) -> str:
    """Say which of the registered kinds a recipe is."""
    for role in (Generator, Dataset, Augmenter, Classifier, Extractor):
        if isinstance(recipe, role):
            return KINDS[role]
    raise TypeError(f"{recipe!r} is no augmenter, generator, classifier, extractor or data set")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)``, or nothing where no known name is near."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def listing(names: Sequence[str], most: int = 12) -> str:
    """Write names in a sentence, the first ones where there are many."""
    if not names:
        return "none"
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
