"""One count of training runs: what is planned, run, shown, packed and verified names the same number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from _bundles import TOYS, ToyRun
from medbench.boards.build import boards
from medbench.boards.training_runs import count_runs
from medbench.cli import cli
from medbench.planning.stored_part import StoredPart
from medbench.planning.time_forecast import forecast_time
from medbench.tables.plan_text import lines


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def medbench(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_every_command_and_page_counts_the_same_training_runs(tmp_path: Path) -> None:
    run = ToyRun(tmp_path / "runs", failed=[1], yardsticks=True)
    n = len(run.plan.trials)
    rows = sum(row.planned for board in boards(run.store, run.record) for row in board.all_rows)
    assert 0 < rows < n  # references are trained further, with other seeds and on fewer patients
    results, plugins = ("--results", str(tmp_path / "runs")), ("--plugins-dir", str(TOYS))
    packed = tmp_path / "toys.medbench.zip"

    assert f" {n} training runs" in "\n".join(
        lines(run.plan, StoredPart(run.store, 0, 0), forecast_time(run.plan, run.store))
    )
    assert f"{n - 1} of {n} training runs done, 1 failed" in medbench("status", *results)
    assert f" {n} training runs finished" in medbench("leaderboard", *results)
    medbench("report", *results, "--out", str(tmp_path / "page.html"), *plugins)
    report = re.sub(r"<[^>]*>", " ", (tmp_path / "page.html").read_text())
    report = " ".join(report.split())
    assert f"1 of {n}" in report
    assert f"{n - 1} training runs of {n} planned finished" in report
    medbench("bundle", *results, "--out", str(packed), "--title", "Toys", "--author", "Ada", *plugins)
    assert f"{n} of {n} planned training runs" in medbench("verify", str(packed), *plugins)


def test_a_seed_block_is_counted_where_it_was_run(tmp_path: Path) -> None:
    run = ToyRun(tmp_path / "runs", seed_block=True)
    n = len(run.plan.trials)
    assert any(t.stage_seed != t.seed for t in run.plan.trials)

    assert count_runs(boards(run.store, run.record)).planned == n
    assert f"{n} of {n} training runs done" in medbench("status", "--results", str(tmp_path / "runs"))


def test_what_is_a_row_of_another_table_is_counted_once(tmp_path: Path) -> None:
    protocols = ["patients", "patients[share=0.75]"]
    run = ToyRun(tmp_path / "runs", yardsticks=True, protocols=protocols)

    assert count_runs(boards(run.store, run.record)).planned == len(run.plan.trials)
