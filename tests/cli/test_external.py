"""External tests from the command line: another data set is tested, and every table says so."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from _bundles import sealed
from medbench.publishing.bundle import zip_container

TOYS = str(Path(__file__).parents[1] / "toys")
TEXT = "external[test=other,patients=20]"
Medbench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def ran(toy_medbench: Medbench) -> subprocess.CompletedProcess[str]:
    return toy_medbench(
        "run", "-d", "phantom:toy", "-a", "adds", "-c", "mean", "--protocol", TEXT,
        "--repeats", "2", "--no-yardsticks",
    )  # fmt: skip


def test_a_run_trains_on_one_data_set_and_tests_all_of_another(
    ran: subprocess.CompletedProcess[str], toy_medbench: Medbench
) -> None:
    assert ran.returncode == 0, ran.stderr
    assert "Trained on toy (SYNTHETIC images), tested on other (SYNTHETIC images)" in " ".join(ran.stdout.split())
    assert "external test, 2 repeats, 20 training patients" in " ".join(ran.stdout.split())
    assert ran.stdout.startswith("Trained on")

    rows = json.loads(toy_medbench("leaderboard", "--format", "json").stdout)
    assert {row["protocol"] for row in rows} == {TEXT}
    assert {row["augmenter"] for row in rows} >= {"adds", "plain-toy"}
    assert all(row["balanced_accuracy"] is not None for row in rows)


def test_every_other_format_names_both_data_sets(ran: subprocess.CompletedProcess[str], toy_medbench: Medbench) -> None:
    wide = toy_medbench("leaderboard", "--wide")
    assert "tested on other" in " ".join(wide.stdout.split()), wide.stderr
    as_csv = list(csv.DictReader(io.StringIO(toy_medbench("leaderboard", "--format", "csv").stdout)))
    assert {row["protocol"] for row in as_csv} == {TEXT}
    report = toy_medbench("report", "--out", "report.html")
    assert report.returncode == 0, report.stderr
    status = toy_medbench("status")
    assert "Trained on toy" in status.stdout, status.stderr


def test_a_bundle_of_an_external_test_is_verified_with_both_data_sets(
    ran: subprocess.CompletedProcess[str], toy_medbench: Medbench, toy_folder: Path
) -> None:
    made = toy_medbench("bundle", "--title", "Toys", "--author", "A. Author", "--out", "toys.medbench.zip")
    assert made.returncode == 0, made.stderr
    found = toy_medbench("verify", "toys.medbench.zip", "--accept-repeated")
    said = " ".join(found.stdout.split())
    assert "tier recomputed" in said, said
    assert "phantom:toy: the same bytes as here" in said
    assert "phantom:other: the same bytes as here" in said

    path = toy_folder / "toys.medbench.zip"
    members = {name: member.unpack(name) for name, member in zip_container.find(path.read_bytes()).items()}
    name = next(name for name in members if name.startswith("predictions/"))
    rows = members[name].splitlines(keepends=True)
    path.write_bytes(sealed({**members, name: b"".join([rows[0], rows[2], rows[1], *rows[3:]])}))
    refused = toy_medbench("verify", "toys.medbench.zip", "--accept-repeated")
    assert refused.returncode == 9
    assert "MB923" in refused.stdout + refused.stderr


@pytest.mark.parametrize(
    ("protocol", "data", "says"),
    [
        ("external[test=other:volumes]", "phantom:toy", "its images are 2-D and grey, those of "),
        ("external[test=nothing]", "phantom:toy", "nothing"),
        ("external[test=toy,overlap=drop]", "phantom:toy", "an external test is on another data set"),
        (
            "external[test=toy]",
            "phantom:toy",
            "an external test is on another data set than the one that is trained on",
        ),
        ("external[test=other,classes=no:yes]", "phantom:toy", "class 'no' is trained on and never tested"),
        ("external[test=other,classes=no :no]", "phantom:toy", "write classes=no:no, with a hyphen for every space"),
    ],
)
def test_a_plan_refuses_what_cannot_be_tested(protocol: str, data: str, says: str, toy_medbench: Medbench) -> None:
    plan = toy_medbench("plan", "-d", data, "-a", "adds", "-c", "mean", "--protocol", protocol)
    assert plan.returncode, plan.stdout
    assert says in plan.stderr
    assert plan.stderr.count("Error") == 1


def test_a_run_refuses_pictures_that_another_data_set_shares(tmp_path: Path, toy_medbench: Medbench) -> None:
    (tmp_path / "again.py").write_text(
        f"import sys\n\nimport medbench\n\nsys.path.append({TOYS!r})\nfrom toys import ToyData\n\n\n"
        '@medbench.hookimpl\ndef register_datasets():\n    return [ToyData("again")]\n'
    )
    ran = toy_medbench("run", "-d", "phantom:toy", "-a", "adds", "-c", "mean", "--protocol", "external[test=again]",
                        "--plugins-dir", str(tmp_path))  # fmt: skip

    assert ran.returncode, ran.stdout
    assert "share a patient or a picture with the tested data set; train without them by" in ran.stderr


def test_a_plan_says_what_is_tested(toy_medbench: Medbench) -> None:
    plan = toy_medbench("plan", "-d", "phantom:toy", "-a", "adds", "-c", "mean", "--protocol", "external[test=other]",
                    "--repeats", "3")  # fmt: skip
    assert plan.returncode == 0, plan.stderr
    said = " ".join(plan.stdout.split())
    assert "tested on other (SYNTHETIC images) (120 patients, 240 images) x 3 repeats" in said
    assert "All repeats train on the same patients (100% shared)" in said
