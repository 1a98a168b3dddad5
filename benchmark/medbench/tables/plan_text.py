"""A plan as text and as plain values: what a run would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from medbench.data.describe import DatasetDescription
from medbench.planning.arm_names import arm_name, branch_name, left_out
from medbench.planning.arms import Arm, is_primary
from medbench.planning.double_steps_trials import count_double_steps
from medbench.planning.leak_staircase import arms_under
from medbench.planning.plan import Plan
from medbench.planning.seed_block import SEEDS
from medbench.planning.stage_plan import StageJob, name_stages
from medbench.planning.stored_part import StoredPart
from medbench.planning.time_forecast import Timing
from medbench.protocols.protocol import EvaluationProtocol, protocol
from medbench.registry.display_names import classifier_name, method_name
from medbench.registry.recipes import parse
from medbench.statistics.verdicts import FEWEST_RARE, LEAK_NAMES
from medbench.tables.board_notes import count_patients, without_command
from medbench.tables.board_table import dropped_text
from medbench.tables.plan_cost import cost_facts, cost_lines
from medbench.tables.plan_outlook import (
    data_name,
    outlook_lines,
    patients_of_class,
    planned_design,
    primary_line,
    tested_samples,
    unit_of_plan,
)
from medbench.tables.wording import FEW_STEPS, SYNTHETIC
from medbench.tables.writers.terminal import PIPE, Screen, under
from medbench.text import clean, counted, listed, of_class

MOST_NAMED = 2
SHARED = " (shared by all runs that need them)"


def facts(plan: Plan, stored: StoredPart, timed: Timing) -> dict[str, Any]:
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
        "steps": {key: value for key, value in plan.study.budget.model_dump().items() if key.endswith("steps")},
        "generator_steps": {job.stage: job.steps for job in _generators(plan)},
        "fitted": plan.study.fitted.model_dump() if plan.study.fitted is not None else None,
        "forecast": cost_facts(timed),
    }


def lines(
    plan: Plan, stored: StoredPart, timed: Timing, *, fitted: str = "", start: str = "", screen: Screen = PIPE
) -> Iterator[str]:
    """Yield the lines of a plan: the question, its size, what it can detect, its methods, warnings, how to start.

    Args:
        plan: What would be run.
        stored: What of it is stored already.
        timed: What it takes.
        fitted: What is said of steps that were fitted to a time limit.
        start: The command that runs it; "" leaves the last line out.
        screen: What a terminal can show.
    """
    yield from under([f"Plan: {_question(plan)}"], screen.width)
    for source in plan.sources:
        classes = ", ".join(
            of_class(n, clean(c)) for n, c in zip(source.class_patients, source.samples.classes, strict=True)
        )
        column = _patient_column(source)
        yield from under([f"{data_name(source)}: {count_patients(source.facts())}{column} ({classes})"], screen.width)
        yield from under(_no_verdict(plan, source), screen.width)
    yield from under([_size(plan, stored), *[fitted] * bool(fitted), *cost_lines(plan, stored, timed)], screen.width)
    for source in plan.sources:
        protocols = dict.fromkeys(plan.study.protocols)
        for text in sorted(protocols, key=lambda text: not protocol(text).is_honest):
            if not any((o.dataset, o.protocol) == (source.text, text) for o in plan.skipped):
                yield from _boards(plan, source, text, timed, screen)
    yield from ("", " Methods, each compared with the one above it:")
    for source in plan.sources[:1] if _same_methods(plan) else plan.sources:
        if not _same_methods(plan):
            yield from under([f"{data_name(source)}:"], screen.width)
        yield from (f"   {line}" for line in _tree(plan.arms[source.text]))
    yield from _remarks(plan, screen)
    if start:
        yield from ("", f" Start:  {start}")


def _patient_column(source: DatasetDescription) -> str:
    """Name the column of a table that says who is a patient; "" where it is none, or a pattern."""
    column = dict(parse(source.text.removeprefix("phantom:")).parameters).get("patient", "")
    return f", patients by column {clean(column)}" if column and "(" not in column else ""


def _no_verdict(plan: Plan, source: DatasetDescription) -> list[str]:
    """Say what rules a verdict out whatever is run: too few patients of a class; nothing where none is."""
    rules = [protocol(text) for text in plan.study.protocols]
    tested = [tested_samples(source, rule) for rule in rules if rule.is_honest]
    if not tested:
        return []
    patients = max((patients_of_class(samples) for samples in tested), key=min)
    if min(patients) >= FEWEST_RARE:
        return []
    few = [f"{n} of {clean(name)}" for n, name in zip(patients, source.samples.classes, strict=True) if n < FEWEST_RARE]
    unit = unit_of_plan(source)
    return [
        f"No verdict possible: a verdict needs {FEWEST_RARE} {unit} of every class to test, and there are "
        f"{listed(few)}. Add {unit}, or join or drop those classes; a run gives gains and intervals all the same."
    ]


def _question(plan: Plan) -> str:
    # A classifier that claims something itself is what is asked about, with the same augmenter in all rows.
    asked = dict.fromkeys(
        classifier_name(a.classifier) if a.over else method_name(a.augmenter)
        for arms in plan.arms.values()
        for a in arms
        if a.asked
    )
    names = [f'"{name}"' for name in asked]
    if plan.study.staircase:
        return "where does the published gain come from?"
    if len(names) > MOST_NAMED:
        return f"which of {len(names)} methods helps?"
    return f"{'does' if len(names) == 1 else 'do'} {listed(names)} help?" if names else "how good is it?"


def _size(plan: Plan, stored: StoredPart) -> str:
    parts = [counted(len(plan.trials), "training run")]
    if at_last := count_double_steps(plan):
        parts.append(f"{at_last:,} at last for --check-steps")
    parts += name_stages(plan.stages.values(), train=f" to train{SHARED}", compute=" to compute, once for all")
    said = listed(parts)
    if stored.trials is None:
        return f"{said}. Nothing has been run yet; the images are not decoded yet."
    if not stored.trials and not stored.stages:
        return f"{said}. Nothing has been run yet."
    if stored.trials == len(plan.trials):
        return f"{said}. All training runs are stored already."
    return f"{said}. Of the training runs {stored.trials:,} {'is' if stored.trials == 1 else 'are'} stored already."


def _generators(plan: Plan) -> list[StageJob]:
    """Return the generators that are trained in steps."""
    return [job for job in plan.stages.values() if job.steps]


def _generator_steps(plan: Plan) -> str:
    """Say how many steps generators take, fewest and most where recipes name fewer than the budget."""
    steps = sorted({job.steps for job in _generators(plan)})
    if not steps:
        return ""
    return f", generators {f'{steps[0]:,} to ' if len(steps) > 1 else ''}{counted(steps[-1], 'step')}"


def _boards(plan: Plan, source: DatasetDescription, text: str, timed: Timing, screen: Screen) -> Iterator[str]:
    """Yield the design of each board under a protocol, with what it can detect where it may have a verdict."""
    rule = protocol(text)
    arms = arms_under(plan.study, text, plan.arms[source.text])
    keys = {arm.key for arm in arms}
    compared = Counter(arm.board or arm.classifier for arm in arms if arm.control and arm.control_key in keys)
    several = len(plan.sources) > 1
    for classifier in dict.fromkeys(arm.board or arm.classifier for arm in arms):
        on_board = {arm.key for arm in arms if (arm.board or arm.classifier) == classifier}
        of_board = (source.text, text, classifier)
        on_fewer = {(y.fewer, y.key) for y in plan.yardsticks if (y.dataset, y.protocol, y.board) == of_board}
        of_data = [(t, (t.augmenter, t.classifier)) for t in plan.trials if t.dataset == source.text]
        trials = [t for t, k in of_data if (t.protocol == text and k in on_board) or (t.protocol, k) in on_fewer]
        first = f"{data_name(source)}, " if several else ""
        design_said = f"{first}{classifier_name(classifier)}, {_design(plan, source, rule)}"
        said = f"{design_said}: {counted(len(trials), 'training run')}"
        yield ""
        if rule.leaks:
            leaks = ", ".join(LEAK_NAMES.get(leak, leak) for leak in sorted(rule.leaks))
            yield from under([f"LEAKY, so no verdict: {said} ({text}: {leaks})."], screen.width)
            continue
        yield from under([f"{said}.", *_further(plan, source, text, classifier, trials)], screen.width)
        if not compared[classifier]:
            yield from under(["No two methods are compared, so there will be no gain."], screen.width)
            continue
        whole = timed.whole / timed.at_a_time if timed.is_known else 0.0
        primary = any(is_primary(a, plan.study.primary) and a.key in on_board for a in arms)
        if primary and compared[classifier] > 1:
            yield from under([primary_line(plan.study, planned_design(plan, source, text, rule, 1))], screen.width)
        design = planned_design(plan, source, text, rule, compared[classifier] - bool(primary) or 1)
        yield from outlook_lines(design, worth=plan.study.worth, whole=whole, unit=unit_of_plan(source), screen=screen)


def _design(plan: Plan, source: DatasetDescription, rule: EvaluationProtocol) -> str:
    folds, repeats = rule.folds(plan.study.folds), plan.study.repeats
    seeds = f", {plan.study.seeds} seeds" if plan.study.seeds > 1 else ""
    seeds += f", train={rule.train}" if rule.train else ""
    seeds += f", {100 * rule.share:g} % of the patients" if rule.share < 1 else ""
    seeds += f", {counted(rule.patients, 'training patient')}" if rule.patients else ""
    seeds += dropped_text(rule, {"overlap": source.overlap})
    seeds += ", corrupted images tested too" if rule.corrupted else ""
    if folds == 1:
        split = f"tested on {_tested_name(source, rule)}" if rule.is_external else "official split"
        return f"{split} x {counted(repeats, 'repeat')}{seeds}"
    times = f" repeated {repeats} times" if repeats > 1 else ""
    return f"{folds}-fold cross-validation{times}{seeds}"


def _tested_name(source: DatasetDescription, rule: EvaluationProtocol) -> str:
    other = source.tested[rule.test]
    return f"{data_name(other)} ({count_patients(other.facts())})"


def _further(plan: Plan, source: DatasetDescription, text: str, classifier: str, trials: list[Any]) -> Iterator[str]:
    """Yield what is trained beside the comparisons."""
    study, rule = plan.study, protocol(text)
    folds = rule.folds(study.folds)
    for y in plan.yardsticks:
        if (y.dataset, y.protocol, y.board) == (source.text, text, classifier):
            n = (len(y.more) + y.seeds) * folds * study.repeats
            yield (
                f"Of these, {n} of {method_name(y.augmenter)} show how much other seeds and fewer patients change, up "
                f"to {y.trainings} networks averaged."
            )
    if in_block := {(t.augmenter, t.classifier) for t in trials if t.stage_seed != t.seed}:
        n, each = len(SEEDS), len(SEEDS) ** 2 * len(in_block)
        yield f"Of these, {each} of one fold take {n} generator seeds x {n} classifier seeds for each method."
    if study.check_steps and count_double_steps(plan):
        n, steps = 2 * folds * study.repeats * study.seeds, 2 * study.budget.steps
        yield f"At last {n} more train the best method and the one above it for {steps:,} steps."


def _same_methods(plan: Plan) -> bool:
    """Say whether every data set runs the same methods with the same classifiers."""
    return len({tuple((a.key, a.control_key) for a in arms) for arms in plan.arms.values()}) <= 1


def _tree(arms: tuple[Arm, ...]) -> Iterator[str]:
    """Yield the methods, each below the one it is compared with; once where classifiers share them."""
    over = {arm.key for arm in arms if arm.over}  # compared over another classifier: no board shares these

    def node(augmenter: str, classifier: str) -> tuple[str, str]:
        return augmenter, classifier if (augmenter, classifier) in over else ""

    first = list({(*node(*a.key), a.control): a for a in reversed(arms)}.values())[::-1]
    known = {node(*arm.key) for arm in first}

    def above(arm: Arm) -> tuple[str, str] | None:
        parent = node(*arm.control_key)
        return parent if arm.control and parent in known and parent != node(*arm.key) else None

    def walk(parent: tuple[str, str] | None, before: str, depth: int) -> Iterator[str]:
        siblings = [arm for arm in first if above(arm) == parent and not arm.plain]
        for arm in siblings:
            is_last = arm is siblings[-1]
            stem = f"{before}{'└ ' if is_last else '├ '}" if depth else ""
            note = "" if arm.control else " (reference)"
            if arm.control and above(arm) is None:
                note = f" (to be compared with {method_name(arm.control)}, which is not run)"
            name = branch_name(arm) if above(arm) else arm_name(arm)
            yield f"{stem}{name}{note}"
            yield from walk(node(*arm.key), f"{before}{'  ' if is_last else '│ '}" if depth else "", depth + 1)

    yield from walk(None, "", 0)
    yield from (branch_name(arm) for arm in first if arm.plain)


def _remarks(plan: Plan, screen: Screen) -> Iterator[str]:
    """Yield warnings, what is left out, the budget, and what readers found odd."""
    study, budget = plan.study, plan.study.budget
    said = [SYNTHETIC] * any(source.text.startswith("phantom:") for source in plan.sources)
    names = {f"{source.text}: ": f"{data_name(source)}: " if len(plan.sources) > 1 else "" for source in plan.sources}
    for warning in plan.warnings:
        prefix = next((text for text in names if warning.startswith(text)), "")
        said.append(f"Warning: {names.get(prefix, '')}{without_command(warning.removeprefix(prefix))}")
    said += [f"Left out, {left_out(skip)}: {skip.reason}" for skip in plan.skipped]
    if study.check_steps and not count_double_steps(plan):
        said.append("--check-steps adds nothing here: no two methods are compared under a protocol that does not leak.")
    if study.seed_block and not any(trial.stage_seed != trial.seed for trial in plan.trials):
        said.append("--seed-block adds nothing here: no method that was asked for fits a generator and is compared.")
    said.append(
        f"Budget: {counted(budget.steps, 'training step')} with {budget.batch} images each{_generator_steps(plan)}."
    )
    if budget.tries > 1:
        said.append(
            f"Equal tuning: each training run tries {budget.tries} configurations of its method on three quarters of "
            f"its training part and trains the best on all of it, {budget.tries + 1} trainings in place of one; "
            "generators are trained once more, on those three quarters."
        )
    if budget.steps <= FEW_STEPS:
        said.append("So few steps teach a network little: the numbers show that everything works, and nothing else.")
    if not all(source.is_decoded for source in plan.sources):
        said.append(
            "What tells the classes apart without the disease, and which images are there twice, is known once the "
            "images are decoded: by `medbench audit`, or when the run starts."
        )
    for source in plan.sources:
        of_data = f" on {data_name(source)}" if len(plan.sources) > 1 else ""
        said += [f"Note{of_data}: {note.rstrip('.')}." for note in source.notes]
    if study.about:
        said.append(study.about)
    said.append("What a word means: medbench glossary WORD.")
    yield ""
    yield from under(said, screen.width)
