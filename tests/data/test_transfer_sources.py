"""Learning from another data set: once for all folds, never from what is the target's, beside its controls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import medbench
from medbench.data.transfer_sources import datasets_in, key_of_dataset, open_sources, usable_samples
from medbench.registry.plugins import load
from medbench.testing import SandboxContext, toy_samples
from medbench.trial.stages import stage_key

TOYS = Path(__file__).parents[1] / "toys"
Medbench = Callable[..., subprocess.CompletedProcess[str]]
ASK = ("--no-yardsticks", "-d", "phantom:toy", "-a", "plain-toy", "--folds", "3", "--repeats", "1")
BEFORE = "before[source=other,extra=adds]"


@pytest.fixture
def call(tmp_path: Path) -> Medbench:
    environment = {**os.environ, "MEDBENCH_CACHE": str(tmp_path / "cache"), "MEDBENCH_RESULTS": str(tmp_path / "runs")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "medbench", *arguments, "--plugins-dir", str(TOYS)]
        line += ["--executor", "forks"] if arguments[0] == "run" else []
        return subprocess.run(line, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)

    return run


def test_one_fit_serves_every_fold_and_the_controls_stand_above(call: Medbench, tmp_path: Path) -> None:
    ran = call("run", *ASK, "-c", BEFORE)

    assert ran.returncode == 0, ran.stderr
    stages = [json.loads(p.read_text()) for p in (tmp_path / "runs" / "stages").glob("*/stage.json")]
    assert sorted(s["stage"] for s in stages) == ["elsewhere", "elsewhere", "noise"]  # of 3 folds and 3 classifiers
    lines = [line.strip().split("  ")[0] for line in ran.stdout.splitlines()]
    first = next(n for n, line in enumerate(lines) if line.startswith("plain-toy"))
    assert lines[first + 1].startswith("└ plain-toy with before")
    folded = " ".join(ran.stdout.split())
    assert "(source=other)" in folded
    assert "(source=other, extra=adds)" in folded


def test_a_stage_and_what_it_needs_see_the_source_alone(call: Medbench, tmp_path: Path) -> None:
    assert call("run", *ASK, "-c", BEFORE).returncode == 0

    seen = sorted(p.read_text().split() for p in (tmp_path / "runs" / "stages").glob("*/rows.txt"))
    assert [int(made) - int(real) for real, made, _ in seen] == [0, int(seen[0][0])]
    assert all(name.startswith("phantom:other/") for _, _, name in seen)


def test_a_plan_counts_what_a_run_fits(call: Medbench) -> None:
    planned = json.loads(call("plan", *ASK, "-c", BEFORE, "--json").stdout)

    assert planned["stages"] == 3
    assert planned["trials"] == 3 * 4  # with `none`


def test_a_source_that_is_the_target_is_refused(call: Medbench) -> None:
    ran = call("run", *ASK, "-c", "before[source=toy]")

    assert ran.returncode == 3
    assert "are the target's own patients or pictures" in ran.stderr


def test_a_source_of_other_axes_is_refused(call: Medbench) -> None:
    ran = call("run", *ASK, "-c", "before[source=other:volumes]")

    assert ran.returncode == 3
    assert "choose a source with the same channels and axes" in ran.stderr


def test_without_controls_only_the_classifier_itself_is_run(call: Medbench) -> None:
    planned = json.loads(call("plan", *ASK, "-c", BEFORE, "--no-controls", "--json").stdout)

    assert planned["arms"]["phantom:toy"] == [f"plain-toy / {BEFORE}"]


def written(folder: Path, x: np.ndarray, *, family: str, groups: list[str] | None = None) -> Path:
    """Write what decoding leaves behind, as far as it is read here."""
    folder.mkdir()
    n = len(x)
    np.save(folder / "pixels.npy", x)
    names = [f"{family}/p{i}" for i in range(n)]
    columns = {
        "ids": [f"{family}/{i}" for i in range(n)],
        "labels": [i % 2 for i in range(n)],
        "patients": names,
        "groups": groups or names,
        "parts": [""] * n,
    }
    (folder / "columns.json").write_text(json.dumps(columns))
    (folder / "manifest.json").write_text(json.dumps({"classes": ["no", "yes"], "fingerprint": family}))
    return folder


def test_rows_with_the_targets_pixels_or_groups_are_taken_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    own, theirs = rng.integers(0, 256, (2, 8, 1, 4, 4)).astype(np.uint8)
    theirs[2] = own[5]
    theirs[3], own[0] = 7, 7  # two blank pictures are nobody's
    groups = [f"b/p{i}" for i in range(8)]
    groups[6] = "a/p1"
    target = written(tmp_path / "a", own, family="a")
    source = written(tmp_path / "b", theirs, family="b", groups=groups)

    left = usable_samples(source, target, named="b")
    again = usable_samples(source, target, named="b")

    assert left.ids.tolist() == [f"b/{i}" for i in (0, 1, 3, 4, 5, 7)]
    assert again.ids.tolist() == left.ids.tolist()
    with pytest.raises(medbench.DataError, match="a class is empty without them"):
        usable_samples(source, written(tmp_path / "c", theirs[::2], family="c"), named="b")


def test_what_was_not_announced_is_not_opened(tmp_path: Path) -> None:
    catalogue = load(folders=[TOYS], installed=False)
    dataset = catalogue.resolve("dataset", "other")
    target = written(tmp_path / "a", np.zeros((4, 1, 4, 4), np.uint8), family="a")

    with pytest.raises(medbench.UsageError, match="no such source was announced"):
        open_sources({}, target)(dataset)
    classifier = catalogue.resolve("classifier", "before[source=other]")
    assert [key_of_dataset(d) for d in datasets_in(classifier)] == [key_of_dataset(dataset)]


@dataclass(frozen=True)
class Named:
    """Stands for a data set; only its name is asked for."""

    name: str = "other"


def test_a_network_begins_where_the_pretraining_ended(tmp_path: Path) -> None:
    classifiers = pytest.importorskip("medbench_plugins.classifiers.pretrained_on")
    small = load(installed=False).resolve("classifier", "small-cnn[width=4]")
    source: Any = Named()
    recipe = classifiers.PretrainedOn(small, source)
    target, other = toy_samples(24, size=16), toy_samples(60, size=16, classes=3, seed=5)
    context = SandboxContext(tmp_path, medbench.Budget(steps=30, batch=8), sources={"other": other})

    weights = recipe.needs[0].fit(other, context)
    network = recipe.blueprint(target).build()
    predict = recipe.fit(medbench.TrainingSet(target), target.take([]), context)

    assert not {name for name in weights.state() if name.startswith("head.")}
    assert {n for n in network.state_dict() if not n.startswith("head.") and "tracked" not in n} == set(weights.state())
    assert predict.facts["pretrained_on"] == "other"
    plain = small.fit(medbench.TrainingSet(target), target.take([]), context, start=weights.state())
    np.testing.assert_array_equal(predict(target.x), plain(target.x))


def test_the_controls_of_pretraining_end_at_the_classifier() -> None:
    catalogue = load(installed=False)
    recipe = catalogue.resolve("classifier", "pretrained-on[source=ddti:tirads,augmenter=acgan]")
    chain = []
    while recipe is not None:
        chain.append(catalogue.spec(recipe))
        recipe = getattr(recipe, "control", None)

    assert chain == [
        "pretrained-on[source=ddti:tirads,augmenter=acgan]",
        "pretrained-on[source=ddti:tirads,augmenter=copies]",
        "pretrained-on[source=ddti:tirads]",
        "small-cnn",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pretrained-on", "which data set is learnt first"),
        ("pretrained-on[source=ddti:tirads,augmenter=feature-none]", "works on features"),
    ],
)
def test_a_recipe_that_cannot_work_says_so_before_a_run(text: str, says: str) -> None:
    with pytest.raises(medbench.UsageError, match=says):
        load(installed=False).resolve("classifier", text).check()


def test_the_key_of_a_generator_that_trains_a_classifier_knows_its_steps() -> None:
    resolve = load(installed=False).resolve
    short, long = medbench.Budget(steps=60), medbench.Budget(steps=1500)

    def keys(text: str) -> set[str]:
        stage = resolve("generator", text)
        return {stage_key(stage, made_of="d", ids=["a"], stage_seed=0, budget=b) for b in (short, long)}

    assert len(keys("acgan")) == 1
    assert len(keys("selected")) == 2
