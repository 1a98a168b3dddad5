"""Gain against training size, and how many further patients would give as much to the method it is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from math import floor, log10

from medbench.analyses.learning_curves import LearningCurve, OfArm, Point, Worth
from medbench.data.audit_official_cut import describe_waivers
from medbench.planning.arm_names import arm_name, control_name, control_names
from medbench.protocols.protocol_text import split_size
from medbench.registry.display_names import classifier_name
from medbench.statistics.verdicts import WORDS
from medbench.tables.blocks import Block, Heading, Notes, grid, notes
from medbench.tables.board_notes import name_of_source
from medbench.tables.document import Document, write
from medbench.tables.wording import ESTIMAND, SYNTHETIC, barely_trained, by_size, range_of
from medbench.tables.writers.terminal import PIPE, Screen, in_two_parts, under
from medbench.tables.writers.values import Values, gain_values, percent, rounded, verdict_values
from medbench.text import clean, columns, counted, listed, points, wrapped

KIND = "training size"
"""What rows of this table have under ``kind`` in CSV and JSON."""
TITLES = (
    "patients", "method above", "method", "gain", "95 % CI", "verdict", "further patients", "95 % CI",
)  # fmt: skip
HEADS = (
    ("", "method", "", "", "", "", "further", ""),
    ("patients", "above", "method", *TITLES[3:6], *TITLES[:1], "95 % CI"),
)
"""TITLES on two lines, for a terminal."""


def render(found: Sequence[LearningCurve], form: str, *, screen: Screen = PIPE) -> str:
    """Write gains by training size in one of :data:`medbench.tables.document.FORMATS`, shares in percent."""
    documents = [Document(partial(_lines, one), partial(_blocks, one), partial(values, one)) for one in found]
    return write(documents, form, screen)


def name(arm: OfArm) -> str:
    """Write an arm and its control."""
    return f"{arm_name(arm.arm)}, compared with {control_name(arm.arm)}"


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


def sentences(growth: LearningCurve) -> Iterator[str]:
    """Yield what stands under the table: words by size first, then how to read it."""
    if said := barely_trained(growth.study.budget.steps):
        yield said
    if growth.is_phantom:
        yield SYNTHETIC
    yield from describe_waivers(growth.protocol, growth.source, growth.study.waive)
    for arm in growth.arms:
        words = [(p.patients, p.judged.verdict.word if p.judged else "") for p in arm.points]
        if arm.arm.asked and (said := by_size(words, arm=arm_name(arm.arm), control=control_name(arm.arm))):
            yield said
    yield from _withheld(growth)
    ends = f"{min(growth.sizes):,.0f} to {max(growth.sizes):,.0f}"
    yield (
        "Further patients: so many more the method above needs to train on for the same balanced accuracy, read off "
        f"its own curve from {ends} patients, by straight lines over log patients; > and <: beyond its ends, "
        "where nothing is read. Its range is that of the gain; the curve is taken as it was measured."
    )
    names = control_names([arm.arm for arm in growth.arms])
    fell = dict.fromkeys(names[arm.arm.control_key] for arm in growth.arms if arm.curve and arm.curve.levelled)
    if fell:
        yield f"Somewhere the curve of {'; '.join(fell)} fell with more patients; there it was levelled."
    if growth.comparisons:
        compared = counted(growth.comparisons, "comparison")
        yield f"Simultaneous 95 % confidence intervals for the {compared} of a size, not over sizes. {ESTIMAND}"
    for reason in dict.fromkeys(s.reason for s in growth.left_out):
        sizes = [f"{split_size(s.protocol)[1]:,}" for s in growth.left_out if s.reason == reason]
        yield f"Left out: {listed(sizes)} patients; {reason}."


def _withheld(growth: LearningCurve) -> Iterator[str]:
    """Yield why there are no verdicts, and at which sizes where it is not at all of them."""
    sizes_of: dict[str, set[float]] = {}
    for point in (p for arm in growth.arms for p in arm.points):
        if point.judged and (reason := point.judged.verdict.withheld):
            sizes_of.setdefault(reason, set()).add(point.patients)
    for reason, sizes in sizes_of.items():
        where = f"At {listed([f'{size:,.0f}' for size in sorted(sizes)])} patients: "
        yield reason if sizes == set(growth.sizes) else where + reason


def values(growth: LearningCurve) -> Iterator[Values]:
    """Yield the values of every arm and size, shares and gains in percent, worths in patients."""

    def of_worth(key: str, worth: Worth | None) -> Values:
        patients = rounded(worth.patients, 1) if worth else None
        return {key: patients, f"{key}_beyond": (worth.beyond or None) if worth else None}

    for arm in growth.arms:
        for p in arm.points:
            yield {
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
                **gain_values(p.judged.gain if p.judged else None),
                **verdict_values(p.judged.verdict if p.judged else None),
                **of_worth("worth", p.worth),
                **of_worth("worth_low", p.low),
                **of_worth("worth_high", p.high),
                "done": p.done,
                "planned": p.planned,
                "failures": p.failures or None,
                "data": growth.source.get("data"),
            }


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
    word = point.failures or (WORDS[judged.verdict.word].text if judged.verdict.word else "")
    return size, *values, points(gain.value), range_of(gain), word, extra(point.worth), _span(point.low, point.high)


def _span(low: Worth | None, high: Worth | None) -> str:
    return f"{extra(low)} to {extra(high)}" if low and high else ""


def _heading(growth: LearningCurve) -> tuple[str, str]:
    size = growth.study.budget.size
    data = name_of_source(growth.source)
    left = f"{data}, {classifier_name(growth.classifier)}{f', {size} px' if size else ''}"
    tested, repeats = counted(growth.tested, growth.unit.removesuffix("s")), counted(growth.study.repeats, "repeat")
    return left, f"{tested} tested, protocol {clean(growth.protocol)}, {repeats}"


def _lines(growth: LearningCurve, screen: Screen) -> Iterator[str]:
    yield from in_two_parts(*_heading(growth), width=screen.width)
    yield "gain by training patients, and how many further patients would give as much"
    for arm in growth.arms:
        yield ""
        yield from wrapped(name(arm), screen.width - 1)
        for values in (*HEADS, *map(cells, arm.points)):
            yield from _line_of(values, screen.width)
    yield ""
    yield from under(sentences(growth), screen.width)


def _line_of(values: Sequence[str], width: int) -> list[str]:
    """Write a row, its verdict below where it has no room."""
    size, control, arm, gain, span, word, worth, of_worth = values
    line = f"{size:>9}{control:>8}{arm:>8}{gain:>7}  {span:<15}{worth:>9}  {of_worth:<14}"
    beside = f"{line}  {word}"
    return [beside] if columns(beside) <= width else [line, f"{'':34}{word}"]


def _blocks(growth: LearningCurve) -> Iterator[Block]:
    left, right = _heading(growth)
    yield from (Heading(left), Notes((right,)))
    for arm in growth.arms:
        yield Heading(clean(name(arm)), 3)
        yield grid(TITLES, map(cells, arm.points), numeric=[True] * len(TITLES))
    yield notes(sentences(growth))
