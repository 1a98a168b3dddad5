"""Class frequencies place every threshold: they are what the recipe gives on our cut, or the bundle is refused."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from _bundles import TOYS, ToyRun
from medbench.cli.verify import verify
from medbench.interfaces import Budget
from medbench.publishing.verify.check_class_frequencies import FrequencyCheck, expected_frequencies, with_noise_pixels
from medbench.registry import plugins
from medbench.samples import Samples
from medbench.trial.trial import Result, Trial

TRIAL = Trial("phantom:toy", "patients", 0, 0, 5, 0, 0, "adds", "mean", Budget())
ROWS = np.array([30, 10])


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def train(*counts: int) -> Samples:
    labels = np.repeat(np.arange(len(counts)), counts)
    names = np.array([f"i{k}" for k in range(len(labels))])
    return Samples(
        np.zeros((len(labels), 0), np.uint8), labels, names, names, names, tuple(() for _ in labels),
        tuple(f"class {k}" for k in range(len(counts))),
    )  # fmt: skip


def test_every_registered_arm_can_be_asked_without_training(tmp_path: Path) -> None:
    here = with_noise_pixels(train(30, 20, 10), 2)
    natural, equal = [1 / 2, 1 / 3, 1 / 6], [1 / 3, 1 / 3, 1 / 3]
    for augmenter in plugins.load(installed=True).items("augmenter"):
        if augmenter.name == "feature-smote":
            continue  # imbalanced-learn takes seconds to import
        found = expected_frequencies(augmenter, here, tmp_path)
        assert found is not None, augmenter.name
        wanted = natural if augmenter.name in ("none", "focal") else equal  # as each one's docstring says
        assert found.frequencies.tolist() == pytest.approx(wanted), augmenter.name
        assert (found.made > 0) == ("samples" in augmenter.gives), augmenter.name
    assert not any(tmp_path.iterdir())


def test_what_a_recipe_raises_says_nothing(tmp_path: Path) -> None:
    class Raises:
        space = "pixels"

        def fit(self, train: Any, context: Any) -> Any:
            return context.fit(self, train).state()["weights"]

    assert expected_frequencies(Raises(), with_noise_pixels(train(3, 3), 3), tmp_path) is None


# -- where the recipe cannot be asked ---------------------------------------------------------------------------------


def odd(*told: tuple[list[float], int], rows: np.ndarray = ROWS) -> str:
    """Return what is said of folds with these frequencies and made rows."""
    found = FrequencyCheck()
    for fold, (frequencies, made) in enumerate(told):
        trial = dataclasses.replace(TRIAL, fold=fold)
        counts = {"real": int(rows.sum()), "made": made}
        assert not found.add(trial, np.array(frequencies), None, counts, rows)
    return " ".join(found.sentences())


@pytest.mark.parametrize(
    "told",
    [
        [([0.5, 0.5], 40), ([0.5, 0.5], 40)],  # equal over classes
        [([0.75, 0.25], 0)],  # as the training part
        [([0.6, 0.4], 10), ([0.6, 0.4], 10)],  # 30 + 0 and 10 + 10 of 50 rows
        [([0.9, 0.1], 60)],  # 30 + 60 and 10 + 0 of 100 rows
    ],
)
def test_what_follows_from_counts_alike_over_folds_is_believed(told: list[tuple[list[float], int]]) -> None:
    assert odd(*told) == ""


@pytest.mark.parametrize(
    "told",
    [
        [([0.7, 0.3], 0)],  # nothing was made, and it is not the training part's
        [([0.61, 0.39], 10)],  # half a row
        [([0.5, 0.5], 40), ([0.75, 0.25], 0)],  # another rule in another fold
        [([0.6, 0.4], 10), ([0.7, 0.3], 10)],  # other folds, other shares
        [([0.95, 0.05], 60)],  # fewer of a class than there are
    ],
)
def test_what_does_not_is_named(told: list[tuple[list[float], int]]) -> None:
    assert (
        f"class frequencies of {len(told)} training runs follow neither from their recipe nor from their counts"
        in odd(*told)
    )


# -- by the command ---------------------------------------------------------------------------------------------------


def tuned(result: Result, made: int) -> Result:
    """Choose the frequencies that suit the test labels best, as whoever has them can."""
    if result.trial.augmenter != "adds":
        return result
    shares = np.linspace(0.02, 0.98, 49)

    def score(share: float) -> float:
        chosen = (result.probabilities / [share, 1 - share]).argmax(1)
        return float(np.mean([(chosen[result.labels == k] == k).mean() for k in range(2)]))

    best = max(shares, key=score)
    counts = {**result.counts, "made": result.counts["made"] + made}
    return dataclasses.replace(result, frequencies=np.array([best, 1 - best]), counts=counts, metrics={})


def verified(run: ToyRun, path: Path) -> Any:
    path.write_bytes(run.bundle())
    return CliRunner().invoke(verify, [str(path), "--plugins-dir", str(TOYS)])


def test_frequencies_that_were_tuned_are_refused_by_the_command(tmp_path: Path) -> None:
    done = verified(ToyRun(tmp_path / "runs", edit=lambda result: tuned(result, 0)), tmp_path / "a.medbench.zip")

    assert done.exit_code == 9
    assert "MB927: adds / mean" in done.output
    assert "its recipe gives" in " ".join(done.output.split())


def test_frequencies_that_were_tuned_with_other_counts_are_flagged_by_the_command(tmp_path: Path) -> None:
    done = verified(ToyRun(tmp_path / "runs", edit=lambda result: tuned(result, 1)), tmp_path / "a.medbench.zip")

    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    # Of the two trainings that were tuned, one may by chance have been given what it had.
    assert re.search("class frequencies flagged: class frequencies of [12] training runs follow neither", said)


def test_frequencies_of_an_honest_run_are_those_that_recipes_give(tmp_path: Path) -> None:
    done = verified(ToyRun(tmp_path / "runs"), tmp_path / "a.medbench.zip")

    assert "class frequencies ok: 6 training runs as their recipes give them here" in " ".join(done.output.split())
