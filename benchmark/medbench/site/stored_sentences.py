"""Sentences that older versions stored in entries and ledgers, in the words of today.

An entry is never edited, so what stands in it keeps the words of the version that wrote it. Pages show these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from medbench.tables.wording import SYNTHETIC

_Said = str | Callable[[re.Match[str]], str]
_SENTENCES: tuple[tuple[str, _Said], ...] = (
    (r"chance [\d.]+(    .*)?", ""),  # a row of the table says it
    (r"REHEARSAL: a verdict takes at least (\d+) folds x (\d+) repeats\.",
     r"Practice run, so no verdict: a verdict needs \1-fold cross-validation repeated \2 times."),
    (r"REHEARSAL: a verdict takes at least (\d+) repeats\.",
     r"Practice run, so no verdict: a verdict needs \1 repeats."),
    (r"PHANTOM DATA: .*", SYNTHETIC),
    (r"Can't tell\. (.+?) gains \S+ over (.+?) \([-+][\d.]+ to .*\. This design sees ([\d.]+) points or more"
     r"(?:; seeing ([\d.]+) takes about ([\d,]+) such (\w+))?.*",
     lambda m: f"{m[1]} over {m[2]}: a gain of {m[3]} points or more can be detected (80 % power)."
     + (f" Detecting a {m[4]}-point gain would need about {m[5]} {m[6]}." if m[4] else " More repeats would help.")),
    (r"(?:Yes: |No: )?.+ (?:gains|moves the threshold|is within|costs) .*", ""),  # the table's words say it
    (r"Ranges hold jointly for (\d+) comparisons?; (\d+) configurations? w\w+ ever scored here\..*",
     r"Simultaneous 95 % confidence intervals for \1 comparisons (max-t). \2 methods were tried on these folds so far. "
     "The gain is the one expected when training on this many similar patients. No method was tuned."),
    (r"One comparison; (\d+) configurations? w\w+ ever scored here\..*",
     r"One comparison. \1 methods were tried on these folds so far. No method was tuned."),
    (r"Made images that are copies of training images: (.*); up to 1 in 100 by chance\.",
     r"Generated images that are copies of training images: \1; up to 1 in 100 may be so by chance."),
    (r"! .*: mean brightness alone reaches AUROC (\.\d+).*",
     r"Warning: image brightness alone predicts the class with AUROC \1."),
    (r"! .*: the nearest training picture alone reaches AUROC (\.\d+).*",
     r"Warning: simply taking the label of the most similar training image gives AUROC \1."),
    (r"! (.*?): (.*)", r"Warning: \2"),
    (r"g  generator poor, says little about GANs: (.*)",
     r"g: poor generated images, so the row says little about GANs: \1"),
    (r"Still improving in more than half of the folds when training ended: (.*?)\.? See --check-steps\.",
     r"Training may have been too short: \1 still improved at its end in more than half of the folds."),
    (r"skipped (.*?): (.*)", r"Not run: \1: \2."),
    (r"PROTOCOL .* LEAKS by design, never ranked: (.*)", r"This protocol is LEAKY on purpose and gets no verdict: \1."),
    (r"The protocol LEAKS by design: (.*)\. Numbers, no verdict\.",
     r"The protocol is LEAKY on purpose (\1), so no verdict."),
    (r"(\d+ of \d+) cells done: no verdict yet\.", r"\1 training runs done: no verdict yet."),
    (r"(.*), more than one cell in (\d+): no verdict\.",
     r"\1 training runs failed, more than one in \2, so no verdict."),
    (r"(\d+) of (\d+) cells of its control failed: no verdict\.",
     r"\1 of \2 training runs of the method above it failed, so no verdict."),
    (r"(.*) of the rarest class: numbers, no verdict\.", r"Only \1 of the rarest class, so no verdict."),
)  # fmt: skip


def in_plain_words(sentence: str) -> str:
    """Return a stored sentence in the words of today; "" where the table says it; any other sentence as it is."""
    for pattern, said in _SENTENCES:
        if found := re.fullmatch(pattern, sentence):
            return said(found) if callable(said) else found.expand(said)
    return sentence


def notes(sentences: Iterable[str], names: Mapping[str, str]) -> list[str]:
    """Return the sentences under a table of an entry in the words of today, warnings first, each once.

    Args:
        sentences: As the entry has them.
        names: What people read, by the short name that those sentences use for a method.
    """
    kept = list(sentences)
    if any(text.startswith("Guessing gives ") for text in kept):  # written by a version that speaks as today
        return sorted(dict.fromkeys(kept), key=lambda text: not text.startswith("Warning"))
    said = dict.fromkeys(filter(None, map(in_plain_words, kept)))
    each = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    place = re.compile(rf"(?<![\w(])({each})(?= over | [\d,]+ of |: |, | still )|(?<= over )({each})(?=: )")
    replaced = [place.sub(lambda found: names[found[0]], text) for text in said] if names else list(said)
    return sorted(replaced, key=lambda text: not text.startswith("Warning"))
