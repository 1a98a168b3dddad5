"""What may be registered: an item of its kind with all its members, whose fields are plain values."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medbench.registry.source_lines import source_line

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]*")
INGREDIENTS = frozenset({"samples", "transform", "sampling", "loss", "bags", "pretrain"})
"""What an augmenter may give, and a classifier take."""


def name_of(kind: str, item: Any) -> str:
    """Return the name that an item is registered under; empty where it has none."""
    if kind == "metric":
        return str(getattr(item, "__name__", "")).replace("_", "-")
    return str(getattr(item, "stem" if kind == "study" else "name", ""))


def find_fault(kind: str, role: type | None, item: Any) -> str:
    """Say in half a sentence, with place and cure, why an item cannot be registered; empty where it can."""
    what, name = type(item).__name__, name_of(kind, item)
    if kind == "metric" and not callable(item):
        return f"it registered a {what}, which is not a function (labels, probabilities) -> float"
    if kind == "study" and not (isinstance(item, Path) and item.is_file()):
        return f"it registered a {what} as a study, which is not the path of a file"
    if not name:
        return f"it registered a {what} without a name"
    if role is None:
        return ""
    if not PLAIN_NAME.fullmatch(name):
        return f"it registered {name!r}, which nobody can write on a command line; use letters, digits and hyphens"
    if missing := [member for member in required_members(role) if not hasattr(item, member)]:
        return f"it registered {name!r}, which is no {kind}: it has no {', '.join(missing)}"
    if not getattr(getattr(type(item), "__dataclass_params__", None), "frozen", False):
        return f"it registered {name!r}, which is not a frozen dataclass; add @dataclass(frozen=True)"
    return _fault_of_fields(name, item) or _fault_of_members(kind, name, item)


def _fault_of_fields(name: str, item: Any) -> str:
    fields = [field.name for field in dataclasses.fields(item) if field.init]
    for field in fields:
        value = getattr(item, field)
        if not is_plain_value(value):
            kind = type(value).__name__
            cure = "a tuple" if isinstance(value, list | dict) else f"{field}: ClassVar[{kind}] = ..."
            return (
                f"it registered {name!r}, whose field {field} holds a {kind} ({source_line(item, field)}); fields "
                "are the configuration: numbers, text, paths, tuples of these and recipes. Write "
                f"{cure}, or leave the annotation out"
            )
    try:
        typing.get_type_hints(type(item))
    except Exception as error:  # noqa: BLE001  an annotation is evaluated, and may raise anything
        return (
            f"it registered {name!r}, whose annotations cannot be resolved ({source_line(item)}): "
            f"{type(error).__name__}: {error}; import what they name, not under TYPE_CHECKING alone"
        )
    return ""


def _fault_of_members(kind: str, name: str, item: Any) -> str:
    for member in ("gives", "takes"):
        value: Any = getattr(item, member, frozenset())
        if not isinstance(value, frozenset | set) or not all(isinstance(word, str) for word in value):
            return f'it registered {name!r}, whose {member} is no set of words ({source_line(item, member)}); write \
{member} = frozenset({{"samples"}})'
        if member == "gives" and (unknown := set(value) - INGREDIENTS):
            return (
                f"it registered {name!r}, whose {member} names {sorted(unknown)[0]!r} ({source_line(item, member)}); "
                f"it is a subset of {', '.join(sorted(INGREDIENTS))}"
            )
    if kind == "augmenter" and item.space not in ("pixels", "features"):
        where = source_line(item, "space")
        return f"it registered {name!r}, whose space is {item.space!r} ({where}); it is pixels or features"
    control = getattr(item, "control", None)
    if kind in ("augmenter", "classifier") and not (
        control is None or isinstance(control, str) or all(hasattr(control, member) for member in ("name", "fit"))
    ):
        return (
            f"it registered {name!r}, whose control is a {type(control).__name__} ({source_line(item, 'control')}); it "
            f'is the name of one, as control = "balanced", a recipe, or None'
        )
    return ""


def is_plain_value(value: Any) -> bool:
    """Say whether a field's value can be written as text and counted into an identity."""
    if value is None or isinstance(value, bool | int | float | str | Path):
        return True
    if isinstance(value, tuple):
        return all(map(is_plain_value, value))
    if isinstance(value, Mapping) or not dataclasses.is_dataclass(value):
        return False
    return hasattr(value, "name") and all(
        is_plain_value(getattr(value, field.name)) for field in dataclasses.fields(value) if field.init
    )


def required_members(role: type) -> list[str]:
    """Return what a role asks of a recipe."""
    return sorted(getattr(role, "__protocol_attrs__", ()) or _declared_members(role))


def _declared_members(role: type) -> set[str]:
    names: set[str] = set()
    for base in role.__mro__:
        if base.__module__.startswith("medbench"):
            names |= {name for name in vars(base) if not name.startswith("_")}
    return names
