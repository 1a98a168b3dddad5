"""A run on toy data with invented predictions, its bundle, and ways to spoil it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medbench import __version__
from medbench.data.describe import DatasetDescription
from medbench.data.external_test import with_test_set
from medbench.data.find_phantom import PhantomTable
from medbench.identity.identity import derive_seed
from medbench.interfaces import TrainingSet
from medbench.planning.plan import Plan
from medbench.planning.study import Study
from medbench.planning.trial_matrix import expand
from medbench.protocols.protocol import protocol
from medbench.publishing.bundle import bundle_members, zip_container
from medbench.publishing.bundle.canonical_json import dump
from medbench.publishing.bundle.read_bundle import read_members
from medbench.publishing.bundle.schemas import Method
from medbench.publishing.verify import check_against_data, our_data
from medbench.publishing.verify.outcome import Report, entry_json
from medbench.publishing.verify.recompute import NO_MESSAGE
from medbench.registry import plugins
from medbench.registry.catalogue import Catalogue
from medbench.samples import Samples, joins_patients
from medbench.store.store import Store
from medbench.store.trial_files import Failure, write_result
from medbench.trial.prior_correction import correct_prior
from medbench.trial.trial import Predictions, Result, Trial

TOYS = Path(__file__).parent
METHOD = Method(title="A toy", authors=["Ada Lovelace"], links=["https://example.org/paper"], licence="CC0-1.0")
Members = dict[str, bytes]
Edit = Callable[[Members], None]


@functools.cache
def catalogue_of_toys() -> Catalogue:
    """Load the plugins once for all runs: they are the same, and are looked at only."""
    return plugins.load(folders=[TOYS])


class ToyRun:
    """A run whose predictions are invented, on the toy phantom.

    Args:
        root: A new folder.
        seed: Another seed invents other predictions.
        failed: Numbers of trials that have no result.
        patients: Of the phantom, two images each.
        datasets: Texts of data sets.
        data: Where those lie that are no phantoms, as ``--data`` takes it.
        edit: What becomes of a trial's result before it is stored; claims are made from what is stored.
        watched: Whether training runs stored what they predict for the watched patients, as those of before did not.
        study: Further keys of the study.
    """

    def __init__(
        self,
        root: Path,
        *,
        seed: int = 0,
        failed: Sequence[int] = (),
        patients: int = 24,
        datasets: Sequence[str] = ("phantom:toy",),
        data: Sequence[str] = (),
        edit: Callable[[Result], Result] = lambda result: result,
        watched: bool = True,
        **study: Any,
    ) -> None:
        self.edit, self.watched = edit, watched
        self.catalogue = catalogue_of_toys()
        values: dict[str, Any] = {"folds": 2, "repeats": 1, "yardsticks": False, **study}
        self.study = Study(
            name="toys", datasets=list(datasets), augmenters=["adds"], phantom=PhantomTable(patients=patients),
            **{"classifiers": ["mean"], **values},
        )  # fmt: skip
        self.sources = self.ours(data)
        self.plan: Plan = expand(self.study, self.catalogue, list(self.sources.values()))
        self.store = Store(root)
        self.metrics = self.catalogue.items("metric")
        for number, trial in enumerate(self.plan.trials):
            if number in failed:
                self.store.accept_failure(self.store.job_folder(trial.id), trial, Failure("diverged", NO_MESSAGE))
            else:
                self._put(trial, seed)
        for job in self.plan.stages.values():
            folder = self.store.stage_place(job.key)
            folder.mkdir(parents=True)
            stage = {"key": job.key, "stage": job.stage, "sha256": "5" * 64, "stages": {}, "fitted_on": 20,
                     "facts": {"collapsed": 0.0, "why": "none"},
                     "cost": {"seconds": 3.0, "peak_mb": 50.0, "device": "cpu"}}  # fmt: skip
            (folder / "stage.json").write_text(json.dumps(stage))
        (root / ".plans").mkdir()
        (root / ".plans" / "toys-00000000.json").write_text(json.dumps(self.record))

    @property
    def record(self) -> dict[str, Any]:
        """The plan's record, as it is stored."""
        return json.loads(json.dumps(self.plan.record()))

    def ours(self, data: Sequence[str] = ()) -> dict[str, DatasetDescription]:
        """Return our own data sets."""
        asked = [("augmenter", "adds"), *(("classifier", text) for text in self.study.classifiers)]
        recipes = dict.fromkeys(self.study.datasets, asked)
        tests = [text for text in self.study.protocols if protocol(text).is_external]
        needed = our_data.NeededData(recipes, self.study.phantom, None, tests)
        found = our_data.find_our_data(needed, self.catalogue, data)
        assert all(isinstance(one, DatasetDescription) for one in found.values()), found
        return found  # type: ignore[return-value]

    def _put(self, trial: Trial, seed: int) -> None:
        samples = with_test_set(self.sources[trial.dataset], protocol(trial.protocol)).samples

        def prepare(train: Any, *held_out: Any) -> Any:
            return TrainingSet(train), *held_out

        made, validation, test = protocol(trial.protocol).arrange(samples, trial.cut, prepare)
        rng = np.random.default_rng(derive_seed("toys", seed, trial.id))

        def predict(samples: Samples) -> np.ndarray:
            raw = rng.dirichlet([1, 1], len(samples)) + 0.5 * np.eye(2)[samples.labels]
            return np.asarray(raw / raw.sum(1, keepdims=True))

        p, watched = predict(test), None
        if self.watched and protocol(trial.protocol).is_honest:
            v = validation
            watched = Predictions(
                v.ids, v.patients, v.labels, predict(v), v.groups if joins_patients(samples) else None
            )
        frequencies = made.class_frequencies  # "adds" makes as many rows of a class as there are
        corrected, adds = correct_prior(p, frequencies), trial.augmenter == "adds"
        result = Result(
            trial, test.ids, test.patients, test.labels, p, frequencies, test.classes,
            metrics={m.__name__.replace("_", "-"): float(m(test.labels, corrected)) for m in self.metrics}, leaks=(),
            cost={"seconds": 2.0, "peak_mb": 100.0, "device": "cpu"},
            stages=dict.fromkeys(self.plan.stages_of[trial.id], "5" * 64),
            facts={"still_improving": 0.0, "note": "said in words"},
            counts={"real": len(made.samples), "made": len(made.samples) * adds, "validation": len(validation),
                    "test": len(test)},
            scores={"kid": 0.25, "fid": float("nan")} if trial.augmenter == "adds" else {},
            scored={"extractor": "toy", "sha256": "6" * 64, "d": 4, "made": 7} if trial.augmenter == "adds" else {},
            watched=watched,
        )  # fmt: skip
        result = self.edit(result)
        folder = self.store.place(trial)
        folder.mkdir(parents=True)
        write_result(folder, result, {"medbench": __version__, "python": "3.11.7", "platform": "Linux x86_64"})

    def members(self, method: Method = METHOD) -> Members:
        """Return the members of its bundle, without a manifest."""
        return bundle_members.members_of(self.store, self.record, method)

    def bundle(self, method: Method = METHOD) -> bytes:
        """Return its bundle."""
        return sealed(self.members(method))

    def judge(self, data: bytes, folder: Path) -> Report:
        """Read and check a bundle in this process; raises Refused."""
        bundle = read_members(data, zip_container.find(data))
        report = Report()
        check_against_data.note_structure(bundle, report)
        missing = {s.dataset: "it is not here" for s in bundle.plan.sources if s.dataset not in self.sources}
        found = {s.dataset: self.sources[s.dataset] for s in bundle.plan.sources if s.dataset in self.sources}
        folder.mkdir()
        check_against_data.check_against_data(bundle, found, missing, self.catalogue, folder, report)
        entry_json(bundle, report, None)
        return report


def sealed(members: Members) -> bytes:
    """Write members under a manifest that fits them."""
    kept = {name: data for name, data in members.items() if name != zip_container.MANIFEST}
    signature = kept.pop(zip_container.SIGNATURE, None)
    kept[zip_container.MANIFEST] = bundle_members.manifest_of(kept)
    return zip_container.write(kept | ({zip_container.SIGNATURE: signature} if signature is not None else {}))


def spoilt(members: Members, edit: Edit) -> bytes:
    """Edit a copy of the members and seal it as its author would."""
    changed = dict(members)
    edit(changed)
    return sealed(changed)


def in_json(member: str, change: Callable[[Any], Any]) -> Edit:
    """Change the value of a JSON member; what `change` returns takes its place, unless it is None."""

    def edit(members: Members) -> None:
        value = json.loads(members[member])
        made = change(value)
        members[member] = dump(value if made is None else made)

    return edit


def in_bytes(member: str, change: Callable[[bytes], bytes]) -> Edit:
    """Change the bytes of a member."""

    def edit(members: Members) -> None:
        members[member] = change(members[member])

    return edit


def trial_of(members: Members, **wanted: Any) -> dict[str, Any]:
    """Return the first trial whose specification has these values."""
    trials = json.loads(members["trials.json"])["trials"]
    return next(t for t in trials if all(t["spec"][k] == v for k, v in wanted.items()))


def replaced(method: Method, **values: Any) -> Method:
    """Return a card with other values, checked."""
    return Method.model_validate(method.model_dump() | values)
