"""A data set of one file a picture, for tests of decoding; worker processes import it from here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import medbench

Pair = tuple[np.ndarray, np.ndarray | None]
CARD = medbench.Card("T", "CC0", "none", "none", "pictures")


@dataclass(frozen=True)
class Pictures:
    """One npy a picture, named PATIENT_LABEL_NUMBER.npy."""

    name: str = "pictures"
    size: int = 8
    card = CARD

    def index(self, root: Path) -> medbench.Index:
        records = []
        for path in sorted(root.glob("*.npy")):
            patient, label, _ = path.stem.split("_")
            records.append(medbench.Record(path.stem, (path.name,), int(label), patient))
        return medbench.Index(tuple(records), ("no", "yes"), 1, 2)

    def read(self, root: Path, records: Sequence[medbench.Record], size: int) -> Iterator[Pair]:
        for record in records:
            image = np.load(root / record.files[0])
            if image.max() == 7:
                raise medbench.DataError(f"{record.files[0]}: holds a seven; remove it.")
            yield np.resize(image, (1, size, size)), (image > 128).astype(np.uint8) if record.id.endswith("m") else None

    def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
        rng = np.random.default_rng(seed)
        for patient in range(patients):
            np.save(root / f"p{patient}_{patient % 2}_0.npy", rng.integers(0, 256, (8, 8), dtype=np.uint8))
