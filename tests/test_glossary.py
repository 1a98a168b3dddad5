"""The glossary defines every word of the verdicts, and each word once."""

from __future__ import annotations

from medbench.glossary import TERMS
from medbench.statistics.verdicts import WORDS


def test_every_verdict_is_a_term_with_its_meaning() -> None:
    for style in WORDS.values():
        assert TERMS[style.text].meaning == style.meaning


def test_terms_have_places_of_their_own_and_whole_sentences() -> None:
    anchors = [term.anchor for term in TERMS.values()]
    assert len(set(anchors)) == len(anchors)
    assert all(term.meaning.endswith(".") for term in TERMS.values())
