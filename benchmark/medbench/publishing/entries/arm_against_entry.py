"""An arm of one's own against an arm that was published: its stored predictions take the place of a rerun."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from medbench.analyses.compare import ArmPair, compare_further, find_arms
from medbench.boards.board import Board, Row
from medbench.boards.build import boards
from medbench.errors import UsageError
from medbench.planning.arms import Arm
from medbench.publishing.bundle.read_bundle import Bundle
from medbench.publishing.entries.entry_files import find_entry, row_in_force
from medbench.statistics.patient_scores import score
from medbench.statistics.pool_images_by_patient import Units, units
from medbench.store.store import Store
from medbench.trial.trial import Predictions

ALIKE = ("data", "protocol", "folds", "stage_seed", "budget")
"""What two trials of one cell must have in common."""


def compare_with_entry(
    store: Store, record: Mapping[str, Any], one: str, other: str, bundle: Bundle, entry: str
) -> list[ArmPair]:
    """Compare an arm of a run with a published one, on every board where the published one has the same cells.

    The same folds of the same decoded images, repeats, seeds and budget: then patients are paired as on a board, and
    the comparison is one more of the board's family. Whatever failed there or here, or was cut otherwise, is no pair.

    Args:
        store: Where the results of the run are.
        record: Of its plan.
        one: Text of the arm of the run, as boards write it.
        other: Text of the published arm, likewise.
        bundle: Of the entry, verified when it was published.
        entry: Its id, to print.

    Raises:
        UsageError: If no arm is called so, or no board fits; the message says what does not.
    """
    arms = {arm.key: arm for of_data in record["arms"].values() for arm in (Arm(**a) for a in of_data)}
    there = {arm.key: arm for of_data in bundle.record["arms"].values() for arm in (Arm(**a) for a in of_data)}
    mine, theirs = find_arms(list(arms.values()), one), find_arms(list(there.values()), other)
    for text, found, where in ((one, mine, str(record["study"]["name"])), (other, theirs, f"entry {entry}")):
        if not found:
            raise UsageError(f"no method of {where} is called {text!r}; its leaderboard names those there are.")
    pairs, why = [], f"entry {entry} has no table on the same data set and protocol"
    for board in boards(store, record, keep={arm.key for arm in mine}):
        for arm in (row for row in board.all_rows if row.arm.key in {a.key for a in mine}):
            for published in (a for a in theirs if (a.board or a.classifier) == board.classifier):
                try:
                    row = _row(bundle, board, arm, published)
                except LookupError as error:
                    why = str(error.args[0])
                    continue
                pairs.append(replace(compare_further(board, arm, row), entry=entry))
    if not pairs:
        raise UsageError(f"{one} cannot be paired with {other}: {why}.")
    return pairs


def _row(bundle: Bundle, board: Board, own: Row, arm: Arm) -> Row:
    """Return a published arm as a row of `board`, scored with the labels that the own arm was tested with.

    Raises:
        LookupError: If it was not tested in the same cells, with half a sentence.
    """
    if not own.cells or set(own.trials) != set(own.cells):
        raise LookupError("not all of its training runs are done here")
    here = board.source["data"], board.protocol
    if all((t.data, t.protocol) != here for t in bundle.trials.values()):
        raise LookupError("the entry is of other decoded images, or under another protocol")
    cells = dict(_cells(bundle, board, own, arm))
    if lacking := set(own.cells) - set(cells):
        raise LookupError(
            f"{len(lacking)} of {len(own.cells)} training runs have no published predictions on the same "
            "images, folds, seeds and budget"
        )
    return Row(
        arm, 0, (), len(cells), len(cells), 0,
        scores=score(cells, len(board.source["classes"])), cells=cells,
    )  # fmt: skip


def _cells(bundle: Bundle, board: Board, own: Row, arm: Arm) -> Iterator[tuple[tuple[int, int, int], Units]]:
    for key, predicted in bundle.predictions():
        t = bundle.trials[key]
        stored = own.trials.get((t.repeat, t.fold, t.seed))
        if stored is None or (t.augmenter, t.classifier) != arm.key:
            continue
        if any(getattr(t, name) != getattr(stored.trial, name) for name in ALIKE):
            continue
        tested = stored.predictions()
        place = {name: number for number, name in enumerate(predicted.ids)}
        if set(place) != set(tested.ids.tolist()):
            raise LookupError("the images tested in a fold are not the same")
        order = [place[name] for name in tested.ids.tolist()]
        predictions = Predictions(
            tested.ids, tested.patients, tested.labels, predicted.probabilities[order], tested.groups
        )
        frequencies = bundle.results[key].frequencies
        yield (t.repeat, t.fold, t.seed), units(predictions, frequencies, by_patient=board.unit == "patient")


def comparable_entry(folder: Path, name: str) -> Path:
    """Return the folder of an entry that may be compared with: one whose numbers somebody computed again.

    Raises:
        UsageError: If there is none, or it is only claimed, or withdrawn.
    """
    place = find_entry(folder, name)
    row = row_in_force(folder if place.parent == folder else place.parent, place.name)
    if row.tier == "claimed":
        raise UsageError(f"{row.entry}: is only claimed; `medbench publish` on its bundle with --data recomputes it.")
    return place
