"""``medbench.claim``: a published gain examined from its figures alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medbench.analyses.claim import ExaminedClaim, examine
from medbench.analyses.claim_facts import read_claim, read_claims
from medbench.errors import UsageError
from medbench.tables.claim import render, to_json, values

FOLDER = "claims"
"""Beside a study's file: what was claimed in NAME.toml."""


@dataclass(frozen=True, eq=False)
class Claims:
    """Claims that were examined; printed, they are what ``medbench claim`` prints.

    Attributes:
        found: Each with its facts and what its figures say.
    """

    found: tuple[ExaminedClaim, ...]

    @property
    def values(self) -> list[dict[str, Any]]:
        """Plain values of each, as in JSON: gains in points, probabilities and shares from 0 to 1."""
        return [values(one) for one in self.found]

    def write(self, form: str = "table") -> str:
        """Return them as text.

        Args:
            form: "table" (a terminal) or "json".

        Raises:
            UsageError: For another format.
        """
        if form not in ("table", "json"):
            raise UsageError(f"claims have no format {form!r}; there are: table, json.")
        return to_json(self.found) if form == "json" else render(self.found)

    def __str__(self) -> str:
        return self.write()


def claim(before: str | float | None = None, after: str | float | None = None, **facts: Any) -> Claims:
    """Examine a published gain from its figures alone: no images, no predictions.

    ``medbench.claim("70.0", "99.3", n=192, comparisons=12)`` says how probable it is that there is no gain, how many
    images would tell it, and which leaks the publication admits.

    Args:
        before: Figure of the method that it is compared with, as it was published: percent, or a share up to 1. As a
            text, its digits say how exactly it is known.
        after: Figure of the method that is said to be better.
        facts: Options of ``medbench claim`` by name: n, n_to, metric, classes, agreement, correlation, patients,
            split_by, comparisons, selected_on, augmented_before_split, synthetic_scored, fitted_on_all,
            longer_training, worth, about, source, note.

    Raises:
        UsageError: For facts that are unknown, out of range, or contradict each other.

    Source:
        Each formula with its own, in :mod:`medbench.statistics.claimed_gain`.
    """
    return Claims((examine(read_claim({"from": before, "to": after, **facts})),))


def claims_in(path: Path) -> Claims:
    """Examine every claim of a TOML file.

    Raises:
        UsageError: If it cannot be read, or a claim in it is wrong.
    """
    return Claims(tuple(map(examine, read_claims(path))))


def claim_files(studies: Sequence[Path]) -> dict[str, Path]:
    """Return the files of claims that stand in a folder ``claims`` beside the files of studies, by name."""
    folders = dict.fromkeys(path.parent / FOLDER for path in studies)
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}
