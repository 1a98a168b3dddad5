"""Run a plan: whoever is ready goes to the executor, whatever is complete goes into the store.

Only this module locks and stores; workers write into job folders. Running the same plan again is the resume.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from medbench.errors import DataError, LeakError, MedbenchError, ResourceError, RunFailed, StoreError
from medbench.interfaces import Executor, Jobs
from medbench.machine_faults import DISK, is_interruption
from medbench.planning.matrix import Plan
from medbench.planning.stage_plan import StageJob
from medbench.registry.plugins import Catalogue
from medbench.running.job import Task, work
from medbench.store.store import Store
from medbench.store.trial_files import Failure, drop_unmeasured, read_stored, take_unmeasured
from medbench.text import counted
from medbench.trial.stages import ENCODER, check_stage
from medbench.trial.trial import Trial

POLL_SECONDS = 0.25
LOST_RETRIES = 2
LOG_KEPT = 100_000  # characters of a failed stage's log
COMMON_FAULTS = frozenset({"bug", "contract", "plugin", "resources"})
"""Kinds of failure that may have one cause for all jobs; a divergence, a limit or a lost process is each job's own."""


class Watcher(Protocol):
    """Hears of a run as it goes."""

    def planned(self, *, stages: int, trials: int, hits: int) -> None: ...
    def started(self, job: str, label: str, kind: str) -> None: ...
    def progress(self, job: str, step: int, total: int) -> None: ...
    def finished(self, job: str, status: str, note: str) -> None: ...
    def problem(self, text: str) -> None: ...


@dataclass
class Summary:
    """How a run went.

    Attributes:
        hits: Trials whose result was there before.
        done: Trials that finished now.
        failed: Trials without a result, now or before.
        leaked: Those of them in which training saw what it must not see.
        skipped: Trials that turned out to make no sense.
        interrupted: What became of trials that a fault of the machine ended; the same command tries them again.
        stages: Stages fitted now.
        elsewhere: Trials that another runner was busy with when this one ended.
        seconds: Wall time.
        stopped: The one failure that every job ended with, where the run was given up for it.
    """

    hits: int = 0
    done: int = 0
    failed: int = 0
    leaked: int = 0
    skipped: int = 0
    interrupted: list[Failure] = field(default_factory=list)
    stages: int = 0
    elsewhere: int = 0
    seconds: float = 0.0
    stopped: Failure | None = None


def check_settled(summaries: Sequence[Summary]) -> None:
    """Raise where faults of the machine ended trials, so that no table is taken for the whole.

    Raises:
        StoreError, DataError, ResourceError: By the kind of the first.
    """
    failures = [failure for summary in summaries for failure in summary.interrupted]
    if failures:
        first = failures[0]
        kind = {"store": StoreError, "data": DataError}.get(first.kind, ResourceError)
        again = "" if "same command" in first.message else " Run the same command again."
        raise kind(
            f"{counted(len(failures), 'trial', 'were')} ended by a fault of the machine, not counted and to be run "
            f"again; the first by {first.kind}: {first.message}{again}"
        )


def check_not_stopped(summary: Summary) -> None:
    """Raise where a run was given up, with its one failure.

    Raises:
        StoreError, DataError, ResourceError: For a fault of the machine, which the same command tries again.
        RunFailed: For any other.
    """
    failure = summary.stopped
    if failure is None:
        return
    of_machine = {"store": StoreError, "data": DataError}.get(failure.kind, ResourceError)
    again = "the same command" if summary.interrupted else "the same command with --retry-failed"
    raise (of_machine if summary.interrupted else RunFailed)(
        "every job so far ended with the same failure, so no more were started: "
        f"{failure.message.rstrip('.')}. `medbench logs` shows where; once it is mended, {again} runs all of it."
    )


@dataclass
class _Job:
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


@dataclass
class _Run:
    plan: Plan
    store: Store
    catalogue: Catalogue
    watcher: Watcher
    limit_s: float
    share: float
    waiting: list[_Job] = field(default_factory=list)
    running: dict[Future[int], _Job] = field(default_factory=dict)
    stages: dict[str, _Job] = field(default_factory=dict)
    broken: dict[str, Failure] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    faults: dict[str, Failure] = field(default_factory=dict)
    recipes: dict[str, tuple[str, str]] = field(default_factory=dict)
    trials: set[str] = field(default_factory=set)
    summary: Summary = field(default_factory=Summary)


def run(
    plan: Plan,
    store: Store,
    catalogue: Catalogue,
    executor: Executor,
    watcher: Watcher,
    *,
    workers: int,
    devices: Sequence[str],
    plugin_folders: Sequence[str] = (),
    blocked: Sequence[str] = (),
    retry_failed: bool = False,
    limit_s: float = 24 * 3600,
    shard: tuple[int, int] = (1, 1),
    checks: Mapping[str, str] | None = None,
) -> Summary:
    """Run what the store does not hold yet.

    Args:
        plan: What was planned.
        store: Where results go.
        catalogue: Whose plugins hear of events.
        executor: Where jobs run.
        watcher: Hears how it goes.
        workers: Jobs at a time.
        devices: Torch devices, taken in turn.
        plugin_folders: Handed to workers.
        blocked: Handed to workers.
        retry_failed: Try trials again that failed before.
        limit_s: Wall-clock limit of one job, in seconds.
        shard: (i, n): only the i-th of n parts of the trials, a pure function of what they share.
        checks: Outcome by recipe of a plugin, which becomes part of each record.

    Raises:
        ResourceError: If the disk is full; what was finished is stored.
    """
    started = time.monotonic()
    store.sweep()
    state = _Run(plan, store, catalogue, watcher, limit_s, share=1 / workers)
    decoded = {source.text: str(source.folder) for source in plan.sources}
    common: dict[str, Any] = {
        "plugin_folders": tuple(plugin_folders),
        "blocked": tuple(blocked),
        "checks": dict(checks or {}),
    }
    others = {source.text: source.other_folders for source in plan.sources}
    needed: dict[str, None] = {}
    for trial in plan.trials:
        if shard[1] > 1 and _part(plan, trial, shard[1]) != shard[0] - 1:
            continue
        old = store.find(trial)
        if old is not None and old.status == "done":
            state.summary.hits += 1
            continue
        if old is not None and not retry_failed:
            skipped = old.status == "skipped"
            state.summary.skipped += skipped
            state.summary.failed += not skipped
            state.summary.leaked += old.failure is not None and old.failure.kind == LeakError.kind
            continue
        keys = plan.stages_of[trial.id]
        needed |= dict.fromkeys(keys)
        task = Task(
            "trial", trial.to_json(), decoded[trial.dataset], sources=others[trial.dataset],
            waived=tuple(plan.study.waive), **common,
        )  # fmt: skip
        label = f"{trial.augmenter} / {trial.classifier}  r{trial.repeat} f{trial.fold} s{trial.seed}"
        state.waiting.append(_Job(trial.id, label, "trial", task, state.share, keys, trial))
    state.stages = {
        k: _stage_job(plan.stages[k], decoded, {**common, "sources": others[plan.stages[k].trial.dataset]}, state.share)
        for k in needed
    }
    _set_damaged_aside(state, needed)
    stages = [job for key, job in state.stages.items() if not store.stage_folder(key)]
    watcher.planned(stages=len(stages), trials=len(state.waiting), hits=state.summary.hits)
    if state.waiting:
        state.waiting = _in_order(stages, state.waiting)
        state.recipes = {job.key: _recipes_of(job) for job in state.waiting}
        state.trials = {job.key for job in state.waiting if job.trial is not None}
        jobs = executor.start(workers=workers, devices=devices)
        try:
            _loop(state, jobs)
        finally:
            jobs.close()
            for job in [*state.running.values(), *(job for job in state.waiting if job.folder is not None)]:
                _forget(state, job)
    state.summary.seconds = time.monotonic() - started
    return state.summary


def _part(plan: Plan, trial: Trial, parts: int) -> int:
    """Keep trials that share a stage in one shard, so that it is fitted once."""
    return int((*plan.stages_of[trial.id], trial.id)[0][:8], 16) % parts


def _stage_job(stage: StageJob, decoded: Mapping[str, str], common: Mapping[str, Any], share: float) -> _Job:
    trial = stage.trial
    task = Task(
        "stage",
        trial.to_json(),
        decoded[trial.dataset],
        stage=stage.stage,
        recipe=stage.recipe,
        on=stage.on,
        key=stage.key,
        **common,
    )
    of = f" of {trial.classifier}" if stage.recipe == ENCODER else ""
    label = f"fit {stage.stage}{of}  r{trial.repeat} f{trial.fold} s{trial.stage_seed}"
    return _Job(stage.key, label, "stage", task, share, stage.needs)


def _loop(state: _Run, jobs: Jobs) -> None:
    while state.waiting or state.running:
        if not _is_hopeless(state):
            _submit_ready(state, jobs)
        elif not state.running:
            state.summary.stopped = next(iter(state.faults.values()))  # what waits is left for another run
            return
        if not state.running:
            if not state.waiting or not _wait_for_others(state):
                return
            continue
        done, _ = concurrent.futures.wait(
            state.running, timeout=POLL_SECONDS, return_when=concurrent.futures.FIRST_COMPLETED
        )
        for job in state.running.values():
            _tell_progress(state, job)
        for future in done:
            _settle(state, state.running[future], future)
            del state.running[future]  # only now: an interruption while it settles must find its folder


def _in_order(stages: list[_Job], trials: list[_Job]) -> list[_Job]:
    """Put stages before trials, and before all a trial of each classifier that needs none: what fails, fails early."""
    ahead = {_recipes_of(job)[0]: job for job in reversed(trials) if not job.needs}
    keys = {job.key for job in ahead.values()}
    return [*ahead.values(), *stages, *(job for job in trials if job.key not in keys)]


def _recipes_of(job: _Job) -> tuple[str, str]:
    """Return what a job trains: a classifier, and an augmenter or a stage."""
    trial = job.task.trial
    return trial["classifier"], job.task.stage or trial["augmenter"]


def _is_hopeless(state: _Run) -> bool:
    """Say whether all that ended so far failed alike, so that what is left very likely would.

    Two jobs are not enough: one broken recipe may stand in both. The failed ones must be of two classifiers and of two
    augmenters or stages, where the run has two, and a trial among them, which may need no stage. Then nothing more is
    started until what runs has ended, and the run goes on if any of that did otherwise.
    """
    if len(state.faults) < 2 or state.summary.done or not state.faults.keys() & state.trials:
        return False
    if len(set(state.faults.values())) > 1 or next(iter(state.faults.values())).kind not in COMMON_FAULTS:
        return False
    failed = zip(*(state.recipes[key] for key in state.faults), strict=True)
    planned = zip(*state.recipes.values(), strict=True)
    return all(len(set(of)) >= min(2, len(set(among))) for of, among in zip(failed, planned, strict=True))


def _submit_ready(state: _Run, jobs: Jobs) -> None:
    for job in list(state.waiting):
        busy = sum(other.share for other in state.running.values())
        if busy + state.share > 1 + 1e-9:
            return
        if busy and busy + job.share > 1 + 1e-9:
            continue
        broken = next((k for k in job.needs if k in state.broken), None)
        if broken is not None:
            state.waiting.remove(job)
            _fail_for(state, job, broken)
            continue
        folders = {key: state.store.stage_folder(key) for key in job.needs}
        if not all(folders.values()) or not state.store.claim(job.key):
            continue
        if _is_there(state, job):  # another runner finished it since we looked
            state.waiting.remove(job)
            state.store.release(job.key)
            continue
        job.folder = state.store.job_folder(job.key)
        task = dataclasses.replace(job.task, stages={k: str(f) for k, f in folders.items()})
        (job.folder / "task.json").write_text(json.dumps(dataclasses.asdict(task)))
        if job.trial is not None:
            _announce(state, "trial_started", trial=job.trial)
        state.watcher.started(job.key, job.label, job.kind)
        state.running[jobs.submit(work, str(job.folder), job.share, state.limit_s)] = job
        state.waiting.remove(job)  # only now: an interruption between the two must find the folder


def _fail_for(state: _Run, job: _Job, broken: str) -> None:
    """Fail a job that needs a stage which failed, with that one's log."""
    job.folder = state.store.job_folder(job.key)
    (job.folder / "log.txt").write_text(state.logs.get(broken, ""))
    _fail(state, job, state.broken[broken])


def _is_there(state: _Run, job: _Job) -> bool:
    if job.trial is None:
        return state.store.stage_folder(job.key) is not None
    return (state.store.place(job.trial) / "result.json").is_file()


def _wait_for_others(state: _Run) -> bool:
    """Return whether to go on: everything left is being done by another runner, or needs what it does."""
    for job in list(state.waiting):
        if _is_there(state, job):
            state.waiting.remove(job)
            state.summary.hits += job.trial is not None
            return True
    time.sleep(POLL_SECONDS)
    return True


def _tell_progress(state: _Run, job: _Job) -> None:
    if job.folder is None:
        return
    try:
        values = json.loads((job.folder / "progress.json").read_text())
    except (OSError, ValueError):
        return
    state.watcher.progress(job.key, int(values["step"]), int(values["total"]))


def _settle(state: _Run, job: _Job, future: Future[int]) -> None:
    """Store what a job left behind, or decide whether it is tried again."""
    assert job.folder is not None
    try:
        code = future.result()
    except TimeoutError:
        if job.trial is not None and take_unmeasured(job.folder):
            return _accept(state, job)
        return _fail_itself(state, job, Failure("timeout", f"it ran past the limit of {state.limit_s:g} s."))
    except (ProcessLookupError, concurrent.futures.CancelledError) as error:
        if job.lost < LOST_RETRIES:
            job.lost += 1
            return _again(state, job, f"its process died ({error}); trying again")
        if job.trial is not None and take_unmeasured(job.folder):
            return _accept(state, job)
        return _fail_itself(state, job, Failure("lost", f"its process died {job.lost + 1} times ({error})."))
    if code == 0 and not (job.folder / "failure.json").is_file():
        return _accept(state, job)
    failure = _read_failure(job.folder, code)
    if failure.kind == "disk":
        _forget(state, job)
        raise ResourceError(f"{state.store.root}: {failure.message}")
    if failure.kind == "store" and not job.mended and (damaged := _set_damaged_aside(state, job.needs)):
        job.mended = True
        planned = {other.key for other in (*state.waiting, *state.running.values())}
        state.waiting[:0] = [dataclasses.replace(state.stages[key]) for key in damaged if key not in planned]
        return _again(state, job, "what it stands on was damaged and is fitted again")
    if failure.kind == "memory" and not job.widened:
        job.widened, job.share = True, min(1.0, 2 * job.share)
        return _again(state, job, "there was not enough memory; trying once more with twice the share")
    return _fail_itself(state, job, failure)


def _fail_itself(state: _Run, job: _Job, failure: Failure) -> None:
    """Fail a job that was run, not one that needed it."""
    if failure.kind != "skip":
        state.faults[job.key] = failure
    _fail(state, job, failure)


def _set_damaged_aside(state: _Run, keys: Iterable[str]) -> list[str]:
    """Move stages aside that are not what was stored, and return their keys; one that is being fitted is left alone."""
    damaged = []
    for key in keys:
        folder = state.store.stage_folder(key)
        if folder is None or not state.store.claim(key):
            continue
        try:
            check_stage(folder)
        except StoreError:
            damaged.append(key)
            state.store.set_aside(folder)
        state.store.release(key)
    _tell_notes(state)
    return damaged


def _tell_notes(state: _Run) -> None:
    while state.store.notes:
        state.watcher.problem(state.store.notes.pop(0))


def _accept(state: _Run, job: _Job) -> None:
    assert job.folder is not None
    if job.trial is None:
        state.store.accept(job.folder, state.store.stage_place(job.key))
        state.summary.stages += 1
    else:
        place = state.store.accept(job.folder, state.store.place(job.trial))
        state.summary.done += 1
        _announce(state, "trial_finished", trial=job.trial, result=read_stored(place))
    _tell_notes(state)
    state.store.release(job.key)
    state.watcher.finished(job.key, "done", "")


def _fail(state: _Run, job: _Job, failure: Failure) -> None:
    if job.trial is None:
        named = Failure(failure.kind, f"{job.task.stage}: {failure.message}")
        state.broken[job.key] = named
        if job.folder is not None:  # every trial that needs the stage gets its log
            with contextlib.suppress(OSError):
                state.logs[job.key] = (job.folder / "log.txt").read_text(errors="replace")[-LOG_KEPT:]
            shutil.rmtree(job.folder, ignore_errors=True)
    else:
        folder = job.folder or state.store.job_folder(job.key)
        drop_unmeasured(folder)
        state.store.accept_failure(folder, job.trial, failure)
        if failure.kind == "skip":
            state.summary.skipped += 1
        elif is_interruption(failure.kind, failure.message):
            state.summary.interrupted.append(failure)
            _announce(state, "trial_failed", trial=job.trial, error=MedbenchError(failure.message))
        else:
            state.summary.failed += 1
            state.summary.leaked += failure.kind == LeakError.kind
            _announce(state, "trial_failed", trial=job.trial, error=MedbenchError(failure.message))
    state.store.release(job.key)
    state.watcher.finished(job.key, "skipped" if failure.kind == "skip" else "failed", failure.message)


def _again(state: _Run, job: _Job, why: str) -> None:
    state.watcher.finished(job.key, "again", why)
    _forget(state, job)
    job.folder = None
    state.waiting.insert(0, job)


def _forget(state: _Run, job: _Job) -> None:
    if job.folder is not None:
        shutil.rmtree(job.folder, ignore_errors=True)
    state.store.release(job.key)


def _read_failure(folder: Path, code: int) -> Failure:
    try:
        record = json.loads((folder / "failure.json").read_text())
        return Failure(record["kind"], record["message"])
    except (OSError, ValueError, KeyError):
        if code == ResourceError.exit_code:  # not even that could be written
            return Failure("disk", DISK)
        return Failure("lost", "its process ended without saying why; see its log.")


def _announce(state: _Run, event: str, **arguments: Any) -> None:
    for problem in state.catalogue.announce(event, **arguments):
        state.watcher.problem(problem)
