"""Methods by the names that stand in tables and sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from medbench.planning.arms import Arm, Skipped
from medbench.registry import display_names
from medbench.registry.display_names import classifier_name, method_name, step_name
from medbench.registry.recipes import parse
from medbench.text import clean


def short(text: str) -> str:
    """Write ``hybrid[generator=reacgan]`` as ``hybrid (reacgan)``, which commands take as well."""
    spec = parse(text)
    values = ", ".join(value for _, value in spec.parameters)
    return clean(f"{spec.name} ({values})" if values else spec.name)


def left_out(skipped: Skipped) -> str:
    """Name what was left out: a method with its classifier, or a protocol whole."""
    return clean(skipped.protocol) or f"{method_name(skipped.augmenter)} with {classifier_name(skipped.classifier)}"


def control_name(arm: Arm) -> str:
    """Name what a method is compared with; "" for a reference."""
    if arm.over:
        return f"{method_name(arm.control)} with {classifier_name(arm.over)}"
    return arm.control and display_names.control_name(arm.control)


def control_names(arms: Iterable[Arm]) -> dict[tuple[str, str], str]:
    """Name what methods are compared with, by key; in full where two of them would be called alike."""
    short = {arm.control_key: control_name(arm) for arm in arms if arm.control}
    twice = {name for name, n in Counter(short.values()).items() if n > 1}
    return {key: method_name(key[0]) if name in twice else name for key, name in short.items()}


def arm_name(arm: Arm) -> str:
    """Name a method, with its classifier where that claims something itself and so is not the board's."""
    name = method_name(arm.augmenter)
    return f"{name} with {classifier_name(arm.classifier)}" if arm.over else name


def branch_name(arm: Arm) -> str:
    """Name a method where it stands below what it is compared with: ``+ copied images``."""
    return arm_name(arm) if arm.over else step_name(arm.augmenter, arm.control)
