"""The section to paste into a paper: what was done, as one paragraph, and its references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medbench.board import Board
from medbench.board_sentences import arm_name, short
from medbench.interfaces import Card
from medbench.protocols import protocol
from medbench.reporting.blocks import Section, Source, heading, say
from medbench.reporting.material import Material, provenances
from medbench.reporting.references import Reference, of_recipes, references, unique
from medbench.verdicts import reasons

OWN = (
    "Menon et al., Long-tail learning via logit adjustment, ICLR 2021, arXiv 2007.07314",
    "Westfall and Young, Resampling-Based Multiple Testing, Wiley 1993",
)
"""What every gain and range stands on."""


def methods(material: Material, cards: Mapping[str, Card]) -> Section:
    """Write the paragraph and the references; both say only what was run."""
    found = cited(material, cards)
    listed = say(*(f"[{one.key}] {one.cited}." for one in found), is_list=True)
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
            say(" ".join(paragraph(material, found, cards))),
            say(missing),
            heading("References"),
            listed,
            Source(entries),
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
    study, told = material.study, provenances(material)
    keys = {one.arxiv or one.cited: one.key for one in found}
    versions = sorted({str(one["medbench"]) for one in told if one.get("medbench")})
    version = f" {' and '.join(versions)}" if versions else ""
    yield f"Augmentation was evaluated with medbench{version}, study {study.name}."
    for source in material.sources:
        name = str(source["dataset"])
        each = ", ".join(f"{n:,} {c}" for c, n in zip(source["classes"], source["class_patients"], strict=True))
        own = references(cards[name].citation) if name in cards else []
        of_card = {one.arxiv or one.doi or one.cited for one in own}
        marks = [one.key for one in found if (one.arxiv or one.doi or one.cited) in of_card]
        cites = f" [{', '.join(marks)}]" if marks else ""
        drawn = ", drawn by the program in the layout of that data set and showing nobody," if _is_drawn(name) else ""
        numbers = f"{source['images']:,} images of {source['patients']:,} patients ({each})"
        yield f"The data were {name}{cites}{drawn} with {numbers}."
    networks = list(dict.fromkeys(short(board.classifier) for board in material.boards))
    arms = list(dict.fromkeys(arm_name(row.arm) for part in material.parts for row in part.rows))
    yield f"The arms were {', '.join(arms)}, with {', '.join(networks)} as classifier."
    if study.controls:
        yield "Each arm was compared with its own control, the same recipe without the ingredient that it claims."
    for text in dict.fromkeys(board.protocol for board in material.boards):
        yield _cut(text, next(board for board in material.boards if board.protocol == text))
    budget = study.budget
    size = f" of {budget.size} pixels a side" if budget.size else ""
    yield (
        f"Every training had {budget.steps:,} steps of {budget.batch} images{size}, generators at most "
        f"{budget.generator_steps:,} steps, with untuned defaults and equal seeds across arms, on "
        f"{', '.join(sorted({board.device for board in material.boards}))}."
    )
    yield (
        "Predicted probabilities were divided by the class frequencies of training before a decision "
        f"[{keys.get('2007.07314', 'menon2021')}]; the measure is balanced accuracy by "
        f"{' and '.join(sorted({board.unit for board in material.boards}))}."
    )
    if any(row.gain is not None for part in material.parts for row in part.rows):
        yield from _ranges(material, keys)
    withheld = list(dict.fromkeys(why for board in material.boards for why in reasons(board.evidence)))
    if withheld:
        yield f"Verdicts were withheld for these reasons: {' '.join(withheld)}"


def _cut(text: str, board: Board) -> str:
    rule, study = protocol(text), board.study
    if rule.name == "official":
        how = f"the official cut was kept and training repeated {_times(study.repeats)}"
    else:
        by = "images" if rule.cuts_images else "patients, all images of a patient or of its duplicates on one side,"
        how = f"{study.folds}-fold cross-validation over {by} was done {_times(study.repeats)}"
    seeds = f" with {study.seeds} seeds each" if study.seeds > 1 else ""
    if rule.leaks:
        return (
            f"Under protocol {text}, {how}{seeds}; this protocol leaks by design ({', '.join(sorted(rule.leaks))}) and "
            "serves only to be compared with an honest one."
        )
    return f"Under protocol {text}, {how}{seeds}; generators and all else that learns saw the training part only."


def _is_drawn(dataset: str) -> bool:
    return dataset.startswith("phantom:")


def _times(number: int) -> str:
    return "once" if number == 1 else "twice" if number == 2 else f"{number} times"


def _ranges(material: Material, keys: Mapping[str, str]) -> Iterator[str]:
    young = next((key for name, key in keys.items() if name.startswith("Westfall")), "westfall1993")
    yield (
        "Gains are given with 95 % ranges: the variance of a bootstrap of patients within their class, plus 1/(K-1) "
        "of what of it patients keep from repeat to repeat, for K folds that share training sets, plus what repeats "
        "vary by beyond it over their number, with Student's t of one less than the patients of the rarest class, "
        f"jointly over the comparisons of a board by max-t [{young}]."
    )
    yield (
        "A gain is called better where its whole range lies above 0 and AUROC gains too, and the same where the range "
        f"lies within {material.study.worth:g} points, which were fixed before the run."
    )
