"""The sections that say what came out: answers, boards with their yardsticks, gains, and cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from medbench.analyses.across_datasets import across
from medbench.boards.board import Board, Row
from medbench.planning.arm_names import arm_name, control_name
from medbench.plots import cost
from medbench.plots.forest import forest
from medbench.protocols.protocol import split_size
from medbench.registry.display_names import classifier_name, method_name
from medbench.report.figures import figure
from medbench.report.inputs import Material
from medbench.statistics.verdicts import WORDS, reasons
from medbench.tables.blocks import Block, Cell, Fold, Section, cell, fold, heading, say, table
from medbench.tables.board_notes import board_notes, name_of_data, without_number
from medbench.tables.board_table import heading as board_heading
from medbench.tables.compare import gain_forests
from medbench.tables.forest import Forest
from medbench.tables.wording import (
    SYNTHETIC,
    answer,
    auroc_share,
    by_board,
    by_size,
    cases,
    metric_text,
    range_of,
    yardstick,
)
from medbench.text import duration, points

COLUMNS = (
    "method", "gain", "95 % CI", "verdict", "balanced accuracy, %", "AUROC", "compared with", "time", "marks",
)  # fmt: skip
NOT_RUN = "the method it would be compared with was not run"
NAMED = 3
"""Arms that a question names; of more it says how many."""


def title_of(board: Board) -> str:
    """Name a board: data set, classifier, protocol."""
    leaky = "LEAKY: " if board.leaks else ""
    return f"{leaky}{name_of_data(board)}, {classifier_name(board.classifier)}, protocol {board.protocol}"


def answers(material: Material) -> Section:
    """Ask for every arm that was asked for whether it helps, and answer with the words of its verdict.

    A data set with several boards has one sentence an arm over all of them first, then the answers board by board.
    """
    blocks: list[Block] = [say(material.study.about)]
    for source in material.sources:
        of_data = [board for board in material.boards if board.source["dataset"] == source["dataset"]]
        honest = [board for board in of_data if not board.leaks]
        asked = [(b, row) for b in honest for row in b.rows if row.arm.asked and row.judged is not None]
        names = list(dict.fromkeys(arm_name(row.arm) for _, row in asked))
        if names:
            who = f"Does {names[0]}" if len(names) == 1 else f"Do {', '.join(names)}"
            who = who if len(names) <= NAMED else f"Do these {len(names)} arms"
            blocks.append(heading(f"{who} help on {source['dataset']}?"))
        else:
            blocks.append(heading(source["dataset"]))
        said = [f"{_where(board, honest)}{_answer(board, row)}" for board, row in asked]
        if not asked:
            said = ["Nothing that was asked for is compared with a control under an honest protocol."]
        said += [all_failed(of_data)]
        said += [why for board in honest for why in reasons(board.evidence)]
        if len(of_data) > len(honest):
            said.append(
                "Boards under protocols that leak by design answer nothing; they stand below and are never ranked."
            )
        said += [SYNTHETIC] * any(board.is_phantom for board in of_data)
        if len(honest) > 1 and asked:
            blocks.append(say(*_over_boards(material, asked, honest), is_list=True))
            blocks.append(heading(f"Board by board on {source['dataset']}"))
        blocks.append(say(*dict.fromkeys(said), is_list=True))
    blocks.append(say(cases(len(material.sources))))
    return Section("answer", "The question, and the answer", tuple(blocks))


def all_failed(boards: Sequence[Board]) -> str:
    """Say that no training run of boards ended well; "" where one did or is still to be done."""
    rows = [row for board in boards for row in board.all_rows]
    failed = sum(row.failed for row in rows)
    if not failed or any(row.failed < row.planned for row in rows):
        return ""
    return f"All {failed:,} training runs failed, so there is no result: section Failures says why."


def _over_boards(material: Material, asked: Sequence[tuple[Board, Row]], boards: Sequence[Board]) -> Iterator[str]:
    """Yield a sentence for every arm over all boards that it stands on."""
    of_arm: dict[tuple[str, str], list[tuple[Board, Row]]] = {}
    for board, row in asked:
        of_arm.setdefault((arm_name(row.arm), control_name(row.arm)), []).append((board, row))
    for (arm, control), found in of_arm.items():
        words = [row.judged.verdict.word if row.judged else "" for _, row in found]
        sizes = _sizes(material, found)
        if sizes and any(words):
            yield by_size(sorted(zip(sizes, words, strict=True)), arm=arm, control=control)
        else:
            names = [_where(board, boards).removesuffix(": ") for board, _ in found]
            yield by_board(list(zip(names, words, strict=True)), arm=arm, control=control)


def _sizes(material: Material, found: Sequence[tuple[Board, Row]]) -> list[float]:
    """Return the training patients of an arm's boards, or nothing where they differ in more than that."""
    if (
        len({(split_size(board.protocol)[0], board.classifier) for board, _ in found}) > 1
        or not material.learning_curves
    ):
        return []
    sizes = [b.trained_on if b.trained_on == b.trained_on else float(split_size(b.protocol)[1]) for b, _ in found]
    return sizes if all(sizes) and len(set(sizes)) == len(found) > 1 else []


def _where(board: Board, boards: Sequence[Board]) -> str:
    """Name the board of an answer where the data set has several."""
    if len(boards) == 1:
        return ""
    protocol_too = len({b.protocol for b in boards}) > 1
    return f"{classifier_name(board.classifier)}{f', {board.protocol}' if protocol_too else ''}: "


def _answer(board: Board, row: Row) -> str:
    judged = row.judged
    if judged is None:
        return ""
    if judged.verdict.withheld and judged.gain is not None:
        gain = f"{points(judged.gain.value)} points ({range_of(judged.gain)})"
        return f"No verdict: {arm_name(row.arm)} over {control_name(row.arm)}: {gain}."
    return answer(judged, arm=arm_name(row.arm), control=control_name(row.arm), worth=board.study.worth)


def leaderboards(material: Material) -> Section:
    """Write every board as a table that keeps its tree, with its sentences and yardsticks below."""
    blocks: list[Block | Fold] = []
    for number, part in enumerate(material.parts, start=1):
        board = part.board
        blocks.append(heading(title_of(board)))
        above = "; ".join(re.sub(" {2,}", ", ", line.strip()) for line in board_heading(board))
        caption = (
            f"{above}. Gain over the method that each is compared with, in percentage points of balanced accuracy, "
            f"with its simultaneous 95 % CI; gray: the {board.study.worth:g} points that are not relevant."
        )
        rows = [_board_row(row) for row in part.rows]
        worth = board.study.worth
        blocks.append(table(caption, COLUMNS, rows, label=f"board-{number}", sortable=True, band=worth))
        further = [*_metrics(part.rows, board, number), *_yardsticks(board, number)]
        notes = say(*(s.replace("    ", "; ") for s in board_notes(board)), is_list=True)
        blocks.append(fold("All notes on this table, and further measures", notes, *further))
    blocks += _across(material)
    return Section("leaderboard", "Results", tuple(blocks))


def _board_row(row: Row) -> list[Cell]:
    scores, gain = row.scores, row.gain
    ends = [cell(None), cell(None)]
    if gain:
        low, value, high = (100 * v for v in (gain.low, gain.value, gain.high))
        ends = [cell(points(gain.value), value), cell(range_of(gain), value, span=(low, value, high))]
    return [
        cell(arm_name(row.arm), depth=row.depth, title=recipe_of(row)),
        *ends,
        _word(row),
        cell(f"{100 * scores.balanced_accuracy:.1f}", float(scores.balanced_accuracy)) if scores else cell(None),
        cell(auroc_share(scores.auroc), float(scores.auroc)) if scores else cell(None),
        cell(control_name(row.arm)),
        cell(duration(row.seconds), row.seconds),
        cell(row.marks),
    ]


def recipe_of(row: Row) -> str:
    """Write a method as commands and files do."""
    return f"{row.arm.augmenter}, classifier {row.arm.classifier}" if row.arm.over else row.arm.augmenter


def _word(row: Row) -> Cell:
    """Write the verdict, or what stands in its place."""
    if row.skipped:
        return cell("skipped")
    if row.failed:
        return cell(f"{row.failed} of {row.planned} {row.kinds[0] if len(row.kinds) == 1 else 'failed'}")
    if row.scores is None:
        return cell(f"{row.done} of {row.planned} training runs done")
    if row.judged is not None:
        word = row.judged.verdict.word
        return cell(WORDS[word].text, kind=word) if word else cell("no verdict")
    if row.arm.control:
        return cell(NOT_RUN)
    return cell("" if row.arm.plain else "reference")


def _metrics(rows: Sequence[Row], board: Board, number: int) -> Iterator[Block]:
    """Yield the metrics that plugins added, and what gave no number."""
    names = list(dict.fromkeys(name for row in rows for name in row.metrics))
    if names:
        listed = [
            [arm_name(row.arm), *(_metric(row.metrics.get(name)) for name in names)] for row in rows if row.metrics
        ]
        caption = f"Metrics of plugins, by {board.unit}, mean over the cells."
        yield table(caption, ("arm", *names), listed, label=f"metrics-{number}")
    if missing := without_number([board]):
        yield say(*missing, is_list=True)


def _metric(value: float | None) -> Cell:
    return cell(metric_text(value), value)


def _yardsticks(board: Board, number: int) -> Iterator[Block]:
    if not board.yardsticks:
        return
    rows = []
    for of_it in board.yardsticks:
        title, remark = yardstick(of_it)
        s, g = of_it.scores, of_it.gain
        numbers = [f"{100 * s.balanced_accuracy:.1f}", auroc_share(s.auroc)] if s else ["", ""]
        if of_it.failed:
            remark = f"{of_it.failed} of {of_it.planned} failed"
        elif s is None:
            remark = f"{of_it.done} of {of_it.planned} done"
        span = [points(g.value), range_of(g)] if g else ["", ""]
        rows.append([title, *numbers, *span, remark])
    yield table(
        f"Yardsticks: further trainings of {arm_name(board.yardsticks[0].control)}, each over it with the range of one "
        "comparison. They are no arms and are never ranked.",
        ("yardstick", "bal. acc., %", "AUROC", "gain", "95 % range", "what it shows"),
        rows,
        label=f"yardsticks-{number}",
    )


def _across(material: Material) -> Iterator[Block]:
    for number, one in enumerate(across(material.boards), start=1):
        yield heading("All data sets")
        names = [str(case.source["dataset"]) for case in one.cases]
        rows = []
        for arm in one.arms:
            listed = [" / ".join(method_name(part) for part in arm.split(" / "))]
            for case in one.cases:
                judged = case.judged.get(arm)
                gain = judged.gain if judged else None
                word = judged.verdict.word if judged else case.missing.get(arm, "")
                listed.append(f"{points(gain.value)} {word}" if gain else word)
            rows.append(listed)
        caption = f"Gains over each arm's own control in points, with the verdict, protocol {one.protocol}."
        yield table(caption, ("arm", *names), rows, label=f"across-{number}")


def gains(material: Material) -> Section | None:
    """Draw each arm's gain with its range."""
    blocks: list[Block] = []
    for panel in gain_forests(material.boards):
        if panel.bars:
            caption = (
                f"{panel.title}: gain over each arm's own control with its 95 % range, joint over the board. The gray "
                f"band holds the {panel.worth:g} points that do not matter."
            )
            blocks.append(figure(forest([panel]), alt=_forest_alt(panel), caption=caption))
    return Section("gains", "Gains and their ranges", tuple(blocks)) if blocks else None


def _forest_alt(panel: Forest) -> str:
    said = [
        f"{bar.label} {bar.value:+.1f} ({bar.low:+.1f} to {bar.high:+.1f}){f', {bar.word}' if bar.word else ''}"
        for bar in panel.bars
        if bar.value is not None
    ]
    rest = f"; and {len(said) - 12} more, see the leaderboard" if len(said) > 12 else ""
    return f"Gains in points with 95 % ranges. {'; '.join(said[:12])}{rest}." if said else "No gain is known yet."


def costs(material: Material) -> Section | None:
    """Draw what each arm costs against what it gains."""
    blocks: list[Block] = []
    for part in material.parts:
        board = part.board
        spent = [
            cost.Spent(
                arm_name(row.arm),
                row.seconds,
                100 * row.gain.value,
                100 * row.gain.low,
                100 * row.gain.high,
                row.judged.verdict.word if row.judged else "",
            )
            for row in board.rows
            if row.gain is not None and row.seconds > 0
        ]
        if spent:
            said = "; ".join(f"{one.name} {duration(one.seconds)}, {one.gain:+.1f} points" for one in spent[:12])
            blocks.append(
                figure(
                    cost.draw(spent, worth=board.study.worth),
                    alt=f"Cost and gain of each arm. {said}.",
                    caption=f"{title_of(board)}: wall time of an arm alone on {board.device}, its generators among it, "
                    "and its gain over its own control.",
                )
            )
    return Section("cost", "Cost against gain", tuple(blocks)) if blocks else None
