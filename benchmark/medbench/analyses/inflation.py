"""Where a published gain goes: the rows of a staircase, from a plan's boards.

The rows with the study's own measure count images by argmax, as the study did; the last rows are those of the honest
board: balanced accuracy by patient after the correction for training frequencies, over each control in turn, down to
the arm's own one with its interval. See :mod:`medbench.planning.leak_staircase` for what is run.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from medbench.analyses.published_figures import NOT_COMPUTED, NOT_RUN, class_number, is_about, measure
from medbench.boards.board import Board, Row
from medbench.data.audit_official_cut import describe_waivers
from medbench.errors import UsageError
from medbench.planning.arms import Arm
from medbench.planning.leak_staircase import chosen_among, compared_arms
from medbench.planning.study import Study
from medbench.planning.study_schema import InflationTable, PublishedTable
from medbench.registry.recipes import parse
from medbench.statistics.clustered_shares import ImageCounts, count_images, difference_error
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.verdicts import Verdict

BEST_OF = "best-of"
"""Stands for the leak of a choice among several methods on the scored images."""
REMOVED = {
    "synthetic-scored": "only real images are scored",
    BEST_OF: "number of samples set beforehand",
    "copies": "split before augmenting",
    "fitted-on-all": "generators and encoders fitted on training images",
    "scaler-on-all": "scaler fitted on training images",
    "encoder-on-all": "encoder fitted on training images",
    "generator-on-all": "generator fitted on training images",
    "images": "all images of a patient on one side",
    "steps": "equal training steps",
    "selection": "weights not chosen on the scored images",
}
"""What a step changes, by the leak it takes away."""
NOT_FOUND, OTHER_DATA, OTHER_NETWORK = "not found", "other data", "other network"
CAUSES = {
    "synthetic-scored": "generated images among the tested ones",
    BEST_OF: "the best of several numbers of samples on the test images",
    "copies": "one image in training and in test",
    "fitted-on-all": "generators or encoders that had learned from test images",
    "scaler-on-all": "a scaler that had seen test images",
    "encoder-on-all": "an encoder that had learned from test images",
    "generator-on-all": "a generator that had learned from test images",
    "images": "one patient in training and in test",
    "steps": "longer training for more images",
    "selection": "weights chosen on the test images",
}
"""The same as a cause."""


@dataclass(frozen=True)
class Step:
    """One row.

    Attributes:
        title: What was changed since the row above.
        arm: Value of the arm, 0 to 1; None where there is none.
        against: Value of what it is compared with.
        leak: The leak that was taken away; empty for the first rows and those after the last leak.
        number: Of the step, 0 for rows before the first.
        why: Why a value is missing; empty where none is.
        error: Standard error of the gain in accuracy or a recall, images of a patient together and the two methods
            paired on them; None where it is not computed.
    """

    title: str
    arm: float | None
    against: float | None
    leak: str = ""
    number: int = 0
    why: str = ""
    error: float | None = None

    @property
    def gain(self) -> float | None:
        """Arm less what it is compared with."""
        return None if self.arm is None or self.against is None else self.arm - self.against


@dataclass(frozen=True)
class Inflation:
    """A gain taken apart, on one data set.

    Attributes:
        study: The staircase.
        dataset: As boards write it.
        classifier: Of the arm.
        table: What the study's file says.
        names: Text of the arm and of what it is compared with.
        published: Both as published, where both were; its values are None else.
        own: All leaks on.
        steps: A leak less each; the last is honest, and still in the study's measure.
        ours: Honest, in balanced accuracy, over each control, the arm's own last.
        gain: Over the arm's own control, with its interval; None while something is missing.
        verdict: The word for it.
        auroc: The same gain in macro AUROC.
        majority: What always answering the commonest class scores in accuracy, 0 to 1; None for another measure.
        commonest: Name of that class.
        n_classes: Number of classes.
        images: Number of images.
        is_phantom: Whether the images were drawn by medbench.
        waived: What the study waives of the cut it ends with.
    """

    study: Study
    dataset: str
    classifier: str
    table: InflationTable
    names: tuple[str, str]
    published: Step
    own: Step
    steps: tuple[Step, ...]
    ours: tuple[Step, ...]
    gain: Interval | None
    verdict: Verdict | None
    auroc: float
    majority: float | None
    commonest: str
    n_classes: int
    images: int
    is_phantom: bool
    waived: tuple[str, ...] = ()

    @property
    def largest(self) -> tuple[Step, float] | None:
        """The step that takes most of a gain away, and how much; None without a gain, or while a row is missing."""
        if self.own.gain is None or self.own.gain <= 0:
            return None
        rows = (self.own, *self.steps)
        falls = [
            (step, before.gain - step.gain)
            for before, step in itertools.pairwise(rows)
            if before.gain is not None and step.gain is not None
        ]
        found = max(falls, key=lambda fall: fall[1], default=None)
        return found if found is not None and found[1] > 0 and len(falls) == len(self.steps) else None


def find_inflations(boards: Sequence[Board]) -> list[Inflation]:
    """Take the gain of a staircase's study apart, for every data set.

    Args:
        boards: As :func:`medbench.boards.build.boards` gives them, all of one run.

    Raises:
        UsageError: If the boards are not those of a staircase.
    """
    if not boards or not boards[0].study.staircase:
        raise UsageError("this run is no staircase; run the study with --inflation first.")
    datasets = dict.fromkeys(str(board.source["dataset"]) for board in boards)
    found = [_inflation([b for b in boards if b.source["dataset"] == dataset]) for dataset in datasets]
    return [one for one in found if one is not None]


def _inflation(boards: Sequence[Board]) -> Inflation | None:
    study = boards[0].study
    pair = compared_arms(study, [row.arm for row in _rows(boards, study.protocols[-1])])
    table = study.inflation
    if pair is None or table is None:
        return None
    arm, against = pair
    final = next(
        b for b in boards if b.protocol == study.protocols[-1] and b.classifier == (arm.board or arm.classifier)
    )

    others = chosen_among(study, [row.arm for row in _rows(boards, study.protocols[0])])

    def step(text: str, title: str, leak: str = "", number: int = 0, arm: Arm = arm) -> Step:
        return replace(_step(boards, text, (arm, against), table.metric), title=title, leak=leak, number=number)

    first = study.protocols[0]
    own = _best([step(first, "its protocol, our rerun", arm=one) for one in (arm, *others)])
    removed = [step(first, REMOVED[BEST_OF], BEST_OF, 1)] if others else []
    removed += [
        step(text, REMOVED[leak], leak, number)
        for number, (leak, text) in enumerate(zip(table.remove, study.protocols[1:], strict=True), len(removed) + 1)
    ]
    rows = {row.arm.key: row for row in final.all_rows}
    honest = rows[arm.key]
    judged = honest.judged if honest.judged is not None and honest.judged.gain is not None else None
    majority, commonest = _majority(final, honest) if table.metric == "accuracy" else (None, "")
    return Inflation(
        study,
        str(final.source["dataset"]),
        arm.classifier,
        table,
        (arm.augmenter, against.augmenter)
        if arm.augmenter != against.augmenter
        else (arm.classifier, against.classifier),
        _published_step(study, table, final.source, (arm.classifier, against.classifier)),
        own,
        tuple(removed),
        tuple(_ours(rows, honest, len(removed))),
        judged.gain if judged else None,
        judged.verdict if judged else None,
        judged.auroc if judged and judged.auroc is not None else float("nan"),
        majority,
        commonest,
        len(final.source["classes"]),
        int(final.source["images"]),
        final.is_phantom,
        tuple(describe_waivers(final.protocol, final.source, study.waive)),
    )


def _step(boards: Sequence[Board], text: str, pair: tuple[Arm, Arm], metric: str) -> Step:
    """Return what two arms reach under a protocol, in the study's own measure."""
    places = [(b, row) for b in boards if b.protocol == text for row in b.all_rows]
    values, why, counted = list[float | None](), "", list[ImageCounts]()
    for one in pair:
        row = next(((b, r) for b, r in places if r.arm.key == one.key), None)
        value = measure(metric, *row) if row is not None and row[1].complete else None
        values.append(value)
        counted += _counts(metric, *row) if row is not None and value is not None else []
        if value is None and not why:
            why = NOT_RUN if row is None or not row[1].done else NOT_COMPUTED
            if row is not None and row[1].done and not row[1].complete:
                why = f"{row[1].done} of {row[1].planned} done"
    number = class_number(metric, places[0][0]) if places else None
    error = difference_error(counted[0], counted[1], number) if len(counted) == len(pair) else None
    return Step("", values[0], values[1], why=why, error=error)


def _best(tried: Sequence[Step]) -> Step:
    """Return the step of the arm that reaches most; while one is missing, that one."""
    missing = [step for step in tried if step.arm is None]
    found = missing[0] if missing else max(tried, key=lambda step: step.arm or 0.0)
    return replace(found, title=f"{found.title}, the best of {len(tried)}") if len(tried) > 1 else found


def _rows(boards: Sequence[Board], text: str) -> list[Row]:
    return [row for board in boards if board.protocol == text for row in board.all_rows]


def _ours(rows: dict[tuple[str, str], Row], own: Row, taken: int) -> list[Step]:
    """Return the arm's balanced accuracy over each of its controls, the root first and its own one last."""
    chain: list[Row] = []
    row = own
    while (control := rows.get(row.arm.control_key)) is not None and control not in chain:
        chain.insert(0, control)
        row = control
    found = []
    for position, control in enumerate(chain):
        of_arm, of_control = own.scores, control.scores
        name = control.arm.classifier if own.arm.over else control.arm.augmenter
        found.append(
            Step(
                name,
                of_arm.balanced_accuracy if of_arm else None,
                of_control.balanced_accuracy if of_control else None,
                number=taken + 1 + position,
                why="" if of_arm and of_control else NOT_RUN,
            )
        )
    return found


def _published_step(
    study: Study, table: InflationTable, source: Mapping[str, Any], classifiers: tuple[str, str]
) -> Step:
    def figure(arm: str, classifier: str) -> PublishedTable | None:
        of_arm = [p for p in _of_pair(study, table) if p.arm == arm and is_about(p, source)]
        fitting = [p for p in of_arm if p.classifier in ("", classifier)]
        # The run may have parameters of its own.
        near = [p for p in of_arm if p.classifier and parse(p.classifier).name == parse(classifier).name]
        return fitting[0] if fitting else near[0] if len(near) == 1 else None

    mine, other = figure(table.arm, classifiers[0]), figure(table.against, classifiers[1])
    values = [None if found is None else found.value for found in (mine, other)]
    quoted = [p for p in _of_pair(study, table) if p.value is not None]
    why = "" if None not in values else NOT_FOUND
    if quoted and not any(is_about(p, source) for p in quoted):
        why = OTHER_DATA
    elif quoted and values == [None, None]:
        why = OTHER_NETWORK
    return Step("published", values[0], values[1], why=why)


def quoted_elsewhere(study: Study, table: InflationTable, *, of: Literal["dataset", "classifier"]) -> list[str]:
    """Return the data sets, or the networks, that figures of the two arms were published of."""
    return list(dict.fromkeys(getattr(p, of) for p in _of_pair(study, table) if p.value is not None))


def _of_pair(study: Study, table: InflationTable) -> list[PublishedTable]:
    return [p for p in study.published if p.arm in (table.arm, table.against) and p.metric == table.metric]


def _counts(metric: str, board: Board, row: Row) -> list[ImageCounts]:
    """Return the counts that a share of images is of; nothing for a measure that is none."""
    number = class_number(metric, board)
    if row.scores is None or (metric != "accuracy" and number is None):
        return []
    counts = count_images(row.scores, len(board.source["classes"]))
    return [counts] if (counts.images if number is None else counts.images[:, number]).any() else []


def _majority(board: Board, row: Row) -> tuple[float | None, str]:
    if row.scores is None or not row.scores.decisions.sum():
        return None, ""
    of_class = row.scores.decisions.sum(1)
    return float(of_class.max() / of_class.sum()), str(board.source["classes"][int(np.argmax(of_class))])
