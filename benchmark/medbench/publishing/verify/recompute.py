"""A bundle's predictions with our labels, as a store, so that boards are built from it like from any other."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from medbench.data.describe import DatasetDescription
from medbench.data.external_test import with_test_set
from medbench.identity.identity import digest
from medbench.planning.plan import Plan
from medbench.planning.training_draws import find_draws
from medbench.protocols.protocol import protocol
from medbench.publishing.bundle.predictions_csv import SubmittedPredictions
from medbench.publishing.bundle.read_bundle import Bundle
from medbench.publishing.bundle.schemas import SourceFacts
from medbench.publishing.refusals import Refused
from medbench.samples import Samples, joins_patients
from medbench.store.store import Store
from medbench.store.trial_files import Failure, write_result
from medbench.trial.trial import Predictions, Result, Trial

NO_MESSAGE = "its words stayed with those who ran it"


def store_result(
    store: Store,
    bundle: Bundle,
    key: str,
    samples: Samples,
    tested: tuple[SubmittedPredictions, np.ndarray],
    watched: tuple[SubmittedPredictions | None, np.ndarray],
) -> Result:
    """Store one trial: what was predicted, with labels and patients of ours.

    Args:
        store: A new one.
        bundle: Where it is from.
        key: Id of the trial.
        samples: Our data set.
        tested: What was predicted for the test part, and ``int64 (n,)`` rows of our data set in that order.
        watched: The same of the patients that were watched; None where the bundle does not say.
    """
    told = bundle.results[key]
    trial = told.spec
    of_test = _with_our_labels(samples, *tested)
    result = Result(
        trial,
        ids=of_test.ids,
        patients=of_test.patients,
        labels=of_test.labels,
        probabilities=of_test.probabilities,
        frequencies=np.array(told.frequencies),
        classes=samples.classes,
        metrics={},
        leaks=tuple(told.leaks),
        cost=told.cost.model_dump(),
        stages=told.stages,
        facts=dict(told.facts),
        counts=told.counts,
        scores={name: np.nan if value is None else value for name, value in told.scores.items()},
        scored=dict(told.scored),
        groups=of_test.groups,
        watched=None if watched[0] is None else _with_our_labels(samples, watched[0], watched[1]),
    )
    folder = store.place(trial)
    folder.mkdir(parents=True)
    write_result(folder, result, {})
    return result


def _with_our_labels(samples: Samples, predicted: SubmittedPredictions, rows: np.ndarray) -> Predictions:
    groups = samples.groups[rows] if joins_patients(samples) else None
    return Predictions(samples.ids[rows], samples.patients[rows], samples.labels[rows], predicted.probabilities, groups)


def predictions_with_labels(ours: Predictions, theirs: SubmittedPredictions) -> Predictions:
    """Return their probabilities with labels and patients of ours, in our order.

    Raises:
        Refused: MB923 if they are of other images.
    """
    row_of = {name: row for row, name in enumerate(theirs.ids)}
    if set(row_of) != set(ours.ids.tolist()):
        raise Refused("MB923", "the training run that was repeated tests other images here.")
    rows = [row_of[name] for name in ours.ids.tolist()]
    return Predictions(ours.ids, ours.patients, ours.labels, theirs.probabilities[rows], ours.groups)


def store_the_rest(store: Store, bundle: Bundle, datasets: Mapping[str, DatasetDescription]) -> None:
    """Store failures, stages, and a stand-in for every configuration that was looked at and is in no arm."""
    for key, failed in bundle.failures.items():
        if bundle.trials[key].dataset in datasets:
            store.accept_failure(store.job_folder(key), failed.spec, Failure(failed.kind, NO_MESSAGE))
    for key, stage in bundle.stages.items():
        folder = store.stage_place(key)
        folder.mkdir(parents=True)
        (folder / "stage.json").write_text(stage.model_dump_json())
    for source in bundle.plan.sources:
        if source.dataset not in datasets:
            continue
        for text, number in bundle.plan.unseen[source.dataset].items():
            for n in range(number):
                _store_unseen(store, bundle, source.dataset, text, n)


def _store_unseen(store: Store, bundle: Bundle, dataset: str, text: str, number: int) -> None:
    study, data = bundle.plan.study, bundle.data_of(dataset, text)
    trial = Trial(dataset, text, 0, 0, protocol(text).folds(study.folds), 0, 0, f"unseen-{number}", "unseen",
                  study.spending, data=data)  # fmt: skip
    trial = dataclasses.replace(trial, id=digest(trial.to_json()))
    folder = store.place(trial)
    folder.mkdir(parents=True)
    empty: dict[str, Any] = {key: {} for key in ("metrics", "stages", "facts", "counts", "scores", "scored")}
    record = {**empty, "cost": {"seconds": 0.0, "peak_mb": 0.0, "device": "cpu"}, "frequencies": [], "classes": [],
              "leaks": []}  # fmt: skip
    (folder / "spec.json").write_text(json.dumps(trial.to_json()))
    (folder / "result.json").write_text(json.dumps(record))


def _facts(ours: DatasetDescription, told: SourceFacts) -> dict[str, Any]:
    """Return what boards are told of a data set: our own facts under the fingerprints of the bundle."""
    tests = {name: _facts(other, told.tests[name]) for name, other in ours.tested.items()}
    return {**ours.facts(), "data": told.data, **({"tests": tests} if tests else {})}


def record_of(bundle: Bundle, datasets: Mapping[str, DatasetDescription], plan: Plan | None) -> dict[str, Any]:
    """Return the record that boards are built from: our own plan where there is one, made of the bundle's code.

    Args:
        bundle: Whose arms say what they were made by.
        datasets: Of ours.
        plan: What its study amounts to here; None where that could not be worked out.
    """
    record: dict[str, Any] = dict(bundle.record)
    theirs = {name: arms for name, arms in record["arms"].items() if name in datasets}
    told = {source.dataset: source for source in bundle.plan.sources}
    warnings = [said for one in datasets.values() for said in one.warnings]
    sources = [_facts(one, told[name]) for name, one in datasets.items()]
    if plan is None:
        of_ours = {
            key: [v for v in record[key] if v["dataset"] in datasets] for key in ("skipped", "yardsticks", "checked")
        }
        study = bundle.plan.study
        drawn = [
            find_draws(with_test_set(one, protocol(text)).samples, name, text, study.repeats)
            for name, one in datasets.items()
            for text in study.protocols
        ]
        of_ours["trained_on"] = [dataclasses.asdict(found) for found in drawn if found is not None]
        return {**record, **of_ours, "arms": theirs, "sources": sources, "warnings": warnings}
    made_by = {(name, a["augmenter"], a["classifier"]): a["made_by"] for name, arms in theirs.items() for a in arms}
    mine = plan.record()
    arms = {
        name: [{**arm, "made_by": made_by[name, arm["augmenter"], arm["classifier"]]} for arm in of]
        for name, of in mine["arms"].items()
    }
    checked = [c for c in record["checked"] if c["dataset"] in datasets]
    return {**mine, "study": record["study"], "arms": arms, "sources": sources, "checked": checked}
