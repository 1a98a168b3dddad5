"""A reporting checklist, filled in from a run where the run knows the answer and left to the author elsewhere.

The items are those of CLAIM: 2024 update (Tejani et al., Checklist for Artificial Intelligence in Medical Imaging
(CLAIM): 2024 Update, Radiology: Artificial Intelligence 6(4), 2024, doi:10.1148/ryai.240300), by number, named here in
words of our own; the wording of the journal is what counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from medbench.boards.training_runs import count_runs
from medbench.data.audit_official_cut import WAIVABLE
from medbench.interfaces import Card
from medbench.planning.arm_names import arm_name, left_out
from medbench.protocols.protocol import protocol
from medbench.registry.display_names import classifier_name, dataset_name
from medbench.report.inputs import Material, provenances
from medbench.report.section_provenance import FACTS, without_names
from medbench.statistics.verdicts import LEAK_NAMES
from medbench.tables.answer import answer_of
from medbench.tables.blocks import Block, Table, cell, say, table
from medbench.tables.board_notes import count_patients
from medbench.tables.board_table import design_of
from medbench.tables.wording import tuning
from medbench.text import counted, listed

NAMES = ("claim2024",)
"""Checklists there are, as options write them."""
SOURCE = (
    "Items of CLAIM, 2024 update: Tejani et al., Checklist for Artificial Intelligence in Medical Imaging (CLAIM): "
    "2024 Update, Radiology: Artificial Intelligence 6(4), 2024, doi:10.1148/ryai.240300. The short names are ours; "
    "read the items there."
)
AUTHOR = "to be filled in by the author"


class Item(NamedTuple):
    """An item: the part of a paper it belongs to, and what it asks for in a few words."""

    part: str
    asks: str


ITEMS: Mapping[int, Item] = {
    1: Item("title", "it is a study of AI, and of which kind"),
    2: Item("abstract", "summary of design, methods, results, conclusions"),
    3: Item("introduction", "background, intended use and role of the AI"),
    4: Item("introduction", "aims and hypotheses"),
    5: Item("design", "prospective or retrospective"),
    6: Item("design", "goal of the study"),
    7: Item("data", "where the data come from"),
    8: Item("data", "who was included, who was excluded"),
    9: Item("data", "preprocessing"),
    10: Item("data", "subsets that were selected"),
    11: Item("data", "de-identification"),
    12: Item("data", "missing data"),
    13: Item("data", "how images were acquired"),
    14: Item("reference standard", "how the reference standard was obtained"),
    15: Item("reference standard", "why this reference standard"),
    16: Item("reference standard", "who annotated"),
    17: Item("reference standard", "annotation of the test set"),
    18: Item("reference standard", "agreement between and within readers"),
    19: Item("partitions", "how data were assigned to partitions"),
    20: Item("partitions", "level at which partitions share nothing"),
    21: Item("testing data", "intended sample size"),
    22: Item("model", "description of the model"),
    23: Item("model", "software and versions"),
    24: Item("model", "initial weights"),
    25: Item("training", "how it was trained"),
    26: Item("training", "how the final model was chosen"),
    27: Item("training", "ensembles"),
    28: Item("evaluation", "measures of performance"),
    29: Item("evaluation", "uncertainty and significance"),
    30: Item("evaluation", "robustness, sensitivity analyses"),
    31: Item("evaluation", "explanations of predictions"),
    32: Item("evaluation", "test on internal data"),
    33: Item("evaluation", "test on external data"),
    34: Item("evaluation", "registration of a clinical trial"),
    35: Item("results", "numbers included and excluded"),
    36: Item("results", "characteristics of patients in each partition"),
    37: Item("results", "performance with its uncertainty"),
    38: Item("results", "diagnostic performance with its precision"),
    39: Item("results", "analysis of failures"),
    40: Item("discussion", "limitations"),
    41: Item("discussion", "implications for practice"),
    42: Item("other", "full protocol or further technical details"),
    43: Item("other", "availability of software, models, data"),
    44: Item("other", "funding and the role of funders"),
}
"""Items by number."""


def blocks(material: Material, cards: Mapping[str, Card]) -> tuple[Block, ...]:
    """Return the source and the table of items with what the run says to each."""
    return say(SOURCE), filled(material, cards)


def filled(material: Material, cards: Mapping[str, Card]) -> Table:
    """Fill in what the run knows; everything else is left to the author."""
    known = {**_of_data(material, cards), **_of_training(material), **_of_results(material)}
    rows = [
        [cell(str(number), float(number)), item.part, item.asks, known.get(number) or AUTHOR]
        for number, item in ITEMS.items()
    ]
    done = sum(number in known and bool(known[number]) for number in ITEMS)
    caption = f"{done} of {len(ITEMS)} items are answered from the run; check them, and fill in the others."
    return table(caption, ("item", "part", "asks for", "answer"), rows, label="claim2024")


def _of_data(material: Material, cards: Mapping[str, Card]) -> dict[int, str]:
    names, sources, left, counts = [], [], [], []
    for source in material.sources:
        dataset = str(source["dataset"])
        name = dataset_name(dataset, str(source.get("title") or ""))
        card = cards.get(dataset)
        drawn = dataset.startswith("phantom:")
        names.append(name)
        of_card = f"{card.title}, {card.citation}" if card else "see its card"
        sources.append(f"{name}: {'drawn by medbench, no patients' if drawn else of_card}.")
        left += [f"{without_names(note, drawn).rstrip('.')}." for note in source["notes"]]
        each = ", ".join(f"{c} {n:,}" for c, n in zip(source["classes"], source["class_patients"], strict=True))
        counts.append(f"{name}: {count_patients(source)} ({each}).")
    size = material.study.budget.size
    scaled = f"scaled to {size} pixels a side, " if size else ""
    skipped = dict.fromkeys(f"{left_out(s)}: {s.reason}" for board in material.boards for s in board.skipped)
    return {
        7: " ".join(sources),
        8: " ".join(left),
        9: f"Images were {scaled}gray levels of 8 bits a channel; no test image was changed by a method.",
        10: f"Left out: {'; '.join(skipped)}." if skipped else "No subset was selected beyond item 8.",
        35: " ".join(counts),
    }


def _of_training(material: Material) -> dict[int, str]:
    study, budget = material.study, material.study.budget
    boards = [part.board for part in material.shown]
    rules = [protocol(board.protocol) for board in material.boards]
    leaks = sorted({leak for board in material.boards for leak in board.leaks})
    unknown = any(s["unit"] == "image" and s["patients"] == s["images"] for s in material.sources)
    level = "Images; nothing says which show the same patient." if unknown else "Patients, near copies kept together."
    level += "".join(f" Waived: {WAIVABLE.get(name, name)}." for name in study.waive)
    if leaks:
        level += f" Leaky on purpose in a protocol without verdict: {', '.join(LEAK_NAMES.get(k, k) for k in leaks)}."
    versions = "; ".join(
        f"{what} {text}" for one in provenances(material) for what, write in FACTS if (text := write(one))
    )
    outside = sorted({arm_name(row.arm) for part in material.parts for row in part.rows if row.arm.outside})
    start = f"Weights from outside: {listed(outside)}." if outside else "Random initial weights, seeded."
    names = list(dict.fromkeys(arm_name(row.arm) for part in material.parts for row in part.rows))
    return {
        1: "Deep learning, image classification; data augmentation is what is compared.",
        6: "Comparison of methods of data augmentation; no model for use in patients.",
        19: f"{'; '.join(dict.fromkeys(design_of(board) for board in material.boards))}"
        f"{'' if all(rule.has_one_cut for rule in rules) else '; folds are drawn at random'}.",
        20: level,
        22: f"{listed(list(dict.fromkeys(classifier_name(b.classifier) for b in boards)))}; see section Provenance.",
        23: versions,
        24: start,
        25: f"{counted(budget.steps, 'step')} of {counted(budget.batch, 'image')}, generators at most "
        f"{counted(budget.generator_steps, 'step')}; {tuning(budget.tries)}; methods: {', '.join(names)}.",
        26: ""
        if "selected-on-test" in leaks
        else "Nothing was chosen by results: training has a fixed number of steps.",
        27: f"None beyond {study.seeds} seeds averaged within a fold." if study.seeds > 1 else "None.",
    }


def _of_results(material: Material) -> dict[int, str]:
    boards = [part.board for part in material.shown]
    compared = max((row.gain.comparisons for board in boards for row in board.rows if row.gain), default=0)
    answers = list(dict.fromkeys(answer_of(board).sentence for board in boards))
    robust = ["other seeds and fewer patients"] * any(board.yardsticks for board in boards)
    robust += ["several training sizes"] * bool(material.learning_curves)
    robust += ["what leaks add to a gain"] * bool(material.inflations)
    robust += ["twice the training steps"] * any(board.check is not None for board in boards)
    datasets = len(material.sources)
    said = [text for board in boards for text in (*answer_of(board).why_no_verdict, *answer_of(board).warnings)]
    failed = count_runs(material.boards).failed
    return {
        28: "Balanced accuracy (primary), AUROC, recall of each class, confusion matrices.",
        29: f"Simultaneous 95 % confidence intervals for {counted(compared, 'comparison')} (max-t), of a bootstrap of "
        f"patients and the variance of trainings; {material.study.worth:g} points were called relevant before the run.",
        30: f"Looked at: {listed(robust)}." if robust else "",
        32: "; ".join(dict.fromkeys(design_of(board) for board in boards)) + ".",
        33: f"None: each of {datasets} data sets is tested within itself." if datasets > 1 else "None.",
        37: " ".join(answers),
        38: "Recall of each class stands in section Class by class; sensitivity and specificity for two classes.",
        39: f"{counted(failed, 'training run')} failed; confusion matrices show which classes are mistaken."
        if failed
        else "Confusion matrices show which classes are mistaken; no training run failed.",
        40: " ".join(dict.fromkeys(said)),
        42: "The study file and section Provenance hold every setting; medbench bundle writes them as one file.",
        43: "medbench is free software (Apache 2.0); data as in item 7; trained models are not kept.",
    }
