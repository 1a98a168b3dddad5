"""What the ledger says of each entry: its rows, and the tier in force."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medbench.publishing import ledger
from medbench.publishing.ledger import Row
from medbench.publishing.refusals import Refused

LEDGER = "ledger.jsonl"


@dataclass(frozen=True)
class History:
    """What happened to an entry.

    Attributes:
        rows: Its rows of the ledger, the oldest first.
    """

    rows: tuple[Row, ...]

    @property
    def tier(self) -> str:
        """The tier in force: that of the last row."""
        return self.rows[-1].tier

    @property
    def is_ranked(self) -> bool:
        """Whether its numbers may be ranked."""
        return self.tier in ("recomputed", "reproduced")


def histories(path: Path) -> dict[str, History]:
    """Sort the rows of a ledger by entry.

    Raises:
        Refused: MB950 with the number of the first row that breaks the chain, or that cannot follow those of its entry.
    """
    found: dict[str, tuple[Row, ...]] = {}
    for row in ledger.rows(path):
        before = found.get(row.entry, ())
        if why := _impossible(row, before):
            raise Refused("MB950", f"{path}: row {row.row} {why}; restore the ledger from its history.")
        found[row.entry] = (*before, row)
    return {entry: History(rows) for entry, rows in found.items()}


def _impossible(row: Row, before: tuple[Row, ...]) -> str:
    """Say why a row cannot follow those of its entry; "" where it can."""
    if row.bundle[:16] != row.entry:
        return "names another bundle than its entry's"
    if (row.event == "published") != (not before):
        return "publishes an entry twice" if before else f"says {row.event} of an entry that was not published"
    if row.event == "published" and row.tier not in ("claimed", "recomputed"):
        return f"publishes an entry as {row.tier}"
    if row.event == "withdrawn" and row.tier != "withdrawn":
        return f"withdraws an entry, and its tier is {row.tier}"
    if row.tier == "reproduced" and not any(r.event == "reproduced" for r in (*before, row)):
        return "calls an entry reproduced that nobody reproduced"
    return ""
