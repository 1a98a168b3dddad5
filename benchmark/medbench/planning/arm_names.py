"""Arms by the short names that stand in tables and sentences."""

from __future__ import annotations

from medbench.planning.arms import Arm, Skipped
from medbench.registry.recipes import parse
from medbench.text import clean


def short(text: str) -> str:
    """Write ``hybrid[generator=reacgan]`` as ``hybrid (reacgan)``."""
    spec = parse(text)
    values = ", ".join(value for _, value in spec.parameters)
    return clean(f"{spec.name} ({values})" if values else spec.name)


def left_out(skipped: Skipped) -> str:
    """Name what was left out: an arm, or a protocol whole."""
    return clean(skipped.protocol) or f"{short(skipped.augmenter)} / {short(skipped.classifier)}"


def control_name(arm: Arm) -> str:
    """Write the arm that an arm is compared with; "" for a root."""
    return f"{short(arm.control)} / {short(arm.over)}" if arm.over else arm.control and short(arm.control)


def arm_name(arm: Arm) -> str:
    """Write the augmenter, and the classifier where that claims something itself and so is not the board's."""
    return f"{short(arm.augmenter)} / {short(arm.classifier)}" if arm.over else short(arm.augmenter)
