"""The sections that look closer: class by class, by training size, beside published figures, and leak by leak."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from medbench.analyses.learning_curves import LearningCurve
from medbench.planning.arm_names import arm_name
from medbench.plots import confusion
from medbench.plots.inflation import draw as draw_stairs
from medbench.plots.learning_curves import draw as draw_sizes
from medbench.protocols.protocol import protocol
from medbench.registry.display_names import classifier_name, dataset_name, method_name, recall_names
from medbench.report.figures import figure
from medbench.report.inputs import Material
from medbench.report.section_results import title_of
from medbench.statistics.verdicts import LEAK_NAMES
from medbench.tables.blocks import Block, Fold, Section, cell, fold, heading, say, table
from medbench.tables.board_notes import knows_patients, name_of_source
from medbench.tables.inflation import answers as stair_answers
from medbench.tables.inflation import rows as stair_rows
from medbench.tables.inflation import sentences as stair_sentences
from medbench.tables.learning_curves import TITLES as SIZE_TITLES
from medbench.tables.learning_curves import cells as size_cells
from medbench.tables.learning_curves import name as size_name
from medbench.tables.learning_curves import sentences as size_sentences
from medbench.tables.published_figures import CAVEAT, honest_column, measure_name, sources_and_notes
from medbench.tables.published_figures import answers as published_answers
from medbench.tables.published_figures import groups as published_groups
from medbench.tables.published_figures import listed as published_rows
from medbench.tables.wording import SYNTHETIC
from medbench.text import points


def classes(material: Material) -> Section | None:
    """Show what each method predicts of each class: recalls as a table, confusion matrices as a figure."""
    blocks: list[Block | Fold] = []
    for number, part in enumerate(material.shown, start=1):
        board, scored = part.board, [row for row in part.rows if row.scores is not None]
        if not scored:
            continue
        names = [str(c) for c in board.source["classes"]]
        counts = zip(names, board.source["class_patients"], strict=True)
        titles = (
            recall_names(names, board.study.positive, board.source.get("positive", ""))
            if len(names) == 2
            else [f"{name} ({n:,})" for name, n in counts]
        )
        blocks.append(heading(title_of(board)))
        rows = [
            [arm_name(row.arm), *(cell(_percent(r), float(r)) for r in row.scores.recalls)]
            for row in scored
            if row.scores is not None
        ]
        caption = (
            f"Recall: percent of each class that is classified correctly, by {board.unit}, with the decision threshold "
            "that follows the class frequencies."
        )
        if len(names) > 2:
            caption += f" In brackets: {'patients' if knows_patients(board.source) else 'images'} of the class."
        blocks.append(
            table(
                caption,
                ("method", *titles),
                rows,
                label=f"recall-{number}",
            )
        )
        matrices = [(arm_name(r.arm), r.scores.decisions) for r in scored if r.scores and r.scores.decisions.size]
        if matrices:
            blocks.append(
                figure(
                    partial(confusion.draw, matrices, names),
                    alt=_confusion_alt(matrices, names),
                    caption="Confusion matrices: percent of each actual class, by image, where the most probable class "
                    "is taken, mean over repeats and seeds. So rows differ from the recalls above.",
                )
            )
            blocks.append(fold("The same as counts of images", _counts(matrices, names, number)))
    return Section("classes", "Class by class", tuple(blocks)) if blocks else None


def _counts(matrices: Sequence[tuple[str, np.ndarray]], names: Sequence[str], number: int) -> Block:
    rows = [
        [f"{arm}: {names[k]}", *(cell(f"{value:.1f}".removesuffix(".0"), float(value)) for value in matrix[k])]
        for arm, matrix in matrices
        for k in range(len(names))
    ]
    columns = ("method: actual class", *(f"predicted {name}" for name in names))
    return table(
        "The confusion matrices as counts of images, the most probable class taken, mean over repeats and seeds.",
        columns,
        rows,
        label=f"confusion-{number}",
    )


def _confusion_alt(matrices: Sequence[tuple[str, np.ndarray]], names: Sequence[str]) -> str:
    said = []
    for arm, counts in matrices[:8]:
        total = counts.sum(1)
        shares = ", ".join(
            f"{name} {100 * counts[k, k] / total[k]:.0f} %" for k, name in enumerate(names[:6]) if total[k]
        )
        said.append(f"{arm}: {shares}")
    how = "by image, where the most probable class is taken"
    return f"Share of each actual class that is predicted correctly, {how}. {'; '.join(said)}. Counts stand below."


def _percent(share: float) -> str:
    return f"{100 * share:.1f}" if share == share else "n/a"


def sizes(material: Material) -> Section | None:
    """Write gains against training size."""
    blocks: list[Block] = []
    for number, growth in enumerate(material.learning_curves, start=1):
        data = name_of_source(growth.source)
        blocks.append(heading(f"{data}, {classifier_name(growth.classifier)}"))
        rows = [[size_name(arm), *size_cells(point)] for arm in growth.arms for point in arm.points]
        columns = ("method", *SIZE_TITLES[:7], "95 % CI of further patients")
        caption = (
            "Gain by training patients, and how many further patients would give the same to the method it is compared "
            "with."
        )
        if any(point.judged and point.judged.gain for arm in growth.arms for point in arm.points):
            below = "Gain of each method by training patients, in points over the method above it."
            blocks.append(figure(partial(draw_sizes, growth), alt=_sizes_alt(growth), caption=below))
        blocks += [table(caption, columns, rows, label=f"sizes-{number}"), say(*size_sentences(growth), is_list=True)]
    return Section("sizes", "Gain against training size", tuple(blocks)) if blocks else None


def _sizes_alt(growth: LearningCurve) -> str:
    said = []
    for arm in growth.arms[:8]:
        known = [(p.patients, p.judged.gain) for p in arm.points if p.judged and p.judged.gain]
        each = ", ".join(f"{points(gain.value)} at {patients:,.0f} patients" for patients, gain in known)
        said += [f"{size_name(arm)}: {each}"] * bool(each)
    return (
        f"Gains in points by training size. {'; '.join(said)}. Intervals and further methods stand in the table below."
    )


def published(material: Material) -> Section | None:
    """Write published figures beside ours."""
    found = material.comparison
    if found is None or not found.lines:
        return None
    rows = []
    for _, lines in published_groups(found):
        for line, (title, *texts) in published_rows(found, lines):
            one = line or lines[0]
            network = f" / {classifier_name(one.published.classifier)}" if one.published.classifier and line else ""
            name = title + network if one.published.is_share else method_name(one.published.arm)
            rows.append([name, dataset_name(one.dataset), measure_name(one.published), *texts])
    fair = honest_column(found)
    columns = ("method", "data set", "measure", "published", "rerun", "95 % CI", fair, "rerun, bal. acc.",
               f"{fair}, bal. acc.", "inflation", "gain over the method above it", "verdict")  # fmt: skip
    sentences = [*published_answers(found), CAVEAT, SYNTHETIC if found.is_phantom else ""]
    if found.own:
        leaks = ", ".join(LEAK_NAMES.get(leak, leak) for leak in sorted(protocol(found.own).leaks))
        sentences.append(f"rerun: the study's own protocol {found.own}, which is leaky ({leaks}); no verdict.")
    if found.honest:
        sentences.append(
            f"{fair}: protocol {found.honest}; both count images by their most probable class, as the study did. "
            "Inflation is that of balanced accuracy (bal. acc.), which no mix of classes among what is scored moves."
        )
    sentences += sources_and_notes(found)
    caption = "What was published, what its own protocol gives here, and what an honest one gives."
    return Section(
        "published",
        "Published figures beside ours",
        (table(caption, columns, rows, label="published"), say(*sentences, is_list=True)),
    )


def inflation(material: Material) -> Section | None:
    """Take a gain apart, leak by leak."""
    blocks: list[Block] = []
    for number, found in enumerate(material.inflations, start=1):
        listed = stair_rows(found)
        arm, against = map(method_name, found.names)
        rows = [
            [title, *(step.why if v is None else f"{100 * v:.1f}" for v in (step.arm, step.against)),
             step.why if step.gain is None else points(step.gain)]
            for title, step in listed
        ]  # fmt: skip
        known = "; ".join(f"{title}: {points(step.gain)}" for title, step in listed if step.gain is not None)
        blocks += [
            heading(f"{dataset_name(found.dataset)}, {classifier_name(found.classifier)}"),
            figure(
                partial(draw_stairs, found),
                alt=f"What is left of the gain of {arm} over {against} in points. {known}.",
                caption=f"Where the gain of {arm} over {against} goes, a leak less in every row.",
            ),
            table("The same as numbers, in percent and points.", ("step", arm, against, "gain"), rows,
                  label=f"stairs-{number}"),
            say(*stair_answers(found), *stair_sentences(found), is_list=True),
        ]  # fmt: skip
    return Section("inflation", "Where a gain goes", tuple(blocks)) if blocks else None
