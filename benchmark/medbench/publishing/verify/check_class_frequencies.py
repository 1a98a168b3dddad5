"""Class frequencies of a bundle, held against those that its recipes give: what predictions are divided by decides.

Whoever may choose them chooses every threshold, with the predictions untouched. They follow from the classes of the
training part and from what the recipe draws and adds, not from pictures: so each recipe is asked on our own cut, with
noise for pixels and blank rows from its generators, and nothing is trained.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from medbench.interfaces import Budget
from medbench.samples import Samples
from medbench.trial.trial import Trial

SAME = 1e-6
SIDE = 8  # pixels of the noise
ALIKE = 0.02
"""How much further apart frequencies of an arm's folds may lie than those of their training parts."""


@dataclass(frozen=True)
class ExpectedFrequencies:
    """What a recipe gives on a training part.

    Attributes:
        frequencies: ``float64 (n_classes,)``.
        made: Rows that it adds.
    """

    frequencies: np.ndarray
    made: int


def with_noise_pixels(train: Samples, dimensions: int) -> Samples:
    """Return a training part with noise for images: one channel, SIDE pixels along each of `dimensions` axes.

    Our data sets are here without their pixels; see :func:`medbench.publishing.verify.our_data.load`.
    """
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (len(train), 1, *[SIDE] * dimensions), dtype=np.uint8)
    return replace(train, x=noise, masks=None)


def expected_frequencies(augmenter: Any, train: Samples, folder: Path) -> ExpectedFrequencies | None:
    """Ask a recipe what it gives.

    Args:
        augmenter: Registered here.
        train: As :func:`with_noise_pixels` returns it.
        folder: An empty one.

    Returns:
        None where it cannot be asked without training, such as one that looks at what its generator drew.
    """
    if augmenter.space == "features":
        train = replace(train, x=train.x.reshape(len(train), -1)[:, :SIDE].astype(np.float32) / 255)
    try:
        made = augmenter.fit(train, _Dry(folder))
        return ExpectedFrequencies(made.class_frequencies, int((~made.samples.is_real).sum()))
    except Exception:  # noqa: BLE001  a plugin's call: what it raises without training says nothing
        return None


@dataclass(frozen=True)
class _Dry:
    """A context in which nothing is trained."""

    folder: Path
    budget: Budget = field(default_factory=Budget)
    device: str = "cpu"
    selects: bool = False

    def seed(self, *purpose: str | int) -> int:
        text = "|".join(map(str, purpose))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def fit(self, stage: Any, train: Samples) -> Any:
        return _Blank(train.x.shape[1:], train.x.dtype)

    def source(self, dataset: Any) -> Samples:
        raise LookupError(dataset)

    def progress(self, step: int, total: int, **values: float) -> None:
        pass


@dataclass(frozen=True)
class _Blank:
    """A sampler of black rows."""

    shape: tuple[int, ...]
    dtype: Any

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        return np.zeros((len(labels), *self.shape), self.dtype)

    def state(self) -> Mapping[str, np.ndarray]:
        return {}


@dataclass
class FrequencyCheck:
    """Holds every trial's frequencies against its recipe, then says what is odd."""

    computed: int = 0
    _doubted: list[Trial] = field(default_factory=list)
    _told: dict[tuple[Any, ...], list[_Submitted]] = field(default_factory=dict)

    def add(
        self,
        trial: Trial,
        told: np.ndarray,
        ours: ExpectedFrequencies | None,
        counts: Mapping[str, int],
        real: np.ndarray,
    ) -> str:
        """Take one trial.

        Args:
            trial: Its specification.
            told: ``float64 (n_classes,)``, as the bundle has them.
            ours: What its recipe gives here.
            counts: Of the bundle: rows real and made.
            real: ``int64 (n_classes,)`` rows of our training part.

        Returns:
            Why they cannot be; "" where they can.
        """
        if ours is not None:
            if np.abs(told - ours.frequencies).max() <= SAME:
                self.computed += 1
                return ""
            if counts.get("made", 0) == ours.made:
                return (
                    f"its recipe gives {_short(ours.frequencies)} on this training part, the bundle says {_short(told)}"
                )
            self._doubted.append(trial)
            return ""
        arm = (trial.dataset, trial.protocol, trial.augmenter, trial.classifier, trial.budget)
        self._told.setdefault(arm, []).append(
            _Submitted(trial, told, real, counts.get("real", 0), counts.get("made", 0))
        )
        return ""

    def sentences(self) -> Iterator[str]:
        """Yield a sentence for what does not follow from counts."""
        doubted = [*self._doubted]
        for cells in self._told.values():
            kinds = {cell.kind for cell in cells}
            if "free" in kinds or len(kinds) > 1 or not _agree_over_folds(cells):
                doubted += [cell.trial for cell in cells]
        if doubted:
            t = doubted[0]
            yield (
                f"class frequencies of {len(doubted)} training runs follow neither from their recipe nor from their "
                f"counts, alike over folds: they place every threshold; the first is {t.augmenter} / {t.classifier}, "
                f"repeat {t.repeat}, fold {t.fold}, seed {t.seed}"
            )

    @property
    def believed(self) -> int:
        """Trials whose frequencies follow from their counts and could not be computed."""
        return sum(map(len, self._told.values()))


@dataclass(frozen=True, eq=False)
class _Submitted:
    """Frequencies of a trial whose recipe cannot be asked.

    Attributes:
        trial: Its specification.
        told: ``float64 (n_classes,)``.
        rows: ``int64 (n_classes,)`` rows of our training part.
        real: Real rows, as the bundle counts them.
        made: Made rows, likewise.
    """

    trial: Trial
    told: np.ndarray
    rows: np.ndarray
    real: int
    made: int

    @property
    def natural(self) -> np.ndarray:
        return self.rows / self.rows.sum()

    @property
    def kind(self) -> str:
        """``equal`` over classes, ``natural``, ``counted`` where rows can be made so, or ``free``."""
        equal = (self.rows > 0) / np.count_nonzero(self.rows)
        if np.abs(self.told - equal).max() <= SAME:
            return "equal"
        if not self.made:
            return "natural" if np.abs(self.told - self.natural).max() <= SAME else "free"
        n = self.real + self.made
        each = self.told * n
        whole = np.abs(each - np.round(each)).max() <= SAME * n
        return "counted" if whole and self.real == self.rows.sum() and (np.round(each) >= self.rows).all() else "free"


def _agree_over_folds(cells: list[_Submitted]) -> bool:
    """Say whether an arm's frequencies differ over folds by no more than their training parts do."""
    told, natural = np.stack([c.told for c in cells]), np.stack([c.natural for c in cells])
    return bool((np.ptp(told, axis=0) <= np.ptp(natural, axis=0) + ALIKE).all())


def _short(frequencies: np.ndarray) -> str:
    return ", ".join(f"{value:.3f}" for value in frequencies.tolist()[:6])
