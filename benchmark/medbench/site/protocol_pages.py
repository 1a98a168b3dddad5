"""What protocols of published boards are: their design, what they do in words, and where a page explains them."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from medbench.errors import UsageError
from medbench.protocols.leaks import LEAKS
from medbench.protocols.protocol import LEAKY, PROTOCOLS, EvaluationProtocol, protocol
from medbench.publishing.stored_words import in_plain_nouns
from medbench.registry.display_names import dataset_name
from medbench.site.read_entries import Published
from medbench.site.safe_texts import slug
from medbench.text import counted

_WITHOUT = re.compile(r"trains without ([\d,]+) of ([\d,]+) images?\b")

_NAMES: Mapping[str, str] = {
    "patients": "Split by patient",
    "official": "Official split",
    "external": "External test",
    "images": "Split by image",
    "select-on-test": "Weights chosen on the test images",
    "augment-first": "Images generated before the split",
}


@dataclass(frozen=True)
class ExplainedProtocol:
    """A protocol as the site explains it.

    Attributes:
        text: Of the protocol, as entries write it.
        name: What people read.
        anchor: Of its section.
        sentences: What is cut, what is trained on, what is tested.
        leaks: What it is known to leak, each in a sentence; empty for an honest one.
        designs: Folds and repeats that entries have under it.
        boards: How many boards stand on it.
        is_known: Whether this version of medbench knows it.
    """

    text: str
    name: str
    anchor: str
    sentences: tuple[str, ...]
    leaks: tuple[str, ...]
    designs: tuple[str, ...]
    boards: int
    is_known: bool


def folds(text: str, wanted: int) -> int:
    """Return the folds that a protocol has where a study asks for `wanted`: an official cut has 1."""
    rule = _rule_of(text)
    return rule.folds(wanted) if rule else wanted


def design(text: str, study: Mapping[str, Any]) -> str:
    """Write the folds and repeats of a protocol: ``5-fold cross-validation, repeated 3 times``.

    Args:
        text: Of the protocol.
        study: Of ``entry.json``; its folds are what was asked for.
    """
    rule, repeats = _rule_of(text), study["repeats"]
    often = {1: "once", 2: "twice"}.get(repeats, f"{repeats:,} times")
    if rule and rule.has_one_cut:
        where = f"tested on {dataset_name(rule.test)}" if rule.is_external else "official split"
        return f"{where}, trained {often}"
    return f"{study['folds']}-fold cross-validation" + (f", repeated {often}" if repeats > 1 else "")


def protocol_name(text: str) -> str:
    """Name a protocol: ``Split by patient``, ``Official split, 50 training patients``, ``LEAKY: split by image``."""
    rule = _rule_of(text)
    if rule is None:
        return text
    size = training_size(text, "patient")
    name = _NAMES[rule.name] + ("" if size.startswith("all ") else f", {size}")
    return name if rule.is_honest else f"LEAKY: {name[0].lower()}{name[1:]}"


def training_size(text: str, unit: str) -> str:
    """Say how much of the training part is trained on: ``50 training images``, ``all training patients``.

    Args:
        text: Of the protocol.
        unit: "patient", or "image" where patients are not told apart.
    """
    rule = _rule_of(text)
    if rule is None:
        return text
    if rule.patients:
        return f"{rule.patients:,} training {unit}s"
    if rule.train:
        return f"{rule.train} training images a class"
    return f"all training {unit}s" if rule.share == 1 else f"{100 * rule.share:g} % of the training {unit}s"


def left_out_text(board: Mapping[str, Any]) -> str:
    """Say what a table tests besides, and which training images it leaves out since its test part has them too.

    Args:
        board: JSON values of a table.

    Returns:
        "" where there is nothing to say.
    """
    rule = _rule_of(board["protocol"])
    if rule is None:
        return ""
    said = [f"tested on {dataset_name(rule.test)}"] if rule.is_external else []
    if rule.overlap == "drop" and not (rule.patients or rule.train or rule.share < 1):  # of a number nothing is missing
        known = [found for text in board["sentences"] if (found := _WITHOUT.search(text))]
        number = f" ({known[0][1]} of {known[0][2]} training images)" if known else ""
        said.append(f"without those that the test part has too{number}")
    return ", ".join(said)


def place(text: str) -> tuple[bool, int, float, float, str]:
    """Return what sorts protocols: honest ones first, and by how much is trained on, all of it last."""
    rule = _rule_of(text)
    if rule is None:
        return False, len(PROTOCOLS), math.inf, 1.0, text
    images = sum(int(n) for n in rule.train.split("/") if n.isdecimal())
    return not rule.is_honest, PROTOCOLS.index(rule.name), rule.patients or images or math.inf, rule.share, text


def designs(study: Mapping[str, Any]) -> list[str]:
    """Return the designs of all protocols of a study, each once."""
    return list(dict.fromkeys(design(text, study) for text in study["protocols"]))


def anchor(text: str) -> str:
    """Return the name of the section that explains a protocol, another for every one."""
    return f"protocol-{slug(text)}"


def explain_protocols(entries: Iterable[Published]) -> list[ExplainedProtocol]:
    """Explain every protocol that a table stands on, honest ones first, by how much is trained on."""
    found: dict[str, list[str]] = {}
    for published in entries:
        for board in published.entry["boards"]:
            found.setdefault(board["protocol"], []).append(design(board["protocol"], published.entry["study"]))
    return [_explain(text, found[text]) for text in sorted(found, key=place)]


def _explain(text: str, of_boards: list[str]) -> ExplainedProtocol:
    rule = _rule_of(text)
    said = tuple(_sentences(rule)) if rule else ("This version of medbench does not know this protocol.",)
    leaks = tuple(f"{leak}: {in_plain_nouns(LEAKS.get(leak, leak))}" for leak in sorted(rule.leaks)) if rule else ()
    return ExplainedProtocol(
        text,
        protocol_name(text),
        anchor(text),
        said,
        leaks,
        tuple(dict.fromkeys(of_boards)),
        len(of_boards),
        rule is not None,
    )


def _sentences(rule: EvaluationProtocol) -> Iterable[str]:
    if rule.is_external:
        yield f"All images of the data set are trained on, all of another one are tested: {dataset_name(rule.test)}."
        yield "Repeats train anew, with other seeds, and are tested on the same images."
    elif rule.name == "official":
        yield "The training and test parts are those that the data set's authors published; there are no folds."
        yield "Repeats train anew, with other seeds, and are tested on the same images."
    elif rule.cuts_images:
        yield "Images are split into folds: images of one patient may be in training and test."
    else:
        yield "Patients are split into folds: all images of a patient, and of near copies, lie on one side."
    if rule.overlap == "drop":
        yield "Images whose patient or picture also stands in the test part are left out of training."
    if rule.patients:
        drawn = "drawn anew each repeat" if rule.has_one_cut else "drawn anew each repeat and fold"
        yield (
            f"Of the training part {counted(rule.patients, 'patient', 'are')} used, classes in their proportion, "
            f"{drawn}; the test part stays whole."
        )
    if rule.train:
        yield f"Of the training part {rule.train} images are used, a number a class in the order of the classes."
    if rule.share < 1:
        yield f"Of the training part {100 * rule.share:g} % of the patients are used."
    if rule.prepares_first:
        yield "Generated images are prepared from all images, before the split."
    else:
        yield "Generators, scalers and all else that learns are given the training part only."
    if rule.switches:
        switched = [switch for switch in LEAKY if switch in rule.switches]
        yield f"It is LEAKY on purpose, to rerun published work ({', '.join(switched)}), and gets no verdict."


@functools.lru_cache(4096)
def _rule_of(text: str) -> EvaluationProtocol | None:
    try:
        return protocol(text)
    except UsageError:
        return None
