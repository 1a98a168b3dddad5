"""A study's three columns as text: in 80 columns, Markdown, CSV, JSON, LaTeX."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from medbench.comparison import Comparison, Figure, Line
from medbench.protocols import protocol
from medbench.tables import (
    WIDTH,
    clean,
    columns,
    cut,
    escape_latex,
    escape_markdown,
    pad,
    short,
    to_csv,
    wrapped,
)

NAME_WIDTH = 20
NOT_FOUND = "not found"
CAVEAT = (
    "Published figures are the authors', on their data by their protocol: they are quoted, never a bar to reach. "
    "Nothing here was computed on their data unless a note says so."
)
TITLES = ("arm", "published", "rerun", "honest", "bal. acc.", "95 % range")


def render(comparison: Comparison, form: str, *, plain: bool = False) -> str:
    """Write a comparison in one of :data:`medbench.tables.FORMATS`; shares are written in percent.

    Args:
        comparison: What to write.
        form: Member of FORMATS.
        plain: ASCII only.
    """
    if form == "json":
        return json.dumps([_flat(comparison, line) for line in comparison.lines], indent=1, ensure_ascii=False)
    if form == "csv":
        return to_csv([_flat(comparison, line) for line in comparison.lines])
    if form == "md":
        return _markdown(comparison)
    if form == "latex":
        return _latex(comparison)
    text = "\n".join(line.rstrip() for line in _text(comparison))
    return text.encode("ascii", "replace").decode() if plain else text


def _text(comparison: Comparison) -> Iterator[str]:
    yield from wrapped(f"{comparison.study.name}: published, rerun by its own protocol, and by an honest one", WIDTH)
    for title, lines in _groups(comparison):
        yield ""
        yield from (f" {line}" for line in wrapped(title, WIDTH - 2))
        yield _row(" arm", "published", "rerun", "honest", "bal.acc", "95 % range")
        for line in lines:
            name = f" {short(line.published.arm)}"
            if columns(name) >= NAME_WIDTH:
                yield cut(name, WIDTH)
                name = ""
            yield _row(name, *_cells(line), _span(line))
    yield ""
    for sentence in _sentences(comparison):
        yield from wrapped(sentence)


def _row(name: str, published: str, rerun: str, honest: str, balanced: str, span: str) -> str:
    return f"{pad(name, NAME_WIDTH)}{published:>10}{rerun:>13}{honest:>13}{balanced:>8}  {span}"


def _cells(line: Line) -> tuple[str, str, str, str]:
    share = line.published.is_share

    def shown(figure: Figure) -> str:
        return figure.why if figure.value is None else _number(figure.value, share)

    value = line.published.value
    quoted = NOT_FOUND if value is None else f"{round(100 * value if share else value, 6):g}"  # every digit of it
    return (
        quoted,
        shown(line.rerun),
        shown(line.honest),
        "" if line.balanced is None else _number(line.balanced, True),
    )


def _span(line: Line) -> str:
    return "" if line.low is None or line.high is None else f"{100 * line.low:.1f} to {100 * line.high:.1f}"


def _number(value: float, share: bool) -> str:
    return f"{100 * value:.1f}" if share else f"{value:.4g}"


def _groups(comparison: Comparison) -> Iterator[tuple[str, list[Line]]]:
    """Yield the lines of each data set, classifier and measure under a title."""
    groups: dict[str, list[Line]] = {}
    for line in comparison.lines:
        p = line.published
        parts = [line.dataset, short(p.classifier) if p.classifier else "", p.metric + (", %" if p.is_share else "")]
        groups.setdefault(", ".join(filter(None, parts)), []).append(line)
    yield from groups.items()


def _sentences(comparison: Comparison) -> Iterator[str]:
    """Yield what every table says, then what was run instead, sources and notes."""
    yield CAVEAT
    if not comparison.lines:
        yield "No published figure of this study is about these data."
    if comparison.is_phantom:
        yield "PHANTOM DATA: drawn images. Compare rerun with honest; neither says anything about patients."
    if comparison.own:
        leaks = ", ".join(sorted(protocol(comparison.own).leaks))
        yield f"rerun: protocol {comparison.own}, which leaks {leaks}; never ranked."
    if comparison.honest:
        yield (
            f"honest: protocol {comparison.honest}. rerun and honest count images by argmax, as the study did. bal.acc "
            "is that of the board under the honest protocol, its range a bootstrap of patients for each arm by itself."
        )
    yield from dict.fromkeys(
        f"{column}: {short(asked)} was run as {ran}."
        for column in ("rerun", "honest")
        for line in comparison.lines
        for asked, ran in zip((line.published.arm, line.published.classifier), getattr(line, column).ran, strict=True)
        if asked and ran and asked != ran
    )
    yield from dict.fromkeys(f"Source: {line.published.source}" for line in comparison.lines)
    yield from dict.fromkeys(
        f"{short(p.arm)}, {p.metric}: {p.note}" for p in (line.published for line in comparison.lines) if p.note
    )


def _flat(comparison: Comparison, line: Line) -> dict[str, Any]:
    p = line.published

    def number(value: float | None, share: bool = p.is_share) -> float | None:
        return None if value is None else round(100 * value, 2) + 0.0 if share else round(value, 4)

    quoted = p.value if p.value is None or not p.is_share else round(100 * p.value, 6)
    row = {
        "study": comparison.study.name,
        "dataset": line.dataset,
        "augmenter": p.arm,
        "classifier": p.classifier or None,
        "metric": p.metric,
        "published": quoted,
        "rerun": number(line.rerun.value),
        "rerun_status": line.rerun.why or "done",
        "rerun_protocol": comparison.own or None,
        "honest": number(line.honest.value),
        "honest_status": line.honest.why or "done",
        "honest_protocol": comparison.honest or None,
        "balanced_accuracy": number(line.balanced, True),
        "balanced_accuracy_low": number(line.low, True),
        "balanced_accuracy_high": number(line.high, True),
        "run_as": " / ".join(filter(None, line.honest.ran)) or " / ".join(filter(None, line.rerun.ran)) or None,
        "source": p.source,
        "note": p.note or None,
        "caveat": CAVEAT,
    }
    return {key: clean(value) if isinstance(value, str) else value for key, value in row.items()}


def _markdown(comparison: Comparison) -> str:
    lines = [f"### {escape_markdown(comparison.study.name)}: published, rerun, honest"]
    for title, of_title in _groups(comparison):
        lines += ["", escape_markdown(title), "", "| " + " | ".join(TITLES) + " |", "| --- " + "| ---: " * 5 + "|"]
        for line in of_title:
            cells = (line.published.arm, *_cells(line), _span(line))
            lines.append("| " + " | ".join(map(escape_markdown, cells)) + " |")
    return "\n".join([*lines, "", *(f"{escape_markdown(sentence)}  " for sentence in _sentences(comparison))])


def _latex(comparison: Comparison) -> str:
    lines = [f"% {clean(comparison.study.name)}: published, rerun, honest"]
    for title, of_title in _groups(comparison):
        lines += [rf"\par {escape_latex(clean(title))}", r"\begin{tabular}{lrrrrr}", r"\toprule"]
        lines += [" & ".join(map(escape_latex, TITLES)) + r" \\", r"\midrule"]
        for line in of_title:
            cells = (line.published.arm, *_cells(line), _span(line))
            lines.append(" & ".join(escape_latex(clean(cell)) for cell in cells) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*lines, r"\par\footnotesize", *(escape_latex(clean(s)) for s in _sentences(comparison))])
