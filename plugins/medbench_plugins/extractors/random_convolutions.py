"""Features of fixed random convolutions: the same for everybody, without a file and without a network."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

import medbench

if TYPE_CHECKING:
    import torch

SEED = 20160606
GAIN = 16.0
"""Brings the features of radiographs to about 1 in the root mean square, the scale that KID's kernel is made for."""
LARGEST = {2: 128, 3: 48}
"""Pixels an axis by dimensions; larger images are first averaged over blocks of whole pixels."""
ROWS = {2: 16, 3: 2}


@dataclass(frozen=True)
class RandomConvolutions:
    """Mean and spread over the image of three levels of random 3-wide filters, each followed by halving.

    Differences of texture, contrast and shape show in them; what a disease looks like does not. Good for comparing
    generators on one data set with each other and with the floor; numbers of other papers are no measure for them. The
    first filters sum to zero and images go on beyond their border, or the gray of the background would outweigh the
    rest.
    The weights are drawn from PCG64's raw bits, which numpy promises never to change, and the features of an image do
    not depend on which others it is handed in with.

    Attributes:
        widths: Filters of each level.

    Source:
        That random filters keep much of an image: Saxe et al., ICML 2011; for scores where no trained extractor fits:
        Naeem et al., ICML 2020, arXiv 2002.09797, section 4.
    """

    widths: tuple[int, ...] = (16, 32, 64)
    name: ClassVar[str] = "random-convolutions"
    summary: ClassVar[str] = "fixed random filters, 2-D and 3-D; needs no file"

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where there is no level, or a level without filters."""
        if not self.widths or min(self.widths) < 1:
            raise medbench.UsageError(f"{self.name}.widths: got {self.widths}; give one or more numbers above 0.")

    def features(self, x: np.ndarray) -> np.ndarray:
        """Return ``float64 (n, 2 * sum(widths))`` of ``uint8 (n, channels, *spatial)`` with 2 or 3 spatial axes."""
        self.check()
        import torch

        dimensions = x.ndim - 2
        kernels = [torch.from_numpy(k) for k in filters(x.shape[1], self.widths, dimensions)]
        rows, done = ROWS[dimensions], []
        with torch.inference_mode():
            for start in range(0, len(x), rows):
                block = np.zeros((rows, *x.shape[1:]), dtype=np.float32)  # always full: another size, other bits
                part = x[start : start + rows]
                block[: len(part)] = part
                done.append(_compute_features(torch.from_numpy(block) / 127.5 - 1, kernels)[: len(part)].numpy())
        return np.concatenate([np.zeros((0, 2 * sum(self.widths))), *done]).astype(np.float64)


@functools.lru_cache(maxsize=8)
def filters(channels: int, widths: tuple[int, ...], dimensions: int) -> tuple[np.ndarray, ...]:
    """Return each level's ``float32 (out, in, 3, ...)``, with the variance that keeps a ReLU network's scale."""
    drawn = []
    for level, width in enumerate(widths):
        fan_in = (channels if level == 0 else widths[level - 1]) * 3**dimensions
        bits = np.random.PCG64([SEED, channels, dimensions, level, width]).random_raw(width * fan_in)
        uniform = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1  # [-1, 1), of variance 1/3
        kernel = (uniform * math.sqrt(6 / fan_in)).reshape(width, -1, *[3] * dimensions)
        if level == 0:
            kernel -= kernel.mean(tuple(range(2, kernel.ndim)), keepdims=True)
        drawn.append(kernel.astype(np.float32))
    return tuple(drawn)


def _compute_features(x: torch.Tensor, kernels: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return ``(B, 2 * sum of widths)`` of ``x (B, channels, *spatial)`` in [-1, 1]."""
    import torch
    import torch.nn.functional as F

    dimensions = x.ndim - 2
    convolve, shrink = (F.conv2d, F.avg_pool2d) if dimensions == 2 else (F.conv3d, F.avg_pool3d)
    if (block := -(-max(x.shape[2:]) // LARGEST[dimensions])) > 1:
        x = shrink(x, block, ceil_mode=True)
    statistics = []
    for level, kernel in enumerate(kernels):
        if level:
            x = shrink(x, 2, ceil_mode=True)
        x = convolve(F.pad(x, (1, 1) * dimensions, mode="replicate"), kernel).relu()
        values = x.flatten(2)  # (B, width, pixels)
        statistics += [values.mean(2), values.std(2, correction=0)]
    return torch.cat(statistics, dim=1) * GAIN
