"""Any generator behind a filter, which keeps only samples that a judge assigns to their class."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

import medbench
from medbench_plugins.classifiers.timm_nets import VGG16
from medbench_plugins.generator_scores.neighbours import coverage
from medbench_plugins.generators.acgan import ACGAN
from medbench_plugins.row_vectors import as_vectors
from medbench_plugins.selection.classifier_judge import FittedSelector, Selector
from medbench_plugins.selection.judges import Judge
from medbench_plugins.selection.rules import Rule, RuleName, draw_selected

MOST = 200  # rows a class of the draw in which the filter is measured
NEAREST = 5  # the k of coverage, as its authors set it
COLUMNS = ("rows", "candidates", "passed", "fallback", "coverage_before", "coverage_after")


@dataclass(frozen=True)
class Selected:
    """Rows of another generator that a judge takes for the class they were drawn for.

    By "classifier", as Lin and Chung (TAAI 2019) do it: a network trained on the real training rows, classes drawn
    equally often, looks at every synthetic one. By "discriminator", as Sahoo and Mehra (2019) do it: the GAN's own,
    after its last step; acgan, reacgan and dense-acgan have one that distinguishes classes.

    A filter may keep what is easy: so the coverage of the real rows (Naeem et al. 2020, arXiv 2002.09797) by as many
    synthetic rows before and after it is measured in the judge's features and kept beside the share that passes. Both
    look at training rows only.

    Lin and Chung's rule is not known to us; Sahoo and Mehra keep what is classified correctly, which for two classes is
    the default threshold of 0.5. Deliberate difference: no class is short of rows. Where too few pass, the best of the
    others fill it, and are counted.

    Attributes:
        generator: Draws the rows.
        by: Who judges them: "classifier" or "discriminator".
        classifier: For "classifier": one that takes images like the training images; VGG-16 with its narrow head.
        rule: "threshold" keeps rows whose probability of the requested class is at least `threshold`; "top" the best
            `keep` of the whole draw, which favours easy classes; "quantile" the best `keep` of each class.
        threshold: Of "threshold", 0 to 1.
        keep: Of "top" and "quantile", above 0, at most 1, and at least 1 / `pool`.
        pool: Rows drawn for each row wanted, at most.
    """

    name: str = "selected"
    generator: medbench.Generator = field(default_factory=ACGAN)
    by: Literal["classifier", "discriminator"] = "classifier"
    classifier: medbench.Classifier = field(default_factory=partial(VGG16, head="narrow"))
    rule: RuleName = "threshold"
    threshold: float = 0.5
    keep: float = 0.5
    pool: int = 4

    stored: ClassVar[bool] = True

    @property
    def summary(self) -> str:
        """One line."""
        return f"rows of {self.generator.name} that a {self.by} takes for their class"

    @property
    def needs(self) -> tuple[medbench.Stage, ...]:
        """The generator, and the classifier as a stage of its own."""
        return (self.generator, Selector(self.classifier)) if self.by == "classifier" else (self.generator,)

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        for name, known in (("by", ("classifier", "discriminator")), ("rule", ("threshold", "top", "quantile"))):
            if getattr(self, name) not in known:
                raise medbench.UsageError(
                    f"{self.name}.{name}: {getattr(self, name)!r} is unknown; use {' or '.join(known)}."
                )
        if not 0 <= self.threshold <= 1:
            raise medbench.UsageError(f"{self.name}.threshold: got {self.threshold:g}; give a number from 0 to 1.")
        if not 0 < self.keep <= 1:
            raise medbench.UsageError(f"{self.name}.keep: got {self.keep:g}; give a number above 0, at most 1.")
        if not 1 <= self.pool <= 1000:
            raise medbench.UsageError(f"{self.name}.pool: got {self.pool}; give a whole number from 1 to 1000.")
        if self.rule != "threshold" and self.keep * self.pool < 1:
            raise medbench.UsageError(
                f"{self.name}.pool: the best {self.keep:g} of {self.pool} rows drawn for each one wanted are too few; "
                f"give at least {int(np.ceil(1 / self.keep))}."
            )

    def fit(self, train: medbench.Samples, context: medbench.Context) -> SelectingSampler:
        """Fit the generator and the judge; leave ``NAME-selection.csv``, and a picture of images, in the folder.

        Raises:
            medbench.UsageError: If a field is out of its range.
            medbench.Skip: If the classifier does not take rows like these, or the generator has no discriminator that
                distinguishes classes.
        """
        self.check()
        selector = context.fit(Selector(self.classifier), train) if self.by == "classifier" else None
        sampler = context.fit(self.generator, train)
        unmeasured = self._build_sampler(sampler, selector, np.zeros((len(train.classes), len(COLUMNS))))
        fitted = replace(unmeasured, statistics=unmeasured.measure(train, context))
        _write_table(context.folder / f"{self.name}-selection.csv", train.classes, fitted.statistics)
        if train.x.dtype == np.uint8:
            from medbench_plugins.contact_sheet import write_contact_sheet

            write_contact_sheet(
                context.folder / f"{self.name}-samples.png", train, fitted, seed=context.seed("picture")
            )
        return fitted

    def restore(self, state: medbench.State, train: medbench.Samples) -> SelectingSampler:
        """Rebuild the sampler from its ``state()``.

        Raises:
            medbench.StoreError: If the state belongs to other rows or another configuration.
        """
        statistics = np.array(state["measured"])
        if statistics.shape != (len(train.classes), len(COLUMNS)):
            raise medbench.StoreError(
                f"{self.name}: the stored selection is that of {len(statistics)} classes, not of {len(train.classes)}; "
                "fit the generator again."
            )
        sampler = self.generator.restore(_with_prefix("generator.", state), train)
        if self.by == "discriminator":
            return self._build_sampler(sampler, None, statistics)
        selector = Selector(self.classifier).restore(_with_prefix("selector.", state), train)
        return self._build_sampler(sampler, selector, statistics)

    def _build_sampler(
        self, sampler: medbench.Sampler, selector: FittedSelector | None, statistics: np.ndarray
    ) -> SelectingSampler:
        judge: Any = selector if selector is not None else getattr(sampler, "judge", None)
        if judge is None:
            raise medbench.Skip(
                f"{self.generator.name} has no discriminator that tells classes apart, as acgan, reacgan and "
                f"dense-acgan have; use {self.name}[by=classifier]"
            )
        rule = Rule(self.rule, self.threshold, self.keep, self.pool)
        return SelectingSampler(sampler, judge, rule, statistics, selector)


@dataclass(frozen=True, eq=False)
class SelectingSampler:
    """Draws from a fitted generator through a filter.

    Attributes:
        sampler: The generator's.
        criterion: Whose class probabilities count.
        rule: What passes.
        statistics: ``float64 (n_classes, 6)``, columns as ``COLUMNS``: what a draw at the fit took and gave; NaN where
            a class has too few real rows to measure coverage.
        selector: The classifier where that is the judge.
    """

    sampler: medbench.Sampler
    criterion: Judge
    rule: Rule
    statistics: np.ndarray
    selector: FittedSelector | None = None

    @property
    def facts(self) -> dict[str, float]:
        """Numbers of the draw at the fit.

        ``accepted``: share of the drawn rows that passed. ``fallback``: number of kept rows that did not, of ``rows``.
        ``coverage_before``, ``coverage_after``: of the real rows of the average class, by as many synthetic rows as
        there are, before the filter and after it; left out where no class could be measured.
        """
        rows, candidates, passed, fallback, before, after = self.statistics.T
        facts = {
            "accepted": float(passed.sum() / candidates.sum()),
            "fallback": float(fallback.sum()),
            "rows": float(rows.sum()),
        }
        known = np.isfinite(before) & np.isfinite(after)
        if known.any():
            facts |= {"coverage_before": float(before[known].mean()), "coverage_after": float(after[known].mean())}
        return facts

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Draw one row a label, ``(n, ...)`` in dtype and shape of the training rows; the same seed gives the same."""
        n_classes = len(self.statistics)
        return draw_selected(self.sampler, self.criterion, self.rule, labels, seed, n_classes=n_classes).x

    def state(self) -> medbench.State:
        """Return the generator's arrays behind "generator.", the classifier's behind "selector.", and the numbers.

        All of them, although both are stored stages: ``restore`` is handed nothing but this.
        """
        arrays = {f"generator.{name}": array for name, array in self.sampler.state().items()}
        if self.selector is not None:
            arrays |= {f"selector.{name}": array for name, array in self.selector.state().items()}
        return {**arrays, "measured": self.statistics}

    def measure(self, train: medbench.Samples, context: medbench.Context) -> np.ndarray:
        """Draw once with the filter and once without it, and compare the two with the real rows.

        Returns:
            ``float64 (n_classes, 6)``, columns as ``COLUMNS``. As many real as synthetic rows of a class are looked at,
            200 at most: coverage depends on both numbers.
        """
        reports, done = self.rule.pool + 3, 0

        def report() -> None:
            nonlocal done
            done += 1
            context.progress(done, reports)

        rng = np.random.default_rng(context.seed("real"))
        own = [np.sort(rng.permutation(np.flatnonzero(train.labels == k))[:MOST]) for k in range(len(train.classes))]
        rows = np.concatenate(own)
        labels, seed = train.labels[rows], context.seed("probe")
        drawn = draw_selected(
            self.sampler, self.criterion, self.rule, labels, seed, n_classes=len(train.classes), report=report
        )
        features = []
        for x in (train.x[rows], self.sampler.sample(labels, seed), drawn.x):
            features.append(as_vectors(self.criterion.features(x)))
            report()
        context.progress(reports, reports)
        covered = [
            [coverage(features[0][labels == k], made[labels == k], NEAREST) for made in features[1:]]
            for k in range(len(train.classes))
        ]
        counts = [np.bincount(labels, minlength=len(train.classes)), drawn.candidates, drawn.passed, drawn.fallback]
        return np.concatenate([np.stack(counts, axis=1), covered], axis=1).astype(np.float64)


def _with_prefix(prefix: str, state: medbench.State) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}


def _write_table(path: Path, classes: tuple[str, ...], statistics: np.ndarray) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["class", *COLUMNS])
        for name, numbers in zip(classes, statistics, strict=True):
            known = ["" if np.isnan(value) else f"{value:.4f}" for value in numbers[4:]]
            table.writerow([name, *(int(value) for value in numbers[:4]), *known])
