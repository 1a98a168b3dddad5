"""How to cite medbench and an entry: a line of text and a record for BibTeX."""

from __future__ import annotations

from dataclasses import dataclass

from medbench import __version__
from medbench.site.read_entries import Published
from medbench.site.safe_texts import safe_text
from medbench.tables.writers.latex_text import escape_latex

REPOSITORY = "https://github.com/medbench/medbench"


@dataclass(frozen=True)
class Citation:
    """One thing to cite, for a list of references and for BibTeX."""

    text: str
    bibtex: tuple[str, ...]


SOFTWARE = Citation(
    f"The medbench developers: medbench {__version__}, a benchmark of data augmentation for medical image "
    f"classification. {REPOSITORY}",
    (
        "@software{medbench,",
        "  title = {medbench: a benchmark of data augmentation for medical image classification},",
        "  author = {{The medbench developers}},",
        f"  version = {{{__version__}}},",
        f"  url = {{{REPOSITORY}}},",
        "}",
    ),
)  # fmt: skip


def cite_entry(published: Published, address: str) -> Citation:
    """Return how to cite an entry.

    Args:
        published: The entry.
        address: Of the site, with a slash at its end; "" where it is not known.
    """
    entry, year = published.entry, published.date[:4]
    key, sha = entry["id"], entry["bundle"]["sha256"]
    authors, title = [safe_text(name) for name in entry["method"]["authors"]], safe_text(entry["method"]["title"])
    where = f" {address}entries/{key}.html" if address else ""
    fields = {
        "title": escape_latex(title),
        "author": " and ".join(f"{{{escape_latex(name)}}}" for name in authors),
        "year": year,
        "howpublished": f"medbench entry {key}",
        **({"url": f"{address}entries/{key}.html"} if address else {}),
        "note": f"SHA-256 of the bundle: {sha}",
    }
    lines = [f"@misc{{medbench-{key},", *(f"  {name} = {{{value}}}," for name, value in fields.items()), "}"]
    return Citation(f"{', '.join(authors)} ({year}): {title}. medbench entry {key}.{where}", tuple(lines))
