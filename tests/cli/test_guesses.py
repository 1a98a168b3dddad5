"""What people type who have not read the documentation leads somewhere: one sentence with what to type instead."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from medbench import cli
from medbench.cli.commands import BEGINS, COMMANDS, JOURNEY
from medbench.cli.guesses import OF_COMMANDS, OF_OPTIONS, guess_option
from medbench.registry import guess_names
from medbench.registry.plugins import load


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path):
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(sys, "argv", ["medbench", *arguments])
        monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capfd.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return call


def test_alone_it_says_what_to_type_first(say) -> None:
    code, out, _ = say()

    assert code == 0
    assert out.startswith("Compare data augmentation methods for medical image classification.\n")
    assert "medbench run --augmenter hybrid" in out
    assert "medbench init FOLDER" in out


def test_help_is_grouped_by_the_users_journey(say) -> None:
    _, out, _ = say("--help")

    found = [line.rstrip(":") for line in out.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert found == ["Options", "Start", "Data", "Run", "Results", "Publish", "Extend"] == ["Options", *JOURNEY]
    assert "Compare data augmentation methods for medical image classification." in out
    assert all(f"  {name} " in out for name in COMMANDS)
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("rnu", "did you mean `medbench run`?"),
        ("train", "`medbench run` trains and tests"),
        ("ls", "`medbench list augmenters`"),
        ("results", "`medbench leaderboard`"),
        ("download", "`medbench datasets fetch`"),
        ("help", "`medbench --help` lists the commands"),
        ("own images", "`medbench init 'own images'` makes a study of the images in it"),
        ("mine.toml", "`medbench run mine.toml` runs a study file"),
        ("xyzzyx", "there is no command 'xyzzyx': `medbench --help` lists the commands"),
    ],
)
def test_a_command_that_does_not_exist_leads_to_the_one_that_is_meant(
    say, tmp_path: Path, typed: str, says: str
) -> None:
    (tmp_path / "own images").mkdir()
    code, _, error = say(typed)

    assert code == 2
    assert says in error
    assert [line for line in error.splitlines() if line != BEGINS["run"]] == error.splitlines()[-1:]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("run", "--epochs", "10"), "--budget steps=600"),
        (("run", "--lr", "0.1"), "--set timm.lr=0.001"),
        (("run", "--gpu"), "--device cuda"),
        (("run", "--output", "x"), "--results FOLDER"),
        (("run", "-o", "x"), "--results FOLDER"),
        (("report", "--output", "x"), "--out FILE"),
        (("run", "--model", "resnet18"), "-c 'timm[model=resnet18]'"),
        (("run", "--batch_size", "8"), "--budget batch=32"),
        (("run", "--seed", "1"), "--seeds 3"),
        (("run", "--k-folds", "5"), "--folds 5"),
        (("run", "--data-dir", "x"), "--data FOLDER"),
        (("run", "--resume"), "the same command again"),
        (("run", "--generator", "acgan"), "hybrid[generator=reacgan]"),
        (("run", "--fold", "5"), "did you mean --folds?"),
        (("run", "--nonsense"), "`medbench run --help` lists all of them"),
    ],
)
def test_an_option_that_does_not_exist_leads_to_the_right_one(say, typed: tuple[str, ...], says: str) -> None:
    code, _, error = say(*typed)

    assert code == 2
    assert says in error
    assert [line for line in error.splitlines() if line != BEGINS["run"]] == error.splitlines()[-1:]


def test_no_guess_about_options_names_one_that_is_not_there() -> None:
    run = cli.cli.get_command(None, "run")  # type: ignore[arg-type]
    known = [option for parameter in run.params for option in (*parameter.opts, *parameter.secondary_opts)]

    for names in OF_OPTIONS:
        for name in names.split():
            assert f"--{name}" not in known
            said = re.findall(r"--[a-z-]+", guess_option(f"--{name}", known))
            assert set(said) <= {*known, "--out"}, name
    for names in OF_COMMANDS:
        assert not set(names.split()) & set(COMMANDS)
    assert CliRunner().invoke(cli.cli, ["run", "--help"]).exit_code == 0


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("run", "own"), "own is a folder: `medbench init own` makes a study"),
        (("run", "./gone"), "./gone is no folder that is there"),
        (("plan", "-d", "own"), "or write -d folder --data own"),
        (("audit", "own"), "write `medbench audit folder --data own`"),
        (("plan", "-d", "breastmnist"), "write 'medmnist[flag=breastmnist]'"),
        (("plan", "-d", "OrganMNIST3D"), "write 'medmnist[flag=organmnist3d]'"),
        (("plan", "-d", "ham10000"), "`medbench init FOLDER` makes a study of your copy of it"),
        (("plan", "-d", "thyroid"), "write ddti"),
        (("plan", "--phantom", "-c", "resnet18"), "write 'timm[model=resnet18]'"),
        (("plan", "--phantom", "-c", "ResNet-50"), "write 'timm[model=resnet50]'"),
        (("plan", "--phantom", "-c", "vit"), "write 'timm[model=vit_tiny_patch16_224]'"),
        (("plan", "--phantom", "-a", "gan"), "write acgan"),
        (("plan", "--phantom", "-a", "RandomHorizontalFlip"), "write geometric"),
        (("plan", "--phantom", "-a", "ShiftScaleRotate"), "write geometric"),
        (("plan", "--phantom", "-a", "ColorJitter"), "write trivialaugment"),
        (("plan", "--phantom", "-a", "stylegan"), "it is not built in, the nearest is acgan"),
        (("plan", "--phantom", "-a", "SMOTE"), "write feature-smote"),
        (("plan", "--phantom", "-a", "wgan-gp"), "it is a generator: -a 'hybrid[generator=wgan-gp]'"),
        (("plan", "--phantom", "-a", "Hybrid"), "did you mean 'hybrid'?"),
        (("run", "ddti"), "it is a data set: -d ddti"),
        (("run", "hybrid"), "it is an augmenter: -a hybrid"),
    ],
)
def test_a_name_that_is_none_leads_to_what_is_meant(say, tmp_path: Path, typed: tuple[str, ...], says: str) -> None:
    (tmp_path / "own").mkdir()
    code, _, error = say(*typed)

    assert code == 2
    assert says in error
    assert [line for line in error.splitlines() if line != BEGINS["run"]] == error.splitlines()[-1:]


def test_every_guess_of_a_name_is_a_recipe_that_can_be_read() -> None:
    catalogue = load(installed=False)
    for kind, table in guess_names._TABLES.items():
        for names, target in table.items():
            assert not set(names.split()) & set(catalogue.names(kind)), names
            if "NAME" not in target:
                catalogue.resolve(kind, target)
    assert guess_names.guess_name("dataset", "breastmnist", ["toy"]) == ""
    assert guess_names.guess_name("classifier", "resnet18", ["mean"]) == ""
