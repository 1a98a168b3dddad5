"""Text and numbers for people: what others wrote is cleaned, cut, padded and wrapped here, gains and times written."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

WIDTH = 80
JOINTS = "-_/"
"""Where a word may be broken that is longer than a line."""
_OF_ONE = {"are": "is", "carry": "carries", "have": "has", "were": "was"}


def clean(text: str) -> str:
    """Drop control and formatting characters and halves of characters, so that a name cannot steer a terminal."""
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))


def of_class(number: int, name: str) -> str:
    """Write how many there are of a class: ``52 benign``, and ``8 of class 3`` where its name begins like a number."""
    return f"{number:,} of class {name}" if name[:1].isdigit() else f"{number:,} {name}"


def counted(number: int, noun: str, verb: str = "") -> str:
    """Write how many of a thing there are: ``1 image``, ``1,200 images``, ``1 case has``, ``2 cases have``.

    Args:
        number: How many.
        noun: For one of them.
        verb: For several of them; "" for none.
    """
    if number == 1:
        one = _OF_ONE.get(verb, f"{verb}s")
        return f"1 {noun} {one}" if verb else f"1 {noun}"
    plural = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"
    return f"{number:,} {plural} {verb}".rstrip()


def columns(text: str) -> int:
    """Count the columns a text takes on a terminal, as the tables that rich draws count them."""
    if text.isascii() and text.isprintable():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def cut(text: str, width: int) -> str:
    """Return as much of a text as `width` columns hold."""
    end = len(text)
    while columns(text[:end]) > width:
        end -= 1
    return text[:end]


def pad(text: str, width: int) -> str:
    """Fill a text up to `width` columns; a minus sign aligns it to the right, as a negative width."""
    return text + " " * (width - columns(text)) if width > 0 else " " * (-width - columns(text)) + text


def wrapped(text: str, width: int = WIDTH - 1) -> list[str]:
    """Break a sentence into lines with a blank before each; what is wide counts twice.

    A word that is longer than a line is broken behind a hyphen, an underscore or a slash, and elsewhere only where it
    has none.
    """
    lines = [""]
    for word in clean(text).split(" "):
        while columns(word) >= width:
            head = _head(word, width - 1)
            lines.append(f" {head}")
            word = word[len(head) :]
        if columns(lines[-1]) + columns(word) + 1 > width:
            lines.append("")
        lines[-1] += f" {word}"
    return [f" {line.strip()}" for line in lines if line.strip()]


def _head(word: str, width: int) -> str:
    """Return how much of a long word stands on a line."""
    most = cut(word, width)
    end = max(most.rfind(mark) for mark in JOINTS) + 1
    return most[:end] if end > 1 else most


def longest_piece(text: str) -> int:
    """Count the columns of the longest piece of a text that :func:`wrapped` does not break where the line holds it."""
    for mark in JOINTS:
        text = text.replace(mark, f"{mark} ")
    return max(map(columns, text.split(" ")))


def listed(texts: Sequence[str]) -> str:
    """Write ``50, 100 and 300``."""
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def duration(seconds: float) -> str:
    """Write a time in at most three digits: ``41 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"


def points(value: float) -> str:
    """Write a gain in points, signed: ``+1.4``."""
    return f"{100 * value:+z.1f}"


def auroc_text(value: float) -> str:
    """Write a gain in AUROC, signed, without the zero before the point: ``+.012``."""
    return f"{value:+z.3f}".replace("0.", ".", 1)


def printed(value: float) -> float:
    """Return a gain in points as tables print it, to one digit."""
    return float(f"{100 * value:.1f}")
