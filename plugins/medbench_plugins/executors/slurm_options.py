"""What the further options of sbatch say of time and memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_UNITS = {"K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}


def values(words: Sequence[str], long: str, short: str = "") -> Iterator[str]:
    """Yield the values of an option of sbatch, however it is written: ``--time=5``, ``--time 5``, ``-t5``, ``-t 5``."""
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word in (long, short):
            yield following
        elif word.startswith(f"{long}="):
            yield word.partition("=")[2]
        elif short and re.match(rf"{short}[^-]", word):
            yield word[2:].removeprefix("=")


def shortest_time(words: Sequence[str]) -> tuple[float, str] | None:
    """Return the least time that options give a job, in seconds and as it is written; None where they give none."""
    asked = {option: text for option, short in (("--time", "-t"), ("--time-min", ""))
             for text in values(words, option, short)}  # fmt: skip
    found = [(seconds, f"{option}={text}") for option, text in asked.items() if (seconds := seconds_of(text)) > 0]
    return min(found, default=None)


def seconds_of(text: str) -> float:
    """Return the seconds of a time as sbatch reads it, ``[days-]hours:minutes:seconds`` and shorter; 0 for no limit."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if match is None:
        return 0.0
    days, first, second, third = (int(part) if part else 0 for part in match.groups())
    if match[1] is not None or match[4] is not None:  # hours come first
        return float(days * 86400 + first * 3600 + second * 60 + third)
    return float(first * 60 + second)


def memory(words: Sequence[str]) -> tuple[str, float] | None:
    """Return the option that gives a job memory, and its megabytes; None where there is none or it gives all."""
    for option in ("--mem", "--mem-per-cpu", "--mem-per-gpu"):
        for text in list(values(words, option))[-1:]:
            match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)B?", text.strip(), re.IGNORECASE)
            if match is not None and (megabytes := float(match[1]) * _UNITS[match[2].upper() or "M"]) > 0:
                return option, megabytes
    return None
