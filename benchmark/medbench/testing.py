"""What a plugin author needs to test a recipe: toy samples, a context, and contract checks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import ContractError
from medbench.interfaces import Budget, Fitted, Stage
from medbench.samples import Samples


def toy_samples(
    n: int = 60,
    *,
    classes: int = 2,
    channels: int = 1,
    size: int = 16,
    dimensions: int = 2,
    seed: int = 0,
    images_per_patient: int = 2,
) -> Samples:
    """Draw noise images in which class k has a bright block at a place of its own: learnable in a few steps.

    Returns:
        ``uint8 (n, channels, *[size] * dimensions)``; classes take turns from patient to patient.
    """
    rng = np.random.default_rng(seed)
    patients = np.arange(n) // images_per_patient
    labels = (patients % classes).astype(np.int64)
    x = rng.normal(90, 25, (n, channels, *[size] * dimensions))
    width = max(2, size // 4)
    for row, label in enumerate(labels):
        start = (label * width) % (size - width + 1)
        block = tuple([slice(start, start + width)] * dimensions)
        x[row, :][(slice(None), *block)] += 90
    names = np.array([f"p{p}" for p in patients], dtype=np.str_)
    return Samples(
        x=x.clip(0, 255).astype(np.uint8),
        labels=labels,
        ids=np.array([f"toy/{i}" for i in range(n)], dtype=np.str_),
        patients=names,
        groups=names,
        sources=((),) * n,
        classes=tuple(f"class {k}" for k in range(classes)),
        made_of=hashlib.sha256(x.tobytes()).hexdigest(),
    )


@dataclass
class SandboxContext:
    """A context without a store: fits every stage where it is asked for, and keeps what was reported.

    Attributes:
        reports: ``(step, total, values)`` of every call of ``progress``.
    """

    folder: Path
    budget: Budget = field(default_factory=lambda: Budget(steps=40, batch=16, generator_steps=40))
    device: str = "cpu"
    base: int = 0
    reports: list[tuple[int, int, dict[str, float]]] = field(default_factory=list)

    def seed(self, *purpose: str | int) -> int:
        """Derive a seed in [0, 2**63)."""
        text = "|".join(map(str, (self.base, *purpose)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def fit(self, stage: Stage[Fitted], train: Samples) -> Fitted:
        """Fit `stage`, send its state through ``restore`` as the store would, and return that."""
        fitted: Any = stage.fit(train, self)
        state = {name: np.array(array) for name, array in fitted.state().items()}
        return stage.restore(state, train)

    def progress(self, step: int, total: int, **values: float) -> None:
        """Keep the report."""
        self.reports.append((step, total, values))


def check_recipe_is_unchanged(recipe: Any, call: Any) -> Any:
    """Run `call()` and raise :class:`medbench.ContractError` if `recipe` differs afterwards."""
    before = repr(recipe)
    result = call()
    if repr(recipe) != before:
        raise ContractError(f"{recipe.name}: fit changed the recipe; keep what is fitted in what fit returns")
    return result


def check_augmenter(augmenter: Any, folder: Path) -> None:
    """Check that an augmenter keeps its contract on toy samples, in 2-D and 3-D as it can.

    It leaves its input as it is, returns what its interface says, makes rows from training rows only, and gives the
    same under the same seed.

    Raises:
        ContractError: With one sentence on what is wrong.
        LeakError: If it returns rows it cannot have made from its training samples.
    """
    from medbench import audit
    from medbench.errors import Skip

    tried = 0
    for dimensions in (2, 3):
        train = toy_samples(24, dimensions=dimensions, size=16)
        before = train.x.copy()
        train.x.flags.writeable = False
        sandbox = SandboxContext(_fresh(folder, f"{dimensions}d"))
        try:
            made = check_recipe_is_unchanged(augmenter, lambda c=sandbox, t=train: augmenter.fit(t, c))
            again = augmenter.fit(train, SandboxContext(_fresh(folder, f"{dimensions}d-again")))
        except Skip:
            continue
        tried += 1
        audit.checked(made, train, augmenter=augmenter.name)
        if not np.array_equal(before, train.x):
            raise ContractError(f"{augmenter.name}: fit changed its training samples; return new arrays.")
        if not np.array_equal(made.samples.x, again.samples.x) or not np.array_equal(
            made.samples.labels, again.samples.labels
        ):
            raise ContractError(f"{augmenter.name}: two fits of one seed differ; draw only from context.seed().")
    if not tried:
        raise ContractError(f"{augmenter.name}: skipped both 2-D and 3-D toy samples, so nothing could be checked.")


def check_generator(generator: Any, folder: Path) -> None:
    """Check that a generator keeps its contract on toy samples.

    Raises:
        ContractError: With one sentence on what is wrong.
    """
    train = toy_samples(24, size=16)
    sandbox = SandboxContext(_fresh(folder, "generator"))
    fitted: Any = check_recipe_is_unchanged(generator, lambda: generator.fit(train, sandbox))
    wanted = np.array([0, 1, 1, 0, 1])
    one, other = fitted.sample(wanted, 7), fitted.sample(wanted, 7)
    if one.dtype != train.x.dtype or one.shape != (len(wanted), *train.x.shape[1:]):
        raise ContractError(
            f"{generator.name}: sample gave {one.dtype} {one.shape}, expected {train.x.dtype} "
            f"{(len(wanted), *train.x.shape[1:])}."
        )
    if not np.array_equal(one, other):
        raise ContractError(f"{generator.name}: sample gave different rows for one seed.")
    state = {name: np.array(array) for name, array in fitted.state().items()}
    if not np.array_equal(generator.restore(state, train).sample(wanted, 7), one):
        raise ContractError(f"{generator.name}: what restore builds from state() does not sample the same.")


def check_classifier(classifier: Any, folder: Path) -> None:
    """Check that a classifier keeps its contract on toy samples of the dimensions it takes.

    Raises:
        ContractError: With one sentence on what is wrong.
    """
    from medbench import audit
    from medbench.interfaces import TrainingSet

    dimensions = [d for d in (2, 3) if f"{d}d" in classifier.takes]
    if not dimensions:
        raise ContractError(f"{classifier.name}: takes {sorted(classifier.takes)}, which has neither 2d nor 3d.")
    for d in dimensions:
        train, test = toy_samples(24, dimensions=d), toy_samples(12, dimensions=d, seed=1)
        budget = Budget(steps=3, batch=8, generator_steps=3)
        outcomes = []
        for name in ("one", "other"):
            sandbox = SandboxContext(_fresh(folder, f"{d}d-{name}"), budget)
            predict = check_recipe_is_unchanged(
                classifier, lambda c=sandbox, t=train, v=test: classifier.fit(TrainingSet(t), v, c)
            )
            outcomes.append(audit.probabilities(predict(test.x), test, classifier=classifier.name))
        if not np.array_equal(outcomes[0], outcomes[1]):
            raise ContractError(f"{classifier.name}: two fits of one seed differ; draw only from context.seed().")


def check_dataset(dataset: Any, folder: Path) -> None:
    """Check that a data set reads its own phantom back, the same way twice.

    Raises:
        ContractError: With one sentence on what is wrong.
    """
    from medbench.decode import check_index

    root = _fresh(folder, "phantom")
    dataset.phantom(root, seed=0, patients=12, null=False)
    index = check_index(dataset.index(root), dataset.name)
    records = index.records[:3]
    for (image, mask), record in zip(dataset.read(root, records, 16), records, strict=True):
        if image.dtype != np.uint8 or image.shape != (index.channels, *[16] * index.dimensions):
            raise ContractError(f"{dataset.name}: {record.id} was read as {image.dtype} {image.shape}.")
        if mask is not None and mask.shape != image.shape[1:]:
            raise ContractError(
                f"{dataset.name}: the mask of {record.id} is {mask.shape}, its image {image.shape[1:]}."
            )
    if [r.id for r in dataset.index(root).records] != [r.id for r in index.records]:
        raise ContractError(f"{dataset.name}: two calls of index list the images in different order.")


CHECKS: dict[str, Any] = {
    "augmenter": check_augmenter,
    "generator": check_generator,
    "classifier": check_classifier,
    "dataset": check_dataset,
}


def _fresh(folder: Path, name: str) -> Path:
    place = folder / name
    place.mkdir(parents=True)
    return place
