"""The plots of the first page as numbers and short texts, which a template draws as SVG: three of them.

Gain against training time, gain against the number of training images, and published figures against the same measure
under an honest protocol here. A mark is a result of the grid; its shape and colour are those of its verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from medbench.registry.display_names import classifier_name
from medbench.site.data_cards import data_name
from medbench.site.remeasured import Remeasured
from medbench.site.results import Result
from medbench.statistics.verdicts import WORDS
from medbench.text import counted, duration

WIDTH, HEIGHT = 400, 300
LEFT, RIGHT, TOP, BOTTOM = 46, 388, 26, 252
LABELLED = 12
"""Up to so many marks carry their name, where it has room."""
SHAPES: Mapping[str, str] = {
    "better": "M0-6L5.5 4H-5.5z",
    "worse": "M0 6L5.5-4H-5.5z",
    "same": "M-4.5-4.5h9v9h-9z",
    "threshold": "M0-6L6 0L0 6L-6 0z",
    "can't tell": "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z",
    "": "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z",
}


@dataclass(frozen=True)
class Tick:
    """A line of an axis: where it stands in pixels, what it says, and whether it is that of no gain."""

    at: float
    text: str
    is_zero: bool = False


@dataclass(frozen=True)
class Mark:
    """A result: where it stands in pixels, its verdict as stored, and what is said of it."""

    x: float
    y: float
    word: str
    title: str
    facets: Mapping[str, str]
    name: str
    label: str = ""
    label_x: float = 0.0
    label_y: float = 0.0
    anchor: str = "start"

    @property
    def shape(self) -> str:
        """Path around its own middle."""
        return SHAPES[self.word]


@dataclass(frozen=True)
class Stroke:
    """A line between results, or the diagonal: the path, and the class it is styled by."""

    path: str
    kind: str


@dataclass(frozen=True)
class Plot:
    """One plot.

    Attributes:
        title: What it asks.
        caption: How to read it.
        vertical: What the vertical axis shows.
        horizontal: What the horizontal axis shows.
        empty: What is said where there is nothing to draw.
        marks: Results.
        lines: Drawn below them.
        rows: Ticks of the vertical axis.
        columns: Ticks of the horizontal axis.
    """

    title: str
    caption: str
    vertical: str
    horizontal: str
    empty: str
    marks: tuple[Mark, ...] = ()
    lines: tuple[Stroke, ...] = ()
    rows: tuple[Tick, ...] = ()
    columns: tuple[Tick, ...] = ()
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    bottom: int = BOTTOM

    @property
    def spoken(self) -> str:
        """What a screen reader says."""
        return f"{self.title} {counted(len(self.marks), 'result')}: {self.vertical} against {self.horizontal}."


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    start: float
    end: float
    turn: Callable[[float], float] = field(default=float)

    def place(self, value: float) -> float:
        low, high = self.turn(self.low), self.turn(self.high)
        share = (self.turn(value) - low) / (high - low) if high > low else 0.5
        return round(self.start + min(1.0, max(0.0, share)) * (self.end - self.start), 1)


def against_time(shown: Iterable[Result]) -> Plot:
    """Draw what each result of the grid gains against what its training takes."""
    results = [r for r in shown if r.line.raw["seconds"] > 0]
    plot = Plot("Is the gain worth its time?", "A mark a result of the grid.", "gain, points",
                "time of training, generators included", "Nothing is compared yet.")  # fmt: skip
    if not results:
        return plot
    seconds = [float(r.line.raw["seconds"]) for r in results]
    across = _Axis(min(seconds) / 1.5, max(seconds) * 1.5, LEFT, RIGHT, math.log)
    upright, rows = _gains(results)
    columns = [Tick(across.place(s), duration(s)) for s in _times(across.low, across.high)]
    marks = [_mark(r, across.place(s), upright.place(_points(r)), duration(s))
             for r, s in zip(results, seconds, strict=True)]  # fmt: skip
    return replace(plot, marks=_labelled(marks), rows=rows, columns=tuple(columns))


def against_images(results: Iterable[Result]) -> Plot:
    """Draw what each method that was asked for gains against the number of images it was trained on.

    Results of one entry, method and classifier are joined where they differ in the amount of training data.
    """
    plot = Plot("Does the gain shrink with more data?", "Lines join one method of one entry, trained on more and more.",
                "gain, points", "training images", "No entry says how many images were trained on.")  # fmt: skip
    curves: dict[tuple[str, ...], list[Result]] = {}
    for r in results:
        if r.images and r.asked:
            key = (r.published.entry["id"], r.board["dataset"], r.board["classifier"], r.line.recipe, r.line.control)
            curves.setdefault(key, []).append(r)
    found = [sorted(curve, key=lambda r: r.images or 0) for curve in curves.values()]
    every = [r for curve in found for r in curve]
    if not every:
        return plot
    sizes = [r.images or 0 for r in every]
    across = _Axis(min(sizes) / 1.4, max(sizes) * 1.4, LEFT, RIGHT, math.log)
    upright, rows = _gains(every)
    columns = [Tick(across.place(n), f"{n:,}") for n in _round_numbers(across.low, across.high)]
    marks, lines = [], []
    for curve in found:
        there = [(across.place(r.images or 0), upright.place(_points(r))) for r in curve]
        if len(there) > 1:
            lines.append(Stroke("M" + "L".join(f"{x} {y}" for x, y in there), "curve"))
        for r, (x, y) in zip(curve, there, strict=True):
            mark = _mark(r, x, y, f"{r.images:,.0f} images")
            marks.append(mark if r is curve[-1] else replace(mark, name=""))
    return replace(plot, marks=_labelled(marks), lines=tuple(lines), rows=rows, columns=tuple(columns))


def against_published(found: Sequence[Remeasured]) -> Plot:
    """Draw published figures against the same measure under an honest protocol here."""
    plot = Plot("Do published figures hold?", "Below the diagonal: less than published.",
                "measured here, honest protocol, %", "published, %",
                "Empty: no entry so far repeats a published study. Run one, such as thyroid-gan, on its real images "
                "(medbench list studies names others), and publish the run as page Submit says.")  # fmt: skip
    if not found:
        return plot
    values = [100 * v for one in found for v in (one.published, one.here)]
    low, high = 10 * math.floor(min(values) / 10), 10 * math.ceil(max(values) / 10)
    across, upright = _Axis(low, high, LEFT, RIGHT), _Axis(low, high, BOTTOM, TOP)
    ticks = range(low, high + 1, 10)
    marks = [
        replace(_mark(one.result, across.place(100 * one.published), upright.place(100 * one.here),
                      f"published {100 * one.published:.1f}, here {100 * one.here:.1f} ({one.metric})"), name=one.name)
        for one in found
    ]  # fmt: skip
    return replace(
        plot, marks=_labelled(marks), lines=(Stroke(f"M{LEFT} {BOTTOM}L{RIGHT} {TOP}", "zero"),),
        rows=tuple(Tick(upright.place(n), str(n)) for n in ticks),
        columns=tuple(Tick(across.place(n), str(n)) for n in ticks),
    )  # fmt: skip


def _points(result: Result) -> float:
    return 100 * float(result.line.raw["gain"])


def _gains(results: Sequence[Result]) -> tuple[_Axis, tuple[Tick, ...]]:
    """Return an axis of gains in points that holds 0, with at most eight ticks."""
    found = [0.0, *map(_points, results)]
    step = next(s for s in (1, 2, 5, 10, 20, 50) if (max(found) - min(found)) / s <= 6 or s == 50)
    low, high = step * (math.ceil(min(found) / step) - 1), step * (math.floor(max(found) / step) + 1)
    axis = _Axis(low, high, BOTTOM, TOP)
    ticks = range(low, high + 1, step)
    return axis, tuple(Tick(axis.place(n), f"{n:+d}".replace("-", "\u2212") if n else "0", n == 0) for n in ticks)


def _times(low: float, high: float) -> list[float]:
    known = (1, 10, 60, 600, 3600, 36_000, 360_000)
    return [s for s in known if low <= s <= high] or [math.sqrt(low * high)]


def _round_numbers(low: float, high: float) -> list[int]:
    known = [n * 10**e for e in range(7) for n in (1, 2, 5)]
    inside = [n for n in known if low <= n <= high]
    return inside if len(inside) < 7 else [n for n in inside if str(n)[0] == "1"]


def _mark(result: Result, x: float, y: float, more: str) -> Mark:
    line, board = result.line, result.board
    verdict = WORDS[line.word].text if line.word else result.why
    where = f"{data_name(board['dataset'])}, {classifier_name(board['classifier'])}"
    said = (
        f"{line.name}, compared with {line.control}: {line.numbers[2]} ({line.numbers[3]}), {verdict}; {where}; {more}"
    )
    return Mark(x, y, line.word, said, result.facets, line.name)


def _labelled(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """Put names beside marks where they cover neither another name nor another mark."""
    if len([m for m in marks if m.name]) > LABELLED:
        return tuple(marks)
    taken = [(m.x - 6, m.y - 6, m.x + 6, m.y + 6) for m in marks]
    placed = []
    for mark in marks:
        width = 6.2 * len(mark.name)
        for x, y, anchor in ((9, 4, "start"), (-9, 4, "end"), (0, -9, "middle"), (0, 17, "middle")):
            start = mark.x + x - {"start": 0.0, "end": width, "middle": width / 2}[anchor]
            box = (start, mark.y + y - 10, start + width, mark.y + y + 2)
            inside = box[0] >= LEFT and box[2] <= WIDTH and box[1] >= TOP - 8 and box[3] <= BOTTOM
            if mark.name and inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                mark = replace(mark, label=mark.name, label_x=mark.x + x, label_y=mark.y + y, anchor=anchor)
                break
        placed.append(mark)
    return tuple(placed)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
