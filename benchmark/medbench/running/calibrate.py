"""Measure what the jobs of a study cost on this machine: each kind of job is run twice, with few steps and with more.

The difference gives the seconds a step, the rest what a job costs before and after them. The jobs are real ones, so
reading images, scoring generated ones and what a GPU takes to start are in it.
"""

from __future__ import annotations

import dataclasses
import datetime
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medbench.errors import RunFailed
from medbench.planning.calibration import JobCost
from medbench.planning.plan import Plan
from medbench.running.outcome import check_not_stopped
from medbench.running.request import Request
from medbench.running.resources import LoadedPlugins, Resources, Workers, choose_workers
from medbench.running.runner import run
from medbench.running.study_run import prepare
from medbench.running.watcher import Watcher
from medbench.store.store import Store
from medbench.trial.stages import read_stage
from medbench.trial.trial import Trial

FEW, MORE = 4, 44
"""Steps of the two measurements."""

Key = tuple[str, str, str, str]


def calibrate(request: Request, watcher: Watcher, resources: Resources | None = None) -> list[JobCost]:
    """Measure every method with every classifier of a study, and every generator, on one fold of its data.

    Args:
        request: The study; its steps do not matter, its images and its batch do.
        watcher: Told how it goes.
        resources: Where jobs run; this machine where None.

    Raises:
        RunFailed: If a job fails: its costs are not known then.
    """
    workers = choose_workers(resources or Resources(), request.catalogue, request.study.spending)
    with tempfile.TemporaryDirectory(prefix="medbench-calibrate-") as folder:
        few, more = (
            _measure(_with_steps(request, steps, Path(folder) / str(steps)), watcher, workers) for steps in (FEW, MORE)
        )
    budget, today = request.study.budget, datetime.datetime.now(datetime.UTC).date().isoformat()
    costs = []
    for (kind, recipe, data, dataset), cost in more.items():
        per_step = max(0.0, cost["seconds"] - few[kind, recipe, data, dataset]["seconds"]) / (MORE - FEW)
        fixed = max(0.0, cost["seconds"] - MORE * per_step)
        of_budget = (data, dataset, budget.batch, budget.threads, budget.numerics, workers.count)
        costs.append(
            JobCost(
                cost["device"], kind, recipe, *of_budget, fixed, per_step, cost.get("peak_mb", 0.0), today,
                size=budget.size or 0, peak_gpu_mb=cost.get("peak_gpu_mb", 0.0),
            )
        )  # fmt: skip
    return costs


def _with_steps(request: Request, steps: int, results: Path) -> Request:
    budget = request.study.budget.model_copy(update={"steps": steps, "generator_steps": steps})
    rest = {"yardsticks": False, "check_steps": False, "seed_block": False, "repeats": 1, "seeds": 1}
    study = request.study.model_copy(update={"budget": budget, **rest})
    return dataclasses.replace(request, study=study, results=results)


def _measure(request: Request, watcher: Watcher, workers: Workers) -> dict[Key, dict[str, Any]]:
    """Run one training run of each kind, and return what each job cost."""
    plan = prepare(request, watcher, workers=workers.count)
    first: dict[tuple[str, str, str], Trial] = {}
    for trial in plan.trials:
        first.setdefault((trial.dataset, trial.augmenter, trial.classifier), trial)
    plan = dataclasses.replace(plan, trials=tuple(first.values()))
    store = Store(request.results)
    plugins = LoadedPlugins(request.catalogue, request.plugin_folders, request.blocked)
    summary = run(plan, store, plugins, workers, watcher)
    check_not_stopped(summary)
    found = dict(_costs(plan, store))
    if summary.failed:
        raise RunFailed(f"{summary.sentence}; without it nothing can be measured, so mend that first.")
    return found


def _costs(plan: Plan, store: Store) -> Iterator[tuple[Key, dict[str, Any]]]:
    data = {source.text: source.data for source in plan.sources}
    for source in plan.sources:
        for row in store.rows(source.text):
            if row.status == "done":
                recipe = f"{row.trial.augmenter}/{row.trial.classifier}"
                yield ("trial", recipe, source.data, source.text), dict(row.cost)
    for key, stage in plan.stages.items():
        folder = store.stage_folder(key)
        of = stage.trial.dataset
        if folder is not None:
            yield ("stage", stage.stage, data[of], of), dict(read_stage(folder)["cost"])
