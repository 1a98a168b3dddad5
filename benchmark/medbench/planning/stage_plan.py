"""The stages that the trials of a study need, each planned once and fitted before the stages that need it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from medbench.data.transfer_sources import key_of_dataset
from medbench.errors import UsageError
from medbench.interfaces import Augmenter, Classifier, Generator, needs, source_of
from medbench.planning.check_cut import CheckedCut
from medbench.registry.catalogue import Catalogue
from medbench.samples import Samples
from medbench.text import counted
from medbench.trial.encode import encoder_and_head
from medbench.trial.kept_features import KeptFeatures, features_key, kept_by
from medbench.trial.stages import ENCODER, EVERYTHING, features_made_of, ids_of, recipe_digest, stage_keys
from medbench.trial.trial import Trial

Keys = dict[tuple[str, str], Callable[[int], str]]
"""Keys of the stages of one cut that are known already, by their seed."""


@dataclass(frozen=True)
class StageJob:
    """A stage to fit once.

    Attributes:
        key: What it is stored under.
        stage: How people call the recipe: its text where it is registered, else its name.
        recipe: SHA-256 of the recipe, by which a job finds it; ENCODER for a classifier's own encoder.
        on: What it is fitted on: "pixels", "features", EVERYTHING, or the name of another data set.
        trial: One of the trials that need it; its cut gives the samples.
        depth: 0 for a stage that needs no other.
        needs: Keys of stages that must be there first.
        steps: Of a generator that is trained in steps: those of the budget, or fewer where its recipe names fewer.
    """

    key: str
    stage: str
    trial: Trial
    recipe: str = ""
    on: str = "pixels"
    depth: int = 0
    needs: tuple[str, ...] = ()
    steps: int = 0

    @property
    def is_features(self) -> bool:
        """Whether nothing is trained: the features of all images of a data set under a fixed extractor."""
        return self.on == EVERYTHING


@dataclass
class StageJobs:
    """The stages that are planned so far.

    Attributes:
        catalogue: What is registered.
        rows: All rows of each data set.
        others: Rows of each other data set that recipes may learn from, by data set and name.
        planned: By key, in the order in which trials were found to need them.
    """

    catalogue: Catalogue
    rows: Mapping[str, Samples]
    others: Mapping[str, Mapping[str, Samples]]
    planned: dict[str, StageJob] = field(default_factory=dict)
    _names: dict[Any, tuple[str, str]] = field(default_factory=dict)
    _steps: dict[tuple[str, int], int] = field(default_factory=dict)
    _tables: dict[tuple[str, str], str] = field(default_factory=dict)

    def of_trial(
        self, augmenter: Augmenter, classifier: Classifier, trial: Trial, cut: CheckedCut, keys: Keys
    ) -> Iterator[str]:
        """Yield the keys of every stage a trial needs, encoder first; plan those that are new.

        Args:
            augmenter: Of the trial.
            classifier: Of the trial.
            trial: The trial.
            cut: What encoders and other stages are fitted on.
            keys: Those known of this cut; new ones are added.
        """
        encoder, head = encoder_and_head(augmenter, classifier)
        where = _Where(cut.train, cut.train.made_of)
        if encoder is not None:
            where = _Where(cut.encoder_rows, cut.train.made_of)
            inner = tuple(self._plan_needed(encoder, trial, where, keys))
            key = self._key(encoder, f"{ENCODER} of {trial.classifier}", trial, where, keys)
            yield from inner
            before = inner
            if getattr(encoder, "stored", True):
                self._plan(StageJob(key, ENCODER, trial, ENCODER, needs=inner))
                yield key
                before = (*inner, key)
            where = _Where(cut.train, features_made_of(cut.train.made_of, key), "features", before)
        extractor = self.catalogue.resolve("extractor", trial.extractor) if trial.extractor else None
        for recipe in (augmenter, head, extractor):
            if needs(recipe):  # most recipes need nothing, and a plan asks a hundred thousand times
                yield from self._plan_needed(recipe, trial, where, keys)
        if (kept := kept_by(extractor)) is not None:
            yield self._plan_features(kept, trial)

    def _plan_needed(self, recipe: Any, trial: Trial, where: _Where, keys: Keys) -> Iterator[str]:
        for stage in needs(recipe):
            if isinstance(stage, KeptFeatures):
                yield self._plan_features(stage, trial)
                continue
            place, other = where, source_of(stage)
            if other is not None:
                name = key_of_dataset(other)
                rows = self.others[trial.dataset][name]
                place = _Where(rows, rows.made_of, name)
            inner = tuple(self._plan_needed(stage, trial, place, keys))
            if not getattr(stage, "stored", True):
                yield from inner
                continue
            text, code = self._name_stage(stage)
            key = self._key(stage, code, trial, place, keys)
            if key not in self.planned:
                before, steps = (*place.before, *inner), self._steps_of(stage, code, trial.budget.generator_steps)
                self._plan(StageJob(key, text, trial, code, place.on, needs=before, steps=steps))
            yield from inner
            yield key

    def _plan_features(self, stage: KeptFeatures, trial: Trial) -> str:
        """Plan the features of all images of a data set, once for all cuts and methods; return their key."""
        text, code = self._name_stage(stage)
        of_data = (code, trial.dataset)
        if of_data not in self._tables:
            made_of = self.rows[trial.dataset].made_of
            self._tables[of_data] = features_key(stage, made_of=made_of, budget=trial.budget)
        self._plan(StageJob(self._tables[of_data], text, trial, code, EVERYTHING))
        return self._tables[of_data]

    def _name_stage(self, stage: Any) -> tuple[str, str]:
        """Return how people call a stage, and the SHA-256 of its recipe."""
        if stage not in self._names:
            try:
                text = self.catalogue.spec(stage)
            except (UsageError, TypeError):  # it is not registered: a part of another recipe
                text = stage.name
            self._names[stage] = text, recipe_digest(stage)
        return self._names[stage]

    def _key(self, stage: Any, code: str, trial: Trial, where: _Where, keys: Keys) -> str:
        """Return a stage's key; all of it but the seed is computed once a cut."""
        known = (code, where.made_of)
        if known not in keys:
            keys[known] = stage_keys(stage, made_of=where.made_of, ids=ids_of(where.train), budget=trial.budget)
        return keys[known](trial.stage_seed)

    def _steps_of(self, stage: Any, code: str, most: int) -> int:
        """Return the steps of a generator, looked up once a recipe; 0 of a stage that has none of its own."""
        if (code, most) not in self._steps:
            has_steps = isinstance(stage, Generator) and hasattr(stage, "steps")
            own = stage.steps if has_steps else 0
            self._steps[code, most] = most if own is None else min(int(own), most)
        return self._steps[code, most]

    def _plan(self, job: StageJob) -> None:
        if job.key not in self.planned:
            depth = 1 + max((self.planned[k].depth for k in job.needs), default=-1)
            self.planned[job.key] = dataclasses.replace(job, depth=depth)


@dataclass(frozen=True, eq=False)
class _Where:
    """What a stage is fitted on: samples, what they derive from, how a job finds them, stages that come before."""

    train: Samples
    made_of: str
    on: str = "pixels"
    before: tuple[str, ...] = ()


def name_stages(stages: Iterable[StageJob], train: str = "", compute: str = "") -> list[str]:
    """Say how many generators and encoders are trained, and of how many data sets features are computed.

    Args:
        stages: Those of a plan.
        train: Words behind the generators, such as " to train".
        compute: Words behind the features.
    """
    jobs = list(stages)
    tables = sum(job.is_features for job in jobs)
    parts = [counted(len(jobs) - tables, "generator") + train] if len(jobs) > tables else []
    return parts + ([f"the features of {counted(tables, 'data set')}{compute}"] if tables else [])
