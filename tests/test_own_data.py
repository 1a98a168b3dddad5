"""One's own data through the command line: what would make a number wrong is said before there is one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from medbench.cli import cli
from medbench.errors import MedbenchError


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def say(*arguments: object) -> tuple[int, str]:
    """Run a command in this process; return its exit code and all it said, on one line."""
    found = CliRunner().invoke(cli, [str(a) for a in arguments], standalone_mode=False)
    text = found.output
    if isinstance(found.exception, MedbenchError):
        return found.exception.exit_code, f"{text} Error: {found.exception}"
    if found.exception is not None:
        raise found.exception
    return found.return_value or 0, " ".join(text.split())


def noise(path: Path, *, seed: int, side: int = 24, lift: int = 0) -> np.ndarray:
    """Write a picture of noise, a texture of its own for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 160, (side // 2, side // 2)).repeat(2, 0).repeat(2, 1) + lift
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return pixels.astype(np.uint8)


def black(path: Path, side: int = 24) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((side, side), np.uint8)).save(path)


def test_a_nearly_equal_picture_under_two_labels_is_said_by_every_command(tmp_path: Path) -> None:
    for n in range(6):
        noise(tmp_path / "d" / "yes" / f"{n}.png", seed=n)
        noise(tmp_path / "d" / "no" / f"{n}.png", seed=10 + n)
    pixels = noise(tmp_path / "d" / "yes" / "0.png", seed=0)
    Image.fromarray((pixels[:, ::-1] * 0.9).astype(np.uint8)).save(tmp_path / "d" / "no" / "twin.png")
    said = "1 pair of nearly equal pictures stands under different labels"

    code, text = say("audit", "folder[size=24]", "--data", "d")
    facts = json.loads(say("audit", "folder[size=24]", "--data", "d", "--json")[1])[0]
    checked = say("datasets", "check", "folder[size=24]", "d")
    planned = say("plan", "-d", "folder[size=24]", "--data", "d", "-a", "balanced", "--folds", 2, "--repeats", 1)

    assert code == 0
    assert "labels that conflict on nearly equal ones: 1 pair folder/no/twin.png, folder/yes/0.png" in text
    assert [(v["first"], v["second"]) for v in facts["near_conflicts"]] == [("folder/no/twin.png", "folder/yes/0.png")]
    assert checked[0] == 0
    assert said in checked[1]
    assert "different labels: folder/no/twin.png, folder/yes/0.png" in checked[1]
    assert planned[0] == 0
    assert f"note {said}, the first: folder/no/twin.png" in planned[1]
    assert f"warning folder[size=24]: {said}: medbench audit" in planned[1]  # what a board shows


def test_a_class_of_blank_images_is_said_and_images_that_are_all_one_are_refused(tmp_path: Path) -> None:
    for n in range(6):
        black(tmp_path / "half" / "yes" / f"{n}.png")
        noise(tmp_path / "half" / "no" / f"{n}.png", seed=n)
        black(tmp_path / "all" / "yes" / f"{n}.png")
        black(tmp_path / "all" / "no" / f"{n}.png")
    plan = ("-a", "balanced", "--folds", 2, "--repeats", 1)
    said = "images that show nothing, a single gray level: all of 6 yes"

    checked = say("datasets", "check", "folder", "half")
    audited = say("audit", "folder[size=24]", "--data", "half")
    planned = say("plan", "-d", "folder[size=24]", "--data", "half", *plan)
    refused = say("audit", "folder[size=24]", "--data", "all")
    checked_all = say("datasets", "check", "folder", "all")

    for code, text in (checked, audited, planned):
        assert code == 0
        assert said in text
    assert "warning folder[size=24]: images that show nothing" in planned[1]
    assert refused[0] == checked_all[0] == 3
    for text in (refused[1], checked_all[1]):
        assert "all 12 images show the same, nothing but one gray level; there is nothing to learn" in text


def test_two_patients_a_class_are_told_what_is_missing(tmp_path: Path) -> None:
    for n in range(2):
        noise(tmp_path / "d" / "yes" / f"{n}.png", seed=n)
        noise(tmp_path / "d" / "no" / f"{n}.png", seed=10 + n)
    say("audit", "folder[size=24]", "--data", "d")

    code, text = say("plan", "-d", "folder[size=24]", "--data", "d", "-a", "balanced", "--folds", 2, "--repeats", 1)

    assert code == 2
    assert "' out of training: it has 2 patients, and one to train on, one to watch" in text
    assert "--protocol patients" not in text
