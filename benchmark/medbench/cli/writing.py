"""How sentences are laid out: as wide as the terminal, whole in a pipe; what is to be pasted never breaks."""

from __future__ import annotations

import shutil
import sys
import textwrap

from medbench.text import clean


def fill(text: str, indent: str = "", *, first: str | None = None) -> str:
    """Break a sentence at blanks into lines of the terminal's width; in a pipe it stays one line.

    Args:
        text: The sentence.
        indent: Before each line.
        first: Before the first line instead.
    """
    first = indent if first is None else first
    if not sys.stdout.isatty():
        return first + clean(text)
    width = max(40, shutil.get_terminal_size().columns)
    return textwrap.fill(
        clean(text), width, initial_indent=first, subsequent_indent=indent, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
