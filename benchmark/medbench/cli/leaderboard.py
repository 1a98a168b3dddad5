"""``medbench status``, ``logs`` and ``leaderboard``: what a store says of a run."""

from __future__ import annotations

import fnmatch
import glob
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from medbench import sealed_records
from medbench.analyses.inflation import inflations
from medbench.analyses.learning_curves import growths
from medbench.analyses.published_figures import compare
from medbench.boards.board import Board
from medbench.boards.build import boards
from medbench.cli.display import can_draw_trees
from medbench.cli.options import load_catalogue, plugin_options
from medbench.errors import StoreError, UsageError
from medbench.planning import study
from medbench.planning.leak_staircase import SUFFIX
from medbench.plots.style import form_of, written
from medbench.store.check_store import PLANS, record_files
from medbench.store.store import Store
from medbench.tables.across_datasets import render_all
from medbench.tables.board_table import FORMATS
from medbench.tables.inflation import render as render_inflation
from medbench.tables.learning_curves import render as render_growth
from medbench.tables.published_figures import render as render_comparison
from medbench.text import clean, counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")


def _store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option(
        "--results",
        type=click.Path(path_type=Path),
        default=Path("results/runs"),
        show_default=True,
        envvar="MEDBENCH_RESULTS",
        help="Where results are stored.",
    )(command)
    return click.argument("study_name", metavar="[STUDY]", required=False)(command)


@click.command(short_help="Say how far a run is.")
@_store_options
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
@click.option("--results", type=click.Path(path_type=Path), default=Path("results/runs"), show_default=True,
              envvar="MEDBENCH_RESULTS", help="Where results are stored.")  # fmt: skip
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


@click.command(short_help="Print the leaderboard of a run.")
@_store_options
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--wide", is_flag=True, help="More columns.")
@click.option("--plain", is_flag=True, help="ASCII only.")
@click.option("--against", type=click.Choice(["published"]), help="Print what was published beside what was measured.")
@click.option("--inflation", is_flag=True, help="Print where a gain goes, leak by leak; after run --inflation.")
@click.option("--growth", is_flag=True, help="Print gains by training size, and what they are worth in patients.")
@click.option("--plot", type=click.Path(path_type=Path), help="Also draw one of these two: FILE.svg, .png or .pdf.")
@plugin_options
def leaderboard(
    study_name: str | None,
    results: Path,
    form: str,
    wide: bool,
    plain: bool,
    against: str | None,
    inflation: bool,
    growth: bool,
    plot: Path | None,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> None:
    """Print the leaderboard of the latest run of STUDY, or of any study."""
    if sum(map(bool, (against, inflation, growth))) > 1:
        raise UsageError("--against, --inflation and --growth are tables of their own; give one of them.")
    if plot and not (inflation or growth):
        raise UsageError("--plot draws where a gain goes, or gains by training size; add --inflation or --growth.")
    store, record = open_record(results, study_name, suffix=SUFFIX if inflation else "")
    further = wide or form in ("csv", "json")
    asks = further or against  # a published figure may be one of a plugin's metric
    metrics = load_catalogue(plugin_folders, plugin_switches).items("metric") if asks else None
    built = boards(store, record, wide=further, metrics=metrics)
    plain = plain or not can_draw_trees(sys.stdout)
    if inflation:
        found = inflations(built)
        click.echo(render_inflation(found, form, plain=plain))
        if plot:
            from medbench.plots.inflation import draw

            _draw(found, plot, draw)
    elif growth:
        by_size = growths(built)
        if not by_size:
            name = clean(record["study"]["name"])
            raise UsageError(f"{name}: trains on one size only; name two protocols such as official[patients=50].")
        click.echo(render_growth(by_size, form, plain=plain))
        if plot:
            from medbench.plots.learning_curves import draw as draw_growth

            _draw(by_size, plot, draw_growth)
    elif against:
        click.echo(render_comparison(compare(built), form, plain=plain))
    else:
        click.echo(render_all(built, form, wide=wide, plain=plain))


def _draw(found: list[T], path: Path, draw: Callable[[T], Figure]) -> None:
    """Write the figure of every data set; the second and later ones under a numbered name."""
    form = form_of(path)
    for number, one in enumerate(found, start=1):
        target = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
        try:
            target.write_bytes(written(draw(one), form))
        except OSError as error:
            raise UsageError(f"{target}: cannot be written ({error.strerror}); give another --plot.") from None


def open_record(results: Path, study_name: str | None, *, suffix: str = "") -> tuple[Store, dict[str, Any]]:
    """Open a store and the newest record of a study in it.

    Args:
        results: Folder of the store.
        study_name: Name or file; None for the newest of all.
        suffix: What the names of wanted records end with.

    Raises:
        StoreError: If the store does not exist or a record is damaged.
        UsageError: If the study was never run there.
    """
    store = Store(results, create=False)
    stem = (glob.escape(_named(study_name).removesuffix(suffix)) if study_name else "*") + suffix
    plans = [path for path in record_files(store) if path.parent.name == PLANS]
    found = sorted((p for p in plans if p.match(f"{stem}-????????.json")), key=lambda p: p.stat().st_mtime)
    if not found:
        known = sorted({p.stem[:-9] for p in plans})
        raise UsageError(
            f"{results}: no run of {(study_name or 'any study')}{suffix} here; there are: {', '.join(known) or 'none'}."
        )
    try:
        return store, sealed_records.read(found[-1])[0]
    except (sealed_records.Damaged, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error).removeprefix(f"{found[-1].name} ")
        raise StoreError(
            f"{found[-1]}: is damaged ({why}); run `medbench store repair` and the study again, results are not lost."
        ) from None


def _named(study_name: str) -> str:
    """Return what a study is called: a file of one may say so itself."""
    path = Path(study_name)
    if path.suffix != ".toml":
        return study_name
    return study.read(path).name if path.is_file() else path.stem


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
