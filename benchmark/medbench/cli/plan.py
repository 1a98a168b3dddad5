"""``medbench plan``: what a run would do, and what it could see."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from medbench.api.terminal_progress import Display
from medbench.cli.shared_options import read_request, study_options, time_limit_option, where_options
from medbench.errors import UsageError
from medbench.planning.stored_part import count_stored
from medbench.running.resources import Resources, choose_workers
from medbench.running.study_run import MANY_TRIALS, plan_study
from medbench.running.time_limit import fit_to_limit, forecast
from medbench.tables.plan_text import facts, lines
from medbench.tables.writers.terminal import screen_of

SLURM = """\
#!/bin/bash
#SBATCH --job-name=medbench
#SBATCH --array=1-{parts}
#SBATCH --cpus-per-task=4
#SBATCH --gpus-per-task=1
#SBATCH --time=24:00:00
# Every part fills a store of its own on the node's disk and copies it into the common one when it ends: the union of
# stores is a store. A part that is cut off is submitted again and goes on from what it copied.
set -u
store="${{SLURM_TMPDIR:-/tmp}}/medbench-$SLURM_ARRAY_JOB_ID-$SLURM_ARRAY_TASK_ID"
mkdir -p {results} && cp -r {results} "$store"
medbench run {arguments} --results "$store" --shard "$SLURM_ARRAY_TASK_ID/{parts}"
status=$?
cp -rn "$store"/. {results}/
exit $status"""


@click.command(short_help="Say what a run would do, and what gain it can detect.")
@study_options
@where_options
@time_limit_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--yes", is_flag=True, help=f"Work out more than {MANY_TRIALS:,} training runs.")
@click.option("--sbatch", type=click.IntRange(1, 10_000), metavar="N", help="Print a SLURM job of N parts instead.")
def plan(
    workers: int | None, workers_per_gpu: int | None, device: str, executor: str, as_json: bool, yes: bool,
    sbatch: int | None, **options: Any,
) -> None:  # fmt: skip
    """Say which training runs a study has, how long they take, and what gain they can detect; train nothing.

    Synthetic test images are drawn if they are needed, nothing else is written.
    """
    request = read_request(**options)
    if sbatch is not None:
        if options["time_limit"]:
            raise UsageError("--sbatch: parts have no common --time-limit; give the fitted steps with --budget.")
        click.echo(_slurm_job(sbatch, sys.argv[2:], request.results))
        return
    resources = Resources(workers, device, executor, workers_per_gpu=workers_per_gpu)
    jobs = choose_workers(resources, request.catalogue, request.study.spending)
    most = None if yes else MANY_TRIALS
    with Display() as display:
        planned, fitted = fit_to_limit(plan_study(request, display, most=most), request, jobs, most=most)
    stored = count_stored(planned, request.results)
    timed = forecast(planned, stored.store, request, jobs)
    if as_json:
        click.echo(json.dumps(facts(planned, stored, timed), indent=1))
        return
    screen = screen_of(sys.stdout)
    for line in lines(planned, stored, timed, fitted=fitted, start=_start(sys.argv[2:]), screen=screen):
        click.echo(line)


def _start(arguments: list[str]) -> str:
    """Return the command that runs what was planned."""
    return shlex.join(["medbench", "run", *(word for word in arguments if word not in ("--yes", "--json"))])


def _slurm_job(parts: int, arguments: list[str], results: Path) -> str:
    kept, skip = [], False
    for word in arguments:
        if skip or word.startswith(("--sbatch=", "--results=")):
            skip = False
        elif word in ("--sbatch", "--results"):
            skip = True
        else:
            kept.append(shlex.quote(word))
    return SLURM.format(parts=parts, arguments=" ".join(kept), results=shlex.quote(str(results)))
