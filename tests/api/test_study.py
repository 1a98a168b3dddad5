"""The Python interface: run, plan and read a study as a script or a notebook does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import medbench
from medbench.api.results import Results
from medbench.errors import StoreError, UsageError

TOYS = Path(__file__).parents[1] / "toys"
OPTIONS: dict[str, Any] = {
    "datasets": ["phantom:toy"],
    "augmenters": ["adds"],
    "classifiers": ["mean"],
    "folds": 3,
    "repeats": 1,
    "yardsticks": False,
    "plugin_folders": [TOYS],
    "blocked": ["medbench.scores", "medbench.extractors"],
}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api") / "runs"


@pytest.fixture(scope="module")
def found(runs: Path) -> Results:
    return medbench.run(**OPTIONS, results=runs, executor="forks", progress=False)


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: self.told.append(name)


def test_a_run_returns_the_boards_that_the_command_line_prints(found: Results, runs: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "medbench", "leaderboard", "--results", str(runs), "--plain"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert shown.stdout.partition("\n\n Next:  ")[0] == found.write(plain=True)
    assert found.study == "toy-adds-mean"
    (board,) = found.boards
    assert (board.dataset, board.protocol, board.classifier) == ("phantom:toy", "patients", "mean")
    assert found.board("phantom:toy") is board
    assert "adds" in str(board)


def test_a_frame_has_a_row_per_arm_with_the_columns_of_the_csv(found: Results) -> None:
    frame = found.frame()

    assert frame["augmenter"].to_list() == ["plain-toy", "adds", "none"]
    assert frame["gain"][0] is None
    assert isinstance(frame["gain"][1], float)
    assert ",".join(frame.columns) == found.write("csv").splitlines()[0]
    assert found.board().frame().equals(frame)


def test_two_arms_are_compared_and_the_gain_is_that_of_the_board(found: Results) -> None:
    compared = found.compare("adds", "plain-toy")

    row = compared.frame().row(0, named=True)
    of_board = found.frame().row(1, named=True)
    assert row["gain"] == of_board["gain"]
    assert "adds compared with plain-toy" in str(compared)
    with pytest.raises(UsageError, match="no method of toy-adds-mean is called 'nobody'"):
        found.compare("adds", "nobody")


def test_a_board_that_does_not_exist_is_answered_with_those_that_do(found: Results) -> None:
    with pytest.raises(
        UsageError, match="no board of toy-adds-mean fit dataset='x'; there are: phantom:toy, patients, mean"
    ):
        found.board("x")


def test_the_same_call_again_runs_nothing_and_stored_results_open_without_it(found: Results, runs: Path) -> None:
    listener: Any = Listener()

    again = medbench.run(**OPTIONS, results=runs, executor="forks", progress=listener)
    opened = medbench.results(runs)

    assert "started" not in listener.told
    assert "planned" in listener.told
    assert again.frame().equals(found.frame())
    assert opened.frame().equals(found.frame())
    with pytest.raises(StoreError):
        medbench.results(runs / "nothing")


def test_a_plan_counts_what_is_stored_and_trains_nothing(found: Results, runs: Path, tmp_path: Path) -> None:
    planned = medbench.plan(**OPTIONS, results=runs)
    fresh = medbench.plan(**OPTIONS, results=tmp_path / "new")

    assert (planned.facts["trials"], planned.facts["stored"]) == (9, 9)
    assert fresh.facts["stored"] == 0
    assert planned.frame().height == 9
    assert "All training runs are stored already." in " ".join(str(planned).split())
    assert not (tmp_path / "new").exists()


def test_an_unknown_name_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="adz"):
        medbench.plan(**{**OPTIONS, "augmenters": ["adz"]}, results=tmp_path)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"augmenter": ["adds"]}, "no option 'augmenter' .did you mean 'augmenters'"),
        ({"worker": 2}, "no option 'worker'"),
        ({"datasets": "phantom:nothing"}, "no data set is named 'nothing'"),
        ({"classifiers": "meen"}, "'meen' .did you mean 'mean'"),
        ({"protocols": "patient"}, "patient"),
    ],
)
def test_a_misspelled_option_or_value_is_refused_and_never_ignored(
    tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        medbench.plan(**{**OPTIONS, **options}, results=tmp_path)


def test_one_value_alone_needs_no_list(runs: Path, found: Results) -> None:
    alone = {"datasets": "phantom:toy", "augmenters": "adds", "classifiers": "mean", "plugin_folders": TOYS,
             "blocked": "medbench.scores"}  # fmt: skip

    planned = medbench.plan(**{**OPTIONS, **alone}, results=runs)

    assert (planned.facts["trials"], planned.facts["stored"]) == (9, 9)


def test_a_format_or_table_that_is_not_there_is_refused(found: Results) -> None:
    wrong: Any = "excel"

    with pytest.raises(UsageError, match="no format 'excel'; there are: table, md, csv, json, latex, html"):
        found.write(wrong)
    with pytest.raises(UsageError, match="no table 'excel'"):
        found.write(which=wrong)
    with pytest.raises(UsageError, match="its gain was not taken apart"):
        found.write(which="inflation")
    with pytest.raises(UsageError, match="trains on one size only"):
        found.write(which="growth")


SCRIPT = """
import medbench
print("the script runs")
found = medbench.run(datasets=["phantom:toy"], augmenters=["adds"], classifiers=["mean"], folds=3, repeats=1,
                     yardsticks=False, plugin_folders=[{toys!r}], blocked=["medbench.scores", "medbench.extractors"],
                     results="runs", executor="forks", workers=2, progress=False)
print(found.board().frame()["augmenter"].to_list())
"""


def test_a_script_without_a_guard_runs_once_and_its_workers_do_not_run_it_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(toys=str(TOYS)))

    ended = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, env=os.environ, timeout=300
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["the script runs", "['plain-toy', 'adds', 'none']"]
