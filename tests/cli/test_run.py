"""The command line from end to end, on a toy data set: runs, resumes, survives, and ends with the right exit code."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from in_this_process import in_this_process

TOYS = str(Path(__file__).parents[1] / "toys")
PIPES: dict[str, Any] = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
NO_SCORES = ("-p", "no:medbench.scores", "-p", "no:medbench.extractors")
"""They take most of the time of a toy's trial: features alone have each process import torch."""
Medbench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def environment(cache: Path, tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "MEDBENCH_CACHE": str(cache), "MEDBENCH_RESULTS": str(tmp_path / "runs")}


def called(cache: Path, folder: Path, *arguments: str, **places: str) -> subprocess.CompletedProcess[str]:
    """Call the command line in `folder`: a run in a process of its own, from which it forks, all else in this one."""
    line = list(arguments)
    if line[0] in ("run", "plan"):
        line += ["--plugins-dir", TOYS, *NO_SCORES]
    if line[0] == "run" and "--executor" not in line:
        line += ["--executor", "forks"]
    variables = {"MEDBENCH_CACHE": str(cache), "MEDBENCH_RESULTS": str(folder / "runs"), **places}
    if line[0] != "run":
        return in_this_process(*line, folder=folder, **variables)
    run = [sys.executable, "-m", "medbench", *line]
    environment = {**os.environ, **variables}
    return subprocess.run(run, capture_output=True, text=True, env=environment, cwd=folder, timeout=300)


@pytest.fixture
def medbench(environment: dict[str, str], cache: Path, tmp_path: Path) -> Medbench:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return called(cache, tmp_path, *arguments, MEDBENCH_RESULTS=environment["MEDBENCH_RESULTS"])

    return call


TOY = ("-d", "phantom:toy", "-a", "adds", "-c", "mean", "--folds", "3", "--repeats", "1", "--no-yardsticks")


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder of a run that is done and how it ended, from an empty cache; it is only read, or run again."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, called(folder / "cache", folder, "run", *TOY)


def test_a_run_ends_in_a_leaderboard_and_the_same_command_does_nothing(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, first = finished
    before = files(folder / "runs")
    second = called(folder / "cache", folder, "run", *TOY)

    assert first.returncode == 0, first.stderr
    assert "3 generators to train" in first.stderr
    assert "plain-toy" in first.stdout
    assert "└ adds" in first.stdout
    assert "Synthetic test images: the result says nothing about patients." in first.stdout
    assert "Can detect a gain of 13.1 points or more" in first.stderr
    assert first.stderr.startswith(
        "Loading methods and data ...\n9 training runs and 3 generators; the images are read first\n"
    )
    assert "\n no augmentation " in first.stdout
    assert "\n Next:  medbench report " in first.stdout
    assert max(map(len, first.stdout.splitlines())) <= 80
    assert "nothing to do, 9 training runs are stored already" in second.stderr
    assert second.stdout == first.stdout
    assert re.search(r"^wall time \d+ (s|min)$", first.stderr, re.MULTILINE)
    assert "wall time" not in second.stderr
    assert {k: v for k, v in files(folder / "runs").items() if ".plans" not in k} == {
        k: v for k, v in before.items() if ".plans" not in k
    }


@dataclass(frozen=True)
class Ran:
    """A run by one or four workers, and what was planned before and after it."""

    results: Path
    planned: dict[str, Any]
    ended: subprocess.CompletedProcess[str]
    again: dict[str, Any]


@pytest.fixture(scope="module")
def by_workers(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """The same run by one worker and by four."""
    ask = (*TOY, "-a", "adds[generator=noise,honest=true]", "-c", "mean[pause=0.01]")
    found = {}
    for workers in ("1", "4"):
        folder = tmp_path_factory.mktemp(f"workers-{workers}")
        planned = json.loads(called(cache, folder, "plan", *ask, "--json").stdout)
        ran = called(cache, folder, "run", *ask, "--workers", workers)
        again = json.loads(called(cache, folder, "plan", *ask, "--json").stdout)
        found[workers] = Ran(folder / "runs", planned, ran, again)
    return found


@pytest.mark.parametrize("workers", ["1", "4"])
def test_stages_are_planned_counted_and_fitted_once(by_workers: dict[str, Ran], workers: str) -> None:
    of = by_workers[workers]

    assert of.ended.returncode == 0, of.ended.stderr
    assert of.planned["stages"] == 3
    assert len(list((of.results / "stages").iterdir())) == 3
    assert (of.again["stored"], of.again["stages_stored"]) == (of.again["trials"], 3)


def test_one_and_four_workers_give_the_same_bits(by_workers: dict[str, Ran]) -> None:
    one, four = (
        {k: v for k, v in files(of.results).items() if k.endswith(("parquet", "safetensors"))}
        for of in by_workers.values()
    )

    assert len([name for name in one if name.endswith("predictions.parquet")]) == by_workers["1"].planned["trials"]
    assert one == four


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_run_whose_every_job_fails_alike_ends_with_one_sentence(
    medbench: Medbench, tmp_path: Path, workers: str
) -> None:
    ask = ("-d", "phantom:toy", "-a", "adds", "-c", "fault[kind=raise]", "--folds", "3", "--repeats", "2",
           "--no-yardsticks", "--workers", workers)  # fmt: skip
    ran = medbench("run", *ask)
    stored = list((tmp_path / "runs").rglob("failure.json"))
    logs = medbench("logs")
    again = medbench("run", *ask, "--retry-failed")

    assert ran.returncode == 7
    assert ran.stdout == ""
    assert ran.stderr.count("ZeroDivisionError") == 2  # where it happened first, and at the end
    assert "every job so far ended with the same failure" in ran.stderr.splitlines()[-1]
    assert 2 <= len(stored) <= 5  # of 18
    assert logs.returncode == 0
    assert "ZeroDivisionError" in logs.stdout
    assert again.returncode == 7
    assert len(list((tmp_path / "runs" / "stages").iterdir())) <= 6


def test_a_stage_that_fails_alone_stops_nothing(medbench: Medbench, tmp_path: Path) -> None:
    ran = medbench("run", "-d", "phantom:toy", "-a", "adds[generator=noise[fails=true]]", "-c", "mean", "--folds", "3",
                   "--repeats", "1", "--no-yardsticks", "--workers", "1")  # fmt: skip

    assert ran.returncode == 7
    assert "3 FAILED" in ran.stderr
    assert "every job" not in ran.stderr
    assert len(list((tmp_path / "runs").rglob("result.json"))) >= 3


FAULTS = {
    "raise": ("bug", "ZeroDivisionError"),
    "sysexit": ("bug", "SystemExit"),
    "hang": ("timeout", "past the limit"),
    "nan": ("contract", "not finite"),
    "shape": ("contract", "shape"),
    "diverge": ("diverged", "nan at step 3"),
    "chdir": ("contract", "working directory"),
}
OF_THE_MACHINE = {
    "exit": ("lost", "its process died 3 times"),
    "memory": ("memory", "not enough memory"),
    "handles": ("resources", "too many files are open"),
    "wrapped": ("resources", "too many files are open"),
}
Faulty = tuple[Path, list[subprocess.CompletedProcess[str]]]


def asks(kinds: Iterable[str], *more: str) -> tuple[str, ...]:
    """Return the words of a run in which a classifier does well and one of each kind has its fault, in two folds."""
    faults = [word for kind in kinds for word in ("-c", f"fault[kind={kind}]")]
    return ("-d", "phantom:toy", "-a", "plain-toy", *faults, "-c", "mean", "--folds", "2", "--repeats", "1",
            "--no-controls", *more)  # fmt: skip


def failures_of(results: Path, kind: str) -> list[dict[str, Any]]:
    """Return what is stored of the faults of one kind."""
    failed = list(results.rglob("failure.json"))
    arms = [json.loads(path.with_name("spec.json").read_text())["classifier"] for path in failed]
    wanted = f"fault[kind={kind}]" if kind != "raise" else "fault"  # what is the default is not written
    return [json.loads(path.read_text()) for path, arm in zip(failed, arms, strict=True) if arm == wanted]


@pytest.fixture(scope="module")
def faulty(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Faulty:
    """One run with every fault of a recipe, and the same command again."""
    folder = tmp_path_factory.mktemp("faulty")
    # A loaded machine is slow, and only the hang is to meet its limit.
    return folder / "runs", [called(cache, folder, "run", *asks(FAULTS, "--limit", "20")) for _ in range(2)]


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_costs_its_own_trials_and_is_stored_with_its_kind(faulty: Faulty, kind: str) -> None:
    results, (ran, again) = faulty
    stored, says = FAULTS[kind]
    failures = failures_of(results, kind)

    assert ran.returncode == 7, ran.stderr
    assert {f["kind"] for f in failures} == {stored}
    assert all(says in f["message"] for f in failures)
    assert len(failures) == 2
    assert "2 training runs done" in ran.stderr
    assert f"{2 * len(FAULTS)} FAILED" in ran.stderr
    assert "nothing to do" in again.stderr
    assert again.returncode == 7


@pytest.fixture(scope="module", params=[("exit", "memory", "handles"), ("wrapped",)], ids="-".join)
def interrupted(
    request: pytest.FixtureRequest, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[tuple[str, ...], Path, list[subprocess.CompletedProcess[str]]]:
    """Faults of a machine in one run, what it stored, its board, and the same command again.

    The last two kinds say the same: together they would be taken for one cause of all, and end the run.
    """
    folder, ask = tmp_path_factory.mktemp("interrupted"), asks(request.param)
    ran = called(cache, folder, "run", *ask)
    shutil.copytree(folder / "runs", folder / "after-the-first")
    shown = called(cache, folder, "leaderboard", "--format", "json")
    return request.param, folder / "after-the-first", [ran, shown, called(cache, folder, "run", *ask)]


def test_a_fault_of_the_machine_is_no_row_and_is_tried_again(
    interrupted: tuple[tuple[str, ...], Path, list[subprocess.CompletedProcess[str]]],
) -> None:
    kinds, results, (ran, shown, again) = interrupted
    board, lost = json.loads(shown.stdout), 2 * len(kinds)

    assert (ran.returncode, again.returncode) == (6, 6), ran.stderr
    assert "2 training runs done" in ran.stderr
    assert f"{lost} INTERRUPTED" in ran.stderr
    assert f"{lost} training runs were ended by a fault of the machine, not counted and to be run again" in ran.stderr
    for kind in kinds:
        failures, (stored, says) = failures_of(results, kind), OF_THE_MACHINE[kind]
        assert {f["kind"] for f in failures} == {stored}
        assert all(says in f["message"] for f in failures)
        assert len(failures) == 2
    assert sorted((row["done"], row["failed"]) for row in board) == [(0, 0)] * len(kinds) + [(2, 0)]
    assert f"{lost} training runs to do; 2 training runs are stored already" in again.stderr
    assert re.search(r"^wall time \d+ (s|min)$", ran.stderr, re.MULTILINE)
    assert re.search(r"^wall time \d+ (s|min), in 2 sessions$", again.stderr, re.MULTILINE)


def test_a_full_disk_stops_the_run_and_leaves_no_row(medbench: Medbench, tmp_path: Path) -> None:
    ask = ("-d", "phantom:toy", "-a", "plain-toy", "-c", "fault[kind=disk]", "--folds", "2", "--repeats", "1")
    ran = medbench("run", *ask, "--no-controls")

    assert ran.returncode == 6
    assert "the disk is full" in ran.stderr
    assert not list((tmp_path / "runs").rglob("failure.json"))


def test_what_failed_is_tried_again_when_asked(medbench: Medbench) -> None:
    ask = ("-d", "phantom:toy", "-a", "plain-toy", "-c", "fault[kind=raise]", "--folds", "2", "--repeats", "1")
    first = medbench("run", *ask, "--no-controls")
    asked = medbench("run", *ask, "--no-controls", "--retry-failed")

    assert (first.returncode, asked.returncode) == (7, 7)
    assert "nothing to do" not in asked.stderr
    assert "2 FAILED" in asked.stderr


def test_a_skip_known_only_while_running_is_a_row_and_no_failure(medbench: Medbench) -> None:
    ran = medbench(
        "run", "-d", "phantom:toy", "-a", "plain-toy", "-c", "fault[kind=skip]", "--folds", "2", "--repeats", "1"
    )

    assert ran.returncode == 0
    assert "skipped" in ran.stderr
    assert "it makes no sense here" in ran.stderr


def test_what_a_trial_prints_cannot_steer_the_terminal(medbench: Medbench) -> None:
    medbench(
        "run", "-d", "phantom:toy", "-a", "plain-toy", "-c", "fault[kind=escape]", "--folds", "2", "--repeats", "1"
    )
    shown = medbench("logs", "*escape*")

    assert "owned" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_a_diverging_generator_fails_its_arms_and_leaves_the_others_alone(medbench: Medbench, tmp_path: Path) -> None:
    ran = medbench("run", *TOY, "-a", "adds[generator=noise[fails=true]]")
    failures = [json.loads(p.read_text()) for p in (tmp_path / "runs").rglob("failure.json")]

    assert ran.returncode == 7
    assert len(failures) == 3
    assert {f["kind"] for f in failures} == {"diverged"}
    assert "3 of 3 diverged" in ran.stdout


@pytest.mark.parametrize(("augmenter", "kind"), [("adds[honest=false]", "contract"), ("overwrites", "bug")])
def test_an_augmenter_that_breaks_a_wall_fails(medbench: Medbench, tmp_path: Path, augmenter: str, kind: str) -> None:
    ran = medbench("run", *TOY, "-a", augmenter, "--no-controls")
    failures = [json.loads(p.read_text()) for p in (tmp_path / "runs").rglob("failure.json")]

    assert ran.returncode == 7
    assert {f["kind"] for f in failures} == {kind}


def test_an_official_cut_that_parts_a_patient_is_stopped_before_anything_runs(
    medbench: Medbench, tmp_path: Path
) -> None:
    ran = medbench("run", "-d", "phantom:toy:leaky", "-a", "adds", "-c", "mean", "--protocol", "official")

    assert ran.returncode == 8
    assert "a patient or study lies in both parts of the official cut (1 group: i" in ran.stderr
    assert not list((tmp_path / "runs").rglob("spec.json"))


def test_a_leaky_protocol_runs_and_says_so(medbench: Medbench) -> None:
    ran = medbench("run", *TOY, "--protocol", "augment-first")

    assert ran.returncode == 0, ran.stderr
    assert "LEAKY, no verdict: toy (SYNTHETIC images)" in ran.stdout
    assert "Leaky protocol, so no verdict: copies of test images in training" in " ".join(ran.stdout.split())


def test_ctrl_c_loses_nothing_that_was_finished(environment: dict[str, str], tmp_path: Path) -> None:
    run = [sys.executable, "-m", "medbench", "run", "-d", "phantom:toy", "-a", "plain-toy", "-c", "mean[pause=1]",
           "--folds", "4", "--repeats", "2", "--workers", "1", "--plugins-dir", TOYS,
           "--executor", "forks"]  # fmt: skip
    process = subprocess.Popen(run, env=environment, cwd=tmp_path, **PIPES)
    deadline = time.monotonic() + 60
    stored = tmp_path / "runs" / "phantom-toy"
    while len(list(stored.rglob("result.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    finished = {p.parent.name for p in stored.rglob("result.json")}

    assert len(finished) >= 2
    assert process.returncode == 130
    assert "the same command goes on from there" in errors
    assert not list((tmp_path / "runs" / ".jobs").iterdir())
    again = subprocess.run([*run, "--workers", "4"], env=environment, cwd=tmp_path, check=True, **PIPES)
    assert f"{len(finished)} training runs are stored already" in again.stderr


def test_two_runners_share_a_store_and_do_nothing_twice(environment: dict[str, str], tmp_path: Path) -> None:
    run = [sys.executable, "-m", "medbench", "run", *TOY, "-c", "mean[pause=0.3]", "--workers", "2",
           "--plugins-dir", TOYS, "--executor", "forks", *NO_SCORES]  # fmt: skip
    both = [subprocess.Popen(run, env=environment, cwd=tmp_path, **PIPES) for _ in range(2)]
    outputs = [p.communicate(timeout=120) for p in both]
    done = [int(re.findall(r"(\d+) training runs? done,", e)[-1]) for _, e in outputs]

    assert [p.returncode for p in both] == [0, 0]
    assert sum(done) == len(list((tmp_path / "runs").rglob("result.json")))
    assert outputs[0][0] == outputs[1][0]


def test_shards_are_the_whole(medbench: Medbench, tmp_path: Path) -> None:
    for part in (1, 2, 3):
        assert medbench("run", *TOY, "--shard", f"{part}/3").returncode == 0

    assert len(list((tmp_path / "runs").rglob("result.json"))) == 9
    assert len(list((tmp_path / "runs" / "stages").iterdir())) == 3


def test_a_field_out_of_range_is_a_usage_error_before_anything_runs(
    environment: dict[str, str], tmp_path: Path
) -> None:
    for augmenter in ("mixup[alpha=0]", "geometric[shear=90]", "acgan[generator=acgan[steps=0]]", "hybrid[ratio=0]"):
        ran = in_this_process("run", "-d", "phantom:toy", "-a", augmenter, "-c", "small-cnn", "--folds", "2",
                              "--repeats", "1", "--plugins-dir", TOYS, folder=tmp_path, **environment)  # fmt: skip

        assert ran.returncode == 2, ran.stderr
        assert "give a number" in ran.stderr.splitlines()[-1]
    assert not list((tmp_path / "runs").rglob("spec.json"))


def test_a_combination_that_makes_no_sense_is_named_in_plan_and_table(medbench: Medbench) -> None:
    ask = (
        "-d",
        "phantom:toy:volumes",
        "-a",
        "plain-toy",
        "-c",
        "mean",
        "-c",
        "vgg16",
        "--folds",
        "2",
        "--repeats",
        "1",
    )
    planned = medbench("plan", *ask)
    ran = medbench("run", *ask)

    reason = "vgg16 takes 2-D images, the data are 3-D"
    assert reason in " ".join(planned.stdout.split())
    assert max(len(line) for line in planned.stdout.splitlines() if not line.startswith(" Start: ")) <= 80
    assert ran.returncode == 0
    assert reason in " ".join(ran.stdout.split())


def test_arms_of_features_share_an_encoder_and_run_like_any_other(medbench: Medbench, tmp_path: Path) -> None:
    ask = ("-d", "phantom:toy", "-a", "adds-features", "-c", "cuttable", "-c", "mean", "--folds", "2", "--repeats", "1",
           "--no-yardsticks")  # fmt: skip
    planned = medbench("plan", *ask)
    ran = medbench("run", *ask)
    stages = [json.loads(p.read_text()) for p in (tmp_path / "runs" / "stages").glob("*/stage.json")]

    assert ran.returncode == 0, ran.stderr
    assert sorted(s["stage"] for s in stages) == ["encoder", "encoder", "noise", "noise"]
    assert "4 generators to train" in " ".join(planned.stdout.split())
    assert "4 generators trained" in ran.stderr
    assert "mean cannot be cut into an encoder and a head" in " ".join(ran.stdout.split())
    assert "└ adds-features" in ran.stdout


def test_every_format_holds_every_arm_and_status_counts_the_trials(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    forms = ("table", "md", "csv", "json", "latex")
    folder, _ = finished
    shown = {form: called(folder / "cache", folder, "leaderboard", "--format", form, "--wide") for form in forms}

    assert {form.returncode for form in shown.values()} == {0}
    assert all(name in form.stdout for form in shown.values() for name in ("plain-toy", "adds"))
    for form, said in shown.items():
        assert ("none" if form in ("csv", "json") else "no augmentation") in said.stdout
    assert {row["planned"] for row in json.loads(shown["json"].stdout)} == {3}
    assert "9 of 9 training runs done" in called(folder / "cache", folder, "status").stdout
    plain = called(folder / "cache", folder, "leaderboard", "--plain").stdout
    assert "`- adds" in plain
    assert plain.isascii()


def test_the_local_executor_runs_kills_and_times_out(medbench: Medbench, tmp_path: Path) -> None:
    ran = medbench("run", "-d", "phantom:toy", "-a", "plain-toy", "-c", "mean", "-c", "fault[kind=kill]", "-c",
                   "fault[kind=hang]", "--folds", "2", "--repeats", "1", "--no-controls", "--executor", "local",
                   "--workers", "2", "--limit", "20")  # fmt: skip
    kinds = sorted(json.loads(p.read_text())["kind"] for p in (tmp_path / "runs").rglob("failure.json"))

    assert ran.returncode == 6, ran.stderr
    assert kinds == ["lost", "lost", "timeout", "timeout"]
    assert "2 training runs done" in ran.stderr


def test_a_file_in_the_working_directory_shadows_no_library(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "timeit.py").write_text("raise RuntimeError('this is not the library')\n")
    environment.pop("PYTHONSAFEPATH", None)
    command = Path(sys.executable).with_name("medbench")
    run = [str(command), "run", "-d", "phantom:toy", "-a", "plain-toy", "-c", "small-cnn", "--no-controls",
           "--budget", "steps=2,batch=4,size=16", "--folds", "2", "--repeats", "1", "--plugins-dir", TOYS]  # fmt: skip
    ran = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    assert "2 training runs done" in ran.stderr


def test_changed_code_is_another_trial_and_the_older_is_named(
    medbench: Medbench, environment: dict[str, str], tmp_path: Path
) -> None:
    source = Path(TOYS, "toys.py").read_text()
    folder = tmp_path / "plugins"
    folder.mkdir()
    run = [sys.executable, "-m", "medbench", "run", *TOY, "--wide", "--plugins-dir", str(folder), "--executor", "forks",
           *NO_SCORES]  # fmt: skip
    outputs = []
    for text in (source, source.replace("/ 10)\n            return", "/ 11)\n            return")):
        (folder / "toys.py").write_text(text)
        outputs.append(subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True))

    assert source.count("/ 10)\n            return") == 1
    assert "9 training runs done" in outputs[1].stderr
    assert "3 older results of other code or another budget, not shown" in " ".join(outputs[1].stdout.split())


def test_a_killed_runners_workers_end_and_a_terminated_one_cleans_up(
    environment: dict[str, str], tmp_path: Path
) -> None:
    run = [sys.executable, "-m", "medbench", "run", "-d", "phantom:toy", "-a", "plain-toy", "-c", "fault[kind=hang]",
           "--folds", "2", "--repeats", "1", "--workers", "1", "--executor", "forks",
           "--plugins-dir", TOYS]  # fmt: skip
    for number, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 143)):
        process = subprocess.Popen(run, env=environment, cwd=tmp_path, **PIPES)
        wait_for(lambda: list((tmp_path / "runs").rglob("progress.json")))
        process.send_signal(number)
        process.communicate(timeout=30)
        assert process.returncode == code
        assert wait_for(lambda: not workers_in(tmp_path))
        if number == signal.SIGTERM:
            assert not list((tmp_path / "runs" / ".jobs").iterdir())
        for leftover in (tmp_path / "runs").rglob("progress.json"):
            leftover.unlink()


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


def workers_in(folder: Path) -> list[str]:
    """Processes whose working directory is `folder`; the forked workers of a run are among them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(folder):
                found.append(process.name)
        except OSError:
            continue
    return found
