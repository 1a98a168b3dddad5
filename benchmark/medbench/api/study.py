"""Run and plan studies, and open stored results, from Python."""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from medbench.api.notebook_progress import NotebookProgress, is_notebook
from medbench.api.results import Results
from medbench.api.terminal_progress import Display
from medbench.planning.plan import Plan
from medbench.planning.plan_records import open_record
from medbench.planning.stored_part import StoredPart, count_stored
from medbench.planning.study import Study
from medbench.planning.time_forecast import Timing
from medbench.registry import plugins
from medbench.running.outcome import check_not_interrupted
from medbench.running.request import DEFAULT_RESULTS, StudyOptions, build_request
from medbench.running.resources import Resources, choose_workers
from medbench.running.study_run import plan_study, run_study
from medbench.running.time_limit import fit_to_limit, forecast
from medbench.running.watcher import Silent, Watcher
from medbench.tables.plan_text import facts, lines

if TYPE_CHECKING:
    import polars


# Where it runs is said by five values, as on the command line.
def run(
    study: str | Path | Study | None = None,
    *,
    workers: int | None = None,
    workers_per_gpu: int | None = None,
    device: str = "auto",
    executor: str = "local",
    limit_s: float = 24 * 3600.0,
    retry_failed: bool = False,
    progress: bool | Watcher = True,
    **options: Unpack[StudyOptions],
) -> Results:
    """Run the trials of a study that its store lacks, and return its results; the same call again goes on.

    Args:
        study: Name of a registered study, a file of one, or a study. None for a study of the data sets in `options`,
            or for the quickstart.
        workers: Jobs at a time; None for one per GPU, or for as many as the cores hold.
        workers_per_gpu: Jobs at a time on each GPU, in place of `workers`.
        device: "auto", "cpu", "cuda" or "cuda:0,cuda:1".
        executor: Name of a registered executor.
        limit_s: Wall-clock limit of one job, in seconds.
        retry_failed: Try trials again that failed before.
        progress: Show how it goes, in a terminal or a notebook; or who is told instead.
        options: What changes the study, see :class:`medbench.running.request.StudyOptions`: ``datasets``,
            ``augmenters``, ``classifiers``, ``protocols``, ``data``, ``phantom``, ``budget``, ``folds``, ``repeats``,
            ``results`` and the other options of ``medbench run``.

    Raises:
        UsageError: For an unknown study or a value that does not fit.
        DataError, StoreError, ResourceError: If data, store or machine do not let it run; what is finished is stored.
        RunFailed: If every job fails alike.
    """
    request = build_request(study, **options)
    with _choose_watcher(progress) as watcher, _without_script():
        resources = Resources(workers, device, executor, limit_s, workers_per_gpu)
        ran = run_study(request, watcher, resources, retry_failed=retry_failed)
    check_not_interrupted(ran.summaries)
    return Results(ran.store, ran.plan.record(), lambda: request.catalogue)


def plan(study: str | Path | Study | None = None, **options: Unpack[StudyOptions]) -> StudyPlan:
    """Say which trials a study has, what is stored already, and what its design can see; train nothing.

    Args:
        study: As for :func:`run`.
        options: Likewise.

    Raises:
        UsageError: For an unknown study or a value that does not fit.
        DataError: If a data set cannot be read.
    """
    request = build_request(study, **options)
    workers = choose_workers(Resources(), request.catalogue, request.study.spending)
    planned, fitted = fit_to_limit(plan_study(request, Silent()), request, workers)
    stored = count_stored(planned, request.results)
    return StudyPlan(planned, stored, forecast(planned, stored.store, request, workers), fitted)


def results(
    folder: str | Path = DEFAULT_RESULTS,
    study: str | None = None,
    *,
    plugin_folders: Sequence[str | Path] = (),
    blocked: Sequence[str] = (),
) -> Results:
    """Open the stored results of the latest run of a study.

    Args:
        folder: The store.
        study: Name or file; None for the study that was run last.
        plugin_folders: Folders of plugin files to load, for their metrics.
        blocked: Names of plugins to leave out.

    Raises:
        StoreError: If the store does not exist or is damaged.
        UsageError: If the study was never run there.
    """
    store, record = open_record(Path(folder), study)
    return Results(store, record, lambda: plugins.load(folders=[Path(one) for one in plugin_folders], blocked=blocked))


@dataclass(frozen=True, eq=False)
class StudyPlan:
    """What a run would do. Printed, it is what ``medbench plan`` prints.

    Attributes:
        plan: Every trial and the generators that they share.
        stored: How much of it is stored.
        timed: What it takes on this machine.
        fitted: What is said of steps that were fitted to a time limit.
    """

    plan: Plan = field(repr=False)
    stored: StoredPart
    timed: Timing
    fitted: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """Counts, arms, data sets and warnings as JSON values; ``stored`` is None where data are not decoded yet."""
        return facts(self.plan, self.stored, self.timed)

    def frame(self) -> polars.DataFrame:
        """Return a frame with a row per trial."""
        import polars

        keys = ("dataset", "protocol", "augmenter", "classifier", "repeat", "fold", "seed", "id")
        return polars.DataFrame([{key: getattr(trial, key) for key in keys} for trial in self.plan.trials])

    def __str__(self) -> str:
        return "\n".join(lines(self.plan, self.stored, self.timed, fitted=self.fitted))

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


@contextlib.contextmanager
def _without_script() -> Iterator[None]:
    """Hide the script that called from worker processes, which would run it again where it has no ``__main__`` guard.

    multiprocessing hands the path of the script to every process that it starts; no job of ours needs it.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


@contextlib.contextmanager
def _choose_watcher(progress: bool | Watcher) -> Iterator[Watcher]:
    """Choose who is told how a run goes."""
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield Silent()
    elif is_notebook():
        yield NotebookProgress()
    else:
        with Display() as display:
            yield display
