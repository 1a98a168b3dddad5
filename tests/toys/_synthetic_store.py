"""A store of invented predictions and the record of its plan, for tests of what is read from it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medbench.boards.board import Board
from medbench.boards.build import boards
from medbench.identity.identity import derive_seed, digest
from medbench.planning.arms import Arm
from medbench.planning.study import Study
from medbench.statistics.patient_scores import Cell
from medbench.store.store import Store
from medbench.store.trial_files import Failure, write_result
from medbench.trial.trial import Predictions, Result, Trial

CLASSES = ("no", "yes")
TREE = {"balanced": "", "geometric": "balanced", "hybrid": "geometric", "mixup": "balanced"}
SKILL = {"balanced": 0.6, "geometric": 0.9, "hybrid": 0.88, "mixup": 0.62}  # share decided rightly


class SyntheticRun:
    """A run of some arms on some data sets with some networks.

    Args:
        root: A new folder; the store is ``root / "runs"``.
        datasets: Texts of data sets.
        networks: Texts of classifiers.
        tree: Control by augmenter, controls first; "" for a root.
        patients: Of each data set, one image each; every third has the rare class.
        watched: Whether training runs store what they predict for the patients of another fold, as watched ones.
        study: Further keys of the study.
    """

    # One parameter per property of the run.
    def __init__(
        self,
        root: Path,
        *,
        watched: bool = False,
        datasets: Sequence[str] = ("ddti",),
        networks: Sequence[str] = ("net",),
        tree: Mapping[str, str] = TREE,
        patients: int = 90,
        **study: Any,
    ) -> None:
        self.root = root / "runs"
        self.store = Store(self.root)
        self.datasets, self.networks, self.tree, self.patients = datasets, networks, tree, patients
        self.watched = watched
        self.study = Study(name="synthetic", datasets=list(datasets), augmenters=list(tree), classifiers=list(networks),
                           **{"folds": 5, "repeats": 3, **study})  # fmt: skip
        self.names = np.array([f"p{i:04}" for i in range(patients)])
        self.labels = (np.arange(patients) % 3 == 0).astype(np.int64)
        self.looked_at = 0  # generated images that scores are of
        self.scores_of: Callable[[Trial], Mapping[str, float | None]] = lambda trial: {}  # of generated images

    @property
    def cells(self) -> list[Cell]:
        s = self.study
        folds = 1 if s.protocols[0].startswith("official") else s.folds
        return [(r, f, k) for r in range(s.repeats) for f in range(folds) for k in range(s.seeds)]

    def trial(self, dataset: str, augmenter: str, network: str, cell: Cell) -> Trial:
        repeat, fold, seed = cell
        text = self.study.protocols[0]
        folds = 1 if text.startswith("official") else self.study.folds
        trial = Trial(dataset, text, repeat, fold, folds, seed, seed, augmenter, network, self.study.spending,
                      data=digest(dataset), arm="v1")  # fmt: skip
        return dataclasses.replace(trial, id=digest(trial.to_json()))

    def fill(
        self,
        skill: Mapping[str, float] = SKILL,
        *,
        datasets: Sequence[str] = (),
        networks: Sequence[str] = (),
        failed: Mapping[str, Collection[Cell]] | None = None,
        left_out: Mapping[str, Collection[Cell]] | None = None,
        stages: Mapping[str, str] | None = None,
    ) -> SyntheticRun:
        """Store what was decided; an arm's decisions differ from those of others by skill and by noise of its own."""
        for dataset in datasets or self.datasets:
            for network in networks or self.networks:
                for augmenter, right in skill.items():
                    for cell in self.cells:
                        trial = self.trial(dataset, augmenter, network, cell)
                        if cell in (failed or {}).get(augmenter, ()):
                            job = self.store.job_folder(trial.id)
                            self.store.accept_failure(job, trial, Failure("diverged", "the loss is nan at step 3."))
                        elif cell not in (left_out or {}).get(augmenter, ()):
                            self._put(trial, right, stages or {})
        return self

    def _put(self, trial: Trial, right: float, stages: Mapping[str, str]) -> None:
        part, yes = self._predict(trial, right, trial.fold)
        watched = None
        if self.watched:
            others, p = self._predict(trial, right, (trial.fold + 1) % trial.folds)
            names = self.names[others]
            watched = Predictions(names, names, self.labels[others], np.stack([1 - p, p], 1))
        scores = {name: float("nan") if value is None else value for name, value in self.scores_of(trial).items()}
        result = Result(
            trial, ids=self.names[part], patients=self.names[part], labels=self.labels[part],
            probabilities=np.stack([1 - yes, yes], 1), frequencies=np.full(2, 0.5), classes=CLASSES, metrics={},
            leaks=(), cost={"seconds": 2.0, "peak_mb": 100.0, "device": "cpu"}, stages=dict(stages),
            counts={"real": round(0.9 * (self.patients - len(part))), "made": 0, "test": len(part),
                    **({"validation": len(watched.ids)} if watched is not None else {})},
            scores=scores, watched=watched,
            scored={"extractor": "e", "sha256": "0", "made": self.looked_at} if scores else {},
        )  # fmt: skip
        folder = self.store.place(trial)
        folder.mkdir(parents=True)
        write_result(folder, result, {})

    def _predict(self, trial: Trial, right: float, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the patients of a fold and the probability of the rare class for each."""
        order = np.random.default_rng(derive_seed("cut", trial.repeat)).permutation(self.patients)
        part = np.sort(order[fold :: trial.folds])
        shared = np.random.default_rng(derive_seed("patients", trial.repeat)).random(self.patients)[part]
        of_fold = (trial.id,) if fold == trial.fold else (trial.id, "watched")
        own = np.random.default_rng(derive_seed(*of_fold)).random((2, len(part)))
        good = np.where(own[0] < 0.3, own[1], shared) < right
        sure = 0.55 + 0.4 * own[1]  # probability of what is decided
        return part, np.where(good == (self.labels[part] == 1), sure, 1 - sure)

    def record(self, **more: Any) -> dict[str, Any]:
        """Return the record of the plan."""
        rare = int(self.labels.sum())
        sources = [
            {"dataset": name, "data": digest(name), "images": self.patients, "patients": self.patients,
             "class_patients": [self.patients - rare, rare], "classes": list(CLASSES), "dimensions": 2, "notes": [],
             "unit": "patient", "publish": "nothing"}
            for name in self.datasets
        ]  # fmt: skip
        arms = [
            Arm(name, network, control, board=network, made_by="v1")
            for network in self.networks
            for name, control in self.tree.items()
        ]
        record = {
            "study": self.study.model_dump(), "sources": sources, "skipped": [], "warnings": [],
            "arms": {name: [dataclasses.asdict(arm) for arm in arms] for name in self.datasets}, **more,
        }  # fmt: skip
        return json.loads(json.dumps(record))

    def save(self) -> Path:
        """Write the record where commands look for it; return the folder of results."""
        (self.root / ".plans").mkdir(exist_ok=True)
        (self.root / ".plans" / "synthetic-00000000.json").write_text(json.dumps(self.record()))
        return self.root

    def boards(self, keep: Collection[tuple[str, str]] = ()) -> list[Board]:
        """Return the boards of the run."""
        return boards(self.store, self.record(), keep=keep)
