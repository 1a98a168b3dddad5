"""Signs of invention: labels in disguise, calibration too good and copies are named; honest predictions are not."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from _bundles import METHOD, TOYS, ToyRun, replaced
from medbench.interfaces import Budget
from medbench.publishing.bundle import canonical_json, zip_container
from medbench.publishing.bundle.read_bundle import read_bundle
from medbench.publishing.entries.entry_files import entries_before
from medbench.publishing.entries.publish import publish_entry, replace_entry
from medbench.publishing.verify import signs_of_invention
from medbench.publishing.verify.near_copies import near_copies
from medbench.publishing.verify.signs_of_invention import Signs
from medbench.publishing.verify.verify_bundle import Setup, verify_bundle
from medbench.trial.trial import Result, Trial

TRIAL = Trial("phantom:toy", "patients", 0, 0, 5, 0, 0, "adds", "mean", Budget())


def trained(rng: np.random.Generator, n: int = 200, *, sharp: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Return what a network that knows something predicts, and labels; calibrated, as few networks are."""
    p = 1 / (1 + np.exp(-sharp * rng.normal(size=n)))
    return np.stack([1 - p, p], 1), (rng.random(n) < p).astype(np.int64)


def said(*trials: tuple[Trial, np.ndarray, np.ndarray]) -> str:
    found = Signs()
    for trial in trials:
        found.add(*trial)
    return " | ".join(found.sentences())


def seeds(p: np.ndarray, *others: np.ndarray, labels: np.ndarray) -> str:
    return said(*((dataclasses.replace(TRIAL, seed=k), of, labels) for k, of in enumerate((p, *others))))


# -- labels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sure", [0.6, 0.9, 1.0])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_scores_that_are_the_labels_are_named_whatever_they_say(sure: float, n_classes: int) -> None:
    labels = np.arange(40) % n_classes
    p = np.full((40, n_classes), (1 - sure) / (n_classes - 1))
    p[np.arange(40), labels] = sure

    assert "1 training run predicted the label and nothing else" in said((TRIAL, p, labels))
    assert "adds / mean, repeat 0, fold 0, seed 0" in said((TRIAL, p, labels))
    p[3] = p[3][::-1]  # one image is wrong
    assert not said((TRIAL, p, labels))


def test_what_is_not_the_label_alone_is_not_named() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    right = np.where(labels[:, None] == [0, 1], 0.9, 0.1)
    noisy = right + np.stack([rng.uniform(-0.05, 0.05, 40)] * 2, 1) * [1, -1]

    assert not said((TRIAL, noisy, labels))  # all right, as an easy data set is
    assert not said((TRIAL, np.full((40, 2), 0.5), labels))  # a network that learnt nothing
    assert not said((TRIAL, right[:10], labels[:10]))  # too few to tell
    assert not said((dataclasses.replace(TRIAL, protocol="select-on-test"), right, labels))  # leaks by design


# -- calibration ------------------------------------------------------------------------------------------------------


@given(st.floats(0.01, 12), st.integers(1, 10))
def test_the_lower_tail_is_that_of_the_chi_square(value: float, freedom: int) -> None:
    assert signs_of_invention.lower_tail(value, freedom) == pytest.approx(chi2.cdf(value, freedom), rel=1e-9)


def test_calibrated_answers_are_too_good_no_oftener_than_said() -> None:
    rng = np.random.default_rng(1)
    tails = []
    for _ in range(2000):
        p, labels = trained(rng, 300)
        tails.append(signs_of_invention.calibration_tail(p.max(1), p.argmax(1) == labels))
    told = np.array([tail for tail in tails if tail < 1])

    assert len(told) > 1000
    for share in (0.5, 0.1, 0.01):  # uniform where networks are calibrated perfectly, and larger where they are not
        assert np.mean(told < share) == pytest.approx(share, abs=4 * np.sqrt(share / len(told)))


def test_probabilities_fitted_to_the_test_labels_are_named() -> None:
    rng = np.random.default_rng(2)
    p, labels = trained(rng, 600)
    fitted = _fitted(p, labels)

    assert not said((TRIAL, p, labels))
    assert "1 of 1 trainings of all folds are calibrated on the test images better than chance allows" in said(
        (TRIAL, fitted, labels)
    )


def _fitted(p: np.ndarray, labels: np.ndarray, bins: int = 10) -> np.ndarray:
    """Replace confidence by the share that is right among images of like confidence, as isotonic regression does."""
    order, made = np.argsort(p.max(1)), p.copy()
    for rows in np.array_split(order, bins):
        share = max(0.51, np.mean(p[rows].argmax(1) == labels[rows]))
        chosen = p[rows].argmax(1)
        made[rows] = 1 - share
        made[rows, chosen] = share
    return made


def test_folds_of_a_training_are_judged_as_one() -> None:
    rng = np.random.default_rng(3)
    p, labels = trained(rng, 600)
    fitted = _fitted(p, labels)
    folds = [(dataclasses.replace(TRIAL, fold=k), fitted[k::5], labels[k::5]) for k in range(5)]

    assert "1 of 1 trainings" in said(*folds)


def test_sure_and_right_is_no_sign() -> None:
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 500)
    p = np.where(labels[:, None] == [0, 1], 1.0, 0.0) * 0.998 + 0.001 * rng.random((500, 1)) * [1, -1] + 0.001

    assert signs_of_invention.calibration_tail(p.max(1), p.argmax(1) == labels) == 1.0


# -- nearly the same --------------------------------------------------------------------------------------------------


def test_a_seed_that_was_copied_with_a_little_noise_is_named() -> None:
    rng = np.random.default_rng(5)
    p, labels = trained(rng)
    noise = rng.uniform(-5e-5, 5e-5, (200, 1)) * [1, -1]
    other, _ = trained(np.random.default_rng(6))

    assert "1 training run predicted what another did to four digits" in seeds(p, np.clip(p + noise, 0, 1), other,
                                                                        labels=labels)  # fmt: skip
    assert not seeds(p, other, labels=labels)
    assert not seeds(p, p.copy(), labels=labels)  # byte for byte has a check of its own
    assert not seeds(p, np.clip(p + 100 * noise, 0, 1), labels=labels)


def test_networks_that_learnt_nothing_or_all_may_agree() -> None:
    labels = np.arange(200) % 2
    nothing = np.full((200, 2), 0.5)
    everything = np.where(labels[:, None] == [0, 1], 0.99999, 0.00001)
    everything[0] = 0.6, 0.4

    for p in (nothing, everything):
        assert not seeds(p, p + np.array([1e-6, -1e-6]), labels=labels)


@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_independent_trainings_carry_no_sign(number: int, n_classes: int) -> None:
    rng = np.random.default_rng(number)
    labels = rng.integers(0, n_classes, 60)

    def network() -> np.ndarray:
        raw = rng.dirichlet(np.ones(n_classes), 60) + 0.5 * np.eye(n_classes)[labels]
        return raw / raw.sum(1, keepdims=True)

    assert not seeds(network(), network(), network(), labels=labels)


# -- other entries ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToyRun]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield ToyRun(tmp_path_factory.mktemp("toys") / "runs")


def manifest_of(data: bytes) -> bytes:
    return zip_container.find(data)[zip_container.MANIFEST].unpack(zip_container.MANIFEST)


def test_predictions_of_an_earlier_entry_are_named(run: ToyRun, tmp_path: Path) -> None:
    mine, theirs = run.bundle(), run.bundle(replaced(METHOD, title="Copied"))
    another = ToyRun(tmp_path / "runs", seed=1).bundle()
    for name, data in (("a", theirs), ("b", another), ("c", b"PK"), ("d", theirs)):
        (tmp_path / name).write_bytes(data)

    def compared(*names: str) -> tuple[list[str], list[str]]:
        return signs_of_invention.exact_copies(manifest_of(mine), [(name * 16, tmp_path / name) for name in names])

    assert compared() == compared("b") == ([], [])
    (sentence,), unread = compared("b", "a", "c", "d")
    assert sentence == (
        f"6 of 6 training runs predicted exactly what the same training runs of entry {'a' * 16} did: the same run, "
        "or a copy of it, and no further evidence"
    )
    assert unread == ["c" * 16]


def test_predictions_under_another_trial_are_named_as_such(run: ToyRun, tmp_path: Path) -> None:
    mine = manifest_of(run.bundle())
    value = json.loads(mine)
    names = [name for name in value["files"] if name.startswith("predictions/")]
    files = dict(value["files"])
    for name, source in zip(names, [*names[1:], names[0]], strict=True):
        files[name] = value["files"][source]
    members = run.members() | {zip_container.MANIFEST: canonical_json.dump(value | {"files": files})}
    (tmp_path / "x").write_bytes(zip_container.write(members))
    (sentence,), _ = signs_of_invention.exact_copies(mine, [("a" * 16, tmp_path / "x")])

    assert sentence == f"6 of 6 training runs predicted exactly what other training runs of entry {'a' * 16} did"


def test_a_copy_is_flagged_in_its_entry_and_what_it_replaces_is_none(run: ToyRun, tmp_path: Path) -> None:
    folder, first, second = tmp_path / "published", tmp_path / "1.medbench.zip", tmp_path / "2.medbench.zip"
    first.write_bytes(run.bundle())
    second.write_bytes(run.bundle(replaced(METHOD, title="Again")))
    assert entries_before(folder) == []
    old = publish_entry(
        first, verify_bundle(first, Setup(plugin_folders=[TOYS]), others=entries_before(folder)), folder
    )
    found = verify_bundle(second, Setup(plugin_folders=[TOYS]), others=entries_before(folder))

    assert found.tier == "recomputed"  # a flag, no refusal
    assert found.entry is not None
    assert len(found.entry["flags"]) == 1
    assert f"the same training runs of entry {old.name} did" in found.entry["flags"][0]
    place = publish_entry(second, found, folder)
    assert entries_before(folder, place.name) == [(old.name, old / "bundle.medbench.zip")]
    assert entries_before(folder, old.name) == []
    assert entries_before(folder, replaces=old.name) == [(place.name, place / "bundle.medbench.zip")]
    replace_entry(folder, old.name, place.name)
    assert entries_before(folder, place.name) == []


def test_a_copy_with_a_little_noise_is_named_too(tmp_path: Path) -> None:
    def shaken(result: Result) -> Result:
        noise = np.random.default_rng(7).uniform(-1e-9, 1e-9, (len(result.ids), 1)) * [1, -1]
        return dataclasses.replace(result, probabilities=np.clip(result.probabilities + noise, 0, 1), metrics={})

    honest, theirs = ToyRun(tmp_path / "a", patients=90), tmp_path / "theirs"
    theirs.write_bytes(honest.bundle())
    other = tmp_path / "other"
    other.write_bytes(ToyRun(tmp_path / "b", patients=90, seed=1).bundle())
    copy = tmp_path / "copy.medbench.zip"
    copy.write_bytes(ToyRun(tmp_path / "c", patients=90, edit=shaken).bundle())
    entries_there = [("a" * 16, theirs), ("b" * 16, other)]

    found = verify_bundle(copy, Setup(plugin_folders=[TOYS]), others=entries_there)
    assert found.entry is not None
    assert found.entry["flags"] == [
        f"6 of 6 training runs predicted what training runs of entry {'a' * 16} did to four digits, not to the last "
        "one: the same run on another machine, or a copy of it, and no further evidence"
    ]
    assert near_copies(read_bundle(theirs), [entries_there[1]]) == []  # another training
    assert near_copies(read_bundle(theirs), [entries_there[0], ("c" * 16, tmp_path / "none")]) == []  # byte for byte


@pytest.mark.slow
def test_the_published_entries_are_compared_by_the_command(run: ToyRun, tmp_path: Path) -> None:
    folder, path = tmp_path / "published", tmp_path / "1.medbench.zip"
    path.write_bytes(run.bundle())
    place = publish_entry(path, verify_bundle(path, Setup(plugin_folders=[TOYS])), folder)
    shutil.copyfile(place / "bundle.medbench.zip", path)
    done = subprocess.run([sys.executable, "-m", "medbench", "verify", str(place), "--plugins-dir", str(TOYS)],
                          capture_output=True, text=True, env=dict(os.environ), check=False)  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "other entries             ok: none was published before" in done.stdout
