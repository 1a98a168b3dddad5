"""What a report is written from: boards, the trials behind them, curves, sheets of pictures and where all came from."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medbench.analyses.inflation import Inflation, find_inflations
from medbench.analyses.learning_curves import LearningCurve, find_learning_curves
from medbench.analyses.published_figures import Comparison, compare
from medbench.boards.arm_trials import ArmTrials, find_trials
from medbench.boards.board import Board, Row
from medbench.boards.build import boards
from medbench.data.find_phantom import PHANTOM
from medbench.data.positive_class import with_positive
from medbench.errors import MedbenchError
from medbench.interfaces import Card
from medbench.planning.run_sessions import run_sessions, wall_time
from medbench.planning.study import Study
from medbench.protocols.protocol import protocol
from medbench.registry.catalogue import Catalogue
from medbench.store.store import Store
from medbench.store.trial_files import Stored
from medbench.text import clean
from medbench.trial.stages import check_stage, read_stage

SHOWN = ("-samples.png", "-curves.csv")
"""How the names of the files end that a report shows of a fit."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A stage that was fitted for arms of a board, as one of its folds has it.

    Attributes:
        name: Text of its recipe.
        folder: Where it lies: its own, or that of the trial that it was fitted in.
        record: Content of ``stage.json``; empty where it was fitted in a trial.
        fits: How many folds and repeats have one.
        stem: What the names of its files start with, as a glob.
    """

    name: str
    folder: Path
    record: Mapping[str, Any]
    fits: int
    stem: str = "*"


@dataclass(frozen=True, eq=False)
class OfBoard:
    """A board with what lies behind it.

    Attributes:
        board: The board.
        found: Trials by arm.
        fits: Stages its arms stand on, by name.
        seconds: What all of it took, each training run and each stage counted once.
    """

    board: Board
    found: Mapping[tuple[str, str], ArmTrials]
    fits: tuple[Fit, ...]
    seconds: float = 0.0

    @property
    def rows(self) -> list[Row]:
        """The tree, and the arm that leaves training as it is."""
        return list(self.board.all_rows)


@dataclass(frozen=True, eq=False)
class Material:
    """Everything a report says, before it is put into words.

    Attributes:
        study: What was asked.
        record: Of the plan.
        parts: Boards with their trials.
        comparison: Published figures beside ours; None where the study names none.
        inflations: Gains taken apart; empty where that was not run.
        learning_curves: Gain against training size; empty where one size was run.
        catalogue: What is registered; None where no plugin was loaded.
        wall_time: How long the run took by the clock; "" where that was not noted.
    """

    study: Study
    record: Mapping[str, Any]
    parts: tuple[OfBoard, ...]
    comparison: Comparison | None = None
    inflations: tuple[Inflation, ...] = ()
    learning_curves: tuple[LearningCurve, ...] = ()
    catalogue: Catalogue | None = field(default=None, repr=False)
    wall_time: str = ""

    @property
    def boards(self) -> list[Board]:
        """The boards alone."""
        return [part.board for part in self.parts]

    @property
    def shown(self) -> list[OfBoard]:
        """The boards that are looked at in detail: those of honest protocols, or all where there are none."""
        return [part for part in self.parts if not part.board.leaks] or list(self.parts)

    @property
    def sources(self) -> list[Mapping[str, Any]]:
        """Facts of the data sets, each once."""
        return list({str(board.source["dataset"]): board.source for board in self.boards}.values())


def gather(
    store: Store,
    record: Mapping[str, Any],
    *,
    stairs: Mapping[str, Any] | None = None,
    catalogue: Catalogue | None = None,
) -> Material:
    """Read what a report of a plan is written from.

    Args:
        store: Where the results are.
        record: Of the plan.
        stairs: Of the plan of the same study's staircase, where that was run.
        catalogue: For the cards of data sets and the sources of recipes.
    """
    metrics = catalogue.items("metric") if catalogue is not None else None
    sources_said = with_positive(record, catalogue) if catalogue is not None else record
    found = boards(store, sources_said, fair=True, metrics=metrics)
    built = sorted(found, key=lambda board: bool(board.leaks))  # honest ones first
    study = Study.model_validate(record["study"])
    if study.staircase:
        taken_apart = find_inflations(built)
    else:
        taken_apart = find_inflations(boards(store, stairs)) if stairs is not None else []
    return Material(
        study,
        record,
        tuple(_of_board(store, board) for board in built),
        compare(built) if study.published and not study.staircase else None,
        tuple(taken_apart),
        tuple(find_learning_curves(built)),
        catalogue,
        wall_time(run_sessions(store, record)),
    )


def _of_board(store: Store, board: Board) -> OfBoard:
    study, folds = board.study, protocol(board.protocol).folds(board.study.folds)
    cells = [(r, f, s) for r in range(study.repeats) for f in range(folds) for s in range(study.seeds)]
    mine = [
        row
        for row in store.rows(str(board.source["dataset"]))
        if (row.trial.protocol, row.trial.data) == (board.protocol, board.source["data"])
    ]
    found = {row.arm.key: find_trials(row.arm, mine, study, folds, cells) for row in board.all_rows}
    for of_arm in found.values():
        for stored in of_arm.cells.values():
            stored.check()  # a report also shows curves and pictures
    return OfBoard(board, found, tuple(_fits(store, found)), _seconds(store, found))


def _seconds(store: Store, found: Mapping[tuple[str, str], ArmTrials]) -> float:
    """Add up training runs, and the stages that were fitted for them."""
    trials = {stored.trial.id: stored for of_arm in found.values() for stored in of_arm.cells.values()}
    stages = {key: record for stored in trials.values() for key, (_, record) in _stages(store, stored).items()}
    costs = [*(stored.cost for stored in trials.values()), *(record.get("cost", {}) for record in stages.values())]
    return sum(float(cost.get("seconds", 0.0)) for cost in costs)


def _fits(store: Store, found: Mapping[tuple[str, str], ArmTrials]) -> Iterator[Fit]:
    """Yield every recipe of a stage once, from the first cell that has one, with how many were fitted."""
    first: dict[str, tuple[Path, Mapping[str, Any], str]] = {}
    keys: dict[str, set[str]] = {}
    for of_arm in found.values():
        for _, stored in sorted(of_arm.cells.items()):
            for key, (folder, record) in _stages(store, stored).items():
                name = clean(str(record.get("stage", "")))
                first.setdefault(name, (folder, record, "*"))
                keys.setdefault(name, set()).add(key)
            if all(store.stage_folder(key) is not None for key in stored.stages):
                continue
            for path in sorted(p for p in stored.folder.iterdir() if p.name.endswith(SHOWN)):
                name = clean(stem := path.stem.rpartition("-")[0])
                first.setdefault(name, (stored.folder, {}, glob.escape(stem)))
                keys.setdefault(name, set()).add(str(stored.folder))
    for name in sorted(first):
        folder, record, stem = first[name]
        yield Fit(name, folder, record, len(keys[name]), stem)


def _stages(store: Store, stored: Stored) -> dict[str, tuple[Path, Mapping[str, Any]]]:
    """Return the stages behind a trial at any depth, in the order of their keys."""
    waiting, seen = sorted(stored.stages), dict[str, tuple[Path, Mapping[str, Any]]]()
    while waiting:
        key = waiting.pop(0)
        folder = store.stage_folder(key)
        if key in seen or folder is None:
            continue
        record = read_stage(folder)
        if shown := [p.name for p in folder.iterdir() if p.name.endswith(SHOWN)]:
            check_stage(folder, *shown)
        seen[key] = folder, record
        waiting += sorted(record.get("stages", {}))
    return dict(sorted(seen.items()))


def cards(material: Material) -> dict[str, Card]:
    """Return the card of every data set whose plugin is at hand."""
    if material.catalogue is None:
        return {}
    known = {}
    for source in material.sources:
        text = str(source["dataset"])
        try:
            known[text] = material.catalogue.resolve("dataset", text.removeprefix(PHANTOM)).card
        except (MedbenchError, AttributeError):
            continue  # the report says that it is not at hand
    return known


def provenances(material: Material) -> list[Mapping[str, Any]]:
    """Return what the trials' results say of what made them, each different one once."""
    known: dict[str, dict[str, Any]] = {}
    for part in material.parts:
        for of_arm in part.found.values():
            for stored in of_arm.cells.values():
                try:
                    record = json.loads((stored.folder / "result.json").read_text()).get("provenance", {})
                except (OSError, ValueError):
                    continue
                kept = {key: record[key] for key in ("medbench", "python", "platform", "plugins") if key in record}
                if not kept:
                    continue
                one = known.setdefault(json.dumps(kept, sort_keys=True), {**kept, "libraries": {}})
                for recipe in record.get("recipes", ()):
                    for name, version in (recipe.get("libraries") or {}).items():
                        one["libraries"].setdefault(name, set()).add(str(version))
    return [known[key] for key in sorted(known)]
