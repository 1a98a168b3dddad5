"""Three columns for a rerun study: what was published, what its protocol gives here, what an honest one gives.

The published figures are the authors', from their data. The second column is our run under the first protocol of the
study that declares a leak, the third the same measure under the first one that declares none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medbench.boards.board import Board, Row
from medbench.errors import UsageError
from medbench.planning.study import Study
from medbench.planning.study_schema import PublishedTable
from medbench.protocols.protocol import protocol
from medbench.registry.recipes import parse
from medbench.statistics.class_metrics import recalls_of
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.verdicts import Verdict

NOT_RUN = "not run"
NOT_COMPUTED = "not computed"


@dataclass(frozen=True)
class Figure:
    """A number of a run, or why there is none.

    Attributes:
        value: Shares from 0 to 1; None where there is none.
        why: Empty, or a word or two such as "not run" or "3 of 15".
        ran: Augmenter and classifier that gave it, as boards write them; empty where nothing was run.
        failed: ``2 of 15 diverged``: what of it counts with its control's predictions; empty where nothing failed.
    """

    value: float | None = None
    why: str = ""
    ran: tuple[str, str] = ("", "")
    failed: str = ""


@dataclass(frozen=True)
class Line:
    """A published figure beside ours.

    Attributes:
        dataset: Data set of the run, as boards write it.
        published: What the study's file says.
        rerun: The same measure under the leaky protocol, on what that one scores, synthetic images included.
        honest: The same measure under the honest protocol.
        gain: Honest gain over the arm's own control in balanced accuracy, with the board's interval; None for a root,
            for a figure that is no classifier's, and while something is missing.
        verdict: The word for it, or why there is none.
        is_control: Whether the arm stands at the root of its board's tree, or leaves training as it is.
    """

    dataset: str
    published: PublishedTable
    rerun: Figure
    honest: Figure
    gain: Interval | None = None
    verdict: Verdict | None = None
    is_control: bool = False

    @property
    def inflation(self) -> float | None:
        """What the study's protocol gives beyond the honest one; None where one of the two is missing."""
        if self.rerun.value is None or self.honest.value is None or not self.published.is_share:
            return None
        return self.rerun.value - self.honest.value


@dataclass(frozen=True)
class Comparison:
    """All lines of a study.

    Attributes:
        study: What was asked.
        own: Text of the leaky protocol; empty where none was run.
        honest: Text of the honest one; empty where none was run.
        lines: In the order of the study's file, for each data set.
        is_phantom: Whether any image was drawn by medbench.
    """

    study: Study
    own: str
    honest: str
    lines: tuple[Line, ...]
    is_phantom: bool


def compare(boards: Sequence[Board]) -> Comparison:
    """Put every published figure of a study beside the boards' numbers.

    Args:
        boards: As :func:`medbench.boards.build.boards` gives them, all of one study.

    Raises:
        UsageError: If the study names no published figure.
    """
    if not boards or not boards[0].study.published:
        name = boards[0].study.name if boards else "this study"
        raise UsageError(f"{name}: names no published figures; add [[published]] tables to its file.")
    study = boards[0].study
    own = next((text for text in study.protocols if not protocol(text).is_honest), "")
    honest = next((text for text in study.protocols if protocol(text).is_honest), "")
    lines = tuple(
        _line(published, dataset, boards, own, honest)
        for dataset in dict.fromkeys(str(board.source["dataset"]) for board in boards)
        for published in study.published
        if is_about(published, dataset)
    )
    return Comparison(study, own, honest, lines, any(board.is_phantom for board in boards))


def is_about(published: PublishedTable, dataset: str) -> bool:
    """Say whether a published figure belongs to a data set of a run, or to the phantom of it."""
    bare = dataset.removeprefix("phantom:")
    return published.dataset in ("", bare, parse(bare).name)


def _line(published: PublishedTable, dataset: str, boards: Sequence[Board], own: str, honest: str) -> Line:
    of_data = [board for board in boards if board.source["dataset"] == dataset]
    rerun = _find(published, [board for board in of_data if board.protocol == own])
    fair = _find(published, [board for board in of_data if board.protocol == honest])
    row = fair[1] if fair and published.classifier and published.is_share else None
    judged = row.judged if row is not None else None
    return Line(
        dataset,
        published,
        _figure(published, rerun),
        _figure(published, fair),
        judged.gain if judged else None,
        judged.verdict if judged else None,
        row is not None and not row.arm.control,
    )


def _find(published: PublishedTable, boards: Sequence[Board]) -> tuple[Board, Row] | None:
    """Return the row that a figure is about: the same texts, else the only one with other parameters.

    A run may set parameters of what the study names, as in ``vgg16[head=narrow]``; tables then say so.
    """
    every = [(board, row) for board in boards for row in board.all_rows]
    same = [(b, r) for b, r in every if r.arm.augmenter == published.arm]
    if not same:
        near = [(b, r) for b, r in every if _is_near(published.arm, r.arm.augmenter)]
        same = near if len({r.arm.augmenter for _, r in near}) == 1 else []
    if not published.classifier:
        return same[0] if same else None
    exact = [(b, r) for b, r in same if r.arm.classifier == published.classifier]
    near = exact or [(b, r) for b, r in same if _is_near(published.classifier, r.arm.classifier)]
    return near[0] if len(near) == 1 else None


def _is_near(asked: str, ran: str) -> bool:
    """Say whether `ran` is `asked` with parameters of its own, or with some inside recipes that `asked` names."""
    one, other = parse(asked), parse(ran)
    if one.name != other.name:
        return False
    outlines = [{key: value.partition("[")[0] for key, value in spec.parameters} for spec in (one, other)]
    return not one.parameters or outlines[0] == outlines[1]


def _figure(published: PublishedTable, found: tuple[Board, Row] | None) -> Figure:
    if found is None:
        return Figure(why=NOT_RUN)
    board, row = found
    ran = row.arm.augmenter, row.arm.classifier
    if row.skipped:
        return Figure(why="skipped", ran=ran)
    if not row.complete:
        return Figure(why=f"{row.done} of {row.planned}", ran=ran)
    value = measure(published.metric, board, row)
    if value is not None:
        failed = f"{row.failed} of {row.planned} {', '.join(row.kinds)}" if row.failed else ""
        return Figure(value, ran=ran, failed=failed)
    return Figure(why="failed" if row.scores is None else NOT_COMPUTED, ran=ran)


def measure(metric: str, board: Board, row: Row) -> float | None:
    """Return a row's value of a published measure; None where it was not computed or is not defined.

    Accuracy, balanced accuracy and recalls count images by argmax of what was predicted, as studies do, and not by
    patient with corrected probabilities, as boards do. Any other name is that of a score of synthetic images, or of its
    floor: real images at the same number.
    """
    scores = row.scores
    if scores is None:
        return None
    value = float("nan")
    if metric == "accuracy":
        value = scores.accuracy
    elif metric == "balanced-accuracy":
        value = float(np.mean(_finite(recalls_of(scores.decisions))))
    elif metric.startswith("recall-"):
        names = [str(name).lower() for name in board.source["classes"]]
        name_of_class = metric.removeprefix("recall-").lower()
        value = float(recalls_of(scores.decisions)[names.index(name_of_class)]) if name_of_class in names else value
    elif metric == "auroc":
        value = scores.auroc
    elif metric == "macro-f1":
        value = scores.macro_f1
    else:
        of_plugin = row.metrics.get(metric)
        value = row.scores_of_made.get(metric, value if of_plugin is None else of_plugin)
    return value if np.isfinite(value) else None


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]
