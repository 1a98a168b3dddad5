"""Terms of a page become links to their meaning, at the first place of a section; the glossary holds those used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from medbench.glossary import TERMS, Term
from medbench.tables.writers.latex_text import pieces

if TYPE_CHECKING:
    from markupsafe import Markup

UNBROKEN = 24  # characters of a word that phones show in one line
COMMON = {"time", "entry", "study", "data set", "better", "worse", "method", "reference", "seed", "repeat", "plugin"}
"""Words of everyday language: linked as a title or a verdict, not inside sentences."""


class TermLinks:
    """Links of one page.

    Args:
        own: Terms of this page alone, as the names of its methods; they go before the ones all pages share.
    """

    def __init__(self, own: Iterable[Term] = ()) -> None:
        self._terms = {**{_key(term.name): term for term in TERMS.values()}, **{_key(term.name): term for term in own}}
        by_length = sorted(self._terms, key=len, reverse=True)
        # A word of letters alone may stand in the plural; a name such as "95 % CI" is taken as it is.
        self._pattern = re.compile(
            rf"(?<![\w\[=-])({'|'.join(map(re.escape, by_length))})(s?)(?![\w\[=-])", re.IGNORECASE
        )
        self._seen: set[str] = set()
        self._used: dict[str, Term] = {}

    def start(self) -> str:
        """Begin a section, in which every term is linked once more; "" for a template."""
        self._seen.clear()
        return ""

    def link(self, text: str, *, whole: bool = False) -> Markup:
        """Escape a text, let its long words break, and make links of its terms.

        Args:
            text: Cleaned.
            whole: Whether the text is a title or a word of its own, in which everyday words are linked too.
        """
        from markupsafe import Markup

        made, at = Markup(""), 0
        for match in self._pattern.finditer(text):
            term = self._terms[_key(match[1])]
            if term.name in self._seen or (term.name in COMMON and not whole):
                continue
            self._seen.add(term.name)
            self._used.setdefault(term.anchor, term)
            linked = Markup('<a class="term" href="#term-{}">{}</a>').format(term.anchor, breakable(match[0]))
            made += breakable(text[at : match.start()]) + linked
            at = match.end()
        return made + breakable(text[at:])

    def titles(self, columns: Sequence[str]) -> list[Markup]:
        """Return links to the terms of column titles that the section has not linked yet.

        The titles themselves become buttons that sort, in which no link may stand.
        """
        found = [(match, match[0] == title) for title in columns for match in self._pattern.finditer(title)]
        linked = (self.link(match[0], whole=whole) for match, whole in found
                  if self._terms[_key(match[1])].name not in self._seen)  # fmt: skip
        return [one for one in linked if "<a" in one]

    def used(self) -> list[tuple[Term, Markup]]:
        """Return the terms that were linked with their meanings, and those that the meanings use, in their order."""
        meanings: dict[str, Markup] = {}
        while waiting := [term for anchor, term in self._used.items() if anchor not in meanings]:
            for term in waiting:
                self._seen = {term.name}
                meanings[term.anchor] = self.link(term.meaning)
        return [(self._used[anchor], meanings[anchor]) for anchor in sorted(self._used)]


def breakable(text: str) -> Markup:
    """Escape a text whose long words may break."""
    from markupsafe import Markup

    words = (Markup("<wbr>").join(pieces(w) if len(w) > UNBROKEN else [w]) for w in text.split(" "))
    return Markup(" ").join(words)


def _key(name: str) -> str:
    return name.lower()
