"""Steps that fit a wall-clock limit: one factor for classifiers and generators, so equally in all methods.

A job costs so much beside its steps and so much a step; a run lasts as long as its longest chain of jobs, or as all of
them shared by the workers. The factor is the largest under which that stays within the part of the limit that is
counted on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from medbench.errors import UsageError
from medbench.planning.double_steps_trials import count_double_steps
from medbench.planning.plan import Plan
from medbench.planning.study import Study
from medbench.planning.study_schema import FittedTable, KnownBy
from medbench.planning.time_forecast import duration_text, job_name
from medbench.protocols.protocol import protocol
from medbench.registry.display_names import classifier_name, generator_name, method_name
from medbench.text import counted, listed
from medbench.trial.stages import ENCODER
from medbench.trial.trial import Trial

LEAST_STEPS = 100
"""Below so many steps of a classifier nothing is learnt that tells methods apart."""
LEAST_GENERATOR_STEPS = 200
COUNTED_ON: Mapping[KnownBy, float] = {
    "calibration": 0.9,
    "another machine": 0.6,
    "other numerics": 0.6,
    "guess": 0.5,
}
"""Part of the limit that training may take, by what is known of it: the rest is for reading images, and for errors."""
ROUNDED_TO = 10


@dataclass(frozen=True)
class StepCost:
    """What is known of one kind of job.

    Attributes:
        fixed: Seconds beside the steps.
        per_step: Seconds a step.
        by: Where that is from, a key of COUNTED_ON.
        own_steps: Steps beyond which a generator does not go whatever it may spend; None where nothing says so.
    """

    fixed: float
    per_step: float
    by: KnownBy
    own_steps: int | None = None


CostOf = Callable[[str, str, Trial], StepCost | None]
"""Kind ("trial" or "stage"), name of the job, and a training run, to what such a job costs."""


def fit_steps(plan: Plan, limit_s: float, workers: int, cost_of: CostOf) -> Study:
    """Return the study with the steps that fit a limit, and with what they were before.

    Args:
        plan: What would be run with the steps that are asked for.
        limit_s: Seconds that the run may take.
        workers: Jobs at a time.
        cost_of: What a job costs.

    Raises:
        UsageError: If nothing is known of some job, or the least steps that make sense do not fit.
    """
    work = _Work(plan, workers, cost_of)
    counted_on = limit_s * COUNTED_ON[work.by]
    study, budget = plan.study, plan.study.budget
    generators = bool(work.generator_steps)
    least = min(1.0, LEAST_STEPS / budget.steps)
    if generators:
        least = max(least, min(1.0, LEAST_GENERATOR_STEPS / work.generator_steps))
    factor = 1.0
    if work.seconds(1.0) > counted_on:
        if work.seconds(least) > counted_on:
            raise UsageError(_refusal(plan, work, least, limit_s, counted_on))
        low, high = least, 1.0
        while high - low > 1e-4:
            middle = (low + high) / 2
            low, high = (middle, high) if work.seconds(middle) <= counted_on else (low, middle)
        factor = low
    changes = {"steps": _round(factor * budget.steps, least * budget.steps)} if factor < 1 else {}
    if factor < 1 and generators:
        changes["generator_steps"] = _round(factor * work.generator_steps, least * work.generator_steps)
    before = FittedTable(limit_s=limit_s, steps=budget.steps, generator_steps=budget.generator_steps, by=work.by)
    return study.model_copy(update={"budget": budget.model_copy(update=changes), "fitted": before})


def describe_fitted(study: Study, *, unchanged: bool = False) -> str:
    """Say that and how steps were fitted; "" where they are those that were asked for.

    Args:
        study: As it is run.
        unchanged: Say too that there was a limit and nothing had to be changed.
    """
    before, budget = study.fitted, study.budget
    if before is None:
        return ""
    limit = limit_text(before.limit_s)
    if (before.steps, before.generator_steps) == (budget.steps, budget.generator_steps):
        return f"All {counted(budget.steps, 'step')} fit a limit of {limit}." if unchanged else ""
    generators = ""
    if before.generator_steps != budget.generator_steps:
        generators = f", generators at most {budget.generator_steps:,} in place of {before.generator_steps:,}"
    return (
        f"Steps were fitted to a limit of {limit}, equally in all methods: {counted(budget.steps, 'training step')} in "
        f"place of {before.steps:,}{generators}."
    )


def limit_text(seconds: float) -> str:
    """Write a limit as it was given: ``2 h``, ``1 h 30 min``, ``45 s``."""
    left, parts = round(seconds), []
    for unit, name in ((3600, "h"), (60, "min"), (1, "s")):
        if left >= unit:
            parts.append(f"{left // unit} {name}")
            left %= unit
    return " ".join(parts) or f"{seconds:g} s"


def _round(steps: float, least: float) -> int:
    """Round down, so that what fits still does, but not below the least."""
    return max(math.ceil(least - 1e-9), math.floor(steps / ROUNDED_TO + 1e-9) * ROUNDED_TO)


Kind = tuple[str, str, str]


class _Work:
    """What a plan costs at a factor of its steps: kinds of jobs with their numbers, and chains of them."""

    def __init__(self, plan: Plan, workers: int, cost_of: CostOf) -> None:
        self.workers = workers
        self.costs: dict[Kind, StepCost] = {}
        self._steps = plan.study.budget.steps * plan.study.spending.trainings
        self._number: Counter[Kind] = Counter()
        unknown: list[str] = []

        def kind_of(kind: str, name: str, trial: Trial) -> Kind:
            known = (kind, trial.dataset, name)
            if known not in self.costs:
                cost = cost_of(kind, name, trial)
                unknown.extend([_for_people(kind, name)] * (cost is None))
                self.costs[known] = cost or StepCost(0.0, 0.0, "guess")
            self._number[known] += 1
            return known

        stages = {key: kind_of("stage", stage.stage, stage.trial) for key, stage in plan.stages.items()}
        self.chains = {
            (kind_of("trial", job_name(trial), trial), *(stages[key] for key in plan.stages_of.get(trial.id, ())))
            for trial in plan.trials
        }
        if unknown:
            names = listed(list(dict.fromkeys(unknown))[:3])
            raise UsageError(
                f"--time-limit: nothing is known here of how long a step takes of {names}; "
                "measure it with `medbench calibrate` and the same study and options."
            )
        self.by = min((cost.by for cost in self.costs.values()), key=lambda by: COUNTED_ON[by])
        cap = plan.study.budget.generator_steps
        of_generators = [k for k in self.costs if _is_generator(k)]
        self.generator_steps = max((min(self.costs[k].own_steps or cap, cap) for k in of_generators), default=0)
        self._twice = count_double_steps(plan)

    def seconds(self, factor: float) -> float:
        """Return the seconds until all is done at so large a part of the steps."""
        return max(self.longest(factor), self.total(factor) / self.workers)

    def total(self, factor: float) -> float:
        """Return the seconds of all jobs, one after the other."""
        trials = [self._of(k, factor) for k in self.costs if k[0] == "trial"]
        at_last = self._twice * 2 * max(trials, default=0.0)
        return at_last + sum(n * self._of(k, factor) for k, n in self._number.items())

    def longest(self, factor: float) -> float:
        """Return the seconds of the longest chain of jobs that wait for each other."""
        return max((sum(self._of(k, factor) for k in chain) for chain in self.chains), default=0.0)

    def _of(self, kind: Kind, factor: float) -> float:
        cost = self.costs[kind]
        steps = factor * self._steps
        if _is_generator(kind):
            steps = factor * self.generator_steps
            steps = min(steps, cost.own_steps) if cost.own_steps else steps
        return cost.fixed + cost.per_step * steps


def _for_people(kind: str, name: str) -> str:
    if kind == "stage":
        return "features" if name == ENCODER else generator_name(name)
    augmenter, _, classifier = name.partition("/")
    return f"{method_name(augmenter)} with {classifier_name(classifier)}"


def _is_generator(kind: Kind) -> bool:
    return kind[0] == "stage" and kind[2] != ENCODER


def _refusal(plan: Plan, work: _Work, least: float, limit_s: float, counted_on: float) -> str:
    """Say that the least steps do not fit, and what would."""
    study, needs = plan.study, work.seconds(least)
    generators = f" (generators {round(least * work.generator_steps):,})" if work.generator_steps else ""
    steps = counted(math.ceil(least * study.budget.steps), "step")
    said = (
        f"--time-limit {limit_text(limit_s)}: even {steps}{generators} "
        f"take about {duration_text(needs)} with {counted(work.workers, 'training run')} at a time"
    )
    longer = f"--time-limit {math.ceil(needs * limit_s / counted_on / 60)}m"
    if work.longest(least) > counted_on:
        return f"{said}, the longest of them alone too long; give {longer}, a smaller size or a lighter classifier."
    part = counted_on * work.workers / work.total(least)
    methods = len({arm.augmenter for arms in plan.arms.values() for arm in arms if arm.asked})
    would = [*_fewer(study, part)]
    if methods > 1 and (kept := math.floor(methods * part)):
        would.append(f"about {kept} of the {methods} methods")
    if plan.yardsticks:
        would.append("less with --no-yardsticks")
    return f"{said}; what would fit: {', '.join([*would, longer])}."


def _fewer(study: Study, part: float) -> list[str]:
    """Return the options under which a part of the training runs is left."""
    folds = [protocol(text).folds(study.folds) for text in study.protocols]
    for repeats in range(study.repeats - 1, 0, -1):
        if repeats / study.repeats <= part:
            return [f"--repeats {repeats}"]
    for fewer in range(study.folds - 1, 1, -1):
        left = sum(min(fewer, n) for n in folds) / sum(folds) / study.repeats
        if left <= part:
            return [f"--folds {fewer} --repeats 1"]
    return []


def same_but_for_steps(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Say whether two studies, as records have them, differ in nothing but steps that were fitted."""

    def rest(study: Mapping[str, object]) -> dict[str, object]:
        budget = {**dict(study["budget"]), "steps": 0, "generator_steps": 0}  # type: ignore[call-overload]
        return {**study, "budget": budget, "fitted": None}

    return rest(one) == rest(other)


def with_steps_of(study: Study, record: Study) -> Study:
    """Return a study with the steps of its record."""
    spent = record.budget
    budget = study.budget.model_copy(update={"steps": spent.steps, "generator_steps": spent.generator_steps})
    return study.model_copy(update={"budget": budget, "fitted": record.fitted})
