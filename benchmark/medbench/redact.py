"""What messages of plugins and libraries may pass on: no id of an image or patient, and no path of the machine.

An exception is worded by whoever raised it, and often holds what it stumbled over: the name of a file, which may be a
patient's, or the folder of a person. It goes to the terminal, a log and ``failure.json``, which people send around.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import PurePath

LONGEST = 300
"""Characters of a message that are kept."""
OF_CODE = frozenset({".py", ".so", ".toml", ".safetensors", ".pt", ".pth", ".ckpt", ".bin"})
"""Endings of files whose names say nothing of a patient, and much to whoever looks for the fault."""
_PATH = re.compile(r"(?<![\w.~/])(?:~|[A-Za-z]:)?(?:[/\\](?:[^\s/\\'\"()<>|:;,\[\]]|:(?=\w))+){2,}[/\\]?")


def sentence(text: str, names: Collection[str] = ()) -> str:
    """Return the first line of a message, cut to LONGEST characters, without names and paths."""
    lines = text.strip().splitlines()
    return without_names(without_paths(lines[0]), names)[:LONGEST] if lines else "no message"


def without_names(text: str, names: Iterable[str]) -> str:
    """Replace every name that stands in a text by itself, as a word or a part of a path, by a placeholder.

    Short numbers and single letters stay: they are counts and shapes more often than somebody's id, and tell little.
    """
    found = {part for name in names for part in _parts(name) if part in text}
    for name in sorted(found, key=len, reverse=True):
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", "<id>", text)
    return text


def _parts(name: str) -> Iterator[str]:
    for part in {name, name.rpartition("/")[2], name.partition(":")[2], PurePath(name).stem}:
        if len(part) > 2 and not (part.isdigit() and len(part) < 5):
            yield part


def without_paths(text: str) -> str:
    """Replace absolute paths: of code by its last two parts, of anything else by a placeholder."""
    return _PATH.sub(_shorten, text)


def _shorten(found: re.Match[str]) -> str:
    parts = [part for part in re.split(r"[/\\]", found.group()) if part]
    if PurePath(parts[-1]).suffix.partition(":")[0] in OF_CODE:
        return "/".join(["...", *parts[-2:]] if len(parts) > 2 else ["...", parts[-1]])
    return "<path>"
