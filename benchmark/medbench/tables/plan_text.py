"""A plan as text and as plain values: what a run would do, and what it could see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from medbench.data.describe import DatasetDescription
from medbench.planning.plan import Plan
from medbench.planning.seed_block import SEEDS
from medbench.planning.stored_part import StoredPart
from medbench.planning.time_forecast import Timing, duration_text, forecast_time
from medbench.protocols.protocol import protocol
from medbench.samples import Samples
from medbench.statistics.power import PlannedDesign, outlook
from medbench.text import WIDTH, counted, wrapped


def facts(plan: Plan, stored: StoredPart) -> dict[str, Any]:
    """Return a plan as JSON values."""
    return {
        "trials": len(plan.trials),
        "stored": stored.trials,
        "stages": len(plan.stages),
        "stages_stored": stored.stages,
        "arms": {name: [arm.augmenter + " / " + arm.classifier for arm in arms] for name, arms in plan.arms.items()},
        "skipped": [[s.dataset, s.augmenter, s.classifier, s.reason, s.protocol] for s in plan.skipped],
        "warnings": list(plan.warnings),
        "sources": [source.facts() for source in plan.sources],
    }


def lines(plan: Plan, stored: StoredPart) -> Iterator[str]:
    """Yield the lines of a plan, for a terminal of 80 columns."""
    timed = forecast_time(plan, stored.store)
    for source in plan.sources:
        yield from _data(plan, source)
    for word, line in _sight(plan, timed):
        yield from _row(word, line)
    yield from _row("time", _time(timed))
    yield from _size(plan, stored)
    for skip in plan.skipped:
        yield from _row("skipped", f"{skip.protocol or f'{skip.augmenter} / {skip.classifier}'}: {skip.reason}", "")
    for warning in plan.warnings:
        yield from _row("warning", warning, "")


def _data(plan: Plan, source: DatasetDescription) -> Iterator[str]:
    classes = ", ".join(f"{n} {c}" for n, c in zip(source.class_patients, source.samples.classes, strict=True))
    patients = counted(len(set(source.samples.patients.tolist())), "patient")
    for line in wrapped(f"{source.text}   {counted(len(source.samples), 'image')}, {patients}: {classes}"):
        yield line[1:]
    for note in source.notes:
        yield from _row("note", note)
    for arm in plan.arms[source.text]:
        under = f" under {arm.control}" if arm.control else ""
        yield from _row("arm", f"{arm.augmenter} / {arm.classifier}{under}")


def _size(plan: Plan, stored: StoredPart) -> Iterator[str]:
    study, budget = plan.study, plan.study.budget
    folds = {t.folds for t in plan.trials}
    cuts = ["official cut"] * (1 in folds) + [counted(n, "fold") for n in sorted(folds) if n > 1]
    seeds = counted(study.seeds, "seed")
    yield f"design      {' or '.join(cuts)} x {counted(study.repeats, 'repeat')} x {seeds}"
    known = ", data not decoded yet" if stored.trials is None else f", {stored.trials} stored already"
    yield f"trials      {len(plan.trials)}{known}"
    known = "" if stored.stages is None else f", {stored.stages} stored already"
    yield f"generators  {counted(len(plan.stages), 'shared fit')}{known}"
    steps = counted(budget.generator_steps, "step")
    yield f"budget      {counted(budget.steps, 'step')} of {budget.batch}, generators at most {steps}"


def _row(word: str, text: str, indent: str = "  ") -> Iterator[str]:
    """Yield a word and what stands behind it, in 80 columns; a title has no word."""
    for number, line in enumerate(wrapped(text, WIDTH - (12 if word else 1))):
        yield f"{indent}{'' if number else word}".ljust(12) + line.strip() if word else line[1:]


def _time(timed: Timing) -> str:
    if not timed.timed:
        return "not known before the first trials are stored: plan says it then"
    more = f", and {timed.unknown} trials and fits never timed" if timed.unknown else ""
    return (
        f"{duration_text(timed.whole)} one job at a time, {duration_text(timed.left)} of it left{more} "
        f"(from {timed.timed} stored trials)"
    )


def _sight(plan: Plan, timed: Timing) -> Iterator[tuple[str, str]]:
    """Yield the design of each board, what it sees and what others would see, as words and lines."""
    whole = timed.whole if timed.timed and not timed.unknown else 0.0

    def price(cost: float) -> str:
        return f"in {duration_text(cost * whole)}" if whole else f"at {cost:.2g}x"

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
                yield from outlook(PlannedDesign(patients, folds, repeats, comparisons, trained), price=price)


def _of_class(samples: Samples) -> list[int]:
    """Return how many patients each class has."""
    return [len(set(samples.patients[samples.labels == k].tolist())) for k in range(len(samples.classes))]
