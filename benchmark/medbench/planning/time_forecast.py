"""Forecast of how long a plan takes, from the times of its stored trials and stages, or from a calibration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from medbench.planning.calibration import Calibration
from medbench.planning.plan import Plan
from medbench.store.store import Store
from medbench.trial.stages import read_stage
from medbench.trial.trial import Trial


@dataclass(frozen=True)
class Timing:
    """Seconds of one job at a time.

    Attributes:
        whole: Everything that is planned, as far as its like was timed.
        left: What is not stored yet of that.
        timed: Stored trials, and measured kinds of jobs, that it rests on.
        unknown: Trials and fits whose like was never timed.
    """

    whole: float = 0.0
    left: float = 0.0
    timed: int = 0
    unknown: int = 0


def forecast_time(plan: Plan, store: Store | None, calibration: Calibration | None = None) -> Timing:
    """Time a plan by the mean of stored trials of the same arm and data, and of stored fits of the same stage.

    Args:
        plan: What is to be run.
        store: Where its results are; None where there are none.
        calibration: What else is known of this machine.
    """
    calibration = calibration or Calibration()
    trials, fits = dict[tuple[str, ...], list[float]](), dict[str, list[float]]()
    fingerprints = {source.text: source.data for source in plan.sources}
    data = {source.data for source in plan.sources}
    for row in (row for source in plan.sources if store is not None for row in store.rows(source.text)):
        t = row.trial
        if row.status == "done" and t.data in data and t.budget == plan.study.spending:
            trials.setdefault((t.dataset, t.augmenter, t.classifier), []).append(float(row.cost["seconds"]))
    stored = {key: folder for key in plan.stages if store is not None and (folder := store.stage_folder(key))}
    for key, folder in stored.items():
        seconds = float(read_stage(folder)["cost"]["seconds"])
        fits.setdefault(plan.stages[key].stage, []).append(seconds)
    whole = left = 0.0
    unknown = 0
    measured = set[str]()

    def add(times: list[float] | None, kind: str, recipe: str, of: Trial, *, is_stored: bool) -> None:
        nonlocal whole, left, unknown
        seconds = (
            _mean(times or ()) if times else calibration.seconds(kind, recipe, fingerprints[of.dataset], of.budget)
        )
        unknown += seconds is None
        if seconds is not None and not times:
            measured.add(recipe)
        whole += seconds or 0.0
        left += 0.0 if is_stored else seconds or 0.0

    for trial in plan.trials:
        times = trials.get((trial.dataset, trial.augmenter, trial.classifier))
        there = store is not None and (store.place(trial) / "result.json").is_file()
        add(times, "trial", f"{trial.augmenter}/{trial.classifier}", trial, is_stored=there)
    for key, stage in plan.stages.items():
        add(fits.get(stage.stage), "stage", stage.stage, stage.trial, is_stored=key in stored)
    return Timing(whole, left, sum(map(len, trials.values())) + len(measured), unknown)


def duration_text(seconds: float) -> str:
    """Write a time as a sentence does: ``3 h 10 min``."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def _mean(values: Iterable[float]) -> float:
    kept = list(values)
    return sum(kept) / len(kept) if kept else 0.0
