"""Predictions of many stored trials, read at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from medbench import sealed_records
from medbench.store.trial_files import TESTED, WATCHED, Stored, read_bytes, read_predictions
from medbench.trial.trial import Predictions

if TYPE_CHECKING:
    import polars  # it starts threads, so only where files are read

FILES = 500  # in memory at once
ROWS_OF = {TESTED: "test", WATCHED: "validation"}


@dataclass
class PredictionReader:
    """Reads the predictions of many trials, arm after arm.

    Arms are tested on the same images: what stands in the columns of their names is kept once, trials of one fold share
    one array, and the names of an arm that are those of the arm before it are not made into text again.
    """

    _columns: dict[str, tuple[polars.Series, list[int], list[np.ndarray]]] = field(default_factory=dict)
    _texts: dict[bytes, np.ndarray] = field(default_factory=dict)

    def read(self, rows: Sequence[Stored], name: str = TESTED) -> list[Predictions]:
        """Read the predictions of trials at once, in the order given: TESTED or WATCHED.

        Five times as quick as one by one: 10,000 files take 0.7 s of CPU.

        Raises:
            StoreError: If a file is missing or damaged.
        """
        import polars

        try:
            lengths = [row.counts[ROWS_OF[name]] for row in rows]
            tables = [
                polars.scan_parquet([_content(row, name) for row in rows[start : start + FILES]], glob=False).collect()
                for start in range(0, len(rows), FILES)
            ]
            table = polars.concat(tables)
            if sum(lengths) != table.height:
                raise ValueError("a trial with other rows than it tested")
            columns = sorted((c for c in table.columns if re.fullmatch(r"p\d+", c)), key=lambda c: int(c[1:]))
            ids, patients = (self._split(column, table[column], lengths) for column in ("id", "patient"))
            ends = np.cumsum(lengths)[:-1]
            labels = np.split(table["label"].to_numpy(), ends)
            p = np.split(np.column_stack([table[column].to_numpy() for column in columns]), ends)
            united = "group" in table.columns
            groups = self._split("group", table["group"], lengths) if united else [None] * len(rows)
            return [Predictions(*part) for part in zip(ids, patients, labels, p, groups, strict=True)]
        except (OSError, KeyError, sealed_records.Damaged, polars.exceptions.PolarsError, ValueError):
            return [read_predictions(row, name) for row in rows]  # says which one; trials may have other columns

    def _split(self, name: str, column: polars.Series, lengths: list[int]) -> list[np.ndarray]:
        known = self._columns.get(name)
        if known is None or known[1] != lengths or not known[0].equals(column):
            texts = np.split(column.to_numpy().astype(np.str_), np.cumsum(lengths)[:-1])
            shared = [self._texts.setdefault(text.dtype.str.encode() + text.tobytes(), text) for text in texts]
            known = self._columns[name] = (column, lengths, shared)
        return known[2]


def _content(row: Stored, name: str) -> bytes:
    content = read_bytes(f"{row.folder}/{name}")
    sealed_records.check(row.folder, row.sums, name, content=content)
    return content
