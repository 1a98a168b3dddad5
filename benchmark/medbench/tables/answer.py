"""The answer of a board, and what belongs to it: why there is no verdict, the weightiest warnings, what to do next.

Terminal, report, site and notebook take these sentences from here, in this order.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from medbench.boards.board import Board, Row
from medbench.boards.gains import Judged
from medbench.boards.training_runs import count_runs
from medbench.planning.arm_names import arm_name, control_name
from medbench.registry.display_names import classifier_name, is_of_copies
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.verdicts import WORDS, GivenWord, reasons
from medbench.tables.board_notes import board_notes, name_of_data, own_warnings
from medbench.tables.wording import SYNTHETIC, answer, barely_trained, range_of, what_helps
from medbench.text import auroc_text, counted, listed, points, printed

MOST_NAMED = 2
"""Methods that a question names; of more it gives the number."""
MOST_WARNINGS = 3
MOST_EFFECTS = 3
"""Methods whose gains an answer gives one by one."""


@dataclass(frozen=True)
class Answer:
    """What is said of a board, the answer first.

    Attributes:
        question: The title: what was asked.
        badges: Words that must not be missed, in capitals: SYNTHETIC DATA, PRACTICE RUN, LEAKY.
        sentence: The answer in one sentence.
        largest: What was seen of methods that came along: the largest difference; "" where the answer says it.
        training: That networks were barely trained; "" where they were not.
        why_no_verdict: A sentence for each reason why there is no verdict; empty where there is one.
        warnings: The weightiest, at most MOST_WARNINGS.
        notes: All further sentences.
    """

    question: str
    badges: tuple[str, ...]
    sentence: str
    largest: str
    training: str
    why_no_verdict: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """A method beside the one it is compared with, of a run or of a published entry.

    Attributes:
        name: What people read.
        control: Name of what it is compared with.
        judged: Its gain and verdict; a gain without a standard error is one of which only the interval is known.
        asked: Whether it was asked for, and did not come along as a reference.
        for_comparison: Whether nobody asks about it: copies, and a further generator beside the one asked for.
    """

    name: str
    control: str
    judged: Judged
    asked: bool
    for_comparison: bool = False

    @property
    def is_named(self) -> bool:
        """Whether a user may ask about it."""
        return self.asked or not self.for_comparison


@dataclass(frozen=True)
class NextStep:
    """A command that may come next.

    Attributes:
        command: As it is typed.
        purpose: What it gives, in a few words.
    """

    command: str
    purpose: str


def answer_of(board: Board) -> Answer:
    """Answer the question of a board."""
    warnings = [SYNTHETIC] * board.is_phantom + own_warnings(board) + _plain_is_best(board)
    shown = warnings[: MOST_WARNINGS + board.is_phantom]  # that images are drawn counts for none
    notes = [*warnings[len(shown) :], *board_notes(board)]
    is_complete = all(row.complete for row in board.all_rows)
    sentence, largest = _sentence(board), largest_of(_compared(board)) if is_complete else ""
    return Answer(
        _question(board),
        _badges(board),
        sentence,
        largest,
        barely_trained(board.study.budget.steps),
        tuple(_why_no_verdict(board)),
        tuple(shown),
        tuple(notes),
    )


def next_steps(
    boards: Sequence[Board],
    *,
    name: str = "",
    file: str = "",
    data: Sequence[str] | None = None,
    plugins: Sequence[str] = (),
    results: str = "",
) -> list[NextStep]:
    """Return what a user may want to do after a run.

    Args:
        boards: Of the run.
        name: How commands call the study; "" for the latest.
        file: Study file that was given; "" for none.
        data: Folders of the images, as ``--data`` takes them; empty where commands find them without it, None where
            nobody knows, and FOLDER stands for them.
        plugins: Folders that were given to ``--plugins-dir``, which every further command needs again.
        results: Store that was given to ``--results``, likewise; "" where commands find it without.
    """
    named = f" {shlex.quote(name)}" if name else ""
    named += f" --results {shlex.quote(results)}" if results else ""
    folders = "".join(f" --plugins-dir {shlex.quote(folder)}" for folder in plugins)
    complete = boards and all(row.complete for board in boards for row in board.all_rows)
    steps = [] if complete else [NextStep("medbench run ...", "the same run again goes on where it stopped")]
    steps.append(NextStep(f"medbench report{named}{folders}", "a page with plots"))
    if any(board.is_phantom for board in boards):
        steps.append(NextStep("medbench init FOLDER", "your own images"))
    if audited := next((b for b in boards if b.warnings), None):
        known = audited.is_phantom or file or data is not None
        given = "" if audited.is_phantom or file else data_options(data)
        command = f"medbench audit {shlex.quote(file or str(audited.source['dataset']))}{given}{folders}"
        steps.append(NextStep(command, "what the warnings rest on" if known else "the warnings; FOLDER: the images"))
    if complete and not any(board.evidence.is_rehearsal or board.leaks for board in boards):
        steps.append(NextStep(f"medbench bundle{named}{folders}", "one file that others can check"))
    return steps


def data_options(data: Sequence[str] | None) -> str:
    """Return what a command needs to find images: ``--data`` for each folder, a placeholder where None are known."""
    return "".join(f" --data {shlex.quote(folder)}" for folder in (["FOLDER"] if data is None else data))


def asked_rows(board: Board) -> list[Row]:
    """Return the methods that were asked for and are compared with another one."""
    return [row for row in board.rows if row.arm.asked and row.judged is not None]


def _question(board: Board) -> str:
    names = [f'"{name}"' for name in dict.fromkeys(arm_name(row.arm) for row in asked_rows(board))]
    who = f"Which of {len(names)} methods helps" if len(names) > MOST_NAMED else f"Does {listed(names)} help"
    if len(names) == MOST_NAMED:
        who = f"Do {listed(names)} help"
    return f"{who if names else 'How good is it'}? {name_of_data(board)}, {classifier_name(board.classifier)}"


def _badges(board: Board) -> tuple[str, ...]:
    found = ["SYNTHETIC DATA"] * board.is_phantom + ["LEAKY"] * bool(board.leaks)
    return (*found, *["PRACTICE RUN"] * board.evidence.is_rehearsal)


def _why_no_verdict(board: Board) -> list[str]:
    """Return what holds for a board whole, and what holds for one of its methods alone: failures, an unknown AUROC."""
    said = reasons(board.evidence)
    for row in board.rows:
        if row.judged is None or not row.complete:
            continue
        own = row.judged.evidence
        without = reasons(replace(own, failed=0, control_failed=0))
        found = [why for why in reasons(own) if why not in without]
        if row.judged.verdict.withheld and not reasons(own):
            found = [row.judged.verdict.withheld]
        said += [f"{arm_name(row.arm)}: {why}" for why in found]
    return said


def _sentence(board: Board) -> str:
    """Answer for what was asked, or say why there is no answer."""
    if found := sentence_of(_compared(board), worth=board.study.worth):
        return f"{found}{_beyond_copies(board)}{_poor_images(board)}"
    if any(not row.complete for row in board.rows):
        runs = count_runs([board])
        return f"No answer yet: {runs.settled:,} of {counted(runs.planned, 'training run', 'are')} done."
    asked = asked_rows(board)
    if not asked:
        return "No answer: nothing that was asked for is compared with another method here."
    names = listed(list(dict.fromkeys(arm_name(row.arm) for row in asked)))
    if any(row.scores is None for row in asked):
        return f"No answer: {names} or the method above it has no score."
    return f"No answer: {names} and the method above it were tested on different images."


def _beyond_copies(board: Board) -> str:
    """Say what a method that is compared with copied images gains over what those were added to."""
    rows = {row.arm.key: row for row in board.rows}
    asked = [row for row in asked_rows(board) if row.gain is not None]
    if len(asked) != 1 or not is_of_copies(asked[0].arm.control):
        return ""
    copies = rows.get(asked[0].arm.control_key)
    base = rows.get(copies.arm.control_key) if copies is not None else None
    if base is None or base.scores is None or asked[0].scores is None:
        return ""
    gain = points(asked[0].scores.balanced_accuracy - base.scores.balanced_accuracy)
    return f" Without the copies, compared with {arm_name(base.arm)}: {gain} (no interval)."


def _poor_images(board: Board) -> str:
    """Say whose generated images are poor, beside the gains that they bring."""
    asked = [row for row in asked_rows(board) if row.gain is not None]
    poor = [arm_name(row.arm) for row in asked if "g" in row.marks]
    if not poor:
        return ""
    whose = "" if len(poor) == len(asked) else f" of {listed(list(dict.fromkeys(poor)))}"
    return f" The generated images{whose} are poor (g)."


def _plain_is_best(board: Board) -> list[str]:
    """Say that no augmentation scored highest, which no comparison of the tree shows."""
    plain = board.plain.scores if board.plain is not None else None
    scored = [row.scores.balanced_accuracy for row in board.rows if row.scores is not None]
    if plain is None or not scored or plain.balanced_accuracy <= max(scored):
        return []
    return [f"No augmentation scored highest here, {100 * plain.balanced_accuracy:.1f} %; it has no interval."]


def sentence_of(compared: Sequence[Compared], *, worth: float) -> str:
    """Answer for the methods that were asked for; of several say which helps, or how many have which verdict.

    Args:
        compared: Methods of one table, asked for or not.
        worth: Points that matter.

    Returns:
        "" where none that was asked for has a gain.
    """
    asked = [one for one in compared if one.asked and one.judged.gain is not None]
    if not asked:
        return ""
    if len(asked) == 1:
        (one,) = asked
        if one.judged.verdict.word:
            return answer(one.judged, arm=one.name, control=one.control, worth=worth)
        practice = " (practice run)" if one.judged.evidence.is_rehearsal else ""
        return f"No verdict{practice}: {_effect(one)}."
    found = [(one.name, one.judged.verdict, one.judged.gain) for one in asked if one.judged.gain is not None]
    if helps := what_helps(found):
        return helps
    counts: dict[GivenWord, int] = {}
    for _, verdict, _ in found:
        if verdict.word:
            counts[verdict.word] = counts.get(verdict.word, 0) + 1
    if counts:
        each = ", ".join(f"{number} {WORDS[word].text}" for word, number in counts.items())
        none = f"None of {len(found)} methods was shown to be better than the method above it ({each})"
        return f"{none}: {_effects(asked)}."
    practice = " (practice run)" if all(one.judged.evidence.is_rehearsal for one in asked) else ""
    return f"No verdict{practice}: {_effects(asked)}."


def _effects(asked: Sequence[Compared]) -> str:
    """List gains with their intervals, those over the same method together, and how many more there are."""
    by_control: dict[str, list[str]] = {}
    for one in asked[:MOST_EFFECTS]:
        assert one.judged.gain is not None
        effect = f"{one.name} {points(one.judged.gain.value)} ({range_of(one.judged.gain)})"
        by_control.setdefault(one.control, []).append(effect)
    said = [f"{', '.join(each)} compared with {control}" for control, each in by_control.items()]
    more = f"; {len(asked) - MOST_EFFECTS} more in the table" if len(asked) > MOST_EFFECTS else ""
    return f"{'; '.join(said)}{more} (points, 95 % CI)"


def largest_of(compared: Sequence[Compared]) -> str:
    """Name the largest gain or loss whose interval leaves 0 out, of methods that somebody may ask about.

    Returns:
        Where no interval leaves 0 out, what the first method gained that came along; "" where there is none or the
        answer names it.
    """
    known = [one for one in compared if one.judged.gain is not None and one.is_named]
    along = [one for one in known if not one.asked]
    if not (known := [one for one in known if one.judged.gain is not None and _is_apart(one.judged.gain)]):
        return f"Also: {_effect(along[0])}." if along else ""
    largest = max(known, key=lambda one: abs(one.judged.gain.value) if one.judged.gain else 0.0)
    asked = [one for one in compared if one.asked and one.judged.gain is not None]
    better = [one for one in asked if one.judged.verdict.word == "better"]
    named = asked if len(asked) == 1 else better or asked[:MOST_EFFECTS]
    without = ", also without a verdict" if largest.judged.verdict.withheld else ""
    return "" if largest in named else f"Largest difference{without}: {_effect(largest)}."


def _is_apart(gain: Interval) -> bool:
    return printed(gain.low) > 0 or printed(gain.high) < 0


def _compared(board: Board) -> list[Compared]:
    return [
        Compared(
            arm_name(row.arm),
            control_name(row.arm),
            row.judged,
            row.arm.asked,
            is_of_copies(row.arm.augmenter) or is_of_copies(row.arm.control),
        )
        for row in board.rows
        if row.judged is not None
    ]


def _effect(one: Compared) -> str:
    assert one.judged.gain is not None
    gain = one.judged.gain
    auroc = one.judged.auroc
    area = f", AUROC {auroc_text(auroc)}" if auroc == auroc else ""
    return f"{points(gain.value)} points for {one.name} compared with {one.control} (95 % CI {range_of(gain)}{area})"
