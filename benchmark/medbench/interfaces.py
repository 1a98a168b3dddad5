"""The roles a plugin can play. Describe one with a frozen dataclass; no base class is needed.

A recipe is a frozen dataclass: its fields are its configuration, ``name`` is what it is registered under, ``fit``
returns what was fitted, and nothing is kept from one fit to the next. Optional attributes, read with a default:

``needs``
    Stages that the recipe will ask ``context.fit`` for; asking for another is a contract error.
``check()``
    Raises :class:`medbench.UsageError` where a field is out of its range; called before anything is run.
``summary``
    One line for ``medbench plugins show``.
``tunable``
    Of an augmenter or a classifier: fields that may be tuned and the values to try, ``{"ratio": (0.5, 1.0, 2.0)}``.
``source``
    Of a stage: another data set. The stage, and every stage it needs, is fitted on that data set instead of the
    training samples, once for all folds; rows that share a group or pixels with the target are taken out before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np

from medbench.samples import Samples

if TYPE_CHECKING:
    from concurrent.futures import Future

    import torch

State = Mapping[str, np.ndarray]
Defined = TypeVar("Defined")


def outside_identity(definition: Defined) -> Defined:
    """Mark a top-level function or class that cannot change what is fitted or predicted, and return it as it is.

    Results are identified by the code that recipes can reach; nothing behind this mark is. It is for pictures, curves
    and progress: editing them then leaves stored results valid.
    """
    return definition


Fitted = TypeVar("Fitted", covariant=True)
Numerics = Literal["exact", "portable", "fast"]
"""How networks compute; see :class:`Budget`."""


@dataclass(frozen=True)
class Budget:
    """What a fit may spend; the same for every arm of a study.

    Attributes:
        steps: Optimiser steps of a classifier.
        batch: Rows a step.
        size: Working size in pixels along every spatial axis; None is the data set's own.
        threads: CPU threads a trial. Part of the identity, since the number of threads changes bits.
        generator_steps: Steps of a generative model; fewer where its recipe names fewer.
        tries: Configurations that every training run tries on a part of its training part before it trains the best;
            1 trains each method as it is, untuned.
        numerics: "exact": kernels that repeat. "portable": likewise, and one instruction set on all x86 processors.
            "fast": a GPU may take TensorFloat-32 and whatever kernel is fastest; on a CPU nothing changes.
    """

    steps: int = 1500
    batch: int = 64
    size: int | None = None
    threads: int = 1
    generator_steps: int = 5000
    tries: int = 1
    numerics: Numerics = "exact"

    @property
    def trainings(self) -> int:
        """Trainings of a classifier in a training run: one, or one a try and one of the best."""
        return 1 if self.tries == 1 else self.tries + 1


class Context(Protocol):
    """What the core hands to a fit: budget, device, seeds and stages. It is scoped to the recipe that is fitted."""

    @property
    def budget(self) -> Budget:
        """What the fit may spend."""

    @property
    def device(self) -> str:
        """A torch device: "cpu", "cuda:0"."""

    @property
    def folder(self) -> Path:
        """An existing folder; pictures and curves put there are stored beside the result."""

    @property
    def selects(self) -> bool:
        """Whether a classifier keeps the weights most accurate on its validation part: only where a protocol leaks."""

    def seed(self, *purpose: str | int) -> int:
        """Derive a seed in [0, 2**63) from the split, the recipe and `purpose`."""

    def fit(self, stage: Stage[Fitted], train: Samples) -> Fitted:
        """Return `stage` fitted on `train`: from the store, or fitted now. It must be one of the recipe's `needs`.

        A stage with a ``source`` is fitted on ``self.source(stage.source)`` instead.
        """

    def source(self, dataset: Dataset) -> Samples:
        """Return the samples of another data set that a field of a recipe names.

        Rows that share a group or pixels with the data set under test are taken out, so that every fold may learn
        from the rest.
        """

    def progress(self, step: int, total: int, **values: float) -> None:
        """Report a step done; call it often, it costs nothing. A fit that reports nothing for long is ended."""


class Recipe(Protocol):
    """Something registered under a name, with a configuration."""

    @property
    def name(self) -> str: ...


@runtime_checkable
class Stage(Recipe, Protocol[Fitted]):
    """A recipe whose fitted result several trials share, such as a generator or an encoder.

    What ``fit`` returns has a ``state() -> Mapping[str, ndarray]``, which the core stores.
    """

    def fit(self, train: Samples, context: Context) -> Fitted:
        """Fit on training samples; the same samples, seed and budget give the same result.

        Args:
            train: Real rows; not to be changed. Pixels are ``uint8``, features ``float32``.
            context: Seeds, budget, device and stages.

        Raises:
            Skip: If it makes no sense for such samples, such as volumes for a recipe of two dimensions.
        """

    def restore(self, state: State, train: Samples) -> Fitted:
        """Rebuild what ``fit`` returned from its ``state()`` and the samples it was fitted on."""


class Sampler(Protocol):
    """A fitted generative model.

    One that knows which rows it drew from has ``sources(labels, seed)`` too: for each row that ``sample`` gives for the
    same arguments, the ids of the real rows it was made from. Without it a synthetic row names every row of the fit.
    """

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Draw one row a label.

        Args:
            labels: ``int64 (n,)`` classes, each in 0..n_classes - 1.
            seed: The same seed gives the same rows.

        Returns:
            ``(n, channels, *spatial)`` in the dtype and shape of the training samples.
        """

    def state(self) -> State:
        """Return the arrays that the model is restored from, of any shape and dtype."""


@runtime_checkable
class Generator(Stage[Sampler], Protocol):
    """A stage that learns to draw samples of a class.

    Attributes:
        stored: False for a generator that costs nothing to fit; it is then fitted where it is used and never stored.
    """

    @property
    def stored(self) -> bool: ...


Transform = Callable[["torch.Tensor", "torch.Tensor", "torch.Generator"], tuple["torch.Tensor", "torch.Tensor"]]
Loss = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]


@dataclass(frozen=True)
class DrawnAhead:
    """A transform whose numbers are drawn before any pixel is looked at: for one batch, or for all batches of a fit.

    What is drawn in a step is often tens of operations on a few numbers. Drawn for all steps at once they cost next
    to nothing, and a step is left with those on pixels. Called as any other transform, it draws for one batch.

    Attributes:
        draw: ``(rows, spatial, generator) -> tensors`` on the generator's device, each with `rows` as its first axis.
            On a CPU those of many rows are those of few and few again, bit for bit.
        move: ``(x, *tensors) -> x``, with ``float32 (B, channels, *spatial)`` in [-1, 1] and B rows of each tensor.
    """

    draw: Callable[[int, tuple[int, ...], torch.Generator], tuple[torch.Tensor, ...]]
    move: Callable[..., torch.Tensor]

    def __call__(
        self, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw for the rows of `x` and change them."""
        return self.move(x, *self.draw(len(x), tuple(x.shape[2:]), generator)), y


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What a classifier is trained on.

    Attributes:
        samples: Real and synthetic rows.
        transform: ``(x, y, generator) -> (x, y)`` for each batch on the device. x is ``float32 (B, channels,
            *spatial)`` in [-1, 1] (features as they are), y ``float32 (B, n_classes)`` class probabilities,
            generator a ``torch.Generator`` on the same device. The core passes it on and never calls it.
        sampling: ``float64 (n,)`` probability of each row to be drawn, summing to 1; None is shuffled epochs.
        loss: ``(logits (B, n_classes), y (B, n_classes)) -> scalar``; None is cross-entropy. One whose minimum is not
            at the class probabilities has an attribute ``inverse_link``: ``float64 (n, n_classes)`` logits to the
            probabilities at which they minimise the expected loss. A classifier that takes a loss predicts by it.
            Without the attribute it is the softmax.
        frequencies: ``float64 (n_classes,)``, where a loss weighs classes: the frequencies that training with that
            loss amounts to. None: what `sampling` gives, or `bags`.
        bags: ``int64 (m,)`` row numbers of each bag. One network is trained on each, with an equal share of the steps,
            and their probabilities are averaged; `sampling` holds within each bag. None is one network on all rows.
        pretrain: Share of the steps, from 0 and below 1, that see synthetic rows alone, classes equally often; all
            later steps see real rows alone, drawn as `sampling` says. 0: all rows from the first step to the last.
    """

    samples: Samples
    transform: Transform | None = None
    sampling: np.ndarray | None = None
    loss: Loss | None = None
    frequencies: np.ndarray | None = None
    bags: tuple[np.ndarray, ...] | None = None
    pretrain: float = 0.0

    @property
    def class_frequencies(self) -> np.ndarray:
        """``float64 (n_classes,)``: how often a classifier trained on this sees each class, summing to 1."""
        if self.frequencies is not None:
            return np.asarray(self.frequencies, dtype=np.float64) / np.sum(self.frequencies)
        weights = np.ones(len(self.samples)) if self.sampling is None else np.asarray(self.sampling, dtype=np.float64)
        drawn = (self.samples.labels >= 0) & (self.samples.is_real if self.pretrain else True)  # by the last step
        weights = np.where(drawn, weights, 0.0)
        labels, n_classes = np.maximum(self.samples.labels, 0), len(self.samples.classes)
        of_bags = [
            np.bincount(labels[rows], weights[rows], minlength=n_classes)
            for rows in (self.bags or (np.arange(len(labels)),))
        ]
        return np.mean([counts / counts.sum() for counts in of_bags], axis=0)


@runtime_checkable
class Augmenter(Recipe, Protocol):
    """A recipe that turns training samples into a training set.

    Attributes:
        space: Whether it is handed pixels or an encoder's features.
        gives: What it uses of a training set: a subset of samples, transform, sampling, loss, bags, pretrain. Empty:
            it leaves training as it is, and serves as the footer of every table.
        control: The augmenter without the ingredient this one claims, or its name, as "balanced" or
            "acgan[generator=resample]"; None for the root of a tree, which is compared with nothing.
        companions: Optional: augmenters to run beside this one, or their names, such as the same with a stronger
            generator.
    """

    @property
    def space(self) -> Literal["pixels", "features"]: ...
    @property
    def gives(self) -> frozenset[str]: ...
    @property
    def control(self) -> Augmenter | str | None: ...

    def fit(self, train: Samples, context: Context) -> TrainingSet:
        """Return what a classifier is trained on.

        Args:
            train: Real training rows, read-only. Pixels are ``uint8 (n, channels, *spatial)``, features ``float32``.
            context: Seeds, budget, device and the stages in ``needs``.

        Returns:
            The training rows, unchanged, in any number and order, and rows made from them alone.

        Raises:
            Skip: If it makes no sense for such samples.
        """


Predictor = Callable[[np.ndarray], np.ndarray]
"""``x (n, channels, *spatial) -> float64 (n, n_classes)`` probabilities, rows summing to 1."""


@runtime_checkable
class Classifier(Recipe, Protocol):
    """A recipe that learns to tell classes apart.

    A classifier that can be cut in two has ``cut() -> (encoder, head)``: a ``Stage[Encoding]`` and a classifier of its
    features, which takes "features". Augmenters of the space "features" work between the two. The encoder sees training
    samples only, runs all its steps and keeps its last weights.

    A classifier that claims an ingredient of its own, such as pretraining, has a ``control``: itself without it, or a
    name. The two stand on one leaderboard, and the one is compared with the other under the same augmenter.

    A classifier that can tell before any training that its network cannot learn from such images in such batches has
    ``check_images(samples, budget)``: samples without rows, of the shape of the data set's, and the study's budget. It
    raises :class:`medbench.UsageError`; ``plan`` and ``run`` ask it.

    Attributes:
        takes: What it can work with: 2d, 3d, features, and a subset of samples, transform, sampling, loss, bags,
            pretrain.
    """

    @property
    def takes(self) -> frozenset[str]: ...

    def fit(
        self, training_set: TrainingSet, validation: Samples, context: Context, start: State | None = None
    ) -> Predictor:
        """Train on a training set and return a function that predicts.

        Args:
            training_set: Rows to train on, and how; not to be changed.
            validation: Real rows of other patients, for learning curves; not to be changed. They choose the weights
                only where ``context.selects`` is True.
            context: Seeds, budget and device.
            start: Weights to begin with; None begins with the recipe's own.

        Raises:
            Diverged: If the loss is no longer finite.
            Skip: If it makes no sense for such samples.
        """


class Encoding(Protocol):
    """A fitted encoder."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Turn pixels ``uint8 (n, channels, *spatial)`` into features ``float32 (n, d)`` or ``(n, d, *spatial)``."""

    def state(self) -> State:
        """Return the arrays that the encoder is restored from."""


Metric = Callable[[np.ndarray, np.ndarray], float]
"""``(labels int64 (n,), probabilities float64 (n, n_classes)) -> float``, higher is better; ``__name__`` names it."""


@runtime_checkable
class Extractor(Recipe, Protocol):
    """A fixed recipe that turns pixels into features; nothing is fitted, and a row's features are its own alone.

    One whose features are dear, such as a large network's, has ``kept = True``: those of the data set's images are
    computed once, before the first training run. One that takes only pictures or only volumes says so in ``takes``, a
    subset of 2d and 3d.

    One that tells classes apart has ``probabilities(x) -> float64 (n, k)`` besides, rows summing to 1.

    One that is trained has ``fit(train, context)``, which is handed what the fold's augmenter was handed and returns
    something with the same two methods, and its ``needs``. Its numbers hold within a fold: means over the same folds
    may be compared with each other, and with nothing else.
    """

    def features(self, x: np.ndarray) -> np.ndarray:
        """Turn pixels ``uint8 (n, channels, *spatial)`` into features ``float64 (n, d)``.

        Raises:
            Skip: For images it is not made for.
        """


@runtime_checkable
class Score(Recipe, Protocol):
    """A number for a generative model, from features: higher is better only where its summary says so.

    Optional attributes, read with a default:

    ``of``
        "features" (default), "probabilities", not computed where the extractor gives none, or "pixels": what the rows
        are; pixels are ``uint8 (n, channels, *spatial)``.
    ``each_class``
        True: scored within each class, then the mean over the classes it is defined for. Default: all at once.
    ``by_class``
        True: all at once, and within each class too. Either way what is scored within a class is stored as
        ``NAME:CLASS``.
    ``floor``
        False: no floor. Default: the same score with real training rows in place of the synthetic ones is stored beside
        it as ``NAME-floor``; "held-out": with held-out rows, for scores that learn from the training rows.
    ``spread``
        True: the 95th percentile of its mean over classes between real rows of different patients is stored as
        ``NAME-spread``.
    ``with_labels(train, held_out, synthetic, labels, n_classes) -> (float, float64 (n_classes,))``
        Called instead of ``score`` where it is there, with ``labels`` of the three; the second is one number a class,
        stored as ``NAME:CLASS``, or is empty.
    ``show(folder, train, held_out, synthetic)``
        May leave a picture in the trial's folder, which stays on this machine.
    """

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Score synthetic rows; NaN where that is not defined.

        Args:
            train: ``float64 (n, d)`` features of the real training images.
            held_out: ``float64 (m, d)`` features of real images the generator never saw.
            synthetic: ``float64 (k, d)`` features of synthetic images.
        """


@dataclass(frozen=True)
class Card:
    """What one must know before using a data set.

    Attributes:
        title: Full name.
        licence: As found at its source.
        citation: One line, with a DOI or arXiv number.
        access: How to get it, in a sentence or two.
        publish: What a published result may hold: "predictions", "pictures" (predictions and pictures) or "nothing".
        unit: What is scored: "patient" or "image".
        layout: The files expected in the folder.
    """

    title: str
    licence: str
    citation: str
    access: str
    publish: Literal["nothing", "predictions", "pictures"]
    unit: Literal["patient", "image"] = "patient"
    layout: str = ""


@dataclass(frozen=True)
class Record:
    """One image of a data set, described without its pixels.

    Attributes:
        id: Unique in its data set and the same on every machine; no path of a machine in it.
        files: Paths relative to the data folder, "/" between parts; the first one holds the pixels.
        label: Position in the classes, -1 for an unlabelled image.
        patient: Who it shows; unique in its data set.
        study: The examination it belongs to, where that is known apart from the patient.
        part: Part of an official cut, "train" or "test"; empty where there is none.
        detail: Whatever else ``read`` needs, as text.
    """

    id: str
    files: tuple[str, ...]
    label: int
    patient: str
    study: str = ""
    part: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Index:
    """What a data folder holds, without pixels.

    Attributes:
        records: In an order that does not depend on the machine.
        classes: Names; a record's label is a position in it.
        channels: Channels of an image.
        dimensions: Spatial axes: 2 or 3.
        notes: Sentences about what was left out or looked odd, with counts; shown by ``datasets check``.
    """

    records: tuple[Record, ...]
    classes: tuple[str, ...]
    channels: int
    dimensions: Literal[2, 3]
    notes: tuple[str, ...] = ()


@runtime_checkable
class Dataset(Recipe, Protocol):
    """A recipe that reads a data set's files as they were released.

    A case study is part of the name: ``vindr-spinexr:case-1``. What stands before the colon is the family; its
    phantom is shared by all case studies of the family.

    Attributes:
        size: Default working size in pixels along every spatial axis.
        sides: Optional, False by default: whether classes are sides of the body (left kidney, right kidney). Samples
            carry it, and an augmenter that mirrors left to right leaves that out.
        join_near: Optional, True by default: whether patients with nearly equal pictures count as one in every split.
        positive: Optional, "" by default: which of its two classes is the disease, for sensitivity and specificity. It
            changes no training run; a study's ``positive`` goes before it.
    """

    @property
    def card(self) -> Card: ...
    @property
    def size(self) -> int: ...

    def index(self, root: Path) -> Index:
        """Describe every image under `root` without decoding any.

        Raises:
            DataError: Where a file is missing, damaged or contradicts another; the message names file and fix.
        """

    def read(self, root: Path, records: Sequence[Record], size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Yield pixels ``uint8 (channels, *spatial)`` and mask ``uint8 (*spatial)`` or None, one pair a record.

        Every spatial axis has length `size`. Called in worker processes, each with some of the records.

        Raises:
            DataError: For the first image that cannot be read.
        """

    def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
        """Write a look-alike with about `patients` patients under `root`, in the real layout; `null`: labels are noise.

        Data sets without a phantom raise :class:`medbench.UsageError`.
        """


@runtime_checkable
class Executor(Recipe, Protocol):
    """A way to run jobs. One call of ``start`` a run.

    One whose jobs run on other machines has a number ``at_a_time``: how many may wait or run there at a time unless
    ``--workers`` says. The device it is given is then what ``--device`` says, "auto" for one that is found there.

    One that can give a job more memory than its share of a device has a method ``more_memory()``: what a job gets whose
    share is doubled, as half a sentence ("with --mem=8G in place of --mem=4G"). That share may then be more than 1.
    """

    def start(self, *, workers: int, devices: Sequence[str]) -> Jobs:
        """Start up to `workers` jobs at a time on torch devices such as "cpu" or "cuda:0"."""


class Jobs(Protocol):
    """A started executor.

    One that has something to tell has a list of sentences ``notes``: each is shown, and taken out of it, also once it
    was closed.
    """

    def submit(self, work: Callable[[str, str], int], folder: str, share: float, limit_s: float) -> Future[int]:
        """Run ``work(folder, device)`` in a process of its own.

        Args:
            work: An importable function.
            folder: The job's folder; it reads its task from there and writes what it made into it.
            share: Part of a device it may take, 0 to 1.
            limit_s: Wall-clock limit in seconds.

        Returns:
            A future of the exit status. It raises ``TimeoutError`` past the limit, ``ProcessLookupError`` where the
            process died, :class:`medbench.JobLost` where something else became of the job, and
            :class:`medbench.ResourceError` where no job can be run any more, which ends the run.
        """

    def close(self) -> None:
        """End what still runs and free everything."""


def cut_in_two(classifier: Any) -> tuple[Stage[Encoding], Classifier] | None:
    """Return a classifier's encoder and head, or None where it cannot be cut."""
    cut = getattr(classifier, "cut", None)
    return cut() if cut is not None else None


def needs(recipe: Any) -> tuple[Stage[Any], ...]:
    """Return the stages a recipe says it will ask for; most need none."""
    return tuple(getattr(recipe, "needs", ()))


def source_of(stage: Any) -> Dataset | None:
    """Return the data set a stage is fitted on where that is not the training part."""
    return getattr(stage, "source", None)


def as_tuple(items: Iterable[Any] | None) -> tuple[Any, ...]:
    """Return what a hook gave as a tuple, for hooks that yield and hooks that return nothing."""
    return () if items is None else tuple(items)
