"""Numerics: a part of what a training run is, and under "portable" the same bits whatever libraries would choose."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import medbench
from medbench.errors import ResourceError, UsageError
from medbench.planning import study
from medbench.registry import plugins
from medbench.running import numerics
from medbench.running.request import build_request
from medbench.running.resources import Resources, choose_workers
from medbench.trial.stages import stage_key
from medbench.trial.trial import Trial

PORTABLE = medbench.Budget(numerics="portable")
OTHERWISE = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "SSE4_2",
             "OPENBLAS_CORETYPE": "Nehalem", "OMP_NUM_THREADS": "2"}  # fmt: skip
"""An environment in which libraries compute otherwise, and which `exact` would have taken."""
WORDS = {"datasets": ["phantom:ddti:benign-malignant"], "augmenters": ["geometric"], "folds": 2, "repeats": 1,
         "budget": "steps=4,batch=8,size=16", "controls": False, "yardsticks": False}  # fmt: skip
ON_X86 = pytest.mark.skipif(not numerics.is_portable_here(), reason="the processor has no AVX2")


def test_a_record_of_exact_numerics_is_what_it_was_before_there_was_a_choice() -> None:
    asked = study.build({"name": "s"})
    trial = Trial("ddti", "patients", 0, 0, 2, 0, 0, "none", "small-cnn", asked.spending)

    assert "numerics" not in asked.model_dump()["budget"]
    assert "numerics" not in trial.to_json()["budget"]
    assert "numerics" not in study.to_toml(asked)
    assert Trial.from_json(trial.to_json()) == trial


def test_other_numerics_are_a_part_of_what_is_asked_and_of_every_record() -> None:
    asked = study.build({"name": "s", "budget": {"numerics": "portable"}})
    trial = Trial("ddti", "patients", 0, 0, 2, 0, 0, "none", "small-cnn", asked.spending)

    assert trial.to_json()["budget"]["numerics"] == "portable"
    assert Trial.from_json(trial.to_json()) == trial
    assert study.build(asked.model_dump()) == asked
    assert 'numerics = "portable"' in study.to_toml(asked)


def test_a_generator_of_other_numerics_is_another() -> None:
    stage = plugins.load(installed=False).resolve("generator", "resample")

    def key(budget: medbench.Budget) -> str:
        return stage_key(stage, made_of="d", ids=["a"], stage_seed=0, budget=budget)

    assert len({key(medbench.Budget()), key(PORTABLE), key(medbench.Budget(numerics="fast"))}) == 3


def test_options_say_it_and_a_preset_leaves_it() -> None:
    asked = build_request(numerics="portable", budget="quick").study
    again = build_request(asked, budget="smoke").study

    assert asked.spending == medbench.Budget(600, 32, 32, 1, 1200, 1, "portable")
    assert again.budget.numerics == "portable"
    assert build_request(again, budget="numerics=exact").study.budget.numerics == "exact"
    with pytest.raises(UsageError, match=r"budget\.numerics = 'exakt'.*'exact', 'portable' or 'fast'"):
        build_request(budget="numerics=exakt")


def test_portable_is_refused_where_it_cannot_be_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    catalogue = plugins.load(installed=False)

    with pytest.raises(ResourceError, match="needs an x86 processor with AVX2, and this is arm64"):
        choose_workers(Resources(device="cpu"), catalogue, PORTABLE)
    usual = choose_workers(Resources(device="cpu"), catalogue, medbench.Budget(threads=3))
    assert dict(usual.variables) == dict.fromkeys(numerics._THREADS, "3")


@dataclass(frozen=True)
class Old:
    """An executor of before there were variables."""

    name: str = "old"

    def start(self, *, workers: int, devices: Sequence[str]) -> Any:
        return self

    def submit(self, work: Any, folder: str, share: float, limit_s: float) -> Future[int]:
        raise NotImplementedError

    def close(self) -> None:
        return None


@ON_X86
def test_an_executor_that_cannot_give_variables_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = plugins.load(installed=False)
    monkeypatch.setattr(catalogue, "resolve", lambda kind, text: Old())

    with pytest.raises(UsageError, match="takes no `variables`, which numerics portable need"):
        choose_workers(Resources(device="cpu"), catalogue, PORTABLE)
    assert choose_workers(Resources(device="cpu"), catalogue, medbench.Budget()).start() == Old()


def test_a_process_that_began_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in numerics.variables(PORTABLE).items():
        monkeypatch.setenv(name, value)  # too late: libraries are there

    numerics.check_process(medbench.Budget())
    with pytest.raises(ResourceError, match=r"this process began with .*ATEN_CPU_CAPABILITY"):
        numerics.check_process(PORTABLE)


def test_a_process_whose_torch_chose_other_instructions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(numerics, "_first_environment", lambda: numerics.variables(PORTABLE))
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")

    with pytest.raises(ResourceError, match=r"torch or numpy was imported with other instructions \(AVX512\)"):
        numerics.check_process(PORTABLE)


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same study from Python that has imported torch, and from a shell that asks for other instructions."""
    import torch  # noqa: F401

    place = tmp_path_factory.mktemp("numerics")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(place / "cache"))
        before = [os.environ.get(name) for name in numerics.NAMES]
        medbench.run(**WORDS, numerics="portable", workers=1, results=place / "python", progress=False)  # type: ignore[arg-type]
        assert [os.environ.get(name) for name in numerics.NAMES] == before
        words = ["-d", *WORDS["datasets"], "-a", *WORDS["augmenters"], "--folds", "2", "--repeats", "1",  # type: ignore[misc]
                 "--budget", str(WORDS["budget"]), "--no-controls", "--no-yardsticks", "--workers", "1"]  # fmt: skip
        command = [sys.executable, "-m", "medbench", "run", *words, "--numerics", "portable"]
        ran = subprocess.run([*command, "--results", str(place / "shell")], capture_output=True, text=True, check=False,
                             env={**os.environ, **OTHERWISE})  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return [place / "python", place / "shell"]


@ON_X86
def test_the_bits_are_the_same_from_other_environments(twice: list[Path]) -> None:
    found = [sorted(folder.rglob("predictions.parquet")) for folder in twice]

    assert [path.relative_to(twice[0]) for path in found[0]] == [path.relative_to(twice[1]) for path in found[1]]
    assert len(found[0]) == 2
    assert [path.read_bytes() for path in found[0]] == [path.read_bytes() for path in found[1]]


def test_exact_numerics_compute_with_all_libraries(tmp_path: Path) -> None:
    medbench.run(**WORDS, workers=1, results=tmp_path, progress=False)  # type: ignore[arg-type]

    told = [json.loads(path.read_text())["provenance"] for path in tmp_path.rglob("result.json")]
    assert len(told) == 2
    assert not any("without" in of_one for of_one in told)


@ON_X86
def test_each_record_says_what_it_was_held_to(twice: list[Path]) -> None:
    for path in (path for folder in twice for path in folder.rglob("result.json")):
        told = json.loads(path.read_text())["provenance"]
        assert told["held_to"] == numerics.variables(PORTABLE)
        assert told["instruction_set"] == numerics.instruction_set()
        assert told["without"] == ["oneDNN"]
        assert json.loads((path.parent / "spec.json").read_text())["budget"]["numerics"] == "portable"


def test_numpy_is_held_to_the_same_instructions() -> None:
    names = numerics.variables(PORTABLE)["NPY_DISABLE_CPU_FEATURES"].split()
    known: Any = np.show_config(mode="dicts")["SIMD Extensions"]

    assert {*names} <= {*known.get("found", ()), *known.get("not found", ())}
    assert not any("AVX2" in name or name == "X86_V3" for name in names)
