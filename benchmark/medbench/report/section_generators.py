"""The sections about generators and training: curves, sheets of samples, and scores beside those of real images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from medbench.boards.board import Board, Row
from medbench.interfaces import Card
from medbench.planning.arm_names import arm_name
from medbench.plots import loss_curves as drawing
from medbench.registry.display_names import generator_name, is_of_copies
from medbench.registry.score_facts import in_order, score_facts
from medbench.report.figures import figure, sheet
from medbench.report.inputs import Fit, Material, OfBoard
from medbench.report.section_results import recipe_of, title_of
from medbench.report.sheets import DRAWN, named, rows_of
from medbench.report.shown_files import read_learning_curves, read_loss_curves, read_picture, read_sheets
from medbench.tables.blocks import Block, Cell, Fold, Section, Sheet, cell, fold, heading, say, table, text_of
from medbench.tables.copied_images import Copied
from medbench.tables.wording import generator_poor
from medbench.text import counted

IN_WORDS = (("kid-by-class", False), ("coverage", True), ("precision", True), ("copies-pixels", True))
"""Name of a score that everybody sees, and whether it is a share."""
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
                    cell(arm_name(row.arm), title=recipe_of(row)),
                    cell("" if steps is None else f"{steps:,.0f}", steps),
                    cell("" if train is None else f"{train:.3g}", train),
                    cell("" if validation is None else f"{validation:.3g}", validation),
                    cell("" if improving is None else f"{100 * improving:.0f}", improving),
                ]
            )
    if rows:
        caption = f"{title_of(part.board)}: classifiers at the end of their training, mean over the training runs."
        columns = ("method", "steps", "training loss", "validation loss", "still improving, % of training runs")
        yield table(caption, columns, rows, label=f"training-{number}")


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values and bool(np.isfinite(values).all()) else None


def _learning(part: OfBoard) -> Iterator[Block]:
    panels = [
        (arm_name(row.arm), lines) for row in part.rows if (lines := read_learning_curves(part.found[row.arm.key]))
    ]
    caption = (
        f"{title_of(part.board)}: loss of the classifier by training step, mean over the training runs, all on the "
        "same axes. The validation loss is that of the averaged weights; it chooses nothing."
    )
    yield from _figures(panels, "Losses of classifiers by training step.", caption)


def _curves(part: OfBoard) -> Iterator[Block]:
    """Draw what was fitted, each kind of model on axes of its own, since their losses are not alike."""
    alike: dict[tuple[str, ...], list[tuple[str, drawing.Lines]]] = {}
    for fit in part.fits:
        for at, lines in read_loss_curves(fit).items():
            name = generator_name(fit.name)
            alike.setdefault(tuple(lines), []).append((name if at == "all" else f"{name}, {at}", lines))
    caption = f"{title_of(part.board)}: losses of the generators by training step, of the first fold each."
    for panels in alike.values():
        yield from _figures(panels, "Losses by training step.", caption)


def _figures(panels: Sequence[tuple[str, drawing.Lines]], alt: str, caption: str) -> Iterator[Block]:
    for start in range(0, len(panels), PANELS):
        some = panels[start : start + PANELS]
        ends = "; ".join(f"{title}: {_ends_of(lines)}" for title, lines in some)
        yield figure(partial(drawing.draw, some), alt=f"{alt} {ends}.", caption=caption)


def _ends_of(lines: drawing.Lines) -> str:
    return ", ".join(
        f"{drawing.NAMES.get(name, name)} from {values[0][1]:.3g} to {values[-1][1]:.3g}"
        for name, values in lines.items()
    )


def samples(material: Material, cards: Mapping[str, Card], *, pictures: bool = True) -> Section | None:
    """Show sheets of real and generated images where that is allowed, or say why there are none."""
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
            blocks.append(say("No generator left a sheet of samples."))
        else:
            blocks += [_sheet(part.board, fit, png) for fit, of_fit in found for png in of_fit]
            blocks += _nearest(part)
    drawn = all(part.board.is_phantom for part in material.shown)
    first = "Images of the synthetic data set" if drawn else "Real"
    return Section("samples", f"{first} and generated images", tuple(blocks)) if blocks else None


def _sheet(board: Board, fit: Fit, png: bytes) -> Block:
    fitted_on = fit.record.get("fitted_on")
    on = f", trained on {counted(fitted_on, 'image')}" if isinstance(fitted_on, int) else ""
    facts = fit.record.get("facts", {})
    on += f" for {counted(int(facts['steps']), 'step')}" if facts.get("steps") else ""
    on += ", the discriminator on changed images" if facts.get("augmented") else ""
    name = generator_name(fit.name) if fit.name else "generator"
    fell = " It collapsed: all images of a class are nearly the same." if facts.get("collapsed") else ""
    first = f", the first of {fit.fits}" if fit.fits > 1 else ""
    caption = text_of(f"{name}{on}{first}.{fell}")
    generated = "copied" if fit.name.startswith("resample") else "generated"
    classes = [text_of(c) for c in board.source["classes"]]
    real = DRAWN if board.is_phantom else "real"
    rows = named(png, classes, generated=generated, real=real)
    if rows is None:
        first = "Images of the synthetic data set" if board.is_phantom else "Real images"
        alt = f"{first} above those {generated} by {name}, class by class.{fell}"
        return sheet(png, alt=alt, caption=f"{caption} {first} stand above {generated} ones, class by class.")
    return Sheet(caption, tuple(rows))


def _nearest(part: OfBoard) -> Iterator[Block]:
    """Show the generated images that are most like a training image, each above that image."""
    for row in part.rows:
        cells = sorted(part.found[row.arm.key].cells.items())
        png = read_picture(cells[0][1].folder / "copies.png") if cells and not is_of_copies(row.arm.augmenter) else None
        rows = rows_of(png) if png is not None else []
        if len(rows) == 2:
            names = ("generated, most like a training image", "that training image")
            caption = (
                f"{arm_name(row.arm)}: are generated images copies? First of {counted(len(cells), 'training run')}."
            )
            yield Sheet(text_of(caption), tuple(zip(names, rows, strict=True)))


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
    """Write four scores of generated images in words, and all of them folded, each with what real images reach."""
    blocks: list[Block | Fold] = []
    for number, part in enumerate(material.shown, start=1):
        rows = [row for row in part.rows if row.scores_of_made]
        if not rows:
            continue
        extractors = ", ".join(sorted({row.extractor for row in rows if row.extractor}))
        blocks.append(heading(title_of(part.board)))
        asked = [one for one in IN_WORDS if any(one[0] in row.scores_of_made for row in rows)]
        if asked:
            shown = [
                [
                    cell(arm_name(row.arm), title=recipe_of(row)),
                    *(_beside(row, name, share) for name, share in asked),
                ]
                for row in rows
            ]
            caption = "In brackets: what as many images of other patients reach."
            columns = ("method", *(f"{score_facts(n).title}: {score_facts(n).text}" for n, _ in asked))
            blocks.append(table(caption, columns, shown, label=f"scores-in-words-{number}"))
        blocks.append(say(_poor(part), is_list=True))
        captions = (
            f"All scores by {extractors or 'no extractor'}, mean over the training runs. In brackets: what as many "
            "images of the data set reach.",
            "The same within each class.",
        )
        folded = []
        for of_class, caption in zip((False, True), captions, strict=True):
            if lines := _score_lines(rows, of_class=of_class):
                label = f"scores{'-by-class' * of_class}-{number}"
                columns = ("score", "best" if of_class else "what it is", *(arm_name(row.arm) for row in rows))
                folded.append(table(caption, columns, lines, label=label))
        if folded:
            blocks.append(fold("All scores of generated images", *folded))
    return Section("scores", "How good are the generated images?", tuple(blocks)) if blocks else None


def _beside(row: Row, name: str, is_share: bool) -> Cell:
    """Write a score with what real images reach; of copies that cannot be told, that they cannot."""
    value, floor = row.scores_of_made.get(name), row.scores_of_made.get(f"{name}-floor")
    if value is None:
        return cell(None)
    if name == "copies-pixels" and any(row.copied):
        found, told, untold = row.copied
        if untold:
            return cell(Copied("", found, told, untold=untold).count, found / told if told else None)

    def written(number: float) -> str:
        return f"{100 * number:.0f} %" if is_share else f"{number:.3g}"

    return cell(written(value) + (f" ({written(floor)})" if floor is not None else ""), value)


def _score_lines(rows: Sequence[Row], *, of_class: bool) -> list[list[object]]:
    """Return a line a score: its name, what it is, then each method's number with what real images reach."""
    names = dict.fromkeys(n for row in rows for n in row.scores_of_made)
    wanted = in_order([name for name in names if (":" in name) == of_class])
    return [
        [
            cell(score_facts(name).title, title=name),
            score_facts(name).best.removesuffix(" is best").removesuffix(" is better")
            if of_class
            else score_facts(name).text,
            *(_beside(row, name, False) for row in rows),
        ]
        for name in wanted
    ]


def _poor(part: OfBoard) -> str:
    found = [(arm_name(row.arm), row.why_poor) for row in part.rows if row.why_poor]
    return generator_poor(found)
