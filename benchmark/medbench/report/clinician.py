"""What was done and what came out in five sentences, for a clinician."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medbench.planning.arm_names import arm_name
from medbench.protocols.protocol import protocol
from medbench.registry.display_names import classifier_name, dataset_name
from medbench.report.inputs import Material
from medbench.tables.answer import answer_of
from medbench.tables.board_notes import knows_patients
from medbench.tables.wording import SYNTHETIC
from medbench.text import counted, listed

MOST_NAMED = 6
"""Methods that a sentence names; of more it gives the number."""


def sentences(material: Material) -> Iterator[str]:
    """Yield five sentences: the question, the patients, the comparison, the measure, the result."""
    boards = [part.board for part in material.shown]
    names = list(dict.fromkeys(arm_name(row.arm) for part in material.shown for row in part.rows))
    named = "; ".join(names) if len(names) <= MOST_NAMED else f"{len(names)} methods"
    networks = listed(list(dict.fromkeys(classifier_name(board.classifier) for board in boards)))
    yield (
        f"We asked whether changing or adding training images helps a neural network ({networks}) to classify "
        f"medical images, and compared: {named}."
    )
    every = [*material.sources, *(other for source in material.sources for other in source.get("tests", {}).values())]
    yield f"The images were {'; '.join(map(_data, every))}."
    rules = [protocol(board.protocol) for board in boards]
    leaky = all(board.leaks for board in boards)
    how = "every patient once per repeat"
    if any(rule.has_one_cut for rule in rules):
        how = "all of another data set" if any(rule.is_external for rule in rules) else "the official test part"
    unknown = not all(map(knows_patients, material.sources))
    seen = "No image of a tested patient was used in training"
    if unknown:
        seen = "Nobody noted which images show the same patient, so one patient may be in training and in test"
        how = how.replace("patient", "image")
    if leaky:
        seen = "A leak was left open on purpose"
    some = "images" if unknown else "patients"
    yield f"{seen}: networks were trained on some of the {some} and tested on {how}."
    yield (
        f"We counted how many {some} of each class were classified correctly, took the mean over the classes, and "
        f"give each difference with its 95 % confidence interval; {material.study.worth:g} percentage points were "
        "called relevant before the run."
    )
    yield " ".join(dict.fromkeys(_result(material)))


def _data(source: Mapping[str, Any]) -> str:
    name, images = (
        dataset_name(str(source["dataset"]), str(source.get("title") or "")),
        counted(source["images"], "image"),
    )
    if not knows_patients(source):
        return f"{name} ({images}, of which nothing says which show the same patient)"
    return f"{name} ({images} of {counted(source['patients'], 'patient')})"


def _result(material: Material) -> Iterator[str]:
    for part in material.shown:
        found = answer_of(part.board)
        yield found.sentence
        if found.training:
            yield found.training
        yield from found.why_no_verdict[:1]
    if any(part.board.is_phantom for part in material.shown):
        yield SYNTHETIC
