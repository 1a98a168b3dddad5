"""A plan whose steps fit ``--time-limit``, and what it costs where a command asks for it."""

from __future__ import annotations

import dataclasses

from medbench.planning.calibration import Calibration, read_calibration
from medbench.planning.fitted_steps import StepCost, describe_fitted, fit_steps, with_steps_of
from medbench.planning.plan import Plan
from medbench.planning.plan_records import fitted_before
from medbench.planning.study import Study
from medbench.planning.study_schema import KnownBy
from medbench.planning.time_forecast import Timing, forecast_time, images_of
from medbench.planning.trial_matrix import expand
from medbench.registry.recipes import parse
from medbench.running.request import Request
from medbench.running.resources import Workers
from medbench.running.time_left import BESIDE_STEPS, can_guess, guess_plan, guess_seconds_of, makers_of_images
from medbench.store.store import MARK, Store
from medbench.text import counted, listed
from medbench.trial.stages import ENCODER
from medbench.trial.trial import Trial

GUESSED_BESIDE = 2.0
"""Seconds of a job beside its steps, as a guess: to read images, to test, and to score what was generated."""


def fit_to_limit(plan: Plan, request: Request, workers: Workers, *, most: int | None = None) -> tuple[Plan, str]:
    """Return a plan whose steps fit the limit of a request, and a sentence on it; "" where it has no limit.

    A run that goes on keeps the steps that it began with, whatever is known of this machine by now.

    Args:
        plan: With the steps that are asked for.
        request: What is to be run.
        workers: Where jobs run.
        most: Refuse a study of more trials than this.

    Raises:
        UsageError: If nothing is known of what a job costs, or no sensible number of steps fits.
    """
    limit_s = request.time_limit_s
    if limit_s is None:
        return plan, ""
    store = Store(request.results, create=False) if (request.results / MARK).is_file() else None
    began = fitted_before(store, plan.study, limit_s) if store is not None else None
    if began is not None:
        study, how = with_steps_of(plan.study, began), " They are those that this run began with."
    else:
        costs = _Costs(plan, request, workers.device)
        study = fit_steps(plan, limit_s, workers.count, costs.of)
        how = costs.describe(study)
    fitted = dataclasses.replace(expand(study, request.catalogue, plan.sources, most=most), checked=plan.checked)
    if store is not None and began is None:
        how += _of_other_steps(fitted, store)
    return fitted, describe_fitted(study, unchanged=True) + how


def _of_other_steps(plan: Plan, store: Store) -> str:
    """Say how many training runs are stored that differ from planned ones in nothing but their steps."""

    def but_for_steps(trial: Trial) -> Trial:
        return dataclasses.replace(trial, budget=dataclasses.replace(trial.budget, steps=0, generator_steps=0), id="")

    planned, wanted = {t.id for t in plan.trials}, {but_for_steps(t) for t in plan.trials}
    rows = (row for source in plan.sources for row in store.rows(source.text) if row.status == "done")
    steps = [r.trial.budget.steps for r in rows if r.trial.id not in planned and but_for_steps(r.trial) in wanted]
    if not steps:
        return ""
    took = listed([f"{n:,}" for n in sorted(set(steps))])
    those = "is not used: it had" if len(steps) == 1 else "are not used: they had"
    return f" {counted(len(steps), 'stored training run')} of the same methods {those} {took} training steps."


def calibration_of(request: Request) -> Calibration:
    """Return what is known of this machine, and what came with studies."""
    return read_calibration(request.catalogue.items("study"))


def forecast(plan: Plan, store: Store | None, request: Request, workers: Workers) -> Timing:
    """Return what a plan takes where a request runs."""
    timed = forecast_time(plan, store, calibration_of(request), workers.device)
    guessed = (
        guess_plan(plan, workers.count, makers_of_images(plan, request.catalogue))
        if not timed.is_known and workers.device == "cpu"
        else 0.0
    )
    return dataclasses.replace(timed, at_a_time=workers.count, share=workers.part_of_device, guessed=guessed)


class _Costs:
    """What each kind of job costs: measured here, measured elsewhere, or guessed; each is looked up once."""

    def __init__(self, plan: Plan, request: Request, device: str) -> None:
        self._calibration, self._images = calibration_of(request), images_of(plan)
        self._catalogue, self._device = request.catalogue, device
        self._networks = {trial.classifier for trial in plan.trials}
        self._numerics = set[str]()

    def of(self, kind: str, name: str, trial: Trial) -> StepCost | None:
        """Return what a job costs; None where nobody knows."""
        own = self._own_steps(name) if kind == "stage" and name != ENCODER else None
        found = self._calibration.find(kind, name, self._images[trial.dataset], trial.budget, self._device)
        if found is not None:
            by: KnownBy = "another machine" if self._calibration.is_of_elsewhere(found) else "calibration"
            if other := self._calibration.numerics_of_other(found, trial.budget):
                self._numerics.add(other)
                by = "other numerics" if by == "calibration" else by
            return StepCost(found.fixed, found.per_step, by, own)
        if self._device != "cpu" or not all(map(can_guess, self._networks)):
            return None
        one = dataclasses.replace(trial, budget=dataclasses.replace(trial.budget, steps=1, generator_steps=1))
        of_step = guess_seconds_of(one, is_stage=kind == "stage") - BESIDE_STEPS
        return StepCost(GUESSED_BESIDE, of_step, "guess", own)

    def describe(self, study: Study) -> str:
        """Say on what fitted steps rest where that is no measurement of what is run."""
        if study.fitted is not None and study.fitted.by == "guess":
            return " What a step takes is guessed; `medbench calibrate` measures it."
        if self._numerics:
            measured = f"with numerics {listed(sorted(self._numerics))}"
            return (
                f" What a step takes was measured {measured}; `medbench calibrate` measures it with those of this run."
            )
        return ""

    def _own_steps(self, name: str) -> int | None:
        """Return the steps that a generator takes at most whatever it may spend."""
        known = self._catalogue.names("generator")
        steps = (
            getattr(self._catalogue.resolve("generator", name), "steps", None) if parse(name).name in known else None
        )
        return steps if isinstance(steps, int) else None
