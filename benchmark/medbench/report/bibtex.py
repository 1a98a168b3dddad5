"""References of what was run: read off the docstrings of recipes and the cards of data sets, as BibTeX.

Nothing is looked up and nothing is made up: an entry holds what the source text says, the whole of it as a note, and
the title where :mod:`medbench.report.titles` has it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from medbench.errors import MedbenchError
from medbench.interfaces import needs
from medbench.registry.catalogue import Catalogue
from medbench.registry.describe_recipe import with_inner
from medbench.report.titles import TITLES
from medbench.tables.blocks import text_of
from medbench.tables.writers.latex_text import escape_latex

_ID = re.compile(r"(?:arXiv[:\s]\s?(?P<arxiv>\d{4}\.\d{4,5})|doi[:\s]\s?(?P<doi>10\.\d{4,9}/[^\s,;\"<>]+))", re.I)
_BREAK = re.compile(r"(?<!al)(?<!\b[A-Z])[.;]\s|:\s(?=[A-Z])|\bas\s(?=[A-Z])|(?<!\(\d{4})\)")
_NAME = r"[A-ZÀ-Þ][\w'\u2019]*(?:-[A-ZÀ-Þ]\w*)?"
_AUTHORS = re.compile(  # one et al.; several and one; a list before an acronym such as ICML
    rf"{_NAME} et al|{_NAME}(?:, {_NAME})* and {_NAME}|(?:[A-Z][a-z'\u2019-]+, )+(?=[A-Z]{{2}}|[A-Z][a-z]+[A-Z])"
)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_BEFORE = 160  # characters before an identifier that may belong to its reference


@dataclass(frozen=True)
class Reference:
    """One source.

    Attributes:
        key: Of its entry: first author and year.
        cited: As it stands in a sentence.
        arxiv: Identifier; empty where it has none.
        doi: Likewise.
    """

    key: str
    cited: str
    arxiv: str = ""
    doi: str = ""

    @property
    def title(self) -> str:
        """Of the work; "" where it is not known apart from the rest."""
        return TITLES.get(self.arxiv or self.doi, "")

    @property
    def full(self) -> str:
        """It as a list of references has it: with the title behind the authors, unless it holds that already."""
        authors = _AUTHORS.match(self.cited)
        if not self.title or _holds(self.cited, self.title):
            return self.cited
        if authors is None:
            return f"{self.title}. {self.cited}"
        rest = self.cited[authors.end() :].lstrip(" ,.")
        name, comma, after = rest.partition(", ")
        rest = after if comma and _holds(self.title, name) else rest  # a short name of the work, as "Med3D"
        return f"{authors.group().rstrip(' ,')}. {self.title}{'' if self.title.endswith('?') else '.'} {rest}"

    @property
    def bibtex(self) -> str:
        """Its entry; the style decides what it prints of the note."""
        fields = {"note": escape_latex(self.cited)}
        if authors := _AUTHORS.match(self.cited):
            listed = authors.group().strip(", ")
            names = re.split(r", | and | et al", listed)
            others = ["others"] if listed.endswith(" et al") else []
            fields["author"] = " and ".join([*(f"{{{escape_latex(name)}}}" for name in names if name), *others])
        if self.title:
            fields["title"] = f"{{{escape_latex(self.title)}}}"
        if year := _YEAR.search(self.cited):
            fields["year"] = year.group()
        if self.arxiv:
            fields |= {"eprint": self.arxiv, "archiveprefix": "arXiv"}
        if self.doi:
            fields["doi"] = escape_latex(self.doi)
        body = ",\n".join(f"  {name} = {{{value}}}" for name, value in sorted(fields.items()))
        return f"@misc{{{self.key},\n{body}\n}}"


def _holds(cited: str, title: str) -> bool:
    return re.sub(r"\W", "", title).lower() in re.sub(r"\W", "", cited).lower()


def references(text: str) -> list[Reference]:
    """Read every reference with an arXiv number or a DOI from a text.

    Args:
        text: A docstring or the citation of a card.
    """
    plain = " ".join(text_of(" ".join(text.split())).split())
    found, start = [], 0
    for match in _ID.finditer(plain):
        before = plain[max(start, match.start() - _BEFORE) : match.start()]
        start = match.end()
        doi = (match["doi"] or "").rstrip(".)")
        cited = _parse_citation(before)
        if not cited:
            continue
        name = f"arXiv:{match['arxiv']}" if match["arxiv"] else f"doi:{doi}"
        found.append(Reference(_key(cited), f"{cited}, {name}", match["arxiv"] or "", doi))
    return found


def _parse_citation(before: str) -> str:
    """Return authors, title and year out of the words before an identifier; "" where there are none."""
    part = _BREAK.split(before)[-1]
    outside, bracket, inside = part.rpartition("(")
    if bracket and not re.match(r"\d{4}\)", inside):  # a year in brackets is a part of what is cited
        alone = re.search(r",\s*[A-Z]|\bet al\b|\band [A-Z]", inside)
        part = inside if alone else f"{outside.rstrip()}, {inside}"
    first = _AUTHORS.search(part) or re.search(r"[A-ZÀ-Þ]", part)
    cited = part[first.start() :].strip(" ,.;") if first else ""
    return cited if _YEAR.search(cited) else ""


def _key(cited: str) -> str:
    first = re.match(r"[^\W\d_]+", cited)  # of the first author
    year = _YEAR.search(cited)
    word = (first.group() if first else "source").lower().encode("ascii", "ignore").decode() or "source"
    return f"{word}{year.group() if year else ''}"


def unique(found: Iterable[Reference]) -> list[Reference]:
    """Return references without repetition, sorted, with keys that differ."""
    by_name: dict[str, Reference] = {}
    for one in found:
        name = one.arxiv or one.doi or one.cited
        if name not in by_name or one.cited < by_name[name].cited:
            by_name[name] = one
    listed, used = [], set[str]()
    for one in sorted(by_name.values(), key=lambda r: (r.key, r.cited)):
        key = next(k for n in range(len(by_name) + 1) if (k := one.key + _letters(n)) not in used)
        used.add(key)
        listed.append(Reference(key, one.cited, one.arxiv, one.doi))
    return listed


def _letters(number: int) -> str:
    text = ""
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def of_recipes(catalogue: Catalogue, kind: str, texts: Iterable[str]) -> Iterator[Reference]:
    """Yield what the docstrings of recipes, and of the stages they need, name as sources.

    Args:
        catalogue: A recipe that is not in it is passed over.
        kind: As the catalogue calls it: "augmenter".
        texts: How boards write the recipes.
    """
    for text in texts:
        try:
            recipe = catalogue.resolve(kind, text)
        except MedbenchError:
            continue
        for one in _all_of(recipe):
            yield from references(inspect.getdoc(type(one)) or "")


def _all_of(recipe: Any) -> list[Any]:
    waiting, seen = [recipe], list[Any]()
    while waiting:
        one = waiting.pop(0)
        if any(one is other for other in seen):
            continue
        seen.append(one)
        waiting += [inner for inner in with_inner(one) if inner is not one]
        waiting += needs(one)
    return seen
