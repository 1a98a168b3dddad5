"""Our nodules: pictures of one's own folder as a data set that others may ask for, so that results can be published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

import medbench


def folder() -> medbench.Dataset:
    """Return the reader of class folders, with the rule that finds a patient in a path."""
    return medbench.recipe("dataset", "folder[patient=(p[0-9]+)_]")


@dataclass(frozen=True)
class OurNodules:
    """Reads benign/p01_0.png and malignant/p00_0.png: patient 1, first image."""

    name: str = "our-nodules"
    size: int = 64
    modality: ClassVar[str] = "ultrasound"
    card: ClassVar[medbench.Card] = medbench.Card(
        title="Our nodules",
        licence="CC BY 4.0",
        citation="none yet",
        access="Write to the authors; the ethics board has agreed.",
        publish="predictions",
        layout="benign/*.png, malignant/*.png",
    )

    def index(self, root: Path) -> medbench.Index:
        """See :class:`medbench.Dataset`."""
        return folder().index(root)

    def read(
        self, root: Path, records: Sequence[medbench.Record], size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """See :class:`medbench.Dataset`."""
        return folder().read(root, records, size)

    def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
        """Draw synthetic test images in the same layout: bright squares for malignant ones."""
        rng = np.random.default_rng(seed)
        for patient in range(patients):
            label = rng.random() < 0.4
            shown = rng.random() < 0.4 if null else label
            place = root / ("malignant" if label else "benign")
            place.mkdir(parents=True, exist_ok=True)
            for image in range(2):
                pixels = rng.normal(100, 30, (64, 64))
                pixels[20:44, 20:44] += 30 * shown
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / f"p{patient:03d}_{image}.png")


@medbench.hookimpl
def register_datasets() -> list[medbench.Dataset]:
    """Return what this plugin provides."""
    return [OurNodules()]
