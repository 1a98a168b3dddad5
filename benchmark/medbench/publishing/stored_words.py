"""Nouns that older versions wrote into entries and ledgers, in the words of today."""

from __future__ import annotations

import re

_WORDS: tuple[tuple[str, str], ...] = (
    (r"\bboards?, (\d+) arms\b", r"tables, \1 methods"),
    (r" r(\d+) f(\d+) s(\d+)\b", r", repeat \1, fold \2, seed \3"),
    (r"\btrial(s?)\b", r"training run\1"),
    (r"\bcell(s?)\b", r"training run\1"),
    (r"\barm(s?)\b", r"method\1"),
    (r"\bboard(s?)\b", r"table\1"),
    (r"\bphantom(s?)\b(?!:)", r"synthetic data set\1"),
    (r"\b[Mm]ade (rows?|images?)\b", r"generated \1"),
    (r"\b1 (table|method|training run)s\b", r"1 \1"),
)


def in_plain_nouns(text: str) -> str:
    """Replace the nouns of older versions, in a text that medbench itself wrote."""
    for pattern, said in _WORDS:
        text = re.sub(pattern, said, text)
    return text
