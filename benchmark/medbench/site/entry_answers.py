"""The answer of a published table, by the functions that a terminal and a report take theirs from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medbench.boards.gains import Judged
from medbench.site import protocol_pages
from medbench.site.order_entries import requested_arms, table_line
from medbench.site.read_entries import Published
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.verdicts import Evidence, Verdict
from medbench.tables.answer import Compared, largest_of, sentence_of

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
    why = dict.fromkeys(one.judged.verdict.withheld for one in compared)
    said = [sentence or largest, "" if largest in sentence else largest, *why]
    return [text for text in dict.fromkeys(said) if text]


def _compared(published: Published, board: Mapping[str, Any], row: Mapping[str, Any], asked: bool) -> Compared:
    line, study = table_line(row), published.entry["study"]
    gain = None
    if line.span is not None:
        low, value, high = row["gain_low"], row["gain"], row["gain_high"]
        gain = Interval(value, NOT_KNOWN, low, high, NOT_KNOWN, NOT_KNOWN, 0, NOT_KNOWN, NOT_KNOWN, 0, NOT_KNOWN)
    evidence = Evidence(
        folds=protocol_pages.folds(board["protocol"], study["folds"]),
        repeats=study["repeats"],
        planned=row["planned"],
        settled=row["done"] + row["failed"],
        rare=min(board["class_patients"], default=0),
        patients=board["patients"],
        failed=row["failed"],
    )
    auroc = NOT_KNOWN if row["gain_auroc"] is None else row["gain_auroc"]
    verdict = Verdict(line.word, "" if line.word else line.why)
    return Compared(line.name, line.control, Judged(gain, auroc, evidence, verdict), asked)
