"""Leaderboards: from a plan's record and a store's rows to the tree of arms under their controls."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from medbench.arms import Arm, Checked, Skipped
from medbench.cells import Found, agree, find, predictions_of, score_complete, tally, tested_in
from medbench.check_steps import Check, check, doubled
from medbench.fitted import FittedStages
from medbench.gains import Judged, Key, judged
from medbench.generator_health import copied, why_poor
from medbench.intervals import Interval, rarest
from medbench.measured import Ground, Measured, measured, trials
from medbench.measures import Measures, measures
from medbench.protocols import protocol
from medbench.staircase import taking_part
from medbench.statistics import ArmScores, Cell, Units
from medbench.store import Store, Stored
from medbench.study import Study
from medbench.verdicts import Evidence, duration, yardstick
from medbench.yardsticks import Yardsticks


@dataclass(frozen=True, eq=False)
class Row:
    """One arm of a board.

    Attributes:
        arm: Augmenter, classifier, control.
        depth: How deep it stands in the tree of controls.
        last: For each level, whether it is the last child there; draws the tree.
        planned: Cells that were planned.
        done: Cells with a result.
        failed: Cells that failed for good; each counts with its control's predictions.
        skipped: Cells that turned out to make no sense; an arm with any is not scored.
        kinds: Kinds of the failures.
        reasons: Why cells were skipped.
        superseded: Results of this arm made by other code or under another budget.
        scores: None before every planned cell is done or has failed.
        judged: What it gains over its control, and the word for it; None for a root.
        seconds: Stand-alone cost: its own trials and every stage it needs.
        peak_mb: Largest peak memory of a trial.
        made: Made rows in training, mean over cells.
        scores_of_made: Number by score of the made rows, mean over the cells where it is defined; empty where no rows
            were made of pixels, or cells were scored with different extractors.
        extractor: Name of what they were computed with.
        copied: Made images that are copies of training images, and how many were looked at.
        improving: Cells whose validation loss was lowest at the end of the schedule, and how many there are in all that
            could tell.
        collapsed: Generators among its stages that draw nearly the same picture again and again, and how many there
            are in all that could tell.
        cells: What was tested in every cell, a failed one with its control's predictions; empty unless it was asked to
            be kept.
        trials: The cells that are done; kept likewise.
        measures: Those of wide tables; None unless they were asked for, and while a cell is missing.
    """

    arm: Arm
    depth: int
    last: tuple[bool, ...]
    planned: int
    done: int
    failed: int
    skipped: int = 0
    kinds: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    superseded: int = 0
    scores: ArmScores | None = None
    judged: Judged | None = None
    seconds: float = 0.0
    peak_mb: float = 0.0
    made: float = 0.0
    scores_of_made: Mapping[str, float] = field(default_factory=dict)
    extractor: str = ""
    copied: tuple[int, int] = (0, 0)
    improving: tuple[int, int] = (0, 0)
    collapsed: tuple[int, int] = (0, 0)
    cells: Mapping[Cell, Units] = field(default_factory=dict, repr=False)
    trials: Mapping[Cell, Stored] = field(default_factory=dict, repr=False)
    measures: Measures | None = None

    @property
    def marks(self) -> str:
        """Its marks, see :func:`marks_of`."""
        return marks_of(self)

    @property
    def gain(self) -> Interval | None:
        """Over its control; None for a root, or while one of the two is incomplete."""
        return self.judged.gain if self.judged else None

    @property
    def complete(self) -> bool:
        """Whether nothing more is expected: every planned cell is done, failed for good, or makes no sense."""
        return self.settled == self.planned

    @property
    def settled(self) -> int:
        """Cells from which nothing more is expected."""
        return self.done + self.failed + self.skipped


@dataclass(frozen=True, eq=False)
class Board:
    """One data set, one protocol, one classifier.

    Attributes:
        source: Facts of the data set as :meth:`medbench.sources.Described.facts` gives them.
        protocol: Text of the protocol.
        leaks: What the protocol is known to leak; a board with any is never ranked.
        classifier: Text of the classifier.
        study: What was asked.
        rows: The tree, controls before what stands on them.
        plain: The arm of the footer, or None.
        skipped: Combinations left out, with reasons.
        unit: What was scored: "patient", or "image" where a patient's images differ in label or the protocol leaks.
        looks: Configurations ever scored on these folds in this store.
        evidence: What its verdicts stand on.
        device: "CPU" or the name of the GPU.
        warnings: Sentences about the design.
        yardsticks: Further trainings of its control; empty where none were planned.
        yardstick_trials: Trials of the yardsticks, each counted once: planned, done, failed.
        check: Its best arm at twice the steps; None where that was not asked for or is not chosen yet.
        unseen: Configurations once scored here that the board does not show; each widens its ranges.
        trained_on: Training patients, mean over the cuts; NaN where the plan did not say.
    """

    source: Mapping[str, Any]
    protocol: str
    leaks: tuple[str, ...]
    classifier: str
    study: Study
    rows: tuple[Row, ...]
    plain: Row | None
    skipped: tuple[Skipped, ...]
    unit: str
    looks: int
    evidence: Evidence
    device: str
    warnings: tuple[str, ...] = ()
    yardsticks: tuple[Measured, ...] = ()
    yardstick_trials: tuple[int, int, int] = (0, 0, 0)
    check: Check | None = None
    unseen: int = 0
    trained_on: float = float("nan")

    @property
    def is_phantom(self) -> bool:
        """Whether the images were drawn by medbench."""
        return str(self.source["dataset"]).startswith("phantom:")


def boards(store: Store, record: Mapping[str, Any], *, keep: Collection[Key] = (), wide: bool = False) -> list[Board]:
    """Build every board of a plan.

    Args:
        store: Where the results are.
        record: As :meth:`medbench.matrix.Plan.record` gives it.
        keep: Arms whose cells stay in their rows; without them a board is small, whatever was predicted.
        wide: Also compute the measures of wide tables, for which scikit-learn is imported.
    """
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
            built.append(_board(study, record, source, text, classifier, arms, of_data, stages, keep, wide))
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
        return replace(built, cells=tested[key], trials=found[key].cells) if key in keep else built

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
            at_twice = check(
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


def marks_of(row: Row) -> str:
    """Return the marks that stand behind a row.

    ``g`` for a poor generator, ``e`` for outside data in its training, ``i`` for an incomplete arm.
    """
    return "g" * bool(why_poor(row.scores_of_made)) + "e" * row.arm.outside + "i" * (not row.complete)


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
    )


def _improving(rows: Sequence[Stored]) -> tuple[int, int]:
    told = [bool(s.facts["still_improving"]) for s in rows if "still_improving" in s.facts]
    return sum(told), len(told)


def scores_of_made(rows: Sequence[Stored]) -> dict[str, float]:
    """Return the mean of each score over the cells where it is defined; none where extractors differ."""
    if len({s.scored.get("sha256") for s in rows if s.scored}) > 1:
        return {}  # features of different extractors have nothing in common
    values: dict[str, list[float]] = {}
    for stored in rows:
        for name, value in stored.scores.items():
            values.setdefault(name, []).extend([] if value is None else [value])
    return {name: float(np.mean(known)) for name, known in values.items() if known}


def _verdict(row: Row) -> str | None:
    if row.judged is not None:
        return row.judged.verdict.word or None
    return "control" if not row.arm.control and not row.arm.plain else None


def table(board: Board) -> list[dict[str, Any]]:
    """Return a board as flat rows with plain values, for CSV, JSON and wide tables."""
    rows = [*board.rows, *([board.plain] if board.plain else [])]
    return [_flat(board, row) for row in rows] + [_flat_yardstick(board, of_it) for of_it in board.yardsticks]


def _percent(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(100 * value, 2) + 0.0  # no -0.0


def _flat(board: Board, row: Row) -> dict[str, Any]:
    s, g, percent = row.scores, row.gain, _percent
    longer = board.check if board.check is not None and board.check.arm.key == row.arm.key else None
    at_twice = longer.gain if longer is not None else None
    return {
        "dataset": board.source["dataset"],
        "protocol": board.protocol,
        "classifier": row.arm.classifier,
        "augmenter": row.arm.augmenter,
        "control": row.arm.control or None,
        "control_classifier": row.arm.over or None,
        "balanced_accuracy": percent(s.balanced_accuracy) if s else None,
        "balanced_accuracy_argmax": percent(s.argmax_balanced_accuracy) if s else None,
        "accuracy": percent(s.accuracy) if s else None,
        "auroc": round(s.auroc, 4) if s and np.isfinite(s.auroc) else None,
        "gain": percent(g.value) if g else None,
        "gain_low": percent(g.low) if g else None,
        "gain_high": percent(g.high) if g else None,
        "verdict": _verdict(row),
        "verdict_withheld": row.judged.verdict.withheld or None if row.judged else None,
        "macro_f1": percent(s.macro_f1) if s else None,
        **_flat_measures(row.measures, board.source["classes"]),
        **{f"recall_{name}": percent(s.recalls[k]) if s else None for k, name in enumerate(board.source["classes"])},
        "done": row.done,
        "failed": row.failed,
        "skipped": row.skipped,
        "planned": row.planned,
        "failure_kinds": ", ".join(row.kinds) or None,
        "skip_reasons": "; ".join(row.reasons) or None,
        "scored_by": board.unit,
        "superseded": row.superseded,
        "made_images": round(row.made, 1),
        "generators_collapsed": row.collapsed[0] if row.collapsed[1] else None,
        "copied": row.copied[0] if row.copied[1] else None,
        "copied_of": row.copied[1] or None,
        "extractor": row.extractor or None,
        **{f"score_{name}": float(f"{value:.6g}") for name, value in row.scores_of_made.items()},
        "seconds_alone": round(row.seconds, 2),
        "peak_mb": round(row.peak_mb, 1),
        "marks": row.marks or None,
        "still_improving": row.improving[0] if row.improving[1] else None,
        "yardstick": None,
        "steps_checked": longer.steps if longer is not None else None,
        "gain_checked": percent(at_twice.value) if at_twice else None,
        "gain_checked_low": percent(at_twice.low) if at_twice else None,
        "gain_checked_high": percent(at_twice.high) if at_twice else None,
        "leaks": ", ".join(board.leaks) or None,
        "data": board.source["data"],
    }


def _flat_measures(found: Measures | None, classes: Sequence[str]) -> dict[str, float | None]:
    if found is None:
        return {}

    def number(value: float) -> float | None:
        return round(float(value), 4) + 0.0 if np.isfinite(value) else None

    names = ("auprc", "mcc", "brier", "calibration_slope")
    return {
        **{name: number(getattr(found, name)) for name in names},
        **{f"precision_{name}": _percent(found.precisions[k]) for k, name in enumerate(classes)},
        **{
            f"confusion_{name}_as_{other}": number(found.confusion[k, j])
            for k, name in enumerate(classes)
            for j, other in enumerate(classes)
        },
    }


def _flat_yardstick(board: Board, of_it: Measured) -> dict[str, Any]:
    """Write a yardstick as a row: no verdict, and the name of the yardstick under its own key."""
    s, g, percent = of_it.scores, of_it.gain, _percent
    title, caption = yardstick(of_it.kind, trainings=of_it.trainings, cost=duration(of_it.seconds))
    return {
        "dataset": board.source["dataset"],
        "protocol": board.protocol,
        "classifier": of_it.control.classifier,
        "augmenter": of_it.control.augmenter,
        "control": of_it.control.augmenter,
        "control_classifier": None,
        "balanced_accuracy": percent(s.balanced_accuracy) if s else None,
        "balanced_accuracy_argmax": percent(s.argmax_balanced_accuracy) if s else None,
        "accuracy": percent(s.accuracy) if s else None,
        "auroc": round(s.auroc, 4) if s and np.isfinite(s.auroc) else None,
        "gain": percent(g.value) if g else None,
        "gain_low": percent(g.low) if g else None,
        "gain_high": percent(g.high) if g else None,
        "verdict": None,
        "macro_f1": percent(s.macro_f1) if s else None,
        "done": of_it.done,
        "failed": of_it.failed,
        "planned": of_it.planned,
        "failure_kinds": ", ".join(of_it.kinds) or None,
        "scored_by": board.unit,
        "seconds_alone": round(of_it.seconds, 2),
        "yardstick": of_it.kind,
        "yardstick_title": title,
        "yardstick_caption": caption,
        "data": board.source["data"],
    }
