"""``medbench audit`` says what a data set gives away; a waiver lets a parted official cut run, and tables say so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from medbench.cli import audit, writing
from medbench.data.audit_official_cut import WAIVABLE, waived_leaks
from medbench.errors import LeakError, UsageError
from medbench.interfaces import Budget
from medbench.planning import study
from medbench.protocols.protocol import EvaluationProtocol
from medbench.samples import Samples
from medbench.testing import toy_samples
from medbench.text import columns
from medbench.trial.context import TrialContext
from medbench.trial.run_one_trial import Recipes, run_trial
from medbench.trial.trial import Trial
from toys import Mean, Plain

TOYS = Path(__file__).parents[1] / "toys"
TRIAL = Trial("toy", "official", 0, 0, 1, 0, 0, "plain-toy", "mean", Budget(steps=5, generator_steps=5))
Medbench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def call(tmp_path: Path) -> Medbench:
    environment = {**os.environ, "MEDBENCH_CACHE": str(tmp_path / "cache"), "MEDBENCH_RESULTS": str(tmp_path / "runs")}

    def run(*arguments: object, plugins: bool = True) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "medbench", *map(str, arguments), *(["--plugins-dir", str(TOYS)] * plugins)]
        line += ["--executor", "forks"] if arguments[0] == "run" else []
        return subprocess.run(line, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120)

    return run


def twins(root: Path) -> None:
    """Write 80 pictures of 40 patients; the last picture, in the test part, is the first one mirrored."""
    root.mkdir()
    x = np.random.default_rng(0).integers(0, 256, (80, 8, 8))
    x[79] = x[0, :, ::-1]
    np.savez(root / "toy.npz", x=x.astype(np.uint8), labels=np.arange(80) // 2 % 2)


def test_every_section_is_there_and_whole_in_a_pipe(call: Medbench) -> None:
    said = call("audit", "phantom:toy")

    assert said.returncode == 0, said.stderr
    sections = ("patients kept together in every split", "equal pixels",
                "nearly equal", "look alike", "labels that conflict",
                "144 train, 96 test images; nobody is on both sides", "shortcuts", "Not seen: crops")  # fmt: skip
    places = [said.stdout.index(section) for section in sections]
    assert places == sorted(places)
    assert audit.BLIND in said.stdout  # no line is broken where programs and searches read it
    assert said.stdout.isascii()


@pytest.mark.parametrize("width", [80, 120])
def test_names_of_a_pair_are_never_cut(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    first, second = f"{'a long folder/' * 5}first.png", f"{'a long folder/' * 5}second.png"
    piped = list(audit._list([f"{first}, {second}  0.991"]))
    monkeypatch.setattr(writing.sys, "stdout", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setenv("COLUMNS", str(width))
    shown = "\n".join(audit._list([f"{first}, {second}  0.991"]))

    assert piped == [f"   {first}, {second}  0.991"]
    assert " ".join(shown.split()) == " ".join(piped[0].split())
    assert max(map(columns, shown.splitlines())) <= width


def test_a_study_that_drops_what_is_shared_is_not_blocked(call: Medbench, tmp_path: Path) -> None:
    twins(tmp_path / "real")
    (tmp_path / "s.toml").write_text('datasets = ["toy"]\nprotocols = ["official[overlap=drop]"]\n')
    said = call("audit", "s.toml", "--data", "real")

    assert said.returncode == 0, said.stderr
    assert "BLOCKS" not in said.stdout


def test_a_mirrored_picture_across_the_official_cut_blocks(call: Medbench, tmp_path: Path) -> None:
    twins(tmp_path / "real")
    said = call("audit", "toy", "--data", "real")
    facts = json.loads(call("audit", "toy", "--data", "real", "--json").stdout)[0]

    assert said.returncode == 8
    assert "BLOCKS  duplicate-across-cut: 1 group" in said.stdout
    assert "toy/i0, toy/i79" in said.stdout
    assert "1 of 32 test images has a twin in training, 0 of them pixel for pixel" in said.stdout
    assert facts["overlap"]["twins"] == [{"test": ["toy/i79"], "train": ["toy/i0"]}]
    assert facts["overlap"]["dropped"] == ["toy/i0", "toy/i1"]
    assert 'waive = ["duplicate-across-cut"]' in said.stdout
    assert facts["blocks"] == ["duplicate-across-cut"]
    assert (facts["declared"], facts["exact"], facts["groups"], facts["merged"]) == (40, 40, 39, 1)
    assert [(link["first"], link["second"]) for link in facts["near"]] == [("toy/i0", "toy/i79")]


def test_a_waived_finding_runs_and_stands_under_the_table(call: Medbench, tmp_path: Path) -> None:
    twins(tmp_path / "real")
    text = 'datasets = ["toy"]\naugmenters = ["plain-toy"]\nclassifiers = ["mean"]\nprotocols = ["official"]\n'
    text += "repeats = 1\n"
    (tmp_path / "asks.toml").write_text(text)
    (tmp_path / "waives.toml").write_text(f'{text}waive = ["duplicate-across-cut"]\n')
    (tmp_path / "other.toml").write_text(f'{text}waive = ["patient-across-cut"]\n')
    refused = [call("run", f"{name}.toml", "--data", "real") for name in ("asks", "other")]
    ran = call("run", "waives.toml", "--data", "real")
    again = call("leaderboard", "waives", plugins=False)
    checked = call("audit", "waives.toml", "--data", "real")
    listed = call("leaderboard", "waives", "--format", "csv", plugins=False)

    assert "WAIVED duplicate-across-cut" in listed.stdout
    for ended in refused:
        assert ended.returncode == 8
        assert "the same or nearly (1 of 32 test images in 1 group: toy/i0 and toy/i79)" in ended.stderr
        assert "official[overlap=drop] (which leaves out 2 of 48 training images)" in ended.stderr
        assert 'waive = ["duplicate-across-cut"]' in ended.stderr
    assert ran.returncode == 0, ran.stderr
    assert "on the images, which `medbench plan` lists" in ran.stderr
    planned = call("plan", "waives.toml", "--data", "real")
    assert "1 patient shares a picture with another and was united with it" in " ".join(planned.stdout.split())
    for table in (ran, again):
        assert "WAIVED duplicate-across-cut" in table.stdout
    assert checked.returncode == 0
    assert "waived  duplicate-across-cut: 1 group" in checked.stdout
    results = list((tmp_path / "runs").rglob("result.json"))
    assert results
    assert all("same-patient" in json.loads(path.read_text())["leaks"] for path in results)


def test_other_protocols_are_not_stopped_by_the_official_cut(call: Medbench, tmp_path: Path) -> None:
    twins(tmp_path / "real")
    (tmp_path / "s.toml").write_text('datasets = ["toy"]\naugmenters = ["plain-toy"]\nfolds = 3\nrepeats = 1\n')
    said = call("audit", "s.toml", "--data", "real")

    assert said.returncode == 0
    assert "no matter, the study splits otherwise  duplicate-across-cut" in said.stdout
    ran = call("run", "s.toml", "-c", "mean", "--data", "real")
    assert ran.returncode == 0, ran.stderr
    assert "WAIVED" not in ran.stdout


def test_a_shortcut_stands_under_the_board(call: Medbench, tmp_path: Path) -> None:
    """The toy phantom's classes differ in brightness, which is all it draws."""
    ran = call("run", "-d", "phantom:toy", "-a", "plain-toy", "-c", "mean", "--folds", "3", "--repeats", "1")

    assert ran.returncode == 0, ran.stderr
    folded = " ".join(ran.stdout.split())
    assert "Warning: mean brightness alone predicts the class with AUROC" in folded
    assert "medbench audit phantom:toy" in folded


def test_what_the_nearest_picture_tells_stands_under_the_board(call: Medbench) -> None:
    ran = call("run", "-d", "phantom:toy", "-a", "plain-toy", "-c", "mean", "--folds", "3", "--repeats", "1")

    assert "simply taking the label of the most similar training image gives AUROC" in " ".join(ran.stdout.split())


def test_what_matters_cannot_be_changed_once_a_result_is_there(call: Medbench) -> None:
    asked = ("run", "-d", "phantom:toy", "-a", "plain-toy", "-c", "mean", "--folds", "3", "--repeats", "1")
    first, other, same = (call(*asked, "--worth", worth) for worth in (3, 40, 3))
    alone = call("run", "-d", "phantom:toy", "-a", "balanced", *asked[5:], "--no-controls", "--worth", "40")

    assert alone.returncode == 2  # no arm of it was ever run, but its folds were
    assert "was 3 when these folds" in alone.stderr
    assert first.returncode == same.returncode == 0, first.stderr
    assert other.returncode == 2
    assert "worth is 40 points here and was 3 when these folds were first run" in other.stderr
    assert other.stdout == ""


def test_a_positive_class_that_no_data_set_has_is_refused(call: Medbench, tmp_path: Path) -> None:
    file = tmp_path / "question.toml"
    file.write_text('datasets = ["phantom:toy"]\naugmenters = ["balanced"]\nclassifiers = ["mean"]\npositive = "nil"\n')
    refused = call("plan", str(file))

    assert refused.returncode == 2
    assert "phantom:toy has no class 'nil'; positive = is one of '" in " ".join(refused.stderr.split())


def test_the_primary_comparison_is_fixed_before_the_first_result(call: Medbench, tmp_path: Path) -> None:
    lines = 'datasets = ["phantom:toy"]\naugmenters = ["balanced"]\nclassifiers = ["mean"]\nfolds = 3\nrepeats = 1\n'
    file = tmp_path / "question.toml"

    def ask(command: str, primary: str) -> subprocess.CompletedProcess[str]:
        file.write_text(f'{lines}primary = "{primary}"\n')
        return call(command, str(file), "--no-controls")

    unknown, first, later = ask("plan", "nobody"), ask("run", "balanced"), ask("run", "")

    assert unknown.returncode == 2
    assert "nobody" in unknown.stderr
    assert first.returncode == 0, first.stderr
    assert later.returncode == 2
    assert "the primary comparison is 'none' here and was 'balanced' when these folds were first run" in later.stderr
    assert 'Write primary = "balanced" in the study file, or take another --results.' in later.stderr


def test_the_canary_draws_its_own_images(call: Medbench) -> None:
    said = call("audit", "--canary", "--data", "real")

    assert said.returncode == 2
    assert "leave the data set and --data out" in said.stderr


def test_what_does_not_exist_is_named(call: Medbench) -> None:
    said = call("audit", "ddit", "--phantom")

    assert said.returncode == 2
    assert "did you mean 'ddti'" in said.stderr


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (["duplicate-across-cuts"], "did you mean 'duplicate-across-cut'"),
        (["conflicting-labels"], "there are patient-across-cut, duplicate-across-cut"),
        (["patient-across-cut", "patient-across-cut"], "stands there twice"),
        ("patient-across-cut", "waive"),
    ],
)
def test_only_what_blocks_can_be_waived(value: object, says: str) -> None:
    with pytest.raises(UsageError) as error:
        study.build({"waive": value})

    assert all(word in str(error.value) for word in says.split(", "))


def test_a_waiver_is_written_back_and_allows_one_leak_of_one_protocol() -> None:
    asked = study.build({"waive": list(WAIVABLE)})

    assert 'waive = ["patient-across-cut", "duplicate-across-cut"]' in study.to_toml(asked)
    assert waived_leaks("official", asked.waive) == {"same-patient"}
    assert waived_leaks("patients", asked.waive) == waived_leaks("official", ()) == frozenset()


def test_a_trial_under_an_official_cut_that_parts_a_patient_needs_the_waiver(tmp_path: Path) -> None:
    samples: Samples = toy_samples(60, size=8)
    parts = np.array(["train"] * 41 + ["test"] * 19)
    parted = Samples(**{**vars(samples), "parts": parts})
    official = EvaluationProtocol("official")

    def once(**more: frozenset[str]) -> tuple[str, ...]:
        context = TrialContext(TRIAL, device="cpu", folder=tmp_path)
        return run_trial(TRIAL, Recipes(Plain(), Mean(), official), parted, context, **more).leaks

    with pytest.raises(LeakError, match="in training or validation and in test"):
        once()
    assert once(waived=waived_leaks("official", ["patient-across-cut"])) == ("same-patient",)
