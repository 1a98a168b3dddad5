"""The table of all data sets: a row an arm, a column a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from medbench.analyses.across_datasets import Across, Case, across
from medbench.boards.board import Board
from medbench.data.audit_official_cut import describe_waivers
from medbench.registry.display_names import classifier_name, method_name
from medbench.statistics.verdicts import reasons
from medbench.tables.blocks import Block, Heading, grid, notes
from medbench.tables.board_notes import name_of_data, name_of_source
from medbench.tables.board_table import board_document
from medbench.tables.document import Document, write
from medbench.tables.wording import SYNTHETIC, barely_trained, cases, gain_and_range, legend
from medbench.tables.writers.terminal import PIPE, Screen, name_column, under
from medbench.tables.writers.values import Values, gain_values, percent, verdict_values
from medbench.text import WIDTH, clean, columns, cut, pad, points, wrapped

NAME_WIDTH = 25
CASE_WIDTH = 18
GAP = "   "  # between two marks of the legend
AT_ONCE = 3  # data sets beside each other
FEWEST_RANKED = 6  # data sets; below, neither a mean rank nor a diagram of critical differences says anything
KIND = "all data sets"
"""What rows of this table have under ``kind`` in CSV and JSON; those of boards have nothing there."""


def render_all(boards: Sequence[Board], form: str, *, wide: bool = False, screen: Screen = PIPE) -> str:
    """Write boards, and below them the table of all data sets where a run has two or more.

    Args:
        boards: Of one study.
        form: Member of :data:`medbench.tables.document.FORMATS`; CSV and JSON stay one document.
        wide: More columns of the boards.
        screen: What a terminal can show.
    """
    documents = [board_document(board, wide=wide) for board in boards]
    return write([*documents, *map(_document, across(boards))], form, screen)


def _document(one: Across) -> Document:
    return Document(lambda screen: _lines(one), lambda: _blocks(one), lambda: _values(one))


def _values(one: Across) -> Iterator[Values]:
    for case in one.cases:
        for arm in one.arms:
            judged = case.judged.get(arm)
            verdict = verdict_values(judged.verdict if judged else None)
            yield {
                "kind": KIND,
                "dataset": case.source["dataset"],
                "protocol": one.protocol,
                "classifier": " + ".join(board.classifier for board in case.boards),
                "augmenter": arm,
                **gain_values(judged.gain if judged else None),
                **(verdict if judged else verdict | {"verdict_withheld": case.missing.get(arm, "not run")}),
                "failures": judged.evidence.failures or None if judged else None,
                "sees": percent(case.sees),
                "data": case.source["data"],
            }


def _title(one: Across) -> str:
    title = "gain over the method above it, points of balanced accuracy"
    if len(one.networks) > 1:
        return f"{title}, mean of {len(one.networks)} networks"
    return f"{title}, {classifier_name(one.networks[0])}"


def _lines(one: Across) -> Iterator[str]:
    words = [judged.verdict.word for case in one.cases for judged in case.judged.values()]
    yield from wrapped(f"{_title(one)}{_under(one)}", WIDTH)
    yield from _in_lines(legend(one.worth, words).split(GAP))
    for start in range(0, len(one.cases), AT_ONCE):
        part = one.cases[start : start + AT_ONCE]
        heads = [[line[1:] for line in wrapped(_data(case), CASE_WIDTH - 1)] for case in part]
        height = max(map(len, heads))
        levels = zip(*([""] * (height - len(head)) + head for head in heads), strict=True)
        yield ""
        yield from map(_line, [""] * (height - 1) + [" method"], levels)
        for arm in one.arms:
            alone, name = name_column(f" {_name(arm)}", NAME_WIDTH)
            yield from (*alone, _line(name, [_cell(case, arm) for case in part]))
        yield _line(" detectable gain", [_sees(case) for case in part])
        yield _line(" patients (rarest)", [_patients(case) for case in part])
    yield from under(filter(None, _sentences(one)))


def _in_lines(parts: Sequence[str]) -> list[str]:
    """Write parts beside each other, none of them broken."""
    lines = [""]
    for part in parts:
        if columns(lines[-1]) + columns(GAP + part) > WIDTH and lines[-1]:
            lines.append("")
        lines[-1] += f"{GAP if lines[-1] else ' '}{part}"
    return lines


def _under(one: Across) -> str:
    return f"; protocol {one.protocol}" if one.protocol != "patients" else ""


def _line(name: str, cells: Sequence[str]) -> str:
    return pad(name, NAME_WIDTH) + "".join(pad(cell, CASE_WIDTH) for cell in cells)


def _cell(case: Case, arm: str) -> str:
    """Return a gain and its mark, or why there is none; what failed stands where the gain would."""
    judged = case.judged.get(arm)
    if judged is None:
        return case.missing.get(arm, "")
    e = judged.evidence
    if e.unsettled:
        return e.unsettled
    if e.failures:
        return cut(f"{e.failed} of {e.planned} {e.kind if e.kind == 'diverged' else 'failed'}", CASE_WIDTH - 1)
    return f"  {points(judged.gain.value)} {judged.verdict.mark}" if judged.gain else ""


def _sees(case: Case) -> str:
    return "" if case.sees is None or not np.isfinite(case.sees) else f"   {100 * case.sees:.1f}"


def _patients(case: Case) -> str:
    return f"{case.source['patients']:,} ({min(case.source['class_patients']):,})"


def _name(arm: str) -> str:
    method, _, network = arm.partition(" / ")
    return f"{method_name(method)} with {classifier_name(network)}" if network else method_name(method)


def _data(case: Case) -> str:
    return name_of_source(case.source)


def _sentences(one: Across) -> Iterator[str]:
    yield cases(len(one.cases))
    for board in (board for case in one.cases for board in case.boards[:1]):
        for sentence in describe_waivers(board.protocol, board.source, board.study.waive):
            yield f"{name_of_data(board)}: {sentence}"
    if len(one.cases) >= FEWEST_RANKED:
        yield f"With {len(one.cases)} data sets mean ranks would be legitimate; they are not offered."
    if len(one.networks) > 1:
        networks = ", ".join(classifier_name(text) for text in one.networks)
        yield f"Predictions of {networks} are averaged within a fold before they are compared."
    names_by_reason: dict[str, list[str]] = {}
    for case in one.cases:
        for why in reasons(case.evidence):
            names_by_reason.setdefault(why, []).append(_data(case))
    for why, names in names_by_reason.items():
        yield why if len(names) == len(one.cases) else f"{', '.join(names)}: {why}"
    steps = [board.study.budget.steps for case in one.cases for board in case.boards]
    if steps and (said := barely_trained(max(steps))):
        yield said
    if any(board.is_phantom for case in one.cases for board in case.boards):
        yield SYNTHETIC
    for arm in one.arms:
        for case in one.cases:
            judged = case.judged.get(arm)
            if judged and judged.evidence.failures and judged.gain:
                gain, how = gain_and_range(judged.gain), "counted with the predictions of the method above it"
                yield f"{_name(arm)}, {_data(case)}: {judged.evidence.failures}, {gain} {how}."


def _blocks(one: Across) -> Iterator[Block]:
    rows = [[_name(arm), *(_cell(case, arm).strip() for case in one.cases)] for arm in one.arms]
    rows.append(["detectable gain", *(_sees(case).strip() for case in one.cases)])
    rows.append(["patients (rarest)", *(_patients(case) for case in one.cases)])
    titles = ["method", *(_data(case) for case in one.cases)]
    yield Heading(clean(_title(one) + _under(one)))
    yield grid(titles, rows, numeric=[False, *[True] * len(one.cases)])
    yield notes([legend(one.worth), *_sentences(one)])
