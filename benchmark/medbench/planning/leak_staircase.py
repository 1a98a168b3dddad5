"""A staircase: a study's own protocol, taken apart leak by leak until the honest one is left.

Every step is a protocol of its own, cut and seeded alike, that lacks one leak more than the step before. The two arms
that the study compared run under all of them; their controls run under the last, where gains mean something.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from medbench.errors import UsageError
from medbench.planning.arms import Arm
from medbench.planning.study import Study
from medbench.protocols.protocol import protocol
from medbench.protocols.protocol_text import with_leaks

SUFFIX = "-inflation"

Made = TypeVar("Made", bound=Arm)


def staircase(study: Study, canonical: Callable[[str, str], str]) -> Study:
    """Return the study that takes the gain of another apart.

    Args:
        study: With an ``[inflation]`` table.
        canonical: ``(kind, text)`` to the text by which boards call a recipe.

    Raises:
        UsageError: If the study names no gain to take apart, or nothing honest to end with.
    """
    table = study.inflation
    if table is None:
        raise UsageError(f"{study.name}: names no gain to take apart; add an [inflation] table to its file.")
    honest = next((text for text in study.protocols if protocol(text).is_honest), None)
    if honest is None:
        raise UsageError(f'{study.name}: names no honest protocol to end with; add "patients" to its protocols.')
    steps = [with_leaks(honest, table.remove[n:]) for n in range(len(table.remove))]
    arm, against = canonical("augmenter", table.arm), canonical("augmenter", table.against)
    others = [canonical("augmenter", text) for text in table.best_of]
    return study.model_copy(
        update={
            "name": study.name.removesuffix(SUFFIX) + SUFFIX,
            "augmenters": list(dict.fromkeys([against, arm, *others])),
            "classifiers": [canonical("classifier", text) for text in study.classifiers[:1]],
            "protocols": [*steps, honest],
            "inflation": table.model_copy(update={"arm": arm, "against": against, "best_of": others}),
            "controls": True,
            "companions": False,
            "yardsticks": False,
            "staircase": True,
        }
    )


def compared_arms(study: Study, arms: Sequence[Arm]) -> tuple[Arm, Arm] | None:
    """Return the arm and what it is compared with, of one data set; None where one of them was left out."""
    table = study.inflation
    if table is None:
        return None
    mine = [arm for arm in arms if arm.augmenter == table.arm]
    # The classifier that claims something stands last: its controls are planned before it.
    arm = next((a for a in reversed(mine) if a.classifier in study.classifiers), mine[-1] if mine else None)
    if arm is None:
        return None
    classifier = (arm.over or arm.classifier) if table.against == table.arm else arm.classifier
    against = next((a for a in arms if a.key == (table.against, classifier) and a.key != arm.key), None)
    return (arm, against) if against is not None else None


def arms_under(study: Study, text: str, arms: Sequence[Made]) -> list[Made]:
    """Return the arms that run under a protocol of a study: all, but for those of a staircase.

    There the two that are compared run under every leaking step, what the study chose among under its own protocol, and
    the controls under the last.
    """
    pair = compared_arms(study, arms) if study.staircase else None
    if pair is None:
        return list(arms)
    others = chosen_among(study, arms)
    if protocol(text).is_honest:
        wanted = with_controls([arm for arm in arms if arm.asked and arm not in others], arms)
        left_out = {arm.key for arm in with_controls(others, arms)} - {arm.key for arm in wanted}
        return [arm for arm in arms if arm.key not in left_out]
    kept = {pair[0].key, pair[1].key} | {arm.key for arm in others if text == study.protocols[0]}
    return [arm for arm in arms if arm.key in kept]


def with_controls(chosen: Sequence[Made], arms: Sequence[Made]) -> list[Made]:
    """Return arms and all that they are compared with, the controls of controls too."""
    by_key, found, waiting = {arm.key: arm for arm in arms}, dict[tuple[str, str], Made](), list(chosen)
    while waiting:
        arm = waiting.pop()
        if arm.key not in found:
            found[arm.key] = arm
            waiting += [by_key[arm.control_key]] if arm.control_key in by_key else []
    return list(found.values())


def chosen_among(study: Study, arms: Sequence[Made]) -> list[Made]:
    """Return the arms of which the study reported the best on its scored images, without the one it reported."""
    pair = compared_arms(study, arms)
    if study.inflation is None or pair is None:
        return []
    texts = set(study.inflation.best_of) - {study.inflation.arm}
    return [arm for arm in arms if arm.augmenter in texts and arm.classifier == pair[0].classifier]
