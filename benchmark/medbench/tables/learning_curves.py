"""Gain against training size as text: in 80 columns, Markdown, CSV, JSON, LaTeX."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from math import floor, log10
from typing import Any

from medbench.analyses.learning_curves import Growth, OfArm, Point, Worth
from medbench.data.audit_findings import waived
from medbench.planning.arm_names import arm_name, short
from medbench.protocols.protocol import sized
from medbench.tables.latex import escape_latex
from medbench.tables.markup import escape_markdown, to_csv
from medbench.tables.sentences import ESTIMAND, PHANTOM, by_size
from medbench.text import WIDTH, clean, columns, counted, cut, listed, pad, points, wrapped

KIND = "training size"
"""What rows of this table have under ``kind`` in CSV and JSON."""
TITLES = ("patients", "control", "arm", "gain", "95 % range", "verdict", "worth", "95 % range")


def render(found: Sequence[Growth], form: str, *, plain: bool = False) -> str:
    """Write what boards say of size in one of :data:`.FORMATS`; shares are written in percent.

    Args:
        found: What to write.
        form: Member of FORMATS.
        plain: ASCII only.
    """
    if form == "json":
        return json.dumps([row for one in found for row in flat(one)], indent=1, ensure_ascii=False, allow_nan=False)
    if form == "csv":
        return to_csv([row for one in found for row in flat(one)])
    if form in ("md", "latex"):
        return "\n\n".join((_markdown if form == "md" else _latex)(one) for one in found)
    text = "\n\n".join("\n".join(line.rstrip() for line in _text(one)) for one in found)
    return text.encode("ascii", "replace").decode() if plain else text


def name(arm: OfArm) -> str:
    """Write an arm and its control."""
    control = short(arm.arm.control) + (f" / {short(arm.arm.over)}" if arm.arm.over else "")
    return f"{arm_name(arm.arm)}, over {control}"


def extra(worth: Worth | None) -> str:
    """Write a worth in patients, to two digits: ``+31``, ``>+510``, ``<-50``, ``0``; "" for none."""
    if worth is None:
        return ""
    value = worth.patients
    if abs(value) >= 100:
        step = 10 ** (floor(log10(abs(value))) - 1)
        value = round(value / step) * step
    number = f"{value:+z.0f}"
    return f"{worth.beyond}{'0' if number == '+0' else number}"


def sentences(growth: Growth) -> Iterator[str]:
    """Yield what stands under the table: words by size first, then how to read it."""
    if growth.is_phantom:
        yield PHANTOM
    yield from waived(growth.protocol, growth.source, growth.study.waive)
    for arm in growth.arms:
        words = [(p.patients, p.judged.verdict.word if p.judged else "") for p in arm.points]
        if arm.arm.asked and (said := by_size(words, arm=arm_name(arm.arm), control=name(arm).partition(", over ")[2])):
            yield said
    of_points = [p for arm in growth.arms for p in arm.points]
    yield from dict.fromkeys(p.judged.verdict.withheld for p in of_points if p.judged and p.judged.verdict.withheld)
    ends = f"{min(growth.sizes):,.0f} to {max(growth.sizes):,.0f}"
    yield (
        "worth: how many more training patients its control needs for the same balanced accuracy, read off the "
        f"control's own curve from {ends} patients, by straight lines over log patients; > and <: beyond its ends, "
        "where nothing is read. Its range is that of the gain; the curve is taken as it was measured."
    )
    fell = dict.fromkeys(name(arm).partition(", over ")[2] for arm in growth.arms if arm.curve and arm.curve.levelled)
    if fell:
        yield f"Somewhere the curve of {', '.join(fell)} fell with more patients; there it was levelled."
    if growth.comparisons:
        compared = counted(growth.comparisons, "comparison")
        yield f"Ranges hold jointly for the {compared} of a size, not over sizes. {ESTIMAND}"
    for reason in dict.fromkeys(s.reason for s in growth.left_out):
        sizes = [f"{sized(s.protocol)[1]:,}" for s in growth.left_out if s.reason == reason]
        yield f"Left out: {listed(sizes)} patients; {reason}."


def flat(growth: Growth) -> list[dict[str, Any]]:
    """Return a row of plain values for every arm and size, shares and gains in percent, worths in patients."""

    def percent(value: float | None) -> float | None:
        return None if value is None else round(100 * value, 2) + 0.0

    def of_worth(key: str, worth: Worth | None) -> dict[str, Any]:
        value = None if worth is None else round(worth.patients, 1) + 0.0
        return {key: value, f"{key}_beyond": (worth.beyond or None) if worth else None}

    listed = []
    for arm in growth.arms:
        for p in arm.points:
            gain = p.judged.gain if p.judged else None
            row = {
                "kind": KIND,
                "dataset": growth.source["dataset"],
                "protocol": growth.protocol,
                "classifier": arm.arm.classifier,
                "augmenter": arm.arm.augmenter,
                "control": arm.arm.control,
                "control_classifier": arm.arm.over or None,
                "patients": round(p.patients, 1),
                "control_balanced_accuracy": percent(p.control),
                "balanced_accuracy": percent(p.arm),
                "gain": percent(gain.value) if gain else None,
                "gain_low": percent(gain.low) if gain else None,
                "gain_high": percent(gain.high) if gain else None,
                "verdict": (p.judged.verdict.word or None) if p.judged else None,
                "verdict_withheld": (p.judged.verdict.withheld or None) if p.judged else None,
                **of_worth("worth", p.worth),
                **of_worth("worth_low", p.low),
                **of_worth("worth_high", p.high),
                "done": p.done,
                "planned": p.planned,
                "failures": p.failures or None,
                "data": growth.source.get("data"),
            }
            listed.append({key: clean(value) if isinstance(value, str) else value for key, value in row.items()})
    return listed


def cells(point: Point) -> tuple[str, str, str, str, str, str, str, str]:
    """Return what every form prints of a point, under TITLES."""

    def share(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.1f}"

    judged = point.judged
    values = share(point.control), share(point.arm)
    size = f"{point.patients:,.0f}"
    if judged is None or judged.gain is None:
        return size, *values, "", f"{point.done} of {point.planned} done", "", "", ""
    gain = judged.gain
    span = f"{points(gain.low)} to {points(gain.high)}"
    word = point.failures or judged.verdict.word
    return size, *values, points(gain.value), span, word, extra(point.worth), _span(point.low, point.high)


def _span(low: Worth | None, high: Worth | None) -> str:
    return f"{extra(low)} to {extra(high)}" if low and high else ""


def _heading(growth: Growth) -> tuple[str, str]:
    size = growth.study.budget.size
    left = f"{clean(growth.source['dataset'])}, {short(growth.classifier)}{f', {size} px' if size else ''}"
    tested, repeats = counted(growth.tested, growth.unit.removesuffix("s")), counted(growth.study.repeats, "repeat")
    return left, f"{tested} tested, {clean(growth.protocol)} x {repeats}"


def _text(growth: Growth) -> Iterator[str]:
    left, right = _heading(growth)
    if columns(left) + columns(right) + 2 <= WIDTH:
        yield left + pad(right, columns(left) - WIDTH)
    else:
        yield from (line.removeprefix(" ") for line in wrapped(left, WIDTH))
        yield cut(f" {right}", WIDTH)
    yield "gain by training patients, and what it is worth in patients of the control"
    for arm in growth.arms:
        yield ""
        yield cut(f" {name(arm)}", WIDTH)
        yield _line(TITLES)
        yield from (_line(cells(point)) for point in arm.points)
    yield ""
    for sentence in sentences(growth):
        yield from wrapped(sentence)


def _line(values: Sequence[str]) -> str:
    size, control, arm, gain, span, word, worth, of_worth = values
    start = f"{size:>9}{control:>8}{arm:>6}{gain:>6}  {span:<14} {word:<10}"
    return cut(f"{start}{worth:>7}  {of_worth}", WIDTH)


def _markdown(growth: Growth) -> str:
    left, right = _heading(growth)
    lines = [f"### {escape_markdown(left)}", "", f"{escape_markdown(right)}  "]
    for arm in growth.arms:
        lines += [
            "",
            f"**{escape_markdown(name(arm))}**",
            "",
            "| " + " | ".join(TITLES) + " |",
            "| " + " | ".join(["---:"] * len(TITLES)) + " |",
            *("| " + " | ".join(map(escape_markdown, cells(point))) + " |" for point in arm.points),
        ]
    return "\n".join([*lines, "", *(f"{escape_markdown(sentence)}  " for sentence in sentences(growth))])


def _latex(growth: Growth) -> str:
    body = []
    for arm in growth.arms:
        title = escape_latex(name(arm))
        body += [r"\midrule", rf"\multicolumn{{{len(TITLES)}}}{{l}}{{{title}}} \\"]
        body += [" & ".join(escape_latex(clean(cell)) for cell in cells(point)) + r" \\" for point in arm.points]
    return "\n".join(
        [
            f"% {clean(growth.source['dataset'])}, {clean(growth.classifier)}, {clean(growth.protocol)}",
            rf"\begin{{tabular}}{{{'r' * len(TITLES)}}}",
            r"\toprule",
            " & ".join(map(escape_latex, TITLES)) + r" \\",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\footnotesize",
            *(escape_latex(clean(sentence)) for sentence in sentences(growth)),
        ]
    )
