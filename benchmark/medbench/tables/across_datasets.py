"""The table of all data sets as text: in 80 columns, Markdown, CSV, JSON, LaTeX."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from medbench.analyses.across_datasets import Across, Case, across
from medbench.boards.board import Board
from medbench.data.audit_findings import waived
from medbench.planning.arm_names import short
from medbench.statistics.verdicts import reasons
from medbench.tables.board_table import render
from medbench.tables.flat_rows import table
from medbench.tables.latex import escape_latex
from medbench.tables.markup import escape_markdown, to_csv
from medbench.tables.sentences import PHANTOM, cases, legend
from medbench.text import WIDTH, clean, columns, cut, pad, points, wrapped

NAME_WIDTH = 22
CASE_WIDTH = 19
AT_ONCE = 3  # data sets beside each other
FEWEST_RANKED = 6  # data sets; below, neither a mean rank nor a diagram of critical differences says anything
KIND = "all data sets"
"""What rows of this table have under ``kind`` in CSV and JSON; those of boards have nothing there."""


def render_all(boards: Sequence[Board], form: str, *, wide: bool = False, plain: bool = False) -> str:
    """Write boards, and below them the table of all data sets where a run has two or more.

    Args:
        boards: Of one study.
        form: Member of :data:`medbench.tables.board_table.FORMATS`; CSV and JSON stay one document.
        wide: More columns of the boards.
        plain: ASCII only.
    """
    found = across(boards)
    if not found:
        return render(boards, form, wide=wide, plain=plain)
    if form in ("csv", "json"):
        rows = [_clean(row) for board in boards for row in table(board)] + [r for one in found for r in flat(one)]
        return to_csv(rows) if form == "csv" else json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)
    write = {"table": _text, "md": _markdown, "latex": _latex}[form]
    return "\n\n".join([render(boards, form, wide=wide, plain=plain), *map(write, found)])


def flat(one: Across) -> list[dict[str, Any]]:
    """Return a row of plain values for each arm and data set."""
    rows = []
    for case in one.cases:
        for arm in one.arms:
            judged = case.judged.get(arm)
            gain = judged.gain if judged else None
            row = {
                "kind": KIND,
                "dataset": case.source["dataset"],
                "protocol": one.protocol,
                "classifier": " + ".join(board.classifier for board in case.boards),
                "augmenter": arm,
                "gain": _number(gain.value if gain else None),
                "gain_low": _number(gain.low if gain else None),
                "gain_high": _number(gain.high if gain else None),
                "verdict": judged.verdict.word or None if judged else None,
                "verdict_withheld": (judged.verdict.withheld or None) if judged else case.missing.get(arm, "not run"),
                "failures": judged.evidence.failures or None if judged else None,
                "sees": _number(case.sees),
                "data": case.source["data"],
            }
            rows.append(_clean(row))
    return rows


def _clean(row: dict[str, Any]) -> dict[str, Any]:
    return {clean(key): clean(value) if isinstance(value, str) else value for key, value in row.items()}


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(100 * value, 2) + 0.0  # no -0.0


def _title(one: Across) -> str:
    title = "gain over its own control, points of balanced accuracy"
    if len(one.networks) > 1:
        return f"{title}, mean of {len(one.networks)} networks"
    return f"{title}, {short(one.networks[0])}"


def _text(one: Across) -> str:
    words = [judged.verdict.word for case in one.cases for judged in case.judged.values()]
    lines = [*wrapped(f"{_title(one)}{_under(one)}", WIDTH), f" {legend(one.worth, words)}"]
    for start in range(0, len(one.cases), AT_ONCE):
        part = one.cases[start : start + AT_ONCE]
        heads = [_head(case) for case in part]
        above = [_line("", [first for first, _ in heads])] if any(first for first, _ in heads) else []
        lines += ["", *above, _line(" arm", [second for _, second in heads])]
        for arm in one.arms:
            name = f" {_name(arm)}"
            if columns(name) >= NAME_WIDTH:
                lines.append(cut(name, WIDTH))
                name = ""
            lines.append(_line(name, [_cell(case, arm) for case in part]))
        lines.append(_line(" sees gains from", [_sees(case) for case in part]))
        lines.append(_line(" patients (rarest)", [_patients(case) for case in part]))
    lines += [line for sentence in _sentences(one) for line in wrapped(sentence)]
    return "\n".join(line.rstrip() for line in lines)


def _under(one: Across) -> str:
    return f"; protocol {one.protocol}" if one.protocol != "patients" else ""


def _head(case: Case) -> tuple[str, str]:
    """Return a data set's name in two lines, parted before its task."""
    name = clean(case.source["dataset"])
    phantom = "phantom:" if name.startswith("phantom:") else ""
    first, _, second = name.removeprefix("phantom:").partition(":")
    room = CASE_WIDTH - 2
    if columns(phantom + first) <= room and columns(second) <= room:
        return (phantom + first, second) if second else ("", phantom + first)
    parts = (phantom + first, second) if second else (phantom, first)
    return tuple(p if columns(p) <= room else f"{cut(p, room - 1)}." for p in parts)  # type: ignore[return-value]


def _line(name: str, cells: Sequence[str]) -> str:
    return pad(name, NAME_WIDTH) + "".join(pad(cell, CASE_WIDTH) for cell in cells)


def _cell(case: Case, arm: str) -> str:
    """Return a gain and its mark, or why there is none; what failed stands where the gain would."""
    judged = case.judged.get(arm)
    if judged is None:
        return case.missing.get(arm, "")
    e = judged.evidence
    if e.settled < e.planned:
        return f"{e.settled} of {e.planned} done"
    if e.failures:
        return cut(e.failures, CASE_WIDTH - 1)
    return f"  {points(judged.gain.value)} {judged.verdict.mark}" if judged.gain else ""


def _sees(case: Case) -> str:
    return "" if case.sees is None or not np.isfinite(case.sees) else f"   {100 * case.sees:.1f}"


def _patients(case: Case) -> str:
    return f"{case.source['patients']:,} ({min(case.source['class_patients']):,})"


def _name(arm: str) -> str:
    return " / ".join(short(part) for part in arm.split(" / "))


def _sentences(one: Across) -> Iterator[str]:
    yield cases(len(one.cases))
    for board in (board for case in one.cases for board in case.boards[:1]):
        for said_of_it in waived(board.protocol, board.source, board.study.waive):
            yield f"{clean(board.source['dataset'])}: {said_of_it}"
    if len(one.cases) >= FEWEST_RANKED:
        yield f"With {len(one.cases)} data sets mean ranks are legitimate; they are not offered."
    if len(one.networks) > 1:
        networks = ", ".join(short(text) for text in one.networks)
        yield f"Decisions of {networks} are averaged within a fold before they are compared."
    said: dict[str, list[str]] = {}
    for case in one.cases:
        for why in reasons(case.evidence):
            said.setdefault(why, []).append(clean(case.source["dataset"]))
    for why, names in said.items():
        yield why if len(names) == len(one.cases) else f"{', '.join(names)}: {why}"
    if any(board.is_phantom for case in one.cases for board in case.boards):
        yield PHANTOM
    for arm in one.arms:
        for case in one.cases:
            judged = case.judged.get(arm)
            if judged and judged.evidence.failures and judged.gain:
                gain = judged.gain
                span = f"{points(gain.value)} ({points(gain.low)} to {points(gain.high)})"
                how = "counted with its control's predictions"
                yield f"{_name(arm)}, {clean(case.source['dataset'])}: {judged.evidence.failures}, {span} {how}."


def _rows(one: Across) -> tuple[list[str], list[list[str]]]:
    """Return titles and rows for Markdown and LaTeX."""
    titles = ["arm", *(clean(case.source["dataset"]) for case in one.cases)]
    rows = [[_name(arm), *(_cell(case, arm).strip() for case in one.cases)] for arm in one.arms]
    rows.append(["sees gains from", *(_sees(case).strip() for case in one.cases)])
    rows.append(["patients (rarest)", *(_patients(case) for case in one.cases)])
    return titles, rows


def _markdown(one: Across) -> str:
    titles, rows = _rows(one)
    lines = [f"### {escape_markdown(_title(one) + _under(one))}", ""]
    lines += [f"| {' | '.join(map(escape_markdown, titles))} |", f"| --- {'| ---: ' * len(one.cases)}|"]
    lines += [f"| {' | '.join(map(escape_markdown, row))} |" for row in rows]
    said = (legend(one.worth), *_sentences(one))
    return "\n".join([*lines, "", *(f"{escape_markdown(sentence)}  " for sentence in said)])


def _latex(one: Across) -> str:
    titles, rows = _rows(one)
    return "\n".join(
        [
            f"% {clean(_title(one) + _under(one))}",
            rf"\begin{{tabular}}{{l{'r' * len(one.cases)}}}",
            r"\toprule",
            " & ".join(map(escape_latex, titles)) + r" \\",
            r"\midrule",
            *(" & ".join(escape_latex(cell) for cell in row) + r" \\" for row in rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\footnotesize",
            *(escape_latex(clean(sentence)) for sentence in (legend(one.worth), *_sentences(one))),
        ]
    )
