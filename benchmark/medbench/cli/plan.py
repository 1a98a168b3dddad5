"""``medbench plan``: what a run would do, and what it could see."""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from medbench.cli.display import Display
from medbench.cli.options import read_request, study_options
from medbench.planning.matrix import Plan
from medbench.planning.seed_block import SEEDS
from medbench.planning.time_forecast import Timing, spoken, timing
from medbench.protocols.protocol import protocol
from medbench.running.study_run import MANY_TRIALS, check_recipes, prepare
from medbench.samples import Samples
from medbench.statistics.power import outlook
from medbench.store.store import MARK, Store
from medbench.text import WIDTH, counted, wrapped

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


@click.command(short_help="Say what a run would do; spend nothing.")
@study_options
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--yes", is_flag=True, help=f"Work out more than {MANY_TRIALS:,} trials.")
@click.option("--sbatch", type=click.IntRange(1, 10_000), metavar="N", help="Print a SLURM job of N parts instead.")
def plan(as_json: bool, yes: bool, sbatch: int | None, **options: Any) -> None:
    """Say which trials a study has, which stages they share, and what is stored already; train nothing.

    Phantoms are drawn if they are needed, nothing else is written.
    """
    request = read_request(**options)
    if sbatch is not None:
        click.echo(_slurm_job(sbatch, sys.argv[2:], request.results))
        return
    with Display() as display:
        made = prepare(request, display, decode=False, most=None if yes else MANY_TRIALS)
        check_recipes(made, request)
    there = (request.results / MARK).is_file() or request.results.is_file()
    store = Store(request.results, create=False) if there else None
    known = all(source.is_decoded for source in made.sources)
    hits = sum((store.place(t) / "result.json").is_file() for t in made.trials) if store and known else 0
    stored = sum(store.stage_folder(key) is not None for key in made.stages) if store and known else 0
    facts = {
        "trials": len(made.trials),
        "stored": hits if known else None,
        "stages": len(made.stages),
        "stages_stored": stored if known else None,
        "arms": {name: [arm.augmenter + " / " + arm.classifier for arm in arms] for name, arms in made.arms.items()},
        "skipped": [[s.dataset, s.augmenter, s.classifier, s.reason, s.protocol] for s in made.skipped],
        "warnings": list(made.warnings),
        "sources": [source.facts() for source in made.sources],
    }
    if as_json:
        click.echo(json.dumps(facts, indent=1))
        return
    timed = timing(made, store if known else None)
    for source in made.sources:
        classes = ", ".join(f"{n} {c}" for n, c in zip(source.class_patients, source.samples.classes, strict=True))
        patients = len(set(source.samples.patients.tolist()))
        for line in wrapped(
            f"{source.text}   {counted(len(source.samples), 'image')}, {counted(patients, 'patient')}: {classes}"
        ):
            click.echo(line[1:])
        for note in source.notes:
            _row("note", note)
        for arm in made.arms[source.text]:
            under = f" under {arm.control}" if arm.control else ""
            _row("arm", f"{arm.augmenter} / {arm.classifier}{under}")
    for word, line in _sight(made, timed):
        _row(word, line)
    _row("time", _time(timed))
    s = made.study
    folds = {t.folds for t in made.trials}
    cuts = ["official cut"] * (1 in folds) + [counted(n, "fold") for n in sorted(folds) if n > 1]
    click.echo(f"design      {' or '.join(cuts)} x {counted(s.repeats, 'repeat')} x {counted(s.seeds, 'seed')}")
    click.echo(f"trials      {len(made.trials)}" + (f", {hits} stored already" if known else ", data not decoded yet"))
    click.echo(
        f"generators  {counted(len(made.stages), 'shared fit')}" + (f", {stored} stored already" if known else "")
    )
    b = s.budget
    click.echo(
        f"budget      {counted(b.steps, 'step')} of {b.batch}, generators at most {counted(b.generator_steps, 'step')}"
    )
    for skip in made.skipped:
        _row("skipped", f"{skip.protocol or f'{skip.augmenter} / {skip.classifier}'}: {skip.reason}", indent="")
    for warning in made.warnings:
        _row("warning", warning, indent="")


def _row(word: str, text: str, indent: str = "  ") -> None:
    """Print a word and what stands behind it, in 80 columns; a title has no word."""
    for number, line in enumerate(wrapped(text, WIDTH - (12 if word else 1))):
        click.echo(f"{indent}{'' if number else word}".ljust(12) + line.strip() if word else line[1:])


def _time(timed: Timing) -> str:
    if not timed.timed:
        return "not known before the first trials are stored: plan says it then"
    more = f", and {timed.unknown} trials and fits never timed" if timed.unknown else ""
    return (
        f"{spoken(timed.whole)} one job at a time, {spoken(timed.left)} of it left{more} "
        f"(from {timed.timed} stored trials)"
    )


def _sight(plan: Plan, timed: Timing) -> Iterator[tuple[str, str]]:
    """Yield the design of each board, what it sees and what others would see, as words and lines."""
    whole = timed.whole if timed.timed and not timed.unknown else 0.0

    def price(cost: float) -> str:
        return f"in {spoken(cost * whole)}" if whole else f"at {cost:.2g}x"

    for source in plan.sources:
        for text in dict.fromkeys(plan.study.protocols):
            rule = protocol(text)
            if not rule.is_honest or any((o.dataset, o.protocol) == (source.text, text) for o in plan.skipped):
                continue
            s = source.samples
            tested = s.take(s.parts == "test") if rule.name == "official" and s.parts is not None else s
            patients = _of_class(tested)
            on = next((t.patients for t in plan.trained_on if (t.dataset, t.protocol) == (source.text, text)), 0.0)
            pool = _of_class(s.take(s.parts == "train")) if s.parts is not None else patients
            trained = [n * on / max(1, sum(pool)) for n in pool]
            boards_ = Counter(arm.board for arm in plan.arms[source.text] if arm.control)
            for classifier, comparisons in boards_.items():
                folds, repeats = rule.folds(plan.study.folds), plan.study.repeats
                cut = f"{f'{folds} folds' if folds > 1 else 'official cut'} x {counted(repeats, 'repeat')}"
                mine = {arm.key for arm in plan.arms[source.text] if arm.board == classifier}
                of_board = [
                    t
                    for t in plan.trials
                    if (t.dataset, t.protocol) == (source.text, text) and (t.augmenter, t.classifier) in mine
                ]
                trials = [t for t in of_board if t.seed < plan.study.seeds and t.stage_seed == t.seed]
                fits = {key for t in trials for key in plan.stages_of[t.id]}
                yield "", f"{source.text}, {classifier}, {text}"
                yield (
                    "design",
                    f"{cut}, {counted(len(mine), 'arm')}, {classifier}: {counted(len(trials), 'training')}, "
                    f"{counted(len(fits), 'generator')}",
                )
                for y in plan.yardsticks:
                    if (y.dataset, y.protocol, y.board) == (source.text, text, classifier):
                        n = (len(y.more) + y.seeds) * folds * repeats
                        yield "further", f"{n} trainings of {y.augmenter} as yardsticks, up to {y.trainings} averaged"
                if in_block := {(t.augmenter, t.classifier) for t in of_board if t.stage_seed != t.seed}:
                    n, each = len(SEEDS), len(SEEDS) ** 2 * len(in_block)
                    yield "further", f"{each} trainings of one fold, {n} generator seeds x {n} classifier seeds an arm"
                if plan.study.check_steps:
                    n, steps = 2 * folds * repeats * plan.study.seeds, 2 * plan.study.budget.steps
                    yield "check", f"at last {n} trainings at {steps:,} steps: the best arm and its control"
                yield from outlook(
                    patients, folds=folds, repeats=repeats, comparisons=comparisons, price=price, trained=trained
                )


def _of_class(samples: Samples) -> list[int]:
    """Return how many patients each class has."""
    return [len(set(samples.patients[samples.labels == k].tolist())) for k in range(len(samples.classes))]


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
