"""Figures: names beside what they name, the same axes for what is compared, nothing drawn on top of anything else."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.plots import cost, loss_curves, style
from medbench.plots.forest import forest
from medbench.tables.forest import Bar, Forest

WIDTHS = (style.WIDTH, style.NARROW)
numbers = st.lists(st.floats(-50, 50), min_size=1, max_size=12)


@given(numbers, st.floats(0.1, 5))
@settings(max_examples=60, deadline=None)
def test_labels_are_moved_apart_and_keep_their_order(places: list[float], least: float) -> None:
    moved = style.spread(places, least, -60, 60)

    ordered = [moved[index] for index in sorted(range(len(places)), key=places.__getitem__)]
    assert all(after - before >= least - 1e-9 for before, after in itertools.pairwise(ordered))


@pytest.mark.parametrize("width", WIDTHS)
def test_bars_of_the_same_cost_lie_beside_each_other_with_their_names(width: float) -> None:
    spent = [cost.Spent(f"method {n}", 12.0, float(n), n - 5.0, n + 5.0, "") for n in range(3)]

    ax = cost.draw(spent, worth=2.0, width=width).axes[0]

    bars = [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2]
    reach = ax.get_xlim()[1] - ax.get_xlim()[0]
    assert len(bars) == 3
    assert min(b - a for a, b in itertools.pairwise(sorted(bars))) > 0.02 * reach
    assert [text.get_text().replace("\n", " ") for text in ax.texts] == ["method 0", "method 1", "method 2"]


@pytest.mark.parametrize("width", WIDTHS)
def test_curves_share_their_axes_and_are_named_at_their_ends(width: float) -> None:
    panels = [
        ("AC-GAN", {"d_source": [(1.0, 2.0), (600.0, 1.0)], "g_source": [(1.0, 0.1), (600.0, 1.01)]}),
        ("another", {"d_source": [(1.0, 9.0), (300.0, 8.0)]}),
    ]

    axes = loss_curves.draw(panels, width=width).axes

    drawn = [ax for ax in axes if ax.axison]
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in drawn}) == 1
    assert {text.get_text() for text in drawn[0].texts} == {"critic: real or not", "generator: real or not"}
    heights = [text.xyann[1] for text in drawn[0].texts]
    low, high = drawn[0].get_ylim()
    assert abs(heights[0] - heights[1]) > 0.08 * (high - low)
    assert all(ax.get_legend() is None for ax in drawn)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_forest_says_verdicts_as_people_read_them(width: float) -> None:
    bars = (
        Bar("class balancing", None, 0.0, 0.0, "reference"),
        Bar("mixup", 1.0, -3.0, 5.0, "can't tell", depth=1),
        Bar("CutMix", 3.0, 1.0, 5.0, "threshold", depth=1),
    )

    figure = forest([Forest("", bars, 2.0)], width=width)

    ticks = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    said = " ".join([text.get_text().replace("\n", " ") for text in figure.axes[0].texts] + ticks)
    assert "reference" in said
    assert "can't tell" not in said
    assert all(name in said.replace("\u00a0", " ") for name in ("class balancing", "mixup", "CutMix", "+3.0"))
    assert "inconclusive" in said
    assert "only the decision threshold moved" in said


def test_a_long_name_is_broken_and_never_cut() -> None:
    long = "hybrid: pixel-gaussian images (fill=balance, generator=one-of-our-own)"
    bars = (Bar("copied images", 1.0, -2.0, 4.0, "same"), Bar(long, -6.8, -22.3, 8.6, "can't tell", depth=2))

    [axes] = forest([Forest("skin", bars, 2.0)], width=8.0).axes

    shown = axes.get_yticklabels()[-1].get_text()
    assert "\n" in shown
    assert " ".join(shown.split()) == long
