"""What strangers wrote, made fit to be shown: one function for every text, one for links, one for file names."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from itertools import groupby

from medbench.publishing.bundle.allowed_texts import LINK
from medbench.text import clean

LONGEST = 2000
STACKED = 4  # combining marks on one letter; Hebrew and Thai need three
_BLANKS = re.compile(r"\s+")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*(?::[a-z0-9]+(?:-[a-z0-9]+)*)*")


def safe_text(text: str) -> str:
    """Return a text as pages, badges and downloads show it.

    Control and formatting characters, halves of characters, private and unassigned ones are dropped, blanks of any
    kind become plain ones, piles of accents are cut down, and so is what is longer than LONGEST.
    """
    if text.isascii() and text.isprintable() and "  " not in text and len(text) <= LONGEST:
        return text  # nearly all: 1,000 entries print a million texts
    text = clean(_BLANKS.sub(" ", text[: 4 * LONGEST]))
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cn", "Co"))
    text = _BLANKS.sub(" ", unicodedata.normalize("NFC", text))
    runs = (
        (is_mark, list(run)) for is_mark, run in groupby(text, key=lambda c: unicodedata.category(c) in ("Mn", "Me"))
    )
    text = "".join("".join(run[:STACKED] if is_mark else run) for is_mark, run in runs)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def safe_link(text: str) -> str | None:
    """Return a link that may be followed: https, a plain host, at most 200 characters; None for any other."""
    return text if len(text) <= 200 and LINK.fullmatch(text) else None


def slug(dataset: str) -> str:
    """Return a data set's file name, another for every data set: ``phantom:ddti`` gives ``phantom--ddti``."""
    if len(dataset) <= 80 and _SLUG.fullmatch(dataset):
        return dataset.replace(":", "--")
    plain = re.sub(r"[^a-z0-9]+", "-", dataset.lower())[:60].strip("-")
    # Names that are kept as they are hold no underscore, so these can never meet them.
    return f"{plain}_{hashlib.sha256(dataset.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
