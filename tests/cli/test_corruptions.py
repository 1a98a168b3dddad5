"""Corrupted test images from the command line: the same training, one more file, and a table of their gains."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars
import pytest

from medbench.protocols.corruptions import corruptions_of

TOYS = str(Path(__file__).parents[1] / "toys")
KINDS = corruptions_of("noise/brightness")
TEXT = "official[corrupted=noise/brightness]"
Medbench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def ran(toy_medbench: Medbench) -> subprocess.CompletedProcess[str]:
    return toy_medbench(
        "run", "-d", "phantom:toy", "-a", "adds", "-c", "mean", "--protocol", TEXT, "--protocol", "official",
        "--repeats", "1", "--no-yardsticks",
    )  # fmt: skip


def test_clean_predictions_are_the_same_bits_with_and_without(
    ran: subprocess.CompletedProcess[str], toy_folder: Path
) -> None:
    assert ran.returncode == 0, ran.stderr
    by_protocol: dict[str, dict[tuple[str, str], bytes]] = {}
    for spec in (toy_folder / "runs").rglob("spec.json"):
        told = json.loads(spec.read_text())
        found = (spec.parent / "predictions.parquet").read_bytes()
        by_protocol.setdefault(told["protocol"], {})[told["augmenter"], told["classifier"]] = found
        assert (spec.parent / "corrupted.parquet").is_file() == (told["protocol"] == TEXT)

    assert len(by_protocol[TEXT]) == 3
    assert by_protocol[TEXT] == by_protocol["official"]


def test_one_file_holds_every_kind_and_severity_and_is_sealed(
    ran: subprocess.CompletedProcess[str], toy_folder: Path, toy_medbench: Medbench
) -> None:
    path = next((toy_folder / "runs").rglob("corrupted.parquet"))
    table = polars.read_parquet(path)
    assert table.columns == ["id", "kind", "severity", "p0", "p1"]
    assert set(table["kind"]) == set(KINDS)
    assert set(table["severity"]) == {1, 2, 3, 4, 5}
    assert np.allclose(table["p0"] + table["p1"], 1)
    tested = polars.read_parquet(path.with_name("predictions.parquet"))
    assert table.height == tested.height * len(KINDS) * 5
    assert "corrupted.parquet" in (path.parent / "result.json").read_text()


def test_the_table_has_a_block_a_corruption_and_a_row_a_method(
    ran: subprocess.CompletedProcess[str], toy_medbench: Medbench
) -> None:
    shown = toy_medbench("leaderboard", "--table", "corruptions")
    assert shown.returncode == 0, shown.stderr
    assert max(map(len, shown.stdout.splitlines())) <= 80
    for block in ("clean images", "Gaussian noise", "speckle noise", "black and white pixels", "darker", "brighter"):
        assert f"\n {block}\n" in shown.stdout
    said = " ".join(shown.stdout.split())
    assert "larger than on clean images" in said
    assert "for 5 comparisons: every corruption and method of this table" in said

    rows = json.loads(toy_medbench("leaderboard", "--table", "corruptions", "--format", "json").stdout)
    assert [row["corruption"] for row in rows if row["augmenter"] == "adds"] == list(KINDS)
    for row in rows:
        if row["augmenter"] == "adds":
            assert row["gain"] == pytest.approx(row["balanced_accuracy"] - row["control_balanced_accuracy"], abs=0.02)
            assert row["gain_low"] <= row["gain"] <= row["gain_high"]
    clean = json.loads(toy_medbench("leaderboard", "--format", "json").stdout)
    of_clean = next(r["gain"] for r in clean if r["augmenter"] == "adds" and r["protocol"] == TEXT)
    one = next(row for row in rows if row["augmenter"] == "adds")
    assert one["gain_less_clean"] == pytest.approx(one["gain"] - of_clean, abs=0.02)
    as_csv = csv.DictReader(
        io.StringIO(toy_medbench("leaderboard", "--table", "corruptions", "--format", "csv").stdout)
    )
    assert [row["corruption"] for row in as_csv] == [row["corruption"] for row in rows]
    assert "Gaussian noise" in toy_medbench("leaderboard", "--table", "corruptions", "--format", "md").stdout


def test_a_plan_refuses_kinds_that_are_not_made_for_volumes(toy_medbench: Medbench) -> None:
    plan = toy_medbench("plan", "-d", "phantom:toy:volumes", "-a", "adds", "-c", "mean", "--protocol",
                    "patients[corrupted=jpeg]")  # fmt: skip
    assert plan.returncode == 2, plan.stdout
    assert "corrupted=jpeg: is made for flat images; the images here are volumes" in plan.stderr
