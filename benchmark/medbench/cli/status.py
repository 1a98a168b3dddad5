"""``medbench status`` and ``logs``: how far a run is, and what its trials printed."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from medbench.boards.board import Board
from medbench.boards.build import boards
from medbench.cli.shared_options import record_options, results_option
from medbench.planning.plan_records import open_record
from medbench.store.store import Store
from medbench.text import clean, counted


@click.command(short_help="Say how far a run is.")
@record_options
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(study_name: str | None, results: Path, as_json: bool) -> None:
    """Say how far the latest run of STUDY, or of any study, is."""
    store, record = open_record(results, study_name)
    built = boards(store, record)
    rows = [
        {
            "dataset": board.source["dataset"],
            "protocol": board.protocol,
            "classifier": board.classifier,
            "augmenter": row.arm.augmenter,
            "done": row.done,
            "failed": row.failed,
            "planned": row.planned,
        }
        for board in built
        for row in board.all_rows
    ]
    rows += [row for board in built for row in _further(board)]
    running = [_job(folder) for folder in sorted((results / ".jobs").glob("*")) if (folder / "progress.json").is_file()]
    if as_json:
        click.echo(json.dumps({"study": record["study"]["name"], "arms": rows, "running": running}, indent=1))
        return
    done, failed, planned = (sum(int(r[key]) for r in rows) for key in ("done", "failed", "planned"))
    click.echo(
        f"{clean(record['study']['name'])}: {done} of {counted(planned, 'trial')} done, {failed} failed, "
        f"{len(running)} running"
    )
    for r in rows:
        failed_text = f", {r['failed']} failed" if r["failed"] else ""
        click.echo(f"  {clean(r['dataset'])}  {clean(r['augmenter'])} / {clean(r['classifier'])}: "
                   f"{r['done']} of {r['planned']}{failed_text}")  # fmt: skip


def _job(folder: Path) -> dict[str, Any]:
    try:
        return {"job": folder.name, **json.loads((folder / "progress.json").read_text())}
    except (OSError, ValueError, TypeError):
        return {"job": folder.name}


@click.command(short_help="Show the log of a trial.")
@click.argument("pattern", default="*failed*")
@results_option
@click.option("--lines", type=click.IntRange(1), default=40, show_default=True, help="Last lines of each log.")
def logs(pattern: str, results: Path, lines: int) -> None:
    """Show logs of trials whose folder or arm matches PATTERN (a glob); of those that failed by default."""
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
        click.echo("no trial failed." if pattern == "*failed*" else f"no trial matches {pattern!r}.")


def _further(board: Board) -> Iterator[dict[str, Any]]:
    """Yield how far the trainings of a board are that belong to no arm: its yardsticks, and the check of its steps."""
    kept = {"dataset": board.source["dataset"], "protocol": board.protocol}
    planned, done, failed = board.yardstick_trials
    if planned:
        control = board.yardsticks[0].control
        name = {"classifier": control.classifier, "augmenter": f"yardsticks of {control.augmenter}"}
        yield {**kept, **name, "done": done, "failed": failed, "planned": planned}
    if (at := board.check) is not None:
        name = {
            "classifier": at.arm.classifier,
            "augmenter": f"{at.arm.augmenter} at {at.steps} steps, and its control",
        }
        yield {**kept, **name, "done": at.done, "failed": at.settled - at.done, "planned": at.planned}
