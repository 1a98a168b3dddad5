"""Leaderboards: from a plan's record and a store's rows to the tree of arms under their controls."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from medbench.boards.board import Board, Row
from medbench.boards.cells import Found, agree, find, find_block, predictions_of, score_complete, tally, tested_in
from medbench.boards.double_steps import score_double_steps
from medbench.boards.gains import Judged, Key, judged
from medbench.boards.generator_health import copied
from medbench.boards.metric_columns import ON_EVERY_BOARD, ArmMetrics, CellMetrics
from medbench.boards.yardstick_results import Ground, Measured, measured, trials
from medbench.interfaces import Metric
from medbench.planning.arms import Arm, Checked, Skipped
from medbench.planning.double_steps import doubled
from medbench.planning.leak_staircase import taking_part
from medbench.planning.study import Study
from medbench.planning.yardsticks import Yardsticks
from medbench.protocols.protocol import protocol
from medbench.statistics.further_measures import measures
from medbench.statistics.intervals import rarest
from medbench.statistics.patient_scores import ArmScores, units
from medbench.statistics.verdicts import Evidence
from medbench.store.stage_costs import FittedStages
from medbench.store.store import Store
from medbench.store.trial_files import Stored
from medbench.trial.generator_scores import KEY_OF, score_of
from medbench.trial.metrics import UNDEFINED


def boards(
    store: Store,
    record: Mapping[str, Any],
    *,
    keep: Collection[Key] = (),
    wide: bool = False,
    metrics: Sequence[Metric] | None = None,
) -> list[Board]:
    """Build every board of a plan.

    Args:
        store: Where the results are.
        record: As :meth:`medbench.planning.matrix.Plan.record` gives it.
        keep: Arms whose cells stay in their rows; without them a board is small, whatever was predicted.
        wide: Also compute the measures of wide tables, for which scikit-learn is imported.
        metrics: Every metric that is registered: rows have those that plugins added, computed again from predictions
            where that is called for. None: rows have none.
    """
    further = None if metrics is None else CellMetrics(store.root, metrics)
    study = Study.model_validate(record["study"])
    built = []
    for source in record["sources"]:
        arms = [Arm(**arm) for arm in record["arms"][source["dataset"]]]
        rows = list(store.rows(source["dataset"]))
        stages = FittedStages(store)
        of_boards = dict.fromkeys(arm.board or arm.classifier for arm in arms)
        left_out = {s.get("protocol") for s in record["skipped"] if s["dataset"] == source["dataset"]}
        for text, classifier in itertools.product(study.protocols, of_boards):
            if text in left_out:
                continue
            of_data = [r for r in rows if r.trial.data == source["data"]]
            built.append(_board(study, record, source, text, classifier, arms, of_data, stages, keep, wide, further))
    if further is not None:
        further.save()
    return built


def _board(
    study: Study,
    record: Mapping[str, Any],
    source: Mapping[str, Any],
    text: str,
    classifier: str,
    arms: Sequence[Arm],
    of_data: Sequence[Stored],
    stages: FittedStages,
    keep: Collection[Key],
    wide: bool,
    further: CellMetrics | None,
) -> Board:
    longer = [Checked(**c) for c in record.get("checked", ()) if c["dataset"] == source["dataset"]]
    rows = [r for r in of_data if r.trial.protocol == text and not _is_check(r, longer, arms, study)]
    mine = [arm for arm in taking_part(study, text, arms) if (arm.board or arm.classifier) == classifier]
    rule = protocol(text)
    cells = [
        (r, f, s) for r in range(study.repeats) for f in range(rule.folds(study.folds)) for s in range(study.seeds)
    ]
    found = {arm.key: find(arm, rows, study, rule.folds(study.folds), cells) for arm in mine}
    predicted = predictions_of(found)
    by_patient = rule.is_honest and source["unit"] == "patient" and agree(predicted)
    tested = tested_in(mine, found, predicted, by_patient=by_patient)
    scored = score_complete(tested, cells, len(source["classes"]))
    plain = next((arm for arm in mine if arm.plain), None)
    drawn = "images" if source["unit"] == "image" and source["patients"] == source["images"] else "patients"
    on_board = sum(bool(of_arm.cells) for of_arm in found.values())
    looks = len({(r.trial.augmenter, r.trial.classifier, r.trial.budget) for r in rows if r.status == "done"})
    gains = judged(
        [arm for arm in mine if arm.control_key in found],
        scored,
        {key: tally(of_arm, len(cells)) for key, of_arm in found.items()},
        folds=rule.folds(study.folds),
        repeats=study.repeats,
        looks=looks,
        on_board=on_board,
        worth=study.worth,
        rare=min(source["class_patients"]),
        unit=drawn,
        leaks=tuple(sorted(rule.leaks)),
    )

    def row(arm: Arm, depth: int = 0, last: tuple[bool, ...] = ()) -> Row:
        key = arm.key
        built = _row(arm, depth, last, found[key], len(cells), scored.get(key), gains.get(key), stages)
        if wide and key in scored:
            built = replace(built, measures=measures(tested[key], len(source["classes"])))
        if further is not None and key in scored:
            built = _with_metrics(built, further.of_arm(found[key], tested[key], by_patient=by_patient))
        if key not in keep:
            return built
        block = {
            seeds: units(stored.predictions(), stored.frequencies, by_patient=by_patient)
            for seeds, stored in find_block(arm, rows, study, rule.folds(study.folds)).items()
        }
        return replace(built, cells=tested[key], trials=found[key].cells, block=block)

    tree = tuple(row(*node) for node in _tree(mine, gains, ranked=rule.is_honest))
    plain_row = row(plain) if plain else None
    yardsticks: tuple[Measured, ...] = ()
    counted = (0, 0, 0)
    for planned in (Yardsticks(**y) for y in record.get("yardsticks", ())):
        root = next((arm for arm in mine if arm.key == planned.key), None)
        if root is None or (planned.dataset, planned.protocol, planned.board) != (source["dataset"], text, classifier):
            continue
        every = [*tree, *([plain_row] if plain_row else [])]
        own = next(r for r in every if r.arm.key == root.key)
        ground = Ground(
            study,
            of_data,
            rule.folds(study.folds),
            len(source["classes"]),
            by_patient,
            found[root.key],
            scored.get(root.key),
            once=own.seconds / study.seeds,
            dearest=max(r.seconds for r in every) if all(r.complete for r in every) else None,
            stages=stages,
        )
        yardsticks, counted = measured(planned, root, ground), trials(planned, root, ground)
    at_twice = None
    for chosen in longer:
        if (chosen.protocol, chosen.board) == (text, classifier) and any(arm.key == chosen.key for arm in mine):
            at_twice = score_double_steps(
                chosen,
                mine,
                [r for r in of_data if r.trial.protocol == text],
                study,
                {key: of_arm.gain for key, of_arm in gains.items()},
                folds=rule.folds(study.folds),
                cells=cells,
                n_classes=len(source["classes"]),
                by_patient=by_patient,
            )

    devices = sorted({str(s.cost["device"]) for f in found.values() for s in f.cells.values()})
    return Board(
        source,
        text,
        tuple(sorted(rule.leaks)),
        classifier,
        study,
        tree,
        plain_row,
        tuple(Skipped(**s) for s in record["skipped"] if s["dataset"] == source["dataset"]),
        unit="patient" if by_patient else "image",
        looks=looks,
        evidence=Evidence(
            rule.folds(study.folds),
            study.repeats,
            planned=len(cells),
            settled=min((len(f.cells) + len(f.failed) + len(f.skipped) for f in found.values()), default=0),
            rare=min(map(rarest, scored.values()), default=min(source["class_patients"])),
            patients=source["patients"],
            unit=drawn,
        ),
        device=", ".join(d.upper() if d == "cpu" else d for d in devices) or "CPU",
        warnings=tuple(w for w in record.get("warnings", ()) if w.startswith(f"{source['dataset']}: ")),
        yardsticks=yardsticks,
        yardstick_trials=counted,
        check=at_twice,
        unseen=max(0, looks - on_board),
        trained_on=next(
            (
                float(t["patients"])
                for t in record.get("trained_on", ())
                if (t["dataset"], t["protocol"]) == (source["dataset"], text)
            ),
            float("nan"),
        ),
    )


def _is_check(row: Stored, longer: Sequence[Checked], arms: Sequence[Arm], study: Study) -> bool:
    """Say whether a trial repeats a checked arm or its control at twice the steps: neither a look nor superseded."""
    if row.trial.budget != doubled(study).spending:
        return False
    checked = {c.key for c in longer if c.protocol == row.trial.protocol}
    wanted = {key for arm in arms if arm.key in checked for key in (arm.key, arm.control_key)}
    return (row.trial.augmenter, row.trial.classifier) in wanted


def best(board: Board) -> Row | None:
    """Return the arm whose range has the largest lower end; None under a leaky protocol or before all is settled."""
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
    depth: int,
    last: tuple[bool, ...],
    found: Found,
    planned: int,
    scores: ArmScores | None,
    judged_: Judged | None,
    stages: FittedStages,
) -> Row:
    rows = list(found.cells.values())
    keys = {key for stored in rows for key in stored.stages}
    return Row(
        arm,
        depth,
        last,
        planned=planned,
        done=len(found.cells),
        failed=len(found.failed),
        skipped=len(found.skipped),
        kinds=tuple(sorted({s.failure.kind for s in found.failed.values() if s.failure})),
        reasons=tuple(sorted({s.failure.message for s in found.skipped.values() if s.failure})),
        superseded=found.superseded,
        scores=scores,
        judged=judged_,
        seconds=sum(float(s.cost["seconds"]) for s in rows) + stages.seconds(keys),
        peak_mb=max((float(s.cost.get("peak_gpu_mb", s.cost["peak_mb"])) for s in rows), default=0.0),
        made=float(np.mean([s.counts.get("made", 0) for s in rows])) if rows else 0.0,
        scores_of_made=scores_of_made(rows),
        improving=_improving(rows),
        collapsed=stages.collapsed(keys),
        extractor=next((str(s.scored["extractor"]) for s in rows if s.scored), ""),
        copied=copied((s.scores, int(s.scored.get("made", 0))) for s in rows),
        unmeasured=_unmeasured(rows),
    )


def _with_metrics(row: Row, found: ArmMetrics) -> Row:
    why = {f"metric {name}": word for name, word in found.why.items()}
    return replace(row, metrics=found.values, unmeasured={**row.unmeasured, **why})


def _unmeasured(rows: Sequence[Stored]) -> dict[str, tuple[str, int]]:
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
    mixed = {f"score {name}": ("cells have it of different code; run the study again", scored) for name in _mixed(rows)}
    return found | dict(sorted(mixed.items()))


def _improving(rows: Sequence[Stored]) -> tuple[int, int]:
    told = [bool(s.facts["still_improving"]) for s in rows if "still_improving" in s.facts]
    return sum(told), len(told)


def scores_of_made(rows: Sequence[Stored]) -> dict[str, float]:
    """Return the mean of each score over the cells where it is defined.

    None where extractors differ: their features have nothing in common. A score that cells have of different code is
    left out likewise.
    """
    if len({s.scored.get("sha256") for s in rows if s.scored}) > 1:
        return {}
    mixed = _mixed(rows)
    values: dict[str, list[float]] = {}
    for stored in rows:
        for name, value in stored.scores.items():
            if score_of(name, stored.scored) not in mixed:
                values.setdefault(name, []).extend([] if value is None else [value])
    return {name: float(np.mean(known)) for name, known in values.items() if known}


def _mixed(rows: Sequence[Stored]) -> set[str]:
    """Return the scores that cells have of different code."""
    keys: dict[str, set[str]] = {}
    scored = [s.scored for s in rows if s.scored and not {"skipped", "failed"} & set(s.scored)]
    for name in {k for how in scored for k in how if k.startswith(KEY_OF)}:
        keys[name.removeprefix(KEY_OF)] = {str(how.get(name, "")) for how in scored}
    return {name for name, found in keys.items() if len(found) > 1}
