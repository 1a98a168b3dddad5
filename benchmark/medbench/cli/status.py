"""``medbench status`` and ``logs``: how far a run is, and what its training runs printed."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from medbench.boards.board import Board
from medbench.boards.build import boards
from medbench.boards.training_runs import count_runs
from medbench.cli.shared_options import open_run, plugin_options, record_options, results_option
from medbench.cli.writing import fill
from medbench.planning.arm_names import arm_name
from medbench.planning.plan_records import open_record, stored_runs
from medbench.planning.study_names import title_of
from medbench.registry.display_names import classifier_name, method_name
from medbench.store.store import Store
from medbench.tables.board_notes import name_of_source
from medbench.tables.board_table import split_by
from medbench.text import clean, columns, counted, pad


@click.command(short_help="Say how far a run is.")
@record_options
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@plugin_options
def status(
    study_name: str | None,
    results: Path,
    as_json: bool,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> None:
    """Say how far the run of STUDY is, or the latest one.

    A row is a method; those of another data set, split or classifier stand under a heading of their own.
    """
    del plugin_folders, plugin_switches  # taken so that the options of `run` can stay; what is stored needs no plugin
    if as_json:
        store, record = open_record(results, study_name)
    else:
        store, record = open_run(results, study_name)
    built = boards(store, record)
    rows = [row for board in built for row in (*_methods(board), *_further(board))]
    running = [_job(folder) for folder in sorted((results / ".jobs").glob("*")) if (folder / "progress.json").is_file()]
    title = title_of(record["study"], record["sources"])
    if as_json:
        arms = [{key: value for key, value in row.items() if key not in ("heading", "method")} for row in rows]
        runs = [asdict(run) for run in stored_runs(store)]
        found = {"study": record["study"]["name"], "title": title, "arms": arms, "running": running, "runs": runs}
        click.echo(json.dumps(found, indent=1))
        return
    counts = count_runs(built)
    click.echo(fill(f"{record['study']['name']}: {title}"))
    click.echo(
        f"{counts.done:,} of {counted(counts.planned, 'training run')} done"
        + (f", {counts.failed:,} failed (medbench logs)" if counts.failed else "")
        + (f", {counts.skipped:,} left out" if counts.skipped else "")
        + (f", {len(running)} running now" if running else "")
    )
    width = max((columns(row["method"]) for row in rows), default=0)
    heading = ""
    for row in rows:
        if row["heading"] != heading:
            heading = row["heading"]
            click.echo(f" {heading}")
        failed_text = f", {row['failed']} failed" if row["failed"] else ""
        click.echo(f"   {pad(row['method'], width)}  {row['done']:,} of {row['planned']:,}{failed_text}")


def _methods(board: Board) -> Iterator[dict[str, Any]]:
    """Yield how far each method of a board is."""
    for row in board.all_rows:
        kept = {"dataset": board.source["dataset"], "protocol": board.protocol, "classifier": board.classifier}
        name = arm_name(row.arm)
        yield {**kept, "augmenter": row.arm.augmenter, "done": row.done, "failed": row.failed, "planned": row.planned,
               "heading": _heading(board), "method": clean(name)}  # fmt: skip


def _heading(board: Board) -> str:
    """Name what a board holds constant: data set, classifier and how patients are split."""
    data = name_of_source(board.source)
    known = {"patients": f"split by {split_by(board)}", "official": "official split"}
    return clean(f"{data}, {classifier_name(board.classifier)}, {known.get(board.protocol, board.protocol)}")


def _job(folder: Path) -> dict[str, Any]:
    try:
        return {"job": folder.name, **json.loads((folder / "progress.json").read_text())}
    except (OSError, ValueError, TypeError):
        return {"job": folder.name}


@click.command(short_help="Show what a training run printed.")
@click.argument("pattern", default="*failed*")
@results_option
@click.option("--lines", type=click.IntRange(1), default=40, show_default=True, help="Last lines of each log.")
def logs(pattern: str, results: Path, lines: int) -> None:
    """Show what training runs printed whose folder or method matches PATTERN (a glob); those that failed by default."""
    store = Store(results, create=False)
    hits = 0
    for stored in store.rows():
        name = str(stored.folder.relative_to(results))
        t = stored.trial
        arm = f"{t.augmenter} / {t.classifier}"
        if not any(
            fnmatch.fnmatchcase(text, f"*{pattern.strip('*')}*") or fnmatch.fnmatchcase(text, pattern)
            for text in (name, arm)
        ):
            continue
        hits += 1
        click.echo(f"== {clean(name)}\n   {clean(t.dataset)}  {clean(arm)}  {stored.status}")
        if stored.failure is not None:
            click.echo(f"   {stored.failure.kind}: {clean(stored.failure.message)}")
        log = stored.folder / "log.txt"
        if log.is_file():
            for line in log.read_text(errors="replace").splitlines()[-lines:]:
                click.echo(f"   | {clean(line)}")
    if not hits:
        click.echo("no training run failed." if pattern == "*failed*" else f"no training run matches {pattern!r}.")


def _further(board: Board) -> Iterator[dict[str, Any]]:
    """Yield how far the trainings of a board are that belong to no arm: its yardsticks, and the check of its steps."""
    kept = {"dataset": board.source["dataset"], "protocol": board.protocol, "heading": _heading(board)}
    planned, done, failed = board.yardstick_trials
    if planned:
        control = board.yardsticks[0].control
        method = f"{method_name(control.augmenter)}: other seeds, fewer patients"
        name = {"classifier": control.classifier, "augmenter": f"yardsticks of {control.augmenter}", "method": method}
        yield {**kept, **name, "done": done, "failed": failed, "planned": planned}
    if (at := board.check) is not None:
        name = {
            "classifier": at.arm.classifier,
            "augmenter": f"{at.arm.augmenter} at {at.steps} steps, and its control",
            "method": f"{method_name(at.arm.augmenter)} and the one above it, at {at.steps:,} steps",
        }
        yield {**kept, **name, "done": at.done, "failed": at.settled - at.done, "planned": at.planned}
    if block := [status for key, status in board.beside.items() if key.stage_seed != key.seed]:
        name = {"classifier": board.classifier, "augmenter": "seed block", "method": "one fold with other seeds"}
        yield {**kept, **name, "done": block.count("done"), "failed": block.count("failed"), "planned": len(block)}
