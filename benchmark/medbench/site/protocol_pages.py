"""What protocols of published boards are: their design, what they do in words, and where a page explains them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from medbench.errors import UsageError
from medbench.protocols.leaks import LEAKS
from medbench.protocols.protocol import LEAKY, EvaluationProtocol, protocol
from medbench.site.read_entries import Published
from medbench.site.safe_texts import slug
from medbench.text import counted


@dataclass(frozen=True)
class ExplainedProtocol:
    """A protocol as the site explains it.

    Attributes:
        text: Of the protocol, as entries write it.
        anchor: Of its section.
        sentences: What is cut, what is trained on, what is tested.
        leaks: What it is known to leak, each in a sentence; empty for an honest one.
        designs: Folds and repeats that entries have under it.
        boards: How many boards stand on it.
        is_known: Whether this version of medbench knows it.
    """

    text: str
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
    """Write the folds and repeats of a protocol: ``5 folds \u00d7 3 repeats``, ``official cut \u00d7 3 repeats``.

    Args:
        text: Of the protocol.
        study: Of ``entry.json``; its folds are what was asked for.
    """
    rule = _rule_of(text)
    how = "official cut" if rule and rule.name == "official" else counted(study["folds"], "fold")
    return f"{how} \u00d7 {counted(study['repeats'], 'repeat')}"


def designs(study: Mapping[str, Any]) -> list[str]:
    """Return the designs of all protocols of a study, each once."""
    return list(dict.fromkeys(design(text, study) for text in study["protocols"]))


def anchor(text: str) -> str:
    """Return the name of the section that explains a protocol, another for every one."""
    return f"protocol-{slug(text)}"


def explain_protocols(entries: Iterable[Published]) -> list[ExplainedProtocol]:
    """Explain every protocol that a board stands on, by text."""
    found: dict[str, list[str]] = {}
    for published in entries:
        for board in published.entry["boards"]:
            found.setdefault(board["protocol"], []).append(design(board["protocol"], published.entry["study"]))
    return [_explain(text, found[text]) for text in sorted(found)]


def _explain(text: str, of_boards: list[str]) -> ExplainedProtocol:
    rule = _rule_of(text)
    said = tuple(_sentences(rule)) if rule else ("This version of medbench does not know this protocol.",)
    leaks = tuple(f"{leak}: {LEAKS.get(leak, leak)}" for leak in sorted(rule.leaks)) if rule else ()
    return ExplainedProtocol(
        text, anchor(text), said, leaks, tuple(dict.fromkeys(of_boards)), len(of_boards), rule is not None
    )


def _sentences(rule: EvaluationProtocol) -> Iterable[str]:
    if rule.name == "official":
        yield "The training and test parts are those that the data set's authors published; there are no folds."
        yield "Repeats train anew, with other seeds, and are tested on the same images."
    elif rule.cuts_images:
        yield "Images are cut into folds: images of one patient may lie on both sides."
    else:
        yield "Patients are cut into folds: all images of a patient, and of its duplicates, lie on one side."
    if rule.overlap == "drop":
        yield "Images whose patient or picture also stands in the test part are left out of training."
    if rule.patients:
        drawn = "another draw each repeat" if rule.name == "official" else "another draw each repeat and fold"
        yield (
            f"Of the training part {counted(rule.patients, 'patient', 'are')} drawn, classes in their proportion, "
            f"{drawn}; the test part stays whole."
        )
    if rule.train:
        yield f"Of the training part {rule.train} images are drawn, a number a class in the order of the classes."
    if rule.share < 1:
        yield f"Of the training part {100 * rule.share:g} % of the patients are drawn."
    if rule.switches & {"copies", "fitted-on-all"}:
        yield "Made images are prepared from all images, before the cut."
    else:
        yield "Generators, scalers and all else that learns see the training part only."
    if rule.switches:
        switched = [switch for switch in LEAKY if switch in rule.switches]
        yield f"It leaks by design, to rerun published work ({', '.join(switched)}), and is never ranked."


def _rule_of(text: str) -> EvaluationProtocol | None:
    try:
        return protocol(text)
    except UsageError:
        return None
