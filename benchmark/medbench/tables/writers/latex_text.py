"""Texts of others as LaTeX shows them, and how wide they are.

Widths are those of Computer Modern and a little more, in em of the size that tables are set in, since only an engine
knows the font of the document.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import accumulate

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
WHOLE, PIECE = 16, 8  # a longer word without a place to break is broken into pieces
_PLACES = re.compile(r"(?<=[:/_=;@\])}|+-])(?=[^\s:/_=,.;@\])}|+-])|(?<=[,.])(?=[^\W\d])|(?=[\[({])|(?<=[\[({])")
LETTER, UNKNOWN = 110, 550  # hundredths of an em of a letter with an accent, and of [U+4E2D]
CHARACTER = (
    r"\def\medbenchcharacter#1#2{\ifcsname u8:\detokenize{#1}\endcsname\else"
    r"\expandafter\def\csname u8:\detokenize{#1}\endcsname{[U+#2]}\fi}"
)
"""Defines a character under the name by which inputenc calls it, unless it is defined."""
_BEYOND = re.compile(r"[^\x00-\u017f\u2212]")
_RUNS = re.compile(r"[\x00-\u017f\u2212]+|.", re.DOTALL)  # what has no width that we know stands alone
_SHORT = 12  # a word as short as this is never broken
_WIDTHS = {  # hundredths of an em, of ecrm0800
    c: width
    for width, found in {
        30: "!',.:;[]`il|", 32: "fj", 35: "-", 36: " ", 38: "I", 41: "()rt", 42: "s", 47: "cez", 50: "?", 55: "J",
        53: '"$*/0123456789\\ago{}', 56: "kqvxy", 59: "Sbdhnpu", 65: "Z^~", 66: "L", 69: "F", 72: "EP", 75: "B",
        77: "CTw", 78: "R", 80: "AHNUVXY", 81: "D", 83: "&+<=>@GKOQ_\u2212", 89: "#%m", 97: "M", 109: "W",
    }.items()
    for c in found
}  # fmt: skip


def escape_latex(text: str) -> str:
    """Write a text so that LaTeX shows it as it is: no command, no ligature, no argument of what stands before it."""
    return _LIGATURES.sub(r"\1{}", text.translate(_MARKS))


def with_minus(text: str) -> str:
    """Compose the characters of a text, and write the sign before a number as a minus instead of a hyphen."""
    return _MINUS.sub("\u2212", unicodedata.normalize("NFC", text))


def tex(text: str, room: float | None = None) -> str:
    """Write a text so that LaTeX shows it as it is, and may break its long words.

    A minus sign before a number becomes one. Characters that the engine may not know are left to :func:`characters`.

    Args:
        text: Without control characters.
        room: Where it is wider than so many em, its end is left out.
    """
    kept = cut_to_width(with_minus(text), room) if room else with_minus(text)
    words = [r"\allowbreak{}".join(map(escape_latex, pieces(word))) for word in kept.split(" ")]
    return " ".join(words)


def pieces(word: str) -> list[str]:
    """Return the parts of a word that may stand on lines of their own: behind punctuation, at last anywhere."""
    if len(word) <= _SHORT and not _BEYOND.search(word):
        return [word]
    found = []
    for part in _PLACES.split(word):
        for run in _RUNS.findall(part):
            size = len(run) if len(run) <= WHOLE else PIECE
            found += [run[start : start + size] for start in range(0, len(run), size)]
    return found


def characters(text: str) -> Iterator[str]:
    r"""Yield a line for each character beyond ASCII in `text`: what to show where the engine does not know it.

    An engine of 8 bits, as pdfLaTeX, stops at such a character. Those it knows, from inputenc or from a package of the
    document, stay as they are, and engines that read Unicode never use what these lines define.
    """
    beyond = sorted({c for c in text if not c.isascii()})
    if beyond:
        yield CHARACTER
    for c in beyond:
        yield rf"\medbenchcharacter{{{c}}}{{{ord(c):04X}}}"


def ems(text: str) -> float:
    """Return about how wide a text is, in em, rather more than less."""
    return 0.0105 * sum(_WIDTHS.get(c, UNKNOWN if _BEYOND.match(c) else LETTER) for c in text)


def cut_to_width(text: str, width: float) -> str:
    """Leave out the end of a text that is wider than so many em."""
    ends = [n for n, taken in enumerate(accumulate(map(ems, text)), start=1) if taken > width]
    return f"{text[: ends[0] - 1]}..." if ends else text
