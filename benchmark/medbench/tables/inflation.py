"""A staircase as text: in 80 columns, Markdown, CSV, JSON, LaTeX."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from medbench.analyses.inflation import CAUSES, OTHER_DATA, Inflation, Step, elsewhere
from medbench.planning.arm_names import short
from medbench.tables.latex import escape_latex
from medbench.tables.markup import escape_markdown, to_csv
from medbench.tables.sentences import PHANTOM
from medbench.text import WIDTH, clean, columns, counted, cut, pad, wrapped

TITLE_WIDTH = 50
NAMED = 22  # characters of a name that stands in the heading


def render(found: Sequence[Inflation], form: str, *, plain: bool = False) -> str:
    """Write staircases in one of :data:`medbench.tables.board_table.FORMATS`; shares are written in percent.

    Args:
        found: What to write.
        form: Member of FORMATS.
        plain: ASCII only.
    """
    if form == "json":
        return json.dumps([row for one in found for row in flat(one)], indent=1, ensure_ascii=False)
    if form == "csv":
        return to_csv([row for one in found for row in flat(one)])
    if form == "md":
        return "\n\n".join(map(_markdown, found))
    if form == "latex":
        return "\n\n".join(map(_latex, found))
    text = "\n\n".join("\n".join(line.rstrip() for line in _text(one)) for one in found)
    return text.encode("ascii", "replace").decode() if plain else text


def rows(found: Inflation) -> list[tuple[str, Step]]:
    """Return what every form prints: a title and its values, from what was published to the arm's own control."""
    chance = f"chance {100 / found.n_classes:.0f}"
    listed = [("published, on its own data" if found.is_phantom else "published", found.published)]
    listed.append((found.own.title, found.own))
    listed += [(f"{step.number} {step.title}", step) for step in found.steps]
    for position, step in enumerate(found.ours):
        measure = f"balanced accuracy ({chance}), " if not position else ""
        listed.append((f"{step.number} {measure}over {short(step.title)}", step))
    return listed


def sentences(found: Inflation) -> Iterator[str]:
    """Yield what stands under a staircase."""
    arm, against = map(short, found.names)
    if found.is_phantom:
        yield f"{PHANTOM}. Compare our rows with each other only."
    yield from found.waived
    reported = found.own if found.is_phantom or found.published.gain is None else found.published
    source = "reported for" if reported is found.published else "that the study's own protocol gives"
    if reported.gain is not None and found.gain is not None:
        left = f"{_points(found.gain.value)} ({_points(found.gain.low)} to {_points(found.gain.high)})"
        verdict = found.verdict
        word = verdict.word if verdict is not None and verdict.word else "no verdict"
        yield f"Of the {_points(reported.gain)} points {source} {arm}, {left} are left over its own control: {word}."
        if verdict is not None and verdict.withheld:
            yield verdict.withheld
    elif found.gain is None:
        yield "Not everything is done or defined: what is left over its own control cannot be said yet."
    if (largest := found.largest) is not None:
        step, fall = largest
        yield f"The largest part, {100 * fall:.1f}, was {CAUSES[step.leak]} (step {step.number})."
    metric = found.table.metric
    yield (
        f"Rows to step {len(found.steps)}: {metric}, images by argmax, as the study counted. Below: balanced accuracy "
        "by patient where labels allow, corrected for training frequencies; ranges as on the board."
    )
    if arm != short(found.table.arm):
        yield f"Both with {short(found.table.arm)}; the networks differ."
    sources = dict.fromkeys(
        p.source
        for p in found.study.published
        if p.arm in (found.table.arm, found.table.against) and p.metric == metric
    )
    if found.published.why == OTHER_DATA:
        sets = " and ".join(map(clean, elsewhere(found.study, found.table, found.dataset)))
        yield f"What was published of {arm} and {against} is of {sets}, and stands beside that data only."
    elif found.published.why:
        yield f"A published {metric} of {arm} and {against} was not found."
    else:
        yield from (f"Source: {text}" for text in sources)
    if found.table.note:
        yield found.table.note


def flat(found: Inflation) -> list[dict[str, Any]]:
    """Return every row as plain values, shares in percent."""

    def percent(value: float | None) -> float | None:
        return None if value is None else round(100 * value, 2) + 0.0

    listed = []
    for title, step in rows(found):
        of_own = bool(found.ours) and step is found.ours[-1] and found.gain is not None
        row: dict[str, Any] = {
            "study": found.study.name,
            "dataset": found.dataset,
            "classifier": found.classifier,
            "arm": found.names[0],
            "against": step.title if step in found.ours else found.names[1],
            "metric": "balanced-accuracy" if step in found.ours else found.table.metric,
            "step": step.number,
            "title": title,
            "leak_removed": step.leak or None,
            "arm_value": percent(step.arm),
            "against_value": percent(step.against),
            "gain": percent(step.gain),
            "gain_low": percent(found.gain.low) if of_own and found.gain else None,
            "gain_high": percent(found.gain.high) if of_own and found.gain else None,
            "verdict": (found.verdict.word or None) if of_own and found.verdict else None,
            "status": step.why or "done",
        }
        listed.append({key: clean(value) if isinstance(value, str) else value for key, value in row.items()})
    return listed


def _points(value: float) -> str:
    return f"{100 * value:+z.1f}"


def _heading(found: Inflation) -> tuple[str, str]:
    left = f"{clean(found.study.name)}: {clean(found.dataset)}, {short(found.classifier)}"
    right = f"{counted(found.images, 'image')}, {found.n_classes} classes, {found.table.metric} in %"
    return left, right


def _text(found: Inflation) -> Iterator[str]:
    left, right = _heading(found)
    if columns(left) + columns(right) + 2 <= WIDTH:
        yield left + pad(right, columns(left) - WIDTH)
    else:
        yield from (line.removeprefix(" ") for line in wrapped(left, WIDTH))
        yield f" {right}"
    if found.majority is not None:
        yield f'always answering "{clean(found.commonest)}" scores {100 * found.majority:.1f}'
    yield ""
    arm, against = map(short, found.names)
    if max(columns(arm), columns(against)) <= NAMED:
        yield f" where {arm}'s gain over {against} goes"
    else:
        yield " where the gain of the arm over the other goes"
        yield from wrapped(f"arm: {arm}", WIDTH)
        yield from wrapped(f"other: {against}", WIDTH)
    yield _line("", "arm", "other", "gain")
    for title, step in rows(found):
        text = f" {title}"
        if columns(text) > TITLE_WIDTH:
            yield cut(text, WIDTH)
            text = ""
        yield _line(text, *_cells(step))
    if found.gain is not None:
        span = f"{_points(found.gain.low)} to {_points(found.gain.high)}"
        yield f"{pad(' 95 % range, over its own control', TITLE_WIDTH)}{span:>29}"
    yield ""
    for sentence in sentences(found):
        yield from wrapped(sentence)


def _line(title: str, arm: str, against: str, gain: str) -> str:
    return f"{pad(title, TITLE_WIDTH)}{arm:>9}{against:>9}{gain:>11}"


def _cells(step: Step) -> tuple[str, str, str]:
    def value(number: float | None) -> str:
        return "" if number is None else f"{100 * number:.1f}"

    gain = step.why if step.gain is None else _points(step.gain)
    return value(step.arm), value(step.against), gain


def _markdown(found: Inflation) -> str:
    left, right = _heading(found)
    arm, against = map(short, found.names)
    lines = [
        f"### {escape_markdown(left)}",
        "",
        f"{escape_markdown(right)}  ",
        "",
        f"| where the gain goes | {escape_markdown(arm)} | {escape_markdown(against)} | gain |",
        "| --- | ---: | ---: | ---: |",
    ]
    for title, step in rows(found):
        lines.append("| " + " | ".join(map(escape_markdown, (title, *_cells(step)))) + " |")
    if found.gain is not None:
        lines.append(
            f"| 95 % range, over its own control | | | {_points(found.gain.low)} to {_points(found.gain.high)} |"
        )
    return "\n".join([*lines, "", *(f"{escape_markdown(sentence)}  " for sentence in sentences(found))])


def _latex(found: Inflation) -> str:
    arm, against = (escape_latex(short(name)) for name in found.names)
    body = [
        " & ".join(escape_latex(clean(cell)) for cell in (title, *_cells(step))) + r" \\" for title, step in rows(found)
    ]
    if found.gain is not None:
        span = f"{_points(found.gain.low)} to {_points(found.gain.high)}"
        body.append(rf"95 \% range, over its own control & & & {span} \\")
    return "\n".join(
        [
            f"% {clean(found.study.name)}, {clean(found.dataset)}",
            r"\begin{tabular}{lrrr}",
            r"\toprule",
            rf"where the gain goes & {arm} & {against} & gain \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\footnotesize",
            *(escape_latex(clean(sentence)) for sentence in sentences(found)),
        ]
    )
