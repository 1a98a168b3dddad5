"""A study from its request to its results: data sets are found and decoded, trials planned, run and scored again."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from medbench.boards.board import Board
from medbench.boards.build import best, boards
from medbench.data.describe import DatasetDescription, add_other_datasets, describe_decoded, describe_index
from medbench.data.find_phantom import PHANTOM
from medbench.data.sources import Source, locate_datasets, locate_other_dataset
from medbench.data.transfer_sources import datasets_in, key_of_dataset
from medbench.errors import UsageError
from medbench.interfaces import Dataset
from medbench.planning.arms import Checked
from medbench.planning.double_steps_trials import plan_double_steps
from medbench.planning.plan import Plan
from medbench.planning.plan_records import keep_question, save_record
from medbench.planning.run_sessions import begin_session, run_sessions, wall_time
from medbench.planning.stage_plan import name_stages
from medbench.planning.time_forecast import Timing
from medbench.planning.trial_matrix import expand
from medbench.protocols.protocol import protocol
from medbench.registry.describe_recipe import with_inner
from medbench.registry.display_names import dataset_name
from medbench.running.check_plugins import check_plugins
from medbench.running.outcome import Summary, check_not_stopped
from medbench.running.request import Request
from medbench.running.rescore_generators import rescore
from medbench.running.resources import LoadedPlugins, Resources, Workers, choose_workers
from medbench.running.runner import run
from medbench.running.time_left import about, at_least
from medbench.running.time_limit import fit_to_limit, forecast
from medbench.running.watcher import Watcher
from medbench.samples import Samples
from medbench.store.store import MARK, Store
from medbench.text import counted, listed

MANY_TRIALS = 100_000
"""Trials of a study that is planned without being asked twice."""


@dataclass(frozen=True, eq=False)
class StudyRun:
    """A study that was run.

    Attributes:
        plan: What was planned, the check at twice the steps in it.
        store: Where the results are.
        summaries: How each part of the run went.
    """

    plan: Plan
    store: Store
    summaries: tuple[Summary, ...]


def run_study(
    request: Request,
    watcher: Watcher,
    resources: Resources | None = None,
    *,
    shard: tuple[int, int] = (1, 1),
    retry_failed: bool = False,
    most: int | None = None,
    before: Callable[[Plan], Iterable[str]] | None = None,
) -> StudyRun:
    """Run the trials of a study that its store lacks.

    Args:
        request: What is to be run.
        watcher: Told how it goes.
        resources: Where jobs run; this machine where None.
        shard: (i, n): only the i-th of n parts of the trials.
        retry_failed: Try trials again that failed before.
        most: Refuse a study of more trials than this.
        before: Gives sentences on the plan that are shown before anything is trained.

    Raises:
        RunFailed, ResourceError: If every job fails alike; most are then not tried.
    """
    begin = time.time()
    workers = choose_workers(resources or Resources(), request.catalogue, request.study.spending)
    plan = plan_study(request, watcher, most=most)  # faults show before anything is written
    store = Store(request.results)
    if not all(source.is_decoded for source in plan.sources):
        watcher.say(_first_guess(plan, request, workers))
        plan = prepare(request, watcher, workers=workers.count, most=most)
    plan, fitted = fit_to_limit(plan, request, workers, most=most)
    if plan.study.budget.numerics == "fast" and set(workers.devices) == {"cpu"}:
        watcher.say("numerics fast are for GPUs: on a CPU networks compute as with exact")
    first = [*_notes(plan), *[fitted] * bool(fitted), *_forecast(plan, store, request, workers)]
    for sentence in (*first, *(before(plan) if before is not None else ())):
        watcher.say(sentence)
    plugins = LoadedPlugins(request.catalogue, request.plugin_folders, request.blocked)
    plan, checks = check_plugins(plan, store, plugins, workers, watcher.say)
    plugins = dataclasses.replace(plugins, checks=checks)
    plan = keep_question(store, plan, watcher.say)
    save_record(store, plan)

    def run_all(of_plan: Plan) -> Summary:
        return _run_and_rescore(of_plan, store, plugins, workers, watcher, retry_failed=retry_failed, shard=shard)

    session = begin_session(store, plan.record(), begin=begin, data=request.data, file=request.file)
    summaries = list[Summary]()
    try:
        summaries.append(run_all(plan))
        if plan.study.check_steps:
            plan, checked = _check_steps(plan, store, request, watcher, run_all)
            summaries += checked
    finally:
        session.end()
    if not any(summary.ran for summary in summaries):
        session.drop()
    elif took := wall_time(run_sessions(store, plan.record())):
        watcher.say(f"wall time {took}")
    return StudyRun(plan, store, tuple(summaries))


def _check_steps(
    plan: Plan, store: Store, request: Request, watcher: Watcher, run_all: Callable[[Plan], Summary]
) -> tuple[Plan, list[Summary]]:
    """Train the best method of each board, and the one above it, at twice the steps."""
    plan = dataclasses.replace(plan, checked=tuple(_best_arms(boards(store, plan.record()))))
    if plan.checked:
        save_record(store, plan)  # before it is run, so that tables know what is missing
        return plan, [run_all(plan_double_steps(plan, plan.checked, request.catalogue))]
    watcher.say("--check-steps: no method whose training runs are all done is compared with another; nothing to repeat")
    return plan, []


def _first_guess(plan: Plan, request: Request, workers: Workers) -> str:
    """Say how long a plan may take, before any image is read."""
    jobs = listed([counted(len(plan.trials), "training run"), *name_stages(plan.stages.values())])
    timed = forecast(plan, None, request, workers)
    guessed = f", {at_least(timed.guessed)} (a first guess)" if timed.guessed else ""
    if timed.is_known:
        guessed = f", {about(timed.wall)} (as measured {_where(timed)})"
    return f"{jobs}{guessed}; the images are read first"


def _forecast(plan: Plan, store: Store, request: Request, workers: Workers) -> Iterator[str]:
    """Yield how long the rest takes, where stored runs or a calibration tell it for all of it."""
    timed = forecast(plan, store, request, workers)
    if timed.is_known and timed.left:
        yield f"{about(timed.wall)}, from what such training runs took {_where(timed)}".capitalize()


def _where(timed: Timing) -> str:
    by = f" with numerics {timed.numerics}" if timed.numerics else ""
    return f"{'on another machine' if timed.elsewhere else 'on this machine'}{by}"


def _notes(plan: Plan) -> Iterator[str]:
    """Yield how many notes there are on the images of each data set, which ``plan`` lists, and what adds nothing."""
    if plan.study.seed_block and not any(trial.stage_seed != trial.seed for trial in plan.trials):
        yield "--seed-block: no method that was asked for fits a generator and is compared; nothing to add"
    for source in plan.sources:
        if source.notes:
            name, notes = dataset_name(source.text, source.title), counted(len(source.notes), "note")
            yield f"{name}: {notes} on the images, which `medbench plan` lists"


def plan_study(request: Request, watcher: Watcher, *, most: int | None = None) -> Plan:
    """Plan the trials of a study and check its recipes; data sets that are not decoded yet stay so.

    Args:
        request: What is to be run.
        watcher: Told how it goes.
        most: Refuse a study of more trials than this.
    """
    plan = prepare(request, watcher, decode=False, most=most)
    check_recipes(plan, request)
    return plan


def _run_and_rescore(
    plan: Plan,
    store: Store,
    plugins: LoadedPlugins,
    workers: Workers,
    watcher: Watcher,
    *,
    retry_failed: bool,
    shard: tuple[int, int],
) -> Summary:
    summary = run(plan, store, plugins, workers, watcher, retry_failed=retry_failed, shard=shard)
    watcher.say(summary.sentence)
    check_not_stopped(summary)
    if sentence := rescore(plan, store, plugins, workers, watcher.say).sentence:
        watcher.say(sentence)
    return summary


def _best_arms(built: Sequence[Board]) -> Iterator[Checked]:
    """Yield the arm of each board that is to be trained at twice the steps."""
    for board in built:
        row = best(board)
        if row is not None:
            source = str(board.source["dataset"])
            yield Checked(source, board.protocol, board.classifier, *row.arm.key, 2 * board.study.budget.steps)


def prepare(
    request: Request, watcher: Watcher, *, workers: int = 1, decode: bool = True, most: int | None = None
) -> Plan:
    """Find, decode and describe the data sets of a study, and expand its matrix.

    Args:
        request: What is to be run.
        watcher: Told how decoding goes.
        workers: Processes that decode.
        decode: Decode what is not decoded yet; otherwise such a data set is described by its index.
        most: Refuse a study of more trials than this.

    Raises:
        UsageError: If no data set is named, or there are too many trials.
    """
    if not request.study.datasets:
        raise UsageError("no data set is named; give one with -d, see `medbench datasets list`.")

    def describe(source: Source) -> DatasetDescription:
        found = source.decode(workers, watcher.decoding) if decode else source.decoded()
        return describe_decoded(source, found) if found is not None else describe_index(source)

    learnt_from, tested = _other_datasets(request), _tested_datasets(request)
    sources = locate_datasets(
        request.catalogue,
        request.study.datasets,
        data=request.data,
        phantom=request.phantom,
        drawing=request.study.phantom,
        size=request.study.budget.size,
        more=[*learnt_from.values(), *tested.values()],
    )
    described = []
    for source in sources:
        others, of_tests = (
            {
                name: describe(
                    locate_other_dataset(
                        request.catalogue, dataset, source, data=request.data, drawing=request.study.phantom
                    )
                )
                for name, dataset in wanted.items()
            }
            for wanted in (learnt_from, tested)
        )
        described.append(dataclasses.replace(add_other_datasets(describe(source), others), tested=of_tests))
    return expand(request.study, request.catalogue, described, most=most)


def _other_datasets(request: Request) -> dict[str, Dataset]:
    """Return the data sets that recipes of a study learn from besides those under test, by their name in a plan."""
    kinds = (("augmenter", request.study.augmenters), ("classifier", request.study.classifiers))
    recipes = [r for kind, texts in kinds for text in texts for r in request.catalogue.matching(kind, text)]
    return {key_of_dataset(dataset): dataset for dataset in datasets_in(*recipes)}


def _tested_datasets(request: Request) -> dict[str, Dataset]:
    """Return the data sets that external tests of a study test, by how its protocols name them."""
    named = dict.fromkeys(rule.test for rule in map(protocol, request.study.protocols) if rule.is_external)
    return {text: request.catalogue.resolve("dataset", text.removeprefix(PHANTOM)) for text in named}


def check_recipes(plan: Plan, request: Request) -> None:
    """Call the ``check`` of every recipe of which anything is left to run.

    Raises:
        UsageError: If a field is out of its range, or a network cannot be trained on such images in such batches.
        DataError: If a file that a field names cannot be read.
        PluginError: If a recipe's ``check`` raises anything else.
    """
    store = Store(request.results, create=False) if (request.results / MARK).is_file() else None
    left = [t for t in plan.trials if store is None or not (store.place(t) / "result.json").is_file()]
    for kind, texts in (("augmenter", {t.augmenter for t in left}), ("classifier", {t.classifier for t in left})):
        for text in sorted(texts):
            for recipe in with_inner(request.catalogue.resolve(kind, text)):
                if isinstance(recipe, Dataset):  # its check is of a folder
                    continue
                if hasattr(recipe, "check"):
                    recipe.check()
                for source in plan.sources if hasattr(recipe, "check_images") else ():
                    if f"{source.dimensions}d" in getattr(recipe, "takes", ()):
                        recipe.check_images(_empty_like(source, request), plan.study.budget)


def _empty_like(source: DatasetDescription, request: Request) -> Samples:
    """Return no rows, of the shape that a data set's have; of one channel where they are not decoded yet."""
    samples = source.samples.take([])
    if samples.x.ndim > 2:
        return samples
    recipe = request.catalogue.resolve("dataset", source.text.removeprefix("phantom:"))
    size = request.study.budget.size or recipe.size
    return dataclasses.replace(samples, x=np.zeros((0, 1, *[size] * source.dimensions), dtype=np.uint8))
