"""Measure how long ``medbench compare`` and ``leaderboard`` take over a store of 10,000 trials.

    python docs/benchmarks/compare_speed.py [--arms 20] [--folds 5] [--repeats 10] [--seeds 10] [--patients 300]

Builds a synthetic store in a temporary folder, prints how long that took, then a line a command: seconds of one call by
the clock and of its processes, the start of Python among them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from medbench.identity.identity import digest
from medbench.planning.arms import Arm
from medbench.planning.study import Study
from medbench.store.store import Store
from medbench.store.trial_files import write_result
from medbench.trial.trial import Result, Trial

CLASSES = ("no", "yes")
METRICS = ("auprc", "balanced-accuracy", "brier", "macro-auroc", "macro-f1", "mcc")
PROVENANCE = {  # as long as that of a real trial
    "medbench": "0", "checks": {}, "cpus": 2, "identity_scheme": 2, "platform": "Linux x86_64", "python": "3.11",
    "plugins": [{"distribution": "medbench", "name": f"medbench.plugins.{i}", "version": "0"} for i in range(9)],
    "recipes": [
        {"code": {name: "c" * 64}, "libraries": {"numpy": "2", "torch": "2"}, "recipe": {"recipe": name}, "scheme": 2}
        for name in ("augmenter:arm", "classifier:net")
    ],
}  # fmt: skip


def study_of(asked: argparse.Namespace) -> tuple[Study, list[Arm]]:
    """Return the study of a synthetic store, and its arms."""
    names = [f"mixup[alpha={0.2 + i / 100:g}]" for i in range(1, asked.arms)]  # which resolve, as the runner wants it
    study = Study(
        name="speed", datasets=["synthetic"], augmenters=names, classifiers=["net"],
        folds=asked.folds, repeats=asked.repeats, seeds=asked.seeds,
    )  # fmt: skip
    return study, [
        Arm("balanced", "net", made_by="v1"),
        *(Arm(name, "net", "balanced", made_by="v1") for name in names),
    ]


def results(asked: argparse.Namespace) -> Iterator[Result]:
    """Yield a result of every trial of one board, as large as a real one."""
    rng = np.random.default_rng(0)
    study, arms = study_of(asked)
    labels = (np.arange(asked.patients) % 4 == 0).astype(np.int64)
    patients = np.array([f"p{i:05}" for i in range(asked.patients)])
    for repeat in range(asked.repeats):
        fold_of = rng.permutation(asked.patients) % asked.folds
        for fold in range(asked.folds):
            part = np.flatnonzero(fold_of == fold)
            for seed in range(asked.seeds):
                for arm in arms:
                    trial = Trial("synthetic", "patients", repeat, fold, asked.folds, seed, seed, arm.augmenter, "net",
                                  study.spending, data="d" * 64, arm="v1")  # fmt: skip
                    right = np.clip(rng.normal(0.6, 0.25, len(part)), 0.01, 0.99)
                    p = np.where(labels[part] == 1, right, 1 - right)
                    yield Result(
                        dataclasses.replace(trial, id=digest(trial.to_json())),
                        ids=patients[part], patients=patients[part], labels=labels[part],
                        probabilities=np.stack([1 - p, p], 1), frequencies=np.full(2, 0.5), classes=CLASSES,
                        metrics=dict.fromkeys(METRICS, 0.6), metric_keys=dict.fromkeys(METRICS, "k" * 64),
                        leaks=(), stages={}, facts={"parameters": 97650, "steps": 600, "validation_loss": 1.0467},
                        cost={"seconds": 1.0, "peak_mb": 100.0, "device": "cpu"},
                        counts={"real": asked.patients - len(part), "made": 0, "validation": 24, "test": len(part)},
                    )  # fmt: skip


def record_of(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the record of the plan."""
    study, arms = study_of(asked)
    rare = len(range(0, asked.patients, 4))
    source = {
        "dataset": "synthetic", "data": "d" * 64, "images": asked.patients, "patients": asked.patients,
        "class_patients": [asked.patients - rare, rare], "classes": list(CLASSES), "dimensions": 2, "notes": [],
        "unit": "patient", "publish": "nothing",
    }  # fmt: skip
    return {
        "study": study.model_dump(), "sources": [source], "skipped": [], "warnings": [],
        "arms": {"synthetic": [dataclasses.asdict(arm) for arm in arms]},
    }  # fmt: skip


def build(root: Path, asked: argparse.Namespace) -> int:
    """Write a store with every trial of one board, and the record of its plan; return the number of trials."""
    store, n = Store(root), 0
    for result in results(asked):
        folder = store.place(result.trial)
        folder.mkdir(parents=True)
        write_result(folder, result, PROVENANCE)
        n += 1
    (root / ".plans").mkdir()
    (root / ".plans" / "speed-00000000.json").write_text(json.dumps(record_of(asked)))
    return n


def main() -> None:
    """Build, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, usual in (("arms", 20), ("folds", 5), ("repeats", 10), ("seeds", 10), ("patients", 300)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        n = build(Path(folder) / "runs", asked)
        print(f"{n:,} trials written in {time.perf_counter() - started:.1f} s, {os.cpu_count()} cores")
        environment = {**os.environ, "MEDBENCH_RESULTS": f"{folder}/runs"}
        one, other = (arm.augmenter for arm in study_of(asked)[1][1:3])
        for words in (
            ("compare", one, "balanced"),
            ("compare", one, other, "--details"),
            ("compare",),
            ("leaderboard",),
        ):
            started, spent = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            run = [sys.executable, "-m", "medbench", *words]
            subprocess.run(run, env=environment, check=True, capture_output=True)
            seconds, now = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime
            print(f"medbench {' '.join(words):<36}{seconds:7.2f} s{cpu:8.2f} s of CPU")


if __name__ == "__main__":
    main()
