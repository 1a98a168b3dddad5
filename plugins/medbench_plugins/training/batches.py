"""Which rows each step of a training sees, and their images on the device. Needs torch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

import medbench

RESIDENT = 0.5  # of the device memory that is free to us: up to this the whole training set stays on the device
AS_FLOATS = 2**26  # bytes: below this the set lies on a CPU as the float32 that a network takes; a GPU has more room
MOST_DRAWN = 2**22  # rows whose numbers are drawn before the first step: some 150 MB for an affine map of images
BLOCK = 16  # steps whose images travel to the device together where the set does not fit


def draw_rows(labels: np.ndarray, sampling: np.ndarray | None, *, steps: int, batch: int, seed: int) -> np.ndarray:
    """Draw which rows each step sees, all at once, so that the order depends on nothing but the seed.

    Args:
        labels: ``int64 (n,)``; rows labelled -1 are left out.
        sampling: ``float64 (n,)`` probabilities for independent draws; None shuffles the rows, epoch after epoch.
        steps: Rows of the result.
        batch: Columns of the result.
        seed: Of a generator of its own.

    Returns:
        ``int64 (steps, batch)``.

    Raises:
        medbench.DataError: If no row has a label and a chance to be drawn.
    """
    rng = np.random.default_rng(seed)
    known = np.flatnonzero(labels >= 0)
    weights = np.ones(len(known)) if sampling is None else np.asarray(sampling, dtype=np.float64)[known]
    if not weights.sum() > 0:
        raise medbench.DataError(
            f"none of the {len(labels)} training samples has a label and a chance to be drawn; add labelled images"
        )
    if sampling is not None:
        return rng.choice(known, size=(steps, batch), p=weights / weights.sum())
    epochs = -(-steps * batch // len(known))
    return np.concatenate([rng.permutation(known) for _ in range(epochs)])[: steps * batch].reshape(steps, batch)


def draw_training_rows(
    training_set: medbench.TrainingSet, *, steps: int, batch: int, seed: int, before: int = 0
) -> np.ndarray:
    """Draw which rows each step sees, as :func:`draw_rows`; with `pretrain` synthetic ones first, then real ones.

    Args:
        training_set: Says rows, sampling and the share of steps before.
        steps: Rows of the result.
        batch: Columns of the result.
        seed: Of a generator of its own.
        before: Seed of the synthetic rows' generator.

    Returns:
        ``int64 (steps, batch)``.
    """
    samples, sampling = training_set.samples, training_set.sampling
    if not training_set.pretrain:
        return draw_rows(samples.labels, sampling, steps=steps, batch=batch, seed=seed)
    first = round(training_set.pretrain * steps)
    made = np.where(samples.is_real, -1, samples.labels)
    real = np.where(samples.is_real, samples.labels, -1)
    equally = medbench.balanced_sampling(replace(samples, labels=made))
    return np.concatenate([
        draw_rows(made, equally, steps=first, batch=batch, seed=before),
        draw_rows(real, sampling, steps=steps - first, batch=batch, seed=seed),
    ])  # fmt: skip


class ResidentRows:
    """All rows of a training set on the device, as floats where there is room: then no step has to make them.

    Args:
        x: ``uint8 (n, channels, *spatial)`` pixels, or ``float32`` features.
        device: Where they lie; a CPU shares the memory of `x` unless it keeps floats.
    """

    def __init__(self, x: np.ndarray, device: torch.device) -> None:
        with warnings.catch_warnings():  # nothing writes into it, whether it may be written or not
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            own = torch.from_numpy(x)
        rows = own if device.type == "cpu" else own.to(device)
        room = AS_FLOATS if device.type == "cpu" else RESIDENT / 4 * free_bytes(device)
        self._is_last = x.dtype == np.uint8 and x.ndim == 4 and 4 * x.nbytes <= room
        if x.dtype == np.uint8 and 4 * x.nbytes <= room:
            rows = as_input(rows)
        # Rows of channels last: what is taken out of them is then laid out as `as_input` has it.
        self._rows = rows.movedim(1, -1).contiguous() if self._is_last else rows

    def take(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the input of a network, see :func:`as_input`, of ``int64 (B,)`` rows on the device."""
        taken = self._rows.index_select(0, rows)
        return taken.movedim(-1, 1) if self._is_last else as_input(taken)


def free_bytes(device: torch.device) -> float:
    """Return how much of a GPU's memory this process may still take: what is free, within its own limit."""
    free, total = torch.cuda.mem_get_info(device)
    limit = torch.cuda.get_per_process_memory_fraction(device) * total
    return min(free, limit - torch.cuda.memory_allocated(device))


def put_on_device(x: np.ndarray, device: torch.device) -> ResidentRows | None:
    """Return all of `x` on the device, where it fits into RESIDENT of a GPU's free memory."""
    if device.type == "cuda" and x.nbytes >= RESIDENT * free_bytes(device):
        return None
    return ResidentRows(x, device)


def load_blocks(x: np.ndarray, rows: np.ndarray, device: torch.device) -> Iterator[torch.Tensor]:
    """Yield ``x[rows]`` of every row of `rows (steps, B)` on a device that is too small for all of `x`.

    Pinned blocks of BLOCK steps travel while the device works on the last.
    """
    for start in range(0, len(rows), BLOCK):
        chosen = rows[start : start + BLOCK]
        images = torch.from_numpy(x[chosen.ravel()]).pin_memory().to(device, non_blocking=True)
        yield from images.split(rows.shape[1])


@torch.no_grad()
def draw_ahead(
    transform: medbench.Transform | None, x: np.ndarray, *, steps: int, batch: int, draws: torch.Generator
) -> tuple[torch.Tensor, ...]:
    """Draw what a transform needs in all steps, each tensor ``(steps, batch, ...)``; none where it draws as it goes.

    That is where it cannot draw ahead, and above MOST_DRAWN rows.
    """
    if not isinstance(transform, medbench.DrawnAhead) or steps * batch > MOST_DRAWN:
        return ()
    drawn = transform.draw(steps * batch, tuple(x.shape[2:]), draws)
    return tuple(tensor.unflatten(0, (steps, batch)) for tensor in drawn)


def as_input(images: torch.Tensor) -> torch.Tensor:
    """Return uint8 pixels as float32 in [-1, 1]; float32 features as they are."""
    if images.dtype != torch.uint8:
        return images
    return images.to(torch.float32, memory_format=memory_format(images)).div_(127.5).sub_(1)


def memory_format(images: torch.Tensor | np.ndarray) -> torch.memory_format:
    """Return channels last in 2-D, 10 to 20 % faster on a CPU with batch norms; in 3-D it slows some networks down."""
    return torch.channels_last if images.ndim == 4 else torch.contiguous_format
