"""A generator of one's own for images and volumes: each pixel of a class is drawn from its own Gaussian."""

from dataclasses import dataclass

import numpy as np

import medbench


@dataclass(frozen=True)
class PixelGaussian:
    name: str = "pixel-gaussian"
    spread: float = 1.0  # medbench run -a 'hybrid[generator=pixel-gaussian[spread=0.5]]'
    stored = True  # fitted once, kept, and shared by every arm that asks for it

    def fit(self, train: medbench.Samples, context: medbench.Context) -> "Fitted":
        classes = [train.x[train.labels == k] for k in range(len(train.classes))]
        return Fitted(np.stack([x.mean(0) for x in classes]), self.spread * np.stack([x.std(0) for x in classes]))

    def restore(self, state: medbench.State, train: medbench.Samples) -> "Fitted":
        return Fitted(state["mean"], state["deviation"])


@dataclass(frozen=True)
class Fitted:
    mean: np.ndarray  # float64 (n_classes, channels, *spatial): the same code serves 2-D and 3-D
    deviation: np.ndarray

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        x = np.random.default_rng(seed).normal(self.mean[labels], self.deviation[labels])
        return x.round().clip(0, 255).astype(np.uint8)

    def state(self) -> medbench.State:
        return {"mean": self.mean, "deviation": self.deviation}


@medbench.hookimpl
def register_generators() -> list[medbench.Generator]:
    return [PixelGaussian()]
