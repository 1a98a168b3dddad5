"""Public names change only with a line in the changelog.

``public_names.json`` has the signatures of the last release. A name that is new, gone or other than there must stand in
the changelog, under Unreleased, in code marks. ``python tests/test_public_names.py`` writes the file, at a release.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import typing
from pathlib import Path
from typing import Any

KEPT = Path(__file__).with_name("public_names.json")
CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"


def listing() -> dict[str, str]:
    """Return every public name with its signature, members of classes among them."""
    import medbench
    import medbench.testing

    found = {}
    for module in (medbench, medbench.testing):
        for name in module.__all__:
            thing = getattr(module, name)
            full = f"{module.__name__}.{name}"
            found[full] = _signature(thing)
            if inspect.isclass(thing):
                found |= {f"{full}.{member}": text for member, text in _members(thing).items()}
    return found


def _members(thing: type) -> dict[str, str]:
    members = {}
    for base in reversed(thing.__mro__[:-1]):
        if not base.__module__.startswith("medbench"):
            continue
        members |= {name: f"{annotation}" for name, annotation in inspect.get_annotations(base).items()}
        members |= {
            name: _signature(value.fget if isinstance(value, property) else value)
            for name, value in vars(base).items()
            if callable(value) or isinstance(value, property)
        }
    return {name: text for name, text in sorted(members.items()) if not name.startswith("_")}


def _signature(thing: Any) -> str:
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return str(thing) if typing.get_origin(thing) else type(thing).__name__
    if inspect.isclass(thing) and (issubclass(thing, BaseException) or getattr(thing, "_is_protocol", False)):
        return "class"
    return re.sub(r"<[^>]*>", "...", str(inspect.signature(thing)))


def test_every_changed_name_stands_in_the_changelog() -> None:
    before, now = json.loads(KEPT.read_text()), listing()
    unreleased = CHANGELOG.read_text().split("\n## ")[1]
    marked = " ".join(re.findall(r"`+([^`]+)`+", unreleased))

    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    unsaid = [name for name in changed if not re.search(rf"\b{_written(name)}\b", marked)]

    assert not unsaid, "say in CHANGELOG.md, under Unreleased, what became of these names"


def _written(name: str) -> str:
    """Return how the changelog may write a name: ``medbench.run``, or ``Budget.tries`` for a member."""
    short = name.removeprefix("medbench.")
    return rf"(?:medbench\.)?{re.escape(short)}" if "." in short else re.escape(name)


def test_every_public_name_is_documented_and_typed() -> None:
    import medbench
    import medbench.testing

    for module in (medbench, medbench.testing):
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                assert (thing.__doc__ or "").strip(), name
                assert not (thing.__doc__ or "").startswith(f"{name}("), f"{name} has only a generated docstring"
            if inspect.isfunction(thing):
                hints = inspect.signature(thing)
                assert hints.return_annotation is not inspect.Signature.empty, name
                assert all(p.annotation is not inspect.Parameter.empty for p in hints.parameters.values()), name


if __name__ == "__main__":
    sys.stdout.write(f"{KEPT.name}: {len(listing())} names\n")
    KEPT.write_text(json.dumps(listing(), indent=1, sort_keys=True) + "\n")
