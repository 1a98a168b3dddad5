"""The notes under a board: one sentence each for what its table does not show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

from medbench.boards.board import Board, Row
from medbench.boards.generator_health import why_poor
from medbench.data.audit_official_cut import describe_waivers
from medbench.planning.arm_names import arm_name, control_name, left_out
from medbench.planning.arms import is_primary
from medbench.planning.fitted_steps import describe_fitted
from medbench.registry.display_names import classifier_name, dataset_name, is_of_copies
from medbench.statistics.verdicts import FEWEST_RARE, failures
from medbench.tables.copied_images import Copied, copies
from medbench.tables.wording import (
    ESTIMAND,
    answer,
    at_twice,
    computed_otherwise,
    generator_poor,
    looks,
    still_improving,
    tuning,
    yardstick,
)
from medbench.text import auroc_text, clean, counted, listed, points

_UNKNOWN = re.compile(r"says? which images show the same patient")
_COMMAND = re.compile(r": medbench audit \S.*$")
_WRONG_DATA = re.compile(
    r"under different labels|trains without|on both sides of a split|that show nothing|split differ:"
)
"""What is wrong with images or their official split, or which were left out: said before what they give away."""
MEANING = {
    "e": "outside data: training starts from a file of weights or from another data set",
    "u": "unchecked: a plugin's recipe that could not be checked before its first training run",
    "i": "incomplete: training runs of this method are still to be done",
}
"""What the marks behind a row mean, in the order they are explained."""
MOST_RARE = 3
"""Classes whose recalls stand below a table, the rarest."""


UNKNOWN_PATIENTS = "Patients are not known: images of one person may be in training and in test."


def name_of_data(board: Board) -> str:
    """Name the data set of a board for people."""
    return name_of_source(board.source)


def name_of_source(source: Mapping[str, Any]) -> str:
    """Name the data set of a board for people; of an external test both."""
    name = dataset_name(str(source["dataset"]), str(source.get("title") or ""))
    tested = source.get("tested")
    if not tested:
        return name
    return f"Trained on {name}, tested on {dataset_name(str(tested['dataset']), str(tested.get('title') or ''))}"


def knows_patients(source: Mapping[str, Any]) -> bool:
    """Say whether a data set tells patients apart; readers that find none say so in a note."""
    alone = source["patients"] == source["images"]
    return not alone or not (source["unit"] == "image" or any(_UNKNOWN.search(note) for note in source["notes"]))


def count_patients(source: Mapping[str, Any]) -> str:
    """Write how many patients and images a data set has: ``180 patients, 243 images``."""
    images = counted(source["images"], "image")
    if not knows_patients(source):
        return f"{images}, patients not known"
    return f"{counted(source['patients'], 'patient')}, {images}"


def guessing(board: Board) -> str:
    """Say what an answer at random is worth."""
    return f"Guessing gives {100 / len(board.source['classes']):.1f} % balanced accuracy."


def mark_notes(board: Board) -> list[str]:
    """Explain the marks behind the rows of a board; before them, the gain at twice the steps where it was asked for."""
    poor = [(arm_name(row.arm), row.why_poor) for row in board.rows if row.why_poor]
    said = [generator_poor(poor)] * bool(poor)
    apart = [why for row in board.rows if is_of_copies(row.arm.augmenter) and (why := why_poor(row.scores_of_made))]
    if apart:
        said.append(
            "Copied training images are as far from the test images as poor generated ones would be: the training and "
            "the test part differ, so that scores of generated images say little here."
        )
    if (at := board.check) is not None:
        said.insert(0, at_twice(at))
        if at.failed:
            failed = counted(at.failed, "training run")
            said.insert(1, f"Of these, {failed} failed; the predictions of the method above it stand in.")
    said += [
        *moved_thresholds(board),
        *rare_recalls(board),
        *_family(board),
        *filter(None, [describe_fitted(board.study), computed_otherwise(board.study.budget.numerics)]),
    ]
    return said + [f"{mark}: {MEANING[mark]}" for mark in MEANING if any(mark in row.marks for row in board.rows)]


def moved_thresholds(board: Board) -> list[str]:
    """Say of every better method that loses more than half of its gain at a fair threshold how much it does."""
    said = []
    for row in board.rows:
        fair = row.fair.gain if row.fair is not None else None
        if row.judged is None or row.gain is None or row.judged.verdict.word != "better" or fair is None:
            continue
        left = max(0.0, fair.value) / row.gain.value
        if left < 0.5:
            share = "about all" if left < 0.1 else f"about {round(10 * (1 - left))} tenths"
            said.append(
                f"{share[:1].upper()}{share[1:]} of the gain of {arm_name(row.arm)} is a moved threshold: "
                f"{points(row.gain.value)} at the decision by class frequencies, {points(fair.value)} at a threshold "
                f"learnt on watched patients (AUROC {auroc_text(row.judged.auroc)})."
            )
    return said


def without_fair_gain(board: Board) -> list[str]:
    """Say once why gains of a table have none at a fair threshold beside them; nothing where all have.

    Args:
        board: With fair gains computed for every row.
    """
    rows = [row for row in board.all_rows if row.gain is not None and not board.leaks]
    missing = [row for row in rows if row.fair is None or row.fair.gain is None]
    stored = {row.arm.key for row in board.all_rows if row.has_watched}
    old = [row for row in missing if not {row.arm.key, row.arm.control_key} <= stored]
    said = []
    for those, why in (
        (old, "not stored, as results of before hold no predictions for watched patients"),
        ([row for row in missing if row not in old], "none, as a class is missing among the watched patients"),
    ):
        names = "" if len(those) == len(rows) else f" of {listed([arm_name(row.arm) for row in those])}"
        said += [f"Gain{names} at a fair threshold: {why}."] * bool(those)
    return said


def rare_recalls(board: Board) -> list[str]:
    """Say what methods that were asked for do for the rarest classes, each beside the method above it."""
    counts, classes = board.source["class_patients"], board.source["classes"]
    rare = sorted((n, k) for k, n in enumerate(counts) if n < FEWEST_RARE)[:MOST_RARE]
    rows = {row.arm.key: row for row in board.rows}
    said = []
    for n, k in rare if len(counts) > 2 else ():
        each = []
        for row in board.rows:
            above = rows.get(row.arm.control_key)
            if not row.arm.asked or row.scores is None or above is None or above.scores is None:
                continue
            recall, before = float(row.scores.recalls[k]), float(above.scores.recalls[k])
            each.append(f"{arm_name(row.arm)} {100 * recall:.1f} % ({points(recall - before)})")
        unit = "patient" if knows_patients(board.source) else "image"
        if each:
            of_class = f"Recall of {clean(str(classes[k]))} ({counted(n, unit)})"
            said.append(f"{of_class} and its gain over the method above it, no interval: {'; '.join(each)}.")
    return said


def _family(board: Board) -> list[str]:
    """Say that intervals allow for comparisons without a gain and for those of other runs, which widen them later."""
    compared = [row.gain.comparisons for row in board.rows if row.gain is not None]
    more = max(compared, default=0) - len(compared)
    if more <= 0:
        return []
    # A primary comparison is tested by itself, and in the family of no other.
    open_here = sum(
        bool(row.arm.control) and row.gain is None and not is_primary(row.arm, board.study.primary)
        for row in board.rows
    )
    here = min(more, open_here)
    said = [f"{here} of them without a gain here"] * bool(here)
    said += [f"{more - here} of them not in this table; what else is tried on these splits widens them"] * (more > here)
    return [f"Intervals allow for {counted(max(compared), 'comparison')}, {', '.join(said)}."]


def primary_first(board: Board) -> list[str]:
    """Say which comparison is tested first, where one was declared."""
    primary = [row for row in board.rows if is_primary(row.arm, board.study.primary) and row.gain is not None]
    if not primary:
        return []
    others = sum(row.gain is not None for row in board.rows) - len(primary)
    rest = f"; the other {others} are tested together, once it is decided" if others else ""
    return [f"Primary comparison, declared before the run and tested by itself: {arm_name(primary[0].arm)}{rest}."]


def own_warnings(board: Board) -> list[str]:
    """Return what a reader should know before the numbers are believed, the weightiest first."""
    # What a study waives, every table says.
    sentences = list(describe_waivers(board.protocol, board.source, board.study.waive))
    prefix = f"{board.source['dataset']}: "
    warnings = [f"Warning: {without_command(warning.removeprefix(prefix))}" for warning in board.warnings]
    sentences += [warning for warning in warnings if _WRONG_DATA.search(warning)]
    sentences += [] if knows_patients(board.source) else [UNKNOWN_PATIENTS]
    sentences += [f"Left out, {left_out(s)}: {s.reason.rstrip('.')}." for s in board.skipped]
    for row in board.rows:
        name = arm_name(row.arm)
        if row.failed:
            stands_in = (
                "; they count with the predictions of the method above it" if row.scores else ", so it has no score"
            )
            sentences.append(f"{name}: {failures(row.failed, row.planned, row.kinds)}{stands_in}.")
        sentences += [
            f"Left out, {name} with {classifier_name(board.classifier)}: {why.rstrip('.')}." for why in row.reasons
        ]
    return sentences + [warning for warning in warnings if not _WRONG_DATA.search(warning)]


def without_command(warning: str) -> str:
    """Return a warning as a sentence, without the command at its end: what may come next is said once."""
    return f"{_COMMAND.sub('', warning).rstrip('.')}."


def board_notes(board: Board) -> list[str]:
    """Return the further sentences of a board: what its numbers mean and how they came about."""
    sentences = [guessing(board)]
    if board.plain is not None and board.plain.scores is not None:
        s, name = board.plain.scores, arm_name(board.plain.arm)
        sentences.append(
            f"{name[:1].upper()}{name[1:]}: {100 * s.argmax_balanced_accuracy:.1f} % when the most "
            f"probable class is taken, {100 * s.balanced_accuracy:.1f} % when the decision threshold follows the class "
            "frequencies, as in the table."
        )
    sentences += _answers(board)
    if board.unit == "image" and board.source["patients"] != board.source["images"]:
        sentences.append("Scored by image; all images of a patient are drawn together.")
    compared = max((row.gain.comparisons for row in board.rows if row.gain), default=0)
    tuned, gain = tuning(board.study.budget.tries), f"{ESTIMAND} " if compared else ""
    sentences += [*primary_first(board), looks(compared, board.looks), f"{gain}{tuned[:1].upper()}{tuned[1:]}."]
    improving = [arm_name(row.arm) for row in board.rows if 2 * row.improving[0] > row.improving[1]]
    sentences += filter(None, [still_improving(improving, checked=board.check is not None)])
    for of_it in board.yardsticks:
        if of_it.failed:
            title = yardstick(of_it)[0]
            sentences.append(f"{title}: {failures(of_it.failed, of_it.planned, of_it.kinds)}, so it is not scored.")
    learnt = [row for row in board.rows if not is_of_copies(row.arm.augmenter)]
    if found := copies([_copied(row) for row in learnt]):
        sentences.append(found)
    for row in board.rows:
        name = arm_name(row.arm)
        if row.collapsed[0]:
            of = f"{row.collapsed[0]} of {counted(row.collapsed[1], 'generator')}"
            sentences.append(f"{name}: {of} collapsed: all images of a class are nearly the same.")
        if (kept := row.selection) is not None:
            sentences.append(
                f"{name}: {100 * kept.accepted:.0f} % of the generated images pass the selection; as many images "
                f"cover {100 * kept.coverage_before:.0f} % of the real ones before it, "
                f"{100 * kept.coverage_after:.0f} % after."
            )
        if row.chosen:
            each = "; ".join(f"{text} ({n})" for text, n in row.chosen)
            sentences.append(f"{name}, chosen by tries, with the number of training runs: {each}.")
        if row.superseded:
            older = counted(row.superseded, "older result")
            sentences.append(f"{name}: {older} of other code or another budget, not shown.")
    return sentences


def _copied(row: Row) -> Copied:
    found, told, untold = row.copied
    return Copied(arm_name(row.arm), found, told, row.scores_of_made.get("copies-least", nan), untold)


def without_number(boards: Sequence[Board]) -> list[str]:
    """Return a sentence for each metric, score and extractor that gave no number somewhere, over all boards."""
    cells_by_reason: dict[tuple[str, str], int] = {}
    for board in boards:
        for row in board.all_rows:
            for name, (why, cells) in row.unmeasured.items():
                cells_by_reason[name, why] = cells_by_reason.get((name, why), 0) + cells
    return [
        f"{name}: no number in {counted(cells, 'training run')}, {why}."
        for (name, why), cells in cells_by_reason.items()
    ]


def _answers(board: Board) -> list[str]:
    """Answer for every method that was asked for and has a verdict, where there are several."""
    judged = [(row.arm, row.judged) for row in board.rows if row.judged is not None and row.arm.asked]
    answers = [
        answer(of_arm, arm=arm_name(arm), control=control_name(arm), worth=board.study.worth)
        for arm, of_arm in judged
        if not of_arm.verdict.withheld
    ]
    return answers if len(judged) > 1 else []
