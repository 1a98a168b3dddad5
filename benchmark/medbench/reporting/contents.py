"""The table of contents: which sections a report has, in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from medbench.reporting import closer, making, methods, origin, results
from medbench.reporting.blocks import Section, Sentences, text_of
from medbench.reporting.material import Material, cards


@dataclass(frozen=True)
class Report:
    """A whole report.

    Attributes:
        title: Of the document.
        sections: In order; names are unique.
    """

    title: str
    sections: tuple[Section, ...]


def report(material: Material, *, pictures: bool = True) -> Report:
    """Write a report of a run.

    Args:
        material: As :func:`medbench.reporting.material.gather` gives it.
        pictures: Whether sheets of images may be shown; where a data set's card forbids them they never are.
    """
    known = cards(material)
    sections = (
        results.answers(material),
        results.leaderboards(material),
        results.gains(material),
        closer.published(material),
        closer.inflation(material),
        closer.classes(material),
        closer.sizes(material),
        results.costs(material),
        making.training(material),
        making.samples(material, known, pictures=pictures),
        making.scores(material),
        origin.audit(material, known),
        origin.failures(material),
        origin.provenance(material),
        methods.methods(material, known),
    )
    kept = [_without_empty(section) for section in sections if section is not None]
    return Report(text_of(f"Report of {material.study.name}"), tuple(kept))


def _without_empty(section: Section) -> Section:
    """Drop sentences that turned out to say nothing."""
    return replace(section, blocks=tuple(b for b in section.blocks if not isinstance(b, Sentences) or b.texts))
