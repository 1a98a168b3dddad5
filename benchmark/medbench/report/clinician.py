"""What was done and what came out in five sentences, for a clinician."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medbench.planning.arm_names import arm_name
from medbench.protocols.protocol import protocol
from medbench.registry.display_names import classifier_name, dataset_name
from medbench.report.inputs import Material
from medbench.tables.answer import answer_of
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
    yield f"The images were {'; '.join(map(_data, material.sources))}."
    official = any(protocol(board.protocol).name == "official" for board in boards)
    leaky = all(board.leaks for board in boards)
    how = "the official test part" if official else "every patient once per repeat"
    seen = "A leak was left open on purpose" if leaky else "No image of a tested patient was used in training"
    yield f"{seen}: networks were trained on some of the patients and tested on {how}."
    yield (
        "We counted how many patients of each class were classified correctly, took the mean over the classes, and "
        f"give each difference with its 95 % confidence interval; {material.study.worth:g} percentage points were "
        "called relevant before the run."
    )
    yield " ".join(dict.fromkeys(_result(material)))


def _data(source: Mapping[str, Any]) -> str:
    name, images = (
        dataset_name(str(source["dataset"]), str(source.get("title") or "")),
        counted(source["images"], "image"),
    )
    if source["unit"] == "image" and source["patients"] == source["images"]:
        return f"{name} ({images}, of which nothing says which show the same patient)"
    return f"{name} ({images} of {counted(source['patients'], 'patient')})"


def _result(material: Material) -> Iterator[str]:
    for part in material.shown:
        found = answer_of(part.board)
        yield found.sentence
        yield from found.why_no_verdict[:1]
    if any(part.board.is_phantom for part in material.shown):
        yield SYNTHETIC
