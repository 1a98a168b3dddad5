"""Texts of others as LaTeX shows them."""

from __future__ import annotations

import re
import unicodedata

_MINUS = re.compile(r"(?<![\w.)\]}-])-(?=\.?\d)")
_MARKS = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    # A star or a bracket right behind \\ would be read as its argument.
    | {c: f"{{{c}}}" for c in "[]*"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "`": r"\textasciigrave{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}"}
    | {"\u2212": r"\textminus{}", "\u00a0": " "}
)
_LIGATURES = re.compile(r"([-',])(?=\1)")  # two of them would become a dash or a quotation mark


def escape_latex(text: str) -> str:
    """Write a text so that LaTeX shows it as it is: no command, no ligature, no argument of what stands before it."""
    return _LIGATURES.sub(r"\1{}", text.translate(_MARKS))


def with_minus(text: str) -> str:
    """Compose the characters of a text, and write the sign before a number as a minus instead of a hyphen."""
    return _MINUS.sub("\u2212", unicodedata.normalize("NFC", text))
