"""The canary: what holds on noise, what is said when something does not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from medbench.analyses.canary import (
    LEAKY_AUROC,
    NAMES,
    PAYING,
    AtChance,
    Canary,
    PlantedLeak,
    at_chance,
    plant,
    with_each_leak,
)
from medbench.boards.board import Board, Row
from medbench.cli.audit import audit
from medbench.planning.arms import Arm
from medbench.planning.study import Study
from medbench.protocols.protocol import LEAKY, protocol
from medbench.registry.plugins import load
from medbench.running.request import build_request
from medbench.samples import Samples
from medbench.statistics.patient_scores import Cell, score
from medbench.statistics.pool_images_by_patient import Units, units
from medbench.statistics.verdicts import Evidence
from medbench.testing import toy_samples
from medbench.trial.trial import Predictions

HONEST = PlantedLeak("", (), 0.52)
LEAKS = tuple(PlantedLeak(switch, (name,), 0.9 if switch in PAYING else 0.5) for switch, name in NAMES.items())
SOUND = Canary((AtChance("none", 0.51, 0.40, 0.62),), (), (HONEST, *LEAKS), 8, 8, 0)


def but(leak: PlantedLeak) -> dict[str, object]:
    return {"leaks": tuple(leak if one.switch == leak.switch else one for one in SOUND.leaks)}


def row(name: str, signal: float, seed: int, patients: int = 120) -> Row:
    """Return an arm on 120 patients whose score is noise and `signal` times the label."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(patients) % 4 == 0).astype(np.int64)
    p = 1 / (1 + np.exp(-(rng.standard_normal(patients) + signal * labels)))
    names = np.array([f"p{n:03d}" for n in range(patients)])
    cells: dict[Cell, Units] = {}
    for fold in range(3):
        mine = np.arange(patients) % 3 == fold
        found = Predictions(names[mine], names[mine], labels[mine], np.stack([1 - p, p], 1)[mine])
        cells[0, fold, 0] = units(found, [0.5, 0.5], by_patient=True)
    return Row(Arm(name, "net"), 0, (True,), 3, 3, 0, scores=score(cells, 2), cells=cells)


def board(*rows: Row) -> Board:
    source = {"dataset": "phantom:ddti", "classes": ["no", "yes"], "class_patients": [90, 30]}
    evidence = Evidence(3, 1, 3, 3, rare=30, patients=120)
    return Board(source, "patients", (), "net", Study(), rows, None, (), "patient", 1, evidence, "CPU")


def test_noise_is_at_chance_and_a_signal_is_not() -> None:
    found, missing = at_chance(board(*(row(f"arm {n}", 0.0, n) for n in range(20)), row("cheat", 3.0, 99)))

    assert missing == []
    assert [arm.name for arm in found if not arm.holds] == ["cheat"]
    assert found[-1].auroc > 0.9


def test_ranges_hold_jointly_in_nearly_all_tables_of_noise() -> None:
    tables = [at_chance(board(*(row(f"arm {n}", 0.0, 100 * t + n) for n in range(10))))[0] for t in range(60)]

    assert sum(any(not arm.holds for arm in arms) for arms in tables) <= 7  # 3 are expected; more than 7: 2 %


def test_more_arms_widen_the_ranges() -> None:
    one, many = (at_chance(board(*(row(f"arm {n}", 0.0, n) for n in range(k))))[0][0] for k in (1, 25))

    assert many.low < one.low < one.high < many.high
    assert one.auroc == many.auroc


def test_an_arm_without_a_number_is_a_fault() -> None:
    unfinished = dataclasses.replace(row("gone", 0.0, 1), scores=None, cells={}, done=2)
    found, missing = at_chance(board(row("none", 0.0, 0), unfinished))

    assert [arm.name for arm in found] == ["none"]
    assert missing == ["gone (2 of 3 done, 0 failed, 0 skipped)"]


def textured(patients: int) -> Samples:
    samples = toy_samples(patients, size=32, images_per_patient=1)
    x = np.random.default_rng(3).integers(30, 220, (patients, 1, 32, 32)).astype(np.uint8)
    return Samples(**{**vars(samples), "x": x})


def test_a_planted_leak_is_found_and_nothing_else() -> None:
    planted, found, alarms = plant(textured(200))

    assert planted == 10
    assert (found, alarms) == (planted, 0)


def test_pictures_that_look_alike_from_the_start_are_alarms() -> None:
    samples = textured(100)
    samples.x[1] = samples.x[0]

    assert plant(samples)[2] == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"arms": (AtChance("acgan", 0.71, 0.61, 0.81),)}, "acgan: AUROC 0.710 on labels that are noise"),
        ({"missing": ("wgan (0 of 2 done, 2 failed, 0 skipped)",)}, "wgan (0 of 2 done"),
        (but(PlantedLeak("copies", ("copy",), LEAKY_AUROC - 0.01)), "AUROC under the leak copies is 0.790"),
        (but(PlantedLeak("copies", ("copy",), None)), "was not computed"),
        (but(PlantedLeak("images", (), 0.5)), "the leak images was not found by its name"),
        (but(PlantedLeak("", ("copy",), 0.5)), "without a leak, copy was found"),
        (but(PlantedLeak("", (), None)), "there is no AUROC"),
        ({"found": 7}, "found 7 of 8"),
        ({"alarms": 2}, "united 2 pairs"),
    ],
)
def test_whatever_is_not_as_it_must_be_is_said(change: dict[str, object], says: str) -> None:
    assert SOUND.faults == []
    (fault,) = dataclasses.replace(SOUND, **change).faults  # type: ignore[arg-type]
    assert says in fault


def test_every_leak_that_there_is_is_planted_by_itself() -> None:
    study = build_request("canary").study
    leaking = with_each_leak(study)

    assert leaking.augmenters == [study.inflation.arm]  # type: ignore[union-attr]
    found = [protocol(text).switches for text in leaking.protocols]
    assert found[0] == set()
    of_one_part = {"scaler-on-all", "encoder-on-all", "generator-on-all"}
    assert set(NAMES) == set(LEAKY) - of_one_part == set().union(*found)
    assert all(len(switches - {"copies"}) <= 1 for switches in found)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_canary_of_every_built_in_arm(tmp_path: Path) -> None:
    arguments = ["--canary", "--budget", "smoke", "--json", "--results", str(tmp_path / "store")]
    result = CliRunner().invoke(audit, arguments, catch_exceptions=False, standalone_mode=False)
    found = json.loads(result.stdout[result.stdout.index("{") :])

    assert found["faults"] == []
    assert result.return_value == 0
    names = {arm["name"].partition("[")[0] for arm in found["arms"]}
    assert names >= set(load(installed=False).names("augmenter"))
    assert len(found["arms"]) == len({arm["name"] for arm in found["arms"]})
    assert found["reach"] < 0.4
    honest, *leaks = found["leaks"]
    assert honest["named"] == []
    assert [leak["switch"] for leak in leaks] == list(NAMES)
    assert all(leak["auroc"] >= LEAKY_AUROC > honest["auroc"] for leak in leaks if leak["switch"] in PAYING)
    assert found["found"] == found["planted"]
