"""What ``--wide`` adds under a board's tree: numbers of each class, measures, scores of synthetic samples.

Every column has a heading that people read and says which way is better; what it measures stands under its block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from medbench.boards.board import Board, Row
from medbench.glossary import TERMS
from medbench.planning.arm_names import arm_name
from medbench.registry.display_names import positive_class
from medbench.registry.score_facts import HIGHER, LOWER, in_order, score_facts
from medbench.statistics.further_measures import Measures
from medbench.statistics.patient_scores import ArmScores
from medbench.tables.board_notes import without_fair_gain, without_number
from medbench.tables.wording import auroc_share, metric_text
from medbench.text import clean, columns, longest_piece, pad, points, wrapped

NAME = 28
"""Columns of the names; a longer one stands on lines of its own."""
ROOM, WIDTH = 51, 17
"""Columns beside the names, and those of a number; fewer numbers stand side by side below long words."""
FLOOR = "   as many real images"


@dataclass(frozen=True)
class _Column:
    """A column: its heading, which way is better, its texts, one a row, and what it measures; "" where that is said."""

    title: str
    best: str
    texts: Sequence[str]
    meaning: str = ""


def wide_part(board: Board, rule: str) -> list[str]:
    """Return the lines under a board's tree, below a ruler drawn with `rule`."""
    rows = board.all_rows
    scored = [row for row in rows if row.scores is not None]
    measured = [row for row in rows if row.measures is not None]
    lines = [f" more numbers {rule * 20}"]
    lines += _of_classes(board, scored, measured)
    lines += _blocks("", rows, _measures(rows))
    with_metrics = [row for row in rows if row.metrics]
    found = list(dict.fromkeys(name for row in rows for name in row.metrics))
    lines += _blocks("metrics of plugins", with_metrics, [
        _Column(name, HIGHER, [metric_text(row.metrics.get(name)) for row in with_metrics]) for name in found
    ])  # fmt: skip
    lines += _scores_of_made(rows)
    further = [*without_number([board]), *(without_fair_gain(board) if measured else ())]
    said = [line for sentence in further for line in wrapped(sentence)]
    return lines + [""] * bool(said) + said


def _blocks(title: str, rows: Sequence[Row], found: Sequence[_Column], floors: Sequence[Row] = ()) -> list[str]:
    """Write columns in blocks of three, each with what they measure below it.

    Args:
        title: Above the first block; "" for none.
        rows: One a line.
        found: Columns, with a text for each row; then one for each row of `floors`, which stands below its row.
        floors: Rows below which stands what real images reach.
    """
    if not rows:
        return []
    lines = ["", *wrapped(title)] if title and found else []
    names = [arm_name(row.arm) for row in rows]
    # Columns as wide as the longest word above them, so that none is broken in its middle.
    width = min(ROOM, max([WIDTH, *(longest_piece(clean(one.title)) + 1 for one in found)]))
    for start in range(0, len(found), ROOM // width):
        part = found[start : start + ROOM // width]
        lines += [*[""] * (start > 0 or not title), *_heads([(one.title, one.best) for one in part], width)]
        for k, (row, name) in enumerate(zip(rows, names, strict=True)):
            lines += _line(name, [one.texts[k] for one in part], width)
            if row in floors and any(under := [one.texts[len(rows) + floors.index(row)] for one in part]):
                lines += _line(FLOOR[1:], under, width)
        lines += [
            line for one in part if one.meaning for line in wrapped(f"{one.title.removesuffix(', %')}: {one.meaning}")
        ]
    return lines


def _line(name: str, texts: Iterable[str], width: int) -> list[str]:
    cells = "".join(f"{text:>{width}}" for text in texts)
    if columns(name) < NAME - 1:
        return [f"{pad(f' {name}', NAME)}{cells}".rstrip()]
    return [*wrapped(name), f"{'':{NAME}}{cells}".rstrip()]


def _heads(titles: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Write headings, each above its direction, in as many lines as they need; the last lines of all stand level."""
    parts = [[line[1:] for text in title for line in wrapped(text, width)] for title in titles]
    height = max(1, *map(len, parts))
    levels = zip(*([""] * (height - len(part)) + part for part in parts), strict=True)
    return [f"{'':{NAME}}{''.join(pad(text, -width) for text in level)}".rstrip() for level in levels]


def _of_classes(board: Board, scored: Sequence[Row], measured: Sequence[Row]) -> list[str]:
    """Write recall and precision of each class; of two classes, under the names they have in medicine."""
    classes = [clean(c) for c in board.source["classes"]]
    recalls = [[_percent(float(row.scores.recalls[k])) for row in scored if row.scores] for k in range(len(classes))]
    precisions = [
        [_percent(float(row.measures.precisions[k])) for row in measured if row.measures] for k in range(len(classes))
    ]
    order, of_recall, of_precision, said = _named(classes, board.study.positive, board.source.get("positive", ""))
    lines = _blocks("", scored, [_Column(of_recall[k], HIGHER, recalls[k]) for k in order])
    lines += _blocks("", measured, [_Column(of_precision[k], HIGHER, precisions[k]) for k in order])
    lines += _ranges([row for row in scored if row.ranges is not None], [of_recall[k] for k in order], order)
    lines += _points(scored)
    return [*lines, *(line for text in said for line in wrapped(text))] if lines else []


def _ranges(rows: Sequence[Row], of_recall: Sequence[str], order: Sequence[int]) -> list[str]:
    """Write the intervals of what each row reaches by itself."""
    found = [row.ranges for row in rows if row.ranges is not None]
    said = "95 % CI of each method by itself, over patients and training runs; for a difference read the gain's."
    columns = [
        _Column("balanced accuracy, 95 % CI", "", [_span(one.balanced_accuracy, 100) for one in found]),
        _Column("AUROC, 95 % CI", "", [_span(one.auroc, 1) for one in found]),
        *(
            _Column(f"{name.removesuffix(', %')}, 95 % CI", "", [_span(one.recalls[k], 100) for one in found])
            for name, k in zip(of_recall, order, strict=True)
        ),
    ]
    return [*_blocks("", rows, columns), *wrapped(said)] if found else []


def _span(ends: tuple[float, float], scale: int) -> str:
    low, high = ends
    if low != low:
        return "n/a"
    return f"{100 * low:.1f} to {100 * high:.1f}" if scale == 100 else f"{auroc_share(low)} to {auroc_share(high)}"


def _points(rows: Sequence[Row]) -> list[str]:
    """Write the sensitivity of each row at fixed specificities."""
    found = [row.points for row in rows if row.points]
    columns = []
    for j, point in enumerate(found[0] if found else ()):
        title = f"sensitivity at {100 * point.specificity:.0f} % specificity"
        columns += [
            _Column(f"{title}, %", HIGHER, [_percent(points[j].sensitivity) for points in found]),
            _Column(f"{title}, 95 % CI", "", [_span((points[j].low, points[j].high), 100) for points in found]),
        ]
    said = "Sensitivity at a specificity: at the threshold that has it among those tested, fold by fold."
    return [*_blocks("", [row for row in rows if row.points], columns), *wrapped(said)] if found else []


def _named(
    classes: Sequence[str], declared: str = "", of_data: str = ""
) -> tuple[Sequence[int], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the order of the classes, headings of recall and precision by class, and sentences on what they are."""
    positive = positive_class(classes, declared, of_data)
    if positive is not None:
        here, other = classes[positive], classes[1 - positive]
        by_whom = "study" if declared else "data set" if of_data else ""
        how = f"as the {by_whom} declares" if by_whom else "read off the names of the classes"
        signs, names = ("negative", "positive"), ("specificity, %", "sensitivity, %")
        return (
            (positive, 1 - positive),
            tuple(names[k == positive] for k in range(2)),
            tuple(f"{signs[k == positive]} predictive value, %" for k in range(2)),
            (
                f"Positive: {here}, {how}. Sensitivity: the share of {here} found; "
                f"specificity: the share of {other} called so.",
                "Positive (negative) predictive value: the share of those called positive (negative) that are.",
            ),
        )
    said = f"Recall: {TERMS['recall'].meaning.partition(' Of generated')[0]}"
    if len(classes) == 2:
        said += " Where one class is called positive, its recall is the sensitivity, that of the other the specificity."
    return (
        range(len(classes)),
        tuple(f"recall of {name}, %" for name in classes),
        tuple(f"precision of {name}, %" for name in classes),
        (said, f"Precision: {TERMS['precision'].meaning.partition(' Of generated')[0]}") if classes else (),
    )


def _percent(value: float) -> str:
    return f"{100 * value:.1f}" if value == value else "n/a"


def _measures(rows: Sequence[Row]) -> list[_Column]:
    def texts(of_scores: Callable[[ArmScores], str]) -> list[str]:
        return ["" if row.scores is None else of_scores(row.scores) for row in rows]

    def measured(of_measures: Callable[[Measures], str]) -> list[str]:
        return ["" if row.measures is None else of_measures(row.measures) for row in rows]

    top = "balanced accuracy where the most probable class is taken, the decision threshold left as it is."
    found = [
        _Column("macro-F1, %", HIGHER, texts(lambda s: f"{100 * s.macro_f1:.1f}"), TERMS["macro-F1"].meaning),
        _Column("balanced accuracy by top class, %", HIGHER, texts(lambda s: f"{100 * s.argmax_balanced_accuracy:.1f}"),
                top),
        *_fair(rows),
        _Column("AUPRC", HIGHER, measured(lambda m: auroc_share(m.auprc)), TERMS["AUPRC"].meaning),
        _Column("MCC", HIGHER, measured(lambda m: f"{m.mcc:.3f}"), TERMS["MCC"].meaning),
        _Column("Brier score", LOWER, measured(lambda m: f"{m.brier:.3f}"), TERMS["Brier score"].meaning),
        _Column("calibration slope", "1 is best",
                measured(lambda m: f"{m.calibration_slope:.2f}".replace("nan", "n/a")),
                TERMS["calibration slope"].meaning),
        _Column("calibration error", LOWER, measured(lambda m: auroc_share(m.calibration_error)),
                TERMS["calibration error"].meaning),
    ]  # fmt: skip
    return [
        *(one for one in found if any(one.texts)),
        _Column("training runs", "", [f"{row.done}/{row.planned}" for row in rows]),
        _Column("samples added", "", [f"{row.made:.0f}" for row in rows], "synthetic samples, per training run."),
        _Column("peak memory, MB", "", [f"{row.peak_mb:.0f}" for row in rows]),
    ]


def _fair(rows: Sequence[Row]) -> list[_Column]:
    """Return what rows reach and gain at a fair threshold; nothing where no row is measured."""
    found = [row.fair if row.measures is not None else None for row in rows]
    if not any(found):
        return []
    gains = [one.gain if one is not None else None for one in found]
    title = "gain at a fair threshold"
    return [
        _Column("balanced accuracy at a fair threshold, %", HIGHER,
                ["n/a" if one is None else f"{100 * one.balanced_accuracy:.1f}" for one in found],
                TERMS["fair threshold"].meaning),
        _Column(f"{title}, points", HIGHER, ["n/a" if one is None else points(one.value) for one in gains]),
        _Column(f"{title}, 95 % CI", "",
                ["n/a" if one is None else f"{points(one.low)} to {points(one.high)}" for one in gains]),
    ]  # fmt: skip


def _scores_of_made(rows: Sequence[Row]) -> list[str]:
    """Write scores of synthetic samples, each with what real images reach; those of classes are in reports."""
    scored = [row for row in rows if row.scores_of_made]
    found = list(dict.fromkeys(name for row in scored for name in row.scores_of_made if ":" not in name))
    plain = in_order(found)  # the 95th percentile that the mark g is read off is left to CSV and JSON
    extractors = ", ".join(sorted({row.extractor for row in scored}))
    with_floors = [row for row in scored if any(f"{name}-floor" in row.scores_of_made for name in plain)]
    made = []
    for name in plain:
        facts = score_facts(name)
        texts = [_score(row.scores_of_made.get(name)) for row in scored]
        texts += [_score(row.scores_of_made.get(f"{name}-floor")) for row in with_floors]
        made.append(_Column(facts.title, facts.best, texts, f"{facts.meaning}."))
    return _blocks(f"scores of synthetic samples, by features of {extractors}", scored, made, with_floors)


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
