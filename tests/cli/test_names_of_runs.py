"""A name and a title for every run, one's own folder by its name, and a study file that knows where its images lie."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from medbench.cli import cli
from medbench.errors import UsageError
from medbench.planning import study
from medbench.planning.data_table import quoted
from medbench.planning.plan_records import open_record, save_record, stored_runs
from medbench.planning.study_names import name_of_options, title_of
from medbench.running.request import StudyOptions, build_request
from medbench.running.study_run import plan_study
from medbench.running.watcher import Silent
from medbench.store.store import Store
from medbench.tables.answer import next_steps
from medbench.tables.board_table import step_lines

TOYS = str(Path(__file__).parents[1] / "toys")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments], standalone_mode=False)


def stored(runs: Path, **options: object) -> str:
    asked = StudyOptions(datasets=["phantom:toy"], classifiers=["mean"], plugin_folders=[TOYS], folds=3, repeats=1)
    request = build_request(**{**asked, **options})  # type: ignore[typeddict-item]
    save_record(Store(runs), plan_study(request, Silent()))
    return request.study.name


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ((["phantom:ddti:benign-malignant"], ["hybrid"], []), "ddti-benign-malignant-hybrid"),
        ((["medmnist[flag=breastmnist]"], ["hybrid[generator=reacgan]"], []), "breastmnist-hybrid-reacgan"),
        ((["ddti"], ["mixup", "cutmix", "hybrid"], ["timm[model=resnet18]"]), "ddti-3-methods-resnet18"),
        ((["folder[patient=(?i)x]"], ["mixup"], [], ["/home/somebody/My Scans"]), "my-scans-mixup"),
        ((["brain-*"], [], []), "brain-all"),
    ],
)
def test_a_run_of_options_is_named_after_what_it_compares(asked: tuple[list[str], ...], name: str) -> None:
    assert name_of_options(*asked) == name


def test_runs_are_told_apart_by_name_and_title(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    runs = tmp_path / "runs"

    assert stored(runs, augmenters=["plain-toy"], name="options") == "options"  # as runs of before were called
    assert stored(runs, augmenters=["plain-toy"]) == "toy-plain-toy-mean"
    assert stored(runs, augmenters=["adds"], name="second try") == "second try"
    said = call("status", "--results", runs)
    named = call("status", "options", "--results", runs)
    listed = json.loads(call("status", "--json", "--results", runs).stdout)

    assert said.stdout.startswith("second try: adds on toy (SYNTHETIC images), mean, 3 folds x 1\n0 of ")
    assert "Latest run: second try. Others here, by name:" in said.stderr
    assert "  toy-plain-toy-mean  plain-toy on toy (SYNTHETIC images), mean, 3 folds x 1" in said.stderr
    assert "Others here" not in named.stderr
    assert named.stdout.startswith("options: plain-toy on toy")
    assert [run["name"] for run in listed["runs"]] == ["second try", "toy-plain-toy-mean", "options"]
    assert [run.name for run in stored_runs(Store(runs))] == ["second try", "toy-plain-toy-mean", "options"]
    assert open_record(runs, "options")[1]["study"]["name"] == "options"


def test_status_has_a_heading_for_each_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    stored(tmp_path / "runs", augmenters=["adds"], protocols=["patients", "patients[leak=copies]"])
    lines = call("status", "--results", tmp_path / "runs").stdout.splitlines()

    headings = [line for line in lines if line.startswith(" ") and not line.startswith("   ")]
    assert headings == [
        " toy (SYNTHETIC images), mean, split by patient",
        " toy (SYNTHETIC images), mean, patients[leak=copies]",
    ]
    for start in map(lines.index, headings):
        rows = []
        for line in lines[start + 1 :]:
            if not line.startswith("   "):
                break
            rows.append(line)
        assert len(rows) == len(set(rows)) > 1


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(0)
    for number in range(24):
        place = tmp_path / "my scans" / ("yes" if number % 4 > 1 else "no")
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 100, (16, 16), dtype=np.uint8) + 40 * (number % 4 > 1)
        Image.fromarray(pixels.astype(np.uint8)).save(place / f"P{number // 2:03d}_{number % 2}.png")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "my scans"


def test_a_study_of_ones_own_folder_knows_where_it_lies_and_is_called_by_its_name(mine: Path) -> None:
    begun = call("init", "my scans", "-a", "balanced", "--size", "16")
    text = Path("study.toml").read_text()
    planned = call("plan", "study.toml")
    audited = call("audit", "study.toml")
    read = study.read(Path("study.toml"))

    assert begun.exit_code == 0, begun.stderr
    commands = [line.strip().partition("   ")[0] for line in begun.stdout.splitlines() if "medbench " in line]
    assert "medbench plan study.toml" in commands
    assert not any("--data" in command for command in commands)
    assert 'datasets = ["folder"]' in text
    assert "[data]\nfolder = 'my scans'\npatient = '" in text
    assert 'name = "my-scans"' in text
    assert read.datasets[0].startswith("folder[patient=")
    assert Path(read.folder).resolve() == mine
    assert str(mine) not in json.dumps(read.model_dump())
    assert planned.exception is None, planned.exception
    assert "my scans: 12 patients" in planned.stdout
    assert "folder[patient" not in planned.stdout
    assert audited.exception is None, audited.exception
    assert audited.stdout.startswith("my scans\n")


def test_the_name_of_the_folder_is_kept_with_the_run_and_its_place_is_not(mine: Path, tmp_path: Path) -> None:
    call("init", "my scans", "-a", "balanced", "--size", "16")
    request = build_request(tmp_path / "study.toml")
    save_record(Store(tmp_path / "runs"), plan_study(request, Silent()))
    record = open_record(tmp_path / "runs", None)[1]

    assert request.data == (str(mine),)
    assert record["sources"][0]["title"] == "my scans"
    assert str(tmp_path) not in json.dumps(record)
    assert title_of(record["study"], record["sources"]) == "class balancing on my scans, 5 folds x 3"
    assert " my scans, " in call("status", "--results", tmp_path / "runs").stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("data = 3", "study.toml:1:1: data must be a table; write [data]"),
        ("[data]\npath = ['a']", "study.toml:1:2: data.path is a list, expected a text, number, true or false"),
        ("datasets = ['a', 'b']\n[data]\npatient = 'x'", "its parameters are of one data set"),
        ("datasets = ['folder[patient=x]']\n[data]\npatient = 'x'", "has parameters already"),
    ],
)
def test_a_data_table_that_does_not_fit_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(UsageError) as error:
        study.read(tmp_path / "study.toml")

    assert says in str(error.value)


def test_a_pattern_keeps_its_backslashes() -> None:
    assert quoted(r"(?i)P(\d+)") == r"'(?i)P(\d+)'"
    assert quoted("it's") == '"it\'s"'


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ({}, "medbench audit 'folder[patient=(?i)(P|Q)]' --data FOLDER"),
        ({"data": ("my scans",)}, "medbench audit 'folder[patient=(?i)(P|Q)]' --data 'my scans'"),
        ({"file": "my study.toml", "data": ()}, "medbench audit 'my study.toml'"),
    ],
)
def test_the_audit_that_is_advised_can_be_pasted(given: dict[str, Any], command: str) -> None:
    board: Any = SimpleNamespace(
        all_rows=[], is_phantom=False, warnings=("brightness",), source={"dataset": "folder[patient=(?i)(P|Q)]"},
        evidence=SimpleNamespace(is_rehearsal=True), leaks=(),
    )  # fmt: skip
    steps = next_steps([board], **given)

    assert command in [step.command for step in steps]
    assert any(command in line for line in step_lines(steps))  # whole, on a line of its own
