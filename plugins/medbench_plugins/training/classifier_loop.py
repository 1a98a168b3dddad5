"""The one training loop: every classifier runs the same schedule to its end and keeps its last averaged weights.

Import this module inside ``fit``: it needs torch.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import medbench
from medbench_plugins.networks.repeatable_gradients import make_repeatable
from medbench_plugins.networks.small import Resized
from medbench_plugins.training import batch_norms

WARM_UP = 0.05  # of the steps: linear from 0, then a cosine to 0
EVALUATIONS = 10  # of the validation set in a fit; they inform, and select nothing unless a leak is asked for
RESIDENT = 0.5  # of the free device memory: up to this the whole training set stays on the device
Look = tuple[int, float, float]
BLOCK = 16  # steps whose images travel to the device together where the set does not fit


def fit_network(
    build: Callable[[], nn.Module],
    training_set: medbench.TrainingSet,
    validation: medbench.Samples,
    context: medbench.Context,
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.05,
    min_size: int = 0,
    facts: Mapping[str, float | str] | None = None,
) -> NetworkPredictor:
    """Train what `build` returns with AdamW under warm-up and cosine; return its averaged weights as a predictor.

    The statistics of batch norms are measured for the averaged weights, see :mod:`.batch_norms`.

    There is no early stopping and no choice between checkpoints: all arms of a study take equal steps. Only where a
    protocol that is known to leak asks for it (``context.selects``) is the most accurate of ten checkpoints kept.
    Two arms with the same seeds share initial weights, dropout and, where they have equally many rows, batch order.
    Here alone torch's global state is touched: the number of threads stays set, the random state is put back.

    Where the training set has bags, each has a network of its own, see :func:`.fit_bags`.

    Args:
        build: Makes a network from ``float32 (B, channels, *spatial)`` to logits ``(B, n_classes)``.
        training_set: Rows labelled -1 are never drawn.
        validation: Scored ten times with the averaged weights, for the facts only; may be empty.
        context: Gives steps, batch, threads, device and the seeds "batch", "init", "dropout", "transform" and "norms".
        lr: Peak learning rate.
        weight_decay: Of weights; biases and the parameters of norms have none.
        min_size: Smaller images are resized to this many pixels along every axis, on the device.
        facts: Passed on in the predictor's facts.

    Raises:
        medbench.Diverged: If a loss or a weight is not finite.
        medbench.DataError: If no row can be drawn.
        medbench.UsageError: If there are more bags than steps, or a batch norm sees one value a channel.
    """
    if training_set.bags is not None:
        from medbench_plugins.training.bagging import fit_bags  # which calls this function for each of them

        return fit_bags(
            build,
            training_set,
            validation,
            context,
            facts=facts,
            lr=lr,
            weight_decay=weight_decay,
            min_size=min_size,
        )
    device, steps, batch = torch.device(context.device), context.budget.steps, context.budget.batch
    samples, transform, loss_of = training_set.samples, training_set.transform, training_set.loss or F.cross_entropy
    rows = draw_rows(samples.labels, training_set.sampling, steps=steps, batch=batch, seed=context.seed("batch"))
    classes = torch.eye(len(samples.classes), device=device)
    targets = classes[torch.from_numpy(samples.labels[rows])]  # (steps, B, K)
    draws = torch.Generator(device).manual_seed(context.seed("transform"))
    in_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    looks = {*range(0, steps, max(1, min(50, steps // 20))), steps}  # rare: to look makes the device wait
    evaluations = {-(-steps * k // EVALUATIONS) for k in range(1, EVALUATIONS + 1)}
    validation = validation.take(validation.labels >= 0)
    measured = min(batch_norms.BATCHES, steps)
    measured_rows = draw_rows(
        samples.labels, training_set.sampling, steps=measured, batch=batch, seed=context.seed("norms", "batch")
    )
    torch.set_num_threads(context.budget.threads)

    def like_training(n: int) -> Iterator[tuple[torch.Tensor]]:
        again = torch.Generator(device).manual_seed(context.seed("norms", "transform"))
        for chosen in measured_rows[:n]:
            x = _as_input(torch.from_numpy(samples.x[chosen]).to(device))
            if transform is not None:
                x, _ = transform(x, classes[torch.from_numpy(samples.labels[chosen])], again)
            yield (x,)

    with torch.random.fork_rng([device] if device.type == "cuda" else []), _numerics():
        torch.manual_seed(context.seed("init"))
        network = build()
        if samples.x.ndim > 2 and min(samples.x.shape[2:]) < min_size:
            network = Resized(network, min_size)
        network.to(device).to(memory_format=_memory_format(samples.x)).train()
        torch.manual_seed(context.seed("dropout"))
        optimiser = torch.optim.AdamW(_groups(network, weight_decay), lr=lr, fused=True)
        average = Average(network, steps)
        predictor = NetworkPredictor(average.network, device, batch, inverse_link_of(training_set.loss))
        if device.type == "cuda":
            make_repeatable(network, _as_input(torch.from_numpy(samples.x[rows[0]]).to(device)))
        losses, looked, evaluated, learning = torch.zeros(steps, device=device), 0, 0, list[Look]()
        best, chosen = -1.0, dict[str, torch.Tensor]()

        for step, x in enumerate(_batches(samples.x, rows, device)):
            for group in optimiser.param_groups:
                group["lr"] = lr * schedule(step, steps)
            y = targets[step]
            if transform is not None:
                with torch.no_grad():
                    x, y = transform(x, y, draws)
            with (
                torch.autocast(device.type, torch.bfloat16, enabled=in_bfloat16),
                batch_norms.trained_with(network, batch),
            ):
                logits = network(x)
            loss = loss_of(logits.float(), y)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            average.update()
            losses[step] = loss.detach()

            done, news = step + 1, dict[str, float]()
            if done in looks:
                news["loss"], looked = _mean_loss(losses, looked, done), done
            if done in evaluations:
                watched, fresh = float("nan"), _mean_loss(losses, evaluated, done)
                if len(validation) or done == steps:
                    is_kept = done == steps or context.selects
                    average.settle(like_training(measured if is_kept else batch_norms.BATCHES_TO_LOOK), context)
                if len(validation):
                    predicted = predictor(validation.x)
                    news["validation_loss"] = watched = cross_entropy(predicted, validation.labels)
                    accuracy = float((predicted.argmax(1) == validation.labels).mean())
                    if context.selects and accuracy > best:
                        best, chosen = accuracy, copy.deepcopy(average.network.state_dict())
                learning.append((done, fresh, watched))
                evaluated = done
            context.progress(done, steps, **news)

    if not all(bool(tensor.isfinite().all()) for tensor in _floats(average.network)):
        raise _diverged(f"a weight is not finite after step {steps} of {steps}")
    predictor.facts = {"steps": steps, "parameters": sum(p.numel() for p in network.parameters()), **(facts or {})}
    if chosen:
        average.network.load_state_dict(chosen)
        predictor.facts["selected_accuracy"] = best
    predictor.facts["train_loss"] = float(losses[-max(1, steps // 10) :].mean())
    predictor.learning = tuple(learning)
    if len(validation):
        validation_losses = [watched for _, _, watched in learning]
        predictor.facts["validation_loss"] = validation_losses[-1]
        predictor.facts["still_improving"] = float(min(validation_losses) == validation_losses[-1])
    return predictor


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


def schedule(step: int, steps: int) -> float:
    """Return the share of the peak learning rate at `step` of `steps`: a linear warm-up, then half a cosine to 0."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm + 1) / (steps - warm + 1)))


class Average:
    """An exponential moving average of a network's weights, about a tenth of the schedule long.

    The decay is ``1 - 10 / steps``: however many steps there are, exp(-10) of the initial weights is left after the
    last. Buffers are left out, since what they hold belongs to the weights of the moment: ``settle`` before use.

    Attributes:
        network: The averaged copy, in evaluation mode.
        decay: Weight of the past in each update, 0 to 1.
    """

    def __init__(self, network: nn.Module, steps: int) -> None:
        self.decay = max(0.0, 1 - 10 / steps)
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._current, self._average = ([p.detach() for p in of.parameters()] for of in (network, self.network))
        self._buffers = list(zip(self.network.buffers(), network.buffers(), strict=True))

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the network's present weights."""
        torch._foreach_lerp_(self._average, self._current, 1 - self.decay)

    @torch.no_grad()
    def settle(self, batches: Iterable[tuple[torch.Tensor, ...]], context: medbench.Context) -> None:
        """Take the network's present buffers, and measure those of batch norms with the averaged weights.

        Args:
            batches: As for :func:`medbench_plugins.training.batch_norms.recompute`.
            context: Gives the seed "norms".
        """
        for own, current in self._buffers:
            own.copy_(current)
        batch_norms.recompute(self.network, batches, seed=context.seed("norms", "dropout"))


def softmax(logits: torch.Tensor) -> torch.Tensor:
    """Return the probabilities ``(n, n_classes)`` at which logits minimise the expected cross-entropy."""
    return logits.softmax(1)


def inverse_link_of(loss: medbench.Loss | None) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return how a network trained by `loss` turns logits into probabilities, see :class:`medbench.TrainingSet`."""
    return getattr(loss, "inverse_link", softmax)


class NetworkPredictor:
    """A fitted network: call it on ``x (n, channels, *spatial)`` for ``float64 (n, n_classes)`` probabilities.

    It predicts in float32 on every device: probabilities rounded to bfloat16 would tie.

    Attributes:
        inverse_link: ``float64 (n, n_classes)`` logits to probabilities, as the loss has it.
        facts: What the fit tells about itself: train_loss (mean of the last tenth), steps, parameters; with a
            labelled validation set also validation_loss and still_improving (1 if the last of ten validation losses
            was the lowest: the schedule may be too short); and whatever the recipe added.
        learning: Steps done, mean training loss since the look before, validation loss of the averaged weights (NaN
            without a labelled validation set), at each of ten looks.
    """

    def __init__(
        self,
        network: nn.Module,
        device: torch.device,
        batch: int,
        inverse_link: Callable[[torch.Tensor], torch.Tensor] = softmax,
    ) -> None:
        self.network, self.device, self.batch, self.inverse_link = network, device, batch, inverse_link
        self.facts: dict[str, float | str] = {}
        self.learning: tuple[Look, ...] = ()

    @torch.no_grad()
    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return ``float64 (n, n_classes)``, rows summing to 1."""
        blocks = np.array_split(np.arange(len(x)), max(1, -(-len(x) // self.batch)))
        with _numerics():
            logits = [self.network(_as_input(torch.from_numpy(x[rows]).to(self.device))).cpu() for rows in blocks]
        return self.inverse_link(torch.cat(logits).double()).numpy()

    def state(self) -> dict[str, np.ndarray]:
        """Return the network's tensors by name; another fit can start from them."""
        network = self.network.network if isinstance(self.network, Resized) else self.network
        return {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}


def _batches(x: np.ndarray, rows: np.ndarray, device: torch.device) -> Iterator[torch.Tensor]:
    """Yield the images of every row of `rows (steps, B)` as ``float32 (B, ...)`` on the device, uint8 as [-1, 1]."""
    if device.type == "cuda" and x.nbytes < RESIDENT * torch.cuda.mem_get_info(device)[0]:
        resident, index = torch.tensor(x, device=device), torch.from_numpy(rows).to(device)
        for step in range(len(rows)):
            yield _as_input(resident[index[step]])
        return
    # On a CPU the array is resident as it is; a GPU that is too small gets pinned blocks while it works on the last.
    block = BLOCK if device.type == "cuda" else 1
    for start in range(0, len(rows), block):
        wanted = rows[start : start + block]
        images = torch.from_numpy(x[wanted.ravel()])
        if device.type != "cpu":
            images = images.pin_memory().to(device, non_blocking=True)
        for batch in images.split(rows.shape[1]):
            yield _as_input(batch)


def _as_input(images: torch.Tensor) -> torch.Tensor:
    """Return uint8 pixels as float32 in [-1, 1]; float32 features as they are."""
    if images.dtype != torch.uint8:
        return images
    return images.to(torch.float32, memory_format=_memory_format(images)).div_(127.5).sub_(1)


def _memory_format(images: torch.Tensor | np.ndarray) -> torch.memory_format:
    """Channels last in 2-D, 10 to 20 % faster on a CPU with batch norms; in 3-D it helps one network, hurts another."""
    return torch.channels_last if images.ndim == 4 else torch.contiguous_format


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Split the parameters: matrices and kernels decay, vectors (biases, norms) do not."""
    trained = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _floats(network: nn.Module) -> list[torch.Tensor]:
    return [tensor.detach() for tensor in network.state_dict().values() if tensor.is_floating_point()]


def _mean_loss(losses: torch.Tensor, start: int, stop: int) -> float:
    fresh = losses[start:stop].cpu().numpy()
    if not np.isfinite(fresh).all():
        raise _diverged(
            f"the loss is not finite at step {start + int(np.isfinite(fresh).argmin()) + 1} of {len(losses)}"
        )
    return float(fresh.mean())


def _diverged(what: str) -> medbench.Diverged:
    return medbench.Diverged(
        f"training diverged: {what}; lower the classifier's lr or check the transform and the loss"
    )


def cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of minus the log of the probability ``float64 (n, n_classes)`` of each row's own class."""
    likelihood = probabilities[np.arange(len(labels)), labels]
    return 0.0 - float(np.log(np.maximum(likelihood, np.finfo(np.float64).tiny)).mean())  # and no -0.0


def _numerics() -> AbstractContextManager[None]:
    """No search among kernels, none whose sums change from run to run, no TensorFloat-32."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
