"""Run a plan: jobs that are ready go to the executor, results that are complete go into the store.

Only this module locks and stores; workers write into job folders. Running the same plan again resumes it.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import shutil
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from medbench.errors import JobLost, LeakError, MedbenchError, ResourceError
from medbench.interfaces import Jobs
from medbench.machine_faults import DISK, is_interruption
from medbench.planning.plan import Plan
from medbench.running.job import work
from medbench.running.outcome import Summary
from medbench.running.resources import LoadedPlugins, Workers, say_notes
from medbench.running.resume import FEATURES, Job, find_left, in_order, is_there, set_damaged_aside
from medbench.running.retry import find_disk_fault, may_retry, may_retry_lost
from medbench.running.stop_hopeless_run import is_hopeless
from medbench.running.time_left import TimedWatcher, makers_of_images
from medbench.running.watcher import Watcher
from medbench.store.store import Store
from medbench.store.trial_files import Failure, drop_unmeasured, read_stored, take_unmeasured

POLL_SECONDS = 0.25
ROUNDING = 1e-6
LOG_KEPT = 100_000  # characters of a failed stage's log


@dataclass
class _Run:
    store: Store
    plugins: LoadedPlugins
    workers: Workers
    watcher: Watcher
    summary: Summary = field(default_factory=Summary)
    waiting: list[Job] = field(default_factory=list)
    running: dict[Future[int], Job] = field(default_factory=dict)
    stages: dict[str, Job] = field(default_factory=dict)
    broken: dict[str, Failure] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    recipes: dict[str, tuple[str, str]] = field(default_factory=dict)
    trials: set[str] = field(default_factory=set)
    shown: float = 0.0


def run(
    plan: Plan,
    store: Store,
    plugins: LoadedPlugins,
    workers: Workers,
    watcher: Watcher,
    *,
    retry_failed: bool = False,
    shard: tuple[int, int] = (1, 1),
) -> Summary:
    """Run what the store does not hold yet.

    Args:
        plan: What was planned.
        store: Where results go.
        plugins: Told of events, and loaded by workers.
        workers: Where jobs run.
        watcher: Told how it goes.
        retry_failed: Try trials again that failed before.
        shard: (i, n): only the i-th of n parts of the trials, a pure function of what they share.

    Raises:
        ResourceError: If the disk is full; what was finished is stored.
    """
    began = time.monotonic()
    store.sweep()
    state = _Run(store, plugins, workers, watcher)
    left = find_left(plan, store, plugins, state.summary, share=workers.share, retry_failed=retry_failed, shard=shard)
    set_damaged_aside(store, left.stages)
    _show_notes(state)
    state.stages = left.stages
    state.waiting = in_order(left, store)
    generators = sum(job.kind == "stage" for job in state.waiting)
    watcher.planned(stages=generators, trials=len(left.trials), hits=state.summary.hits)
    if left.trials:
        state.watcher = timed = TimedWatcher(
            watcher, {job.key: job for job in state.waiting}, workers.count,
            makers=makers_of_images(plan, plugins.catalogue),
        )  # fmt: skip
        timed.tell(state.waiting)
        state.recipes = {job.key: job.recipes for job in state.waiting}
        state.trials = {job.key for job in left.trials}
        jobs = workers.start()
        try:
            _loop(state, jobs, timed)
        finally:
            _close(state, jobs)
    state.summary.seconds = time.monotonic() - began
    return state.summary


def _close(state: _Run, jobs: Jobs) -> None:
    """End what runs and leave no folder behind, also where the executor does not close as it should."""
    try:
        jobs.close()
    finally:
        for job in [*state.running.values(), *(job for job in state.waiting if job.folder is not None)]:
            _forget(state, job)
        say_notes(jobs, state.watcher.problem)


def _loop(state: _Run, jobs: Jobs, timed: TimedWatcher) -> None:
    while state.waiting or state.running:
        if state.summary.done or not is_hopeless(state.failures, state.recipes, state.trials):
            _submit_ready(state, jobs)
        elif not state.running:
            state.summary.stopped = next(iter(state.failures.values()))  # what waits is left for another run
            return
        if not state.running:
            if not state.waiting:
                return
            _wait_for_others(state)
            continue
        ended, _ = concurrent.futures.wait(
            state.running, timeout=POLL_SECONDS, return_when=concurrent.futures.FIRST_COMPLETED
        )
        if time.monotonic() - state.shown >= POLL_SECONDS:  # not after each of a thousand jobs that end a second
            state.shown = time.monotonic()
            for job in state.running.values():
                _show_progress(state, job)
        timed.tell(state.waiting, state.running.values())
        say_notes(jobs, state.watcher.problem)
        for future in ended:
            _finish(state, state.running[future], future)
            del state.running[future]  # only now: an interruption meanwhile must find its folder


def _submit_ready(state: _Run, jobs: Jobs) -> None:
    position = 0  # in what waits, which may be a million jobs: no copy of it is made
    while position < len(state.waiting):
        job = state.waiting[position]
        busy = sum(other.share for other in state.running.values())
        if len(state.running) >= state.workers.count or (busy and busy + job.share > state.workers.room + ROUNDING):
            return
        broken = next((k for k in job.needs if k in state.broken), None)
        if broken is not None:
            del state.waiting[position]
            _fail_for(state, job, broken)
            continue
        folders = {key: state.store.stage_folder(key) for key in job.needs}
        if not all(folders.values()) or not state.store.claim(job.key):
            position += 1
            continue
        if is_there(state.store, job):  # another runner finished it since we looked
            del state.waiting[position]
            state.store.release(job.key)
            continue
        job.folder = state.store.job_folder(job.key)
        task = dataclasses.replace(job.task, stages={k: str(f) for k, f in folders.items()})
        (job.folder / "task.json").write_text(json.dumps(dataclasses.asdict(task)))
        if job.trial is not None:
            _announce(state, "trial_started", trial=job.trial)
        state.watcher.started(job.key, job.label, job.kind)
        state.running[jobs.submit(work, str(job.folder), job.share, state.workers.limit_s)] = job
        del state.waiting[position]  # only now: an interruption between the two must find the folder


def _fail_for(state: _Run, job: Job, broken: str) -> None:
    """Fail a job that needs a stage which failed, with that one's log."""
    job.folder = state.store.job_folder(job.key)
    (job.folder / "log.txt").write_text(state.logs.get(broken, ""))
    _fail(state, job, state.broken[broken])


def _wait_for_others(state: _Run) -> None:
    """Drop a job that another runner finished, or wait: what is left is being run there, or needs what is."""
    for job in state.waiting:
        if is_there(state.store, job):
            state.waiting.remove(job)
            state.summary.hits += job.trial is not None
            return
    time.sleep(POLL_SECONDS)


def _show_progress(state: _Run, job: Job) -> None:
    if job.folder is None:
        return
    try:
        values = json.loads((job.folder / "progress.json").read_text())
    except (OSError, ValueError):
        return
    state.watcher.progress(job.key, int(values["step"]), int(values["total"]))


def _finish(state: _Run, job: Job, future: Future[int]) -> None:
    """Store what a job left behind, or run it again."""
    assert job.folder is not None
    try:
        code = future.result()
    except TimeoutError:
        if job.trial is not None and take_unmeasured(job.folder):
            return _accept(state, job)
        return _fail_itself(state, job, Failure("timeout", f"it ran past the limit of {state.workers.limit_s:g} s."))
    except (ProcessLookupError, concurrent.futures.CancelledError) as error:
        return _finish_lost(state, job, error)
    if code == 0 and not (job.folder / "failure.json").is_file():
        return _accept(state, job)
    failure = _read_failure(job.folder, code)
    if failure.kind == "disk":
        _stop_for(state, job, failure)
    if why := may_retry(job, failure, _refit_damaged(state, job, failure), state.workers.more_memory):
        return _again(state, job, why)
    return _fail_itself(state, job, failure)


def _stop_for(state: _Run, job: Job, fault: Failure) -> NoReturn:
    """Stop the run for a fault of the disk, under which no job can be done."""
    _forget(state, job)
    raise ResourceError(f"{state.store.root}: {fault.message}")


def _finish_lost(state: _Run, job: Job, error: BaseException) -> None:
    """Run a job again whose process died or which its system lost, or say how often that happened."""
    assert job.folder is not None
    kind, told = (error.kind, str(error)) if isinstance(error, JobLost) else ("lost", "")
    if (fault := find_disk_fault(job.folder)) is not None:
        _stop_for(state, job, fault)
    if kind == "lost" and may_retry_lost(job):
        return _again(state, job, f"{told or f'its process died ({error})'}; trying again")
    if job.trial is not None and take_unmeasured(job.folder):
        return _accept(state, job)
    if kind != "lost":
        return _fail_itself(state, job, Failure(kind, f"{told}."))
    died = "it was lost" if told else "its process died"
    return _fail_itself(state, job, Failure("lost", f"{died} {job.lost + 1} times ({error})."))


def _refit_damaged(state: _Run, job: Job, failure: Failure) -> list[str]:
    """Return the keys of damaged stages that a job needs, where it failed for them; they are fitted again."""
    if failure.kind != "store" or job.mended:
        return []
    damaged = set_damaged_aside(state.store, job.needs)
    _show_notes(state)
    planned = {other.key for other in (*state.waiting, *state.running.values())}
    state.waiting[:0] = [dataclasses.replace(state.stages[key]) for key in damaged if key not in planned]
    return damaged


def _fail_itself(state: _Run, job: Job, failure: Failure) -> None:
    """Fail a job that was run, not one that needed it."""
    if failure.kind != "skip":
        state.failures[job.key] = failure
    _fail(state, job, failure)


def _show_notes(state: _Run) -> None:
    while state.store.notes:
        state.watcher.problem(state.store.notes.pop(0))


def _accept(state: _Run, job: Job) -> None:
    assert job.folder is not None
    if job.trial is None:
        state.store.accept(job.folder, state.store.stage_place(job.key))
        state.summary.features += job.kind == FEATURES
        state.summary.stages += job.kind != FEATURES
    else:
        place = state.store.accept(job.folder, state.store.place(job.trial))
        state.summary.done += 1
        _announce(state, "trial_finished", trial=job.trial, result=read_stored(place))
    _show_notes(state)
    state.store.release(job.key)
    state.watcher.finished(job.key, "done", "")


def _fail(state: _Run, job: Job, failure: Failure) -> None:
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


def _again(state: _Run, job: Job, why: str) -> None:
    state.watcher.finished(job.key, "again", why)
    _forget(state, job)
    job.folder = None
    state.waiting.insert(0, job)


def _forget(state: _Run, job: Job) -> None:
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
    for problem in state.plugins.catalogue.announce(event, **arguments):
        state.watcher.problem(problem)
