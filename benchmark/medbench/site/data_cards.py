"""Names and modalities of data sets for pages: of a plugin's data set its card says them, which entries hold."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from medbench.errors import UsageError
from medbench.registry.display_names import DATASETS, dataset_name, modality
from medbench.registry.recipes import parse
from medbench.site.read_entries import Published
from medbench.text import clean

PHANTOM = "phantom:"
NOT_STATED = "not stated"
_CARDS: ContextVar[Mapping[str, Mapping[str, Any]]] = ContextVar("cards")


@contextlib.contextmanager
def known_cards(entries: Sequence[Published]) -> Iterator[None]:
    """Take the cards of these entries, the latest first, while pages are written."""
    found: dict[str, Mapping[str, Any]] = {}
    for published in reversed(entries):
        for name, card in published.entry.get("cards", {}).items():
            found.setdefault(name.removeprefix(PHANTOM), card)
    token = _CARDS.set(found)
    try:
        yield
    finally:
        _CARDS.reset(token)


def data_name(text: str) -> str:
    """Name a data set: a plugin's by its card's title, a built-in one as everywhere."""
    title = str(_card(text).get("title", ""))
    return dataset_name(text, "" if _is_built_in(text) else clean(title))


def data_modality(text: str) -> str:
    """Say how the images of a data set were taken; "" where neither medbench nor its card says it."""
    return modality(text) or clean(str(_card(text).get("modality", "")))


def _card(text: str) -> Mapping[str, Any]:
    return _CARDS.get({}).get(text.removeprefix(PHANTOM), {})


def _is_built_in(text: str) -> bool:
    try:
        name = parse(text.removeprefix(PHANTOM)).name
    except UsageError:
        return False
    return name in DATASETS or name == "medmnist"
