"""What the ledger says of each entry: its rows, and the tier in force."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medbench.publishing.entries import ledger
from medbench.publishing.entries.ledger import Row
from medbench.publishing.refusals import Refused


@dataclass(frozen=True)
class History:
    """What happened to an entry.

    Attributes:
        rows: Its rows of the ledger, the oldest first.
        replaces: Entries that were withdrawn in favour of this one.
    """

    rows: tuple[Row, ...]
    replaces: tuple[str, ...] = ()

    @property
    def tier(self) -> str:
        """The tier in force: that of the last row."""
        return self.rows[-1].tier

    @property
    def is_ranked(self) -> bool:
        """Whether its numbers may be ranked."""
        return self.tier in ("recomputed", "reproduced")

    @property
    def replaced_by(self) -> str:
        """The entry that stands in this one's place; "" where there is none."""
        return self.rows[-1].replaced_by


def histories(path: Path) -> dict[str, History]:
    """Sort the rows of a ledger by entry.

    Raises:
        Refused: MB950 with the number of the first row that breaks the chain, or that cannot follow those of its entry.
    """
    found: dict[str, tuple[Row, ...]] = {}
    for row in ledger.rows(path):
        before = found.get(row.entry, ())
        why = ledger.why_impossible(row, before)
        if row.replaced_by and (row.replaced_by == row.entry or row.replaced_by not in found):
            why = why or f"names {row.replaced_by} as the better entry, which was not published before"
        if why:
            raise Refused("MB950", f"{path}: row {row.row} {why}; restore the ledger from its history.")
        found[row.entry] = (*before, row)
    better: dict[str, list[str]] = {}
    for entry, rows in found.items():
        better.setdefault(rows[-1].replaced_by, []).append(entry)
    return {entry: History(rows, tuple(better.get(entry, ()))) for entry, rows in found.items()}
