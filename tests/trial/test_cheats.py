"""Plugins that reach for what they are not given: each is named, stored as a failure, and no number comes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medbench.errors import ContractError, LeakError
from medbench.interfaces import Budget
from medbench.protocols.check_training_set import check_synthetic_rows
from medbench.protocols.protocol import EvaluationProtocol
from medbench.registry.plugins import load
from medbench.testing import toy_samples
from medbench.trial.context import TrialContext
from medbench.trial.run_one_trial import Recipes, run_trial
from medbench.trial.trial import Result, Trial
from toys import Mean, Plain

TOYS = str(Path(__file__).parents[1] / "toys")
CHEATS = '''
"""They behave where they are checked, on samples of other classes, and cheat in a trial."""

from __future__ import annotations

import ctypes
import gc
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import medbench


def shared(array):
    """Return a writable view of the memory of a read-only array, as torch.from_numpy does."""
    memory = (ctypes.c_ubyte * array.nbytes).from_address(array.ctypes.data)
    return np.frombuffer(memory, dtype=array.dtype).reshape(array.shape)


def held_out(train):
    """Find rows of other parts by walking the frames above."""
    frame, mine = sys._getframe(), set(train.ids.tolist())
    while frame is not None:
        for value in frame.f_locals.values():
            for part in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(part, medbench.Samples) and part.ids.tolist() and mine.isdisjoint(part.ids.tolist()):
                    yield part
        frame = frame.f_back


def through_shared_memory(train):
    x = shared(train.x)
    x[:] = 255 - x
    return train


def writes_by_a_flag(train):
    train.labels.setflags(write=True)
    train.labels[:] = 1 - train.labels
    return train


def changes_the_groups(train):
    train.groups.setflags(write=True)
    train.groups[:] = train.groups[0]
    return train


def puts_another_array(train):
    object.__setattr__(train, "x", 255 - train.x)
    return train


def reads_the_test_rows(train):
    other = next(held_out(train))
    return train.with_synthetic(np.array(other.x), 1 - other.labels, maker="stolen")


def reads_what_gc_knows(train):
    mine = set(train.ids.tolist())
    parts = [s for s in gc.get_objects() if isinstance(s, medbench.Samples)]
    other = next(s for s in parts if isinstance(s.x, np.ndarray) and mine.isdisjoint(s.ids.tolist()) and len(s))
    return train.with_synthetic(np.array(other.x), other.labels, maker="stolen")


def leaves_a_file(train):
    path = Path(__file__).with_name("kept.npz")
    made = train
    if path.exists():
        kept = np.load(path)
        made = train.with_synthetic(kept["x"], kept["labels"], maker="kept")
    np.savez(path, x=train.x, labels=train.labels)
    return made


def relabels_the_test_part(train):
    for other in held_out(train):
        shared(other.labels)[:] = 0
    return train


def makes_rows_without_a_label(train):
    return train.with_synthetic(255 - train.x, np.full(len(train), -1), maker="unlabelled")


def samples_unsaid(train):
    return medbench.TrainingSet(train, sampling=np.full(len(train), 1 / len(train)))


def copies_its_own_rows(train):  # no cheat
    return train.with_synthetic(np.array(train.x), train.labels, maker="copies")


def makes_blank_rows(train):  # no cheat
    return train.with_synthetic(np.zeros_like(train.x), train.labels, maker="blank")


ACTS = {a.__name__.replace("_", "-"): a for a in [
    through_shared_memory, writes_by_a_flag, changes_the_groups, puts_another_array, reads_the_test_rows,
    reads_what_gc_knows, leaves_a_file, relabels_the_test_part, makes_rows_without_a_label, samples_unsaid,
    copies_its_own_rows, makes_blank_rows,
]}


@dataclass(frozen=True)
class Cheat:
    name: str
    space: ClassVar[str] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"samples"})
    control: ClassVar[None] = None

    def fit(self, train, context):
        if train.classes != ("no", "yes"):
            return medbench.TrainingSet(train.with_synthetic(255 - train.x, train.labels, maker=self.name))
        made = ACTS[self.name](train)
        return made if isinstance(made, medbench.TrainingSet) else medbench.TrainingSet(made)


@dataclass(frozen=True)
class Bad:
    name: str
    takes: ClassVar[frozenset[str]] = frozenset({"2d", "samples", "sampling"})

    def fit(self, training_set, validation, context, start=None):
        armed = training_set.samples.classes == ("no", "yes")
        if armed and self.name == "relabels-its-rows":
            shared(training_set.samples.labels)[:] = 1
        if armed and self.name == "weighs-anew":
            shared(training_set.sampling)[0] = 1
        if armed and self.name == "blackens-validation":
            shared(validation.x)[:] = 0

        def predict(x):
            if armed and self.name == "blackens-the-test":
                shared(x)[:] = 0
            p = x.reshape(len(x), -1).mean(1) / 255
            return np.stack([1 - p, p], axis=1)

        return predict


@medbench.hookimpl
def register_augmenters():
    return [Cheat(name) for name in ACTS]


@medbench.hookimpl
def register_classifiers():
    return [Bad(n) for n in ("relabels-its-rows", "weighs-anew", "blackens-validation", "blackens-the-test")]
'''
IN_A_RUN = {
    "through-shared-memory": ("contract", "augmenter 'through-shared-memory' changed the x of the training samples"),
    "reads-what-gc-knows": ("leak", "rows that equal images of validation or test, value for value"),
}
LATER = "leaves-a-file"  # its first fold has nothing to steal
AUGMENTERS = {
    "through-shared-memory": (ContractError, "changed the x of the training samples it was given"),
    "writes-by-a-flag": (ContractError, "changed the labels of the training samples"),
    "changes-the-groups": (ContractError, "changed the groups of the training samples"),
    "puts-another-array": (ContractError, "changed the x of the training samples"),
    "reads-the-test-rows": (LeakError, "rows that equal images of validation or test, value for value"),
    "relabels-the-test-part": (LeakError, "changed the labels of the held-out samples, which it is not given"),
    "makes-rows-without-a-label": (ContractError, "made rows without a label"),
    "samples-unsaid": (ContractError, "returned sampling, which its gives does not name"),
}
CLASSIFIERS = {
    "relabels-its-rows": "classifier 'relabels-its-rows' changed the labels of the training set it was given",
    "weighs-anew": "changed the sampling of the training set",
    "blackens-validation": "changed the x of the validation samples",
    "blackens-the-test": "what classifier 'blackens-the-test' predicts with changed the x of the test samples",
}
HONEST = ("copies-its-own-rows", "makes-blank-rows")
SAMPLES = replace(toy_samples(60, size=8), classes=("no", "yes"))


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("in-process")
    # A name of its own each time: two processes share the tests of a file, and one may build this twice.
    module = f"cheats_{folder.name}".replace("-", "_")
    (folder / f"{module}.py").write_text(CHEATS, encoding="utf-8")
    catalogue = load(folders=[folder], installed=False)
    return {r.name: r for kind in ("augmenter", "classifier") for r in catalogue.items(kind)}


def run(folder: Path, augmenter: Any, classifier: Any) -> Result:
    trial = Trial("toy", "patients", 0, 1, 3, 0, 0, augmenter.name, classifier.name, Budget(steps=5, generator_steps=5))
    context = TrialContext(trial, device="cpu", folder=folder)
    return run_trial(trial, Recipes(augmenter, classifier, EvaluationProtocol()), SAMPLES, context)


def test_a_cheat_is_named_and_a_leak_ends_the_run_with_its_code(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "cheats.py").write_text(CHEATS, encoding="utf-8")
    named = [x for name in (*IN_A_RUN, LATER, "plain-toy") for x in ("-a", name)]
    asked = [sys.executable, "-m", "medbench", "run", *named, "-c", "mean", "-d", "phantom:toy", "--folds", "2",
             "--repeats", "1", "--no-controls", "--executor", "forks", "--workers", "1", "--plugins-dir", "plugins",
             "--plugins-dir", TOYS, "-p", "no:medbench.scores", "-p", "no:medbench.extractors"]  # fmt: skip
    environment = {**os.environ, "MEDBENCH_CACHE": str(tmp_path / "cache"), "MEDBENCH_RESULTS": str(tmp_path / "runs")}

    ended = subprocess.run(asked, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)
    again = subprocess.run(asked, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)
    failed = {
        name: [json.loads(p.read_text()) for p in (tmp_path / "runs").glob(f"*/{name}--*/*/*/failure.json")]
        for name in (*IN_A_RUN, LATER, "plain-toy")
    }

    assert (ended.returncode, again.returncode) == (8, 8), ended.stderr
    for name, (kind, says) in IN_A_RUN.items():
        assert [f["kind"] for f in failed[name]] == [kind, kind]
        assert all(says in f["message"] for f in failed[name])
    assert [f["kind"] for f in failed[LATER]] == ["leak"]
    assert failed["plain-toy"] == []


@pytest.mark.parametrize("name", AUGMENTERS)
def test_an_augmenter_that_cheats_gets_no_number(recipes: dict[str, Any], name: str, tmp_path: Path) -> None:
    error, says = AUGMENTERS[name]

    with pytest.raises(error, match=says):
        run(tmp_path, recipes[name], Mean())


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_that_cheats_gets_no_number(recipes: dict[str, Any], name: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=CLASSIFIERS[name]):
        run(tmp_path, Plain(), recipes[name])


@pytest.mark.parametrize("name", HONEST)
def test_copies_of_training_rows_and_blank_rows_are_no_leak(recipes: dict[str, Any], name: str, tmp_path: Path) -> None:
    assert run(tmp_path, recipes[name], Mean()).counts["made"] > 0


def test_the_mirrored_twin_of_a_training_row_is_the_data_sets_own() -> None:
    train, test = SAMPLES.take(range(20)), SAMPLES.take(range(20, 40))
    twin = replace(test, x=np.concatenate([np.rot90(train.x[:1], axes=(2, 3)), test.x[1:]]))
    both = train.with_synthetic(twin.x[:1], twin.labels[:1], maker="turned")
    stolen = train.with_synthetic(twin.x[1:2], twin.labels[1:2], maker="stolen")

    check_synthetic_rows(both, train, twin, augmenter="turns")
    with pytest.raises(LeakError, match="1 row "):
        check_synthetic_rows(stolen, train, twin, augmenter="steals")
