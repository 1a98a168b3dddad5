"""Comparisons of two arms, and each arm's gain over its own control; in a terminal with a forest plot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from medbench.analyses.compare import ArmPair, compare_all
from medbench.boards.board import Board, Row
from medbench.data.audit_official_cut import describe_waivers
from medbench.planning.arm_names import arm_name
from medbench.registry.display_names import classifier_name, method_name
from medbench.statistics.verdicts import WORDS, failures, reasons
from medbench.tables.answer import Compared, sentence_of
from medbench.tables.blocks import Block, grid, notes
from medbench.tables.board_notes import name_of_data
from medbench.tables.board_table import branch, heading
from medbench.tables.compare_details import detail_values, details
from medbench.tables.document import Document, write
from medbench.tables.forest import Bar, Forest, draw, legend
from medbench.tables.wording import SYNTHETIC, answer, auroc_share, barely_trained, looks, range_of
from medbench.tables.writers.terminal import PIPE, Screen, under
from medbench.tables.writers.values import Values, cleaned, gain_values, percent, rounded, verdict_values
from medbench.text import auroc_text, clean, duration, pad, points, wrapped

TITLES = {
    "dataset": "data set",
    "protocol": "protocol",
    "classifier": "classifier",
    "arm": "method",
    "over": "compared with",
    "gain": "gain",
    "gain_low": "from",
    "gain_high": "to",
    "verdict": "verdict",
    "auroc_gain": "AUROC gain",
    "auroc_gain_low": "from",
    "auroc_gain_high": "to",
    "cost_ratio": "cost ratio",
}


def render(found: Sequence[ArmPair], form: str, *, screen: Screen = PIPE) -> str:
    """Write comparisons of two arms in one of :data:`medbench.tables.document.FORMATS`.

    Args:
        found: As :func:`medbench.analyses.compare.compare` gives them.
        form: Member of FORMATS.
        screen: What a terminal can show.
    """
    return _write(found, partial(_lines, found), form, screen)


def render_gains(board_list: Sequence[Board], form: str, *, screen: Screen = PIPE) -> str:
    """Write each arm's gain over its own control, as a forest plot for each board.

    Args:
        board_list: As :func:`medbench.boards.build.boards` gives them.
        form: Member of FORMATS.
        screen: What a terminal can show.
    """
    return _write(compare_all(board_list), partial(_lines_of_gains, board_list), form, screen)


def _write(found: Sequence[ArmPair], lines: Callable[[Screen], Iterator[str]], form: str, screen: Screen) -> str:
    return write([Document(lines, partial(_blocks, found), partial(map, values, found))], form, screen)


def _lines(found: Sequence[ArmPair], screen: Screen) -> Iterator[str]:
    for one in found:
        yield from (*heading(one.board, screen), "")
        if said := _answer(one):
            yield from (*map(screen.bold, under([said], screen.width)), "")
        yield from (*_numbers(one), "")
        alone = Forest("", (_bar(one, _name(one, one.arm)),), one.board.study.worth)
        yield from (*draw(alone, screen), "", *under(_remarks(one), screen.width))
        if one.details is not None:
            yield from ("", *details(one, one.details))
        yield ""
    yield f" {legend(found[0].board.study.worth, plain=screen.plain)}"


def _lines_of_gains(board_list: Sequence[Board], screen: Screen) -> Iterator[str]:
    for board, forest in zip(board_list, gain_forests(board_list, plain=screen.plain), strict=True):
        yield from (*heading(board, screen), "")
        if forest.bars:
            yield from draw(forest, screen)
        yield from (*under(_of_board(board), screen.width), "")
    worth = board_list[0].study.worth if board_list else 0.0
    yield f" {legend(worth, plain=screen.plain)}"


def forests(found: Sequence[ArmPair]) -> list[Forest]:
    """Return a forest for each board that comparisons of two arms are from."""
    return [
        Forest(
            f"{_title(one.board)}; compared with {_name(one, one.other)}",
            (_bar(one, _name(one, one.arm)),),
            one.board.study.worth,
        )
        for one in found
    ]


def gain_forests(board_list: Sequence[Board], *, plain: bool = False) -> list[Forest]:
    """Return a forest for each board: the tree of its arms, each with its gain over its own control.

    Args:
        board_list: What to show; a board on which nothing is compared gives a forest without bars.
        plain: Draw the tree in ASCII.
    """
    found = []
    for board in board_list:
        gains = {one.arm.arm.key: one for one in compare_all([board])}
        bars = []
        for row in board.rows if gains else ():
            name, stems = arm_name(row.arm), branch(row, plain)
            if row.arm.key in gains:
                bars.append(replace(_bar(gains[row.arm.key], name), stems=stems, depth=row.depth))
            else:
                word = "not compared" if row.arm.control else "reference"  # what it is compared with was not run
                bars.append(Bar(name, None, 0.0, 0.0, word, stems, row.depth))
        found.append(Forest(_title(board), tuple(bars), board.study.worth))
    return found


def _title(board: Board) -> str:
    return ", ".join(
        clean(str(part)) for part in (name_of_data(board), classifier_name(board.classifier), board.protocol)
    )


def _bar(one: ArmPair, label: str) -> Bar:
    gain = one.judged.gain
    if gain is None:
        return Bar(label, None, 0.0, 0.0, _waits(one))
    word = one.judged.evidence.failures or one.judged.verdict.word
    return Bar(label, 100 * gain.value, 100 * gain.low, 100 * gain.high, word)


def _waits(one: ArmPair) -> str:
    """Say in a few words why there is no gain."""
    e = one.judged.evidence
    if one.arm.skipped or one.other.skipped:
        return "skipped"
    return e.unsettled or e.failures or "other images"


def _name(one: ArmPair, row: Row) -> str:
    """Write an arm, with its classifier where that is not the board's."""
    name = method_name(row.arm.augmenter)
    return name if row.arm.classifier == one.board.classifier else f"{name} with {classifier_name(row.arm.classifier)}"


def _numbers(one: ArmPair) -> Iterator[str]:
    arm, other, gain = one.arm.scores, one.other.scores, one.judged.gain
    yield from wrapped(f"{_name(one, one.arm)} compared with {_name(one, one.other)}")
    if arm is not None and other is not None:
        both = f"{100 * arm.balanced_accuracy:.1f} and {100 * other.balanced_accuracy:.1f}"
        span = f"{points(gain.value)}   {range_of(gain)}" if gain else ""
        yield _line("balanced accuracy", both, span)
        span = ""
        if (a := one.auroc) is not None:
            span = f"{auroc_text(a.value)}   {auroc_text(a.low)} to {auroc_text(a.high)}, alone"
        yield _line("AUROC", f"{auroc_share(arm.auroc)} and {auroc_share(other.auroc)}", span)
    if one.cost_ratio:
        times = f"{duration(one.arm.seconds)} and {duration(one.other.seconds)}"
        yield _line("time alone", times, f"{one.cost_ratio:.3g} times")
    word = one.judged.verdict.word
    if word:
        yield _line("verdict", WORDS[word].text, one.judged.evidence.failures)


def _line(name: str, both: str, rest: str) -> str:
    return f"   {name:<20}{pad(both, 20)}{rest}"


def _answer(one: ArmPair) -> str:
    """Answer whether a method is better than the other, or say what it gains where there is no verdict."""
    judged = one.judged
    if judged.gain is not None and judged.verdict.withheld:
        asked = Compared(_name(one, one.arm), _name(one, one.other), judged, asked=True)
        return sentence_of([asked], worth=one.board.study.worth)
    return answer(
        judged,
        arm=_name(one, one.arm),
        control=_name(one, one.other),
        worth=one.board.study.worth,
    )


def _remarks(one: ArmPair) -> Iterator[str]:
    """Yield what the answer stands on."""
    judged, board, said = one.judged, one.board, _answer(one)
    if one.entry:
        yield f"{_name(one, one.other)}: predictions of the published entry {one.entry}, nothing was trained for them."
    yield from describe_waivers(board.protocol, board.source, board.study.waive)
    yield from (why for why in reasons(judged.evidence) if why not in said)
    for row in (one.arm, one.other):
        yield from (f"{_name(one, row)} was skipped: {reason}" for reason in row.reasons)
        if row.failed and row.scores is not None:
            failed = failures(row.failed, row.planned, row.kinds)
            yield f"{_name(one, row)}: {failed}, counted with the predictions of the method above it."
    if said := barely_trained(board.study.budget.steps):
        yield said
    if board.is_phantom:
        yield SYNTHETIC
    if judged.gain is not None:
        yield looks(judged.gain.comparisons, board.looks)


def _of_board(board: Board) -> Iterator[str]:
    yield from reasons(board.evidence)
    if said := barely_trained(board.study.budget.steps):
        yield said
    if board.is_phantom:
        yield SYNTHETIC
    compared = max((row.gain.comparisons for row in board.rows if row.gain), default=0)
    yield looks(compared, board.looks)


def _blocks(found: Sequence[ArmPair]) -> Iterator[Block]:
    rows = cleaned(map(values, found))
    titles = {key: title for key, title in TITLES.items() if any(row[key] is not None for row in rows)}
    cells = [["" if row[key] is None else str(row[key]) for key in titles] for row in rows]
    if titles:
        yield grid(tuple(titles.values()), cells, numeric=[False] * len(titles))
    yield notes(dict.fromkeys(text for one in found for text in (_answer(one), *_remarks(one))))


def values(one: ArmPair) -> Values:
    """Return a comparison as values: points of balanced accuracy, AUROC from 0 to 1."""
    gain, auroc = one.judged.gain, one.auroc
    row: Values = {
        "dataset": one.board.source["dataset"],
        "protocol": one.board.protocol,
        "classifier": one.board.classifier,
        "arm": one.arm.arm.augmenter,
        "arm_classifier": one.arm.arm.classifier,
        "over": one.other.arm.augmenter,
        "over_classifier": one.other.arm.classifier,
        "is_its_control": one.arm.arm.control_key == one.other.arm.key,
        "balanced_accuracy": percent(one.arm.scores.balanced_accuracy) if one.arm.scores else None,
        "balanced_accuracy_over": percent(one.other.scores.balanced_accuracy) if one.other.scores else None,
        **gain_values(gain),
        "comparisons": gain.comparisons if gain else None,
        "configurations_scored": one.board.looks,
        "entry": one.entry or None,
        **verdict_values(one.judged.verdict),
        "failures": one.judged.evidence.failures or None,
        "auroc_gain": rounded(auroc.value if auroc else one.judged.auroc, 4),
        "auroc_gain_low": rounded(auroc.low, 4) if auroc else None,
        "auroc_gain_high": rounded(auroc.high, 4) if auroc else None,
        "seconds_alone": round(one.arm.seconds, 2),
        "seconds_alone_over": round(one.other.seconds, 2),
        "cost_ratio": rounded(one.cost_ratio, 3),
        "leaks": ", ".join(one.board.leaks) or None,
        "data": one.board.source["data"],
    }
    return row if one.details is None else row | detail_values(one, one.details)
