"""The check of data sets catches one that breaks the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import medbench
from medbench.testing import CHECKS


@dataclass(frozen=True)
class Dataset:
    """Honest unless told otherwise: `change` meets every picture that is read."""

    change: Callable[[np.ndarray, int], Any] = lambda image, row: image
    drops: int = 0
    mask_size: int = 16
    name: str = "cheat"
    size: int = 16
    card: ClassVar[medbench.Card] = medbench.Card("Cheat", "CC0", "none", "none", "nothing")

    def index(self, root: Path) -> medbench.Index:
        records = tuple(
            medbench.Record(f"i{i}", ("all.npy",), i % 2, f"p{i}") for i in range(len(np.load(root / "all.npy")))
        )
        return medbench.Index(records, ("no", "yes"), 1, 2)

    def read(self, root: Path, records: Any, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        x = np.load(root / "all.npy")
        for row, record in enumerate(records[: len(records) - self.drops]):
            mask = np.zeros((self.mask_size, self.mask_size), dtype=np.uint8)
            yield self.change(x[int(record.id[1:])], row), mask

    def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
        x = np.random.default_rng(seed).integers(0, 200, (patients, 1, 16, 16), dtype=np.uint8)
        np.save(root / "all.npy", x)


@pytest.mark.parametrize(
    ("dataset", "says"),
    [
        (Dataset(lambda image, row: image / 255), "was read as float64"),
        (Dataset(lambda image, row: image[0]), r"was read as uint8 \(16, 16\)"),
        (Dataset(lambda image, row: image + np.uint8(row)), "read otherwise alone"),
        (Dataset(drops=1), "2 images for 3 records"),
        (Dataset(mask_size=8), r"the mask of i0 is \(8, 8\)"),
    ],
)
def test_a_data_set_that_cheats_is_caught(dataset: Dataset, says: str, tmp_path: Path) -> None:
    with pytest.raises(medbench.ContractError, match=says):
        CHECKS["dataset"](dataset, tmp_path)


@pytest.mark.parametrize("error", [medbench.DataError, medbench.UsageError])
def test_a_data_set_that_draws_nothing_is_not_checked_further(error: type[Exception], tmp_path: Path) -> None:
    class Undrawn(Dataset):
        def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
            raise error("none are drawn")

    with pytest.raises(medbench.Skip, match="draws no synthetic images, so nothing more is checked"):
        CHECKS["dataset"](Undrawn(), tmp_path)


def test_an_honest_data_set_passes(tmp_path: Path) -> None:
    CHECKS["dataset"](Dataset(), tmp_path)
