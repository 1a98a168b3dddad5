"""Small pictures for tests on devices: bright squares on noise, in two or three dimensions, with masks and a cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

import medbench

PATIENTS = 36
SIDES = {2: 16, 3: 12}  # generators take no less than 12 pixels


@dataclass(frozen=True)
class Dots:
    """Two classes by the size of a square; a picture a patient, two thirds of them for training."""

    name: str = "dots"
    dimensions: Literal[2, 3] = 2
    size: int = SIDES[2]

    card = medbench.Card("Dots", "CC0", "none", "medbench datasets phantom dots FOLDER", "pictures")

    def index(self, root: Path) -> medbench.Index:
        """Read the labels."""
        if not (root / "dots.npz").is_file():
            raise medbench.DataError(f"{root / 'dots.npz'}: is missing; write it with `medbench datasets phantom`.")
        labels = np.load(root / "dots.npz")["labels"].tolist()
        records = tuple(
            medbench.Record(f"i{i}", ("dots.npz",), k, f"p{i}", part="test" if i % 3 == 2 else "train")
            for i, k in enumerate(labels)
        )
        return medbench.Index(records, ("small", "large"), 1, self.dimensions)

    def read(
        self, root: Path, records: Sequence[medbench.Record], size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give the pictures as they are drawn; `size` must be theirs."""
        stored = np.load(root / "dots.npz")
        for record in records:
            i = int(record.id[1:])
            yield stored["x"][i], stored["masks"][i]

    def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
        """Draw all of them."""
        rng = np.random.default_rng(seed)
        labels = np.arange(PATIENTS) // 3 % 2
        side = SIDES[self.dimensions]
        spatial = (side,) * self.dimensions
        x = rng.integers(0, 60, (PATIENTS, 1, *spatial))
        masks = np.zeros((PATIENTS, *spatial), dtype=np.uint8)
        for i, label in enumerate(labels):
            place = tuple(slice(a, a + 3 + 4 * int(label)) for a in rng.integers(0, side - 8, self.dimensions))
            x[(i, 0, *place)] += 150
            masks[(i, *place)] = 1
        np.savez(root / "dots.npz", x=x.astype(np.uint8), labels=labels, masks=masks)


@medbench.hookimpl
def register_datasets() -> list[Any]:
    """Return both."""
    return [Dots(), Dots("cubes", 3, SIDES[3])]
