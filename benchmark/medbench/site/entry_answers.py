"""The answer of a published table, by the functions that a terminal and a report take theirs from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medbench.boards.gains import Judged
from medbench.registry.display_names import is_of_copies
from medbench.site import protocol_pages
from medbench.site.data_cards import data_name
from medbench.site.order_entries import requested_arms, table_line, unit_of
from medbench.site.read_entries import Published
from medbench.site.stored_sentences import in_plain_words
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.verdicts import WORDS, Evidence, Verdict, is_open, open_auroc
from medbench.tables.answer import Compared, largest_of, sentence_of
from medbench.tables.wording import barely_trained
from medbench.text import counted, listed

NOT_KNOWN = float("nan")
"""Stands for what an entry does not tell of an interval."""


def answer_of_table(published: Published, board: Mapping[str, Any]) -> list[str]:
    """Return what is said above a table of an entry: the answer, the largest effect, why there is no verdict.

    Args:
        published: The entry.
        board: The table's JSON values.

    Returns:
        Sentences; none where nothing is compared.
    """
    asked = requested_arms(published, board)
    rows = [row for row in board["rows"] if row["control"] is not None and not row["plain"]]
    compared = [_compared(published, board, row, any(row is one for one in asked)) for row in rows]
    sentence, largest = sentence_of(compared, worth=published.entry["study"]["worth"]), largest_of(compared)
    practice = [text for text in map(in_plain_words, board["sentences"]) if text.startswith("Practice run")]
    why = [*dict.fromkeys(one.judged.verdict.withheld for one in compared)]
    why += [] if any("Practice run" in text for text in why) else practice[:1]
    steps = published.entry["study"]["budget"].get("steps")
    training = barely_trained(int(steps)) if isinstance(steps, int | float) and (sentence or largest) else ""
    said = [sentence or largest, "" if largest in sentence else largest, training, *why]
    return [text for text in dict.fromkeys(said) if text]


def answer_of_entry(published: Published, boards: Sequence[Mapping[str, Any]]) -> str:
    """Say what the tables of an entry show together.

    Args:
        published: The entry.
        boards: JSON values of its tables, in the order in which they are shown.

    Returns:
        One sentence; "" where there is one table, or none that compares something and leaks nothing.
    """
    honest = [board for board in boards if not board["leaks"]]
    asked = [_compared(published, board, row, True) for board in honest for row in requested_arms(published, board)]
    words = [one.judged.verdict.word for one in asked if one.judged.gain is not None]
    if len(honest) < 2 or not words:
        return ""
    unit = unit_of(honest[0])
    sizes = list(dict.fromkeys(protocol_pages.training_size(board["protocol"], unit) for board in reversed(honest)))
    sizes = [size.removesuffix(f" training {unit}s") for size in sizes[:-1]] + sizes[-1:]
    sets = list(dict.fromkeys(data_name(board["dataset"]) for board in honest))
    where = f" of {listed(sets)}" if len(sets) > 1 else f" ({listed(sizes)})" if len(sizes) > 1 else ""
    counts = [f"{n} {WORDS[word].text}" for word in WORDS if (n := words.count(word))]
    counts += [f"{n} without a verdict"] if (n := words.count("")) else []
    shown = f"{words.count('better') or 'none'} of {counted(len(words), 'comparison')} showed a gain"
    return f"In all {len(honest)} tables together{where} {shown}: {listed(counts)}."


def _compared(published: Published, board: Mapping[str, Any], row: Mapping[str, Any], asked: bool) -> Compared:
    line, study = table_line(row), published.entry["study"]
    gain = _interval(row["gain_low"], row["gain"], row["gain_high"]) if line.span is not None else None
    evidence = Evidence(
        folds=protocol_pages.folds(board["protocol"], study["folds"]),
        repeats=study["repeats"],
        planned=row["planned"],
        settled=row["done"] + row["failed"],
        rare=min(board["class_patients"], default=0),
        patients=board["patients"],
        failed=row["failed"],
        skipped=row["skipped"],
    )
    auroc = NOT_KNOWN if row["gain_auroc"] is None else row["gain_auroc"]
    ends = row.get("gain_auroc_low"), row.get("gain_auroc_high")
    area = None if None in ends else _interval(ends[0], auroc, ends[1])  # type: ignore[arg-type]
    note = open_auroc(auroc, (area.low, area.high)) if area and is_open((area.low, area.high)) else ""
    verdict = Verdict(line.word, "" if line.word else line.why, note if line.word == "better" else "")
    beside = is_of_copies(row["augmenter"]) or is_of_copies(row["control"] or "-")
    return Compared(line.name, line.control, Judged(gain, auroc, evidence, verdict, area), asked, beside)


def _interval(low: float, value: float, high: float) -> Interval:
    return Interval(value, NOT_KNOWN, low, high, NOT_KNOWN, NOT_KNOWN, 0, NOT_KNOWN, NOT_KNOWN, 0, NOT_KNOWN)
