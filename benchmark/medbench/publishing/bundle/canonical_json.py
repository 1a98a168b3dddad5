"""JSON in one form only: sorted keys, no blanks, NFC, finite numbers. What has another form is refused."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from medbench.publishing.refusals import Refused

DEPTH = 32
VALUES = 1_000_000
"""Commas and brackets of one document: a study of 5,000 trials has half as many, and a value takes some 100 bytes."""
DIGITS = 19  # of a whole number; Python takes quadratic time for longer ones

# Possessive, and one that is not closed ends with the text: so every quote is looked at once, whatever the text.
_STRING = re.compile(rb'"(?:[^"\\]|\\.|\\\Z)*+(?:"|\Z)', re.DOTALL)
_PLAIN = re.compile(rb"[^\[\]{},]+")


def dump(value: Any) -> bytes:
    """Write a JSON value in its canonical form.

    Raises:
        ValueError: For NaN, infinities, or halves of characters.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return unicodedata.normalize("NFC", text).encode()


def load(data: bytes, name: str, *, fix: str = "make the bundle again with `medbench bundle`") -> Any:
    """Read a JSON value that stands there in its canonical form.

    Args:
        data: At most a few megabytes; the caller bounds them.
        name: What errors call it.
        fix: What they advise; "" is nothing, for what is no part of a bundle.

    Raises:
        Refused: MB906 for anything else.
    """

    def refuse(why: str) -> Refused:
        return Refused("MB906", f"{name}: {why}" + (f"; {fix}." if fix else ""))

    _check_bounds(data, refuse)

    def pairs(found: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(found)
        if len(made) < len(found):
            raise refuse("has a key twice")
        return made

    def whole(text: str) -> int:
        if len(text.lstrip("-")) > DIGITS:
            raise refuse(f"has a whole number of {len(text)} digits")
        return int(text)

    def number(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise refuse("has a number that is not finite")
        return value

    def constant(text: str) -> None:
        raise refuse(f"has {text}, which JSON does not know")

    try:
        value = json.loads(
            data.decode(), object_pairs_hook=pairs, parse_int=whole, parse_float=number, parse_constant=constant
        )
    except UnicodeDecodeError:
        raise refuse("is not UTF-8") from None
    except ValueError as error:
        raise refuse(f"is not JSON ({str(error)[:80]})") from None
    try:
        canonical = dump(value)
    except ValueError:
        raise refuse("has half a character") from None
    if canonical != data:
        raise refuse("is not in canonical form (sorted keys, no blanks, NFC)")
    return value


def _check_bounds(data: bytes, refuse: Any) -> None:
    """Count brackets before a parser recurses into them."""
    structure = _PLAIN.sub(b"", _STRING.sub(b"", data))
    if len(structure) > VALUES:
        raise refuse(f"has more than {VALUES:,} values")
    depth = 0
    for character in structure:
        if character in b"[{":
            depth += 1
            if depth > DEPTH:
                raise refuse(f"is nested deeper than {DEPTH}")
        elif character in b"]}":
            depth -= 1
