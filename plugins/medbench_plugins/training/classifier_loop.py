"""The one training loop: every classifier runs the same schedule to its end and keeps its last averaged weights.

Import this module inside ``fit``: it needs torch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import medbench
from medbench_plugins.networks.repeatable_gradients import make_repeatable
from medbench_plugins.networks.small import Resized
from medbench_plugins.networks.weights import name_head
from medbench_plugins.training import batch_norms
from medbench_plugins.training.batches import (
    as_input,
    draw_ahead,
    draw_rows,
    draw_training_rows,
    load_blocks,
    memory_format,
    put_on_device,
)
from medbench_plugins.training.descent import Descent
from medbench_plugins.training.loss_curves import LossCurves
from medbench_plugins.training.moving_average import MovingAverage
from medbench_plugins.training.numeric_precision import (
    LearningRates,
    SlowTrunk,
    in_bfloat16,
    repeatable_kernels,
)
from medbench_plugins.training.predictor import Evaluation, NetworkPredictor, cross_entropy, get_inverse_link
from medbench_plugins.training.steps import Steps, at_step, step_number

EVALUATIONS = 10  # of the validation set in a fit; they inform, and select nothing unless a leak is asked for
FEWEST_EVALUATIONS = 2
WEIGHT_DECAY = 0.05  # of weights; biases and the parameters of norms have none


# What a fit holds from its first step to its last stands here once, so that the loop reads downward.
def fit_one(
    build: Callable[[], nn.Module],
    training_set: medbench.TrainingSet,
    validation: medbench.Samples,
    context: medbench.Context,
    *,
    lr: float = 1e-3,
    min_size: int = 0,
    slow: SlowTrunk | None = None,
) -> NetworkPredictor:
    """Train one network with AdamW under warm-up and cosine; return its averaged weights as a predictor.

    Arguments and errors are those of :func:`.bagging.fit_network`, which trains a network for each bag by this.
    """
    device, steps, batch = torch.device(context.device), context.budget.steps, context.budget.batch
    at = step_number(device)
    batches = _Batches(training_set, context, at)
    loss_of = training_set.loss or F.cross_entropy
    reports = {*range(0, steps, max(1, min(50, steps // 20))), steps}  # rare: to read a loss waits for the device
    evaluations = _steps_evaluated_after(steps, batch, len(validation))
    remedy = "lower the classifier's lr or check the transform and the loss"
    losses = LossCurves(("loss",), steps, at, what="training diverged", remedy=remedy)
    torch.set_num_threads(context.budget.threads)
    with torch.random.fork_rng([device] if device.type == "cuda" else []), repeatable_kernels():
        torch.manual_seed(context.seed("init"))
        network = build()
        x = training_set.samples.x
        if x.ndim > 2 and min(x.shape[2:]) < min_size:
            network = Resized(network, min_size)
        network.to(device).to(memory_format=memory_format(x)).train()
        torch.manual_seed(context.seed("dropout"))
        rates = [LearningRates(peak, steps, at) for peak in ([lr] if slow is None else [lr, lr * slow.share])]
        descend = Descent(torch.optim.AdamW(_parameter_groups(network, rates, slow), lr=rates[0].now, fused=True))
        average = MovingAverage.of_last_tenth(network, steps)
        predictor = NetworkPredictor(average.network, device, get_inverse_link(training_set.loss))
        if device.type == "cuda":
            make_repeatable(network, batches.images(0))
        watch = _Evaluations(validation.take(validation.labels >= 0), predictor, average, batches, context)
        reported = 0

        def learn(images: torch.Tensor, targets: torch.Tensor) -> None:
            for rate in rates:
                rate.set()
            with in_bfloat16(device), batch_norms.explain_small_batches(network, batch):
                logits = network(images)
            loss = loss_of(logits.float(), targets)
            descend(loss)
            average.update()
            losses.add(loss)

        take_step = Steps(
            batches.load, learn, at, optimisers=[descend.optimiser], generators=batches.drawn_from,
            from_host=not batches.resident,
        )  # fmt: skip
        for _ in range(steps):
            take_step()
            losses.count()
            news = dict[str, float]()
            if losses.done in reports:
                news["loss"], reported = _mean_since(losses, reported), losses.done
            if losses.done in evaluations:
                news |= watch.evaluate(losses)
            context.progress(losses.done, steps, **news)

    losses.check_weights(average.network)
    predictor.facts = {"steps": steps, "parameters": sum(p.numel() for p in network.parameters())}
    if take_step.how:
        predictor.facts["gpu_steps"] = take_step.how
    watch.finish(float(losses.values[-max(1, steps // 10) :, 0].mean()))
    return predictor


class _Batches:
    """The batches of a fit; the rows are drawn before the first step, so that no method's transform changes them.

    Attributes:
        draws: What the transform draws from.
        drawn_from: The same where steps draw from it; nothing where all is drawn before the first one.
        resident: Whether all images lie on the device.
    """

    def __init__(self, training_set: medbench.TrainingSet, context: medbench.Context, at: torch.Tensor) -> None:
        self.samples, self.transform = training_set.samples, training_set.transform
        self.context, self.device = context, torch.device(context.device)
        steps, batch = context.budget.steps, context.budget.batch
        labels, sampling = self.samples.labels, training_set.sampling
        of_steps = {"seed": context.seed("batch"), "before": context.seed("batch", "pretrain")}
        self.rows = draw_training_rows(training_set, steps=steps, batch=batch, **of_steps)
        n, seed = min(batch_norms.BATCHES, steps), context.seed("norms", "batch")
        drawn_last = np.where(self.samples.is_real, labels, -1) if training_set.pretrain else labels
        self.norm_rows = draw_rows(drawn_last, sampling, steps=n, batch=batch, seed=seed)
        self.classes = torch.eye(len(self.samples.classes), device=self.device)
        self.draws = torch.Generator(self.device).manual_seed(context.seed("transform"))
        self._at = at
        self._rows = torch.from_numpy(self.rows).to(self.device)
        self._targets = self.classes[torch.from_numpy(labels[self.rows])]  # (steps, B, K)
        self._images = put_on_device(self.samples.x, self.device)
        self.resident = self._images is not None
        self._drawn = draw_ahead(self.transform, self.samples.x, steps=steps, batch=batch, draws=self.draws)
        self.drawn_from = () if self._drawn or self.transform is None else (self.draws,)
        self._blocks = load_blocks(self.samples.x, self.rows, self.device)

    def load(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the transformed images ``float32 (B, ...)`` and class probabilities ``(B, K)`` of this step."""
        here = self._images
        x = as_input(next(self._blocks)) if here is None else here.take(at_step(self._rows, self._at))
        drawn = [at_step(table, self._at) for table in self._drawn]
        return self._transform(x, at_step(self._targets, self._at), self.draws, drawn)

    def like_training(self, n: int) -> Iterator[tuple[torch.Tensor]]:
        """Yield the images of `n` batches more, drawn and transformed alike, to measure batch norms with."""
        draws = torch.Generator(self.device).manual_seed(self.context.seed("norms", "transform"))
        batch = self.norm_rows.shape[1]
        tables = draw_ahead(self.transform, self.samples.x, steps=n, batch=batch, draws=draws)
        for step, rows in enumerate(self.norm_rows[:n]):
            y = self.classes[torch.from_numpy(self.samples.labels[rows])]
            yield (self._transform(self._at_rows(rows), y, draws, [table[step] for table in tables])[0],)

    def images(self, step: int) -> torch.Tensor:
        """Return the images of one step as they are."""
        return self._at_rows(self.rows[step])

    def _at_rows(self, rows: np.ndarray) -> torch.Tensor:
        if self._images is not None:
            return self._images.take(torch.from_numpy(rows).to(self.device))
        return as_input(torch.from_numpy(self.samples.x[rows]).to(self.device))

    @torch.no_grad()
    def _transform(
        self, x: torch.Tensor, y: torch.Tensor, draws: torch.Generator, drawn: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if drawn:
            assert isinstance(self.transform, medbench.DrawnAhead)
            return self.transform.move(x, *drawn), y
        return (x, y) if self.transform is None else self.transform(x, y, draws)


@dataclass(eq=False)
class _Evaluations:
    """Evaluations of the averaged weights on the validation samples.

    They inform. Only where a protocol that is known to leak asks for it (``context.selects``) do they select: then
    `kept` are the weights of the most accurate one.
    """

    validation: medbench.Samples
    predictor: NetworkPredictor
    average: MovingAverage[nn.Module]
    batches: _Batches
    context: medbench.Context
    learning: list[Evaluation] = field(default_factory=list)
    best: float = -1.0
    kept: dict[str, torch.Tensor] = field(default_factory=dict)

    def evaluate(self, losses: LossCurves) -> dict[str, float]:
        """Evaluate after the steps done; return what to report."""
        is_last, selects, validation_loss = losses.done == losses.steps, self.context.selects, float("nan")
        train_loss = _mean_since(losses, self.learning[-1][0] if self.learning else 0)
        if len(self.validation) or is_last:
            n = batch_norms.BATCHES if is_last or selects else batch_norms.BATCHES_TO_EVALUATE
            self.average.settle(self.batches.like_training(n), self.context)
        if len(self.validation):
            predicted = self.predictor(self.validation.x)
            validation_loss = cross_entropy(predicted, self.validation.labels)
            accuracy = float((predicted.argmax(1) == self.validation.labels).mean())
            if selects and accuracy > self.best:
                self.best, self.kept = accuracy, copy.deepcopy(self.average.network.state_dict())
        self.learning.append((losses.done, train_loss, validation_loss))
        return {"validation_loss": validation_loss} if len(self.validation) else {}

    def finish(self, train_loss: float) -> None:
        """Give the predictor its learning curve and its facts, and the weights that were selected, if any."""
        facts = self.predictor.facts
        if self.kept:
            self.average.network.load_state_dict(self.kept)
            facts["selected_accuracy"] = self.best
        facts["train_loss"] = train_loss
        self.predictor.learning = tuple(self.learning)
        if len(self.validation):
            validation_losses = [loss for _, _, loss in self.learning]
            facts["validation_loss"] = validation_losses[-1]
            facts["still_improving"] = float(min(validation_losses) == validation_losses[-1])


def _steps_evaluated_after(steps: int, batch: int, watched: int) -> set[int]:
    """Return after which steps the validation samples are predicted: ten times, evenly.

    Less often, twice at the least, where more images would be predicted than are trained on, as in a practice run.
    """
    n = min(EVALUATIONS, max(FEWEST_EVALUATIONS, steps * batch // max(1, watched)))
    return {-(-steps * k // n) for k in range(1, n + 1)}


def _parameter_groups(
    network: nn.Module, rates: Sequence[LearningRates], slow: SlowTrunk | None
) -> list[dict[str, object]]:
    """Split the parameters: matrices and kernels decay, vectors (biases, norms) do not; the trunk has the last rate."""
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    if slow is not None:
        inner = network.network if isinstance(network, Resized) else network
        head = tuple(("network." if inner is not network else "") + name for name in name_head(inner, slow.head))
        parts = [{n: p for n, p in trained.items() if n.startswith(head) is of_head} for of_head in (True, False)]
    return [
        {"params": [p for p in part.values() if (p.ndim > 1) is decays], "weight_decay": decay, "lr": rate.now}
        for part, rate in zip([trained] if slow is None else parts, rates, strict=True)
        for decays, decay in ((True, WEIGHT_DECAY), (False, 0.0))
    ]


def _mean_since(losses: LossCurves, start: int) -> float:
    """Return the mean loss of the steps done from `start` on; raises as :meth:`LossCurves.check_task`."""
    losses.check()
    return float(losses.values[start : losses.done, 0].cpu().numpy().mean())
