"""Gain against training size, from boards that differ in nothing but how many patients they train on.

What a gain is worth in patients is read off the control's own learning curve: its balanced accuracy at the sizes that
were run, made never to fall, joined by straight lines over the logarithm of the size. At n patients the arm's gain g
lifts the curve's C(n) to C(n) + g; the worth is m - n, where m is the size at which the curve comes there. Outside the
sizes that were run nothing is read: the worth is then more, or less, than the end of the curve says.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any, Literal

from medbench.boards.board import Board, Row
from medbench.boards.gains import Judged
from medbench.planning.arms import Arm, Skipped
from medbench.planning.study import Study
from medbench.protocols.protocol_text import split_size


@dataclass(frozen=True)
class Worth:
    """How many more patients a control needs for the accuracy of an arm.

    Attributes:
        patients: More than the arm had; negative where the control needs fewer.
        beyond: ">" where the control needs more than the largest size that was run, and `patients` is what that size
            has more; "<" likewise for the smallest; else "".
    """

    patients: float
    beyond: Literal["", "<", ">"] = ""


@dataclass(frozen=True)
class Curve:
    """A learning curve that never falls.

    Attributes:
        sizes: Training patients, ascending, above 0.
        values: Balanced accuracy, 0 to 1.
        levelled: Whether what was measured fell somewhere.
    """

    sizes: tuple[float, ...]
    values: tuple[float, ...]
    levelled: bool = False


@dataclass(frozen=True)
class Point:
    """An arm at one size.

    Attributes:
        patients: Trained on.
        done: Cells that are finished.
        planned: Cells in all.
        failures: ``2 of 15 diverged``, or nothing.
        arm: Its balanced accuracy, 0 to 1; None before all cells are finished.
        control: That of its control.
        judged: Gain, range and word; None where there is nothing to compare with.
        worth: Of the gain; None without a gain, or where the control's curve does not hold this size.
        low: Of the range's lower end.
        high: Of its upper end.
    """

    patients: float
    done: int
    planned: int
    failures: str
    arm: float | None
    control: float | None
    judged: Judged | None
    worth: Worth | None = None
    low: Worth | None = None
    high: Worth | None = None


@dataclass(frozen=True)
class OfArm:
    """An arm over its control at all sizes.

    Attributes:
        arm: Augmenter, classifier, control.
        points: By size, ascending.
        curve: Of its control; None where fewer than two sizes of it are complete.
    """

    arm: Arm
    points: tuple[Point, ...]
    curve: Curve | None


@dataclass(frozen=True)
class LearningCurve:
    """What the boards of one data set and one classifier say of size.

    Attributes:
        study: What was asked.
        source: Facts of the data set.
        protocol: Its text without the number of patients.
        classifier: Text of the boards' classifier.
        arms: Those with a control, as the board of the largest size lists them.
        left_out: Sizes that the data set does not have.
        comparisons: Size of the family of each board, the largest.
        unit: What is drawn: "patients" or "images".
        tested: How many of them are tested.
        is_phantom: Whether the images were drawn by medbench.
    """

    study: Study
    source: dict[str, Any]
    protocol: str
    classifier: str
    arms: tuple[OfArm, ...]
    left_out: tuple[Skipped, ...]
    comparisons: int
    unit: str
    tested: int
    is_phantom: bool

    @property
    def sizes(self) -> list[float]:
        """Every size that was run, ascending."""
        return sorted({point.patients for arm in self.arms for point in arm.points})


def find_learning_curves(boards: Sequence[Board]) -> list[LearningCurve]:
    """Put together the boards that differ only in how many patients they train on; none where a run has one size.

    Args:
        boards: As :func:`medbench.boards.build.boards` gives them, all of one run. Leaky ones are left out.
    """
    alike: dict[tuple[str, str, str], dict[float, Board]] = {}
    for board in boards:
        bare, asked = split_size(board.protocol)
        size = float(asked) if board.trained_on != board.trained_on else board.trained_on
        if not board.leaks and size > 0:
            alike.setdefault((str(board.source["dataset"]), bare, board.classifier), {}).setdefault(size, board)
    return [_growth(bare, by_size) for (_, bare, _), by_size in alike.items() if len(by_size) > 1]


def curve(measured: Sequence[tuple[float, float]]) -> Curve:
    """Return the learning curve nearest to what was measured, by least squares, among those that never fall.

    Args:
        measured: Sizes and balanced accuracies, in any order.

    Source:
        The pool-adjacent-violators algorithm: Ayer et al., Annals of Mathematical Statistics 26 (1955).
    """
    points = sorted(measured)
    pools: list[tuple[float, int]] = []  # mean and number of the values pooled so far
    for _, value in points:
        pools.append((value, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (mean, n), (other, m) = pools[-2:]
            pools[-2:] = [((mean * n + other * m) / (n + m), n + m)]
    values = tuple(mean for mean, n in pools for _ in range(n))
    return Curve(tuple(size for size, _ in points), values, len(pools) < len(points) and _falls(points))


def worth(of_control: Curve, patients: float, gain: float) -> Worth:
    """Return how many more patients a control needs to gain as much.

    Where the curve is level, its end towards the gain counts, so that no gain is worth none.

    Args:
        of_control: Its learning curve.
        patients: One of the curve's sizes.
        gain: Of balanced accuracy, at that size.

    Raises:
        ValueError: If the curve has no such size.
    """
    sizes, values = of_control.sizes, of_control.values
    own = sizes.index(patients)
    target = values[own] + gain
    if target == values[own]:
        return Worth(0.0)
    up = target > values[own]
    last = len(sizes) - 1 if up else 0
    if target > values[-1] or target < values[0]:
        return Worth(sizes[last] - patients, ">" if up else "<")
    step = 1 if up else -1
    there = next(i for i in range(own, last + step, step) if (values[i] >= target if up else values[i] <= target))
    before = there - step
    share = (target - values[before]) / (values[there] - values[before])
    return Worth(exp(log(sizes[before]) + share * (log(sizes[there]) - log(sizes[before]))) - patients)


def _falls(points: Sequence[tuple[float, float]]) -> bool:
    return any(later < earlier for (_, earlier), (_, later) in itertools.pairwise(points))


def _growth(bare: str, by_size: dict[float, Board]) -> LearningCurve:
    largest = by_size[max(by_size)]
    compared = [row.arm for row in largest.rows if row.arm.control]
    found = {size: {row.arm.key: row for row in board.all_rows} for size, board in by_size.items()}
    gains = [row.gain for board in by_size.values() for row in board.rows if row.gain is not None]
    return LearningCurve(
        largest.study,
        dict(largest.source),
        bare,
        largest.classifier,
        tuple(_of_arm(arm, found) for arm in compared if any(arm.control_key in rows for rows in found.values())),
        tuple(s for s in largest.skipped if s.protocol and split_size(s.protocol)[0] == bare),
        max((gain.comparisons for gain in gains), default=0),
        largest.evidence.unit,
        max((_tested(board, row) for board in by_size.values() for row in board.rows), default=0),
        largest.is_phantom,
    )


def _tested(board: Board, row: Row) -> int:
    """Count the patients that a row tested, or its images where patients are not known, near copies apart."""
    if row.scores is None:
        return 0
    # Where images are scored and patients known, only the clusters of images tell patients.
    are_units = board.unit == "patient" or board.evidence.unit == "images"
    return len(set((row.scores.names if are_units else row.scores.clusters).tolist()))


def _of_arm(arm: Arm, found: dict[float, dict[tuple[str, str], Row]]) -> OfArm:
    rows = {size: (of_size[arm.key], of_size.get(arm.control_key)) for size, of_size in sorted(found.items())}
    measured = [
        (size, control.scores.balanced_accuracy) for size, (_, control) in rows.items() if control and control.scores
    ]
    of_control = curve(measured) if len(measured) > 1 else None
    return OfArm(arm, tuple(_point(size, *pair, of_control) for size, pair in rows.items()), of_control)


def _point(size: float, row: Row, control: Row | None, of_control: Curve | None) -> Point:
    judged = row.judged
    gain = judged.gain if judged else None
    readable = gain is not None and of_control is not None and size in of_control.sizes

    def read(value: float) -> Worth | None:
        return worth(of_control, size, value) if readable and of_control is not None else None

    return Point(
        size,
        row.settled if control is None else min(row.settled, control.settled),
        row.planned,
        judged.evidence.failures if judged else "",
        row.scores.balanced_accuracy if row.scores else None,
        control.scores.balanced_accuracy if control and control.scores else None,
        judged,
        *((read(gain.value), read(gain.low), read(gain.high)) if gain is not None else ()),
    )
