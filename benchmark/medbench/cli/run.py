"""``medbench run``: what a study lacks in its store is run, then the results are printed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from medbench.analyses.learning_curves import find_learning_curves
from medbench.api.results import Results, Table
from medbench.api.terminal_progress import Display
from medbench.cli.shared_options import (
    given_results,
    known_places,
    read_request,
    study_options,
    time_limit_option,
    where_options,
)
from medbench.errors import UsageError
from medbench.planning.study import Study
from medbench.running.outcome import check_not_interrupted, exit_code
from medbench.running.resources import Resources
from medbench.running.study_run import MANY_TRIALS, run_study
from medbench.tables.answer import next_steps
from medbench.tables.board_notes import without_number
from medbench.tables.board_table import step_lines
from medbench.tables.document import FORMATS
from medbench.tables.plan_outlook import detectable
from medbench.tables.writers.terminal import screen_of
from medbench.text import clean


# One parameter per option of the command line.
@click.command(short_help="Train and test the methods of a study, and print the results.")
@study_options
@where_options
@time_limit_option
@click.option(
    "--limit",
    "limit_s",
    type=click.FloatRange(1),
    default=24 * 3600.0,
    help="Most seconds that a training run or a generator may take; a day by default.",
)
@click.option("--shard", default="1/1", metavar="I/N", help="Run only the I-th of N parts, as on a cluster.")
@click.option("--retry-failed", is_flag=True, help="Try training runs again that failed.")
@click.option("--yes", is_flag=True, help=f"Run more than {MANY_TRIALS:,} training runs without asking.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="table", show_default=True, help="What is printed."
)
@click.option("--wide", is_flag=True, help="More columns and notes, with names as commands take them.")
def run(
    workers: int | None,
    workers_per_gpu: int | None,
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
    """Train and test the methods of STUDY, or those that the options name, and print the results.

    STUDY is a file or a name; without one and without -d it is the quickstart. The same command again goes on after
    an interruption; nothing that is stored is run again.
    """
    part = _shard(shard)
    if options["time_limit"] and part != (1, 1):
        raise UsageError(
            "--time-limit: parts of a run would fit their steps each for itself; fit them once with `medbench plan "
            "--time-limit`, and give every part its --budget steps=...,generator_steps=...."
        )
    request = read_request(**options)
    resources = Resources(workers, device, executor, limit_s, workers_per_gpu)
    with Display() as display:
        ran = run_study(
            request, display, resources,
            shard=part, retry_failed=retry_failed, most=None if yes else MANY_TRIALS,
            before=detectable,
        )  # fmt: skip
    found = Results(ran.store, ran.plan.record(), lambda: request.catalogue)
    if not (wide and form == "table"):  # which says it beside its numbers
        for sentence in without_number(found.built(further=wide or form in ("csv", "json"))):
            click.echo(f"note: {clean(sentence)}", err=True)
    screen = screen_of(sys.stdout)
    for number, table in enumerate(_tables(ran.plan.study, found, form)):
        click.echo("\n" * bool(number) + found.write(form, which=table, wide=wide, **asdict(screen)))
    if form == "table":
        places, plugins = known_places(ran.store, found.record), [str(folder) for folder in options["plugin_folders"]]
        built = found.built(further=False, metrics=False)
        steps = next_steps(
            built, file=places.file, data=places.data, plugins=plugins, results=given_results(request.results)
        )
        click.echo("\n" + "\n".join(step_lines(steps, screen)))
    check_not_interrupted(ran.summaries)
    return exit_code(ran.summaries)


def _tables(study: Study, found: Results, form: str) -> Iterator[Table]:
    """Yield the tables that end a run; one document for programs."""
    if study.staircase:
        yield "inflation"
        return
    yield "gains"
    if form not in ("csv", "json"):
        if study.published:
            yield "published"
        if find_learning_curves(found.built(further=False, metrics=False)):
            yield "growth"


def _shard(text: str) -> tuple[int, int]:
    part, slash, parts = text.partition("/")
    numbers = all(re.fullmatch(r"[0-9]{1,6}", text) for text in (part, parts))
    if not slash or not numbers or not 1 <= int(part) <= int(parts):
        raise UsageError(f"--shard {text}: write I/N with I from 1 to N, as in 2/8.")
    return int(part), int(parts)
