"""How many training runs a run amounts to: every classifier that is trained, each counted once.

Rows of boards count their own. Beside them, further trainings of references show what gains are to be compared with,
one method may be trained again at twice the steps, and some with further seeds. Table, report, ``status``, ``plan`` and
``verify`` count all of them, so that they agree; generators are shared by training runs and are not among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from medbench.boards.board_plan import BoardPlan
from medbench.planning.arms import Arm, Checked
from medbench.planning.double_steps_trials import with_double_steps
from medbench.planning.seed_block import BLOCK, SEEDS
from medbench.planning.study import Study
from medbench.planning.yardsticks import Yardsticks
from medbench.protocols.protocol import protocol
from medbench.store.trial_files import Stored

if TYPE_CHECKING:
    from medbench.boards.board import Board


class RunKey(NamedTuple):
    """What tells one training run of a plan from the others."""

    dataset: str
    protocol: str
    augmenter: str
    classifier: str
    doubled: bool
    repeat: int
    fold: int
    seed: int
    stage_seed: int


@dataclass(frozen=True)
class TrainingRuns:
    """Training runs, each counted once.

    Attributes:
        planned: All that the plan names.
        done: Those with a result.
        failed: Those that failed for good.
        skipped: Those that cannot be run, as recipe and data do not fit.
    """

    planned: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def settled(self) -> int:
        """Those from which nothing more is expected."""
        return self.done + self.failed + self.skipped


def planned_beside(plan: BoardPlan, record: Mapping[str, Any]) -> frozenset[RunKey]:
    """Return what a board trains beside its rows: yardsticks, the check at twice the steps, the seed block.

    Args:
        plan: The board.
        record: Of the plan, as :meth:`medbench.planning.plan.Plan.record` gives it.
    """
    name, of_key = str(plan.source["dataset"]), {arm.key: arm for arm in plan.arms}
    place = (name, plan.protocol, plan.classifier)
    found: set[RunKey] = set()

    def add(text: str, key: tuple[str, str], seeds: Iterable[int], doubled: bool = False) -> None:
        found.update(RunKey(name, text, *key, doubled, r, f, s, s) for r, f, s in plan.cells_of(seeds))

    for y in (Yardsticks(**one) for one in record.get("yardsticks", ())):
        if (y.dataset, y.protocol, y.board) == place and y.key in of_key:
            add(y.protocol, y.key, y.more)
            add(y.fewer, y.key, range(y.seeds))
    for checked in (Checked(**one) for one in record.get("checked", ())):
        if (checked.dataset, checked.protocol, checked.board) == place and checked.key in of_key:
            for key in (checked.key, of_key[checked.key].control_key):
                add(plan.protocol, key, range(plan.study.seeds), True)
    for text, *key in record.get("seed_block", {}).get(name, ()) if plan.rule.is_honest else ():
        if text == plan.protocol and tuple(key) in of_key:
            found |= {RunKey(name, text, key[0], key[1], False, *BLOCK, s, g) for s in SEEDS for g in SEEDS}
    rows = {RunKey(name, plan.protocol, *key, False, r, f, s, s) for key in of_key for r, f, s in plan.cells}
    return frozenset(found - rows)


def status_of_runs(arms: Iterable[Arm], study: Study, rows: Iterable[Stored]) -> dict[RunKey, str]:
    """Return how the stored training runs of a data set ended that were made by these arms under the study's budget.

    Args:
        arms: Of the data set.
        study: The study.
        rows: Stored training runs of the data set, of every protocol.
    """
    made_by = {arm.key: arm.made_by for arm in arms}
    doubled = {study.spending: False, with_double_steps(study).spending: True}
    folds: dict[str, int] = {}
    found: dict[RunKey, str] = {}
    for row in rows:
        t = row.trial
        if made_by.get((t.augmenter, t.classifier)) != t.arm or t.budget not in doubled:
            continue
        if t.protocol not in folds:
            folds[t.protocol] = protocol(t.protocol).folds(study.folds)
        if t.folds == folds[t.protocol]:
            found[RunKey(t.dataset, t.protocol, t.augmenter, t.classifier, doubled[t.budget],
                         t.repeat, t.fold, t.seed, t.stage_seed)] = row.status  # fmt: skip
    return found


def count_runs(boards: Sequence[Board]) -> TrainingRuns:
    """Count the training runs of boards, each once: what one board trains beside its rows may be a row of another."""
    rows = [row for board in boards for row in board.all_rows]
    seeds = {
        (str(board.source["dataset"]), board.protocol, *row.arm.key): board.study.seeds
        for board in boards
        for row in board.all_rows
    }

    def in_row(key: RunKey) -> bool:
        return not key.doubled and key.stage_seed == key.seed < seeds.get(key[:4], 0)

    beside = {key: status for board in boards for key, status in board.beside.items() if not in_row(key)}
    states = list(beside.values())
    return TrainingRuns(
        sum(row.planned for row in rows) + len(states),
        sum(row.done for row in rows) + states.count("done"),
        sum(row.failed for row in rows) + states.count("failed"),
        sum(row.skipped for row in rows) + states.count("skipped"),
    )
