"""What people may write into a bundle, and what must not be in any: paths, addresses, dates, identifiers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from typing import Any

from medbench.publishing.refusals import Refused

LONGEST = 200
FORMULA = "=+-@"
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")  # whose letters look like one another

RECIPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/+#=,\[\]-]{0,299}")
"""A recipe as results write it: ``phantom:ddti``, ``hybrid[generator=acgan[steps=500]]``."""
_RECIPE_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/#-]*\[[A-Za-z0-9_.:/#=,\[\]-]*\][.,;:]?")
"""A recipe with parameters as a word of a sentence."""
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/+# ()\[\]-]{0,199}")
"""A sample's id, as data sets give it; files are often called ``image (12).jpg``."""
LINK = re.compile(r"https://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?:/[A-Za-z0-9_.~/%?&=#:,+-]*)?")

_PRIVATE = {
    "a path": re.compile(
        r"(?:^|[\s\"'(\[,;:=])(?:/[\w.-]+){2,}|(?:^|[\s\"'(\[,;=])~[\w.-]*/|(?:^|[^A-Za-z])[A-Za-z]:[\\/]|\\\\\w"
        r"|(?:^|/)\.\.(?:/|$)|\bfile:/"
    ),
    "an e-mail address": re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"),
    "a DICOM identifier": re.compile(r"(?<![\d.])[0-2](?:\.\d{1,40}){5,}(?![\d.])"),
    "a date": re.compile(
        r"(?<![0-9A-Za-z])(?:(?:19|20)\d\d([-/. ]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])"
        r"|(?:0?[1-9]|[12]\d|3[01])[-/.](?:0?[1-9]|1[0-2])[-/.](?:19|20)\d\d"
        r"|(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01])/(?:19|20)\d\d)(?![0-9A-Za-z])"
    ),
}


def check_text(text: str, field: str = "text") -> str:
    """Return a text that people read if it holds letters, numbers, punctuation, blanks and recipes only.

    Raises:
        ValueError: If it is too long, could steer a terminal, a page or a spreadsheet, or mixes scripts in a word.
    """
    if len(text) > LONGEST:
        raise ValueError(f"{field} has {len(text)} characters; {LONGEST} are allowed")
    if text != unicodedata.normalize("NFC", text):
        raise ValueError(f"{field} is not in the Unicode form NFC")
    for character in text:
        if not _is_allowed(character) and character != "=":
            raise ValueError(
                f"{field} holds U+{ord(character):04X}; letters, numbers, punctuation and blanks are allowed"
            )
    if text != _without_stray_equals(text):
        raise ValueError(f"{field} holds U+003D outside a recipe; letters, numbers, punctuation and blanks are allowed")
    if text.startswith(tuple(FORMULA)):
        raise ValueError(f"{field} starts with {text[0]!r}, which a spreadsheet takes for a formula")
    for word in re.findall(r"[^\W\d_]+", text):
        scripts = {s for c in word for s in _SCRIPTS if unicodedata.name(c, "").startswith(f"{s} ")}
        if len(scripts) > 1:
            raise ValueError(f"{field} mixes {' and '.join(sorted(scripts)).title()} letters in one word")
    return text


def keep_allowed(text: str) -> str:
    """Return what :func:`check_text` allows of a text of our own, such as a reason; the rest is left out."""
    kept = "".join(c for c in unicodedata.normalize("NFC", text) if _is_allowed(c) or c == "=")
    return _without_stray_equals(
        _without_stray_equals(kept).lstrip(FORMULA)[:LONGEST]
    )  # what is cut is no recipe any more


def _is_allowed(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNP" or character == " "


def _without_stray_equals(text: str) -> str:
    """Drop "=" from words that are no recipe: alone it begins formulas and markup."""
    return " ".join(
        word if _RECIPE_WORD.fullmatch(word) and "//" not in word and "[/" not in word else word.replace("=", "")
        for word in text.split(" ")
    )


def strings(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """Yield every string of a JSON value, keys too, with the field it stands in."""
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield field, key
            yield from strings(inner, f"{field}.{key}" if field else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from strings(inner, f"{field}[{number}]")


def scan(member: str, value: Any, *, names: Collection[str] = ()) -> None:
    """Refuse a member that holds what must stay at home.

    Args:
        member: Its name.
        value: JSON value, or a list of sample ids.
        names: Words that must not occur, such as the host's name.

    Raises:
        Refused: MB912 with the field, without what stands in it.
    """
    if member == "method.json":  # links and a contact are given on purpose; authors may be called like their account
        value = {key: inner for key, inner in value.items() if key not in ("links", "contact")}
        names = ()
    own = re.compile("|".join(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])" for name in names) or r"(?!)", re.IGNORECASE)
    for field, text in strings(value):
        for what, pattern in {**_PRIVATE, "a name of this machine or its user": own}.items():
            if what == "a date" and member == "environment.json":
                continue  # versions of libraries may be dates
            if pattern.search(text):
                place = field.encode("unicode_escape").decode()[:120]
                raise Refused("MB912", f"{member}: {place or 'a key'} holds {what}; leave it out before publishing.")
