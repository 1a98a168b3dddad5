"""The table of contents: which sections a report has, in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from medbench.glossary import Term
from medbench.report import (
    checklist,
    section_details,
    section_generators,
    section_methods,
    section_provenance,
    section_results,
)
from medbench.report.headline import Headline, headline
from medbench.report.inputs import Material, cards
from medbench.report.method_terms import method_terms
from medbench.tables.blocks import Section, Sentences, fold, text_of


@dataclass(frozen=True)
class Report:
    """A whole report.

    Attributes:
        title: Of the document.
        sections: In order; names are unique.
        headline: What stands before them; None in a document that answers no question.
        words: Terms of this report alone: its methods, each with what it does.
    """

    title: str
    sections: tuple[Section, ...]
    headline: Headline | None = None
    words: tuple[Term, ...] = ()


def report(material: Material, *, pictures: bool = True) -> Report:
    """Write a report of a run.

    Args:
        material: As :func:`medbench.report.inputs.gather` gives it.
        pictures: Whether sheets of images may be shown; where a data set's card forbids them they never are.
    """
    known = cards(material)
    sections = (
        section_results.leaderboards(material),
        section_results.gains(material),
        section_details.published(material),
        section_details.inflation(material),
        section_details.classes(material),
        section_details.sizes(material),
        section_results.costs(material),
        section_generators.training(material),
        section_generators.samples(material, known, pictures=pictures),
        section_generators.scores(material),
        section_provenance.audit(material, known),
        section_provenance.failures(material),
        section_provenance.provenance(material),
        section_methods.methods(material, known),
        Section(
            "checklist", "Reporting checklist", (fold("CLAIM 2024, filled in", *checklist.blocks(material, known)),)
        ),
    )
    kept = [_without_empty(section) for section in sections if section is not None]
    first = headline(material)
    return Report(first.title, tuple(kept), first, tuple(method_terms(material)))


def checklist_alone(material: Material) -> Report:
    """Write the checklist as a document of its own."""
    filled = Section("checklist", "CLAIM 2024, filled in", checklist.blocks(material, cards(material)))
    return Report(text_of(f"Reporting checklist of {material.study.name}"), (filled,))


def _without_empty(section: Section) -> Section:
    """Drop sentences that turned out to say nothing."""
    return replace(section, blocks=tuple(b for b in section.blocks if not isinstance(b, Sentences) or b.texts))
