"""Twice the steps: whether the gain of a board's best arm outlives a longer training.

The best arm is known only once the board is, so this is planned in a second step: the arm whose range has the largest
lower end, and its own control, with everything else as it was. Generators keep their budget and are not fitted again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from medbench.planning.arms import Checked
from medbench.planning.leak_staircase import arms_under
from medbench.planning.plan import Plan
from medbench.planning.study import Study
from medbench.planning.trial_matrix import expand
from medbench.protocols.protocol import protocol
from medbench.registry.catalogue import Catalogue


def with_double_steps(study: Study) -> Study:
    """Return a study at twice the steps, without yardsticks."""
    budget = study.budget.model_copy(update={"steps": 2 * study.budget.steps})
    return study.model_copy(update={"budget": budget, "yardsticks": False, "check_steps": False})


def count_double_steps(plan: Plan) -> int:
    """Count the training runs that ``--check-steps`` adds at last: of each board's best arm and of its control."""
    study, number = plan.study, 0
    for source in plan.sources if study.check_steps else ():
        for text in (text for text in study.protocols if protocol(text).is_honest):
            arms = arms_under(study, text, plan.arms[source.text])
            keys = {arm.key for arm in arms}
            boards = {arm.board or arm.classifier for arm in arms if arm.control and arm.control_key in keys}
            number += 2 * len(boards) * protocol(text).folds(study.folds) * study.repeats * study.seeds
    return number


def plan_double_steps(plan: Plan, checked: Sequence[Checked], catalogue: Catalogue) -> Plan:
    """Plan the trials of the chosen arms and their controls at twice the steps.

    Args:
        plan: Of the study.
        checked: Which arm of which board; at least one.
        catalogue: What is registered.
    """
    whole = expand(with_double_steps(plan.study), catalogue, plan.sources)
    repeated = set()
    for chosen in checked:
        for arm in whole.arms[chosen.dataset]:
            if arm.key == chosen.key:
                repeated |= {(chosen.dataset, chosen.protocol, *key) for key in (arm.key, arm.control_key)}
    trials = tuple(t for t in whole.trials if (t.dataset, t.protocol, t.augmenter, t.classifier) in repeated)
    stages_of = {t.id: whole.stages_of[t.id] for t in trials}
    needed = {key for keys in stages_of.values() for key in keys}
    stages = {key: stage for key, stage in whole.stages.items() if key in needed}
    return dataclasses.replace(whole, trials=trials, stages=stages, stages_of=stages_of)
