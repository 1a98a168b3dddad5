"""``medbench run``: what a study lacks in its store is run, then its tables are printed."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from medbench import sealed_records
from medbench.analyses.inflation import inflations
from medbench.analyses.learning_curves import growths
from medbench.analyses.published_figures import compare
from medbench.boards.board import Board
from medbench.boards.build import best, boards
from medbench.cli.display import Display, can_draw_trees
from medbench.cli.options import Asked, complete, study_options, understand
from medbench.data.sources import (
    Described,
    Source,
    describe_decoded,
    describe_index,
    locate,
    locate_other,
    with_others,
)
from medbench.data.transfer_sources import name_of, named_in
from medbench.errors import LeakError, StoreError, UsageError
from medbench.identity.identity import digest
from medbench.interfaces import Dataset
from medbench.planning.arms import Checked
from medbench.planning.double_steps import plan_check
from medbench.planning.matrix import Plan, expand
from medbench.registry.recipes import with_inner
from medbench.running import devices
from medbench.running.check_recipes import vet
from medbench.running.rescore_generators import rescore
from medbench.running.runner import Summary, check_not_stopped, check_settled
from medbench.running.runner import run as run_plan
from medbench.samples import Samples
from medbench.store.check_store import PLANS, WORTH
from medbench.store.store import MARK, Store
from medbench.tables.across_datasets import render_all
from medbench.tables.board_sentences import without_number
from medbench.tables.board_table import FORMATS
from medbench.tables.inflation import render as render_inflation
from medbench.tables.learning_curves import render as render_growth
from medbench.tables.published_figures import render as render_comparison
from medbench.text import clean, counted

MANY_TRIALS = 100_000


@click.command(short_help="Run a study and print its leaderboard.")
@study_options
@click.option("--workers", type=click.IntRange(1, 256), help="Jobs at a time; by default a process a core, or a GPU.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, or cuda:0,cuda:1.")
@click.option(
    "--executor", default="local", show_default=True, shell_complete=complete("executor"), help="Where jobs run."
)
@click.option("--limit", "limit_s", type=click.FloatRange(1), default=24 * 3600.0, help="Seconds a job may take.")
@click.option("--shard", default="1/1", metavar="I/N", help="Run only the I-th of N parts.")
@click.option("--retry-failed", is_flag=True, help="Try failed trials again.")
@click.option("--yes", is_flag=True, help=f"Run more than {MANY_TRIALS:,} trials without asking.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--wide", is_flag=True, help="More columns.")
def run(
    workers: int | None,
    device: str,
    executor: str,
    limit_s: float,
    shard: str,
    retry_failed: bool,
    yes: bool,
    form: str,
    wide: bool,
    **options: Any,
) -> int:
    """Run STUDY (a file or a name; quickstart by default), or what the options say, and print the leaderboard.

    Run the same command again to go on after an interruption; what is stored is not run again.
    """
    asked = understand(**options)
    plan, store, summaries = carry_out(
        asked,
        workers=workers,
        device=device,
        executor=executor,
        limit_s=limit_s,
        shard=_shard(shard),
        retry_failed=retry_failed,
        most=None if yes else MANY_TRIALS,
    )
    built = boards(store, plan.record(), wide=wide or form in ("csv", "json"), metrics=asked.catalogue.items("metric"))
    if not (wide and form == "table"):  # which says it beside its numbers
        for sentence in without_number(built):
            click.echo(f"note: {clean(sentence)}", err=True)
    plain = not can_draw_trees(sys.stdout)
    if plan.study.staircase:
        click.echo(render_inflation(inflations(built), form, plain=plain))
    else:
        click.echo(render_all(built, form, wide=wide, plain=plain))
        if plan.study.published and form not in ("csv", "json"):  # one document a command for programs
            click.echo("\n" + render_comparison(compare(built), form, plain=plain))
        if form not in ("csv", "json") and (by_size := growths(built)):
            click.echo("\n" + render_growth(by_size, form, plain=plain))
    check_settled(summaries)
    if any(summary.leaked for summary in summaries):
        return LeakError.exit_code
    return 7 if any(summary.failed for summary in summaries) else 0


def carry_out(
    asked: Asked,
    *,
    workers: int | None = None,
    device: str = "auto",
    executor: str = "local",
    limit_s: float = 24 * 3600.0,
    shard: tuple[int, int] = (1, 1),
    retry_failed: bool = False,
    most: int | None = None,
) -> tuple[Plan, Store, list[Summary]]:
    """Run what a study lacks in its store.

    Returns:
        The plan, the store, and how each part of the run went.

    Raises:
        RunFailed, ResourceError: If every job fails alike; most are then not tried.
    """
    where = devices.choose(device)
    workers = workers or (
        len(where) if where[0] != "cpu" else max(1, (os.cpu_count() or 1) // asked.study.budget.threads)
    )
    runner = asked.catalogue.resolve("executor", executor)
    with Display() as display:
        plan = prepare(asked, workers, display, decode=False, most=most)  # faults show before anything is written
        check_recipes(plan, asked)
        store = Store(asked.results)
        if not all(source.is_decoded for source in plan.sources):
            plan = prepare(asked, workers, display, most=most)
        for source in plan.sources:
            for note in source.notes:
                display.say(f"note: {source.text}: {note}")
        handed: dict[str, Any] = {"plugin_folders": asked.plugin_folders, "blocked": asked.blocked}
        plan, checks = vet(plan, store, asked.catalogue, runner, display.say, limit_s=limit_s, **handed)
        _keep_worth(store, plan)
        save_record(store, plan)

        def run_all(of_plan: Plan) -> Summary:
            summary = run_plan(
                of_plan, store, asked.catalogue, runner, display,
                workers=workers, devices=where, plugin_folders=asked.plugin_folders, blocked=asked.blocked,
                retry_failed=retry_failed, limit_s=limit_s, shard=shard, checks=checks,
            )  # fmt: skip
            display.say(_sentence(summary))
            check_not_stopped(summary)
            rescored = rescore(
                of_plan, store, asked.catalogue, runner, display.say,
                workers=workers, devices=where, plugin_folders=asked.plugin_folders, blocked=asked.blocked,
                limit_s=limit_s,
            )  # fmt: skip
            if rescored.sentence:
                display.say(rescored.sentence)
            return summary

        summaries = [run_all(plan)]
        if plan.study.check_steps:
            plan = dataclasses.replace(plan, checked=tuple(_best_arms(boards(store, plan.record()))))
            if plan.checked:
                save_record(store, plan)  # before it is run, so that tables know what is missing
                summaries.append(run_all(plan_check(plan, plan.checked, asked.catalogue)))
            else:
                display.say("check-steps: no board has every cell done and an arm with a control; nothing to repeat")
    return plan, store, summaries


def _best_arms(built: Sequence[Board]) -> Iterator[Checked]:
    """Yield the arm of each board that is to be trained at twice the steps."""
    for board in built:
        row = best(board)
        if row is not None:
            source = str(board.source["dataset"])
            yield Checked(source, board.protocol, board.classifier, *row.arm.key, 2 * board.study.budget.steps)


def prepare(asked: Asked, workers: int, display: Display, *, decode: bool = True, most: int | None = None) -> Plan:
    """Find, decode and describe the data sets of a study, and expand its matrix."""
    if not asked.study.datasets:
        raise UsageError("no data set is named; give one with -d, see `medbench datasets list`.")
    learnt_from = _learnt_from(asked)
    sources = locate(
        asked.catalogue,
        asked.study.datasets,
        data=asked.data,
        phantom=asked.phantom,
        drawing=asked.study.phantom,
        size=asked.study.budget.size,
        more=list(learnt_from.values()),
    )
    described = []
    for source in sources:
        others = {
            name: locate_other(asked.catalogue, dataset, source, data=asked.data, drawing=asked.study.phantom)
            for name, dataset in learnt_from.items()
        }
        found = {name: _described(other, workers, display, decode) for name, other in others.items()}
        described.append(with_others(_described(source, workers, display, decode), found))
    return expand(asked.study, asked.catalogue, described, most=most)


def check_recipes(plan: Plan, asked: Asked) -> None:
    """Ask recipes that can tell early whether they will work, where anything is left to run.

    Raises:
        UsageError: If a field is out of its range, or a network cannot be trained on such images in such batches.
        DataError: If a file that a field names cannot be read.
        PluginError: If a recipe's ``check`` raises anything else.
    """
    store = Store(asked.results, create=False) if (asked.results / MARK).is_file() else None
    waiting = [t for t in plan.trials if store is None or not (store.place(t) / "result.json").is_file()]
    for kind, texts in (("augmenter", {t.augmenter for t in waiting}), ("classifier", {t.classifier for t in waiting})):
        for text in sorted(texts):
            for recipe in with_inner(asked.catalogue.resolve(kind, text)):
                if isinstance(recipe, Dataset):  # its check is of a folder
                    continue
                if hasattr(recipe, "check"):
                    recipe.check()
                for source in plan.sources if hasattr(recipe, "check_images") else ():
                    if f"{source.dimensions}d" in getattr(recipe, "takes", ()):
                        recipe.check_images(_like(source, asked), plan.study.budget)


def _like(source: Described, asked: Asked) -> Samples:
    """Return no rows of the shape that a data set's have; where they are not decoded yet, of one channel."""
    samples = source.samples.take([])
    if samples.x.ndim > 2:
        return samples
    recipe = asked.catalogue.resolve("dataset", source.text.removeprefix("phantom:"))
    size = asked.study.budget.size or recipe.size
    return dataclasses.replace(samples, x=np.zeros((0, 1, *[size] * source.dimensions), dtype=np.uint8))


def _learnt_from(asked: Asked) -> dict[str, Dataset]:
    """Return the data sets that the study's recipes name besides those under test, by the name a plan has for them."""
    kinds = (("augmenter", asked.study.augmenters), ("classifier", asked.study.classifiers))
    recipes = [r for kind, texts in kinds for text in texts for r in asked.catalogue.matching(kind, text)]
    return {name_of(dataset): dataset for dataset in named_in(*recipes)}


def _described(source: Source, workers: int, display: Display, decode: bool) -> Described:
    if decode:
        return describe_decoded(source, source.decode(workers, display.decoding))
    found = source.decoded()
    return describe_decoded(source, found) if found is not None else describe_index(source)


def save_record(store: Store, plan: Plan) -> Path:
    """Keep what was planned in the store, so that status and leaderboard know it; the newest is the default."""
    record = plan.record()
    folder = store.root / PLANS
    path = folder / f"{plan.study.name}-{digest(record)[:8]}.json"
    fresh = path.with_suffix(f".{os.getpid()}")
    try:
        folder.mkdir(exist_ok=True)
        fresh.write_text(sealed_records.seal(record))
        fresh.replace(path)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror}); give another --results.") from None
    now = time.time()
    os.utime(path, (now, now))
    return path


def _keep_worth(store: Store, plan: Plan) -> None:
    """Keep what matters as it was fixed before the first result on these folds, and refuse to change it afterwards.

    Raises:
        UsageError: If results are there that were run with another worth.
        StoreError: If it is damaged.
    """
    path = store.root / WORTH
    try:
        known, _ = sealed_records.read(path) if path.exists() else ({}, None)
    except (sealed_records.Damaged, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error).removeprefix(f"{path.name} ")
        raise sealed_records.damaged(path, str(why)) from None
    worth = plan.study.worth
    for dataset, data, text in {(t.dataset, t.data, t.protocol) for t in plan.trials}:
        before = known.get(key := f"{data} {text}", worth)
        if not isinstance(before, int | float):
            raise sealed_records.damaged(path, f"holds {before!r} where a number stands")
        # Whichever arm a result is of: the folds are the same, and so is what was seen of them.
        if before != worth and any((r.trial.data, r.trial.protocol) == (data, text) for r in store.rows(dataset)):
            raise UsageError(
                f"worth is {worth:g} points here and was {before:g} when these folds were first run; what matters is "
                f"fixed before. Take --worth {before:g}, or another --results."
            )
        known[key] = worth
    try:
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(sealed_records.seal(known))
        fresh.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror}); give another --results.") from None


def _shard(text: str) -> tuple[int, int]:
    part, slash, parts = text.partition("/")
    numbers = all(re.fullmatch(r"[0-9]{1,6}", text) for text in (part, parts))
    if not slash or not numbers or not 1 <= int(part) <= int(parts):
        raise UsageError(f"--shard {text}: write I/N with I from 1 to N, as in 2/8.")
    return int(part), int(parts)


def _sentence(summary: Summary) -> str:
    parts = [f"{summary.done} done", f"{summary.hits} stored before", f"{counted(summary.stages, 'generator')} fitted"]
    if summary.failed:
        parts.append(f"{summary.failed} FAILED (medbench logs)")
    if summary.interrupted:
        parts.append(f"{len(summary.interrupted)} INTERRUPTED (medbench logs)")
    if summary.skipped:
        parts.append(f"{summary.skipped} skipped")
    return f"{', '.join(parts)}, {summary.seconds:.0f} s"
