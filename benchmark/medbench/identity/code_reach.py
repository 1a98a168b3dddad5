"""Which code a class or function can reach, by static import and name, and a hash of it that only meaning changes.

Code is read as its syntax tree. Comments, docstrings, annotations, layout, the words of errors, and the names and
places of modules and top-level definitions do not count, so code may be moved, renamed and explained without a new
hash. What counts is a definition: a top-level statement. A class counts as a whole, since which of its methods is
called is not known before.

Followed are medbench, its built-in plugins, a plugin's own package, and the files beside one that is a file; every
other library counts by its version.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medbench.identity.definition_text import DefinitionText, text_of
from medbench.identity.equal_code import known_as
from medbench.identity.module_outline import Definition, Place, find_meaning, outline_of
from medbench.identity.source_files import source_file

_DISTRIBUTION = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml", "cv2": "opencv-python"}


@dataclass(frozen=True)
class Reach:
    """What was reached.

    Attributes:
        digest: SHA-256 over the reached definitions, or the one it had before it was rewritten without another result
            (:mod:`medbench.identity.equal_code`).
        own: SHA-256 over the reached definitions as they are.
        libraries: Version by distribution of every library that they name.
        definitions: Module and name of each, sorted, for people; no part of the digest.
    """

    digest: str
    own: str
    libraries: dict[str, str]
    definitions: tuple[Place, ...]


@functools.cache
def reach(*roots: Place) -> Reach:
    """Follow names from definitions to what they can run.

    Args:
        roots: Module and name of each top-level definition to start from. A name that is not found stands for the
            whole module; of a module without a file nothing is known, and nothing is reached.
    """
    start = [definition for root in roots if source_file(root[0]) for definition in find_meaning(*root).definitions]
    texts: dict[Definition, DefinitionText] = {}
    ran: set[str] = set()
    waiting = list(start)
    while waiting:
        at = waiting.pop()
        if at not in texts:
            texts[at] = text_of(*at)
            waiting += texts[at].definitions()
            waiting += _run_on_import([at[0], *texts[at].modules], ran)
    colours = _colours(texts)
    libraries = {library for text in texts.values() for library in text.libraries}
    lines = [*(colours[at] for at in start), "", *sorted(colours.values())]
    own = _sha("\n".join(lines))
    return Reach(
        known_as(own),
        own,
        {name: version for name in sorted(libraries) if (version := _version(name))},
        tuple(sorted({(module, outline_of(module).names[number]) for module, number in texts})),
    )


def forget() -> None:
    """Read every file again at the next call: for tests that change code."""
    for cached in (reach, source_file, outline_of, text_of):
        cached.cache_clear()


def _run_on_import(modules: Iterable[str], ran: set[str]) -> Iterator[Definition]:
    """Yield what importing these modules, and what they import, does besides defining names."""
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in ran:
            ran.add(module)
            outline = outline_of(module)
            yield from ((module, number) for number in outline.acts)
            waiting += outline.imported_modules


def _colours(texts: Mapping[Definition, DefinitionText]) -> dict[Definition, str]:
    """Hash every definition together with the hashes of what it names, until no more of them can be told apart.

    Source:
        Colour refinement: Weisfeiler and Leman, "The reduction of a graph to canonical form", 1968.
    """
    colours = {at: _sha(text.fill(lambda definition: "")) for at, text in texts.items()}
    while True:
        known = colours
        colours = {at: _sha(text.fill(known.__getitem__)) for at, text in texts.items()}
        if len(set(colours.values())) == len(set(known.values())):
            return colours


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


@functools.cache
def _version(module: str) -> str:
    try:
        return importlib.metadata.version(_DISTRIBUTION.get(module, module))
    except importlib.metadata.PackageNotFoundError:
        owners = importlib.metadata.packages_distributions().get(module, [])
        return importlib.metadata.version(owners[0]) if owners else ""


def place_of(thing: Any) -> Place:
    """Return where a class, a function, or the class of an object is defined."""
    defined = thing if isinstance(thing, type) or hasattr(thing, "__qualname__") else type(thing)
    return defined.__module__, defined.__qualname__.partition(".")[0]
