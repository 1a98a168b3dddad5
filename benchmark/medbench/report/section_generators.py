"""The sections about generators and training: curves, sheets of samples, and scores beside their floors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from medbench.boards.board import Row
from medbench.interfaces import Card
from medbench.planning.arm_names import arm_name
from medbench.plots import loss_curves as drawing
from medbench.report.figures import figure, sheet
from medbench.report.inputs import Fit, Material, OfBoard
from medbench.report.section_results import title_of
from medbench.report.shown_files import read_learning_curves, read_loss_curves, read_sheets
from medbench.tables.blocks import Block, Section, cell, heading, say, table
from medbench.tables.wording import generator_poor
from medbench.text import counted

PANELS = 12
"""Panels of a figure; further ones go into the next."""


def training(material: Material) -> Section | None:
    """Show how the trainings went: losses of classifiers and of what was fitted for them."""
    blocks: list[Block] = []
    for number, part in enumerate(material.shown, start=1):
        blocks += _ends(part, number)
        blocks += _learning(part)
        blocks += _curves(part)
    if not blocks:
        return None
    return Section("training", "Training", tuple(blocks))


def _ends(part: OfBoard, number: int) -> Iterator[Block]:
    names = ("steps", "train_loss", "validation_loss", "still_improving")
    rows = []
    for row in part.rows:
        facts = [stored.facts for stored in part.found[row.arm.key].cells.values()]
        means = [_mean([f[name] for f in facts if isinstance(f.get(name), int | float)]) for name in names]
        if any(mean is not None for mean in means):
            steps, train, validation, improving = means
            rows.append(
                [
                    arm_name(row.arm),
                    cell("" if steps is None else f"{steps:,.0f}", steps),
                    cell("" if train is None else f"{train:.3g}", train),
                    cell("" if validation is None else f"{validation:.3g}", validation),
                    cell("" if improving is None else f"{100 * improving:.0f}", improving),
                ]
            )
    if rows:
        caption = f"{title_of(part.board)}: classifiers at the end of their training, mean over the cells."
        columns = ("arm", "steps", "training loss", "validation loss", "still improving, % of cells")
        yield table(caption, columns, rows, label=f"training-{number}")


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values and bool(np.isfinite(values).all()) else None


def _learning(part: OfBoard) -> Iterator[Block]:
    panels = [
        (arm_name(row.arm), lines) for row in part.rows if (lines := read_learning_curves(part.found[row.arm.key]))
    ]
    caption = (
        f"{title_of(part.board)}: learning curves, mean over the cells. Validation losses are those of the averaged "
        "weights; they choose nothing."
    )
    yield from _figures(panels, "Losses of classifiers by step.", caption)


def _curves(part: OfBoard) -> Iterator[Block]:
    panels = [
        (fit.name if at == "all" else f"{fit.name}, {at}", lines)
        for fit in part.fits
        for at, lines in read_loss_curves(fit).items()
    ]
    caption = f"{title_of(part.board)}: curves of what was fitted for its arms, of the first fold each."
    yield from _figures(panels, "Losses by step.", caption)


def _figures(panels: Sequence[tuple[str, drawing.Lines]], alt: str, caption: str) -> Iterator[Block]:
    for start in range(0, len(panels), PANELS):
        some = panels[start : start + PANELS]
        ends = "; ".join(f"{title}: {_ends_of(lines)}" for title, lines in some)
        yield figure(drawing.draw(some), alt=f"{alt} {ends}.", caption=caption)


def _ends_of(lines: drawing.Lines) -> str:
    return ", ".join(f"{name} from {values[0][1]:.3g} to {values[-1][1]:.3g}" for name, values in lines.items())


def samples(material: Material, cards: Mapping[str, Card], *, pictures: bool = True) -> Section | None:
    """Show sheets of real and made images where that is allowed, or say why there are none."""
    blocks: list[Block] = []
    for part in material.shown:
        found = [(fit, sheets_of) for fit in part.fits if (sheets_of := read_sheets(fit))] if _may(part, cards) else []
        of_pixels = any(row.scores_of_made or fit.name for row in part.rows for fit in part.fits)
        if not of_pixels:
            continue
        blocks.append(heading(title_of(part.board)))
        if why := _why_not(part, cards, pictures):
            blocks.append(say(why))
        elif not found:
            blocks.append(say("No fitted generator left a sheet of samples."))
        else:
            blocks += [_sheet(fit, png) for fit, of_fit in found for png in of_fit]
    return Section("samples", "Real and made images", tuple(blocks)) if blocks else None


def _sheet(fit: Fit, png: bytes) -> Block:
    fitted_on = fit.record.get("fitted_on")
    on = f", fitted on {counted(fitted_on, 'image')}" if isinstance(fitted_on, int) else ""
    caption = (
        f"{fit.name}{on}, the first of {counted(fit.fits, 'fit')}. Real images stand above made ones, class by class."
    )
    facts = fit.record.get("facts", {})
    fell = " It collapsed: a class's samples are nearly one picture." if facts.get("collapsed") else ""
    return sheet(png, alt=f"Real images above those made by {fit.name}, class by class.{fell}", caption=caption)


def _may(part: OfBoard, cards: Mapping[str, Card]) -> bool:
    """Say whether images may be shown: the plan's record and the card must both say so, or medbench drew them."""
    board = part.board
    card = cards.get(str(board.source["dataset"]))
    allowed = board.source.get("publish") == "pictures" and (card is None or card.publish == "pictures")
    return board.is_phantom or allowed


def _why_not(part: OfBoard, cards: Mapping[str, Card], pictures: bool) -> str:
    if not pictures:
        return "Left out by --no-pictures."
    if not _may(part, cards):
        return "None are shown: the data set's card does not allow images in a published result."
    return ""


def scores(material: Material) -> Section | None:
    """Write the scores of made images, each with what real images score instead."""
    blocks: list[Block] = []
    for number, part in enumerate(material.shown, start=1):
        rows = [row for row in part.rows if row.scores_of_made]
        if not rows:
            continue
        extractors = ", ".join(sorted({row.extractor for row in rows if row.extractor}))
        captions = (
            f"{title_of(part.board)}: scores of made images by {extractors or 'no extractor'}, mean over the cells. In "
            "brackets: the floor, what real images score in their place.",
            f"{title_of(part.board)}: the same within each class.",
        )
        for of_class, caption in zip((False, True), captions, strict=True):
            if listed := _score_lines(rows, of_class=of_class):
                label = f"scores{'-by-class' * of_class}-{number}"
                blocks.append(table(caption, ("score", *(arm_name(row.arm) for row in rows)), listed, label=label))
        blocks.append(say(_poor(part), is_list=True))
    return Section("scores", "Scores of made images", tuple(blocks)) if blocks else None


def _score_lines(rows: Sequence[Row], *, of_class: bool) -> list[list[object]]:
    """Return a line a score: its name, then each arm's number with its floor."""
    names = dict.fromkeys(n for row in rows for n in row.scores_of_made)
    listed = []
    for name in (n for n in names if not n.endswith(("-floor", "-spread")) and (":" in n) == of_class):
        cells: list[object] = [name]
        for row in rows:
            value, floor = row.scores_of_made.get(name), row.scores_of_made.get(f"{name}-floor")
            text = "" if value is None else f"{value:.3g}"
            cells.append(cell(f"{text} ({floor:.3g})" if floor is not None else text, value))
        listed.append(cells)
    return listed


def _poor(part: OfBoard) -> str:
    from medbench.boards.generator_health import why_poor

    found = [(arm_name(row.arm), why) for row in part.rows if (why := why_poor(row.scores_of_made))]
    return generator_poor(found)
