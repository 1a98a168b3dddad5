"""The notes under a board: one sentence each for what its table does not show."""

from __future__ import annotations

from collections.abc import Sequence

from medbench.boards.board import Board
from medbench.boards.generator_health import why_poor
from medbench.data.audit_official_cut import describe_waivers
from medbench.planning.arm_names import arm_name, control_name, left_out, short
from medbench.statistics.verdicts import reasons
from medbench.tables.wording import (
    ESTIMAND,
    PHANTOM,
    answer,
    at_twice,
    auroc_share,
    copies,
    generator_poor,
    looks,
    still_improving,
    what_helps,
    yardstick,
)
from medbench.text import counted

MEANING = {
    "e": "outside data: training starts from a file of weights or from another data set",
    "u": "unchecked: a plugin's recipe that could not be checked before its first trial",
    "i": "incomplete: cells of this arm are still to be done",
}
"""What the marks behind a row mean, in the order they are explained."""


def board_notes(board: Board) -> list[str]:
    """Return the sentences under a board; an empty one parts the scores of plain training from the rest."""
    first = f"chance {100 / len(board.source['classes']):.1f}"
    if board.plain is not None and board.plain.scores is not None:
        s = board.plain.scores
        first += (
            f"    {short(board.plain.arm.augmenter)}: {100 * s.argmax_balanced_accuracy:.1f} by argmax, "
            f"{100 * s.balanced_accuracy:.1f} with the threshold moved, AUROC {auroc_share(s.auroc)}"
        )
    sentences = [first, ""]
    if board.leaks:
        sentences.append(f"PROTOCOL {board.protocol} LEAKS by design, never ranked: {', '.join(board.leaks)}")
    sentences += describe_waivers(board.protocol, board.source, board.study.waive)
    sentences += _answers(board)
    if (at := board.check) is not None:
        sentences.append(at_twice(at))
        if at.failed:
            sentences.append(
                f"At {at.steps:,} steps {counted(at.failed, 'training')} failed, counted with the control's "
                "predictions."
            )
    sentences += reasons(board.evidence)
    if board.is_phantom:
        sentences.append(PHANTOM)
    if board.unit == "image" and board.source["patients"] != board.source["images"]:
        sentences.append("Scored by image; all images of a patient are drawn together.")
    compared = max((row.gain.comparisons for row in board.rows if row.gain), default=0)
    sentences.append(f"{looks(compared, board.looks)}. {f'{ESTIMAND} ' if compared else ''}Untuned defaults.")
    if improving := still_improving([arm_name(r.arm) for r in board.rows if 2 * r.improving[0] > r.improving[1]]):
        sentences.append(improving)
    for of_it in board.yardsticks:
        if of_it.failed:
            title = yardstick(of_it)[0]
            sentences.append(
                f"{title}: {of_it.failed} of {of_it.planned} {', '.join(of_it.kinds)}, so it is not scored."
            )
    poor = [(arm_name(row.arm), why_poor(row.scores_of_made)) for row in board.rows if "g" in row.marks]
    sentences += [generator_poor(poor)] * bool(poor)
    if found := copies([(arm_name(row.arm), *row.copied) for row in board.rows]):
        sentences.append(found)
    sentences += [f"{mark}  {MEANING[mark]}" for mark in MEANING if any(mark in row.marks for row in board.rows)]
    for row in board.rows:
        name = arm_name(row.arm)
        if row.failed:
            stands_in = "counted with its control's predictions" if row.scores else "so it is not scored"
            sentences.append(f"{name}: {row.failed} of {row.planned} {', '.join(row.kinds)}, {stands_in}.")
        if row.collapsed[0]:
            of = f"{row.collapsed[0]} of {counted(row.collapsed[1], 'generator')}"
            sentences.append(f"{name}: {of} collapsed: a class's samples are nearly one picture.")
        if row.superseded:
            sentences.append(f"{name}: {counted(row.superseded, 'older result')} of other code or budget, not shown.")
        sentences += [f"skipped {name} / {short(board.classifier)}: {reason}" for reason in row.reasons]
    sentences += [f"skipped {left_out(s)}: {s.reason}" for s in board.skipped]
    return sentences + [f"! {warning}" for warning in board.warnings]


def without_number(boards: Sequence[Board]) -> list[str]:
    """Return a sentence for each metric, score and extractor that gave no number somewhere, over all boards."""
    cells_by_reason: dict[tuple[str, str], int] = {}
    for board in boards:
        for row in board.all_rows:
            for name, (why, cells) in row.unmeasured.items():
                cells_by_reason[name, why] = cells_by_reason.get((name, why), 0) + cells
    return [f"{name}: no number in {counted(cells, 'cell')}, {why}." for (name, why), cells in cells_by_reason.items()]


def _answers(board: Board) -> list[str]:
    """Answer for every arm that was asked for and has a verdict, then say what helps."""
    judged = [(row.arm, row.judged) for row in board.rows if row.judged is not None]
    answers = [
        answer(of_arm, arm=arm_name(arm), control=control_name(arm), worth=board.study.worth)
        for arm, of_arm in judged
        if arm.asked and not of_arm.verdict.withheld
    ]
    helps = what_helps([(arm_name(arm), j.verdict, j.gain) for arm, j in judged if j.gain is not None])
    return [*answers, helps] if helps else answers
