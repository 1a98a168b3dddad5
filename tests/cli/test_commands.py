"""The smaller commands: datasets, weights, plugins, logs, status, and what the shell is offered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from medbench.cli import COMMANDS

TOYS = str(Path(__file__).parents[1] / "toys")
Medbench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "MEDBENCH_CACHE": str(tmp_path / "cache"),
        "MEDBENCH_RESULTS": str(tmp_path / "runs"),
        "HF_HUB_OFFLINE": "1",
    }


@pytest.fixture
def medbench(environment: dict[str, str], tmp_path: Path) -> Medbench:
    def call(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        run = [sys.executable, "-m", "medbench", *map(str, arguments)]
        return subprocess.run(
            run, capture_output=True, text=True, env=environment | variables, cwd=tmp_path, timeout=120
        )

    return call


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(medbench: Medbench, name: str) -> None:
    helped = medbench(name, "--help")

    assert helped.returncode == 0
    assert f"Usage: python -m medbench {name}" in helped.stdout


def test_data_sets_are_listed_and_shown(medbench: Medbench) -> None:
    listed = medbench("datasets", "list")
    rows = json.loads(medbench("datasets", "list", "--json").stdout)
    shown = medbench("datasets", "show", "ddti[crop=frame]")

    assert {"ddti:tirads", "folder", "medmnist[flag=organmnist3d]"} <= {row["name"] for row in rows}
    assert [line.split()[0] for line in listed.stdout.splitlines()[1 : len(rows) + 1]] == [r["name"] for r in rows]
    for part in ("licence", "citation", "access", "layout", "size"):
        assert f"\n  {part} " in shown.stdout
    assert medbench("datasets", "show", "ddit").returncode == 2


def test_a_phantom_is_drawn_and_checked(medbench: Medbench, tmp_path: Path) -> None:
    drawn = medbench("datasets", "phantom", "ddti", "drawn", "--patients", "12")
    checked = medbench("datasets", "check", "ddti", "drawn")
    strict = medbench("datasets", "check", "ddti", "drawn", "--strict")
    again = medbench("datasets", "phantom", "ddti", "drawn")
    victim = next((tmp_path / "drawn").rglob("*.jpg"))
    victim.write_bytes(victim.read_bytes()[:200])
    damaged = medbench("datasets", "check", "ddti", "drawn")

    assert "medbench datasets check ddti drawn" in drawn.stdout
    assert checked.returncode == 0
    assert "every image can be read" in checked.stdout
    assert (strict.returncode, "under --strict" in strict.stderr) == (3, True)
    assert (again.returncode, "drawn is not empty" in again.stderr) == (2, True)
    assert damaged.returncode == 3
    assert victim.name in damaged.stdout + damaged.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("datasets", "check", "ddti", "nowhere"), 3, "nowhere: no such folder"),
        (("datasets", "phantom", "ddti", "a-file"), 2, "a-file is a file; give a new folder"),
        (("datasets", "phantom", "folder", "new"), 2, "folder has no phantom"),
        (("datasets", "fetch", "ddti", "new"), 2, "cannot be fetched by a program: Download it"),
        (("weights", "fetch", "small-cnn"), 2, "has no published weights"),
        (("weights", "fetch", "vgg61"), 2, "did you mean 'vgg16'"),
        (("plugins", "check", "nothing"), 2, "nothing to check is named 'nothing'"),
        (("plugins", "show", "nothing"), 2, "nothing is named 'nothing'"),
        (("plugins", "new", "Big_"), 2, "use lower-case letters"),
        (("status",), 5, "no results here yet"),
        (("logs",), 5, "no results here yet"),
        (("leaderboard",), 5, "no results here yet"),
        (("run", "study.toml"), 2, "study.toml: cannot be read"),
        (("run", "-d", "folder"), 2, "folder: where is it?"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    medbench: Medbench, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    (tmp_path / "a-file").write_text("")

    asked = medbench(*arguments)

    assert asked.returncode == code, asked.stderr
    assert says in asked.stderr
    assert asked.stderr.count("Error: ") == 1
    assert "fault of medbench" not in asked.stderr


def test_a_started_plugin_keeps_its_contract_and_its_test_passes(medbench: Medbench, tmp_path: Path) -> None:
    started = medbench("plugins", "new", "two-words")
    place = tmp_path / "medbench-two-words"
    checked = medbench("plugins", "check", "two-words", "--plugins-dir", place)
    listed = json.loads(medbench("plugins", "list", "--json", "--plugins-dir", place).stdout)
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=place, capture_output=True, text=True
    )

    assert str(place.name) in started.stdout
    assert checked.stdout == "ok      augmenter two-words\n"
    assert [p["name"] for p in listed if p["distribution"] == str(place)] == ["medbench_two_words"]
    assert tested.returncode == 0, tested.stdout
    assert medbench("plugins", "new", "two-words").returncode == 2


def test_a_check_survives_what_a_plugin_raises(medbench: Medbench, tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "raising.py").write_text(
        "import medbench\n"
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\n"
        "class Raises:\n"
        "    name: str = 'raises'\n"
        "    space = 'pixels'\n"
        "    gives = frozenset({'samples'})\n"
        "    control = None\n"
        "    summary = 'breaks at once'\n"
        "    def fit(self, train, context):\n"
        "        return 1 / 0\n"
        "@medbench.hookimpl\n"
        "def register_augmenters():\n"
        "    return [Raises()]\n"
        "@medbench.hookimpl\n"
        "def register_metrics():\n"
        "    def plain_accuracy(labels, probabilities):\n"
        "        return float((probabilities.argmax(1) == labels).mean())\n"
        "    return [plain_accuracy]\n"
    )

    checked = medbench("plugins", "check", "raising", "--plugins-dir", "plugins")
    shown = medbench("plugins", "show", "raises", "--plugins-dir", "plugins")

    assert checked.returncode == 4
    assert "FAILED  augmenter raises: ZeroDivisionError: division by zero" in checked.stdout
    assert "        at raising.py, line 11: return 1 / 0\n" in checked.stdout
    assert "ok      metric plain-accuracy" in checked.stdout
    assert "1 of 2 checks failed" in checked.stderr
    assert shown.stdout.splitlines()[:2] == ["augmenter raises, from raising", "  breaks at once"]
    assert "Raises(" not in shown.stdout


def test_a_study_is_shown_by_what_it_compares(medbench: Medbench) -> None:
    shown = medbench("plugins", "show", "thyroid-gan").stdout
    plugin = medbench("plugins", "show", "medbench.studies").stdout
    listed = medbench("plugins", "list").stdout

    assert shown.startswith("study thyroid-gan, from medbench.studies\n  Shailaja et al. 2024")
    assert "ddti:benign-malignant (Thyroid ultrasound, benign or malignant)" in shown
    assert "acgan[" not in shown.partition("methods")[0]
    assert "medbench run thyroid-gan\n" in shown
    assert "PurePath" not in shown
    assert "provides studies: brain-features, " in plugin
    assert "studys" not in plugin + listed
    assert "  data sets    vindr-spinexr:abnormal, " in listed


def test_status_tells_how_far_a_run_is(medbench: Medbench, environment: dict[str, str], tmp_path: Path) -> None:
    run = [sys.executable, "-m", "medbench", "run", "-d", "phantom:toy", "-a", "plain-toy", "-c", "mean[pause=4]",
           "--folds", "2", "--repeats", "1", "--no-controls", "--executor", "forks", "--workers", "1",
           "--plugins-dir", TOYS]  # fmt: skip
    process = subprocess.Popen(run, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "runs" / ".jobs").glob("*/progress.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    facts = json.loads(medbench("status", "--json").stdout)
    text = medbench("status").stdout
    process.communicate(timeout=60)
    after = medbench("status").stdout

    assert [(job["total"], 0 < job["step"] <= 10) for job in facts["running"]] == [(10, True)]
    assert {row["planned"] for row in facts["arms"]} == {2}
    assert "of 2 training runs done, 1 running now\n" in text
    assert "2 of 2 training runs done\n" in after
    assert " toy (SYNTHETIC images), mean (pause=4.0), split by patient\n   plain-toy  2 of 2\n" in after


def test_logs_show_what_failed_and_what_is_asked_for(medbench: Medbench) -> None:
    medbench("run", "-d", "phantom:toy", "-a", "plain-toy", "-c", "fault[kind=raise]", "--folds", "2", "--repeats", "1",
             "--no-controls", "--plugins-dir", TOYS, "--executor", "forks")  # fmt: skip

    failed = medbench("logs")
    named = medbench("logs", "plain-toy", "--lines", "1")
    none = medbench("logs", "hybrid")

    assert failed.stdout.count("== ") == 2
    assert "bug: ZeroDivisionError: division by zero" in failed.stdout
    assert "| ZeroDivisionError" in named.stdout
    assert named.stdout.count("   | ") == 2
    assert none.stdout == "no training run matches 'hybrid'.\n"


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("run -a hy", {"hybrid"}),
        ("run -d ddti:t", {"ddti:tirads"}),
        ("run -c small-", {"small-cnn"}),
        ("run quick", {"quickstart"}),
        ("run --executor lo", {"local"}),
        (f"run --plugins-dir {TOYS} -a plain", {"plain-toy"}),
        ("init mine -a geo", {"geometric"}),
        ("datasets show medm", {"medmnist"}),
        ("weights fetch vg", {"vgg16"}),
        ("plugins check resa", {"resample"}),
        ("pl", {"plan", "plugins"}),
    ],
)
def test_the_shell_is_offered_registered_names(environment: dict[str, str], line: str, offered: set[str]) -> None:
    script = str(Path(sys.executable).with_name("medbench"))
    words = f"medbench {line}"
    asking = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1), "_MEDBENCH_COMPLETE": "bash_complete"}

    given = subprocess.run([script], capture_output=True, text=True, env=environment | asking, timeout=60)

    assert {answer.partition(",")[2] for answer in given.stdout.split()} >= offered
    assert given.stderr == ""
