"""Builds boards: from the record of a plan and stored trials to the tree of arms under their controls."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medbench.boards.arm_trials import BoardScores, find_seed_block, find_trials_of_arms, score_arms
from medbench.boards.board import Board, Row
from medbench.boards.board_plan import BoardPlan
from medbench.boards.double_steps_gain import DoubleStepsResult, score_double_steps
from medbench.boards.fair_gains import fair_gains, moved
from medbench.boards.gains import Design, Judged, Key, compare_with_controls
from medbench.boards.generator_health import count_copies
from medbench.boards.metric_columns import ON_EVERY_BOARD, ArmMetrics, CellMetrics
from medbench.boards.training_runs import RunKey, planned_beside, status_of_runs
from medbench.boards.yardstick_results import ControlResults, YardstickScorer
from medbench.data.external_test import tested_facts
from medbench.interfaces import Metric
from medbench.planning.arms import Arm, Checked, Skipped, TrainedOn
from medbench.planning.double_steps_trials import with_double_steps
from medbench.planning.leak_staircase import arms_under
from medbench.planning.study import Study
from medbench.planning.yardsticks import Yardsticks
from medbench.protocols.protocol import protocol
from medbench.registry.display_names import positive_class
from medbench.statistics.absolute_intervals import ranges_of
from medbench.statistics.further_measures import measures
from medbench.statistics.gain_intervals import rarest
from medbench.statistics.operating_points import operating_points
from medbench.statistics.pool_images_by_patient import units
from medbench.statistics.verdicts import Evidence
from medbench.store.stage_costs import FittedStages
from medbench.store.store import Store
from medbench.store.trial_files import Stored
from medbench.trial.metrics import UNDEFINED
from medbench.trial.score_keys import KEY_OF, score_of


def boards(
    store: Store,
    record: Mapping[str, Any],
    *,
    keep: Collection[Key] = (),
    wide: bool = False,
    fair: bool = False,
    metrics: Sequence[Metric] | None = None,
) -> list[Board]:
    """Build every board of a plan.

    Args:
        store: Where the results are.
        record: As :meth:`medbench.planning.plan.Plan.record` gives it.
        keep: Arms whose predictions stay in their rows; all others are dropped after scoring, to save memory.
        wide: Also compute the measures of wide tables, for which scikit-learn is imported.
        fair: Also compute what every row gains at a fair threshold, as `wide` does; those with a verdict of better are
            computed in any case.
        metrics: Every registered metric: rows get those of plugins, computed again from predictions where the stored
            number is missing or of other code. None leaves them out.
    """
    study = Study.model_validate(record["study"])
    further = None if metrics is None else CellMetrics(store.root, metrics)
    contents = _Contents(FittedStages(store), keep, wide, fair or wide, further)
    built = []
    for source in record["sources"]:
        arms = [Arm(**arm) for arm in record["arms"][source["dataset"]]]
        stored = _find_stored(store, record, source, arms, study)
        of_boards = dict.fromkeys(arm.board or arm.classifier for arm in arms)
        left_out = {s.get("protocol") for s in record["skipped"] if s["dataset"] == source["dataset"]}
        for text, classifier in itertools.product(study.protocols, of_boards):
            if text not in left_out:
                on_board = (a for a in arms_under(study, text, arms) if (a.board or a.classifier) == classifier)
                facts = tested_facts(source, protocol(text))
                plan = BoardPlan(study, facts, text, classifier, tuple(on_board), trained_on(record, source, text))
                built.append(_board(plan, record, stored, contents))
    if further is not None:
        further.save()
    return sorted(built, key=lambda board: bool(board.leaks))  # what can be believed stands first


@dataclass(frozen=True, eq=False)
class _Contents:
    """What rows hold besides scores and gains: costs of stages, cells of the arms in `keep`, measures, metrics."""

    stages: FittedStages
    keep: Collection[Key]
    wide: bool
    fair: bool
    further: CellMetrics | None


@dataclass(frozen=True, eq=False)
class _StoredTrials:
    """Stored trials of a data set: those of the study, those of checked arms at twice the steps, and how all ended."""

    rows: Sequence[Stored]
    longer: Sequence[Stored]
    status: Mapping[RunKey, str]


def _find_stored(
    store: Store, record: Mapping[str, Any], source: Mapping[str, Any], arms: Sequence[Arm], study: Study
) -> _StoredTrials:
    longer = with_double_steps(study).spending
    checked = [Checked(**c) for c in record.get("checked", ()) if c["dataset"] == source["dataset"]]
    at_twice = {
        (one.protocol, *key)
        for one in checked
        for arm in arms
        if arm.key == one.key
        for key in (arm.key, arm.control_key)
    }
    rows, repeated = list[Stored](), list[Stored]()

    @functools.cache
    def data_of(text: str) -> str:
        return str(tested_facts(source, protocol(text))["data"])

    for row in store.rows(source["dataset"]):
        t = row.trial
        if t.data == data_of(t.protocol):
            is_check = t.budget == longer and (t.protocol, t.augmenter, t.classifier) in at_twice
            (repeated if is_check else rows).append(row)
    return _StoredTrials(rows, repeated, status_of_runs(arms, study, [*rows, *repeated]))


def _board(plan: BoardPlan, record: Mapping[str, Any], stored: _StoredTrials, contents: _Contents) -> Board:
    source, study, folds = plan.source, plan.study, plan.folds
    rows = [row for row in stored.rows if row.trial.protocol == plan.protocol]
    trials = find_trials_of_arms(plan, rows)
    scored = score_arms(plan, trials, plan.arms)
    seen = {(r.trial.augmenter, r.trial.classifier, r.trial.budget) for r in rows if r.status == "done"}
    looks = sum(budget.tries for _, _, budget in seen)  # tries never saw what is tested, so verdicts count methods
    rare = min(source["class_patients"])
    leaks = tuple(sorted(plan.rule.leaks))
    unseen = max(0, len(seen) - sum(bool(of_arm.cells) for of_arm in trials.values()))
    tallies = {key: of_arm.tally(len(plan.cells)) for key, of_arm in trials.items()}
    design = Design(folds, study.repeats, study.worth, rare, plan.unit, leaks, unseen, plan.overlap, study.primary)
    compared = [arm for arm in plan.arms if arm.control_key in trials]
    gains = compare_with_controls(compared, scored.scores, tallies, design)
    rows_of = {arm.key: _row(arm, plan, scored, gains.get(arm.key), rows, contents) for arm in plan.arms}
    if plan.rule.is_honest:
        wanted = list(scored.scores) if contents.fair else moved(gains)
        fair = fair_gains(plan, scored, tallies, design, wanted)
        rows_of = {key: replace(row, fair=fair.get(key)) for key, row in rows_of.items()}
    tree = tuple(
        replace(rows_of[arm.key], depth=depth, last=last)
        for arm, depth, last in _tree(plan.arms, gains, ranked=plan.rule.is_honest)
    )
    plain = next((rows_of[arm.key] for arm in plan.arms if arm.plain), None)
    scorer = _yardsticks(plan, record, stored.rows, scored, [*tree, *([plain] if plain else [])], contents.stages)
    devices = sorted({str(s.cost["device"]) for f in trials.values() for s in f.cells.values()})
    return Board(
        source,
        plan.protocol,
        leaks,
        plan.classifier,
        study,
        tree,
        plain,
        tuple(_left_out(plan, record)),
        unit="patient" if scored.by_patient else "image",
        looks=looks,
        evidence=Evidence(
            folds,
            study.repeats,
            planned=len(plan.cells),
            settled=min((of_arm.finished for of_arm in trials.values()), default=0),
            rare=min(map(rarest, scored.scores.values()), default=rare),
            patients=source["patients"],
            unit=plan.unit,
            leaks=leaks,
            overlap=plan.overlap,
        ),
        device=", ".join(d.upper() if d == "cpu" else d for d in devices) or "CPU",
        warnings=tuple(w for w in record.get("warnings", ()) if w.startswith(f"{source['dataset']}: ")),
        yardsticks=scorer.score() if scorer else (),
        yardstick_trials=scorer.count_trials() if scorer else (0, 0, 0),
        beside={key: stored.status.get(key, "") for key in planned_beside(plan, record)},
        check=_check(plan, record, stored.longer, gains, by_patient=scored.by_patient),
        unseen=unseen,
        trained_on=plan.trained_on.patients if plan.trained_on else float("nan"),
    )


def _left_out(plan: BoardPlan, record: Mapping[str, Any]) -> Iterator[Skipped]:
    """Yield what was left out of a board's data set, but not the arms that another network of it lacks."""
    name = plan.source["dataset"]
    networks = {arm.get("board") or arm["classifier"] for arm in record["arms"][name]} - {plan.classifier}
    for skipped in record["skipped"]:
        if skipped["dataset"] == name and skipped["classifier"] not in networks:
            yield Skipped(**skipped)


def trained_on(record: Mapping[str, Any], source: Mapping[str, Any], text: str) -> TrainedOn | None:
    """Return what a plan's record says of the patients that a protocol trains on; None where it says nothing.

    Of an official cut, a record of before says nothing of what repeats share, which counts as all.
    """
    found = [t for t in record.get("trained_on", ()) if (t["dataset"], t["protocol"]) == (source["dataset"], text)]
    return TrainedOn(**{"overlap": 1.0, **found[0]}) if found else None


def _yardsticks(
    plan: BoardPlan,
    record: Mapping[str, Any],
    stored: Sequence[Stored],
    scored: BoardScores,
    rows: Sequence[Row],
    stages: FittedStages,
) -> YardstickScorer | None:
    """Return what scores the yardsticks of a board; None where none are planned."""
    arms = {arm.key: arm for arm in plan.arms}
    place = (plan.source["dataset"], plan.protocol, plan.classifier)
    every = [Yardsticks(**y) for y in record.get("yardsticks", ())]
    planned = [y for y in every if (y.dataset, y.protocol, y.board) == place and y.key in arms]
    if not planned:
        return None
    root = arms[planned[-1].key]
    own = next(row for row in rows if row.arm.key == root.key)
    dearest = max(row.seconds for row in rows) if all(row.complete for row in rows) else None
    control = ControlResults(
        root, scored.trials[root.key], scored.scores.get(root.key), own.seconds / plan.study.seeds, dearest
    )
    return YardstickScorer(planned[-1], plan, stored, scored.by_patient, control, stages)


def _check(
    plan: BoardPlan,
    record: Mapping[str, Any],
    longer: Sequence[Stored],
    gains: Mapping[Key, Judged],
    *,
    by_patient: bool,
) -> DoubleStepsResult | None:
    """Score the arm that is checked at twice the steps; None where none is."""
    keys = {arm.key for arm in plan.arms}
    every = [Checked(**c) for c in record.get("checked", ()) if c["dataset"] == plan.source["dataset"]]
    chosen = [c for c in every if (c.protocol, c.board) == (plan.protocol, plan.classifier) and c.key in keys]
    if not chosen:
        return None
    rows = [row for row in longer if row.trial.protocol == plan.protocol]
    before = gains.get(chosen[-1].key)
    return score_double_steps(chosen[-1], plan, rows, before.gain if before else None, by_patient=by_patient)


def best(board: Board) -> Row | None:
    """Return the arm whose range has the largest lower end; None if the protocol leaks or a cell is not finished."""
    if board.leaks or not all(row.complete for row in board.rows):
        return None
    known = [(row.gain.low, row.arm.key, row) for row in board.rows if row.gain is not None]
    return max(known, key=lambda found: found[:2])[2] if known else None


def _tree(
    arms: Sequence[Arm], gains: Mapping[Key, Judged], *, ranked: bool
) -> Iterator[tuple[Arm, int, tuple[bool, ...]]]:
    """Walk the tree of controls, children by the lower end of their gain, the best first; as planned if not ranked."""
    keys = {arm.key for arm in arms if not arm.plain}  # what stands on the plain arm is a root of its own

    def worst_gain(arm: Arm) -> tuple[float, Key]:
        found = gains[arm.key].gain if arm.key in gains else None
        return (-found.low if found else float("inf"), arm.key)

    def walk(parent: Key | None, depth: int, last: tuple[bool, ...]) -> Iterator[tuple[Arm, int, tuple[bool, ...]]]:
        children = [a for a in arms if not a.plain and (a.control_key if a.control_key in keys else None) == parent]
        if ranked:
            children.sort(key=worst_gain)
        for position, arm in enumerate(children):
            own = (*last, position == len(children) - 1)
            yield arm, depth, own
            yield from walk(arm.key, depth + 1, own)

    yield from walk(None, 0, ())


def _row(
    arm: Arm,
    plan: BoardPlan,
    scored: BoardScores,
    judged: Judged | None,
    rows: Sequence[Stored],
    contents: _Contents,
) -> Row:
    """Return the row of an arm, not yet at its place in the tree."""
    trials, tested, scores = scored.trials[arm.key], scored.tested[arm.key], scored.scores.get(arm.key)
    stored = list(trials.cells.values())
    keys = {key for one in stored for key in one.stages}
    row = Row(
        arm,
        0,
        (),
        planned=len(plan.cells),
        done=len(trials.cells),
        failed=len(trials.failed),
        skipped=len(trials.skipped),
        kinds=trials.failure_kinds,
        reasons=tuple(sorted({s.failure.message for s in trials.skipped.values() if s.failure})),
        superseded=trials.superseded,
        scores=scores,
        judged=judged,
        seconds=sum(float(s.cost["seconds"]) for s in stored) + contents.stages.seconds(keys),
        peak_mb=max((float(s.cost.get("peak_gpu_mb", s.cost["peak_mb"])) for s in stored), default=0.0),
        made=float(np.mean([s.counts.get("made", 0) for s in stored])) if stored else 0.0,
        scores_of_made=scores_of_made(stored),
        improving=_improving(stored),
        chosen=tuple(Counter(str(s.facts["chosen"]) for s in stored if "chosen" in s.facts).most_common()),
        collapsed=contents.stages.collapsed(keys),
        selection=contents.stages.selection(keys),
        extractor=next((str(s.scored["extractor"]) for s in stored if s.scored), ""),
        copied=count_copies((s.scores, int(s.scored.get("made", 0))) for s in stored),
        unmeasured=_missing_numbers(stored),
        has_watched=bool(stored) and all(one.has_watched for one in stored),
    )
    if contents.wide and scores is not None:
        ranges = ranges_of(scores, folds=plan.folds, overlap=plan.overlap) if plan.rule.is_honest else None
        positive = positive_class(plan.source["classes"], plan.study.positive, plan.source.get("positive", ""))
        points = operating_points(tested, positive) if positive is not None and plan.rule.is_honest else ()
        row = replace(row, measures=measures(tested, plan.n_classes), ranges=ranges, points=points)
    if contents.further is not None and scores is not None:
        row = _with_metrics(row, contents.further.of_arm(trials, tested, by_patient=scored.by_patient))
    if arm.key not in contents.keep:
        return row
    block = {
        seeds: units(one.predictions(), one.frequencies, by_patient=scored.by_patient)
        for seeds, one in find_seed_block(arm, rows, plan.study, plan.folds).items()
    }
    return replace(row, cells=tested, trials=trials.cells, block=block)


def _with_metrics(row: Row, found: ArmMetrics) -> Row:
    why = {f"metric {name}": word for name, word in found.why.items()}
    return replace(row, metrics=found.values, unmeasured={**row.unmeasured, **why})


def _missing_numbers(rows: Sequence[Stored]) -> dict[str, tuple[str, int]]:
    """Return why numbers of trials are missing and in how many cells, by ``metric NAME``, ``score NAME`` and so on.

    Metrics of plugins are left out, since rows have them of a board's own units. Of the metrics that boards compute for
    themselves, one that is not defined on a fold is not worth a word.
    """
    words: dict[str, list[str]] = {}
    for stored in rows:
        for name, why in stored.unmeasured.items():
            kind, _, metric = name.partition(" ")
            if kind != "metric" or (metric in ON_EVERY_BOARD and why != UNDEFINED):
                words.setdefault(name, []).append(why)
    found = {name: (of_it[0], len(of_it)) for name, of_it in sorted(words.items())}
    scored = sum(bool(stored.scored) for stored in rows)
    if len({s.scored.get("sha256") for s in rows if s.scored}) > 1:
        return found | {"scores": ("cells have them by different extractors; run the study again", scored)}
    mixed = {
        f"score {name}": ("cells have it of different code; run the study again", scored)
        for name in _scores_of_mixed_code(rows)
    }
    return found | dict(sorted(mixed.items()))


def _improving(rows: Sequence[Stored]) -> tuple[int, int]:
    known = [bool(s.facts["still_improving"]) for s in rows if "still_improving" in s.facts]
    return sum(known), len(known)


def scores_of_made(rows: Sequence[Stored]) -> dict[str, float]:
    """Return the mean of each score over the cells where it is defined.

    None where extractors differ: their features have nothing in common. A score that cells have of different code is
    left out likewise.
    """
    if len({s.scored.get("sha256") for s in rows if s.scored}) > 1:
        return {}
    mixed = _scores_of_mixed_code(rows)
    values: dict[str, list[float]] = {}
    for stored in rows:
        for name, value in stored.scores.items():
            if score_of(name, stored.scored) not in mixed:
                values.setdefault(name, []).extend([] if value is None else [value])
    return {name: float(np.mean(known)) for name, known in values.items() if known}


def _scores_of_mixed_code(rows: Sequence[Stored]) -> set[str]:
    """Return the scores that cells have of different code."""
    keys: dict[str, set[str]] = {}
    scored = [s.scored for s in rows if s.scored and not {"skipped", "failed"} & set(s.scored)]
    for name in {k for how in scored for k in how if k.startswith(KEY_OF)}:
        keys[name.removeprefix(KEY_OF)] = {str(how.get(name, "")) for how in scored}
    return {name for name, found in keys.items() if len(found) > 1}
