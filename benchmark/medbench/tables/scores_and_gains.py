"""The table of scores of generated images and how each goes with the gain."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from medbench.analyses.scores_and_gains import FEWEST_CELLS, FEWEST_GENERATORS, ScoreAndGain, ScoresAndGains
from medbench.registry.display_names import dataset_name, method_name
from medbench.registry.score_facts import score_facts
from medbench.tables.blocks import Block, Heading, grid, notes
from medbench.tables.document import Document, write
from medbench.tables.wording import SYNTHETIC
from medbench.tables.writers.terminal import PIPE, Screen, name_column, under
from medbench.tables.writers.values import Values, rounded
from medbench.text import clean, counted, listed, pad

TITLE = "Which score of generated images goes with the gain?"
TITLES = ("score", "best", "correlation", "95 % CI", "without one method", "training runs")
NAME_WIDTH, BEST_WIDTH = 30, 17
ROOM = 98
"""Columns from which a terminal shows what becomes of a correlation without one method."""


def render(found: ScoresAndGains, form: str, *, screen: Screen = PIPE) -> str:
    """Write the table in one of :data:`medbench.tables.document.FORMATS`.

    Args:
        found: What to write.
        form: Member of FORMATS.
        screen: What a terminal can show.
    """
    return write([Document(partial(_lines, found), partial(_blocks, found), partial(_values, found))], form, screen)


def answer(found: ScoresAndGains) -> str:
    """Say which scores go with the gain."""
    known = [one for one in found.scores if one.correlation is not None]
    if not found.cells:
        return (
            "No training run has scores of generated images beside a method to compare it with. "
            "Run one, as in medbench run -a hybrid."
        )
    if not known:
        needed = f"{FEWEST_CELLS} training runs and {FEWEST_GENERATORS} generators"
        return f"Too few to say: {_counts(found)}; it takes {needed}."
    clear = [one for one in known if one.low is not None and one.high is not None and (one.low > 0 or one.high < 0)]
    clear.sort(key=lambda one: -abs(one.correlation or 0.0))
    if not clear:
        return f"No score goes with the gain: all {len(known)} intervals include 0."
    said = listed([f"{score_facts(one.name).title} ({_signed(one.correlation)}{_rests(one)})" for one in clear])
    verb = "goes" if len(clear) == 1 else "go"
    return f"{said} {verb} with the gain; the other intervals include 0." if len(clear) < len(known) else (
        f"{said} {verb} with the gain."
    )  # fmt: skip


def _rests(one: ScoreAndGain) -> str:
    """Say that a correlation is gone without one of the methods; "" where it stays."""
    low, high = one.without_one or (0.0, 0.0)
    return "" if low * high > 0 else ", not without one of the methods"


def sentences(found: ScoresAndGains, *, others: bool = True) -> Iterator[str]:
    """Yield what stands under the table.

    Args:
        found: What is shown.
        others: Whether it has the column of correlations without one method.
    """
    if not found.cells:
        return
    names = listed([*dict.fromkeys(dataset_name(text, title) for text, title in found.titles)])
    yield f"{_counts(found)} on {names}: {listed([method_name(text) for text in found.methods])}."
    yield (
        "Correlation: of ranks (Spearman's; 1 or -1 is the same order or its reverse), of a score with the gain in "
        "balanced accuracy over the method above it, training run by training run; ranks within a data set, split and "
        "classifier."
    )
    if any(one.correlation is not None for one in found.scores):
        yield (
            f"CI: simultaneous for all scores; the {counted(found.patients, 'patient')} are drawn again, the generated "
            "images stay: it holds for these generators."
        )
        if others:
            yield "without one method: the lowest and the highest correlation when one of the methods is left out."
    too_few = [one for one in found.scores if one.why == "too few"]
    if too_few and len(too_few) < len(found.scores):
        yield f"too few: fewer than {FEWEST_CELLS} training runs or {FEWEST_GENERATORS} generators have the score."
    yield "Copied images are left out: they are real ones."
    if found.leaky:
        yield f"{counted(found.leaky, 'table')} of leaky protocols left out."
    if found.is_phantom:
        yield SYNTHETIC


def _counts(found: ScoresAndGains) -> str:
    return f"{counted(found.cells, 'training run')} with images of {counted(found.generators, 'generator')}"


def cells(one: ScoreAndGain) -> tuple[str, str, str, str, str, str]:
    """Return what every form prints of a score, under TITLES."""
    facts = score_facts(one.name)
    best = facts.best.removesuffix(" is better").removesuffix(" is best")
    ends = f"{_signed(one.low)} to {_signed(one.high)}" if one.low is not None else ""
    others = " to ".join(map(_signed, one.without_one)) if one.without_one else ""
    return facts.title, best, one.why or _signed(one.correlation), ends, others, str(one.cells)


def _signed(value: float | None) -> str:
    """Write a correlation: ``+.42``, ``-1.00``."""
    return "" if value is None else f"{value:+z.2f}".replace("0.", ".", 1)


def _lines(found: ScoresAndGains, screen: Screen) -> Iterator[str]:
    yield screen.bold(f" {TITLE}")
    yield ""
    yield from map(screen.bold, under([answer(found)], screen.width))
    if any(one.correlation is not None for one in found.scores):
        has_room = screen.width >= ROOM
        yield ""
        yield _line(TITLES, has_room)
        for one in found.scores:
            title, *others = cells(one)
            alone, name = name_column(f" {title}", NAME_WIDTH)
            yield from (*alone, _line((name, *others), has_room))
    if found.cells:
        yield ""
        yield from under(sentences(found, others=screen.width >= ROOM), screen.width)


def _line(values: tuple[str, ...], has_room: bool) -> str:
    name, best, correlation, ends, others, _ = values
    name = name if name.startswith(" ") or not name else f" {name}"
    line = pad(name, NAME_WIDTH) + pad(best, BEST_WIDTH) + pad(correlation, -12) + pad(ends, -16)
    return line + pad(others, -20) if has_room else line


def _values(found: ScoresAndGains) -> Iterator[Values]:
    for one in found.scores:
        low, high = one.without_one or (None, None)
        yield {
            "kind": "score and gain",
            "score": one.name,
            "best": score_facts(one.name).best or None,
            "correlation": rounded(one.correlation, 4),
            "correlation_low": rounded(one.low, 4),
            "correlation_high": rounded(one.high, 4),
            "without_one_low": rounded(low, 4),
            "without_one_high": rounded(high, 4),
            "withheld": one.why or None,
            "cells": one.cells,
            "generators": one.generators,
            "patients": found.patients,
            "boards": found.boards,
            "datasets": " + ".join(found.datasets),
        }


def _blocks(found: ScoresAndGains) -> Iterator[Block]:
    yield Heading(clean(TITLE))
    yield notes([answer(found)])
    yield grid(TITLES, map(cells, found.scores), numeric=[False, False, *[True] * (len(TITLES) - 2)])
    yield notes(sentences(found))
