"""The section to paste into a paper: what was done, for a methods section and for a clinician, and its references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from medbench.boards.board import Board
from medbench.interfaces import Card
from medbench.planning.arm_names import arm_name
from medbench.protocols.protocol import EvaluationProtocol, protocol, split_size
from medbench.registry.display_names import classifier_name, dataset_name
from medbench.report import clinician
from medbench.report.bibtex import Reference, of_recipes, references, unique
from medbench.report.inputs import Material, provenances
from medbench.statistics.verdicts import LEAK_NAMES, reasons
from medbench.tables.blocks import Section, Source, fold, heading, say
from medbench.tables.board_notes import knows_patients
from medbench.text import counted, listed

OWN = (
    "Menon et al., Long-tail learning via logit adjustment, ICLR 2021, arXiv 2007.07314",
    "Westfall and Young, Resampling-Based Multiple Testing, Wiley 1993",
)
"""What every gain and range stands on."""


def methods(material: Material, cards: Mapping[str, Card]) -> Section:
    """Write the paragraph and the references; both say only what was run."""
    found = cited(material, cards)
    listed = say(*(f"[{one.key}] {one.full}." for one in found), is_list=True)
    entries = "\n\n".join(one.bibtex for one in found)
    without = [
        str(source["dataset"])
        for source in material.sources
        if str(source["dataset"]) not in cards or not references(cards[str(source["dataset"])].citation)
    ]
    missing = f"No citation is known of {', '.join(without)}; add it by hand." if without else ""
    return Section(
        "methods",
        "Methods, to paste",
        (
            heading("For a methods section"),
            say(" ".join(paragraph(material, found, cards))),
            say(missing),
            heading("For a clinician"),
            say(*clinician.sentences(material)),
            heading("References"),
            listed,
            fold("The same as BibTeX", Source(entries)),
        ),
    )


def cited(material: Material, cards: Mapping[str, Card]) -> list[Reference]:
    """Return the sources of what was run, sorted by key."""
    found = [Reference("westfall1993", OWN[1]), *references(OWN[0])]
    for card in cards.values():
        found += references(card.citation)
    if material.catalogue is not None:
        arms = {row.arm.key: row.arm for part in material.parts for row in part.rows}.values()
        found += of_recipes(material.catalogue, "augmenter", dict.fromkeys(a.augmenter for a in arms))
        found += of_recipes(material.catalogue, "classifier", dict.fromkeys(a.classifier for a in arms))
        names = {n.partition("-floor")[0] for part in material.parts for row in part.rows for n in row.scores_of_made}
        known = [n for n in sorted(names) if n in material.catalogue.names("score")]
        found += of_recipes(material.catalogue, "score", known)
    return unique(found)


def paragraph(material: Material, found: list[Reference], cards: Mapping[str, Card]) -> Iterator[str]:
    """Yield the sentences of the paragraph."""
    study, records = material.study, provenances(material)
    keys = {one.arxiv or one.cited: one.key for one in found}
    versions = sorted({str(one["medbench"]) for one in records if one.get("medbench")})
    version = f" {' and '.join(versions)}" if versions else ""
    yield f"Augmentation was evaluated with medbench{version}, study {study.name}."
    for source in material.sources:
        name = str(source["dataset"])
        each = ", ".join(f"{n:,} {c}" for c, n in zip(source["classes"], source["class_patients"], strict=True))
        own = references(cards[name].citation) if name in cards else []
        of_card = {one.arxiv or one.doi or one.cited for one in own}
        shown = dataset_name(name, str(source.get("title") or ""))
        marks = [one.key for one in found if (one.arxiv or one.doi or one.cited) in of_card]
        cites = f" [{', '.join(marks)}]" if marks else ""
        drawn = ", drawn by the program in the layout of that data set and showing nobody," if _is_drawn(name) else ""
        images = counted(source["images"], "image")
        numbers = f"{images} of {counted(source['patients'], 'patient')} ({each})"
        if not knows_patients(source):
            numbers = (
                f"{images} ({each}), each counted as a patient of its own, since nothing says which show the same one"
            )
        yield f"The data were {shown}{cites}{drawn} with {numbers}."
    networks = list(dict.fromkeys(classifier_name(board.classifier) for board in material.boards))
    arms = list(dict.fromkeys(arm_name(row.arm) for part in material.parts for row in part.rows))
    yield f"The methods were: {'; '.join(arms)}; with {', '.join(networks)} as classifier."
    if study.controls:
        yield (
            "Each method was compared with the method above it, the same training without the one ingredient in "
            "question."
        )
    alike: dict[str, list[str]] = {}
    for text in dict.fromkeys(board.protocol for board in material.boards):
        alike.setdefault(split_size(text)[0], []).append(text)
    for texts in alike.values():
        yield _cut(texts, next(board for board in material.boards if board.protocol == texts[0]))
    budget = study.budget
    size = f" of {budget.size} pixels a side" if budget.size else ""
    yield (
        f"Every training had {counted(budget.steps, 'step')} of {counted(budget.batch, 'image')}{size}, generators at "
        f"most {counted(budget.generator_steps, 'step')}, with untuned defaults and equal seeds across methods, on "
        f"{', '.join(sorted({board.device for board in material.boards}))}."
    )
    yield (
        "Predicted probabilities were divided by the class frequencies of training before a class was predicted "
        f"[{keys.get('2007.07314', 'menon2021')}]; the measure is balanced accuracy by "
        f"{' and '.join(sorted({board.unit for board in material.boards}))}."
    )
    if any(row.gain is not None for part in material.parts for row in part.rows):
        yield from _ranges(material, keys)
    withheld = list(dict.fromkeys(why for board in material.boards for why in reasons(board.evidence)))
    if withheld:
        yield f"There is no verdict, for these reasons: {' '.join(withheld)}"


def _cut(texts: Sequence[str], board: Board) -> str:
    """Say how protocols cut that differ in nothing but how many patients they train on."""
    rule, study = protocol(texts[0]), board.study
    under = f"protocol{'s' * (len(texts) > 1)} {listed(texts)}"
    said = []
    if rule.name == "official":
        said.append("the official split was kept")
    else:
        by = "images" if rule.cuts_images else "patients, all images of a patient or of its duplicates on one side,"
        said.append(f"{study.folds}-fold cross-validation over {by} was done {_times(study.repeats)}")
    if rule.overlap == "drop":
        said.append("training images whose patient or picture lies in the test part too were left out of training")
    said += _subset_sentence([protocol(text).patients for text in texts], rule)
    if rule.name == "official":
        seeds = ", with other seeds each" if study.repeats > 1 else ""
        said.append(
            f"training was done {_times(study.repeats)}{seeds}, and every repeat was tested on the whole test part"
        )
    seeds = f" with {study.seeds} seeds each" if study.seeds > 1 else ""
    how = f"Under {under}, {'; '.join(said)}{seeds}"
    if rule.leaks:
        return (
            f"{how}; this protocol is leaky on purpose ({', '.join(LEAK_NAMES.get(k, k) for k in sorted(rule.leaks))}) "
            "and serves only to be compared with an honest one."
        )
    return f"{how}; generators and all else that learns saw the training part only."


def _subset_sentence(sizes: Sequence[int], rule: EvaluationProtocol) -> Iterator[str]:
    """Say what was drawn of the training part."""
    anew = "another draw each repeat" if rule.name == "official" else "another draw each repeat and fold"
    drawn = sorted(size for size in sizes if size)
    if drawn:
        numbers = " or ".join(
            [", ".join(f"{n:,}" for n in drawn[:-1]), f"{drawn[-1]:,}"] if drawn[1:] else [f"{drawn[0]:,}"]
        )
        noun = "training patient was" if drawn == [1] else "training patients were"
        whole = ", or all were kept" if len(drawn) < len(sizes) else ""
        yield f"{numbers} {noun} drawn, classes in their proportion, {anew}{whole}"
    if rule.train:
        yield f"{rule.train} training images of the classes in their order were drawn, {anew}"
    if rule.share < 1:
        yield f"{100 * rule.share:g} % of the training patients were drawn, {anew}"


def _is_drawn(dataset: str) -> bool:
    return dataset.startswith("phantom:")


def _times(number: int) -> str:
    return "once" if number == 1 else "twice" if number == 2 else f"{number} times"


def _ranges(material: Material, keys: Mapping[str, str]) -> Iterator[str]:
    young = next((key for name, key in keys.items() if name.startswith("Westfall")), "westfall1993")
    judged = [part.board for part in material.parts if any(row.gain is not None for row in part.rows)]
    official = {protocol(board.protocol).name == "official" for board in judged}
    yield (
        "Gains are given with simultaneous 95 % confidence intervals over the comparisons of a table, by max-t "
        f"[{young}]."
    )
    if False in official:
        where = "Over folds their" if len(official) > 1 else "Their"
        yield (
            f"{where} variance is that of a bootstrap of patients within their class, plus 1/(K-1) of what of it "
            "patients keep from repeat to repeat, for K folds that share training sets, plus what repeats vary by "
            "beyond it over their number, with Student's t of one less than the patients of the rarest class."
        )
    if True in official:
        where = "On an official split, which has no folds, their" if len(official) > 1 else "Their"
        yield (
            f"{where} variance is that of a bootstrap of the tested patients within their class, plus the variance "
            "between training draws, which are the repeats, over their number, with Student's t of the degrees of "
            "freedom that both have together (Satterthwaite)."
        )
        if material.study.repeats == 1:
            yield "With one repeat the variance between training draws is not known and was left out."
    yield (
        "A method is called better where its whole interval lies above 0 and AUROC rises too, and without relevant "
        f"difference where the interval lies within {material.study.worth:g} points, which were fixed before the run."
    )
