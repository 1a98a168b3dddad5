"""Three columns for a rerun study: what was published, what its protocol gives here, what an honest one gives.

The published figures are the authors', from their data. The second column is our run under the first protocol of the
study that declares a leak, the third the same measure under the first one that declares none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medbench.boards.board import Board, Row
from medbench.errors import UsageError
from medbench.planning.study import Study
from medbench.planning.study_schema import PublishedTable
from medbench.protocols.protocol import protocol
from medbench.registry.recipes import parse
from medbench.statistics.class_metrics import recalls_of
from medbench.statistics.clustered_shares import clustered_interval, count_images
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.verdicts import Verdict

_NUMBER = re.compile(r"[-+.\de]+")
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
        interval: 95 % interval of an accuracy or a recall, images of a patient together; None for other measures.
        balanced: Balanced accuracy of the same decisions, which no mix of classes moves; None without a classifier.
        constant: Accuracy of always answering the class that is commonest among what was scored; None as `balanced`.
    """

    value: float | None = None
    why: str = ""
    ran: tuple[str, str] = ("", "")
    failed: str = ""
    interval: tuple[float, float] | None = None
    balanced: float | None = None
    constant: float | None = None


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
        """What the study's protocol gives beyond the honest one, in balanced accuracy; None where one is missing.

        Not in accuracy: what is scored under the study's protocol has another mix of classes where synthetic images are
        among it, so that even a constant answer would seem inflated.
        """
        if self.rerun.balanced is None or self.honest.balanced is None or not self.published.is_share:
            return None
        return self.rerun.balanced - self.honest.balanced


@dataclass(frozen=True)
class Remainder:
    """What is left of a claim: the gain of the line that claims most over the one it was compared with.

    Attributes:
        line: Of the method that claims something.
        over: Of what the study compared it with.
    """

    line: Line
    over: Line

    @property
    def published(self) -> float | None:
        """The gain as published, in its own measure."""
        values = self.line.published.value, self.over.published.value
        return None if values[0] is None or values[1] is None else values[0] - values[1]

    @property
    def rerun(self) -> float | None:
        """The same gain under the study's own protocol here, in balanced accuracy."""
        return _less(self.line.rerun.balanced, self.over.rerun.balanced)

    @property
    def honest(self) -> float | None:
        """The same gain under the honest protocol, in balanced accuracy."""
        return _less(self.line.honest.balanced, self.over.honest.balanced)


@dataclass(frozen=True)
class Cost:
    """What two methods cost that train on about equally many images.

    Attributes:
        claim: What was published of it.
        classifier: Of both.
        device: "CPU", or the name of the GPU.
        names: Augmenters, the one that is said to cost less first.
        seconds: Of all their training runs and of every generator they need.
        added: Images added to the real ones, mean over training runs.
    """

    claim: str
    classifier: str
    device: str
    names: tuple[str, str]
    seconds: tuple[float, float]
    added: tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """All lines of a study.

    Attributes:
        study: What was asked.
        own: Text of the leaky protocol; empty where none was run.
        honest: Text of the honest one; empty where none was run.
        lines: In the order of the study's file, for each data set.
        is_phantom: Whether any image was drawn by medbench.
        sources: Of the boards, as these have them.
        costs: Of the two methods that the study's file names, for each classifier under the honest protocol.
        chain: Where no figure was found: every row of the honest boards, each under what it is compared with; there is
            nothing to stand beside.
    """

    study: Study
    own: str
    honest: str
    lines: tuple[Line, ...]
    is_phantom: bool
    sources: tuple[Mapping[str, Any], ...] = ()
    costs: tuple[Cost, ...] = ()
    chain: tuple[Row, ...] = ()

    @property
    def remainders(self) -> tuple[Remainder, ...]:
        """What is left of the gain that the study's ``[inflation]`` table names, for each data set and classifier."""
        table = self.study.inflation
        if table is None:
            return ()
        claims = [one for one in self.lines if (one.published.arm, one.published.metric) == (table.arm, table.metric)]
        found = []
        for line in claims:
            others = [one for one in self.lines if _is_compared(one, line, table.against)]
            if others and line is not others[0]:
                found.append(Remainder(line, others[0]))
        return tuple(found)


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
        for dataset, source in {str(board.source["dataset"]): board.source for board in boards}.items()
        for published in study.published
        if is_about(published, source)
    )
    fair = [board for board in boards if board.protocol == honest]
    is_told = not lines or any(line.published.value is not None for line in lines)
    return Comparison(
        study,
        own,
        honest,
        lines,
        any(board.is_phantom for board in boards),
        tuple(board.source for board in boards),
        tuple(_costs(study, fair)),
        () if is_told else tuple(row for board in fair for row in board.rows),
    )


def is_about(published: PublishedTable, source: Mapping[str, Any]) -> bool:
    """Say whether a published figure belongs to the data set of a board, or to the phantom of it.

    The board's may have parameters that the figure does not name; what it names must be the same.
    """
    of_classes = not published.classes or sorted(published.classes) == sorted(source["classes"])
    if not published.dataset:
        return of_classes
    named, tested = (parse(text) for text in (published.dataset, str(source["dataset"]).removeprefix("phantom:")))
    return named.name == tested.name and set(named.parameters) <= set(tested.parameters) and of_classes


def _is_compared(one: Line, line: Line, against: str) -> bool:
    """Say whether `one` is what the study compared `line` with: another augmenter, or another network with the same."""
    mine, other = line.published, one.published
    if (one.dataset, other.metric, other.arm) != (line.dataset, mine.metric, against):
        return False
    if against != mine.arm:
        return other.classifier == mine.classifier
    return other.classifier != mine.classifier and mine.classifier.startswith(other.classifier.rstrip("]"))


def _less(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _costs(study: Study, boards: Sequence[Board]) -> Iterator[Cost]:
    table = study.cost
    if table is None:
        return
    for board in boards:
        rows = {row.arm.key: row for row in board.all_rows if row.complete and row.scores is not None}
        for classifier in dict.fromkeys(classifier for _, classifier in rows):
            mine, other = (rows.get((name, classifier)) for name in (table.arm, table.against))
            if mine is not None and other is not None:
                yield Cost(
                    table.claim,
                    classifier,
                    board.device,
                    (table.arm, table.against),
                    (mine.seconds, other.seconds),
                    (mine.made, other.made),
                )


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

    A run may set parameters of what the study names, as in ``vgg16[head=narrow]``; tables then say so. A row that
    another figure is about, as that of another change of the images, is never taken.
    """
    every = [(board, row) for board in boards for row in board.all_rows]
    named = {other.arm for board in boards for other in board.study.published}
    same = [(b, r) for b, r in every if r.arm.augmenter == published.arm]
    if not same:
        near = [(b, r) for b, r in every if r.arm.augmenter not in named and _is_near(published.arm, r.arm.augmenter)]
        same = near if len({r.arm.augmenter for _, r in near}) == 1 else []
    if not published.classifier:
        return same[0] if same else None
    exact = [(b, r) for b, r in same if r.arm.classifier == published.classifier]
    near = exact or [(b, r) for b, r in same if _is_near(published.classifier, r.arm.classifier, numbers=False)]
    return near[0] if len(near) == 1 else None


def _is_near(asked: str, ran: str, *, numbers: bool = True) -> bool:
    """Say whether `ran` is `asked` with parameters of its own, or with some inside recipes that `asked` names.

    Args:
        asked: Text of a figure's recipe.
        ran: That of a row.
        numbers: Whether numbers among the parameters must agree, as the width of a network need not.
    """
    one, other = parse(asked), parse(ran)
    if one.name != other.name:
        return False
    outlines = [
        {key: value.partition("[")[0] for key, value in spec.parameters if numbers or not _NUMBER.fullmatch(value)}
        for spec in (one, other)
    ]
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
        return Figure(value, "", ran, failed, *_beside(published, board, row))
    return Figure(why="failed" if row.scores is None else NOT_COMPUTED, ran=ran)


def _beside(
    published: PublishedTable, board: Board, row: Row
) -> tuple[tuple[float, float] | None, float | None, float | None]:
    """Return the interval of an accuracy or a recall, the balanced accuracy, and what a constant answer scores."""
    if row.scores is None or not published.is_share or not row.scores.decisions.sum():
        return None, None, None
    decisions = row.scores.decisions
    of_class, interval = decisions.sum(1), None
    number = class_number(published.metric, board)
    if published.metric == "accuracy" or (number is not None and of_class[number]):
        interval = clustered_interval(count_images(row.scores, len(of_class)), number)
    return interval, measure("balanced-accuracy", board, row), float(of_class.max() / of_class.sum())


def class_number(metric: str, board: Board) -> int | None:
    """Return the class whose recall a measure is; None for any other measure."""
    if not metric.startswith("recall-"):
        return None
    names = [str(name).lower() for name in board.source["classes"]]
    wanted = metric.removeprefix("recall-").lower()
    return names.index(wanted) if wanted in names else None


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
        number = class_number(metric, board)
        value = value if number is None else float(recalls_of(scores.decisions)[number])
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
