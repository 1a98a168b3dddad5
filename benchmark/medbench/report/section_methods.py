"""The section to paste into a paper: what was done, for a methods section and for a clinician, and its references."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medbench.boards.board import Board
from medbench.boards.training_runs import count_runs
from medbench.errors import MedbenchError
from medbench.interfaces import Card
from medbench.planning.arm_names import arm_name, control_name
from medbench.planning.arms import is_primary
from medbench.planning.fitted_steps import describe_fitted
from medbench.protocols.protocol import EvaluationProtocol, protocol
from medbench.protocols.protocol_text import split_size
from medbench.registry.display_names import classifier_name, dataset_name, method_name
from medbench.registry.training_facts import training_text
from medbench.report import clinician
from medbench.report.bibtex import Reference, of_recipes, references, unique
from medbench.report.inputs import Material, provenances
from medbench.statistics.gain_intervals import MOST_SHARED
from medbench.statistics.verdicts import LEAK_NAMES, reasons
from medbench.tables.blocks import Section, Source, fold, heading, say
from medbench.tables.board_notes import knows_patients, name_of_source
from medbench.tables.wording import tuning
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
    study = material.study
    keys = {one.arxiv or one.cited: one.key for one in found}
    yield f'Data augmentation was evaluated with {_software(material)}, study "{study.name}".'
    for source in material.sources:
        for one in (source, *source.get("tests", {}).values()):
            yield _data(one, found, cards)
    networks = list(dict.fromkeys(classifier_name(board.classifier) for board in material.boards))
    arms = list(dict.fromkeys(arm_name(row.arm) for part in material.parts for row in part.rows))
    yield f"The methods were: {'; '.join(arms)}; with {', '.join(networks)} as classifier."
    pairs = dict.fromkeys(
        f"{arm_name(row.arm)} against {control_name(row.arm)}"
        for part in material.parts
        for row in part.rows
        if row.judged is not None
    )
    if pairs:
        yield f"Each was compared with the same training without the one ingredient in question: {'; '.join(pairs)}."
    alike: dict[str, list[str]] = {}
    for text in dict.fromkeys(board.protocol for board in material.boards):
        alike.setdefault(split_size(text)[0], []).append(text)
    for texts in alike.values():
        yield _cut(texts, next(board for board in material.boards if board.protocol == texts[0]))
    budget = study.budget
    size = _input_size(material)
    generated = any(fit.name for part in material.parts for fit in part.fits)
    generators = f" and of generators at most {counted(budget.generator_steps, 'step')}" if generated else ""
    yield (
        f"Training of a classifier had {counted(budget.steps, 'step')} of {counted(budget.batch, 'image')}{size}"
        f"{generators}; {tuning(budget.tries)}, and compared methods had the same splits, seeds and number of steps, "
        f"and ran on {', '.join(sorted({board.device for board in material.boards}))}."
    )
    if fitted := describe_fitted(study):
        yield fitted
    yield from _optimisers(material)
    by_patient = any(board.unit == "patient" for board in material.boards)
    pooled = "; probabilities of a patient's images were combined by their geometric mean" if by_patient else ""
    yield (
        "Predicted probabilities were divided by the class frequencies of the training part before a class was "
        f"predicted (logit adjustment) [{keys.get('2007.07314', 'menon2021')}]{pooled}. The primary measure is "
        f"balanced accuracy by {' and '.join(sorted({board.unit for board in material.boards}))}, the mean of the "
        "recalls of the classes."
    )
    yield _finished(material)
    if any(row.gain is not None for part in material.parts for row in part.rows):
        yield from _ranges(material, keys)
    withheld = list(dict.fromkeys(why for board in material.boards for why in reasons(board.evidence)))
    if withheld:
        said = " ".join(re.sub(r" \(--[^)]*\)", "", why) for why in withheld)
        yield f"No conclusion is drawn from the intervals. {said}"


def _input_size(material: Material) -> str:
    """Say how large images were: as the budget has it, else as the recipes of the data sets do."""
    sizes = {material.study.budget.size} - {None}
    if not sizes and material.catalogue is not None:
        names = [str(source["dataset"]).removeprefix("phantom:") for source in material.sources]
        sizes = {getattr(recipe, "size", None) for name in names if (recipe := _resolved(material, "dataset", name))}
    known = sorted(size for size in sizes if isinstance(size, int))
    return f" of {listed([str(size) for size in known])} pixels a side" if known else ""


def _optimisers(material: Material) -> Iterator[str]:
    """Say how classifiers were trained, as far as their recipes and medbench's own loop tell it."""
    for text in dict.fromkeys(row.arm.classifier for part in material.parts for row in part.rows):
        if said := training_text(_resolved(material, "classifier", text)):
            yield f"{classifier_name(text)} was trained with {said}."


def _resolved(material: Material, kind: str, text: str) -> Any:
    """Return a recipe; None where its plugin is not at hand."""
    try:
        return material.catalogue.resolve(kind, text) if material.catalogue is not None else None
    except MedbenchError:
        return None


def _data(source: Mapping[str, Any], found: Sequence[Reference], cards: Mapping[str, Card]) -> str:
    """Say which images there were, of how many patients, and whether they were drawn."""
    name = str(source["dataset"])
    each = ", ".join(f"{n:,} {c}" for c, n in zip(source["classes"], source["class_patients"], strict=True))
    own = references(cards[name].citation) if name in cards else []
    of_card = {one.arxiv or one.doi or one.cited for one in own}
    shown = dataset_name(name, str(source.get("title") or ""))
    marks = [one.key for one in found if (one.arxiv or one.doi or one.cited) in of_card]
    cites = f" [{', '.join(marks)}]" if marks else ""
    drawn = " They are synthetic, drawn by medbench in the layout of that data set; no patient exists." * _is_drawn(
        name
    )
    images = counted(source["images"], "image")
    numbers = f"{images} of {counted(source['patients'], 'patient')} ({each})"
    if not knows_patients(source):
        numbers = f"{images} ({each}), each counted as a patient of its own, since nothing says which show the same one"
    return f"The data were {shown}{cites}: {numbers}.{drawn}"


def _cut(texts: Sequence[str], board: Board) -> str:
    """Say how protocols cut that differ in nothing but how many patients they train on."""
    rule, study = protocol(texts[0]), board.study
    under = f"medbench protocol{'s' * (len(texts) > 1)} {listed(texts)}"
    said = []
    if rule.is_external:
        name = name_of_source(board.source)
        said.append(f"{name[0].lower()}{name[1:]}, all of whose labelled images were tested")
    elif rule.name == "official":
        said.append("the official split was kept")
    else:
        by = "images" if rule.cuts_images else "patients"
        kept = "" if rule.cuts_images else " (all images of a patient, and near copies of them, in the same fold)"
        anew = ", each time with another random split" if study.repeats > 1 else ""
        said.append(
            f"{study.folds}-fold cross-validation over {by}{kept}, classes spread evenly over the folds, was done "
            f"{_times(study.repeats)}{anew}"
        )
    if rule.overlap == "drop":
        said.append("training images whose patient or picture lies in the test part too were left out of training")
    said += _subset_sentence([protocol(text).patients for text in texts], rule)
    if rule.has_one_cut:
        seeds = ", with other seeds each" if study.repeats > 1 else ""
        tested = "that data set" if rule.is_external else "the test part"
        said.append(f"training was done {_times(study.repeats)}{seeds}, and every repeat was tested on all of {tested}")
    seeds = f" with {study.seeds} seeds each" if study.seeds > 1 else ""
    how = f"{'; '.join(said)}{seeds} ({under})"
    how = how[0].upper() + how[1:]
    if rule.leaks:
        return (
            f"{how}. This protocol leaks on purpose ({', '.join(LEAK_NAMES.get(k, k) for k in sorted(rule.leaks))}) "
            "and serves only to be compared with one that does not."
        )
    return f"{how}. Classifiers, generators and all preprocessing were fitted on the training part only."


def _subset_sentence(sizes: Sequence[int], rule: EvaluationProtocol) -> Iterator[str]:
    """Say what was drawn of the training part."""
    anew = "another draw each repeat" if rule.has_one_cut else "another draw each repeat and fold"
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


def _software(material: Material) -> str:
    """Name medbench, Python and the libraries that results were made with, each with its versions."""
    records = provenances(material)
    libraries: dict[str, set[str]] = {}
    for one in records:
        for name, versions in one["libraries"].items():
            libraries.setdefault(name, set()).update(versions)
    found = {
        "medbench": {str(one["medbench"]) for one in records if one.get("medbench")},
        "Python": {str(one["python"]) for one in records if one.get("python")},
        "PyTorch": libraries.get("torch", set()),
    }
    named = [f"{name} {' and '.join(sorted(versions))}" for name, versions in found.items() if versions]
    return f"{named[0]} ({', '.join(named[1:])})" if named[1:] else (named or ["medbench"])[0]


def _finished(material: Material) -> str:
    """Say how many training runs there were, and what stands for those that failed."""
    runs, failed = count_runs(material.boards), sum(row.failed for part in material.parts for row in part.rows)
    said = f"{counted(runs.done, 'training run')} of {runs.planned:,} planned finished"
    if not failed:
        return f"{said}."
    return f"{said}; {counted(failed, 'failed run')} counted with the predictions of the method it was compared with."


def _is_drawn(dataset: str) -> bool:
    return dataset.startswith("phantom:")


def _times(number: int) -> str:
    return "once" if number == 1 else "twice" if number == 2 else f"{number} times"


def _ranges(material: Material, keys: Mapping[str, str]) -> Iterator[str]:
    young = next((key for name, key in keys.items() if name.startswith("Westfall")), "westfall1993")
    judged = [part.board for part in material.parts if any(row.gain is not None for row in part.rows)]
    official = {protocol(board.protocol).has_one_cut for board in judged}
    most = max(row.gain.comparisons for part in material.parts for row in part.rows if row.gain is not None)
    yield (
        f"Gains, differences in percentage points on the same patients, are given with simultaneous 95 % confidence "
        f"intervals, adjusted for the {counted(most, 'comparison')} of a table by max-t [{young}]; they take the place "
        "of p values."
    )
    if False in official:
        where = "For cross-validation the" if len(official) > 1 else "The"
        more = (
            ", or more, all of it at most, where the classifiers change their decisions from training to training"
            if material.study.repeats > 1
            else ""
        )
        yield (
            f"{where} variance has three parts: a bootstrap of patients within classes; an allowance for the training "
            f"images that the K folds share, 1/(K-1) of the patient variance that stays the same over repeats{more}; "
            "and the variance between repeats beyond the patients' own, divided by "
            "their number. Student's t has one degree of freedom less than the rarest class has patients."
        )
        if material.study.repeats == 1:
            yield "With one repeat the variance between repeats is not known and was left out."
    if True in official:
        where = "With one test part for all repeats the" if len(official) > 1 else "The"
        yield (
            f"{where} variance is that of a bootstrap of the tested patients within classes, plus the variance between "
            "repeated trainings, divided by their number and enlarged for the training patients that they share, as "
            "Nadeau and Bengio (2003) do; the degrees of freedom of Student's t follow Satterthwaite."
        )
        shared = [board for board in judged if board.evidence.overlap > MOST_SHARED]
        if shared:
            yield (
                "Where all repeats train on the same patients, intervals are for these training patients alone, and "
                "no verdict is given."
            )
        if material.study.repeats == 1:
            yield "With one repeat the variance between trainings is not known and was left out."
    primary = [row for board in judged for row in board.rows if is_primary(row.arm, material.study.primary)]
    if primary:
        yield (
            f"The primary comparison, {method_name(primary[0].arm.augmenter)}, was fixed before the run and tested "
            "first and by itself; the others get a verdict only once it is decided."
        )
    yield (
        "A method is called better where its whole interval lies above 0; where that of its gain in AUROC lies wholly "
        "below the relevant difference, only the decision threshold is said to have moved. No relevant difference is "
        f"claimed where the interval lies within ±{material.study.worth:g} points, a margin fixed before the run."
    )
