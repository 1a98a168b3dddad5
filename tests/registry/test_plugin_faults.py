"""Faults of plugins that show before anything is trained: named with the line, the cure, and the right exit code."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from medbench import cli

TOYS = str(Path(__file__).parents[1] / "toys")
GOOD = """
from dataclasses import dataclass
from typing import ClassVar

import medbench


@dataclass(frozen=True)
class Invert:
    name: str = "inverted"
    space: ClassVar[str] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"samples", "sampling"})
    control: ClassVar[str] = "balanced"

    def fit(self, train, context):
        made = train.with_synthetic(255 - train.x, train.labels, maker=self.name)
        return medbench.TrainingSet(made, sampling=medbench.balanced_sampling(made))


@medbench.hookimpl
def register_augmenters():
    return [Invert()]
"""
numbers = itertools.count()
Ended = tuple[int, str, str]
Call = Callable[..., Ended]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the command line in this process with a plugin of the given source; return exit code, output and errors."""

    def run(source: str, *arguments: str) -> Ended:
        folder = tmp_path / "plugins"
        folder.mkdir(exist_ok=True)
        (folder / f"own_{next(numbers)}.py").write_text(source, encoding="utf-8")  # a module is imported once
        monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("MEDBENCH_RESULTS", str(tmp_path / "runs"))
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
        monkeypatch.setattr(sys, "argv", ["medbench", *arguments, "--plugins-dir", str(folder)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


STUDY = ("-d", "phantom:toy", "-a", "inverted", "-c", "mean", "--folds", "2", "--repeats", "1", "--plugins-dir", TOYS)


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("gives: ClassVar[frozenset[str]] = ", "gives: frozenset = ",
         "field gives holds a frozenset (own_N.py, line 12); fields are the configuration: numbers, text, paths, "
         "tuples of these and recipes. Write gives: ClassVar[frozenset] = ..., or leave the annotation out"),
        ('    space', "    parts: list = __import__('dataclasses').field(default_factory=list)\n    space",
         "field parts holds a list (own_N.py, line 11)"),
        ('{"samples", "sampling"}', '{"samples", "luck"}', "gives names 'luck' (own_N.py, line 12)"),
        ('frozenset({"samples", "sampling"})', '"samples"', "gives is no set of words"),
        ('space: ClassVar[str] = "pixels"', 'space: ClassVar[str] = "pixel"', "space is 'pixel' (own_N.py, line 11)"),
        ('control: ClassVar[str] = "balanced"', "control: ClassVar[int] = 3", "control is a int (own_N.py, line 13)"),
        ('name: str = "inverted"', 'name: str = "inverted"\n    more: "Nothing" = 1', "annotations cannot be resolved"),
    ],
)  # fmt: skip
def test_a_recipe_that_cannot_be_registered_is_its_plugins_fault(call: Call, right: str, wrong: str, says: str) -> None:
    source = GOOD.replace(right, wrong)
    assert source != GOOD

    listed = call(source, "plugins", "list")
    says = says.replace("own_N", f"own_{next(numbers) - 1}")
    ran = call("", "run", *STUDY)

    assert says in listed[1]
    assert ran[0] == 4
    assert says in ran[2]
    assert "fault of medbench" not in ran[2]


def test_a_control_by_name_needs_nothing_of_another_plugin(call: Call) -> None:
    planned = call(GOOD, "plan", *STUDY)

    assert planned[0] == 0, planned[2]
    assert "└ inverted" in planned[1]
    assert "class balancing (reference)" in planned[1]
    assert "names no control" not in planned[1]


@pytest.mark.parametrize(
    ("control", "says"),
    [
        ('"balancd"', "'inverted' names the control 'balancd'"),
        ('"inverted"', "the control of 'inverted' leads back to itself"),
        ('"balanced[share=1]"', "balanced has no parameter 'share'"),
    ],
)
def test_a_control_that_there_is_not_is_the_plugins_fault(call: Call, control: str, says: str) -> None:
    planned = call(GOOD.replace('"balanced"', control), "plan", *STUDY)

    assert planned[0] == 4
    assert says in planned[2]
    assert "line 13" in planned[2]


def test_an_arm_without_a_control_is_said_to_have_no_gain(call: Call) -> None:
    source = GOOD.replace('control: ClassVar[str] = "balanced"', "control: ClassVar[None] = None")
    planned = call(source, "plan", *STUDY, "--json")
    warned = [w for w in json.loads(planned[1])["warnings"] if "names no control" in w]

    assert len(warned) == 1
    assert "phantom:toy: inverted names no control, so it is compared with nothing and has no gain; set" in warned[0]
    assert 'control = "balanced"' in warned[0]


@pytest.mark.parametrize("command", ["plan", "run"])
def test_what_a_recipe_can_tell_early_is_told_before_anything(call: Call, tmp_path: Path, command: str) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    weights = f"small-cnn[pretrained={tmp_path / 'broken.safetensors'}]"
    checking = GOOD.replace(
        "    def fit", '    def check(self):\n        raise medbench.UsageError("inverted: never.")\n\n    def fit'
    )

    read = call(GOOD, command, *STUDY, "-c", weights)
    checked = call(checking.replace("inverted", "checked"), command, *STUDY, "-a", "checked")

    assert read[0] == 3
    assert "broken.safetensors cannot be read as weights" in read[2]
    assert (checked[0], "Error: checked: never." in checked[2]) == (2, True)
    assert not (tmp_path / "runs").exists()


def test_what_a_property_raises_is_the_plugins_fault_with_its_line(call: Call) -> None:
    source = GOOD.replace(
        '    control: ClassVar[str] = "balanced"\n',
        "    needs = ()\n\n    @property\n    def companions(self):\n        return 1 / 0\n\n    control = None\n",
    )
    planned = call(source, "plan", *STUDY)

    assert planned[0] == 4
    assert "failed: ZeroDivisionError: division by zero" in planned[2]
    assert "line 17: return 1 / 0); mend it, or leave it out with -p no:own_" in planned[2]
