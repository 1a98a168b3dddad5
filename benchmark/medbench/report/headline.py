"""What a report says first: the answer, a bar for each step of the tree, why there is no verdict, and what comes next.

The sentences are those of :mod:`medbench.tables.answer`, as in a terminal; here is where they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from medbench.boards.board import Board, Row
from medbench.boards.training_runs import count_runs
from medbench.planning.arm_names import arm_name, control_name
from medbench.protocols.protocol_text import split_size
from medbench.registry.display_names import classifier_name
from medbench.report.inputs import Material, provenances
from medbench.report.section_results import gain_cells, instead, name_of, recipe_of, word_of
from medbench.tables.answer import Answer, NextStep, answer_of, asked_rows, next_steps
from medbench.tables.blocks import Block, Heading, Table, cell, say, table, text_of
from medbench.tables.board_notes import knows_patients, rare_recalls
from medbench.tables.board_table import design_of
from medbench.tables.wording import by_board, by_size, cases
from medbench.text import duration

MOST_STEPS = 12
"""Rows of a tree that the first screen has room for."""


@dataclass(frozen=True)
class Answered:
    """The answer of one board.

    Attributes:
        question: What was asked.
        sentences: The answer first.
        steps: A row for each step of the tree, its interval drawn as a bar; None where nothing is compared.
    """

    question: str
    sentences: tuple[str, ...]
    steps: Table | None


@dataclass(frozen=True)
class Headline:
    """The first screen of a report.

    Attributes:
        title: What a study file says it is about; else a question where one board answers it.
        badges: Words that must not be missed, in capitals.
        over_boards: A sentence for each method over all boards, where there are several.
        answers: One for each board that is looked at.
        why_no_verdict: Reasons; empty where there are verdicts.
        warnings: What a reader should know before the numbers are believed.
        tiles: Name and number of what the answer rests on.
        steps: Commands that may come next.
    """

    title: str
    badges: tuple[str, ...]
    over_boards: tuple[str, ...]
    answers: tuple[Answered, ...]
    why_no_verdict: tuple[str, ...]
    warnings: tuple[str, ...]
    tiles: tuple[tuple[str, str], ...]
    steps: tuple[NextStep, ...]


def headline(material: Material) -> Headline:
    """Answer the question of every honest board, or of all where there are none."""
    shown = [part.board for part in material.shown]
    found = [answer_of(board) for board in shown]
    failed = all_failed(shown)
    answers = [
        Answered(text_of(one.question), _texts([failed] if failed else _said(one, board)), _steps(board, n))
        for n, (board, one) in enumerate(zip(shown, found, strict=True), start=1)
    ]
    alone = len(answers) == 1
    return Headline(
        _title(material, answers),
        _texts(badge for one in found for badge in one.badges),
        () if alone else _texts([*_over_boards(material, shown), cases(len(material.sources))]),
        tuple(answers),
        _texts(why for one in found for why in one.why_no_verdict),
        _texts(warning for one in found for warning in one.warnings),
        _tiles(material, shown),
        tuple(s for s in next_steps(shown, plugins=_plugins(material)) if "medbench report" not in s.command),
    )


def blocks(first: Headline) -> Iterator[Block]:
    """Yield the headline as blocks, for formats without tiles."""
    yield say(*(f"[{badge}]" for badge in first.badges))
    yield say(*first.over_boards, is_list=True)
    for one in first.answers:
        if one.question != first.title:
            yield Heading(one.question, 2)
        yield say(*one.sentences)
        if one.steps is not None:
            yield one.steps
    yield say(*first.why_no_verdict, *first.warnings, is_list=True)
    yield say("; ".join(f"{name}: {value}" for name, value in first.tiles))
    yield say(*(f"Next: {step.command} ({step.purpose})" for step in first.steps), is_list=True)


def _plugins(material: Material) -> tuple[str, ...]:
    """Return what stands for the folder of plugin files where a run had some: a report goes to other machines."""
    found = [plugin for one in provenances(material) for plugin in one.get("plugins", ())]
    return ("PLUGINS",) if any(not plugin.get("version") for plugin in found) else ()


def _said(answer: Answer, board: Board) -> list[str]:
    return [answer.sentence, answer.largest, answer.training, *rare_recalls(board)]


def _title(material: Material, answers: Sequence[Answered]) -> str:
    """Return what a user wrote a study is about; a built-in study has its own page for that."""
    about, built_in = material.study.about.rstrip("."), ()
    if material.catalogue is not None:
        built_in = tuple(material.catalogue.items("study"))
    if about and material.study.name not in built_in:
        return text_of(about)
    return answers[0].question if len(answers) == 1 else text_of(f"Report of {material.study.name}")


def all_failed(boards: Sequence[Board]) -> str:
    """Say that no training run of boards ended well; "" where one did or is still to be done."""
    rows = [row for board in boards for row in board.all_rows]
    failed = sum(row.failed for row in rows)
    if not failed or any(row.failed < row.planned for row in rows):
        return ""
    return f"All {failed:,} training runs failed, so there is no result: section Failures says why."


def _texts(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text_of(text) for text in found if text))


def _steps(board: Board, number: int) -> Table | None:
    """Draw what is compared, and the references it stands below."""
    if not any(row.gain is not None for row in board.rows):
        return None
    steps = [row for row in board.rows if row.gain is not None or not row.arm.control]
    rows = [
        [cell(name_of(row), depth=row.depth, title=recipe_of(row)), *gain_cells(row.gain, instead(row), word_of(row))]
        for row in steps[:MOST_STEPS]
    ]
    rest = f" The first {MOST_STEPS} of {len(steps)}; all stand below." if len(steps) > MOST_STEPS else ""
    caption = f"Gain over the method above it, in percentage points of balanced accuracy.{rest}"
    return table(caption, ("method", "gain", "95 % CI"), rows, label=f"steps-{number}", band=board.study.worth)


def _tiles(material: Material, boards: Sequence[Board]) -> tuple[tuple[str, str], ...]:
    sources = material.sources
    known = [s for s in sources if knows_patients(s)]
    patients = f"{sum(int(s['patients']) for s in known):,}" if known else "not known"
    runs = count_runs(material.boards)
    warnings = len({text for board in boards for text in board.warnings})
    return (
        ("patients", patients),
        ("images", f"{sum(int(s['images']) for s in sources):,}"),
        _time(material),
        ("failed training runs", f"{runs.failed:,} of {runs.planned:,}"),
        ("warnings about the data", f"{warnings:,}"),
    )


def _time(material: Material) -> tuple[str, str]:
    """Name how long the run took by the clock where that is known, beside what all training runs took together."""
    computing = duration(sum(part.seconds for part in material.parts))
    if not material.wall_time:
        return "computing time, all runs added up", computing
    return f"wall time (computing time, all runs added up: {computing})", material.wall_time


def _over_boards(material: Material, boards: Sequence[Board]) -> Iterator[str]:
    """Yield a sentence for every method over all boards of a data set that it stands on."""
    of_arm: dict[tuple[str, str, str], list[tuple[Board, Row]]] = {}
    for board in boards:
        for row in asked_rows(board):
            key = (str(board.source["dataset"]), arm_name(row.arm), control_name(row.arm))
            of_arm.setdefault(key, []).append((board, row))
    for (_, arm, control), found in of_arm.items():
        words = [row.judged.verdict.word if row.judged else "" for _, row in found]
        if len(found) < 2:
            continue
        if (sizes := _sizes(material, found)) and any(words):
            yield by_size(sorted(zip(sizes, words, strict=True)), arm=arm, control=control)
        else:
            protocols = len({board.protocol for board, _ in found}) > 1
            names = [_where(board, protocols) for board, _ in found]
            yield by_board(list(zip(names, words, strict=True)), arm=arm, control=control)


def _where(board: Board, protocols: bool) -> str:
    network = classifier_name(board.classifier)
    return f"{network}, {design_of(board)}" if protocols else network


def _sizes(material: Material, found: Sequence[tuple[Board, Row]]) -> list[float]:
    """Return the training patients of a method's boards, or nothing where they differ in more than that."""
    if (
        len({(split_size(board.protocol)[0], board.classifier) for board, _ in found}) > 1
        or not material.learning_curves
    ):
        return []
    sizes = [b.trained_on if b.trained_on == b.trained_on else float(split_size(b.protocol)[1]) for b, _ in found]
    return sizes if all(sizes) and len(set(sizes)) == len(found) > 1 else []
