"""Features of every image of a data set under a fixed extractor: computed once, shared by all folds and methods.

Nothing is learnt from the images, so looking at held-out ones leaks nothing: an extractor turns each image into a row
that depends on that image alone. What is kept is found again by the bytes of an image, not by where it stands.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from medbench.errors import ContractError
from medbench.identity.identity import digest, identity
from medbench.interfaces import Budget, Context, Extractor, State
from medbench.samples import Samples

ROWS = 64
"""Images handed to an extractor at a time; a multiple of the blocks that the built-in ones work in."""
DIGEST = 16
"""Bytes by which an image is found again: of two different images they are equal by chance once in 2 ** 128."""


@dataclass(frozen=True)
class KeptFeatures:
    """A stage that gives the features of images under a fixed extractor; announce it in a recipe's ``needs``.

    The core fits it on *all* images of the data set, once for all folds and methods, in a job of its own. What
    ``context.fit`` returns for it is called on pixels ``uint8 (n, channels, *spatial)`` and gives features ``float64
    (n, d)``: those of the data set's own images are looked up, others, such as synthetic ones, are computed.

    Attributes:
        extractor: A fixed one; one with a ``fit`` is refused.
    """

    extractor: Extractor
    name: ClassVar[str] = "kept-features"

    def fit(self, train: Samples, context: Context) -> FeatureTable:
        """Compute the features of all rows of `train`.

        Raises:
            ContractError: If the extractor is trained, or returns what its interface forbids.
            Skip: If the extractor is not made for such images.
        """
        if hasattr(self.extractor, "fit"):
            raise ContractError(f"{self.extractor.name} is trained within a fold; only a fixed extractor can be kept")
        use_threads(context.budget)
        table = FeatureTable(self.extractor, {})
        table.add(train.x, context.progress)
        return table

    def restore(self, state: State, train: Samples) -> FeatureTable:
        """Rebuild the table from its ``state()``."""
        keys = [row.tobytes() for row in np.asarray(state["images"])]
        return FeatureTable(self.extractor, dict(zip(keys, np.asarray(state["features"]), strict=True)))


def kept_by(extractor: Extractor | None) -> KeptFeatures | None:
    """Return the stage that keeps an extractor's features, where it says that they are dear: ``kept = True``."""
    return KeptFeatures(extractor) if extractor is not None and getattr(extractor, "kept", False) else None


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features by image.

    Attributes:
        extractor: Computes those of images that are not in the table.
        known: Row of features by the digest of an image.
    """

    extractor: Extractor
    known: dict[bytes, np.ndarray]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Turn pixels ``uint8 (n, channels, *spatial)`` into features ``float64 (n, d)``; keeps none of new images.

        Raises:
            ContractError: If the extractor returns what its interface forbids.
        """
        keys = [digest_of_image(row) for row in x]
        new = {key: place for place, key in enumerate(keys) if key not in self.known}
        computed = dict(zip(new, self._compute(x, list(new.values())), strict=True)) if new else {}
        rows = [self.known[key] if key in self.known else computed[key] for key in keys]
        return np.stack(rows).astype(np.float64) if rows else self.extractor.features(np.asarray(x[:0]))

    def add(self, x: np.ndarray, progress: Callable[[int, int], None]) -> None:
        """Compute the features of images and keep them; equal images are computed once."""
        new: dict[bytes, int] = {}
        for place, row in enumerate(x):
            new.setdefault(digest_of_image(row), place)
        places = list(new.values())
        features = self._compute(x, places, progress)
        self.known.update(zip(new, features, strict=True))

    def state(self) -> State:
        """Return ``images uint8 (n, DIGEST)`` and ``features (n, d)``, float32 where that loses nothing."""
        images = np.frombuffer(b"".join(self.known), dtype=np.uint8).reshape(-1, DIGEST)
        features = np.stack([*self.known.values()]) if self.known else np.zeros((0, 0))
        narrow = features.astype(np.float32)
        return {"images": images, "features": narrow if np.array_equal(narrow, features) else features}

    @property
    def facts(self) -> Mapping[str, float]:
        """How many different images are kept."""
        return {"images": len(self.known)}

    def _compute(
        self, x: np.ndarray, places: list[int], progress: Callable[[int, int], None] = lambda done, of: None
    ) -> np.ndarray:
        blocks = []
        for start in range(0, len(places), ROWS):
            rows = places[start : start + ROWS]
            blocks.append(self._checked(self.extractor.features(np.asarray(x[rows])), len(rows)))
            progress(start + len(rows), len(places))
        return np.concatenate(blocks)

    def _checked(self, features: Any, n: int) -> np.ndarray:
        if not isinstance(features, np.ndarray) or features.ndim != 2 or len(features) != n:
            raise ContractError(f"{self.extractor.name} gave no array (n, d) for {n} images")
        if not np.isfinite(features).all():
            raise ContractError(f"{self.extractor.name} gave features that are not finite; check its weights")
        return features


def digest_of_image(pixels: np.ndarray) -> bytes:
    """Return what an image ``(channels, *spatial)`` is found again by: its shape and its bytes."""
    head = f"{pixels.dtype.str}{pixels.shape}".encode()
    return hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=DIGEST, salt=_short(head)).digest()


def _short(head: bytes) -> bytes:
    return hashlib.blake2b(head, digest_size=DIGEST).digest()


def features_key(stage: KeptFeatures, *, made_of: str, budget: Budget) -> str:
    """Return what kept features are stored under: the extractor with its code and weights, and the data set."""
    return digest([identity(stage), made_of, budget.threads, budget.numerics])


def use_threads(budget: Budget) -> None:
    """Let torch use a budget's threads, whose number changes bits; a fixed extractor knows no budget."""
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(budget.threads)
