"""Cross-checks of a comparison of two arms, which make no verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from medbench.analyses.compare import ArmPair
from medbench.analyses.compare_details import Details
from medbench.planning.seed_block import SEEDS
from medbench.tables.board_notes import without_number
from medbench.tables.board_values import metric_key
from medbench.tables.wording import metric_text
from medbench.tables.writers.terminal import name_column
from medbench.tables.writers.values import Values, percent, rounded
from medbench.text import WIDTH, clean, points, wrapped


def details(one: ArmPair, of_it: Details) -> Iterator[str]:
    """Yield the cross-checks as lines of a terminal."""
    yield " details: cross-checks that make no verdict; the corrected t is of fold means"
    worth = one.board.study.worth
    if (t := of_it.corrected) is not None:
        yield _detail(
            "corrected t",
            f"{points(t.value)} ({points(t.low)} to {points(t.high)}), p {_p(t.p)}, df {t.df} (Nadeau and Bengio)",
        )
        yield _detail("tested / trained", f"{of_it.ratio:.2f} of patients, mean over folds")
        shares = " / ".join(_p(p) for p in (t.better, t.same, t.worse))
        yield _detail("P by this test", f"{shares} better / within {worth:g} points / worse")
    else:
        why = "a leaky protocol" if one.board.leaks else "one test part for all repeats"
        if not one.board.leaks and one.judged.evidence.folds > 1:
            why = "training sets of unknown size"
        yield _detail("corrected t", f"says nothing here: {why}")
    yield _detail("by repeat", "  ".join(points(value) for value in of_it.by_repeat))
    yield _detail(
        "decided differently", f"{100 * of_it.disagree:.1f} % of the {one.board.unit}s, mean over training runs"
    )
    if np.isfinite(of_it.overlap):
        expected = 1 / one.judged.evidence.folds
        yield _detail(
            "tested together", f"{100 * of_it.overlap:.0f} % in another repeat too ({100 * expected:.0f} % by chance)"
        )
    s = of_it.spread
    yield _detail("spread of folds", _sd(s.folds))
    yield _detail("generator seeds", _sd(s.generators))
    yield _detail("classifier seeds", _sd(s.seeds))
    if of_it.together:
        yield _detail("", "generators and classifiers share their seeds here")
        if one.other.arm.key == one.arm.arm.control_key and one.arm.arm.asked:
            yield _detail("", "medbench run --seed-block tells them apart")
    if of_it.block:
        yield _detail("", f"the last two from one fold, {len(SEEDS)} x {len(SEEDS)} seeds")
    if s.buy:
        yield _detail("", f"more {s.buy} would help most")
    for name in _metrics(one):
        both = " and ".join(metric_text(row.metrics.get(name)) for row in (one.arm, one.other))
        alone, beside = name_column(clean(name), 20)
        yield from (f"  {line}" for line in alone)
        yield _detail(beside, f"{both}, a plugin's metric: mean over training runs")
    for sentence in without_number([replace(one.board, rows=(one.arm, one.other), plain=None)]):
        yield from (f"   {line.lstrip()}" for line in wrapped(sentence, WIDTH - 3))


def detail_values(one: ArmPair, of_it: Details) -> Values:
    """Return the cross-checks as values: points of balanced accuracy, shares from 0 to 1."""
    t, s = of_it.corrected, of_it.spread
    row: Values = {
        "by_repeat": " ".join(str(percent(value)) for value in of_it.by_repeat),
        "decided_differently": percent(of_it.disagree),
        "tested_together": rounded(of_it.overlap, 4),
        "tested_by_trained": rounded(of_it.ratio, 4),
        "corrected_t_low": percent(t.low) if t else None,
        "corrected_t_high": percent(t.high) if t else None,
        "corrected_t_p": rounded(t.p, 4) if t else None,
        "p_better": rounded(t.better, 4) if t else None,
        "p_same": rounded(t.same, 4) if t else None,
        "p_worse": rounded(t.worse, 4) if t else None,
        "sd_folds": percent(s.folds),
        "sd_generators": percent(s.generators),
        "sd_seeds": percent(s.seeds),
    }
    for name in _metrics(one):
        both = [row_of.metrics.get(name) for row_of in (one.arm, one.other)]
        row |= {
            f"{metric_key(name)}{end}": None if value is None else float(f"{value:.6g}")
            for end, value in zip(("", "_over"), both, strict=True)
        }
    return row


def _metrics(one: ArmPair) -> list[str]:
    return list(dict.fromkeys((*one.arm.metrics, *one.other.metrics)))


def _detail(name: str, text: str) -> str:
    return f"   {name:<20}{text}"


def _sd(value: float | None) -> str:
    if value is None:
        return "not separable"
    return f"{100 * value:.1f} points (SD)" if value else "not told from 0"


def _p(value: float) -> str:
    return "<.001" if value < 0.001 else ">.999" if value > 0.999 else f"{value:.3f}".removeprefix("0")
