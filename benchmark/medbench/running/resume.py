"""What a store holds already, and what is left to run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from medbench.errors import LeakError, StoreError
from medbench.planning.plan import Plan
from medbench.planning.stage_plan import StageJob
from medbench.registry.display_names import classifier_name, dataset_name, generator_name, method_name
from medbench.running.job import Task
from medbench.running.outcome import Summary
from medbench.running.resources import LoadedPlugins
from medbench.store.store import Store
from medbench.store.trial_files import Stored
from medbench.trial.stages import ENCODER, check_stage
from medbench.trial.trial import Trial

FEATURES = "features"


@dataclass
class Job:
    """A trial to run or a stage to fit.

    Attributes:
        key: Id of the trial, or key of the stage.
        label: For people.
        kind: "trial", "stage", or FEATURES for a stage that trains nothing.
        task: What a worker does.
        share: Part of a device that it takes.
        needs: Keys of stages that must be stored first.
        trial: None for a stage.
        folder: Where a worker leaves its files; None while it waits.
        lost: How often its process died.
        widened: It was run again with twice the share.
        mended: It was run again after a damaged stage was moved aside.
    """

    key: str
    label: str
    kind: str
    task: Task
    share: float
    needs: tuple[str, ...] = ()
    trial: Trial | None = None
    folder: Path | None = None
    lost: int = 0
    widened: bool = False
    mended: bool = False

    @property
    def recipes(self) -> tuple[str, str]:
        """What it trains: a classifier, and an augmenter or a stage."""
        trial = self.task.trial
        return trial["classifier"], self.task.stage or trial["augmenter"]


@dataclass
class Left:
    """What is left to run of a plan.

    Attributes:
        trials: Trials without a result.
        stages: Stages that they need, by key, whether stored or not.
    """

    trials: list[Job] = field(default_factory=list)
    stages: dict[str, Job] = field(default_factory=dict)


def find_left(
    plan: Plan,
    store: Store,
    plugins: LoadedPlugins,
    summary: Summary,
    *,
    share: float,
    retry_failed: bool = False,
    shard: tuple[int, int] = (1, 1),
) -> Left:
    """Find the trials that a store lacks, and the stages that they need.

    Args:
        plan: What was planned.
        store: Where results are.
        plugins: What workers load.
        summary: Counts what is stored already.
        share: Part of a device that one job takes.
        retry_failed: Count trials that failed before among those that are lacking.
        shard: (i, n): only the i-th of n parts of the trials, a pure function of what they share.
    """
    folders = {source.text: str(source.folder) for source in plan.sources}
    others = {source.text: source.folders_of_others for source in plan.sources}

    def task(kind: str, trial: Trial, **more: object) -> Task:
        of_data = {"decoded": folders[trial.dataset], "sources": others[trial.dataset], "checks": dict(plugins.checks)}
        return Task(kind, trial.to_json(), **of_data, **plugins.of_task, **more)  # type: ignore[arg-type]

    left, needed, listed = Left(), dict[str, None](), dict[Path, list[str]]()
    for trial in plan.trials:
        if shard[1] > 1 and _part_of(plan, trial, shard[1]) != shard[0] - 1:
            continue
        if _is_stored(store.find(trial, listed), summary, retry_failed=retry_failed):
            continue
        keys = plan.stages_of[trial.id]
        needed |= dict.fromkeys(keys)
        label = _label_of_trial(plan, trial)
        to_do = task("trial", trial, waived=tuple(plan.study.waive))
        left.trials.append(Job(trial.id, label, "trial", to_do, share, keys, trial))
    for key in needed:
        stage = plan.stages[key]
        to_do = task("stage", stage.trial, stage=stage.stage, recipe=stage.recipe, on=stage.on, key=stage.key)
        kind = FEATURES if stage.is_features else "stage"
        left.stages[key] = Job(stage.key, _label_of_stage(plan, stage), kind, to_do, share, stage.needs)
    return left


def _is_stored(old: Stored | None, summary: Summary, *, retry_failed: bool) -> bool:
    """Say whether a trial is finished, by what was found of it, and count it."""
    if old is None:
        return False
    if old.status == "done":
        summary.hits += 1
        return True
    if retry_failed:
        return False
    skipped = old.status == "skipped"
    summary.skipped += skipped
    summary.failed += not skipped
    summary.leaked += old.failure is not None and old.failure.kind == LeakError.kind
    return True


def _part_of(plan: Plan, trial: Trial, parts: int) -> int:
    """Return the shard of a trial; those that share a stage are in one, so that it is fitted once."""
    shared = [key for key in plan.stages_of[trial.id] if not plan.stages[key].is_features]  # all need those
    return int((*shared, trial.id)[0][:8], 16) % parts


def _label_of_trial(plan: Plan, trial: Trial) -> str:
    """Name a training run for people: its method, and what tells it from the others of the plan."""
    network = [classifier_name(trial.classifier)] * (
        len({arm.classifier for arms in plan.arms.values() for arm in arms}) > 1
    )
    return ", ".join([method_name(trial.augmenter), *network, *_place_of(plan, trial), f"fold {trial.fold + 1}"])


def _label_of_stage(plan: Plan, stage: StageJob) -> str:
    """Name a generator, or an encoder of features, for people."""
    trial = stage.trial
    if stage.is_features:
        titles = {source.text: source.title for source in plan.sources}
        return f"features of {dataset_name(trial.dataset, titles.get(trial.dataset, ''))}"
    name = (
        f"features of {classifier_name(trial.classifier)}" if stage.recipe == ENCODER else generator_name(stage.stage)
    )
    return ", ".join([name, *_place_of(plan, trial), f"fold {trial.fold + 1}"])


def _place_of(plan: Plan, trial: Trial) -> list[str]:
    """Name the data set, protocol, repeat and seed of a training run, as far as the plan has several of them."""
    study = plan.study
    titles = {source.text: source.title for source in plan.sources}
    said = [dataset_name(trial.dataset, titles.get(trial.dataset, ""))] * (len(plan.sources) > 1) + [trial.protocol] * (
        len(study.protocols) > 1
    )
    said += [f"repeat {trial.repeat + 1}"] * (study.repeats > 1)
    return said + [f"seed {trial.seed + 1}"] * (trial.seed > 0 or study.seeds > 1)


def in_order(left: Left, store: Store) -> list[Job]:
    """Put stages before trials, and first of all one trial of each classifier that needs none: faults show early."""
    stages = [job for key, job in left.stages.items() if not store.stage_folder(key)]
    ahead = {job.recipes[0]: job for job in reversed(left.trials) if not job.needs}
    keys = {job.key for job in ahead.values()}
    return [*ahead.values(), *stages, *(job for job in left.trials if job.key not in keys)]


def is_there(store: Store, job: Job) -> bool:
    """Say whether another runner stored what a job would."""
    if job.trial is None:
        return store.stage_folder(job.key) is not None
    return (store.place(job.trial) / "result.json").is_file()


def set_damaged_aside(store: Store, keys: Iterable[str]) -> list[str]:
    """Move stages aside that are not what was stored, and return their keys; one that is being fitted is left alone."""
    damaged = []
    for key in keys:
        folder = store.stage_folder(key)
        if folder is None or not store.claim(key):
            continue
        try:
            check_stage(folder)
        except StoreError:
            damaged.append(key)
            store.set_aside(folder)
        store.release(key)
    return damaged
