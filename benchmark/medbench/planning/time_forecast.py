"""Forecast of what a plan takes, from the times of its stored trials and stages, or from a calibration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from medbench.errors import UsageError
from medbench.planning.calibration import Calibration, Images, JobCost
from medbench.planning.double_steps_trials import count_double_steps
from medbench.planning.plan import Plan
from medbench.store.store import Store
from medbench.trial.stages import read_stage
from medbench.trial.trial import Trial

UNITS = {"d": 86400.0, "h": 3600.0, "min": 60.0, "m": 60.0, "s": 1.0}
MOST_SECONDS = 10 * 365 * UNITS["d"]


@dataclass(frozen=True)
class Timing:
    """Seconds of one job at a time, and memory.

    Attributes:
        whole: Everything that is planned, as far as its like was timed.
        left: What is not stored yet of that.
        timed: Stored trials, and measured kinds of jobs, that it rests on.
        unknown: Trials and fits whose like was never timed.
        longest: Of what is left, the training run that ends last where nothing waits for a worker: its own time and
            that of the generators before it.
        device: "cpu", or the name of the GPU, as far as it is known.
        host_mb: Most memory of the host that a job takes; 0 where that is not known.
        gpu_mb: Most memory of a GPU likewise.
        elsewhere: Day on which times were measured on another machine, where any was.
        numerics: Numerics with which times were measured, where any were with others than the plan's.
        others: Seconds of everything on other devices that all of it was calibrated for.
        at_a_time: Jobs at a time.
        share: Part of a device that each takes.
        at_last: Training runs at twice the steps that ``--check-steps`` adds once the rest is done.
        at_last_each: Seconds of one of them, as if the dearest method were the best.
        guessed: Seconds until everything is done, as a first guess, where it is not known; 0 where there is none.
    """

    whole: float = 0.0
    left: float = 0.0
    timed: int = 0
    unknown: int = 0
    longest: float = 0.0
    device: str = "cpu"
    host_mb: float = 0.0
    gpu_mb: float = 0.0
    elsewhere: str = ""
    numerics: str = ""
    others: Mapping[str, float] = field(default_factory=dict)
    at_a_time: int = 1
    share: float = 1.0
    at_last: int = 0
    at_last_each: float = 0.0
    guessed: float = 0.0

    @property
    def is_known(self) -> bool:
        """Whether everything that is planned was timed."""
        return bool(self.timed) and not self.unknown

    @property
    def wall(self) -> float:
        """Seconds until what is left is done."""
        at_last = self.at_last_each * max(1.0, self.at_last / self.at_a_time) if self.at_last else 0.0
        return max(self.longest, self.left / self.at_a_time) + at_last

    @property
    def busy(self) -> float:
        """Seconds of all jobs that are left, one after the other, those at last too."""
        return self.left + self.at_last * self.at_last_each


@dataclass(frozen=True)
class _Cost:
    """What is known of one kind of job."""

    seconds: float
    host_mb: float = 0.0
    gpu_mb: float = 0.0
    elsewhere: str = ""
    numerics: str = ""
    rests_on: int = 0


def forecast_time(
    plan: Plan, store: Store | None, calibration: Calibration | None = None, device: str = "cpu"
) -> Timing:
    """Time a plan by the mean of stored trials of the same arm and data, and of stored fits of the same stage.

    Args:
        plan: What is to be run.
        store: Where its results are; None where there are none.
        calibration: What else is known of this machine.
        device: Where it is to be run: "cpu", the name of a GPU, ANY_GPU, or ANY.
    """
    calibration = calibration or Calibration()
    there = _stored(plan, store)
    timing = _add_up(plan, _Known(plan, store, calibration, device, there), there)
    others = {}
    for other in calibration.devices:
        if other != device and (other == "cpu") != (device == "cpu"):
            on_it = _add_up(plan, _Known(plan, None, calibration, other, frozenset()), frozenset())
            if on_it.is_known:
                others[other] = on_it.whole + on_it.at_last * on_it.at_last_each
    return replace(timing, device=device, others=others)


def images_of(plan: Plan) -> dict[str, Images]:
    """Return what a calibration knows the images of each data set by."""
    size = plan.study.budget.size or 0
    return {source.text: Images(source.text, source.data, size) for source in plan.sources}


def job_name(trial: Trial) -> str:
    """Return what a calibration knows a training run by."""
    return f"{trial.augmenter}/{trial.classifier}"


class _Known:
    """What each kind of job of a plan costs, looked up once: as it was stored, else as it was measured."""

    def __init__(
        self, plan: Plan, store: Store | None, calibration: Calibration, device: str, there: frozenset[str]
    ) -> None:
        self._calibration, self._device, self._images = calibration, device, images_of(plan)
        self._found: dict[tuple[str, str, str], _Cost | None] = {}
        data, spent = {trial.data for trial in plan.trials}, dict[tuple[str, str, str], list[Mapping[str, float]]]()
        for row in (row for source in plan.sources if store is not None for row in store.rows(source.text)):
            t = row.trial
            if row.status == "done" and t.data in data and t.budget == plan.study.spending:
                spent.setdefault(("trial", t.dataset, job_name(t)), []).append(row.cost)
        for key in there & plan.stages.keys() if store is not None else ():
            folder = store.stage_folder(key) if store is not None else None
            if folder is not None:
                of = plan.stages[key]
                spent.setdefault(("stage", of.trial.dataset, of.stage), []).append(read_stage(folder)["cost"])
        for kind, costs in spent.items():
            seconds = sum(float(cost["seconds"]) for cost in costs) / len(costs)
            host, gpu = (max(float(cost.get(name, 0.0)) for cost in costs) for name in ("peak_mb", "peak_gpu_mb"))
            self._found[kind] = _Cost(seconds, host, gpu, rests_on=len(costs) * (kind[0] == "trial"))

    def of(self, kind: str, recipe: str, trial: Trial) -> _Cost | None:
        """Return what a job costs; None where nobody knows."""
        place = (kind, trial.dataset, recipe)
        if place not in self._found:
            found = self._calibration.find(kind, recipe, self._images[trial.dataset], trial.budget, self._device)
            self._found[place] = None if found is None else self._measured(found, trial)
        return self._found[place]

    def _measured(self, found: JobCost, trial: Trial) -> _Cost:
        day = found.measured if self._calibration.is_of_elsewhere(found) else ""
        other = self._calibration.numerics_of_other(found, trial.budget)
        return _Cost(found.seconds(trial.budget), found.peak_mb, found.peak_gpu_mb, day, other, 1)

    @property
    def every(self) -> list[_Cost]:
        """What was found for any job of the plan."""
        return [cost for cost in self._found.values() if cost is not None]


def _stored(plan: Plan, store: Store | None) -> frozenset[str]:
    """Return the keys of the jobs whose result is there."""
    if store is None:
        return frozenset()
    stages = {key for key in plan.stages if store.stage_folder(key)}
    return frozenset(stages | {t.id for t in plan.trials if (store.place(t) / "result.json").is_file()})


def _add_up(plan: Plan, known: _Known, there: frozenset[str]) -> Timing:
    whole = left = longest = dearest = 0.0
    unknown = 0
    ends: dict[str, float] = {}  # of what is left, when no job waits for a worker
    jobs: Iterable[tuple[str, str, str, Trial, Iterable[str]]] = [
        *(("stage", key, stage.stage, stage.trial, stage.needs) for key, stage in plan.stages.items()),
        *(("trial", t.id, job_name(t), t, plan.stages_of.get(t.id, ())) for t in plan.trials),
    ]
    for kind, key, recipe, trial, before in jobs:
        cost = known.of(kind, recipe, trial)
        unknown += cost is None
        seconds = cost.seconds if cost is not None else 0.0
        whole += seconds
        dearest = max(dearest, seconds * (kind == "trial"))
        ends[key] = 0.0
        if key not in there:
            left += seconds
            ends[key] = seconds + max((ends.get(stage, 0.0) for stage in before), default=0.0)
            longest = max(longest, ends[key])
    every = known.every
    return Timing(
        whole, left, sum(cost.rests_on for cost in every), unknown, longest,
        host_mb=max((cost.host_mb for cost in every), default=0.0),
        gpu_mb=max((cost.gpu_mb for cost in every), default=0.0),
        elsewhere=max((cost.elsewhere for cost in every), default=""),
        numerics=max((cost.numerics for cost in every), default=""),
        at_last=count_double_steps(plan), at_last_each=2 * dearest,
    )  # fmt: skip


def seconds_of(text: str) -> float:
    """Read a time as people write it: ``2h``, ``1h30m``, ``45 min``, ``90s``, ``1d``.

    Raises:
        UsageError: For anything else, a number without its unit too.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s)", text.strip())
    if "".join(number + unit for number, unit in parts) != re.sub(r"\s", "", text) or not parts:
        raise UsageError(f"--time-limit {text}: write a time with its unit, as in 2h, 1h30m or 45m.")
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    if not 1 <= seconds <= MOST_SECONDS:
        raise UsageError(f"--time-limit {text}: give at least a second and at most ten years.")
    return seconds


def duration_text(seconds: float) -> str:
    """Write a time as a sentence does: ``3 h 10 min``."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
