"""Bars of gains with characters and as a figure: nothing outside 80 columns, positions that fit the numbers."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.errors import UsageError
from medbench.plots import style
from medbench.plots.forest import forest
from medbench.tables.forest import CHART, NAME_WIDTH, Bar, Forest, draw, legend
from medbench.tables.writers.terminal import Screen
from medbench.text import columns

POINTS = st.floats(-60, 60).map(lambda x: round(x, 1))
STEERING = "\x1b[2J脊椎 $x^2$ " * 9


@st.composite
def bars(draw_: st.DrawFn) -> Bar:
    low, value, high = sorted(draw_(st.tuples(POINTS, POINTS, POINTS)))
    word = draw_(
        st.sampled_from(["better", "can't tell", "threshold", "2 of 15 diverged", "100 of 150 failed (data)", ""])
    )
    name = draw_(st.sampled_from(["acgan", "hybrid (acgan, steps=1200, fill=balance)", "脊椎" * 30]))
    if draw_(st.booleans()):
        low, high = draw_(st.sampled_from([(low, high), (-math.inf, math.inf)]))
    return Bar(name, draw_(st.sampled_from([value, value, None])), low, high, word, "│ └ ", 2)


@given(of=st.lists(bars(), max_size=6), worth=st.floats(0.1, 20), plain=st.booleans())
@settings(max_examples=80, deadline=None)
def test_lines_fit_a_terminal_and_every_bar_has_one(of: list[Bar], worth: float, plain: bool) -> None:
    lines = draw(Forest("t", tuple(of), worth), Screen(plain=plain))

    assert max(map(columns, lines)) <= 80
    point = "o" if plain else "●"
    shown = [line[NAME_WIDTH : NAME_WIDTH + CHART] for line in lines if point in line[NAME_WIDTH : NAME_WIDTH + CHART]]
    assert len(shown) == sum(bar.value is not None for bar in of)


def test_a_chart_by_hand() -> None:
    """The scale goes from -4 to +8 in 24 columns, so 0 is column 7.7 and 2 points are 3.8 columns."""
    (line, other, axis) = draw(
        Forest("t", (Bar("a", 2.0, -4.0, 8.0, "can't tell"), Bar("b", None, 0, 0, "3 of 15 done")), 2.0),
        Screen(plain=True),
    )

    assert line[NAME_WIDTH : NAME_WIDTH + CHART] == "[-------+---o----------]"
    assert line.endswith("+2.0  -4.0 to +8.0   inconclusive")
    assert other[NAME_WIDTH : NAME_WIDTH + CHART].strip() == "::::|::::"
    assert other.endswith("  3 of 15 done")
    assert (axis[NAME_WIDTH:].split(), axis[NAME_WIDTH + 8]) == (["-4", "0", "+8"], "0")


@given(of=bars(), worth=st.floats(0.1, 20))
@settings(max_examples=60, deadline=None)
def test_the_order_on_the_scale_is_that_of_the_numbers(of: Bar, worth: float) -> None:
    lines = [line[NAME_WIDTH : NAME_WIDTH + CHART] for line in draw(Forest("t", (of,), worth), Screen(plain=True))]
    line = next(line for line in reversed(lines[:-1]) if line.strip())  # a long verdict stands below its bar
    if of.value is None:
        return
    point, low, high = line.index("o"), *(max(line.rfind(c) for c in ends) for ends in ("[<", "]>"))

    assert 0 <= max(low, 0) <= point
    assert high in (-1, *range(point, CHART))
    if math.isinf(of.low):
        assert "<" in line or point == 0


def test_the_legend_fits_and_plain_is_ascii() -> None:
    f = Forest("t", (Bar("a", 1.0, -2.0, 3.0, "can't tell"),), 2.0)

    for plain in (True, False):
        assert columns(legend(2.0, plain=plain)) < 80
        assert "\n".join([*draw(f, Screen(plain=plain)), legend(2.0, plain=plain)]).isascii() == plain


@pytest.fixture
def panels() -> list[Forest]:
    tree = (Bar("balanced", None, 0.0, 0.0, "control"), Bar("geometric", 8.9, 1.8, 16.0, "better", "└ ", 1))
    odd = (Bar(STEERING, 3.0, -math.inf, math.inf, ""), Bar("same", 0.0, 0.0, 0.0, "same"))
    return [Forest("ddti, net", tree, 2.0), Forest(STEERING, odd, 2.0), Forest("nothing", (), 2.0)]


@pytest.mark.parametrize("form", style.FORMATS)
def test_a_figure_has_the_same_bytes_every_time(panels: list[Forest], form: str) -> None:
    """Several times: the layout's solver orders its unknowns by where in memory they lie, which differs by chance."""
    assert len({style.written(forest(panels), form) for _ in range(8)}) == 1


def test_a_figure_says_what_the_table_says(panels: list[Forest]) -> None:
    root = ET.fromstring(style.written(forest(panels), "svg"))
    said = " ".join(text.strip() for text in root.itertext())

    for part in ("ddti, net", "geometric", "+8.9", "+1.8 to +16.0", "better", "control", "nothing is compared here"):
        assert part in said
    assert "\x1b" not in said


def test_points_of_a_figure_stand_where_their_numbers_are(panels: list[Forest]) -> None:
    ax = forest(panels).axes[0]
    points = [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "o"]
    whiskers = [
        list(line.get_xdata()) for line in ax.lines if line.get_marker() == "None" and len(line.get_xdata()) == 2
    ]

    assert points == [[[8.9, 1.0]]]
    assert [1.8, 16.0] in whiskers
    assert ax.get_xlim()[0] < -2.0
    assert ax.get_xlim()[1] > 16.0


def test_another_ending_of_a_figure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gains.gif: a figure is written as svg, png, pdf"):
        style.form_of(tmp_path / "gains.gif")
