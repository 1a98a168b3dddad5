"""Which score of generated images goes with a gain? Every score, over all cells that were trained with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from medbench.boards.board import Board, Row
from medbench.boards.build import boards
from medbench.boards.gains import Key
from medbench.planning.arms import Arm
from medbench.registry.display_names import is_of_copies
from medbench.registry.score_facts import in_order
from medbench.statistics.patient_scores import Cell
from medbench.statistics.pool_images_by_patient import Units
from medbench.statistics.rank_correlation import (
    DRAWS,
    PairedCell,
    cell_gains,
    joint_ranges,
    rank_correlation,
    widened,
)
from medbench.store.store import Store
from medbench.trial.score_keys import KEY_OF, score_of

FEWEST_GENERATORS = 3
"""That are told apart in one cell; fewer are ranked by one difference or by none."""
FEWEST_CELLS = 15


@dataclass(frozen=True)
class ScoreAndGain:
    """One score.

    Attributes:
        name: As results store it.
        cells: Cells where it is defined.
        generators: Different ones among them, in the cell that has most.
        correlation: Rank correlation with the gain, -1 to 1; None where too few say it, or the score is one number.
        low: Lower end of its 95 % range, which holds for all scores together.
        high: Its upper end.
        without_one: Lowest and highest correlation when one method is left out.
        why: Why there is no correlation; "" where there is one.
    """

    name: str
    cells: int
    generators: int
    correlation: float | None = None
    low: float | None = None
    high: float | None = None
    without_one: tuple[float, float] | None = None
    why: str = ""


@dataclass(frozen=True)
class ScoresAndGains:
    """Every score of the generated images of a store beside the gains of the methods that trained with them.

    Attributes:
        scores: In the order of tables.
        cells: Cells with any score.
        generators: Different ones, in the cell that has most.
        methods: Texts of the methods.
        boards: Boards that have such cells.
        datasets: Texts of their data sets, each once; folders of one's own share one.
        titles: Of each of their data sets its text and its own title, "" where it has none.
        patients: Patients tested, each counted once.
        leaky: Boards left out, since their protocol leaks.
        is_phantom: Whether any images were drawn by medbench.
    """

    scores: tuple[ScoreAndGain, ...]
    cells: int
    generators: int
    methods: tuple[str, ...]
    boards: int
    datasets: tuple[str, ...]
    patients: int
    leaky: int
    is_phantom: bool
    titles: tuple[tuple[str, str], ...] = ()


@dataclass
class _Cells:
    """Cells of all boards, in step."""

    paired: list[PairedCell] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    scores: list[Mapping[str, float | None]] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    groups: list[tuple[str, ...]] = field(default_factory=list)
    made_by: list[Mapping[str, Any]] = field(default_factory=list)
    places: list[Cell] = field(default_factory=list)
    seen: set[tuple[str, str, str]] = field(default_factory=set)


def find_scores_and_gains(store: Store, records: Sequence[Mapping[str, Any]], *, draws: int = DRAWS) -> ScoresAndGains:
    """Correlate every score with the gain over the method above, cell by cell.

    A cell is one training of a method with generated images in one repeat, fold and seed; one that is in several runs
    counts once. Ranks are taken within a board and budget, and among scores of one extractor and code. Scores within a
    class are left out: each would widen the ranges of all.

    Args:
        store: Where the results are.
        records: Of the runs whose cells count.
        draws: How often patients are drawn.
    """
    cells, leaky, used = _Cells(), set[tuple[str, str, str]](), list[Board]()
    scored = _find_scored(store, records)
    for record in records:
        arms = [Arm(**arm) for of_data in record["arms"].values() for arm in of_data]
        keep = {key for arm in arms if arm.key in scored and arm.control for key in (arm.key, arm.control_key)}
        for board in boards(store, record, keep=keep) if keep else ():
            has_scores = [row for row in board.all_rows if _is_scored(row)]
            if has_scores and board.leaks:
                leaky.add((str(board.source["data"]), board.protocol, board.classifier))
            elif has_scores and _add(cells, board, has_scores):
                used.append(board)
    names = in_order({name for of_cell in cells.scores for name in of_cell if ":" not in name})
    gains = cell_gains(cells.paired, cells.classes, draws=draws) if cells.paired else np.zeros((0, 1 + draws))
    return ScoresAndGains(
        tuple(_with_ranges([_one(name, cells, gains) for name in names], _fewest_patients(cells) - 1)),
        len(cells.paired),
        _generators(cells, np.ones(len(cells.paired), dtype=bool)),
        tuple(dict.fromkeys(cells.methods)),
        len(used),
        tuple(dict.fromkeys(str(board.source["dataset"]) for board in used)),
        len({(cell.data, name) for cell in cells.paired for name in cell.clusters.tolist()}),
        len(leaky),
        any(board.is_phantom for board in used),
        tuple(
            {str(b.source["data"]): (str(b.source["dataset"]), str(b.source.get("title") or "")) for b in used}.values()
        ),
    )


def _find_scored(store: Store, records: Sequence[Mapping[str, Any]]) -> set[Key]:
    """Return the arms that have scores: predictions of no others are read into rows, nor boards built without any."""
    datasets = dict.fromkeys(str(source["dataset"]) for record in records for source in record["sources"])
    return {(row.trial.augmenter, row.trial.classifier) for text in datasets for row in store.rows(text) if row.scores}


def _is_scored(row: Row) -> bool:
    """Say whether a row has generated images of its own, and a method above it."""
    return bool(row.arm.control) and not is_of_copies(row.arm.augmenter) and any(t.scores for t in row.trials.values())


def _add(cells: _Cells, board: Board, rows: Sequence[Row]) -> bool:
    """Add the cells of a board; say whether there were any."""
    tested = {row.arm.key: row.cells for row in board.all_rows}
    before = len(cells.paired)
    for row in rows:
        above = tested.get(row.arm.control_key, {})
        for cell, stored in sorted(row.trials.items()):
            own, other = row.cells.get(cell), above.get(cell)
            key = (stored.trial.id, *row.arm.control_key)
            if own is None or other is None or key in cells.seen or not stored.scores:
                continue
            if not np.array_equal(own.names, other.names):
                continue
            cells.seen.add(key)
            cells.paired.append(PairedCell(own.clusters, own.labels, _right(own) - _right(other), board.source["data"]))
            cells.classes.append(len(board.source["classes"]))
            cells.scores.append(stored.scores)
            cells.methods.append(row.arm.augmenter)
            t = stored.trial
            cells.groups.append((t.data, t.protocol, board.classifier, str(t.folds), str(t.budget)))
            cells.made_by.append(stored.scored)
            cells.places.append(cell)
    return len(cells.paired) > before


def _right(units: Units) -> np.ndarray:
    return (units.probabilities.argmax(1) == units.labels).astype(np.float64)


def _one(name: str, cells: _Cells, gains: np.ndarray) -> tuple[ScoreAndGain, np.ndarray]:
    """Return a score with its correlation, and what it is in every draw; none where too few say it."""
    values = np.array([np.nan if (v := of_cell.get(name)) is None else v for of_cell in cells.scores])
    rows = np.isfinite(values)
    methods, groups = np.array(cells.methods)[rows], _groups(name, cells)[rows]
    found = ScoreAndGain(name, int(rows.sum()), _generators(cells, rows))
    nothing = np.zeros(0)
    if found.generators < FEWEST_GENERATORS or found.cells < FEWEST_CELLS:
        return replace(found, why="too few"), nothing
    drawn = rank_correlation(values[rows], gains[rows], groups)
    if not np.isfinite(drawn[0]):
        return replace(found, why="constant"), nothing
    others = [
        rank_correlation(values[rows][methods != one], gains[rows][methods != one][:, :1], groups[methods != one])[0]
        for one in dict.fromkeys(methods.tolist())
    ]
    finite = [float(other) for other in others if np.isfinite(other)]
    ends = (min(finite), max(finite)) if finite else None
    again = widened(drawn[1:], gains[rows], groups)
    return replace(found, correlation=float(drawn[0]), without_one=ends), again


def _generators(cells: _Cells, rows: np.ndarray) -> int:
    """Count the generators in the cell that has most: methods that share one have the same scores there."""
    found: dict[tuple[tuple[str, ...], Cell], set[tuple[Any, ...]]] = {}
    for row in np.flatnonzero(rows):
        known = tuple(sorted((name, value) for name, value in cells.scores[row].items() if value is not None))
        found.setdefault((cells.groups[row], cells.places[row]), set()).add(known)
    return max(map(len, found.values()), default=0)


def _groups(name: str, cells: _Cells) -> np.ndarray:
    """Number the cells whose scores can be compared: of one board and budget, of the same extractor and code."""
    numbers: dict[tuple[str, ...], int] = {}
    found = []
    for group, made_by in zip(cells.groups, cells.made_by, strict=True):
        code = str(made_by.get(f"{KEY_OF}{score_of(name, made_by)}", ""))
        found.append(numbers.setdefault((*group, str(made_by.get("sha256", "")), code), len(numbers)))
    return np.array(found, dtype=np.int64)


def _with_ranges(found: Sequence[tuple[ScoreAndGain, np.ndarray]], df: int) -> list[ScoreAndGain]:
    known = [(one, drawn) for one, drawn in found if one.correlation is not None]
    if not known:
        return [one for one, _ in found]
    observed = np.array([one.correlation for one, _ in known])
    low, high = joint_ranges(observed, np.stack([drawn for _, drawn in known]), df=df)
    ends = {one.name: (float(a), float(b)) for (one, _), a, b in zip(known, low, high, strict=True)}
    return [
        replace(one, low=ends[one.name][0], high=ends[one.name][1]) if one.name in ends else one for one, _ in found
    ]


def _fewest_patients(cells: _Cells) -> int:
    """Count the patients of the rarest class of the data set that has fewest; 2 where there is none."""
    counts: dict[tuple[str, int], set[str]] = {}
    for cell in cells.paired:
        for label, name in zip(cell.labels.tolist(), cell.clusters.tolist(), strict=True):
            counts.setdefault((cell.data, label), set()).add(name)
    return max(2, min(map(len, counts.values()), default=2))
