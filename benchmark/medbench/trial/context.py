"""The context of a fit: seeds, the budget, fitted stages and the rows each was fitted on, time and memory."""

from __future__ import annotations

import dataclasses
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from medbench.errors import ContractError, Skip, UsageError
from medbench.identity.identity import derive_seed, digest
from medbench.interfaces import Dataset, Fitted, Stage, needs, outside_identity, source_of
from medbench.registry.describe_recipe import describe_for_seeds
from medbench.samples import Samples
from medbench.trial.kept_features import FeatureTable, KeptFeatures, features_key, use_threads
from medbench.trial.stages import ids_of, load_state, stage_key
from medbench.trial.tamper_check import unchanged
from medbench.trial.trial import Trial


class TrialContext:
    """What the core hands to a fit, scoped to one recipe; stages come from a store where they are there.

    Args:
        trial: Gives the budget, and the split and the seeds that all seeds are derived from.
        device: A torch device.
        folder: For pictures and curves.
        stage_folder: ``key -> folder`` of a stage that is stored, or None.
        report: Called with every step done.
        sources: ``dataset -> samples`` of the data sets that recipes name besides the one under test.
        made_of: SHA-256 of the data set under test, by which kept features are found; no row of it is handed on.
    """

    def __init__(
        self,
        trial: Trial,
        *,
        device: str,
        folder: Path,
        stage_folder: Callable[[str], Path | None] = lambda key: None,
        report: Callable[[int, int, Mapping[str, float]], None] = lambda step, total, values: None,
        sources: Callable[[Dataset], Samples] | None = None,
        made_of: str = "",
    ) -> None:
        self.budget, self.device, self.folder = trial.budget, device, folder
        self._split, self._seed, self._stage_seed = trial.split, trial.seed, trial.stage_seed
        self._stage_folder, self._report, self._sources = stage_folder, report, sources
        self._recipe: Any = None
        self._made_of = made_of
        self.selects = self.only_stored = False
        self.fitted_on: dict[str, frozenset[str]] = {}
        self.stages: dict[str, str] = {}
        self.reported: dict[str, int] = {}
        self._memory: dict[str, Any] | None = None

    def of(self, recipe: Any) -> TrialContext:
        """Return this context, scoped to `recipe`; the ledgers are shared."""
        scoped = object.__new__(TrialContext)
        scoped.__dict__.update(self.__dict__)
        scoped._recipe = recipe
        return scoped

    def with_steps(self, steps: int, *, selects: bool) -> TrialContext:
        """Return this context with another number of steps, and whether weights are chosen on the validation part."""
        other = self.of(self._recipe)
        other.budget, other.selects = dataclasses.replace(self.budget, steps=steps), selects
        return other

    def within(self, folder: Path, memory: dict[str, Any], *, of: int, done: int = 0, seed: int = 0) -> TrialContext:
        """Return this context for one of several tries within a trial, of which nothing is stored.

        Args:
            folder: For pictures and curves.
            memory: Stages that tries before have fitted, by key; new ones are added.
            of: Number of tries; the trial's own training comes behind them.
            done: Tries before.
            seed: Number of the classifier's seed; 0 is that of the trial.
        """
        inner, report = self.of(self._recipe), self._report
        inner.folder, inner._memory, inner.stages, inner.reported = folder, memory, {}, {}
        if seed:
            inner._seed = derive_seed(self._seed, "try", seed)
        inner._report = lambda step, total, values: report(step + done * total, (of + 1) * total, values)
        return inner

    def seed(self, *purpose: str | int) -> int:
        """Derive a seed from the split, the recipe and a purpose, not from the arm it is part of."""
        recipe = describe_for_seeds(self._recipe) if self._recipe is not None else {}
        return derive_seed(list(self._split), self._seed, recipe, list(purpose))

    def progress(self, step: int, total: int, **values: float) -> None:
        """Pass on a report of a step done."""
        self.reported["steps"] = step
        self._report(step, total, values)

    def source(self, dataset: Dataset) -> Samples:
        """Return another data set's samples, without what it shares with the one under test.

        Raises:
            UsageError: If no folder was given for the data set.
        """
        if self._sources is None:
            raise UsageError(f"{dataset.name}: no source data set was announced; name it in a field of the recipe.")
        return self._sources(dataset)

    def learns_from(self, stage: Any, train: Samples) -> Samples:
        """Return what a stage is fitted on: its own source, or `train`."""
        dataset = source_of(stage)
        return train if dataset is None else self.source(dataset)

    def fit(self, stage: Stage[Fitted], train: Samples) -> Fitted:
        """Return a stage fitted on `train`: from the store, or fitted now.

        Raises:
            ContractError: If the recipe did not announce the stage in its ``needs``.
        """
        if stage not in needs(self._recipe):
            raise ContractError(
                f"{self._recipe.name!r} asked for the stage {stage.name!r}, which its `needs` does not list."
            )
        return self.fit_stage(stage, train)

    def fit_stage(self, stage: Stage[Fitted], train: Samples) -> Fitted:
        """Do what ``fit`` does for the core itself, which needs no announcement."""
        if isinstance(stage, KeptFeatures):
            return self._look_up_features(stage, train)
        train = self.learns_from(stage, train)
        key, inner = self.stage_context(stage, train)
        self.fitted_on[key] = frozenset(train.ids[train.is_real].tolist())  # ids alone: taking rows would copy pixels
        if self._memory is not None and key in self._memory:
            return cast("Fitted", self._memory[key])
        stored = self._stage_folder(key) if getattr(stage, "stored", True) else None
        if stored is None and self.only_stored and getattr(stage, "stored", True):
            raise Skip(f"{stage.name} is not stored, and nothing is trained for scores")
        if stored is None:
            with unchanged("training samples", train, f"stage {stage.name!r}"):
                fitted = stage.fit(train, inner)
            if getattr(stage, "stored", True):
                self.stages[key] = ""
            if self._memory is not None:
                self._memory[key] = fitted
            return fitted
        state, record = load_state(stored, key)
        self.stages[key] = record["sha256"]
        for picture in sorted(stored.glob("*.png")):  # a trial's folder shows what its generator draws
            shutil.copyfile(picture, self.folder / picture.name)
        with unchanged("training samples", train, f"stage {stage.name!r}"):
            return stage.restore(state, train)

    def _look_up_features(self, stage: KeptFeatures, train: Samples) -> FeatureTable:
        """Return the kept features of the data set; nothing was learnt from its rows, so no ledger names them."""
        use_threads(self.budget)
        key = features_key(stage, made_of=self._made_of, budget=self.budget)
        stored = self._stage_folder(key)
        if stored is None:
            return FeatureTable(stage.extractor, {})
        state, record = load_state(stored, key)
        self.stages[key] = record["sha256"]
        return stage.restore(state, train)

    def stage_context(self, stage: Any, train: Samples) -> tuple[str, TrialContext]:
        """Return a stage's key and its context, whose seeds depend on the rows it is fitted on and not on the arm."""
        if isinstance(stage, KeptFeatures):
            return features_key(stage, made_of=train.made_of, budget=self.budget), self.of(stage)
        ids = ids_of(train)
        key = stage_key(stage, made_of=train.made_of, ids=ids, stage_seed=self._stage_seed, budget=self.budget)
        inner = self.of(stage)
        inner._split, inner._seed = ("stage", digest(sorted(ids))), self._stage_seed
        return key, inner


@outside_identity
@contextmanager
def measure_cost(device: str) -> Iterator[dict[str, float | str]]:
    """Measure wall seconds and peak memory of a block; CUDA memory where torch runs on a GPU.

    Args:
        device: In use already, see :func:`medbench.running.devices.use`.
    """
    cost: dict[str, float | str] = {"device": device}
    torch = sys.modules.get("torch") if device.startswith("cuda") else None
    if torch is not None:
        torch.cuda.init()  # costs nothing where it is; without it the next line fails
        torch.cuda.reset_peak_memory_stats(device)
        cost["device"] = torch.cuda.get_device_name(device)
    started = time.perf_counter()
    yield cost
    cost["seconds"] = time.perf_counter() - started
    scale = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there, in KiB elsewhere
    cost["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
    if torch is not None:
        cost["peak_gpu_mb"] = torch.cuda.max_memory_allocated(device) / 2**20
