"""Line numbers of keys in TOML text, and its syntax errors, for messages that name a line."""

from __future__ import annotations

import re
from collections.abc import Iterator


def line_of(text: str, place: str) -> str:
    """Return ``:line:column`` of a key such as ``published.0.arm``, or of what holds it; empty where neither is."""
    keys = list(_keys(text))
    while place:
        for key, number, column in keys:
            if key == place:
                return f":{number}:{column}"
        place = place.rpartition(".")[0]  # it may stand inside an inline table
    return ""


def not_toml(problem: str, text: str, source: str) -> str:
    """Say in one sentence why a text is not TOML; a key given twice is named with both its lines."""
    message, _, rest = problem.partition(" (at ")
    at = re.fullmatch(r"line (\d+), column (\d+)\)", rest)
    place = f"{source}:{at[1]}:{at[2]}" if at else source
    if at and message.startswith(("Cannot overwrite", "Cannot declare")):
        keys = {number: key for key, number, _ in _keys(text)}
        again = keys.get(int(at[1]), "")
        first = next((n for n, key in keys.items() if key == again and n < int(at[1])), None)
        if first is not None:
            return f"{place}: {again!r} is given twice, first in line {first}; leave one out."
    return f"{place}: is not TOML: {message[:1].lower()}{message[1:]}; mend that line."


def _keys(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the keys and tables of a TOML text that stand at the start of a line, with line and column.

    The tables of a list are numbered: ``published.0``, ``published.1``.
    """
    table, of_list = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), start=1):
        if match := re.match(r"""\s*(\[{0,2})\s*([\w."'-]+(?:\s*\.\s*[\w."'-]+)*)\s*[=\]]""", line):
            name = re.sub(r"""[\s"']""", "", match[2])
            if match[1] == "[[":
                of_list[name] = of_list.get(name, -1) + 1
                name = f"{name}.{of_list[name]}"
            if match[1]:
                table = name
            yield f"{table}.{name}" if table and not match[1] else name, number, match.start(2) + 1
