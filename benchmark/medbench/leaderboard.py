"""Leaderboards: from a plan's record and a store's rows to the tree of arms under their controls."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medbench.fitted import FittedStages
from medbench.gains import Judged, Key, Tally, judged
from medbench.intervals import Interval, rarest
from medbench.matrix import Arm, Skipped
from medbench.protocols import protocol
from medbench.statistics import ArmScores, Cell, Units, labels_agree, score, units
from medbench.store import Store, Stored
from medbench.study import Study
from medbench.trial import Predictions
from medbench.verdicts import Evidence


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
        collapsed: Generators among its stages that draw nearly the same picture again and again, and how many there
            are in all that could tell.
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
    collapsed: tuple[int, int] = (0, 0)

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

    @property
    def is_phantom(self) -> bool:
        """Whether the images were drawn by medbench."""
        return str(self.source["dataset"]).startswith("phantom:")


@dataclass
class _Found:
    cells: dict[Cell, Stored] = field(default_factory=dict)
    failed: dict[Cell, Stored] = field(default_factory=dict)
    skipped: dict[Cell, Stored] = field(default_factory=dict)
    superseded: int = 0


def boards(store: Store, record: Mapping[str, Any]) -> list[Board]:
    """Build every board of a plan.

    Args:
        store: Where the results are.
        record: As :meth:`medbench.matrix.Plan.record` gives it.
    """
    study = Study.model_validate(record["study"])
    built = []
    for source in record["sources"]:
        arms = [Arm(**arm) for arm in record["arms"][source["dataset"]]]
        rows = list(store.rows(source["dataset"]))
        stages = FittedStages(store)
        of_boards = dict.fromkeys(arm.board or arm.classifier for arm in arms)
        for text, classifier in itertools.product(study.protocols, of_boards):
            of_board = [r for r in rows if r.trial.protocol == text and r.trial.data == source["data"]]
            built.append(_board(study, record, source, text, classifier, arms, of_board, stages))
    return built


def _board(
    study: Study,
    record: Mapping[str, Any],
    source: Mapping[str, Any],
    text: str,
    classifier: str,
    arms: Sequence[Arm],
    rows: Sequence[Stored],
    stages: FittedStages,
) -> Board:
    mine = [arm for arm in arms if (arm.board or arm.classifier) == classifier]
    rule = protocol(text)
    cells = [
        (r, f, s) for r in range(study.repeats) for f in range(rule.folds(study.folds)) for s in range(study.seeds)
    ]
    found = {arm.key: _find(arm, rows, study, rule.folds(study.folds), cells) for arm in mine}
    predicted = {
        name: {cell: stored.predictions() for cell, stored in of_arm.cells.items()} for name, of_arm in found.items()
    }
    by_patient = rule.is_honest and source["unit"] == "patient" and _agree(predicted)
    scored = _score_all(mine, found, predicted, cells, len(source["classes"]), by_patient=by_patient)
    plain = next((arm for arm in mine if arm.plain), None)
    drawn = "images" if source["unit"] == "image" and source["patients"] == source["images"] else "patients"
    looks = len({(r.trial.augmenter, r.trial.classifier, r.trial.budget) for r in rows if r.status == "done"})
    gains = judged(
        [arm for arm in mine if arm.control_key in found],
        scored,
        {key: _tally(of_arm, len(cells)) for key, of_arm in found.items()},
        folds=rule.folds(study.folds),
        repeats=study.repeats,
        looks=looks,
        on_board=sum(bool(of_arm.cells) for of_arm in found.values()),
        worth=study.worth,
        rare=min(source["class_patients"]),
        unit=drawn,
        leaks=tuple(sorted(rule.leaks)),
    )

    def row(arm: Arm, depth: int = 0, last: tuple[bool, ...] = ()) -> Row:
        key = arm.key
        return _row(arm, depth, last, found[key], len(cells), scored.get(key), gains.get(key), stages)

    devices = sorted({str(s.cost["device"]) for f in found.values() for s in f.cells.values()})
    return Board(
        source,
        text,
        tuple(sorted(rule.leaks)),
        classifier,
        study,
        tuple(row(*node) for node in _tree(mine, gains, ranked=rule.is_honest)),
        row(plain) if plain else None,
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
    )


def _find(arm: Arm, rows: Iterable[Stored], study: Study, folds: int, cells: Sequence[Cell]) -> _Found:
    """Pick the trials of an arm that the plan is made of; those of other code or budget are counted, never mixed in."""
    result = _Found()
    wanted = set(cells)
    for row in rows:
        t = row.trial
        if (t.augmenter, t.classifier, t.folds) != (arm.augmenter, arm.classifier, folds):
            continue
        if (t.arm, t.budget) != (arm.made_by, study.spending):
            result.superseded += 1
        elif (cell := (t.repeat, t.fold, t.seed)) in wanted:
            {"done": result.cells, "failed": result.failed, "skipped": result.skipped}[row.status][cell] = row
    return result


def _score_all(
    arms: Sequence[Arm],
    found: Mapping[Key, _Found],
    predicted: Mapping[Key, Mapping[Cell, Predictions]],
    cells: Sequence[Cell],
    n_classes: int,
    *,
    by_patient: bool,
) -> dict[Key, ArmScores]:
    """Score every complete arm; a failed cell takes its control's predictions (intention to treat)."""
    made: dict[Key, dict[Cell, Units]] = {}
    scored = {}
    for arm in arms:  # controls stand before what stands on them
        of_arm = found[arm.key]
        made[arm.key] = {
            cell: units(predictions, of_arm.cells[cell].frequencies, by_patient=by_patient)
            for cell, predictions in predicted[arm.key].items()
        }
        for cell in of_arm.failed:
            if cell in made.get(arm.control_key, {}):
                made[arm.key][cell] = made[arm.control_key][cell]
        if set(made[arm.key]) == set(cells):
            scored[arm.key] = score(made[arm.key], n_classes)
    return scored


def _agree(predicted: Mapping[Key, Mapping[Cell, Predictions]]) -> bool:
    """Say whether every patient has one label over all that was tested, whichever arm tested it."""
    every = [p for of_arm in predicted.values() for p in of_arm.values()]
    if not every:
        return True
    return labels_agree(np.concatenate([p.patients for p in every]), np.concatenate([p.labels for p in every]))


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


def _tally(found: _Found, planned: int) -> Tally:
    kinds = sorted({s.failure.kind for s in found.failed.values() if s.failure})
    settled = len(found.cells) + len(found.failed)
    return Tally(planned, settled, len(found.failed), kinds[0] if len(kinds) == 1 else "failed")


def _row(
    arm: Arm,
    depth: int,
    last: tuple[bool, ...],
    found: _Found,
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
        collapsed=stages.collapsed(keys),
        extractor=next((str(s.scored["extractor"]) for s in rows if s.scored), ""),
    )


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
    return [_flat(board, row) for row in rows]


def _flat(board: Board, row: Row) -> dict[str, Any]:
    s, g = row.scores, row.gain

    def percent(value: float | None) -> float | None:
        return None if value is None or not np.isfinite(value) else round(100 * value, 2) + 0.0  # no -0.0

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
        "extractor": row.extractor or None,
        **{f"score_{name}": float(f"{value:.6g}") for name, value in row.scores_of_made.items()},
        "seconds_alone": round(row.seconds, 2),
        "peak_mb": round(row.peak_mb, 1),
        "leaks": ", ".join(board.leaks) or None,
        "data": board.source["data"],
    }
